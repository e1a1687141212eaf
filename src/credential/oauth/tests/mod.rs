//! What the rooms of OAuth do with servers that say what a test wrote down.

mod client;
mod discovery;
mod login;
mod network;
mod rebinding;
mod registration;
mod zoo;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::network::{Network, Policy};
use super::seam::Way;
use crate::credential::Clock;
use crate::model::ProxySettings;

/// A server on loopback that answers each path with what was written down for it, and everything else with 404.
pub(super) struct Scripted {
    pub(super) origin: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<BTreeMap<String, Vec<Said>>>,
    asked: Mutex<Vec<Asked>>,
}

/// A status, headers and a body.
#[derive(Clone)]
pub(super) struct Said(u16, Vec<(&'static str, String)>, String);

/// What came.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) line: String,
    pub(super) body: String,
}

impl Scripted {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let shared: Arc<Shared> = Arc::default();
        let serving = Arc::clone(&shared);
        #[expect(clippy::disallowed_methods, reason = "ended with the server")]
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, &serving).await;
            }
        });
        Self {
            origin,
            shared,
            task,
        }
    }

    /// From now on this is said at `GET /path` or `POST /path`; several in their order, the last one again and again.
    pub(super) fn says(&self, place: &str, said: Said) -> &Self {
        let mut answers = self.shared.answers.lock().unwrap();
        answers.entry(place.to_owned()).or_default().push(said);
        self
    }

    /// From now on only this is said there.
    pub(super) fn instead(&self, place: &str, said: Said) {
        let mut answers = self.shared.answers.lock().unwrap();
        answers.insert(place.to_owned(), vec![said]);
    }

    /// This is said once, before the last that was written down.
    pub(super) fn before(&self, place: &str, said: Said) {
        let mut answers = self.shared.answers.lock().unwrap();
        let all = answers.entry(place.to_owned()).or_default();
        let last = all.len().saturating_sub(1);
        all.insert(last, said);
    }

    /// JSON, in which `ORIGIN` is this server.
    pub(super) fn json(&self, place: &str, body: &serde_json::Value) -> &Self {
        let body = body.to_string().replace("ORIGIN", &self.origin);
        self.says(place, Said(200, Vec::new(), body))
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// What came, in the form `GET /path`.
    pub(super) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }

    pub(super) fn way(&self) -> Way {
        way(&format!("{}/mcp", self.origin))
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Said {
    pub(super) fn new(status: u16, body: &str) -> Self {
        Self(status, Vec::new(), body.to_owned())
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.1.push((name, value.to_owned()));
        self
    }
}

pub(super) fn way(server: &str) -> Way {
    Way {
        network: Network::new(&ProxySettings::default(), Clock::default()),
        policy: Policy {
            server: server.parse().unwrap(),
            private: false,
            ca: None,
        },
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) {
    let mut text = Vec::new();
    let (head, length) = loop {
        let mut buffer = [0; 4096];
        let Ok(read @ 1..) = stream.read(&mut buffer).await else {
            return;
        };
        text.extend_from_slice(&buffer[..read]);
        let so_far = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, _)) = so_far.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse().unwrap())
            });
            break (head.to_owned(), length.unwrap_or(0));
        }
    };
    while text.len() < head.len() + 4 + length {
        let mut buffer = [0; 4096];
        let Ok(read @ 1..) = stream.read(&mut buffer).await else {
            return;
        };
        text.extend_from_slice(&buffer[..read]);
    }
    let line = head.lines().next().unwrap().replace(" HTTP/1.1", "");
    let said = {
        let mut answers = shared.answers.lock().unwrap();
        match answers.get_mut(&line) {
            Some(said) if said.len() > 1 => said.remove(0),
            Some(said) => said[0].clone(),
            None => Said::new(404, "nothing here"),
        }
    };
    shared.asked.lock().unwrap().push(Asked {
        line,
        body: String::from_utf8_lossy(&text[head.len() + 4..]).into_owned(),
    });
    let Said(status, headers, body) = said;
    let mut answer = format!("HTTP/1.1 {status} Said\r\nconnection: close\r\n");
    for (name, value) in headers {
        write!(answer, "{name}: {value}\r\n").unwrap();
    }
    if !answer.contains("content-length") {
        write!(answer, "content-length: {}\r\n", body.len()).unwrap();
    }
    answer += "\r\n";
    answer += &body;
    // Whoever asked may have gone away.
    stream.write_all(answer.as_bytes()).await.ok();
}
