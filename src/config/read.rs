//! Reading a tree into the file's types, collecting mistakes instead of stopping at the first.
//!
//! `section!` makes of one definition the type, its reader and its part of the JSON Schema, so that they cannot drift
//! apart.

use std::borrow::Cow;
use std::rc::Rc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::Environment;
use super::expand::expand;
use super::file::Document;
use super::problem::{Mistake, Path, Place, Problems, shown};
use super::tree::{self, Key, Node, Value};

/// A type of the file. `None` means that a mistake was noted.
pub(super) trait Read: Sized {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self>;
}

/// What reading needs beside the tree.
pub(super) struct Reader<'a> {
    pub(super) environment: &'a Environment,
    pub(super) problems: &'a mut Problems,
}

/// Reads the text of a configuration. An empty one, or one of comments only, asks for nothing.
pub(super) fn document(
    text: &str,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<Document> {
    let top = Path::default();
    let tree = match tree::parse(text) {
        Ok(tree) => tree,
        Err(broken) => {
            let place = top.at(broken.at);
            match broken.help {
                Some(help) => problems.add_with_help(&place, broken.mistake, help),
                None => problems.add(&place, broken.mistake),
            }
            return None;
        }
    };
    for (place, mistake) in tree.duplicates {
        problems.add_with_help(&place, mistake, "keep one of them");
    }
    let mut reader = Reader {
        environment,
        problems,
    };
    match tree.root {
        Some(root) => Document::read(&root, &top, &mut reader),
        None => Some(Document::default()),
    }
}

impl Reader<'_> {
    /// Notes that a value has the wrong type.
    pub(super) fn wrong_type(&mut self, node: &Node, path: &Path, expected: &str) {
        let mistake = Mistake::wrong_type(expected, node.found());
        let place = path.at(node.at);
        let text_expected = expected.starts_with("text") || expected.starts_with("a duration");
        if text_expected && matches!(node.found(), "a number" | "a boolean") {
            let help = if expected.starts_with("text") {
                "put it in quotes"
            } else {
                "write the unit too"
            };
            self.problems.add_with_help(&place, mistake, help);
        } else {
            self.problems.add(&place, mistake);
        }
    }

    /// The text of a scalar as it is written.
    pub(super) fn literal<'n>(
        &mut self,
        node: &'n Node,
        path: &Path,
        expected: &str,
    ) -> Option<&'n str> {
        match &node.value {
            Value::Scalar { text, .. } if node.found() == "text" => Some(text),
            _ => {
                self.wrong_type(node, path, expected);
                None
            }
        }
    }

    /// The text of a scalar with its variables put in.
    pub(super) fn text(&mut self, node: &Node, path: &Path, expected: &str) -> Option<String> {
        let text = self.literal(node, path, expected)?;
        match expand(text, self.environment) {
            Ok(text) => Some(text),
            Err(mistake) => {
                let help = match mistake {
                    Mistake::BadReference => "write `$$` for a dollar sign",
                    _ => "set it where Janus is started; `$$` is a dollar sign",
                };
                self.problems
                    .add_with_help(&path.at(node.at), mistake, help);
                None
            }
        }
    }

    /// A scalar of which `read` makes a value, or says what it should have been.
    pub(super) fn scalar<T>(
        &mut self,
        node: &Node,
        path: &Path,
        expected: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(node, path, expected)?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(expected) => {
                self.problems
                    .add(&path.at(node.at), Mistake::BadValue { expected });
                None
            }
        }
    }

    /// One of a few words, which hold no variables.
    pub(super) fn choice<T: Copy>(
        &mut self,
        node: &Node,
        path: &Path,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let expected = one_of(&words);
        let text = self.literal(node, path, &expected)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let mistake = Mistake::WrongType {
            expected,
            found: "another word",
        };
        let place = path.at(node.at);
        match nearest(text, &words) {
            Some(word) => {
                let help = format!("did you mean `{word}`?");
                self.problems.add_with_help(&place, mistake, help);
            }
            None => self.problems.add(&place, mistake),
        }
        None
    }

    /// The entries of a map; a key without a value is an empty map.
    pub(super) fn map<'n>(
        &mut self,
        node: &'n Node,
        path: &Path,
        expected: &str,
    ) -> Option<&'n [(Key, Rc<Node>)]> {
        match &node.value {
            Value::Map(entries) => Some(entries),
            _ if node.is_nothing() => Some(&[]),
            _ => {
                self.wrong_type(node, path, expected);
                None
            }
        }
    }

    /// Notes the keys of a section that do not exist.
    pub(super) fn unknown_keys(
        &mut self,
        entries: &[(Key, Rc<Node>)],
        path: &Path,
        known: &[&str],
    ) {
        for (key, _) in entries
            .iter()
            .filter(|(key, _)| !known.contains(&key.text.as_str()))
        {
            let place = path.key(&key.text).at(key.at);
            let mistake = Mistake::UnknownKey {
                key: shown(&key.text).to_owned(),
            };
            let help = match nearest(&key.text, known) {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("the keys here are {}", list(known, "and")),
            };
            self.problems.add_with_help(&place, mistake, help);
        }
    }

    /// The value at a key of a section.
    pub(super) fn field<T: Read>(
        &mut self,
        entries: &[(Key, Rc<Node>)],
        name: &str,
        path: &Path,
    ) -> Field<T> {
        let Some((key, node)) = entries.iter().find(|(key, _)| key.text == name) else {
            return Field::default();
        };
        let path = path.key(name);
        Field {
            key: Some(path.at(key.at)),
            value: T::read(node, &path, self).map(|value| At {
                place: path.at(node.at),
                value,
            }),
        }
    }
}

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

