//! The leg against real processes: small Python servers, each with one habit.

mod exchanges;
mod notifications;
mod process;
mod questions;

use std::ffi::OsString;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::{Leg, Owner};
use crate::model::{AccountId, Command, SecretValue, ServerName};
use crate::protocol::{
    Body, ClientFacts, Envelope, Era, Event, EventQueue, Events, Json, Relayed, Revision,
};
use crate::upstream::Failure;
use crate::upstream::wire::Outgoing;

/// No test waits for it.
const PATIENT: Duration = Duration::from_mins(1);
/// Every test that uses it waits for it.
const IMPATIENT: Duration = Duration::from_millis(50);

/// What every script begins with.
const PRELUDE: &str = r#"
import json, os, signal, socket, subprocess, sys
def raw(text):
    sys.stdout.write(text); sys.stdout.flush()
def send(message):
    raw(json.dumps(dict(jsonrpc="2.0", **message), separators=(",", ":")) + "\n")
def read():
    line = sys.stdin.readline()
    if not line: sys.exit(0)
    return json.loads(line)
def answer(request, result):
    send({"id": request["id"], "result": result})
def note(about, **params):
    send({"method": about, "params": params})
"#;

struct Rig {
    leg: Leg,
    inbox: mpsc::Receiver<Envelope>,
    tasks: TaskTracker,
}

fn account() -> AccountId {
    AccountId::default_of(&ServerName::new("s").unwrap())
}

fn environment() -> Vec<(String, OsString)> {
    vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".into())]
}

fn python(script: &str) -> Command {
    Command {
        program: "python3".to_owned(),
        args: vec!["-ISc".to_owned(), format!("{PRELUDE}{script}")],
        env: Vec::new(),
    }
}

fn start(command: &Command, timeout: Duration) -> Result<Rig, Failure> {
    let (news, inbox) = mpsc::channel(64);
    let tasks = TaskTracker::new();
    let own = command.env.iter().filter_map(|(name, value)| match value {
        SecretValue::Literal(secret) => Some((name.clone(), Arc::clone(secret))),
        SecretValue::Reference(_) => None,
    });
    let own: Vec<_> = own.collect();
    let owner = Owner {
        account: account(),
        timeout,
        inbox: news,
        tasks: tasks.clone(),
    };
    let leg = Leg::start(owner, command, (&environment(), &own))?;
    Ok(Rig { leg, inbox, tasks })
}

fn serve(script: &str) -> Rig {
    start(&python(script), PATIENT).unwrap()
}

fn json(text: &str) -> Json {
    Json::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn client(session: Option<&str>, capabilities: &str) -> Arc<ClientFacts> {
    Arc::new(ClientFacts {
        revision: Revision::V2025_11_25,
        capabilities: json(capabilities).object().unwrap(),
        info: None,
        session: session.map(Into::into),
    })
}

/// A request of a client that calls it `"mine"` and wants progress marked with `"token"`.
fn request(leg: &Leg, method: &str, params: &str) -> Outgoing {
    let id = leg.duplex().next_id();
    Outgoing {
        id,
        text: Envelope::request_text(&Json::of(&id), method, Some(&json(params))),
        client_id: Json::string("mine"),
        identity: None,
        token: Some(Json::string("token")),
        method: method.to_owned(),
        name: None,
        param_headers: Vec::new(),
    }
}

impl Rig {
    async fn call(&self, method: &str) -> Result<Relayed, Failure> {
        self.call_of(&client(Some("one"), "{}"), method, &Events::channel().0)
            .await
    }

    async fn call_of(
        &self,
        client: &Arc<ClientFacts>,
        method: &str,
        events: &Events,
    ) -> Result<Relayed, Failure> {
        let outgoing = request(&self.leg, method, "{}");
        self.leg
            .duplex()
            .exchange(&outgoing, Some(client), Era::Legacy, events)
            .await
    }

    /// Ends it, and sees that no task is left.
    async fn end(self) {
        self.leg.duplex().stop().await;
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn text(relayed: Result<Relayed, Failure>) -> String {
    match relayed.unwrap().body {
        Body::Whole(json) => json.as_str().to_owned(),
        Body::Stream(_) => panic!("a line is whole"),
    }
}

async fn next(queue: &EventQueue) -> Event {
    poll_fn(|cx| queue.poll_next(cx)).await
}

async fn next_note(queue: &EventQueue) -> String {
    match next(queue).await {
        Event::Notify(message) => message.json().as_str().to_owned(),
        _ => panic!("no notification"),
    }
}

fn params(message: &Envelope) -> serde_json::Value {
    message.params().unwrap().json().read().unwrap()
}
