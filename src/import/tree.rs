//! The text of a file as a tree of values: JSON, JSON with comments and trailing commas, YAML.
//!
//! Invariants:
//! - A key that is there twice is an error. Most readers silently take the last one, which may be another account.
//! - No error holds a value of the file: it may be a secret.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::NotImported;
use super::words::shown;

/// What begins the message about a key that is there twice; any other message of a parser is replaced.
const TWICE: &str = "the key ";

/// Reads JSON, with `//` and `/* */` comments and trailing commas.
pub(super) fn json(text: &str) -> Result<Value, NotImported> {
    let plain = without_comments(text.trim_start_matches('\u{feff}'));
    let tree: Tree = serde_json::from_str(&plain).map_err(|error| {
        let said = error.to_string();
        // What serde_json says about syntax is of its own words; only the place is added to it.
        let what = said.split(" at line ").next().unwrap_or_default();
        NotImported::Syntax {
            what: what.to_owned(),
            line: error.line(),
            column: error.column(),
        }
    })?;
    Ok(tree.0)
}

/// Reads YAML.
pub(super) fn yaml(text: &str) -> Result<Value, NotImported> {
    let tree: Tree = serde_yaml::from_str(text).map_err(|error| {
        let said = error.to_string();
        let twice = said
            .find(TWICE)
            .and_then(|at| said.get(at..))
            .and_then(|said| said.split(" at line ").next());
        let (line, column) = error
            .location()
            .map_or((1, 1), |place| (place.line(), place.column()));
        NotImported::Syntax {
            what: twice.unwrap_or("this is not YAML").to_owned(),
            line,
            column,
        }
    })?;
    Ok(tree.0)
}

/// The text with spaces in place of comments and trailing commas, so that every position stays what it was.
fn without_comments(text: &str) -> String {
    let mut plain = Blanked::default();
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, characters.peek().copied()) {
            ('"', _) => {
                plain.keep(c);
                let mut escaped = false;
                for c in characters.by_ref() {
                    plain.out.push(c);
                    if c == '"' && !escaped {
                        break;
                    }
                    escaped = c == '\\' && !escaped;
                }
            }
            ('/', Some('/')) => {
                plain.blank(c);
                while let Some(c) = characters.next_if(|c| *c != '\n') {
                    plain.blank(c);
                }
            }
            ('/', Some('*')) => {
                plain.blank(c);
                plain.blank('*');
                characters.next();
                let mut last = ' ';
                for c in characters.by_ref() {
                    plain.blank(c);
                    if last == '*' && c == '/' {
                        break;
                    }
                    last = c;
                }
            }
            _ => plain.keep(c),
        }
    }
    plain.out
}

#[derive(Default)]
struct Blanked {
    out: String,
    /// Where the last comma stands, while nothing but space followed it and a value is before it.
    comma: Option<usize>,
    /// The last character that is no space.
    last: Option<char>,
}

impl Blanked {
    fn keep(&mut self, c: char) {
        if let (']' | '}', Some(at)) = (c, self.comma) {
            self.out.replace_range(at..=at, " ");
        }
        if !c.is_whitespace() {
            let after_value = !matches!(self.last, None | Some('[' | '{' | ','));
            self.comma = (c == ',' && after_value).then_some(self.out.len());
            self.last = Some(c);
        }
        self.out.push(c);
    }

    /// As many bytes of space: the columns of the parser count bytes.
    fn blank(&mut self, c: char) {
        if c == '\n' {
            self.out.push('\n');
        } else {
            self.out.extend(std::iter::repeat_n(' ', c.len_utf8()));
        }
    }
}

/// A value in which no key is there twice.
struct Tree(Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading).map(Self)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Tree(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                let said = format!("{TWICE}`{}` is there twice", shown(&key));
                return Err(A::Error::custom(said));
            }
            let Tree(value) = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn comments_and_trailing_commas_are_space_and_strings_stay() {
        let text = "\u{feff}{ // one, }\n \"a\": [1, 2, /* x */ ], \"b\": \"// no, /* } \\\"\", /* é\n*/ }";
        let read = json(text).unwrap();
        assert_eq!(read, json!({ "a": [1, 2], "b": "// no, /* } \"" }));
        assert!(json("{\"a\": 1,, }").is_err());
        assert!(json("[,]").is_err());
    }

    #[test]
    fn a_key_that_is_there_twice_is_an_error_with_its_place() {
        let text = "{\n  \"github\": 1, // the first\n  \"github\": 2\n}";
        let said = json(text).unwrap_err().to_string();
        assert_eq!(said, "line 3, column 10: the key `github` is there twice");
        let said = yaml("github: 1\ngithub: 2\n").unwrap_err().to_string();
        assert!(said.ends_with("the key `github` is there twice"), "{said}");
    }

    #[test]
    fn a_message_holds_no_value() {
        for (text, reader) in [
            ("{\"a\": ghp_CANARY1}", json as fn(&str) -> _),
            ("{\"ghp_CANARY1\": 1, \"ghp_CANARY1\": 2}", json),
            ("a: ghp_CANARY1: x", yaml),
            ("a: &x ghp_CANARY1\nb: *ghp_CANARY1", yaml),
            ("? [ghp_CANARY1]\n: 1", yaml),
        ] {
            let said = reader(text).unwrap_err().to_string();
            assert!(!said.contains("CANARY"), "{said}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert!(json(&"[".repeat(100_000)).is_err());
        assert!(yaml(&"[".repeat(100_000)).is_err());
    }
}