impl<T: Read> Read for List<T> {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
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
                reader.wrong_type(node, path, "a list");
                return None;
            }
        };
        // Every item is read, so that every mistake is noted; a list with one wrong item is no list.
        let read: Vec<Option<At<T>>> = items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let path = path.index(index);
                let value = T::read(item, &path, reader)?;
                let place = path.at(item.at);
                Some(At { place, value })
            })
            .collect();
        read.into_iter().collect::<Option<Vec<_>>>().map(Self)
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

/// The words of a message: `a`, `b` or `c`.
fn one_of(words: &[&str]) -> String {
    list(words, "or")
}

fn list(words: &[&str], last: &str) -> String {
    match words {
        [] => String::new(),
        [word] => format!("`{word}`"),
        [first @ .., word] => {
            let first: Vec<String> = first.iter().map(|word| format!("`{word}`")).collect();
            format!("{} {last} `{word}`", first.join(", "))
        }
    }
}

/// The word somebody probably meant: at most a third of its letters differ.
fn nearest<'w>(text: &str, words: &[&'w str]) -> Option<&'w str> {
    // A longer text is no misspelling, and comparing it would take long.
    if text.len() > 64 {
        return None;
    }
    let distance = |word: &str| strsim::damerau_levenshtein(&text.to_lowercase(), word);
    let (word, distance) = words
        .iter()
        .map(|word| (*word, distance(word)))
        .min_by_key(|(_, d)| *d)?;
    (distance <= (word.chars().count() / 3).max(1)).then_some(word)
}

/// A map with fixed keys: the type, its reader and its schema from one definition.
macro_rules! section {
    ($(#[$meta:meta])* $name:ident { $($(#[$about:meta])* $key:ident: $type:ty,)* }) => {
        #[derive(Default, schemars::JsonSchema)]
        $(#[$meta])*
        #[schemars(deny_unknown_fields, transform = $crate::config::schema::or_nothing)]
        pub(super) struct $name {
            $($(#[$about])* #[schemars(default)] pub(super) $key: Field<$type>,)*
        }

        impl Read for $name {
            fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
                const KEYS: &[&str] = &[$(stringify!($key)),*];
                let entries = reader.map(node, path, "a map")?;
                reader.unknown_keys(entries, path, KEYS);
                Some(Self { $($key: reader.field(entries, stringify!($key), path),)* })
            }
        }
    };
}
pub(super) use section;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_is_near_or_absent() {
        let words = ["timeout", "url", "era"];
        assert_eq!(nearest("timeuot", &words), Some("timeout"));
        assert_eq!(nearest("Url", &words), Some("url"));
        assert_eq!(nearest("ear", &words), Some("era"));
        assert_eq!(nearest("port", &words), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), &words), None);
    }
}
