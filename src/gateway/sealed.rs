//! What clients hold for servers: request states and task ids, sealed so that nobody else can use them.
//!
//! Several clients share one account, and the server sees one principal: its own binding separates nothing between
//! them. So a state opens only for the caller, path, account, method and request it was made for, and for ten
//! minutes.
//= https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::binding::{Scope, View};
use crate::model::{AccountId, ClientId, Subject};
use crate::protocol::{
    Edit, Envelope, Era, Events, Json, Object, Outcome, Request, RpcError, code,
};

use super::lifecycle::TASKS;
use super::{Gateway, error};

/// A person answers within this, or the call is begun again.
const LIFE: Duration = Duration::from_mins(10);

#[derive(Serialize, Deserialize)]
struct State {
    ends: u64,
    state: String,
}

#[derive(Serialize, Deserialize)]
struct ParkedCall {
    /// Since 1970.
    ends: Duration,
    number: u64,
}

#[derive(Serialize, Deserialize)]
struct Task {
    account: String,
    id: String,
}

/// What a server's request state is bound to.
pub(super) fn context(scope: &Scope, account: &AccountId, request: &Request) -> Vec<u8> {
    bound(scope, &account.to_string(), &request.message)
}

/// What the state of a parked call is bound to. Its route is the call's own, and no account is chosen again.
fn parked_context(scope: &Scope, message: &Envelope) -> Vec<u8> {
    bound(scope, "", message)
}

fn bound(scope: &Scope, account: &str, message: &Envelope) -> Vec<u8> {
    let params = message.params().unwrap_or_else(Object::empty);
    let mut digest = Sha256::new();
    for member in ["name", "uri", "arguments"] {
        let value = params
            .get(member)
            .and_then(|value| value.read::<serde_json::Value>());
        digest.update(format!(
            "{member}={};",
            value.map_or_else(String::new, |value| canonical(&value).to_string())
        ));
    }
    let mut context = format!(
        "{}\0{}\0{account}\0{}\0",
        principal(scope),
        place(scope),
        message.method()
    )
    .into_bytes();
    context.extend_from_slice(&digest.finalize());
    context
}

/// The client that its key proves, or a program of this user without one. No client is called like the latter.
pub(super) fn principal(scope: &Scope) -> &str {
    scope.client().map_or("local user", ClientId::as_str)
}

fn place(scope: &Scope) -> String {
    match scope.view() {
        View::Profile => format!("/mcp {}", scope.profile()),
        View::Transparent(account) => format!("/mcp/@{account}"),
    }
}

/// The same value with its members in order: a client may write its arguments anew for the retry.
fn canonical(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(members) => {
            let sorted: BTreeMap<&String, serde_json::Value> = members
                .iter()
                .map(|(key, value)| (key, canonical(value)))
                .collect();
            serde_json::Value::Object(
                sorted
                    .into_iter()
                    .map(|(key, value)| (key.clone(), value))
                    .collect(),
            )
        }
        serde_json::Value::Array(items) => items.iter().map(canonical).collect(),
        other => other.clone(),
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

impl Gateway {
    pub(super) fn seal_state(&self, context: &[u8], state: &str) -> String {
        let state = State {
            ends: now() + LIFE.as_secs(),
            state: state.to_owned(),
        };
        self.states.seal(context, Json::of(&state).bytes())
    }

    pub(super) fn open_state(&self, context: &[u8], sealed: &str) -> Option<String> {
        let plain = self.states.open(context, sealed).ok()?;
        let state: State = serde_json::from_slice(&plain).ok()?;
        (state.ends > now()).then_some(state.state)
    }

    /// The state under which a client goes on with a parked call.
    pub fn seal_parked(
        &self,
        scope: &Scope,
        request: &Envelope,
        number: u64,
        ends: SystemTime,
    ) -> String {
        let parked = ParkedCall {
            ends: ends.duration_since(UNIX_EPOCH).unwrap_or_default(),
            number,
        };
        self.parked
            .seal(&parked_context(scope, request), Json::of(&parked).bytes())
    }

    /// The parked call that a request goes on with, if its state names one: for this caller, in this place, by this
    /// request, in time. Any other state is a server's, or nobody's.
    pub fn opened_parked(&self, scope: &Scope, request: &Request) -> Option<u64> {
        let state = request.params().text("requestState")?;
        let context = parked_context(scope, &request.message);
        let plain = self.parked.open(&context, &state).ok()?;
        let parked: ParkedCall = serde_json::from_slice(&plain).ok()?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        (parked.ends > now).then_some(parked.number)
    }

    pub(super) fn seal_task(&self, scope: &Scope, account: &AccountId, id: &str) -> String {
        let task = Task {
            account: account.to_string(),
            id: id.to_owned(),
        };
        self.tasks
            .seal(task_context(scope).as_bytes(), Json::of(&task).bytes())
    }

    /// The account and the server's own id of a sealed task.
    pub(super) fn open_task(&self, scope: &Scope, sealed: &str) -> Option<(AccountId, String)> {
        let plain = self
            .tasks
            .open(task_context(scope).as_bytes(), sealed)
            .ok()?;
        let task: Task = serde_json::from_slice(&plain).ok()?;
        let account = scope
            .accounts()
            .iter()
            .find(|account| account.to_string() == task.account)?;
        Some((account.clone(), task.id))
    }

    /// Whether a server here has tasks, or may turn out to.
    fn has_tasks(&self, scope: &Scope) -> bool {
        scope.accounts().iter().any(|account| {
            self.listing(account).server.as_ref().is_none_or(|server| {
                let extensions = server.capabilities.object("extensions");
                server.revision.era() == Era::Modern
                    && extensions.is_some_and(|extensions| extensions.has(TASKS))
            })
        })
    }

    /// `tasks/get`, `tasks/update`, `tasks/cancel`: to the account that made the task.
    pub(super) async fn task(&self, scope: &Scope, request: Request, events: &Events) -> Outcome {
        self.settled(scope).await;
        if request.client.era() == Era::Legacy || !self.has_tasks(scope) {
            return Outcome::Error(error::method_not_found(request.method()));
        }
        let extensions = request.client.capabilities.object("extensions");
        if !extensions.is_some_and(|extensions| extensions.has(TASKS)) {
            return Outcome::Error(
                RpcError::new(
                    code::MISSING_CAPABILITY,
                    "the client did not declare the tasks extension in this request",
                )
                .with_data(&json!({"requiredCapabilities": {"extensions": {TASKS: {}}}})),
            );
        }
        let Some(sealed) = request.params().text("taskId") else {
            return error::invalid_params("`taskId` is missing");
        };
        let Some((account, id)) = self.open_task(scope, &sealed) else {
            return error::invalid_params("there is no such task here");
        };
        match self
            .relay_to(scope, &account, Subject::Task(id), request, events)
            .await
        {
            Outcome::Relayed(relayed) => self.edited(relayed, |_, result| {
                // The client knows the task by the name it was given.
                result
                    .has("taskId")
                    .then(|| result.edited(&[Edit::Set("taskId", Json::string(&sealed))]))
            }),
            other => other,
        }
    }

    /// A notification about a task, with the name the client knows; `None` if the client did not name the task.
    pub(super) fn task_renamed(
        message: &Envelope,
        names: &BTreeMap<String, String>,
    ) -> Option<Json> {
        let params = message.params()?;
        let sealed = names.get(&params.text("taskId")?)?;
        Some(message.with_params(params.edited(&[Edit::Set("taskId", Json::string(sealed))])))
    }
}

fn task_context(scope: &Scope) -> String {
    format!("{}\0{}", principal(scope), place(scope))
}
