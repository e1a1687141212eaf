//! The first words with a server: which era it speaks, and what it says of itself.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::model::{AccountId, EraChoice};
use crate::protocol::{
    Completion, Envelope, Era, Events, Json, Kind, Object, Relayed, Revision, ServerFacts, code,
    meta,
};

use super::answer::message;
use super::leg::Leg;
use super::probe::{Verdict, judge};
use super::wire::{Outgoing, own_info};
use super::{Failure, streamable_http};

/// A stdio server that says nothing to `server/discover` for this long gets `initialize` on the same pipe. Many old
/// servers ignore what they do not know; slow ones need seconds to start.
const SILENCE: Duration = Duration::from_secs(10);
/// A legacy HTTP server may have learnt the modern era since.
const LEGACY_HTTP_LASTS: Duration = Duration::from_hours(24);

/// An era, as it was found out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    era: Era,
    since: Instant,
}

/// Which era to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// Ask.
    Probe,
    /// `initialize` at once.
    Legacy,
    /// `server/discover` only.
    Modern,
}

impl Begin {
    /// What the configuration says, else what is remembered, else the probe.
    pub(super) fn with(choice: EraChoice, known: Option<Known>, http: bool) -> Self {
        match (choice, known) {
            (EraChoice::Legacy, _) => Self::Legacy,
            (EraChoice::Modern, _) => Self::Modern,
            (EraChoice::Auto, Some(known)) if known.era == Era::Modern => Self::Modern,
            (EraChoice::Auto, Some(known))
                if !http || known.since.elapsed() < LEGACY_HTTP_LASTS =>
            {
                Self::Legacy
            }
            (EraChoice::Auto, _) => Self::Probe,
        }
    }
}

impl Known {
    pub(super) fn now(era: Era) -> Self {
        Self {
            era,
            since: Instant::now(),
        }
    }
}

/// Opens the conversation on a fresh leg. `capabilities` is what the clients behind it can be asked.
pub(super) async fn open(
    account: &AccountId,
    leg: &Leg,
    begin: Begin,
    capabilities: &Value,
) -> Result<ServerFacts, Failure> {
    match (begin, leg) {
        (Begin::Legacy, _) => initialize(account, leg, capabilities).await,
        (Begin::Modern, _) => discovered(account, leg).await,
        (Begin::Probe, Leg::Http(http)) => probe_http(account, leg, http, capabilities).await,
        (Begin::Probe, Leg::Process(_)) => probe_process(account, leg, capabilities).await,
    }
}

async fn probe_http(
    account: &AccountId,
    leg: &Leg,
    http: &streamable_http::Leg,
    capabilities: &Value,
) -> Result<ServerFacts, Failure> {
    let probe = http.probe(&discover(leg)).await?;
    let status = probe.status.as_u16();
    match (judge(Some(status), probe.message.as_ref()), probe.message) {
        (Verdict::Modern, Some(message)) if message.kind() == Kind::Result => {
            modern_facts(account, leg, &message)
        }
        // It is modern and did not like the question; its answer to the plain one says why.
        (Verdict::Modern, _) => discovered(account, leg).await,
        (Verdict::Legacy, _) => initialize(account, leg, capabilities).await,
        (Verdict::None, _) if matches!(status, 401 | 403) => Err(Failure::Rejected {
            account: account.clone(),
            status,
        }),
        (Verdict::None, _) => Err(Failure::Unreachable {
            account: account.clone(),
            reason: format!("it answers with status {status}"),
            retry_in: probe.retry_in,
        }),
    }
}

/// On a pipe both questions may be asked, and whichever answer decides comes first.
async fn probe_process(
    account: &AccountId,
    leg: &Leg,
    capabilities: &Value,
) -> Result<ServerFacts, Failure> {
    let (events, _queue) = Events::channel();
    let question = discover(leg);
    let mut discover = Box::pin(leg.exchange(&question, None, Era::Modern, &events));
    if let Ok(answer) = tokio::time::timeout(SILENCE, &mut discover).await {
        concluded(account, leg, answer?, capabilities).await
    } else {
        tokio::select! {
            late = &mut discover => concluded(account, leg, late?, capabilities).await,
            opened = initialize(account, leg, capabilities) => opened,
        }
    }
}

