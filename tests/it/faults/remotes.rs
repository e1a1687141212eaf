//! Servers over HTTP that misbehave: what their callers read, how often they are asked, and that the next call is
//! served.

use serde_json::json;

use super::remote::{Gets, Remote, Reserved, plain};
use super::{failed_call, good, others_are_served};
use crate::support::{Client, Era, Janus};

const VIEW: &str = "/mcp/@remote";

fn janus(url: &str) -> Janus {
    Janus::start(&format!("{}remote: {{ url: {url}, auth: none }}\n", good()))
}

const UNKNOWN: &str = "It may or may not have happened. Check before you repeat it.";
const USELESS: &str = "The call reached the server. Check before you repeat it.";

/// A tool, what its calls get, how the text begins and ends, the code, whether it was sent.
type Row = (
    &'static str,
    Gets,
    &'static str,
    &'static str,
    &'static str,
    bool,
);

#[expect(clippy::too_many_lines, reason = "one table, one row for each case")]
fn rows() -> Vec<Row> {
    let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let json = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let half = "{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{\"con";
    let html = plain("200 OK", "content-type: text/html\r\n", "<h1>Sign in</h1>");
    let away = plain(
        "307 Temporary Redirect",
        "location: http://127.0.0.2:9/mcp?token=1\r\n",
        "",
    );
    let cannot = "remote/default cannot be reached: ";
    let unusable = "remote/default sent an answer that cannot be used: ";
    let broke = "remote/default closed the connection before it answered: ";
    let refused = "remote/default refused the credential (HTTP ";
    let check =
        "Nothing ran. A person checks its credential with: janus account verify remote/default";
    vec![
        (
            "e500",
            Gets::Bytes(plain("500 Internal Server Error", "", "oops")),
            "remote/default sent an answer that cannot be used: HTTP 500",
            USELESS,
            "unavailable",
            true,
        ),
        (
            "e503",
            Gets::Bytes(plain("503 Service Unavailable", "retry-after: 7\r\n", "")),
            "remote/default cannot be reached: it answered HTTP 503",
            "Nothing was sent. Janus tries again in 7 s. A person sees more with: janus logs --server remote",
            "unavailable",
            false,
        ),
        (
            "e429",
            Gets::Bytes(plain("429 Too Many Requests", "", "slow down")),
            "remote/default cannot be reached: it answered HTTP 429",
            "Nothing was sent. A person sees more with: janus logs --server remote",
            "unavailable",
            false,
        ),
        (
            "e502",
            Gets::Bytes(plain("502 Bad Gateway", "", "")),
            broke,
            UNKNOWN,
            "outcome_unknown",
            true,
        ),
        (
            "e504",
            Gets::Bytes(plain("504 Gateway Timeout", "retry-after: 7\r\n", "")),
            broke,
            UNKNOWN,
            "outcome_unknown",
            true,
        ),
        (
            "e401",
            Gets::Bytes(plain(
                "401 Unauthorized",
                "www-authenticate: Bearer\r\n",
                "",
            )),
            refused,
            check,
            "rejected",
            false,
        ),
        (
            "e403",
            Gets::Bytes(plain("403 Forbidden", "", "no")),
            refused,
            check,
            "rejected",
            false,
        ),
        (
            "e202",
            Gets::Bytes(plain("202 Accepted", "", "")),
            unusable,
            USELESS,
            "unavailable",
            true,
        ),
        (
            "html",
            Gets::Bytes(html),
            "remote/default sent an answer that cannot be used: its content type is `text/html`",
            USELESS,
            "unavailable",
            true,
        ),
        (
            "nonsense",
            Gets::Bytes(plain("200 OK", "content-type: application/json\r\n", "{}")),
            unusable,
            USELESS,
            "unavailable",
            true,
        ),
        (
            "broken_chunk",
            Gets::Bytes(format!(
                "{json}transfer-encoding: chunked\r\n\r\n9\r\n{{\"jsonrp\r\nzz\r\n"
            )),
            broke,
            UNKNOWN,
            "outcome_unknown",
            true,
        ),
        (
            "half",
            Gets::Bytes(format!("{json}content-length: 99\r\n\r\n{half}")),
            broke,
            UNKNOWN,
            "outcome_unknown",
            true,
        ),
        (
            "half_event",
            Gets::Bytes(format!("{stream}data: {half}")),
            broke,
            UNKNOWN,
            "outcome_unknown",
            true,
        ),
        (
            "no_answer",
            Gets::Bytes(String::new()),
            broke,
            UNKNOWN,
            "outcome_unknown",
            true,
        ),
        (
            "reset",
            Gets::Reset(String::new()),
            broke,
            UNKNOWN,
            "outcome_unknown",
            true,
        ),
        (
            "reset_later",
            Gets::Reset(format!("{json}content-length: 99\r\n\r\n{half}")),
            broke,
            UNKNOWN,
            "outcome_unknown",
            true,
        ),
        (
            "redirect",
            Gets::Bytes(away),
            "remote/default cannot be reached: it redirects (HTTP 307 Temporary Redirect) to another origin, http://127.0.0.2:9; if that is where it lives now, change its `url`. Nothing was sent.",
            "",
            "unavailable",
            false,
        ),
        (
            "nowhere",
            Gets::Bytes(plain("302 Found", "", "")),
            cannot,
            "Nothing was sent. A person sees more with: janus logs --server remote",
            "unavailable",
            false,
        ),
    ]
}

