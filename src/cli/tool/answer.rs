//! What came of a call: text for people, JSON for scripts, and an exit code either way.

use crate::cli::client::Refused;
use crate::cli::{Exit, Failure, Output};
use crate::protocol::{Edit, Json, Object, code};

/// Janus's own words for what went wrong, and the exit code of each. Any other is [`Exit::Failed`].
const CODES: [(&str, Exit); 20] = [
    ("needs_login", Exit::NeedsLogin),
    ("needs_secret", Exit::NeedsLogin),
    ("bad_secret", Exit::NeedsLogin),
    ("rejected", Exit::NeedsLogin),
    ("sealed", Exit::NeedsLogin),
    ("ambiguous_account", Exit::Usage),
    ("unknown_account", Exit::Usage),
    ("unknown_tool", Exit::Usage),
    ("profile_unknown", Exit::Usage),
    ("denied", Exit::Refused),
    ("switching_off", Exit::Refused),
    ("needs_approval", Exit::Refused),
    ("declined", Exit::Refused),
    ("tool_changed", Exit::Refused),
    ("wrong_identity", Exit::Refused),
    ("profile_refused", Exit::Refused),
    ("key_required", Exit::Refused),
    ("unavailable", Exit::Failed),
    ("timed_out", Exit::Failed),
    ("outcome_unknown", Exit::Failed),
];

/// Prints a result, or fails with it.
pub(super) fn show(tool: &str, result: &Object, output: Output) -> Result<Exit, Failure> {
    if output.is_json() {
        output.raw_document("tool-call", &[Edit::Set("result", result.json().clone())])?;
    }
    if let Some(failure) = failed(tool, result) {
        return Err(failure);
    }
    if output.is_json() {
        return Ok(Exit::Done);
    }
    let shown = blocks(result);
    let structured = (!has_text(result))
        .then(|| result.get("structuredContent").map(|json| pretty(&json)))
        .flatten();
    let shown: Vec<String> = shown.into_iter().chain(structured).collect();
    if shown.is_empty() {
        output.note("the tool answered without content");
    } else {
        output.foreign(&shown.join("\n"))?;
    }
    Ok(Exit::Done)
}

/// The failure that a result is: `isError`, or something the command line cannot go on with.
pub(in crate::cli) fn failed(tool: &str, result: &Object) -> Option<Failure> {
    match result.text("resultType").as_deref() {
        None | Some("complete") => {}
        Some("input_required") => return Some(input_required(tool, result)),
        Some(other) => {
            let said = format!(
                "`{tool}` gave an answer of the kind `{other}`, which the command line cannot follow"
            );
            return Some(Failure::new(Exit::Failed, "not_supported", said).sent("the call"));
        }
    }
    let is_error = result
        .get("isError")
        .is_some_and(|is| is.as_str() == "true");
    is_error.then(|| {
        let explained = result
            .object("_meta")
            .and_then(|meta| meta.object("dev.janus/error"));
        let shown = blocks(result);
        let lines = shown.iter().flat_map(|block| block.lines());
        let mut lines = lines.filter(|line| !line.trim().is_empty());
        let first = lines.next().map_or_else(
            || format!("`{tool}` failed and does not say why"),
            str::to_owned,
        );
        let failure = of_code(explained.as_ref(), "tool_error", Exit::Failed, &first);
        lines.fold(failure, Failure::because)
    })
}

/// The failure that a JSON-RPC error is. An unknown tool is one that is not listed either.
pub(in crate::cli) fn refused(refused: &Refused, listed: bool) -> Failure {
    if refused.code == code::INVALID_PARAMS && !listed {
        let (message, near) = match refused.message.split_once("; ") {
            Some((message, near)) => (message, Some(near)),
            None => (refused.message.as_str(), None),
        };
        let failure = Failure::new(Exit::Usage, "unknown_tool", message).sent("nothing");
        return failure.help(near.unwrap_or("see which there are:  janus tool list"));
    }
    let (code, exit) = match refused.code {
        code::INVALID_PARAMS => ("invalid_params", Exit::Usage),
        code::MISSING_CAPABILITY => ("input_required", Exit::Failed),
        _ => ("failed", Exit::Failed),
    };
    let failure = of_code(refused.data.as_ref(), code, exit, &refused.message);
    if refused.code == code::MISSING_CAPABILITY {
        return failure.help("call it from a client that can answer questions");
    }
    failure
}

