//! Odd things said between a request and its response: notifications, and the questions of a legacy server.

use super::case::{Case, Step};
use crate::support::Era;

/// More than any client reads at once, fewer than a queue holds.
const PROGRESS: usize = 200;

pub(super) fn all() -> Vec<Case> {
    vec![
        progress(),
        Case::mid_call("progress-odd", r#"{"x":1.0,"params":{"message":"\u0061\/","total":null,"progress":1e0,"progressToken":$TOKEN,"y":{"":[]},"_meta":{"v":1.0}},"method":"notifications/progress","jsonrpc":"2.0"}"#),
        Case::mid_call("progress-number-token", r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":-0,"progressToken":$TOKEN}}"#).token("1.0"),
        Case::mid_call("progress-escaped-token", r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$TOKEN,"progress":0.10}}"#).token(r#""\u0061\/""#),
        Case::mid_call("progress-big-token", r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$TOKEN,"progress":12345678901234567890123}}"#).token("123456789012345678901234567890"),
        Case::mid_call("progress-empty-token", r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$TOKEN,"progress":1}}"#).token("\"\""),
        Case::mid_call("progress-pretty", "{\n  \"jsonrpc\": \"2.0\",\r\n  \"method\": \"notifications/progress\",\n  \"params\": {\n    \"progressToken\": $TOKEN,\n    \"progress\": 1.50\n  }\n}"),
        Case::mid_call("log-odd", r#"{"jsonrpc":"2.0","params":{"data":{"n":1.0,"x":null,"s":"\ud83d\ude00"},"logger":null,"level":"error","y":1e2},"z":[],"method":"notifications/message"}"#),
        Case::mid_call("log-text", r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"emergency","data":"\u0061\n"}}"#),
        Case::mid_call("notification-unknown", r#"{"x":null,"jsonrpc":"2.0","method":"notifications/vendor\/odd","params":{"a":1.0,"":{},"_meta":{"b":null}},"y":1e2}"#),
        Case::mid_call("notification-without-params", r#"{"jsonrpc":"2.0","x":1.0,"method":"notifications/vendor/bare"}"#),
        Case::mid_call("notification-null-params", r#"{"jsonrpc":"2.0","params":null,"method":"notifications/vendor/null"}"#),
        Case::mid_call("notification-empty-params", r#"{"method":"notifications/vendor/empty","params":{},"jsonrpc":"2.0"}"#),
        mixed(),
        Case::question("elicit-odd", "\"q-1\"",
            r#"{"jsonrpc":"2.0","id":$QUESTION,"method":"elicitation/create","params":{"x":1.0,"requestedSchema":{"type":"object","properties":{"b":{"default":1e2,"x":null},"a":{"type":"string","const":"\u0061"}},"required":[]},"message":"\ud83d\ude00 \/","_meta":{"v":null},"":[]}}"#,
            r#"{"jsonrpc":"2.0","id":$QUESTION,"result":{"content":{"b":1.0,"a":"\u0061\/","n":null,"big":123456789012345678901234567890},"x":{},"action":"accept"}}"#),
        Case::question("elicit-unknown-action", "-7",
            r#"{"jsonrpc":"2.0","id":$QUESTION,"method":"elicitation/create","params":{"message":"","mode":"vendor\/odd","url":"x:"}}"#,
            r#"{"jsonrpc":"2.0","id":$QUESTION,"result":{"action":"vendor/odd","content":null}}"#),
        Case::question("elicit-backwards", "\"\\u0071\"",
            r#"{"params":{"message":"m","requestedSchema":{}},"method":"elicitation/create","id":$QUESTION,"jsonrpc":"2.0"}"#,
            r#"{"result":{"action":"decline","x":1e2},"id":$QUESTION,"jsonrpc":"2.0"}"#),
        Case::question("elicit-unknown-members", "1.0",
            r#"{"x":1.0,"jsonrpc":"2.0","id":$QUESTION,"method":"elicitation\/create","params":{"message":"m"},"y":null}"#,
            r#"{"x":1.0,"jsonrpc":"2.0","id":$QUESTION,"result":{"action":"cancel"},"y":[null]}"#),
        Case::question("elicit-pretty", "123456789012345678901234567890",
            "{\n  \"jsonrpc\": \"2.0\",\n  \"id\": $QUESTION,\n  \"method\": \"elicitation/create\",\n  \"params\": {\n    \"message\": \"m\"\n  }\n}",
            "{\r\n  \"jsonrpc\": \"2.0\",\n  \"id\": $QUESTION,\n  \"result\": {\n    \"action\": \"accept\" }\n}"),
        Case::question("sample-odd", "0",
            r#"{"jsonrpc":"2.0","id":$QUESTION,"method":"sampling/createMessage","params":{"temperature":1.0,"messages":[{"content":{"type":"vendor/x","n":null},"role":"odd"}],"maxTokens":1e3,"metadata":{"":1}}}"#,
            r#"{"jsonrpc":"2.0","id":$QUESTION,"result":{"model":"\u006d","role":"assistant","content":[{"type":"odd","n":-0}],"stopReason":null,"x":1.0}}"#),
        Case::question("sample-refused", "\"\"",
            r#"{"jsonrpc":"2.0","id":$QUESTION,"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}"#,
            r#"{"jsonrpc":"2.0","id":$QUESTION,"error":{"data":{"n":1.0,"x":null},"message":"\u0061","code":-1,"y":[]}}"#),
        Case::question("roots-without-params", "1",
            r#"{"jsonrpc":"2.0","id":$QUESTION,"method":"roots/list"}"#,
            r#"{"jsonrpc":"2.0","id":$QUESTION,"result":{"roots":[{"name":null,"uri":"file:\/\/\/a","x":1.0}],"y":{}}}"#),
        Case::question("roots-null-params", "2",
            r#"{"jsonrpc":"2.0","id":$QUESTION,"method":"roots/list","params":null}"#,
            r#"{"jsonrpc":"2.0","id":$QUESTION,"result":{"roots":[]}}"#),
        Case::question("roots-empty-params", "3",
            r#"{"jsonrpc":"2.0","id":$QUESTION,"method":"roots/list","params":{}}"#,
            r#"{"jsonrpc":"2.0","id":$QUESTION,"result":{}}"#),
        several_questions(),
    ]
}

fn say(text: &str) -> Step {
    Step::Say(text.to_owned())
}

/// Two hundred at once, each with its own number.
fn progress() -> Case {
    let step = |n: usize| {
        say(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":$TOKEN,"progress":{n}.0,"total":{PROGRESS}}}}}"#
        ))
    };
    let result = say(r#"{"jsonrpc":"2.0","id":$ID,"result":{"content":[],"steps":2e2}}"#);
    Case::in_call("progress-200", (1..=PROGRESS).map(step).chain([result]))
}

/// Notifications of several kinds, whose order counts.
fn mixed() -> Case {
    let step = |n: usize| match n % 3 {
        0 => say(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progress":{n},"progressToken":$TOKEN}}}}"#
        )),
        1 => say(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","data":{n}.0}}}}"#
        )),
        _ => say(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/vendor/{n}","params":{{"n":{n}e0}}}}"#
        )),
    };
    let error = say(
        r#"{"jsonrpc":"2.0","id":$ID,"error":{"code":-32050,"message":"late","data":{"n":1.0}}}"#,
    );
    Case::in_call("notifications-mixed", (0..90).map(step).chain([error]))
}

/// Questions with notifications around them.
fn several_questions() -> Case {
    let ask = |id, answer: &str| Step::Ask {
        id,
        question: format!(
            r#"{{"jsonrpc":"2.0","id":$QUESTION,"method":"elicitation/create","params":{{"message":"{id}","n":1.0}}}}"#
        ),
        answer: format!(r#"{{"jsonrpc":"2.0","id":$QUESTION,"result":{answer}}}"#),
    };
    let progress = |n: usize| {
        say(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":$TOKEN,"progress":{n}}}}}"#
        ))
    };
    let steps = [
        progress(1),
        ask("11", r#"{"action":"accept","content":{"a":1.0}}"#),
        progress(2),
        ask("12", r#"{"content":null,"action":"decline"}"#),
        progress(3),
        say(r#"{"id":$ID,"result":{"content":[],"n":1.0},"jsonrpc":"2.0"}"#),
    ];
    Case::in_call("questions-several", steps).between(Era::Legacy)
}