async fn concluded(
    account: &AccountId,
    leg: &Leg,
    answer: Relayed,
    capabilities: &Value,
) -> Result<ServerFacts, Failure> {
    let answer = message(account, answer)?;
    match judge(None, Some(&answer)) {
        Verdict::Modern if answer.kind() == Kind::Result => modern_facts(account, leg, &answer),
        Verdict::Modern => discovered(account, leg).await,
        Verdict::Legacy | Verdict::None => initialize(account, leg, capabilities).await,
    }
}

fn discover(leg: &Leg) -> Outgoing {
    Outgoing::own(
        "server/discover",
        None,
        leg.next_id(),
        Revision::LATEST_MODERN,
    )
}

async fn discovered(account: &AccountId, leg: &Leg) -> Result<ServerFacts, Failure> {
    leg.speak(Revision::LATEST_MODERN);
    let answer = message(
        account,
        leg.ask("server/discover", None, Revision::LATEST_MODERN)
            .await?,
    )?;
    modern_facts(account, leg, &answer)
}

fn modern_facts(account: &AccountId, leg: &Leg, answer: &Envelope) -> Result<ServerFacts, Failure> {
    let result = result(account, answer, "server/discover")?;
    leg.speak(Revision::LATEST_MODERN);
    let meta = result.object("_meta").unwrap_or_else(Object::empty);
    Ok(ServerFacts {
        revision: Revision::LATEST_MODERN,
        capabilities: result.object("capabilities").unwrap_or_else(Object::empty),
        info: meta
            .get(meta::SERVER_INFO)
            .or_else(|| result.get("serverInfo")),
        instructions: result.text("instructions"),
    })
}

async fn initialize(
    account: &AccountId,
    leg: &Leg,
    capabilities: &Value,
) -> Result<ServerFacts, Failure> {
    let params = Json::of(&json!({
        "protocolVersion": Revision::LATEST_LEGACY.as_str(),
        "capabilities": capabilities,
        "clientInfo": own_info(),
    }));
    let relayed = leg
        .ask("initialize", Some(&params), Revision::LATEST_LEGACY)
        .await?;
    // A server that was slow to start may refuse `initialize` because it is modern.
    if relayed.completion == Completion::Error(code::UNSUPPORTED_VERSION) {
        return discovered(account, leg).await;
    }
    let answer = message(account, relayed)?;
    let result = result(account, &answer, "initialize")?;
    let version = result.text("protocolVersion").unwrap_or_default();
    let Some(revision) = Revision::named(&version).filter(|revision| revision.era() == Era::Legacy)
    else {
        let version: String = version.chars().take(40).collect();
        return Err(unusable(
            account,
            format!("it wants to speak revision `{version}`, which Janus does not know"),
        ));
    };
    leg.speak(revision);
    leg.send(
        Envelope::notification("notifications/initialized", &json!({}))
            .json()
            .clone(),
    )
    .await?;
    Ok(ServerFacts {
        revision,
        capabilities: result.object("capabilities").unwrap_or_else(Object::empty),
        info: result.get("serverInfo"),
        instructions: result.text("instructions"),
    })
}

fn result(account: &AccountId, answer: &Envelope, method: &str) -> Result<Object, Failure> {
    if let Some(error) = answer.error() {
        let said: String = error
            .text("message")
            .unwrap_or_default()
            .chars()
            .take(200)
            .collect();
        return Err(unusable(account, format!("it refuses `{method}`: {said}")));
    }
    answer
        .result()
        .and_then(|result| result.object())
        .ok_or_else(|| unusable(account, format!("its answer to `{method}` is no object")))
}

fn unusable(account: &AccountId, reason: String) -> Failure {
    Failure::Unreachable {
        account: account.clone(),
        reason,
        retry_in: None,
    }
}

/// What a connection that everybody shares declares: whatever Janus can relay. A client that lacks it is not asked.
pub(super) fn everything() -> Value {
    json!({"roots": {"listChanged": true}, "sampling": {}, "elicitation": {"form": {}, "url": {}}})
}

/// What one client can be asked, as it said it.
pub(super) fn of_client(capabilities: &Object) -> Value {
    let members = ["roots", "sampling", "elicitation"]
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), capabilities.get(key)?.read()?)));
    Value::Object(members.collect())
}