/// With what Janus says about it, where it does.
fn of_code(explained: Option<&Object>, code: &'static str, exit: Exit, message: &str) -> Failure {
    let said = explained.and_then(|explained| explained.text("code"));
    let known = said.and_then(|said| CODES.into_iter().find(|(code, _)| *code == said));
    let (code, exit) = known.unwrap_or((code, exit));
    let help = explained.and_then(|explained| explained.text("help"));
    // The words for a model name the tool's own argument; where that counts, so does this.
    let may_name = code == "ambiguous_account" && message.contains("janus_account");
    let help = help.or_else(|| may_name.then(|| "name one of them:  -a ACCOUNT".to_owned()));
    let (message, help) = apart(message, help.as_deref());
    let failure = help
        .into_iter()
        .fold(Failure::new(exit, code, message), Failure::help);
    let failure = match explained.and_then(|explained| explained.get("sent")?.read::<bool>()) {
        Some(true) => failure.sent("the call"),
        Some(false) => failure.sent("nothing"),
        None => failure,
    };
    match explained.and_then(|explained| explained.text("account")) {
        Some(account) => failure.place(account),
        None => failure,
    }
}

/// A message without the sentence about the command that helps, which has its own line at a command line.
fn apart<'a>(message: &'a str, help: Option<&'a str>) -> (&'a str, Option<&'a str>) {
    let before = help.and_then(|help| message.strip_suffix(help)?.rsplit_once(". "));
    (before.map_or(message, |(before, _)| before), help)
}

fn input_required(tool: &str, result: &Object) -> Failure {
    let said =
        format!("`{tool}` asks for something in mid-call, which the command line cannot answer");
    let failure = Failure::new(Exit::Failed, "input_required", said).sent("the call");
    let questions = result.object("inputRequests").unwrap_or_else(Object::empty);
    let asked = questions.iter().filter_map(|(_, question)| {
        let question = question.object()?;
        let message = question
            .object("params")
            .and_then(|params| params.text("message"));
        message.or_else(|| question.text("method"))
    });
    asked
        .fold(failure, |failure, question| {
            failure.because(format!("it asks: {question}"))
        })
        .help("call it from a client that can answer questions")
}

fn content(result: &Object) -> Vec<Object> {
    let blocks = result.get("content").and_then(|content| content.elements());
    blocks
        .into_iter()
        .flatten()
        .filter_map(|block| block.object())
        .collect()
}

fn has_text(result: &Object) -> bool {
    content(result)
        .iter()
        .any(|block| block.text("type").as_deref() == Some("text"))
}

/// The content as people read it: text as it is, anything else in one line.
pub(in crate::cli) fn blocks(result: &Object) -> Vec<String> {
    content(result).iter().map(block).collect()
}

fn block(block: &Object) -> String {
    let kind = block.text("type").unwrap_or_default();
    let text = |key: &str| block.text(key).unwrap_or_default();
    match kind.as_str() {
        "text" => text("text"),
        "image" | "audio" => format!("[{kind} {}, {}]", text("mimeType"), size(&text("data"))),
        "resource_link" => text("uri"),
        "resource" => embedded(&block.object("resource").unwrap_or_else(Object::empty)),
        other => format!("[{other}]"),
    }
}

/// An embedded resource: its text, if it has any.
fn embedded(resource: &Object) -> String {
    resource.text("text").unwrap_or_else(|| {
        let uri = resource.text("uri").unwrap_or_default();
        let kind = resource.text("mimeType").map(|kind| format!(", {kind}"));
        let size = size(&resource.text("blob").unwrap_or_default());
        format!("[resource {uri}{}, {size}]", kind.unwrap_or_default())
    })
}

