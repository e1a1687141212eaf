//! Every edit, with every response cut at every place.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::protocol::Envelope;

const RESPONSES: [&str; 6] = [
    r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"text":"a\\\"b}"}],"resultType":"complete","n":1e2}}"#,
    r#" { "result" : { "resultType":"complete" , "id" : 3, "ttlMs":[1,{"resultType":2}], "x":{"id":1} } , "jsonrpc":"2.0", "id" : "seven" } "#,
    r#"{"id":7,"result":{},"jsonrpc":"2.0"}"#,
    r#"{"result":{"ttlMs":5},"extra":{"result":{"ttlMs":1}},"id":7}"#,
    r#"{"id":1,"result":[{"ttlMs":1}]}"#,
    r#"{"id":{"odd":["}",2]},"result":{"a":"\\","ttlMs":"\\","b":1}}"#,
];

fn run(splice: &mut Splice, text: &str, cut: usize) -> serde_json::Value {
    let (head, tail) = text.as_bytes().split_at(cut);
    let out = [
        splice.push(&Bytes::copy_from_slice(head)),
        splice.push(&Bytes::copy_from_slice(tail)),
    ]
    .concat();
    serde_json::from_slice(&out)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out)))
}

#[test]
fn a_streamed_response_gets_the_id_of_its_client() {
    for text in RESPONSES {
        let mut expected: serde_json::Value = serde_json::from_str(text).unwrap();
        expected["id"] = "mine".into();
        for cut in 0..text.len() {
            assert_eq!(
                run(&mut Splice::id(Json::string("mine")), text, cut),
                expected,
                "{text} cut at {cut}"
            );
        }
    }
}

#[test]
fn a_member_that_must_be_an_object_is_left_out_if_it_is_not() {
    for (text, expected) in [
        (
            r#"{"result":{"a":1,"s": [ {"x":"]"},2 ],"b":{"s":3}},"s":4}"#,
            r#"{"result":{"a":1,"b":{"s":3}},"s":4}"#,
        ),
        (r#"{"result":{"s":"}\"","t":7}}"#, r#"{"result":{}}"#),
        (r#"{"result":{"s" : 1.0}}"#, r#"{"result":{}}"#),
        (
            r#"{"result":{"s" : null,"a":"b"}}"#,
            r#"{"result":{"a":"b"}}"#,
        ),
        (
            r#"{"result":{"s" :\n{"x":[1]},"t":1,"a":2}}"#,
            r#"{"result":{"s":{"x":[1]},"a":2}}"#,
        ),
    ] {
        let text = text.replace("\\n", "\n");
        let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
        for cut in 0..text.len() {
            let mut splice = Splice::result(None, &["t"]).object_or_nothing("s");
            assert_eq!(
                run(&mut splice, &text, cut),
                expected,
                "{text} cut at {cut}"
            );
        }
    }
}

#[test]
fn a_streamed_result_loses_and_gains_the_members_of_an_era() {
    for text in RESPONSES {
        let mut expected: serde_json::Value = serde_json::from_str(text).unwrap();
        if let Some(result) = expected["result"].as_object_mut() {
            result.remove("ttlMs");
            result.remove("resultType");
            result.insert("new".into(), 1.into());
        }
        for cut in 0..text.len() {
            let mut splice = Splice::result(
                Some(Bytes::from_static(b"\"new\":1")),
                &["ttlMs", "resultType"],
            );
            assert_eq!(run(&mut splice, text, cut), expected, "{text} cut at {cut}");
        }
    }
}

const IDENTITY: &str = r#"{"account":"a"}"#;

fn identified() -> Splice {
    Splice::id(Json::literal("7")).identity(Some(Json::literal(IDENTITY)))
}

#[test]
fn a_result_says_who_answered_and_nothing_else_changes() {
    for (text, expected) in [
        (
            r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"_meta":{"dev.janus/identity":1}}],"n":1e2}}"#,
            r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"_meta":{"dev.janus/identity":1}}],"n":1e2,"_meta":{"dev.janus/identity":$}}}"#,
        ),
        (
            r#"{"result":{},"id":7,"x":{"_meta":{}}}"#,
            r#"{"result":{"_meta":{"dev.janus/identity":$}},"id":7,"x":{"_meta":{}}}"#,
        ),
        (
            r#"{"id":7,"result":{"_meta":{},"a":"\\"}}"#,
            r#"{"id":7,"result":{"_meta":{"dev.janus/identity":$},"a":"\\"}}"#,
        ),
        (
            r#"{"id":7,"result":{"_meta":{"x":1.0,"dev.janus/identity":{"account":"b"},"y":{"dev.janus/identity":2}},"a":1}}"#,
            r#"{"id":7,"result":{"_meta":{"x":1.0,"y":{"dev.janus/identity":2},"dev.janus/identity":$},"a":1}}"#,
        ),
        // Every spelling of the same keys, and each of those that are there twice.
        (
            r#"{"id":7,"result":{"_met\u0061":{"dev.janus\/identity":1,"\u0064ev.janus/identity":2,"dev.janus/identity ":3},"\u005fmeta":{"a\"":{}}}}"#,
            r#"{"id":7,"result":{"_met\u0061":{"dev.janus/identity ":3,"dev.janus/identity":$},"\u005fmeta":{"a\"":{},"dev.janus/identity":$}}}"#,
        ),
        (
            r#"{"id":7,"result":{"a":1},"r\u0065sult":{"_meta":{"dev.janus/identity":1}}}"#,
            r#"{"id":7,"result":{"a":1,"_meta":{"dev.janus/identity":$}},"r\u0065sult":{"_meta":{"dev.janus/identity":$}}}"#,
        ),
        // What is no object cannot say it.
        (
            r#"{"id":7,"result":{"_meta":null,"a":[",}"],"_meta":[{"x":"}"}]}}"#,
            r#"{"id":7,"result":{"_meta":{"dev.janus/identity":$},"a":[",}"],"_meta":{"dev.janus/identity":$}}}"#,
        ),
        (
            r#"{"id":7,"result":[{"_meta":{}}]}"#,
            r#"{"id":7,"result":[{"_meta":{}}]}"#,
        ),
        (r#"{"id":7,"result":null}"#, r#"{"id":7,"result":null}"#),
        // An error is no result.
        (
            r#"{"id":7,"error":{"code":1,"data":{"result":{}},"_meta":{}}}"#,
            r#"{"id":7,"error":{"code":1,"data":{"result":{}},"_meta":{}}}"#,
        ),
    ] {
        let expected = expected.replace('$', IDENTITY);
        for cut in 0..text.len() {
            assert_eq!(
                cut_at(&mut identified(), text, &[cut]),
                expected,
                "cut at {cut}"
            );
        }
    }
}

