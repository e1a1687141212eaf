//! Questions of servers, and what becomes of them when something goes wrong: the client is gone, the server is, the
//! answer is late, wrong, or somebody else's.

mod attribution;
mod faults;
mod links;
mod parked;
mod watched;

use std::collections::VecDeque;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;

use crate::support::{Home, Http, Janus, Reply, within};

const SERVER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/servers/asking_server.py"
);
const VERSION: &str = "2026-07-28";
const VIEW: &str = "/mcp/@asking";

/// A Janus in front of `asking_server.py`, and what that notes.
struct Rig {
    // Before the socket's directory: what is dropped first ends first.
    janus: Janus,
    notes: Receiver<String>,
    /// Notes that were passed over.
    passed: VecDeque<String>,
    /// Reads the notes as they come: the server waits for that.
    _reader: JoinSet<()>,
    _directory: TempDir,
}

impl Rig {
    fn start(settings: &str) -> Self {
        Self::with(settings, "", "")
    }

    /// With more settings of the server, of the whole file, and of `listen`.
    fn with(settings: &str, more: &str, listen: &str) -> Self {
        let directory = TempDir::with_prefix("notes-").unwrap();
        let socket = directory.path().join("notes");
        let datagrams = UnixDatagram::bind(&socket).unwrap();
        let (sender, notes) = channel(10_000);
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            let mut note = vec![0; 64 * 1024];
            while let Ok(length) = datagrams.recv(&mut note).await {
                let note = String::from_utf8(note[..length].to_vec()).unwrap();
                sender.send(note).await.ok();
            }
        });
        let command = json!(["python3", SERVER, "--notes", socket]);
        let home = Home::with(&format!(
            "listen: {{ http: \"127.0.0.1:0\", {listen} }}\nservers:\n  asking: {{ command: {command}, {settings} }}\n{more}\n"
        ));
        Self {
            janus: Janus::start_in(home, |_| {}),
            notes,
            passed: VecDeque::new(),
            _reader: reader,
            _directory: directory,
        }
    }

    fn http(&self) -> Http {
        self.janus.http()
    }

    /// The next note that begins with `what`, without the process id; others are kept for later.
    async fn note(&mut self, what: &str) -> String {
        self.note_of(what).await.1
    }

    async fn note_of(&mut self, what: &str) -> (u32, String) {
        let is = |note: &str| {
            let (pid, said) = note.split_once(' ')?;
            said.starts_with(what)
                .then(|| (pid.parse().unwrap(), said.to_owned()))
        };
        if let Some(at) = self.passed.iter().position(|note| is(note).is_some()) {
            return is(&self.passed.remove(at).unwrap()).unwrap();
        }
        within(&format!("the note `{what}`"), async {
            loop {
                let note = self.notes.recv().await.unwrap();
                match is(&note) {
                    Some(found) => return found,
                    None => self.passed.push_back(note),
                }
            }
        })
        .await
    }
}

/// A modern client that can be asked everything.
struct Modern {
    http: Http,
    path: String,
    headers: Vec<(String, String)>,
    capabilities: Value,
    last_id: u64,
}

impl Modern {
    fn of(http: Http) -> Self {
        Self {
            http,
            path: VIEW.to_owned(),
            headers: Vec::new(),
            capabilities: json!({
                "elicitation": { "form": {}, "url": {} }, "sampling": {}, "roots": {},
            }),
            last_id: 0,
        }
    }

    fn keyed(http: Http, key: &str) -> Self {
        let mut client = Self::of(http);
        client.headers = vec![("authorization".to_owned(), format!("Bearer {key}"))];
        client
    }

