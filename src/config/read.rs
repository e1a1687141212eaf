//! Reading a tree into the file's types, collecting mistakes instead of stopping at the first.
//!
//! `section!` makes of one definition the type, its reader and its part of the JSON Schema, so that they cannot drift
//! apart.

use std::rc::Rc;

use super::Environment;
use super::container::{At, Field};
use super::expand::expand;
use super::file::Document;
use super::node::{Key, Node, Value};
use super::problem::{Mistake, Path, Place, Problems, shown};
use super::tree;
use super::words::{list, nearest, one_of};

/// A type of the file. `None` means that a mistake was noted.
pub(super) trait Read: Sized {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self>;
}

/// A map with fixed keys.
pub(super) trait Section {
    /// All keys.
    const KEYS: &'static [&'static str];

    /// The keys that are there, in the order of their definition.
    fn keys(&self) -> Vec<(&'static str, Place)>;
}

/// How a value is written, for messages.
#[derive(Clone, Copy)]
pub(super) struct Form<'a> {
    /// What belongs there: `text`.
    pub(super) what: &'a str,
    /// What to do with a number or a boolean instead.
    pub(super) unquoted: Option<&'a str>,
}

impl<'a> Form<'a> {
    pub(super) const fn of(what: &'a str) -> Self {
        let unquoted = None;
        Self { what, unquoted }
    }
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
    pub(super) fn wrong_type(&mut self, node: &Node, path: &Path, form: Form<'_>) {
        let mistake = Mistake::wrong_type(form.what, node.found());
        let place = path.at(node.at);
        match form.unquoted {
            Some(help) if matches!(node.found(), "a number" | "a boolean") => {
                self.problems.add_with_help(&place, mistake, help);
            }
            _ => self.problems.add(&place, mistake),
        }
    }

    /// The text of a scalar as it is written.
    pub(super) fn literal<'n>(
        &mut self,
        node: &'n Node,
        path: &Path,
        form: Form<'_>,
    ) -> Option<&'n str> {
        match &node.value {
            Value::Scalar { text, .. } if node.found() == "text" => Some(text),
            _ => {
                self.wrong_type(node, path, form);
                None
            }
        }
    }

    /// The text of a scalar with its variables put in.
    pub(super) fn text(&mut self, node: &Node, path: &Path, form: Form<'_>) -> Option<String> {
        let text = self.literal(node, path, form)?;
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
        form: Form<'_>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(node, path, form)?;
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
        let text = self.literal(node, path, Form::of(&expected))?;
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
        form: Form<'_>,
    ) -> Option<&'n [(Key, Rc<Node>)]> {
        match &node.value {
            Value::Map(entries) => Some(entries),
            _ if node.is_nothing() => Some(&[]),
            _ => {
                self.wrong_type(node, path, form);
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
                None if known.len() == 1 => format!("the only key here is {}", list(known, "and")),
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

/// A key without the `r#` of one that is a word of the language.
pub(super) const fn bare(key: &'static str) -> &'static str {
    match key.as_bytes() {
        [b'r', b'#', ..] => key.split_at(2).1,
        _ => key,
    }
}

/// A map with fixed keys: the type, its reader and its schema from one definition.
macro_rules! section {
    ($(#[$meta:meta])* $name:ident { $($(#[$about:meta])* $key:ident: $type:ty,)* }) => {
        #[derive(Default, schemars::JsonSchema)]
        $(#[$meta])*
        #[schemars(deny_unknown_fields, transform = $crate::config::schema::or_nothing)]
        pub(in $crate::config) struct $name {
            $($(#[$about])* #[schemars(default)] pub(in $crate::config) $key: $crate::config::container::Field<$type>,)*
        }

        impl $crate::config::read::Section for $name {
            const KEYS: &'static [&'static str] = &[$($crate::config::read::bare(stringify!($key))),*];

            fn keys(&self) -> Vec<(&'static str, $crate::config::problem::Place)> {
                let all = [$(($crate::config::read::bare(stringify!($key)), &self.$key.key)),*];
                let there = all.into_iter().filter_map(|(name, key)| Some((name, key.clone()?)));
                there.collect()
            }
        }

        impl Read for $name {
            fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
                let entries = reader.map(node, path, Form::of("a map"))?;
                reader.unknown_keys(entries, path, <Self as $crate::config::read::Section>::KEYS);
                Some(Self { $($key: reader.field(entries, $crate::config::read::bare(stringify!($key)), path),)* })
            }
        }
    };
}
pub(super) use section;
