//! `janus logs`: what happened, from where the daemon that runs says that it logs: the journal where this user can read it,
//! else the daemon's memory. Where none runs, the journal has what the last one said.
//!
//! `journal` reads `journalctl`; both sources give records of one form, which are filtered and printed alike.

mod journal;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::control::Control;
use super::known::Known;
use super::output::printable;
use super::serve::runtime;
use super::table::text;
use super::{Context, Exit, Failure};
use crate::protocol::Json;

/// Unless it is said from when on or how many, so many records are shown.
const SHOWN: usize = 100;
/// And so many before what is followed, which is what matters there.
const BEFORE: usize = 10;
/// How often the daemon is asked for more.
const AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Go on with what happens from now on.
    #[arg(short, long)]
    follow: bool,
    /// Only what is about this server.
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Only what is about this account, such as github/work.
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Only what is about this client.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Not older than this: a time such as 30m or 2d ago, or a moment such as 2026-11-26T09:00:00Z.
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<SystemTime>,
    /// So many of the last records at most: otherwise 100, before what is followed 10, and all with --since.
    #[arg(short = 'n', long, value_name = "COUNT")]
    lines: Option<usize>,
    /// Only what is at least so bad.
    #[arg(long, value_enum, value_name = "LEVEL")]
    level: Option<Level>,
}

