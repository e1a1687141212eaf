//! Whether an answer is the answer: its id, and every byte of what the tool returned.
//!
//! What stands beside the content may change on the way: a gateway adds its `_meta`, and to a list its own tools.

use std::{borrow::Cow, collections::BTreeMap};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// What must come back.
#[derive(Debug, Clone)]
pub(crate) enum Expected {
    /// These two members of a result, byte for byte.
    Content {
        content: Bytes,
        structured: Option<Bytes>,
    },
    /// These tools: their input schemas by name.
    Tools(BTreeMap<String, Value>),
    /// A result.
    Anything,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Called<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
    #[serde(borrow)]
    structured_content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    tools: Vec<Tool>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tool {
    name: String,
    input_schema: Value,
}

/// Holds the body of a response to what was expected of it.
pub(crate) fn check(
    body: &[u8],
    is_stream: bool,
    id: u64,
    expected: &Expected,
    listed: &str,
) -> anyhow::Result<()> {
    if !is_stream {
        let answer = serde_json::from_slice(body).context("the answer is not JSON")?;
        return check_answer(&answer, id, expected, listed);
    }
    for event in events(body)? {
        let answer: Answer<'_> = serde_json::from_str(&event).context("an event is not JSON")?;
        if answer.id.is_some() {
            return check_answer(&answer, id, expected, listed);
        }
    }
    bail!("the stream ended without an answer")
}

/// Tries the check itself, for one that takes everything would make everything look right.
pub(crate) fn try_check() -> anyhow::Result<()> {
    let content = r#"[{"type":"text","text":"a"}]"#;
    let expected = Expected::Content {
        content: content.into(),
        structured: None,
    };
    let right =
        format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"content":{content},"_meta":{{}}}}}}"#);
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/message"}"#;
    let stream = format!("data: {notification}\n\nevent: message\ndata:{right}\n\n");
    for (body, is_stream) in [(&right, false), (&stream, true)] {
        check(body.as_bytes(), is_stream, 7, &expected, "").context("the right answer")?;
    }
    let wrong = [
        right.replace(":7", ":8"),
        right.replace("\"a\"", "\"b\""),
        right.replace("_meta", "structuredContent"),
        right.replace("result", "error"),
        right.replace("}}", "}"),
    ];
    for body in wrong {
        let stream = format!("data: {body}\n\n");
        for (body, is_stream) in [(&body, false), (&stream, true)] {
            let found = check(body.as_bytes(), is_stream, 7, &expected, "");
            ensure!(found.is_err(), "a wrong answer was taken: {body}");
        }
    }
    let cut_off = format!("data: {notification}\n\n");
    let found = check(cut_off.as_bytes(), true, 7, &expected, "");
    ensure!(found.is_err(), "a stream without an answer was taken");
    Ok(())
}

fn check_answer(
    answer: &Answer<'_>,
    id: u64,
    expected: &Expected,
    listed: &str,
) -> anyhow::Result<()> {
    let found = answer.id.map_or("none", RawValue::get);
    ensure!(
        found == id.to_string(),
        "the id is {found} and should be {id}"
    );
    if let Some(error) = answer.error {
        bail!("the answer is an error: {error}");
    }
    let result = answer.result.context("the answer has no result")?.get();
    match expected {
        Expected::Anything => Ok(()),
        Expected::Content {
            content,
            structured,
        } => {
            let called: Called<'_> = serde_json::from_str(result).context("no tool's result")?;
            ensure!(
                called.content.get().as_bytes() == content,
                "the content was changed"
            );
            let found = called
                .structured_content
                .map(|value| value.get().as_bytes());
            ensure!(
                found == structured.as_deref(),
                "the structured content was changed"
            );
            Ok(())
        }
        Expected::Tools(tools) => check_list(result, tools, listed),
    }
}

fn check_list(result: &str, tools: &BTreeMap<String, Value>, prefix: &str) -> anyhow::Result<()> {
    let list: Listed = serde_json::from_str(result).context("no list")?;
    ensure!(list.next_cursor.is_none(), "the list came in pages");
    let found = list
        .tools
        .iter()
        .filter_map(|tool| Some((tool.name.strip_prefix(prefix)?, tool)));
    let mut count = 0;
    for (name, tool) in found {
        ensure!(
            tools.get(name) == Some(&tool.input_schema),
            "`{name}` is not that tool"
        );
        count += 1;
    }
    ensure!(count == tools.len(), "{count} tools of {}", tools.len());
    Ok(())
}

/// The data of each event of a stream.
fn events(body: &[u8]) -> anyhow::Result<Vec<Cow<'_, str>>> {
    let text = std::str::from_utf8(body).context("the stream is not UTF-8")?;
    let mut events: Vec<Cow<'_, str>> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let Some(data) = line.strip_prefix("data:") else {
            open = open && !line.is_empty();
            continue;
        };
        let data = data.strip_prefix(' ').unwrap_or(data);
        match events.last_mut().filter(|_| open) {
            Some(event) => {
                event.to_mut().push('\n');
                event.to_mut().push_str(data);
            }
            None => events.push(Cow::Borrowed(data)),
        }
        open = true;
    }
    events.retain(|event| !event.is_empty());
    Ok(events)
}