    /// Calls a tool; gives the response.
    async fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        self.retry(tool, arguments, json!({})).await
    }

    /// Calls it with more parameters: `inputResponses` and `requestState`.
    async fn retry(&mut self, tool: &str, arguments: &Value, more: Value) -> Value {
        let reply = self.send(tool, arguments, more).await;
        let mut reply = reply;
        if !reply.is_stream() {
            return reply.json().await;
        }
        loop {
            let message = reply.message().await.expect("a response");
            if message.get("method").is_none() {
                return message;
            }
        }
    }

    async fn send(&mut self, tool: &str, arguments: &Value, more: Value) -> Reply {
        self.last_id += 1;
        let mut params = json!({ "name": tool, "arguments": arguments, "_meta": {
            "io.modelcontextprotocol/protocolVersion": VERSION,
            "io.modelcontextprotocol/clientCapabilities": self.capabilities,
        }});
        for (key, value) in more.as_object().unwrap() {
            params[key] = value.clone();
        }
        let body = json!({ "jsonrpc": "2.0", "id": self.last_id, "method": "tools/call", "params": params });
        let mut headers = vec![
            ("mcp-protocol-version", VERSION),
            ("mcp-method", "tools/call"),
            ("mcp-name", tool),
        ];
        let own = self.headers.iter();
        headers.extend(own.map(|(name, value)| (name.as_str(), value.as_str())));
        self.http.post(&self.path, &headers, &body).await
    }
}

/// A legacy client that can be asked everything, and shows its streams.
struct Legacy {
    http: Http,
    path: String,
    session: String,
    last_id: u64,
}

impl Legacy {
    async fn open(http: Http, path: &str) -> Self {
        let everything =
            json!({ "elicitation": { "form": {}, "url": {} }, "sampling": {}, "roots": {} });
        let open = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": everything,
            "clientInfo": { "name": "t", "version": "1" },
        }});
        let reply = http.post(path, &[], &open).await;
        let session = reply.header("mcp-session-id").to_owned();
        assert!(!session.is_empty());
        Self {
            http,
            path: path.to_owned(),
            session,
            last_id: 0,
        }
    }

    /// Calls a tool; gives the stream of the answer.
    async fn call(&mut self, tool: &str, arguments: &Value) -> Reply {
        self.last_id += 1;
        let params = json!({ "name": tool, "arguments": arguments });
        let body = json!({ "jsonrpc": "2.0", "id": self.last_id, "method": "tools/call", "params": params });
        self.http
            .post(&self.path, &[("mcp-session-id", &self.session)], &body)
            .await
    }

    /// Opens the stream of the session, or takes one up.
    async fn get(&self, headers: &[(&str, &str)]) -> Reply {
        let headers = [&[("mcp-session-id", self.session.as_str())], headers].concat();
        self.http.get(&self.path, &headers).await
    }

    async fn answer(&self, question: &Value, result: &Value) {
        let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": result });
        self.respond(&answer).await;
    }

    async fn respond(&self, answer: &Value) {
        let session = [("mcp-session-id", self.session.as_str())];
        let reply = self.http.post(&self.path, &session, answer).await;
        assert_eq!(reply.status, 202);
    }
}

/// The one key and the state of a response that asks one question.
fn asked(response: &Value) -> (String, Value) {
    let result = &response["result"];
    assert_eq!(result["resultType"], "input_required", "{response}");
    let requests = result["inputRequests"].as_object().unwrap();
    assert_eq!(requests.len(), 1, "{response}");
    let state = result["requestState"].clone();
    assert!(state.is_string(), "{response}");
    (requests.keys().next().unwrap().clone(), state)
}

/// An accepted form.
fn accepted(name: &str) -> Value {
    json!({ "action": "accept", "content": { "name": name } })
}

/// The retry of a call: these answers, and the state.
fn answers(key: &str, answer: &Value, state: &Value) -> Value {
    json!({ "inputResponses": { key: answer }, "requestState": state })
}

/// What the server says in the end that it was answered.
fn heard(response: &Value) -> Vec<Value> {
    let text = response["result"]["content"][0]["text"].as_str();
    let text = text.unwrap_or_else(|| panic!("no text: {response}"));
    let said: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}"));
    said["heard"].as_array().unwrap().clone()
}

/// The code and the message of an error.
fn error(response: &Value) -> (i64, String) {
    let error = &response["error"];
    let code = error["code"].as_i64();
    (
        code.unwrap_or_else(|| panic!("no error: {response}")),
        error["message"].as_str().unwrap().to_owned(),
    )
}

const ONE_FORM: &str = r#"{"who": "ada", "rounds": [["form"]]}"#;

fn one_form() -> Value {
    serde_json::from_str(ONE_FORM).unwrap()
}