#[tokio::test]
async fn every_bad_answer_is_told_apart_and_no_call_is_sent_twice() {
    let rows = rows();
    let tools: Vec<(&str, Gets)> = rows.iter().map(|row| (row.0, row.1.clone())).collect();
    let remote = Remote::start(&tools);
    let janus = janus(remote.url());
    for (round, era) in Era::CLIENTS.into_iter().enumerate() {
        let mut client = Client::open(janus.http(), VIEW, era).await;
        for (tool, _, begins, ends, code, sent) in &rows {
            let (text, error) = failed_call(&mut client, tool).await;
            assert!(
                text.starts_with(begins) && text.ends_with(ends),
                "{tool}: {text}"
            );
            assert!(!text.contains("token"), "{tool}: {text}");
            let expected = (&json!(code), &json!("remote/default"), &json!(sent));
            assert_eq!(
                (&error["code"], &error["account"], &error["sent"]),
                expected,
                "{tool}: {text}"
            );
            assert_eq!(
                error["retry_after"],
                if *tool == "e503" {
                    json!(7)
                } else {
                    json!(null)
                },
                "{tool}"
            );
            assert_eq!(remote.calls(tool), round + 1, "{tool}");
            assert_eq!(
                client.text("echo", json!({})).await,
                "echo in s-1",
                "after {tool}"
            );
        }
    }
    others_are_served(&janus).await;
}

#[tokio::test]
async fn a_lost_session_is_opened_anew_and_the_call_sent_once_more() {
    let remote = Remote::start(&[("forgotten", Gets::NewSession)]);
    let janus = janus(remote.url());
    let mut client = Client::open(janus.http(), VIEW, Era::Legacy).await;
    assert_eq!(client.text("echo", json!({})).await, "echo in s-1");
    assert_eq!(
        client.text("forgotten", json!({})).await,
        "forgotten in s-2"
    );
    assert_eq!((remote.calls("forgotten"), remote.sessions()), (2, 2));
    assert_eq!(client.text("echo", json!({})).await, "echo in s-2");
    others_are_served(&janus).await;
}

#[tokio::test]
async fn a_server_that_is_down_at_the_start_is_told_of_when_it_comes_up() {
    let port = Reserved::new();
    let janus = janus(&port.url());
    let mut client = Client::open(janus.http(), VIEW, Era::Legacy).await;
    let mut all = Client::open(janus.http(), "/mcp", Era::Modern).await;
    let (mut stream, mut listening) = (client.listen(&[]).await, all.listen(&[]).await);
    let (text, error) = failed_call(&mut client, "echo").await;
    assert!(
        text.starts_with("remote/default cannot be reached: "),
        "{text}"
    );
    assert!(text.contains("Nothing was sent."), "{text}");
    assert_eq!(
        (&error["code"], &error["sent"]),
        (&json!("unavailable"), &json!(false))
    );
    assert_eq!(all.names("tools/list", "name").await.len(), 17);
    others_are_served(&janus).await;

    let remote = port.serve(&[]);
    stream.wait_for("notifications/tools/list_changed").await;
    listening.wait_for("notifications/tools/list_changed").await;
    assert_eq!(client.text("echo", json!({})).await, "echo in s-1");
    assert_eq!(all.names("tools/list", "name").await.len(), 18);
    assert_eq!(remote.calls("echo"), 1);
    others_are_served(&janus).await;
}