/// How much a base64 text holds.
fn size(base64: &str) -> String {
    let bytes = base64.trim_end_matches('=').len() * 3 / 4;
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// For reading; a number that no program could hold keeps the whole as it came.
fn pretty(json: &Json) -> String {
    let value: Option<serde_json::Value> = json.read();
    value.map_or_else(|| json.as_str().to_owned(), |value| format!("{value:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        Json::parse(text.to_owned().into())
            .unwrap()
            .object()
            .unwrap()
    }

    #[test]
    fn content_is_one_line_unless_it_is_text() {
        let result = object(
            r#"{"content": [
                {"type": "text", "text": "a\nb"}, {"type": "image", "mimeType": "image/png", "data": "AAAA"},
                {"type": "resource_link", "uri": "file:///x", "name": "x"},
                {"type": "resource", "resource": {"uri": "u:1", "text": "inside"}},
                {"type": "resource", "resource": {"uri": "u:2", "mimeType": "a/b", "blob": "AA=="}},
                {"type": "hologram"}]}"#,
        );
        let shown = [
            "a\nb",
            "[image image/png, 3 bytes]",
            "file:///x",
            "inside",
            "[resource u:2, a/b, 1 bytes]",
            "[hologram]",
        ];
        assert_eq!(blocks(&result), shown);
        assert_eq!(size(&"A".repeat(16_000)), "12 kB");
    }

    #[test]
    fn a_failed_result_says_why_and_has_the_exit_code_of_its_cause() {
        for (code, exit) in CODES {
            let result = object(&format!(
                r#"{{"isError": true, "content": [{{"type": "text", "text": "first\n\nsecond"}}],
                    "_meta": {{"dev.janus/error": {{"code": "{code}", "account": "a/default", "sent": false}}}}}}"#
            ));
            let failure = failed("a__b", &result).unwrap();
            assert_eq!((failure.parts().code, failure.exit()), (code, exit));
            assert_eq!(failure.parts().message, "first");
            assert_eq!(failure.parts().because, ["second"]);
            assert_eq!(failure.parts().sent.as_deref(), Some("nothing"));
            assert_eq!(failure.parts().place.as_deref(), Some("a/default"));
        }
        let own = failed("a__b", &object(r#"{"isError": true}"#)).unwrap();
        assert_eq!((own.parts().code, own.exit()), ("tool_error", Exit::Failed));
        assert_eq!(own.parts().message, "`a__b` failed and does not say why");
        assert!(
            failed(
                "a__b",
                &object(r#"{"content": [], "resultType": "complete"}"#)
            )
            .is_none()
        );
    }

    #[test]
    fn whoever_must_name_an_account_learns_how_at_a_command_line() {
        let said = |text: &str| {
            let result = format!(
                r#"{{"isError": true, "content": [{{"type": "text", "text": "{text}"}}],
                    "_meta": {{"dev.janus/error": {{"code": "ambiguous_account", "sent": false}}}}}}"#
            );
            failed("a__b", &object(&result)).unwrap()
        };
        let failure = said(r#"a has several: x, y. Call again with \"janus_account\" set to one"#);
        assert_eq!(failure.parts().help, ["name one of them:  -a ACCOUNT"]);
        // Where nobody may switch, no word of a call helps.
        assert_eq!(said("a has several: x, y").parts().help, [""; 0]);
    }

    #[test]
    fn a_question_in_mid_call_is_a_failure_that_names_it() {
        let result = object(
            r#"{"resultType": "input_required", "inputRequests": {
                "a": {"method": "elicitation/create", "params": {"message": "who are you?"}}, "b": {"method": "roots/list"}}}"#,
        );
        let failure = failed("a__b", &result).unwrap();
        assert_eq!(
            (failure.parts().code, failure.exit()),
            ("input_required", Exit::Failed)
        );
        assert_eq!(
            failure.parts().because,
            ["it asks: who are you?", "it asks: roots/list"]
        );
        let task = failed("a__b", &object(r#"{"resultType": "task"}"#)).unwrap();
        assert_eq!(task.parts().code, "not_supported");
    }

    #[test]
    fn a_refusal_is_a_usage_error_where_the_line_is_wrong() {
        let of = |code, listed| {
            let message = "there is no tool `a__c` here; did you mean `a__b`?".to_owned();
            refused(
                &Refused {
                    code,
                    message,
                    data: None,
                },
                listed,
            )
        };
        let unknown = of(code::INVALID_PARAMS, false);
        assert_eq!(
            (unknown.parts().code, unknown.exit()),
            ("unknown_tool", Exit::Usage)
        );
        assert_eq!(unknown.parts().message, "there is no tool `a__c` here");
        assert_eq!(unknown.parts().help, ["did you mean `a__b`?"]);
        assert_eq!(of(code::INVALID_PARAMS, true).exit(), Exit::Usage);
        assert_eq!(
            of(code::MISSING_CAPABILITY, true).parts().code,
            "input_required"
        );
        assert_eq!(of(code::INTERNAL_ERROR, true).exit(), Exit::Failed);
    }
}
