//! A client of one view that writes every byte itself and gives out every message as it came.

use crate::support::{Era, Home, Http, Janus, Output, Process, Reply};

use super::case::{Case, MODERN_META, Step, Values};
use super::text::{Members, one_line};

/// How the client reaches Janus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Road {
    Tcp,
    Unix,
    Stdio,
}

/// What the legacy client says of itself, and what a modern server learns of it: roots have no news there.
pub(super) const LEGACY_CAPABILITIES: &str = r#"{"roots":{"listChanged":true},"sampling":{},"elicitation":{},"experimental":{"x":1.0,"big":123456789012345678901234567890}}"#;
pub(super) const ASKABLE: &str = r#"{"roots":{},"sampling":{},"elicitation":{},"experimental":{"x":1.0,"big":123456789012345678901234567890}}"#;
pub(super) const CLIENT_INFO: &str = r#"{"version":"1","name":"odd","x":1.0}"#;

#[derive(Debug)]
enum Wire {
    Http(Http),
    Stdio(Box<Process>),
}

/// A client of one era at one view.
#[derive(Debug)]
pub(super) struct Client {
    wire: Wire,
    path: &'static str,
    pub(super) era: Era,
    headers: Vec<(&'static str, String)>,
    /// What a modern server wants back, as it was shown.
    pub(super) state: String,
    /// What it was answered to `initialize`, in the legacy era.
    pub(super) initialized: String,
}

impl Client {
    /// A client of the daemon, or of a gateway of its own with the same configuration.
    pub(super) async fn open(janus: &Janus, road: Road, path: &'static str, era: Era) -> Self {
        let wire = match road {
            Road::Tcp => Wire::Http(janus.http()),
            Road::Unix => Wire::Http(janus.unix()),
            Road::Stdio => Wire::Stdio(Box::new(standalone(janus.home(), path))),
        };
        let mut client = Self {
            wire,
            path,
            era,
            headers: Vec::new(),
            state: String::new(),
            initialized: String::new(),
        };
        if era == Era::Legacy {
            client.initialize().await;
        } else {
            client.header("mcp-protocol-version", "2026-07-28");
        }
        client
    }

    async fn initialize(&mut self) {
        let request = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"2025-11-25","capabilities":{LEGACY_CAPABILITIES},"clientInfo":{CLIENT_INFO}}}}}"#
        );
        self.initialized = match &mut self.wire {
            Wire::Http(http) => {
                let reply = http.post_text(self.path, &[], &request).await;
                let session = reply.header("mcp-session-id").to_owned();
                self.header("mcp-session-id", &session);
                reply.text().await
            }
            Wire::Stdio(process) => {
                process.say(&request);
                process.line(Output::Stdout, |line| Some(line.to_owned()))
            }
        };
        self.tell(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
            .await;
    }

    fn header(&mut self, name: &'static str, value: &str) {
        self.headers.push((name, value.to_owned()));
    }

    /// What the placeholders of a case stand for on this client's side.
    pub(super) fn values(&self, case: &Case) -> Values {
        Values {
            id: case.id.to_owned(),
            token: case.token.to_owned(),
            prefix: if self.path == "/mcp" { "raw__" } else { "" },
            meta: if self.era == Era::Legacy {
                ""
            } else {
                MODERN_META
            },
            question: String::new(),
            state: self.state.clone(),
        }
    }

    /// A call from its request to its response, which comes last. Questions are answered as the case says.
    pub(super) async fn call(&mut self, case: &Case) -> Vec<String> {
        let mut values = self.values(case);
        let request = case.render(&case.request, &values);
        let answers = case.script.iter().filter_map(|step| match step {
            Step::Ask { answer, .. } => Some(answer),
            Step::Say(_) => None,
        });
        let (mut answers, mut messages) = (answers, Vec::new());
        let mut reply = self.send(&request).await;
        loop {
            let text = self.next(&mut reply).await;
            let text = text.unwrap_or_else(|| panic!("no response after {messages:?}"));
            let message = Members::of(&text);
            messages.push(text);
            if message.get("method").is_none() {
                if let Reading::Events(mut reply) = reply {
                    let after = reply.event().await.map(|event| event.data);
                    assert_eq!(after, None, "nothing comes after the response");
                }
                return messages;
            }
            if let Some(id) = message.get("id") {
                id.clone_into(&mut values.question);
                let answer = answers.next().expect("a question of the case");
                let answer = case.render(answer, &values);
                self.tell(&answer).await;
            }
        }
    }

    async fn send(&mut self, request: &str) -> Reading {
        let (method, name) = Case::headers(request);
        match &mut self.wire {
            Wire::Http(http) => {
                let mut headers: Vec<(&str, &str)> =
                    self.headers.iter().map(|(k, v)| (*k, v.as_str())).collect();
                if self.era != Era::Legacy {
                    headers.push(("mcp-method", &method));
                    headers.extend(name.as_deref().map(|name| ("mcp-name", name)));
                }
                let reply = http.post_text(self.path, &headers, request).await;
                if reply.is_stream() {
                    Reading::Events(reply)
                } else {
                    Reading::Json(Some(reply))
                }
            }
            Wire::Stdio(process) => {
                process.say(&one_line(request));
                Reading::Lines
            }
        }
    }

    async fn next(&mut self, reading: &mut Reading) -> Option<String> {
        match (reading, &mut self.wire) {
            (Reading::Events(reply), _) => loop {
                let data = reply.event().await?.data;
                // A priming event has an id and no message.
                if !data.is_empty() {
                    return Some(data);
                }
            },
            (Reading::Json(reply), _) => Some(reply.take()?.text().await),
            (Reading::Lines, Wire::Stdio(process)) => {
                // On a pipe the news of the whole view come between.
                let of_call =
                    |line: &str| (!line.contains("/list_changed\"")).then(|| line.to_owned());
                Some(process.line(Output::Stdout, of_call))
            }
            (Reading::Lines, Wire::Http(_)) => None,
        }
    }

    /// A notification or a response.
    pub(super) async fn tell(&mut self, text: &str) {
        match &mut self.wire {
            Wire::Http(http) => {
                let headers: Vec<(&str, &str)> =
                    self.headers.iter().map(|(k, v)| (*k, v.as_str())).collect();
                let reply = http.post_text(self.path, &headers, text).await;
                assert_eq!(reply.status, 202, "{text}");
            }
            Wire::Stdio(process) => process.say(&one_line(text)),
        }
    }
}

/// Where the messages of a call come from.
enum Reading {
    Events(Reply),
    Json(Option<Reply>),
    Lines,
}

fn standalone(home: &Home, path: &str) -> Process {
    let mut command = home.command(&["connect", "--standalone", "--path", path, "--config"]);
    command.arg(home.config());
    Process::start("janus connect", &mut command)
}