#[test]
fn the_edits_of_an_identity_and_of_an_era_are_made_in_one_walk() {
    let text = r#"{"id":"s","result":{"ttlMs":5,"_meta":{"a":1},"x":2},"z":3}"#;
    for cut in 0..text.len() {
        let mut splice = Splice::result(Some(Bytes::from_static(b"\"new\":1")), &["ttlMs"])
            .identity(Some(Json::literal(IDENTITY)));
        assert_eq!(
            cut_at(&mut splice, text, &[cut]),
            r#"{"id":"s","result":{"new":1,"_meta":{"a":1,"dev.janus/identity":{"account":"a"}},"x":2},"z":3}"#
        );
    }
}

#[test]
fn a_chunk_within_a_value_is_handed_on_as_it_is() {
    let mut splice = identified();
    splice.push(&Bytes::from_static(
        br#"{"id":7,"result":{"content":[{"text":"a"#,
    ));
    let chunk = Bytes::from_static(br#"\"b"},{"text":"c"},[{}],"d\\"#);
    assert_eq!(splice.push(&chunk).as_ptr(), chunk.as_ptr());
    let end = splice.push(&Bytes::from_static(br#"\""]}}"#));
    assert!(end.ends_with(br#"\""],"_meta":{"dev.janus/identity":{"account":"a"}}}}"#));
}

/// The text of what comes out, cut at these places.
fn cut_at(splice: &mut Splice, text: &str, cuts: &[usize]) -> String {
    let (mut out, mut from) = (Vec::new(), 0);
    for cut in cuts.iter().copied().chain([text.len()]) {
        let cut = cut.clamp(from, text.len());
        out.extend_from_slice(&splice.push(&Bytes::copy_from_slice(&text.as_bytes()[from..cut])));
        from = cut;
    }
    String::from_utf8(out).unwrap()
}

/// Members as they are written.
type Written = Vec<(String, String)>;

fn object(members: &[(String, String)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(k, v)| format!("\"{k}\":{v}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// A name with some of its letters escaped.
fn spelt(name: &'static str) -> impl Strategy<Value = String> {
    proptest::collection::vec(0..4_u8, name.len()).prop_map(move |how| {
        let letters = name.chars().zip(how);
        letters
            .map(|(letter, how)| match how {
                0 => format!("\\u{:04x}", u32::from(letter)),
                1 if letter == '/' => "\\/".to_owned(),
                _ => letter.to_string(),
            })
            .collect()
    })
}

/// Values that look like what is looked for, and are not.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(r#"{"_meta":{"dev.janus/identity":1},"result":{}}"#.to_owned()),
        Just(r#"[{"_meta":{"dev.janus/identity":[]}},"}",{}]"#.to_owned()),
        Just(r#""\\\"\\\\_meta\\\":{""#.to_owned()),
        Just("1.0e2".to_owned()),
        Just("null".to_owned()),
        Just("{}".to_owned()),
        r"[a-z{}\[\],: é]{0,9}".prop_map(|text| format!("\"{text}\"")),
    ]
}

fn other() -> impl Strategy<Value = (String, String)> {
    let key = prop_oneof!["[a-z{}:,]{0,5}", Just("dev.janus\\/error".to_owned())];
    (key, value())
}

/// One `_meta`: what a server writes, and what its client gets.
fn about() -> impl Strategy<Value = (String, String)> {
    let spoofed = (spelt(meta::IDENTITY), value()).prop_map(|member| (member, false));
    let kept = other().prop_map(|member| (member, true));
    let members = proptest::collection::vec(prop_oneof![spoofed, kept], 0..5);
    prop_oneof![
        4 => members.prop_map(|members| {
            let all: Written = members.iter().map(|(member, _)| member.clone()).collect();
            let kept = members.into_iter().filter(|(_, kept)| *kept);
            let mut kept: Written = kept.map(|(member, _)| member).collect();
            kept.push((meta::IDENTITY.to_owned(), IDENTITY.to_owned()));
            (object(&all), object(&kept))
        }),
        1 => value().prop_filter("no object", |text| !text.starts_with('{')).prop_map(|text| {
            (text, object(&[(meta::IDENTITY.to_owned(), IDENTITY.to_owned())]))
        }),
    ]
}

/// A result: what a server writes, and what its client gets.
fn result() -> impl Strategy<Value = (String, String)> {
    let about = (spelt("_meta"), about()).prop_map(|(key, (sent, got))| (key, sent, got, true));
    let other = other().prop_map(|(key, value)| (key, value.clone(), value, false));
    let members = proptest::collection::vec(prop_oneof![1 => about, 3 => other], 0..6);
    prop_oneof![
        6 => members.prop_map(|members| {
            let mut sent = Written::new();
            let mut got = Written::new();
            for (key, of_server, of_client, _) in &members {
                sent.push((key.clone(), of_server.clone()));
                got.push((key.clone(), of_client.clone()));
            }
            if !members.iter().any(|(.., about)| *about) {
                let own = object(&[(meta::IDENTITY.to_owned(), IDENTITY.to_owned())]);
                got.push(("_meta".to_owned(), own));
            }
            (object(&sent), object(&got))
        }),
        1 => value().prop_filter("no object", |text| !text.starts_with('{'))
            .prop_map(|text| (text.clone(), text)),
    ]
}

/// A response with some members before and after its result.
fn response() -> impl Strategy<Value = (String, String)> {
    let around = proptest::collection::vec(other(), 0..3);
    let members = (
        spelt("result"),
        result(),
        around,
        any::<prop::sample::Index>(),
    );
    (members, any::<bool>()).prop_map(|((key, (sent, got), around, at), id_last)| {
        let whole = |result: &str| {
            let mut members: Written = around.clone();
            let names = ["id", "jsonrpc", "result", "error", "method"];
            members.retain(|(key, _)| !names.contains(&key.as_str()));
            members.insert(
                at.index(members.len() + 1),
                (key.clone(), result.to_owned()),
            );
            members.push(("jsonrpc".to_owned(), "\"2.0\"".to_owned()));
            let id = ("id".to_owned(), "7".to_owned());
            members.insert(if id_last { members.len() } else { 0 }, id);
            object(&members)
        };
        (whole(&sent), whole(&got))
    })
}

proptest! {
    #[test]
    fn no_server_says_who_it_is_whatever_it_writes_and_wherever_it_is_cut(
        (sent, got) in response(),
        cuts in proptest::collection::vec(0..200_usize, 0..6),
    ) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        prop_assert_eq!(cut_at(&mut identified(), &sent, &cuts), got.as_str());
        // Whole answers are not spliced as long as nothing is in the way, and come out the same.
        let whole = Envelope::parse(sent.into()).unwrap();
        let answered = whole.answered(&Json::literal("7"), Some(&Json::literal(IDENTITY)));
        prop_assert_eq!(answered.as_str(), got);
    }
}

#[test]
fn a_whole_answer_gets_its_id_and_its_identity_in_one_go() {
    let identity = Json::literal(IDENTITY);
    for (text, expected) in [
        (
            r#"{"jsonrpc":"2.0","id":"a","result":{ "x":1.0 }}"#,
            r#"{"jsonrpc":"2.0","id":7,"result":{ "x":1.0 ,"_meta":{"dev.janus/identity":$}}}"#,
        ),
        (
            r#"{"result":{},"i\u0064":"long id","jsonrpc":"2.0"}"#,
            r#"{"result":{"_meta":{"dev.janus/identity":$}},"i\u0064":7,"jsonrpc":"2.0"}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":"a","result":[]}"#,
            r#"{"jsonrpc":"2.0","id":7,"result":[]}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":"a","error":{"code":1}}"#,
            r#"{"jsonrpc":"2.0","id":7,"error":{"code":1}}"#,
        ),
    ] {
        let message = Envelope::parse(Bytes::from_static(text.as_bytes())).unwrap();
        let answered = message.answered(&Json::literal("7"), Some(&identity));
        assert_eq!(answered.as_str(), expected.replace('$', IDENTITY));
    }
}
