//! The opening of a conversation: `initialize` of the legacy era, what `server/discover` told in the modern one.

use std::sync::Arc;

use serde_json::json;

use super::leg::Leg;
use super::wire::own_info;
use super::{Failure, probe};
use crate::model::AccountId;
use crate::protocol::{Edit, Envelope, Era, Json, Kind, Object, Revision, ServerFacts, meta};
use crate::telemetry::redact;

/// How `initialize` ended.
#[derive(Debug)]
pub(super) enum Opened {
    /// The session stands.
    Legacy(Arc<ServerFacts>),
    /// The server refused it because it is modern.
    Modern,
}

/// `initialize` and `notifications/initialized`.
pub(super) async fn initialize(
    leg: &Leg,
    account: &AccountId,
    capabilities: Json,
) -> Result<Opened, Failure> {
    let params = Json::of(&json!({
        "protocolVersion": Revision::LATEST_LEGACY.as_str(),
        "clientInfo": own_info(),
    }));
    let params = params
        .object()
        .unwrap_or_else(Object::empty)
        .edited(&[Edit::Set("capabilities", capabilities)]);
    let own = leg.own(
        account,
        "initialize",
        Some(&params),
        Revision::LATEST_LEGACY,
    );
    let answer = own.await?;
    if answer.kind() == Kind::Error {
        if probe::wants_modern(&answer) {
            return Ok(Opened::Modern);
        }
        return Err(unreachable(
            account,
            format!("it refuses initialize: {}", words(&answer)),
        ));
    }
    let facts = legacy_facts(&answer).ok_or_else(|| {
        unreachable(
            account,
            "its answer to initialize names no revision that Janus knows".to_owned(),
        )
    })?;
    leg.speak(facts.revision);
    //= https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle#initialization
    //# After successful initialization, the client **MUST** send an `initialized` notification
    let initialized = Json::literal(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    leg.send(initialized).await?;
    Ok(Opened::Legacy(Arc::new(facts)))
}

/// The code and the head of the message of an error, for people.
pub(super) fn words(answer: &Envelope) -> String {
    let message = answer.error().and_then(|error| error.text("message"));
    let message = message.unwrap_or_default();
    // Before it is cut: half a secret is one too.
    let message: String = redact(&message).chars().take(200).collect();
    format!("{message:?} ({})", answer.error_code().unwrap_or_default())
}

fn legacy_facts(answer: &Envelope) -> Option<ServerFacts> {
    let result = answer.result()?.object()?;
    let revision = Revision::named(&result.text("protocolVersion")?)
        .filter(|revision| revision.era() == Era::Legacy)?;
    Some(ServerFacts {
        revision,
        capabilities: result.object("capabilities").unwrap_or_else(Object::empty),
        info: result.get("serverInfo"),
        instructions: result.text("instructions"),
    })
}

/// What a `DiscoverResult` says.
pub(super) fn modern_facts(revision: Revision, result: &Object) -> ServerFacts {
    let info = result
        .object("_meta")
        .and_then(|meta| meta.get(meta::SERVER_INFO));
    ServerFacts {
        revision,
        capabilities: result.object("capabilities").unwrap_or_else(Object::empty),
        info: info.or_else(|| result.get("serverInfo")),
        instructions: result.text("instructions"),
    }
}

/// Nothing of a caller was sent.
pub(super) fn unreachable(account: &AccountId, reason: String) -> Failure {
    Failure::Unreachable {
        account: account.clone(),
        reason,
        retry_in: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(result: &str) -> Envelope {
        Envelope::parse(format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#).into()).unwrap()
    }

    #[test]
    fn any_legacy_revision_is_accepted_and_no_other() {
        for (version, known) in [
            ("2024-11-05", true),
            ("2025-03-26", true),
            ("2025-06-18", true),
            ("2025-11-25", true),
            ("2026-07-28", false),
            ("2023-01-01", false),
        ] {
            let facts = legacy_facts(&answer(&format!(
                r#"{{"protocolVersion":"{version}","capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"s"}},"instructions":"i"}}"#
            )));
            assert_eq!(facts.is_some(), known, "{version}");
            if let Some(facts) = facts {
                assert!(facts.capabilities.has("tools"));
                assert_eq!(facts.instructions.as_deref(), Some("i"));
                assert_eq!(facts.info.unwrap().as_str(), r#"{"name":"s"}"#);
            }
        }
    }
}
