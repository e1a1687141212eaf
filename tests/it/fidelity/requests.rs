//! Odd requests of a client.

use super::case::Case;
use crate::support::Era;

/// As long as whole files in arguments are.
pub(super) const LONG: usize = 1024 * 1024;

/// Deeper than recursive parsers go.
pub(super) fn deep(levels: usize) -> String {
    format!("{}1.0{}", "[{\"\":".repeat(levels), "}]".repeat(levels))
}

/// A string that is nothing but escapes and quotes at the ends of chunks.
pub(super) fn long() -> String {
    format!("\"{}\"", r#"a\\\"\u00e9]}, é"#.repeat(LONG / 16))
}

pub(super) fn all() -> Vec<Case> {
    let mut cases = vec![
        Case::arguments("argument-spellings", r#"{"a":1,"b":1.0,"c":1e2,"d":1E+2,"e":-0,"f":-0.0,"g":0.10,"h":1e-7}"#),
        Case::arguments("argument-big-numbers", r#"{"n":123456789012345678901234567890,"m":-0.1234567890123456789012345678901,"x":1e400,"y":9007199254740993}"#),
        Case::arguments("argument-nulls", r#"{"a":null,"b":[null],"c":{"d":null}}"#),
        Case::arguments("argument-empties", r#"{"a":{},"b":[],"c":"","d":[[],{}]}"#),
        Case::arguments("argument-escapes", r#"{"a":"\u0061\/\b\f\n\r\t\"\\","b":"/a","c":"\u000a","d":"\u2028\u2029"}"#),
        Case::arguments("argument-surrogates", r#"{"pair":"\ud83d\ude00","raw":"😀","upper":"\uD83D\uDE00","lone":"x"}"#),
        Case::arguments("argument-utf8", "{\"ключ\":\"значение\",\"k\":\"\u{2028}\u{feff}\u{10ffff}\u{7f}\"}"),
        Case::arguments("argument-empty-keys", r#"{"":1,"a":{"":{"":null}}," ":2}"#),
        Case::arguments("argument-escaped-keys", r#"{"\u0061":1,"\"":2,"\\":3,"\n":4,"\ud83d\ude00":5,"n\u0061me":"x"}"#),
        Case::arguments("argument-key-order", r#"{"z":1,"y":2,"10":3,"9":4,"a":5,"Z":6}"#),
        Case::arguments("argument-repeated-keys", r#"{"a":1,"a":1.0,"\u0061":null,"b":{"c":1,"c":2}}"#),
        Case::arguments("argument-protocol-words", r#"{"jsonrpc":"1.0","id":3,"method":"x","params":{},"_meta":{"progressToken":1},"progressToken":"q","result":{},"error":null}"#),
        Case::arguments("argument-structure-in-strings", r#"{"a":"}]{[,:","b":"\"}\\","c":"data: x\\n\\n"}"#),
        Case::arguments("argument-blanks", "{ \"a\" :\t[ 1 , 2 ]\r\n,\n\"b\"\n:\n{ } , \"c\":\" two  blanks \" }"),
        Case::arguments("argument-deep", &format!("{{\"a\":{}}}", deep(5000))),
        Case::arguments("argument-long", &format!("{{\"a\":{},\"b\":1.0}}", long())),
        Case::arguments("argument-null-itself", "null"),
        Case::arguments("argument-many", &format!("{{{}}}", (0..2000).map(|n| format!("\"k{n}\":{n}.0")).collect::<Vec<_>>().join(","))),
        Case::request("request-without-arguments", r#"{"jsonrpc":"2.0","id":$ID,"method":"tools/call","params":{"name":$NAME,"_meta":{$META}}}"#),
        Case::request("request-backwards", r#"{"params":{"_meta":{$META},"arguments":{"b":1,"a":2},"name":$NAME},"method":"tools/call","id":$ID,"jsonrpc":"2.0"}"#),
        Case::request("request-unknown-members", r#"{"x":1.0,"jsonrpc":"2.0","trace":{"a":[1e2,null]},"id":$ID,"method":"tools/call","params":{"name":$NAME,"arguments":{},"_meta":{$META}},"":null}"#),
        Case::request("request-unknown-params", r#"{"jsonrpc":"2.0","id":$ID,"method":"tools/call","params":{"task":{"ttl":1.0},"janus":null,"name":$NAME,"title":"\u0061","arguments":{},"_meta":{$META},"":[]}}"#),
        Case::request("request-vendor-meta", r#"{"jsonrpc":"2.0","id":$ID,"method":"tools/call","params":{"name":$NAME,"_meta":{"claudecode/toolUseId":"t\u006f","x-codex-turn":1e0,$META,"io.modelcontextprotocol/related-task":{"taskId":"1"},"io.modelcontextprotocol/unknown":null,"traceparent":"00-0-0-00","":{}},"arguments":{}}}"#),
        Case::request("request-token-in-the-middle", r#"{"jsonrpc":"2.0","id":$ID,"method":"tools/call","params":{"_meta":{"a":1.0,"progressToken":$TOKEN,$META,"z":null},"name":$NAME,"arguments":{}}}"#),
        Case::request("request-pretty", "\n{\n  \"jsonrpc\": \"2.0\",\n  \"id\": $ID,\n\t\"method\": \"tools/call\",\r\n  \"params\": {\n    \"name\": $NAME,\n    \"arguments\": {\n      \"a\": [\n        1.0\n      ]\n    },\n    \"_meta\": { $META }\n  }\n}\n"),
        Case::request("request-escaped-keys", r#"{"jsonrpc":"2.0","id":$ID,"m\u0065thod":"tools/call","par\u0061ms":{"n\u0061me":$NAME,"arg\u0075ments":{"a":1.0},"_m\u0065ta":{$META}}}"#).id("\"e\""),
        Case::request("request-escaped-values", r#"{"jsonrpc":"\u0032.0","id":$ID,"method":"tools\/c\u0061ll","params":{"name":$NAME,"arguments":{},"_meta":{$META}}}"#),
        Case::request("request-escaped-name", r#"{"jsonrpc":"2.0","id":$ID,"method":"tools/call","params":{"name":"$PREFIXrequest-esc\u0061ped-n\u0061me","arguments":{},"_meta":{$META}}}"#),
        Case::request("request-null-meta", r#"{"jsonrpc":"2.0","id":$ID,"method":"tools/call","params":{"name":$NAME,"_meta":null,"arguments":{}}}"#).from(Era::Legacy),
        Case::request("request-empty-meta", r#"{"jsonrpc":"2.0","id":$ID,"method":"tools/call","params":{"name":$NAME,"_meta":{},"arguments":{}}}"#).from(Era::Legacy),
        Case::request("request-no-meta", r#"{"jsonrpc":"2.0","id":$ID,"method":"tools/call","params":{"arguments":{"a":1.0},"name":$NAME}}"#).from(Era::Legacy),
        Case::request("prompt-odd", r#"{"jsonrpc":"2.0","id":$ID,"method":"prompts/get","params":{"arguments":{"a":"\u0061","n":1.0},"x":null,"name":$NAME,"_meta":{$META}}}"#)
            .answered(r#"{"result":{"messages":[{"role":"odd","content":{"type":"vendor/x","n":1e2}}],"description":null,"x":-0},"x":1.0,"id":$ID,"jsonrpc":"2.0"}"#),
        Case::request("completion-odd", r#"{"jsonrpc":"2.0","id":$ID,"method":"completion/complete","params":{"context":{"arguments":{"q":"\/"}},"ref":{"x":1.0,"name":$NAME,"type":"ref/prompt","y":null},"argument":{"value":"","name":"a","n":1e1},"_meta":{$META}}}"#)
            .answered(r#"{"jsonrpc":"2.0","id":$ID,"result":{"completion":{"total":1.0,"values":["\u0061",""],"hasMore":null,"x":{}}}}"#),
        Case::request("resource-odd", r#"{"jsonrpc":"2.0","id":$ID,"method":"resources/read","params":{"x":[1.0],"uri":"odd:\/\/resource-odd","_meta":{$META,"v":null}}}"#)
            .answered(r#"{"jsonrpc":"2.0","id":$ID,"result":{"contents":[{"blob":"","x":null,"uri":"odd:\/\/resource-odd","text":"\u0000","size":1e3}],"y":1.0}}"#),
        Case::request("vendor/method", r#"{"jsonrpc":"2.0","id":$ID,"method":"vendor/method","params":{"x":1.0,"_meta":{$META},"":null}}"#)
            .answered(r#"{"jsonrpc":"2.0","id":$ID,"result":{"x":1.0,"":null}}"#)
            .transparent(),
        Case::request("vendor/no-params", r#"{"jsonrpc":"2.0","id":$ID,"method":"vendor/no-params","x":1.0}"#).from(Era::Legacy).transparent(),
        Case::request("vendor/null-params", r#"{"jsonrpc":"2.0","params":null,"id":$ID,"method":"vendor/null-params"}"#).from(Era::Legacy).transparent(),
        Case::request("vendor/empty-params", r#"{"jsonrpc":"2.0","params":{},"id":$ID,"method":"vendor/empty-params"}"#).from(Era::Legacy).transparent(),
    ];
    let ids = [
        ("id-empty", "\"\""),
        ("id-escaped", r#""\u0061\/\ud83d\ude00""#),
        ("id-fraction", "1.0"),
        ("id-exponent", "1e2"),
        ("id-minus-zero", "-0"),
        ("id-digits", "\"7\""),
        ("id-big", "123456789012345678901234567890"),
    ];
    cases.extend(ids.map(|(name, id)| Case::arguments(name, "{}").id(id)));
    cases
}
