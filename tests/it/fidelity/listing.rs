//! What the scripted server says of itself and of what it has: a tool, a prompt and a resource for each case.

use super::case::Case;
use super::text::{Members, compact, decoded};
use crate::support::Era;

/// Odd capabilities, which a view of this server alone shows as they are.
pub(super) const CAPABILITIES: &str = r#"{"experimental":{"odd":{"n":1e2,"big":123456789012345678901234567890,"none":null,"\u0061":1.0}},"tools":{},"prompts":{},"resources":{},"completions":{},"logging":{}}"#;

/// An odd name.
pub(super) const INFO: &str = r#"{"name":"odd","version":"1","x":1.0,"n":1e2}"#;

/// The answer to a request that no case is about.
pub(super) fn own_answer<'a>(
    era: Era,
    request: &Members,
    id: &str,
    cases: impl Iterator<Item = &'a Case>,
) -> String {
    let method = request.get("method").and_then(decoded).unwrap_or_default();
    let era_members = match era {
        Era::Legacy => "",
        Era::Modern => r#""resultType":"complete","ttlMs":60000,"cacheScope":"private","#,
    };
    let result = match method.as_str() {
        "initialize" => format!(
            r#"{{"protocolVersion":"2025-11-25","capabilities":{CAPABILITIES},"serverInfo":{INFO}}}"#
        ),
        "server/discover" => format!(
            r#"{{{era_members}"supportedVersions":["2026-07-28"],"capabilities":{CAPABILITIES},"_meta":{{"io.modelcontextprotocol/serverInfo":{INFO}}}}}"#
        ),
        "tools/list" => {
            let tools: Vec<String> = cases.map(|case| tool(&case.name)).collect();
            format!("{{{era_members}\"tools\":[{}]}}", tools.join(","))
        }
        "prompts/list" => {
            let prompts: Vec<String> = cases
                .map(|case| format!(r#"{{"x":1.0,"name":"{}","n":null}}"#, case.name))
                .collect();
            format!("{{{era_members}\"prompts\":[{}]}}", prompts.join(","))
        }
        "resources/list" => {
            let resources: Vec<String> = cases
                .map(|case| format!(r#"{{"uri":"odd://{0}","name":"{0}","n":[1e0]}}"#, case.name))
                .collect();
            format!("{{{era_members}\"resources\":[{}]}}", resources.join(","))
        }
        "resources/templates/list" => format!("{{{era_members}\"resourceTemplates\":[]}}"),
        "logging/setLevel" | "ping" => "{}".to_owned(),
        _ => {
            return format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"no such method"}}}}"#
            );
        }
    };
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

/// A tool with odd members.
pub(super) fn tool(name: &str) -> String {
    compact(&format!(
        r#"{{ "vendor": {{"n": 1.0, "n\u0061me": "not the name"}}, "inputSchema": {{"required":[], "type":"object",
        "properties": {{"z":{{"default":1e2,"maximum":123456789012345678901234567890}},"a":{{"enum":[null,-0,"\u00e9"]}}}}, "$x":null}},
        "name": "{name}", "annotations": {{"odd":null,"readOnlyHint":true}}, "_meta": {{}}, "description": "\ud83d\ude00 \/" }}"#
    ))
}
