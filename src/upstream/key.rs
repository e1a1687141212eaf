//! Which connection of an account a call takes. Pure.
//!
//! Invariant: what a connection declared at `initialize` is true for whoever is asked through it, except on the shared
//! one, where each question is held against its own client.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::model::Sharing;
use crate::protocol::{ClientFacts, Era, Json, Object};

/// What tells the connections of one account apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Everybody's, and Janus's own.
    Shared,
    /// That of clients who can be asked the same.
    PerCapabilities(Askable),
    /// One session's.
    PerSession(Arc<str>, Askable),
    /// One of those that the calls of modern clients, who have no session, take in turns: a call has it alone while it
    /// runs, so that a question can only be its own.
    Lane(u8, Askable),
}

/// What a client can be asked: `roots`, `sampling`, `sampling.tools`, `elicitation.form`, …
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Askable(BTreeSet<&'static str>);

/// The capabilities that are questions, and their parts.
const QUESTIONS: [(&str, &[&str]); 3] = [
    ("roots", &["listChanged"]),
    ("sampling", &["tools", "context"]),
    ("elicitation", &["form", "url"]),
];

/// A key as text, for the program that Janus becomes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum KeyRecord {
    Shared,
    PerCapabilities(String),
    PerSession(String, String),
    Lane(u8, String),
}

/// What decides beside the client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habits<'a> {
    /// As configured.
    pub(super) sharing: Sharing,
    /// `None` while it is not known.
    pub(super) era: Option<Era>,
    /// Whether everything it says comes on one stream that does not say to whom: a process, or HTTP+SSE.
    pub(super) pipe: bool,
    /// Whether it ever asked something.
    pub(super) asked: bool,
    /// The session that alone used the shared pipe when the first question came, and keeps it.
    pub(super) keeper: Option<&'a str>,
    /// The first lane on which no call runs; `None` where all are taken.
    pub(super) lane: Option<u8>,
}

impl Key {
    /// The connection for a client's call.
    pub(super) fn of(habits: Habits<'_>, client: &ClientFacts) -> Self {
        let session = || client.session.clone();
        let own = |session| Self::PerSession(session, Askable::of(&client.capabilities));
        let lane = || match habits.lane {
            Some(lane) => Self::Lane(lane, Askable::of(&client.capabilities)),
            None => Self::Shared,
        };
        match habits.sharing {
            Sharing::Shared => Self::Shared,
            Sharing::PerSession => match session() {
                Some(session) => own(session),
                None if habits.pipe && habits.era != Some(Era::Modern) => lane(),
                None => Self::Shared,
            },
            // A modern server is told with each request what its client can do.
            Sharing::Auto if !habits.asked || habits.era == Some(Era::Modern) => Self::Shared,
            Sharing::Auto if habits.pipe => match session() {
                Some(session) if habits.keeper != Some(&*session) => own(session),
                Some(_) => Self::Shared,
                None => lane(),
            },
            Sharing::Auto => Self::PerCapabilities(Askable::of(&client.capabilities)),
        }
    }

    /// The same as text.
    pub(super) fn record(&self) -> KeyRecord {
        let text = |askable: &Askable| askable.declared().as_str().to_owned();
        match self {
            Self::Shared => KeyRecord::Shared,
            Self::PerCapabilities(askable) => KeyRecord::PerCapabilities(text(askable)),
            Self::PerSession(session, askable) => {
                KeyRecord::PerSession(session.to_string(), text(askable))
            }
            Self::Lane(lane, askable) => KeyRecord::Lane(*lane, text(askable)),
        }
    }

    /// The key of a text.
    pub(super) fn of_record(record: KeyRecord) -> Option<Self> {
        let askable = |text: String| {
            let declared = Json::parse(text.into()).ok()?.object()?;
            Some(Askable::of(&declared))
        };
        Some(match record {
            KeyRecord::Shared => Self::Shared,
            KeyRecord::PerCapabilities(text) => Self::PerCapabilities(askable(text)?),
            KeyRecord::PerSession(session, text) => {
                Self::PerSession(session.into(), askable(text)?)
            }
            KeyRecord::Lane(lane, text) => Self::Lane(lane, askable(text)?),
        })
    }

    /// The session it belongs to.
    pub(super) fn session(&self) -> Option<&Arc<str>> {
        match self {
            Self::PerSession(session, _) => Some(session),
            Self::Shared | Self::PerCapabilities(_) | Self::Lane(..) => None,
        }
    }

    /// `capabilities` at `initialize`.
    pub(super) fn capabilities(&self) -> Json {
        match self {
            // Servers that look at capabilities offer everything then.
            Self::Shared => Json::of(&json!({
                "roots": {"listChanged": true}, "sampling": {}, "elicitation": {"form": {}, "url": {}},
            })),
            Self::PerCapabilities(askable)
            | Self::PerSession(_, askable)
            | Self::Lane(_, askable) => askable.declared(),
        }
    }
}

