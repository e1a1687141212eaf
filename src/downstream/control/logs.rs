//! The last records of the log, for whoever cannot read the journal.

use std::time::UNIX_EPOCH;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::downstream::Downstream;
use crate::telemetry::{Entry, is_in_use, recent};

/// From where on.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    /// The number of the first record that is wanted.
    from: u64,
    /// Which daemon gave that number.
    run: Option<u64>,
}

impl Downstream {
    /// What was logged, the number of what comes next, whose number that is, and whether the journal has it too.
    pub(super) fn logs(&self, asked: &Asked) -> Value {
        let run = self.about.started.duration_since(UNIX_EPOCH);
        let run = u64::try_from(run.unwrap_or_default().as_micros()).unwrap_or(u64::MAX);
        // The numbers of an earlier daemon mean nothing here.
        let is_ours = asked.run.is_none_or(|of| of == run);
        let (entries, next) = recent(if is_ours { asked.from } else { 0 });
        let entries: Vec<Value> = entries.iter().map(shown).collect();
        json!({"entries": entries, "next": next, "run": run, "journal": is_in_use()})
    }
}

fn shown(entry: &Entry) -> Value {
    let time = entry.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let about = entry.fields.named();
    let about = about.map(|(name, value)| (name.to_owned(), Value::from(value)));
    let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let said = [
        ("time", time.into()),
        ("level", entry.level.as_str().to_ascii_lowercase().into()),
        ("message", Value::from(entry.message.as_str())),
    ];
    let said = said.map(|(name, value)| (name.to_owned(), value));
    said.into_iter().chain(about).collect()
}
