//! The daemon's side, as the shim sees it: one request, then lines.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::{initialize, server};
use crate::support::{Http, Janus, within};

/// A connection that has been upgraded, and what the answer's head said.
struct Lines {
    stream: BufReader<UnixStream>,
    head: String,
}

impl Lines {
    async fn open(janus: &Janus, headers: &str) -> Self {
        let mut stream = UnixStream::connect(janus.socket()).await.unwrap();
        let request = format!(
            "GET /mcp/@good HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: janus-stdio\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut lines = Self {
            stream: BufReader::new(stream),
            head: String::new(),
        };
        while !lines.head.ends_with("\r\n\r\n") {
            let line = lines.line().await;
            assert_ne!(line, "", "{}", lines.head);
            lines.head.push_str(&line);
        }
        lines
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        within("a line", self.stream.read_line(&mut line))
            .await
            .unwrap();
        line
    }

    async fn say(&mut self, message: &Value) {
        let line = format!("{message}\n");
        self.stream.write_all(line.as_bytes()).await.unwrap();
    }

    async fn response(&mut self) -> Value {
        loop {
            let message: Value = serde_json::from_str(&self.line().await).unwrap();
            if message.get("method").is_none() {
                return message;
            }
        }
    }

    fn session(&self) -> String {
        let mut lines = self.head.lines();
        let id = lines.find_map(|line| line.strip_prefix("mcp-session-id: "));
        id.unwrap_or_else(|| panic!("{}", self.head)).to_owned()
    }
}

fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// How a ping in this session is answered.
async fn ping(http: &Http, session: &str) -> u16 {
    let body = request(9, "ping", &json!({}));
    let reply = http
        .post("/mcp/@good", &[("mcp-session-id", session)], &body)
        .await;
    reply.status.as_u16()
}

#[tokio::test]
async fn the_session_can_be_come_back_to_and_ends_with_the_client() {
    let janus = Janus::start(&server("good", &[]));
    let mut first = Lines::open(&janus, "").await;
    assert!(first.head.starts_with("HTTP/1.1 101"), "{}", first.head);
    let id = first.session();
    assert_eq!(ping(&janus.unix(), &id).await, 404);
    first.say(&request(1, "initialize", &initialize())).await;
    assert_eq!(first.response().await["id"], 1);
    assert_eq!(ping(&janus.unix(), &id).await, 200);

    let mut second = Lines::open(&janus, &format!("Mcp-Session-Id: {id}\r\n")).await;
    assert_eq!(second.session(), id);
    second.say(&request(2, "ping", &json!({}))).await;
    assert_eq!(second.response().await["result"], json!({}));

    // The connection before ends late; the client is on the next one already.
    first.stream.get_mut().shutdown().await.unwrap();
    while !first.line().await.is_empty() {}
    assert_eq!(ping(&janus.unix(), &id).await, 200);

    second.stream.get_mut().shutdown().await.unwrap();
    while !second.line().await.is_empty() {}
    assert_eq!(ping(&janus.unix(), &id).await, 404);
    let gone = Lines::open(&janus, &format!("Mcp-Session-Id: {id}\r\n")).await;
    assert!(gone.head.starts_with("HTTP/1.1 404"), "{}", gone.head);
}

#[tokio::test]
async fn a_connection_without_initialize_belongs_to_no_session() {
    let janus = Janus::start(&server("good", &[]));
    let mut lines = Lines::open(&janus, "").await;
    lines.say(&request(1, "tools/list", &json!({}))).await;
    assert_eq!(lines.response().await["error"]["code"], -32602);
}

#[tokio::test]
async fn when_janus_stops_the_last_line_is_empty() {
    let janus = Janus::start(&server("good", &[]));
    let mut lines = Lines::open(&janus, "").await;
    lines.say(&request(1, "initialize", &initialize())).await;
    lines.response().await;
    let (ended, _home) = janus.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("cut off"), "{}", ended.stderr);
    let mut last = Vec::new();
    loop {
        let line = lines.line().await;
        if line.is_empty() {
            break;
        }
        last.push(line);
    }
    assert_eq!(last.last().map(String::as_str), Some("\n"), "{last:?}");
}

#[tokio::test]
async fn over_tcp_there_are_no_lines_and_another_protocol_is_ignored() {
    let janus = Janus::start(&server("good", &[]));
    let asked = |protocol: &str| {
        let builder = http::Request::get("/mcp").header("connection", "upgrade");
        builder
            .header("upgrade", protocol)
            .body(String::new())
            .unwrap()
    };
    let reply = janus.http().send(asked("janus-stdio")).await;
    assert_eq!(reply.status, 400);
    let error = reply.json().await;
    assert_eq!(
        error["error"]["message"],
        "`janus-stdio` is spoken on the unix socket only"
    );
    for door in [janus.http(), janus.unix()] {
        assert_eq!(door.send(asked("websocket")).await.status, 405);
    }
}

#[tokio::test]
async fn a_connection_of_lines_may_rest_for_longer_than_a_head_may_take() {
    let janus = Janus::start(&server("good", &[]));
    let mut lines = Lines::open(&janus, "").await;
    lines.say(&initialize()).await;
    lines.response().await;
    let ping = format!("{}\n", request(7, "ping", &json!({})));
    let (half, rest) = ping.split_at(ping.len() / 2);
    lines.stream.write_all(half.as_bytes()).await.unwrap();
    // Whoever owes a head from now on is cut later than this one would be.
    let mut slow = UnixStream::connect(janus.socket()).await.unwrap();
    slow.write_all(b"POST /mcp").await.unwrap();
    within("the end of the slow one", slow.read_to_end(&mut Vec::new()))
        .await
        .ok();
    lines.stream.write_all(rest.as_bytes()).await.unwrap();
    assert_eq!(lines.response().await["id"], 7);
}