impl Arguments {
    /// How many of the last records are shown; `None`: all.
    fn last(&self) -> Option<usize> {
        let usual = if self.follow { BEFORE } else { SHOWN };
        self.lines.or_else(|| self.since.is_none().then_some(usual))
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Level {
    /// Something is lost or does not work.
    Error,
    /// Something may need a person.
    Warn,
    /// Something happened.
    Info,
    /// Each step.
    Debug,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    /// Microseconds since 1970.
    time: u64,
    level: Level,
    message: String,
    /// `event`, `server`, `account` …, null where they do not say.
    fields: Value,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    if !arguments.follow {
        waiting(context);
    }
    if arguments.follow
        && let Some(failure) = unknown(arguments, context)?
    {
        return Err(failure);
    }
    let control = Control::new(context);
    // From where nothing is yet: which of the two has it is all that is asked.
    let asked = control.post("/logs", &json!({"from": u64::MAX}));
    let is_journal = |said: &Value| said.get("journal").and_then(Value::as_bool);
    let shown = match asked {
        Ok(said) if is_journal(&said) != Some(true) || !journal::has_any() => {
            let said = control.post("/logs", &json!({}))?;
            from_memory(said, &control, arguments, context)?
        }
        Err(failure) if !journal::has_any() => return Err(failure),
        Ok(_) | Err(_) => {
            let mut shown = 0;
            journal::read(arguments, |record| {
                shown += usize::from(is_meant(&record, arguments));
                print(&record, arguments, context)
            })?;
            shown
        }
    };
    // What is not configured any more may have been heard of all the same.
    match unknown(arguments, context)? {
        Some(failure) if shown == 0 => Err(failure),
        _ => Ok(Exit::Done),
    }
}

/// That what is asked about is not there, if so.
fn unknown(arguments: &Arguments, context: &Context) -> Result<Option<Failure>, Failure> {
    if arguments.server.is_none() && arguments.account.is_none() {
        return Ok(None);
    }
    let Some(known) = runtime()?.block_on(Known::of(context)) else {
        return Ok(None);
    };
    let no_server = arguments
        .server
        .as_deref()
        .and_then(|name| known.no_server(name));
    let no_account = || {
        arguments
            .account
            .as_deref()
            .and_then(|name| known.no_account(name))
    };
    Ok(no_server.or_else(no_account))
}

/// Links that wait for a person come first: they are what the log is mostly looked at for.
fn waiting(context: &Context) {
    let Ok(listed) = Control::new(context).get("/logins") else {
        return;
    };
    let logins = listed.get("logins").and_then(Value::as_array);
    for login in logins.into_iter().flatten() {
        let (account, link) = (text(login, "account"), text(login, "link"));
        let link = if link.is_empty() {
            String::new()
        } else {
            format!("{link} or: ")
        };
        context.output.note(&format!(
            "login needed: {account}: {link}janus login {account}"
        ));
    }
}

/// The daemon's own memory of it, of which this is the first answer. Gives how much of it was meant.
fn from_memory(
    mut said: Value,
    control: &Control,
    arguments: &Arguments,
    context: &Context,
) -> Result<usize, Failure> {
    let mut is_first = true;
    loop {
        let entries = said.get("entries").and_then(Value::as_array);
        let records = entries.into_iter().flatten().filter_map(of_memory);
        let mut records: Vec<Record> = records
            .filter(|record| is_meant(record, arguments))
            .collect();
        if let Some(last) = arguments.last().filter(|_| is_first) {
            records.drain(..records.len().saturating_sub(last));
        }
        for record in &records {
            print(record, arguments, context)?;
        }
        if !arguments.follow {
            return Ok(records.len());
        }
        is_first = false;
        let next = json!({"from": said.get("next"), "run": said.get("run")});
        said = loop {
            // Nobody wakes this thread before.
            std::thread::park_timeout(AGAIN);
            match control.post("/logs", &next) {
                // It is restarted, or somebody will start it again.
                Err(failure) if failure.exit() == Exit::NoDaemon => {}
                answered => break answered?,
            }
        };
    }
}

fn of_memory(entry: &Value) -> Option<Record> {
    let mut fields = entry.clone();
    let members = fields.as_object_mut()?;
    for read in ["time", "level", "message"] {
        members.remove(read);
    }
    Some(Record {
        time: entry.get("time")?.as_u64()?,
        level: match entry.get("level")?.as_str()? {
            "error" => Level::Error,
            "warn" => Level::Warn,
            "info" => Level::Info,
            _ => Level::Debug,
        },
        message: text(entry, "message"),
        fields,
    })
}

/// Whether somebody asked for it.
fn is_meant(record: &Record, arguments: &Arguments) -> bool {
    let is = |wanted: &Option<String>, field: &str| {
        let said = record.fields.get(field).and_then(Value::as_str);
        wanted.as_deref().is_none_or(|wanted| said == Some(wanted))
    };
    let since = arguments.since.map_or(0, microseconds);
    is(&arguments.server, "server")
        && is(&arguments.account, "account")
        && is(&arguments.client, "client")
        && arguments.level.is_none_or(|least| record.level <= least)
        && record.time >= since
}

fn print(record: &Record, arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    if !is_meant(record, arguments) {
        return Ok(());
    }
    if !context.global.json {
        return context.output.data(&line(record));
    }
    let mut document = json!({
        "schema": "janus/log/1",
        "time": record.time,
        "level": record.level.name(),
        "message": record.message,
    });
    if let (Some(members), Some(fields)) = (document.as_object_mut(), record.fields.as_object()) {
        members.extend(fields.clone());
    }
    context
        .output
        .data(&format!("{}\n", Json::of(&document).as_str()))
}

/// A record as people read it. Anybody may write to the journal, so that nothing in it steers the terminal.
fn line(record: &Record) -> String {
    let (time, level) = (clock(record.time), record.level.name());
    format!("{time} {level:<5} {}\n", printable(&record.message))
}

/// A moment as the clock here shows it.
fn clock(microseconds: u64) -> String {
    let time = i64::try_from(microseconds)
        .ok()
        .and_then(|time| jiff::Timestamp::from_microsecond(time).ok());
    let local = time.map(|time| jiff::tz::TimeZone::system().to_datetime(time));
    local.map_or_else(String::new, |time| {
        time.strftime("%Y-%m-%d %H:%M:%S").to_string()
    })
}

fn microseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// `30m`, or a moment.
fn since(text: &str) -> Result<SystemTime, String> {
    if let Ok(ago) = crate::config::duration(text) {
        return SystemTime::now()
            .checked_sub(ago)
            .ok_or_else(|| "that is before 1970".to_owned());
    }
    let moment = text.parse::<jiff::Timestamp>();
    let moment = moment
        .map_err(|_| "write 30m, 2h or 3d, or a moment such as 2026-11-26T09:00:00Z".to_owned())?;
    let since =
        u64::try_from(moment.as_microsecond()).map_err(|_| "that is before 1970".to_owned())?;
    Ok(UNIX_EPOCH + Duration::from_micros(since))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: Value) -> Record {
        Record {
            time: 1_000_000,
            level: Level::Warn,
            message: "m".to_owned(),
            fields,
        }
    }

    fn asked() -> Arguments {
        Arguments {
            follow: false,
            server: None,
            account: None,
            client: None,
            since: None,
            lines: None,
            level: None,
        }
    }

    #[test]
    fn a_record_is_shown_only_where_all_that_was_asked_for_is_in_it() {
        let one = record(json!({"server": "github", "account": "github/work"}));
        assert!(is_meant(&one, &asked()));
        let server = |name: &str| Arguments {
            server: Some(name.to_owned()),
            ..asked()
        };
        assert!(is_meant(&one, &server("github")));
        assert!(!is_meant(&one, &server("git")));
        for (level, is) in [
            (Level::Error, false),
            (Level::Warn, true),
            (Level::Debug, true),
        ] {
            let level = Arguments {
                level: Some(level),
                ..asked()
            };
            assert_eq!(is_meant(&one, &level), is);
        }
        let later = Arguments {
            since: Some(UNIX_EPOCH + Duration::from_secs(2)),
            ..asked()
        };
        assert!(!is_meant(&one, &later));
    }

    #[test]
    fn what_is_followed_has_little_before_it() {
        let of = |follow, since: Option<SystemTime>, lines| {
            let arguments = Arguments {
                follow,
                since,
                lines,
                ..asked()
            };
            arguments.last()
        };
        assert_eq!(of(false, None, None), Some(100));
        assert_eq!(of(true, None, None), Some(10));
        assert_eq!(of(true, None, Some(3)), Some(3));
        let hour = since("1h").ok();
        assert_eq!(of(true, hour, None), None);
        assert_eq!(of(false, hour, Some(3)), Some(3));
    }

    #[test]
    fn a_record_is_one_line_that_steers_no_terminal() {
        let one = Record {
            message: "a\u{1b}[2J\nb\u{7}".to_owned(),
            ..record(json!({}))
        };
        let line = line(&one);
        assert!(
            line.ends_with("warn  a\u{fffd}[2J\u{fffd}b\u{fffd}\n"),
            "{line:?}"
        );
    }

    #[test]
    fn a_time_is_ago_or_a_moment() {
        let hour = since("1h").unwrap();
        let passed = SystemTime::now().duration_since(hour).unwrap();
        assert_eq!(passed.as_secs() / 60, 60);
        let moment = since("1970-01-01T00:00:05Z").unwrap();
        assert_eq!(moment, UNIX_EPOCH + Duration::from_secs(5));
        since("yesterday").unwrap_err();
    }
}
