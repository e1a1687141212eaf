//! A value of the file with its position. What it means (`10` a number, `"10"` text) follows the core schema of YAML 1.2.
//!
//! Invariant: no node has `Debug`, because it may hold a secret.

use std::rc::Rc;

use super::problem::Position;

/// A value and where it begins.
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
    /// Itself and all that it holds, aliases followed.
    pub(super) size: usize,
}

pub(super) enum Value {
    Scalar { text: String, plain: bool },
    List(Vec<Rc<Node>>),
    Map(Vec<(Key, Rc<Node>)>),
}

/// A key and where it begins.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) at: Position,
    pub(super) text: String,
}

impl Node {
    /// The type of the value, in the words of a message.
    pub(super) fn found(&self) -> &'static str {
        match &self.value {
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Scalar { plain: false, .. } => "text",
            Value::Scalar { text, plain: true } => match text.as_str() {
                "" | "~" | "null" | "Null" | "NULL" => "nothing",
                "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => "a boolean",
                text if is_number(text) => "a number",
                _ => "text",
            },
        }
    }

    /// The text of a plain scalar, which may be a number or a boolean.
    pub(super) fn plain(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, plain: true } => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.found() == "nothing"
    }
}

/// Numbers of the core schema: `1`, `-1.5e3`, `0x1F`, `0o17`, `.inf`, `.nan`.
fn is_number(text: &str) -> bool {
    let digits = |text: &str, radix| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    if let Some(hex) = text.strip_prefix("0x") {
        return digits(hex, 16);
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return digits(octal, 8);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    // What `f64` accepts beyond the schema are words: `inf`, `nan`.
    unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_core_schema() {
        for number in [
            "0", "-1", "+1.5e3", "0x1F", "0o17", ".5", ".inf", "-.inf", ".nan", "1.",
        ] {
            assert!(is_number(number), "{number}");
        }
        for text in [
            "",
            "inf",
            "nan",
            "60s",
            "0x",
            "1_000",
            "127.0.0.1",
            "-",
            "infinity",
        ] {
            assert!(!is_number(text), "{text}");
        }
    }
}
