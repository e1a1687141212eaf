//! The last records of the log, for whoever cannot read the journal.

use std::time::UNIX_EPOCH;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::downstream::Downstream;
use crate::telemetry::{Entry, recent};

/// From where on.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    /// The number of the first record that is wanted.
    from: u64,
}

impl Downstream {
    /// What was logged, and the number of what comes next.
    pub(super) fn logs(asked: &Asked) -> Value {
        let (entries, next) = recent(asked.from);
        let entries: Vec<Value> = entries.iter().map(shown).collect();
        json!({"entries": entries, "next": next})
    }
}

fn shown(entry: &Entry) -> Value {
    let time = entry.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let fields = &entry.fields;
    json!({
        "time": u64::try_from(time.as_micros()).unwrap_or(u64::MAX),
        "level": entry.level.as_str().to_ascii_lowercase(),
        "message": entry.message,
        "event": fields.event,
        "server": fields.server,
        "account": fields.account,
        "profile": fields.profile,
        "client": fields.client,
        "tool": fields.tool,
        "login": fields.login,
        "code": fields.code,
    })
}
