//! What holds values: a section's field, lists, and maps whose keys are names.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::node::{Key, Node, Value};
use super::problem::{Mistake, Path, Place};
use super::read::{Form, Read, Reader};

/// A value and the place it was written at.
pub(super) struct At<T> {
    pub(super) place: Place,
    pub(super) value: T,
}

/// The value at a key of a section: absent, wrong (and noted), or there.
pub(super) struct Field<T> {
    /// Where the key is, if it is there.
    pub(super) key: Option<Place>,
    /// The value, if it is there and right.
    pub(super) value: Option<At<T>>,
}

impl<T> Default for Field<T> {
    fn default() -> Self {
        let (key, value) = (None, None);
        Self { key, value }
    }
}

impl<T> Field<T> {
    /// The value, or what counts without the key.
    pub(super) fn or(self, default: T) -> T {
        self.value.map_or(default, |at| at.value)
    }

    /// The value alone.
    pub(super) fn into_value(self) -> Option<T> {
        self.value.map(|at| at.value)
    }

    /// The value, or its default.
    pub(super) fn or_default(self) -> T
    where
        T: Default,
    {
        self.into_value().unwrap_or_default()
    }

    /// Whether it is there and wrong, which was noted.
    pub(super) fn is_wrong(&self) -> bool {
        self.key.is_some() && self.value.is_none()
    }
}

impl<T: JsonSchema> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A list of values.
pub(super) struct List<T>(pub(super) Vec<At<T>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> List<T> {
    /// The values without their places.
    pub(super) fn into_values(self) -> impl Iterator<Item = T> {
        self.0.into_iter().map(|at| at.value)
    }
}

impl<T: Read> Read for List<T> {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        // Every item is read, so that every mistake is noted; a list with one wrong item is no list.
        let items = items(node, path, reader)?;
        items.into_iter().collect::<Option<Vec<_>>>().map(Self)
    }
}

/// The items of a list, those that are wrong as `None`.
fn items<T: Read>(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Vec<Option<At<T>>>> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ if node.is_nothing() => &[],
        Value::Scalar { .. } => {
            let mistake = Mistake::wrong_type("a list", node.found());
            let help = "write a list: `[first, second]`, or one `- item` a line";
            reader
                .problems
                .add_with_help(&path.at(node.at), mistake, help);
            return None;
        }
        Value::Map(_) => {
            reader.wrong_type(node, path, Form::of("a list"));
            return None;
        }
    };
    let items = items.iter().enumerate();
    let read = items.map(|(index, item)| {
        let path = path.index(index);
        let value = T::read(item, &path, reader)?;
        let place = path.at(item.at);
        Some(At { place, value })
    });
    Some(read.collect())
}

/// A list of sections that stand for themselves: one that is wrong is left out.
pub(super) struct Rules<T>(pub(super) Vec<At<T>>);

impl<T> Default for Rules<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Read> Read for Rules<T> {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        let items = items(node, path, reader)?;
        Some(Self(items.into_iter().flatten().collect()))
    }
}

impl<T: JsonSchema> JsonSchema for Rules<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        List::<T>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        List::<T>::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for List<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("List of {}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let items = generator.subschema_for::<T>();
        json_schema!({ "type": ["array", "null"], "items": items })
    }
}

/// A map whose keys are names, in the order of the file.
pub(super) struct Map<K, V> {
    /// The entries that are right.
    pub(super) entries: Vec<(At<K>, At<V>)>,
    /// Whether these are all: a name that was left out is no unknown one.
    pub(super) complete: bool,
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            complete: true,
        }
    }
}

impl<K: Name, V: Read> Read for Map<K, V> {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        let entries = reader.map(node, path, Form::of(K::EXPECTED))?;
        // Every entry is read, so that every mistake is noted; one that is wrong is left out.
        let read = entries
            .iter()
            .filter_map(|(key, node)| entry(key, node, path, reader));
        let read: Vec<_> = read.collect();
        Some(Self {
            complete: read.len() == entries.len(),
            entries: read,
        })
    }
}

fn entry<K: Name, V: Read>(
    key: &Key,
    node: &Node,
    path: &Path,
    reader: &mut Reader<'_>,
) -> Option<(At<K>, At<V>)> {
    let Some(name) = K::of(&key.text) else {
        let expected = K::RULE.to_owned();
        let mistake = Mistake::BadValue { expected };
        reader.problems.add(&path.at(key.at), mistake);
        // What it holds is read for its own mistakes; of a key alone there is nothing more to say.
        if !node.is_nothing() {
            V::read(node, &path.key(&key.text), reader);
        }
        return None;
    };
    if K::HIDES && node.is_nothing() {
        // `env: { ghp_… }` is a key without a value, and a secret: then not even the key is shown.
        let mistake = Mistake::wrong_type("a name with a value", "a word alone");
        let help = "write `NAME: value`";
        reader
            .problems
            .add_with_help(&path.at(key.at), mistake, help);
        return None;
    }
    let within = path.key(&key.text);
    let value = V::read(node, &within, reader);
    let place = within.at(key.at);
    let name = At {
        place: place.clone(),
        value: name,
    };
    Some((
        name,
        At {
            place,
            value: value?,
        },
    ))
}

impl<K: Name, V: JsonSchema> JsonSchema for Map<K, V> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Map of {}", V::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let values = generator.subschema_for::<V>();
        json_schema!({
            "type": ["object", "null"],
            "propertyNames": K::schema(),
            "additionalProperties": values,
        })
    }
}

/// The keys of a map.
pub(super) trait Name: Sized {
    /// What the map is, in a message.
    const EXPECTED: &'static str;
    /// What a key must be.
    const RULE: &'static str;
    /// Whether a key without a value may be a secret.
    const HIDES: bool;

    fn of(text: &str) -> Option<Self>;
    /// The rule as a schema.
    fn schema() -> serde_json::Value;
}
