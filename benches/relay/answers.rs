//! What the upstream answers. The load client makes the same texts itself, so it knows every byte it must get.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// The revision both sides speak: the last of the legacy era.
pub(crate) const VERSION: &str = "2025-11-25";
/// The revision of the modern era.
pub(crate) const MODERN: &str = "2026-07-28";

/// The size of a `big` answer.
const MEGABYTE: usize = 1_000_000;

/// What a megabyte consists of: how far a gateway must look to find its end differs by a factor of a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One string without an escape.
    Base64,
    /// One string with an escape every few bytes.
    Escaped,
    /// Many small values.
    Dense,
}

impl Shape {
    pub(crate) const ALL: [Self; 3] = [Self::Base64, Self::Escaped, Self::Dense];

    pub(crate) fn tool(self) -> &'static str {
        match self {
            Self::Base64 => "big_base64",
            Self::Escaped => "big_escaped",
            Self::Dense => "big_dense",
        }
    }

    /// The member `content` of the result.
    pub(crate) fn content(self) -> String {
        match self {
            Self::Base64 => {
                format!(
                    r#"[{{"type":"image","mimeType":"image/png","data":"{}"}}]"#,
                    base64()
                )
            }
            Self::Escaped => format!(r#"[{{"type":"text","text":{}}}]"#, escaped()),
            Self::Dense => r#"[{"type":"text","text":"see structuredContent"}]"#.to_owned(),
        }
    }

    /// The member `structuredContent`, where there is one.
    pub(crate) fn structured(self) -> Option<String> {
        (self == Self::Dense).then(dense)
    }
}

/// The text of an `echo` call of about `size` bytes, as a JSON string: prose with a line end here and there.
pub(crate) fn echoed(size: usize) -> String {
    let line = "The quick brown fox jumps over the \"lazy\" dog and is never seen again.\n";
    let mut text = line.repeat(size / line.len() + 1);
    text.truncate(size);
    json!(text).to_string()
}

/// The names of the first tools; those after them are there to make the list long.
const NAMED: [&str; 5] = ["echo", "slow", "big_base64", "big_escaped", "big_dense"];

/// The list of tools, each about as long as those of servers in use.
pub(crate) fn tools(count: usize) -> Vec<Value> {
    (0..count)
        .map(|at| {
            let name = NAMED.get(at).map_or_else(|| format!("tool_{at:04}"), ToString::to_string);
            json!({
                "name": name,
                "description": format!(
                    "Tool number {at}. It returns what it was asked for, once, and changes nothing on the server."
                ),
                "inputSchema": {
                    "type": "object",
                    "properties": {
                        "text": { "type": "string", "description": "What to return." },
                        "limit": { "type": "integer", "minimum": 1, "maximum": 100 },
                        "format": { "type": "string", "enum": ["text", "json", "markdown"] },
                    },
                },
            })
        })
        .collect()
}

fn base64() -> String {
    let mut state = 1_u32;
    let bytes: Vec<u8> = (0..MEGABYTE / 4 * 3)
        .map(|_| {
            // Numerical Recipes' generator: the same bytes in every process.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect();
    STANDARD.encode(bytes)
}

fn escaped() -> String {
    let line = "\tlet path = \"C:\\\\dir\";\n";
    json!(line.repeat(MEGABYTE / (line.len() + 7))).to_string()
}

fn dense() -> String {
    let mut text = String::from(r#"{"rows":["#);
    let mut at = 0;
    while text.len() < MEGABYTE {
        let comma = if at == 0 { "" } else { "," };
        write!(
            text,
            r#"{comma}{{"id":{at},"v":[{},{},true],"k":"a{}"}}"#,
            at % 7,
            at % 10,
            at % 100
        )
        .expect("a String takes everything");
        at += 1;
    }
    text.push_str("]}");
    text
}
