//! A legacy server over HTTP that answers each tool's calls with the bytes a test gives for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// What a call gets.
#[derive(Debug, Clone)]
pub(super) enum Gets {
    /// These bytes; `ID` stands for the id. Then the connection is closed.
    Bytes(String),
    /// The same, and the connection is reset.
    Reset(String),
    /// The session is unknown; in the next one there is an answer.
    NewSession,
}

/// The server. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Remote {
    url: String,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct State {
    tools: BTreeMap<String, Gets>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    sessions: usize,
    calls: BTreeMap<String, usize>,
}

/// A port that is taken and on which nobody listens yet.
#[derive(Debug)]
pub(super) struct Reserved(TcpSocket);

impl Reserved {
    pub(super) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/mcp", self.0.local_addr().unwrap())
    }

    pub(super) fn serve(self, tools: &[(&str, Gets)]) -> Remote {
        let url = self.url();
        let listener = self.0.listen(64).unwrap();
        let tools = tools
            .iter()
            .map(|(name, gets)| ((*name).to_owned(), gets.clone()));
        let state = Arc::new(State {
            tools: tools.collect(),
            seen: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&state)));
        Remote {
            url,
            state,
            _tasks: tasks,
        }
    }
}

impl Remote {
    pub(super) fn start(tools: &[(&str, Gets)]) -> Self {
        Reserved::new().serve(tools)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// How often the tool was called.
    pub(super) fn calls(&self, tool: &str) -> usize {
        self.state
            .seen
            .lock()
            .unwrap()
            .calls
            .get(tool)
            .copied()
            .unwrap_or_default()
    }

    pub(super) fn sessions(&self) -> usize {
        self.state.seen.lock().unwrap().sessions
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            // A client that goes away is no failure of the server.
            serve(stream, &state).await.ok();
        });
    }
}

async fn serve(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    let Some((method, session, body)) = read(&mut stream).await? else {
        return Ok(());
    };
    match react(state, &method, session.as_deref(), &body) {
        Gets::Reset(text) => {
            stream.write_all(text.as_bytes()).await?;
            stream.set_zero_linger()
        }
        Gets::Bytes(text) => stream.write_all(text.as_bytes()).await,
        Gets::NewSession => {
            stream
                .write_all(plain("404 Not Found", "", "no such session").as_bytes())
                .await
        }
    }
}

/// One request: its method, its session, its body.
async fn read(stream: &mut TcpStream) -> std::io::Result<Option<(String, Option<String>, Value)>> {
    let mut text = Vec::new();
    loop {
        let head = text.windows(4).position(|end| end == b"\r\n\r\n");
        if let Some(head) = head {
            let lines = String::from_utf8(text[..head].to_vec()).unwrap();
            let field = |name: &str| {
                let mut lines = lines.lines();
                lines.find_map(|line| {
                    let (field, value) = line.split_once(':')?;
                    field
                        .eq_ignore_ascii_case(name)
                        .then(|| value.trim().to_owned())
                })
            };
            let length = field("content-length").map_or(0, |length| length.parse().unwrap());
            if text.len() >= head + 4 + length {
                let method = lines.split(' ').next().unwrap().to_owned();
                let body = serde_json::from_slice(&text[head + 4..]).unwrap_or(Value::Null);
                return Ok(Some((method, field("mcp-session-id"), body)));
            }
        }
        if stream.read_buf(&mut text).await? == 0 {
            return Ok(None);
        }
    }
}

fn react(state: &State, method: &str, session: Option<&str>, body: &Value) -> Gets {
    let mut seen = state.seen.lock().unwrap();
    let id = &body["id"];
    let result = |result: Value, headers: &str| {
        Gets::Bytes(ok(
            headers,
            &json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        ))
    };
    match (method, body["method"].as_str()) {
        ("POST", Some("initialize")) => {
            seen.sessions += 1;
            let session = format!("mcp-session-id: s-{}\r\n", seen.sessions);
            let info = json!({ "name": "remote", "version": "1" });
            result(
                json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} }, "serverInfo": info }),
                &session,
            )
        }
        ("POST", Some("tools/list")) => {
            let tools = state.tools.keys().map(String::as_str).chain(["echo"]);
            let tools: Vec<Value> = tools
                .map(|name| json!({ "name": name, "inputSchema": { "type": "object" } }))
                .collect();
            result(json!({ "tools": tools }), "")
        }
        ("POST", Some("tools/call")) => {
            let tool = body["params"]["name"].as_str().unwrap();
            *seen.calls.entry(tool.to_owned()).or_default() += 1;
            let answer = json!({ "content": [{ "type": "text", "text": format!("{tool} in {}", session.unwrap_or_default()) }] });
            match state.tools.get(tool) {
                None => result(answer, ""),
                Some(Gets::NewSession) if session != Some("s-1") => result(answer, ""),
                Some(Gets::NewSession) => Gets::NewSession,
                Some(Gets::Bytes(text)) => Gets::Bytes(text.replace("ID", &id.to_string())),
                Some(Gets::Reset(text)) => Gets::Reset(text.replace("ID", &id.to_string())),
            }
        }
        ("POST", Some(method)) if method.starts_with("notifications/") => {
            Gets::Bytes(plain("202 Accepted", "", ""))
        }
        ("POST", _) => Gets::Bytes(plain("400 Bad Request", "", "")),
        ("DELETE", _) => Gets::Bytes(plain("200 OK", "", "")),
        _ => Gets::Bytes(plain("405 Method Not Allowed", "", "")),
    }
}

/// An answer in JSON.
pub(super) fn ok(headers: &str, body: &Value) -> String {
    plain(
        "200 OK",
        &format!("content-type: application/json\r\n{headers}"),
        &body.to_string(),
    )
}

pub(super) fn plain(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}
