//! What must not break Janus: bad input, bad servers, bad surroundings. Each test names the exact answer and shows
//! that everybody else is served as before.

mod batches;
mod bodies;
mod children;
mod headers;
mod leaving;
mod limits;
mod load;
mod openings;
mod process;
mod remote;
mod remotes;
mod resuming;
mod sessions;
mod stopping;

use http::HeaderName;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};

use crate::support::{Client, Era, Http, Janus, Process, Reply, within};

const SERVER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/servers/faulty_server.py"
);
const VERSION: &str = "2026-07-28";
const VIEW: &str = "/mcp/@good";

/// A server of the configuration: `tests/servers/faulty_server.py` with these options.
fn server(name: &str, options: &[&str], settings: &str) -> String {
    let command = json!([&["python3", SERVER], options].concat());
    format!("{name}: {{ command: {command}, {settings} }}\n")
}

/// The server that everybody else uses.
fn good() -> String {
    server("good", &[], "")
}

/// Everybody else is served as before.
async fn others_are_served(janus: &Janus) {
    for era in Era::CLIENTS {
        let mut client = Client::open(janus.http(), VIEW, era).await;
        let text = client.text("echo", json!({ "text": "still here" })).await;
        assert_eq!(text, "still here", "{era:?}");
    }
}

/// The two ways to reach Janus over HTTP.
fn doors(janus: &Janus) -> [Http; 2] {
    [janus.http(), janus.unix()]
}

/// The JSON-RPC error of an answer: its status, code, message and id.
async fn refusal(reply: Reply) -> (u16, i64, String, Value) {
    let status = reply.status.as_u16();
    let text = reply.text().await;
    let answer: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{status} {error}: {text}"));
    let (code, message, id) = error_of(&answer);
    (status, code, message, id)
}

fn error_of(answer: &Value) -> (i64, String, Value) {
    let error = &answer["error"];
    let code = error["code"].as_i64();
    (
        code.unwrap_or_else(|| panic!("no error: {answer}")),
        error["message"].as_str().unwrap().to_owned(),
        answer["id"].clone(),
    )
}

/// A request of the modern era: its headers and its body.
fn modern(id: &Value, method: &str, params: Value) -> (Vec<(&'static str, String)>, Value) {
    let mut params = params;
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(VERSION);
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let mut headers = vec![
        ("mcp-protocol-version", VERSION.to_owned()),
        ("mcp-method", method.to_owned()),
    ];
    if let Some(name) = params.get("name").or_else(|| params.get("uri")) {
        headers.push(("mcp-name", name.as_str().unwrap().to_owned()));
    }
    let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    (headers, body)
}

fn borrowed<'h>(headers: &'h [(&'static str, String)]) -> Vec<(&'static str, &'h str)> {
    headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

/// Opens a session of this revision and gives its id.
async fn session(http: &Http, path: &str, revision: &str) -> String {
    let request = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": revision, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" },
    }});
    let reply = http.post(path, &[], &request).await;
    assert_eq!(reply.status, 200);
    let id = reply.header("mcp-session-id").to_owned();
    assert_eq!(id.len(), 32, "{id}");
    id
}

/// The text of a call to a server that was lost a moment ago. One that ended within a second of its start is not
/// started again at once; who calls meanwhile is told so, and that nothing was sent.
async fn text_again(client: &mut Client, tool: &str) -> String {
    within("the server", async {
        loop {
            let params = json!({ "name": tool, "arguments": {} });
            let result = client.result("tools/call", params).await;
            if result["isError"] != true {
                return result["content"][0]["text"].as_str().unwrap().to_owned();
            }
            let (text, error) = failure(&result);
            assert!(text.contains("Nothing was sent."), "{text}");
            assert_eq!(
                (&error["code"], &error["sent"]),
                (&json!("unavailable"), &json!(false)),
                "{text}"
            );
        }
    })
    .await
}

/// The stream ends; the first list of a server may be told before.
async fn ends(stream: &mut Reply) {
    while let Some(message) = stream.message().await {
        assert_eq!(message["method"], "notifications/tools/list_changed");
    }
}

/// The parts of a failed call: its text and what `dev.janus/error` says.
async fn failed_call(client: &mut Client, tool: &str) -> (String, Value) {
    let params = json!({ "name": tool, "arguments": {} });
    let result = client.result("tools/call", params).await;
    failure(&result)
}

fn failure(result: &Value) -> (String, Value) {
    assert_eq!(result["isError"], true, "{result}");
    let text = result["content"][0]["text"].as_str().unwrap().to_owned();
    (text, result["_meta"]["dev.janus/error"].clone())
}

/// An answer, byte for byte.
#[derive(Debug)]
struct Raw {
    status: u16,
    head: String,
    body: String,
}

/// Writes bytes to Janus over TCP, reads until it closes the connection.
async fn raw(janus: &Janus, request: &[u8]) -> Raw {
    let address = janus.url("");
    let stream = TcpStream::connect(address.strip_prefix("http://").unwrap()).await;
    exchange(stream.unwrap(), request).await
}

/// The same over the socket.
async fn raw_unix(janus: &Janus, request: &[u8]) -> Raw {
    exchange(UnixStream::connect(janus.socket()).await.unwrap(), request).await
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, request: &[u8]) -> Raw {
    within("the end of the connection", async {
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // A server that refuses a request does not read the rest of it, and the system then resets the connection.
        let ended = stream.read_to_end(&mut answer).await;
        assert!(ended.is_ok() || !answer.is_empty(), "{ended:?}");
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        Raw {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    })
    .await
}

impl Raw {
    fn refusal(&self) -> (u16, i64, String, Value) {
        let answer: Value = serde_json::from_str(&self.body).expect("JSON");
        let (code, message, id) = error_of(&answer);
        (self.status, code, message, id)
    }
}

/// The next response on standard output; what changes meanwhile may be told before it.
fn response(janus: &mut Process) -> Value {
    loop {
        let message = janus.message();
        if message.get("method").is_none() {
            return message;
        }
    }
}

/// Waits until every process that holds the other end of this connection is gone.
async fn gone(mut holder: UnixStream) {
    let mut nothing = [0];
    let read = within("the end of the process", holder.read(&mut nothing)).await;
    assert_eq!(read.unwrap(), 0);
}

async fn held(listener: &UnixListener) -> UnixStream {
    within("the process", listener.accept()).await.unwrap().0
}

fn name(name: &str) -> HeaderName {
    name.parse().unwrap()
}
