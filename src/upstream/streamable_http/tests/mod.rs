//! A leg against real servers on port 0, scripted from within the test.

mod events;
mod json;
mod session;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderName, Uri};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::{Client, Leg};
use crate::credential::{self, Credential};
use crate::model::{self, AccountId, HttpEndpoint, ProxySettings, SecretValue, ServerName};
use crate::protocol::{
    Body, ClientFacts, Envelope, EventQueue, Events, Json, Object, Relayed, Revision,
};
use crate::upstream::Failure;
use crate::upstream::wire::Outgoing;

/// Longer than any test takes.
const LONG: Duration = Duration::from_mins(1);

struct Rig {
    leg: Leg,
    inbox: mpsc::Receiver<Envelope>,
    tasks: TaskTracker,
    events: Events,
    queue: EventQueue,
}

fn endpoint(url: &str) -> HttpEndpoint {
    HttpEndpoint {
        url: url.parse::<Uri>().unwrap(),
        headers: vec![(
            HeaderName::from_static("authorization"),
            SecretValue::literal("Bearer canary"),
        )],
        ca: None,
    }
}

fn account() -> AccountId {
    AccountId::default_of(&ServerName::new("remote").unwrap())
}

fn rig(url: &str, timeout: Duration) -> Rig {
    rig_of(endpoint(url), &ProxySettings::default(), timeout).unwrap()
}

fn rig_of(
    endpoint: HttpEndpoint,
    proxy: &ProxySettings,
    timeout: Duration,
) -> Result<Rig, Failure> {
    let of = model::Account::only(model::Endpoint::Http(endpoint.clone()));
    let ground = credential::Ground::of_a_test();
    let credential = Arc::new(Credential::new(&account(), &of, &ground));
    let client = Client::new(&account(), &endpoint, proxy, &credential)?;
    let (sender, inbox) = mpsc::channel(8);
    let tasks = TaskTracker::new();
    let (events, queue) = Events::channel();
    Ok(Rig {
        leg: Leg::new(
            account(),
            Arc::new(endpoint),
            client,
            timeout,
            sender,
            tasks.clone(),
        ),
        inbox,
        tasks,
        events,
        queue,
    })
}

/// A call with the id 9 on the wire and `"mine"` at the client.
fn call(method: &str) -> Outgoing {
    Outgoing {
        id: 9,
        text: Envelope::request_text(&Json::of(&9), method, None),
        client_id: Json::string("mine"),
        identity: None,
        token: Some(Json::string("token")),
        method: method.to_owned(),
        name: Some("grüße".to_owned()),
        param_headers: Vec::new(),
    }
}

fn client(capabilities: &str) -> Arc<ClientFacts> {
    let capabilities = Json::parse(capabilities.to_owned().into()).unwrap();
    Arc::new(ClientFacts {
        revision: Revision::V2025_11_25,
        capabilities: capabilities.object().unwrap_or_else(Object::empty),
        info: None,
        session: Some("session".into()),
    })
}

fn whole(relayed: Result<Relayed, Failure>) -> String {
    match relayed.unwrap().body {
        Body::Whole(json) => json.as_str().to_owned(),
        Body::Stream(_) => panic!("a stream"),
    }
}

fn failure(relayed: Result<Relayed, Failure>) -> Failure {
    relayed.expect_err("an answer where a failure was expected")
}
