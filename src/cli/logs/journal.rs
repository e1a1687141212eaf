//! The journal of this user, as `journalctl` prints it for programs.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Map, Value};

use super::{Arguments, Level, Record, microseconds};
use crate::cli::{Exit, Failure};
use crate::telemetry::FIELDS;

/// What Janus calls itself there.
const IDENTIFIER: &str = "janus";

/// Hands on the records of Janus that the journal has and that are asked for.
pub(super) fn read(
    arguments: &Arguments,
    mut each: impl FnMut(Record) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut command = journalctl();
    command.args(matches(arguments));
    if let Some(since) = arguments.since {
        let seconds = microseconds(since) / 1_000_000;
        command.arg(format!("--since=@{seconds}"));
    }
    // By itself it would leave out what came before the last ten, where it follows.
    let last = arguments.last();
    // With `--since` an older journalctl (252) takes the first ones for the last.
    let ours = arguments.since.and(last);
    command.arg(match (ours, last) {
        (None, Some(last)) => format!("--lines={last}"),
        _ => "--lines=all".to_owned(),
    });
    let mut kept = VecDeque::new();
    if arguments.follow {
        command.arg("--follow");
    }
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| not_run(&error))?;
    let lines = child.stdout.take().map(BufReader::new);
    for line in lines.into_iter().flat_map(BufReader::lines) {
        let line = line.map_err(|error| not_run(&error))?;
        if let Some(record) = serde_json::from_str(&line)
            .ok()
            .as_ref()
            .and_then(of_journal)
        {
            match ours.filter(|_| !arguments.follow) {
                None => each(record)?,
                Some(most) => {
                    kept.push_back(record);
                    if kept.len() > most {
                        kept.pop_front();
                    }
                }
            }
        }
    }
    kept.into_iter().try_for_each(&mut each)?;
    child.wait().map_err(|error| not_run(&error))?;
    Ok(())
}

/// What is asked for, so that the last lines are the last of those.
fn matches(arguments: &Arguments) -> Vec<String> {
    let fields = [
        ("server", &arguments.server),
        ("account", &arguments.account),
        ("client", &arguments.client),
    ];
    let fields = fields
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{}={}", field_of(name), value.as_ref()?)));
    // Janus writes INFO as `notice`.
    let level = arguments.level.map(|level| match level {
        Level::Error => "err",
        Level::Warn => "warning",
        Level::Info => "notice",
        Level::Debug => "debug",
    });
    let level = level.map(|level| format!("--priority={level}"));
    fields.chain(level).collect()
}

/// What a field is called in the journal.
fn field_of(name: &str) -> String {
    format!("JANUS_{}", name.to_ascii_uppercase())
}

/// Whether the journal has anything of Janus that this user may read.
pub(super) fn has_any() -> bool {
    let asked = journalctl()
        .args(["--lines=1"])
        .stderr(Stdio::null())
        .output();
    asked.is_ok_and(|said| said.status.success() && said.stdout.starts_with(b"{"))
}

fn journalctl() -> Command {
    let mut command = Command::new("journalctl");
    let user = rustix::process::getuid().as_raw();
    command
        .args(["--quiet", "--no-pager", "--output=json"])
        .arg(format!("SYSLOG_IDENTIFIER={IDENTIFIER}"))
        .arg(format!("_UID={user}"))
        .stdin(Stdio::null());
    command
}

fn not_run(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, "journal", "`journalctl` cannot be read").because(error.to_string())
}

/// Fields of the journal are texts, or arrays of bytes where they are not printable.
fn of_journal(entry: &Value) -> Option<Record> {
    let field = |name: &str| readable(entry.get(name)?);
    let time = field("__REALTIME_TIMESTAMP")?.parse().ok()?;
    let level = match field("PRIORITY")?.as_str() {
        "0" | "1" | "2" | "3" => Level::Error,
        "4" => Level::Warn,
        "5" => Level::Info,
        _ => Level::Debug,
    };
    let fields = FIELDS.map(|name| {
        let said = field(&field_of(name));
        (name.to_owned(), said.map_or(Value::Null, Value::String))
    });
    Some(Record {
        time,
        level,
        message: field("MESSAGE")?,
        fields: Value::Object(Map::from_iter(fields)),
    })
}

fn readable(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(bytes) => {
            let bytes = bytes.iter().map(|byte| u8::try_from(byte.as_u64()?).ok());
            let bytes: Option<Vec<u8>> = bytes.collect();
            Some(String::from_utf8_lossy(&bytes?).into_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_of_the_journal_is_read_with_its_fields() {
        let entry = json!({
            "__REALTIME_TIMESTAMP": "1764140000000000", "PRIORITY": "5", "MESSAGE": [72, 105],
            "JANUS_ACCOUNT": "github/work", "JANUS_EVENT": "login_needed", "_PID": "1",
        });
        let record = of_journal(&entry).unwrap();
        assert_eq!(
            (record.time, record.level, record.message.as_str()),
            (1_764_140_000_000_000, Level::Info, "Hi")
        );
        assert_eq!(record.fields["account"], "github/work");
        assert_eq!(record.fields["tool"], Value::Null);
        assert_eq!(of_journal(&json!({"MESSAGE": "x"})), None);
    }
}