impl Askable {
    /// What these capabilities allow to ask.
    pub(super) fn of(capabilities: &Object) -> Self {
        let mut found = BTreeSet::new();
        for (name, parts) in QUESTIONS {
            let Some(declared) = capabilities.get(name).filter(|value| !value.is_null()) else {
                continue;
            };
            found.insert(name);
            if let Some(declared) = declared.object() {
                found.extend(parts.iter().copied().filter(|part| declared.has(part)));
            }
        }
        // An empty `elicitation` means forms (2025-11-25, client/elicitation).
        if found.contains("elicitation") && !found.contains("url") {
            found.insert("form");
        }
        Self(found)
    }

    fn declared(&self) -> Json {
        let mut declared = Map::new();
        for (name, parts) in QUESTIONS {
            if self.0.contains(name) {
                let has = parts.iter().filter(|part| self.0.contains(*part));
                let part = |part: &&str| {
                    let value = if *part == "listChanged" {
                        json!(true)
                    } else {
                        json!({})
                    };
                    ((*part).to_owned(), value)
                };
                declared.insert(name.to_owned(), Value::Object(has.map(part).collect()));
            }
        }
        Json::of(&declared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Revision;

    fn client(session: Option<&str>, capabilities: &Value) -> ClientFacts {
        ClientFacts {
            revision: Revision::V2025_11_25,
            capabilities: Json::of(capabilities).object().unwrap(),
            info: None,
            session: session.map(Arc::from),
        }
    }

    #[test]
    fn a_key_comes_back_from_its_text() {
        let askable = Askable::of(
            &Json::of(&json!({"elicitation": {"url": {}}, "sampling": {"tools": {}}}))
                .object()
                .unwrap(),
        );
        for key in [
            Key::Shared,
            Key::PerCapabilities(askable.clone()),
            Key::PerSession("s".into(), Askable::default()),
            Key::Lane(3, askable),
        ] {
            assert_eq!(Key::of_record(key.record()), Some(key));
        }
    }

    #[test]
    fn calls_part_where_the_server_could_mix_them_up() {
        use Sharing::{Auto, PerSession, Shared};
        let habits = |sharing, era, pipe, asked| Habits {
            sharing,
            era: Some(era),
            pipe,
            asked,
            keeper: Some("k"),
            lane: Some(3),
        };
        let (legacy, modern) = (Era::Legacy, Era::Modern);
        for (habits, session, expected) in [
            (habits(Auto, legacy, true, false), Some("a"), "shared"),
            (habits(Auto, legacy, true, true), Some("a"), "session a"),
            (habits(Auto, legacy, true, true), Some("k"), "shared"),
            (habits(Auto, legacy, true, true), None, "lane 3"),
            (habits(Auto, legacy, true, false), None, "shared"),
            (habits(Auto, legacy, false, true), Some("a"), "capabilities"),
            (habits(Auto, modern, false, true), Some("a"), "shared"),
            (habits(Auto, modern, true, true), Some("a"), "shared"),
            (habits(Shared, legacy, true, true), Some("a"), "shared"),
            (
                habits(PerSession, legacy, true, false),
                Some("a"),
                "session a",
            ),
            (habits(PerSession, legacy, true, false), None, "lane 3"),
            (habits(PerSession, modern, true, false), None, "shared"),
            (habits(PerSession, legacy, false, false), None, "shared"),
        ] {
            let key = Key::of(habits, &client(session, &json!({"roots": {}})));
            let told = match &key {
                Key::Shared => "shared".to_owned(),
                Key::PerCapabilities(_) => "capabilities".to_owned(),
                Key::PerSession(session, _) => format!("session {session}"),
                Key::Lane(lane, _) => format!("lane {lane}"),
            };
            assert_eq!(told, expected, "{habits:?} {session:?}");
        }
    }

    #[test]
    fn a_connection_declares_what_its_client_declared() {
        for (client, expected) in [
            (r"{}", r"{}"),
            (
                r#"{"elicitation":{},"x":1}"#,
                r#"{"elicitation":{"form":{}}}"#,
            ),
            (
                r#"{"elicitation":{"url":{}},"roots":{"listChanged":true}}"#,
                r#"{"roots":{"listChanged":true},"elicitation":{"url":{}}}"#,
            ),
            (
                r#"{"sampling":{"tools":{}},"roots":null}"#,
                r#"{"sampling":{"tools":{}}}"#,
            ),
        ] {
            let declared = Json::parse(client.into()).unwrap().object().unwrap();
            assert_eq!(Askable::of(&declared).declared().as_str(), expected);
        }
    }
}
