//! `janus whoami`: as whom a request from here would act, and why.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that a JSON value does not have is null"
)]

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::control::Control;
use super::table::{table, text, texts};
use super::{Context, Exit, Failure};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print every rule that was looked at, with file and line.
    #[arg(long)]
    explain: bool,
    /// Ask for a request from this directory.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Ask for a request of this client; else of the one whose key is in `JANUS_KEY`.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Ask for a request to this path.
    #[arg(long, value_name = "PATH", default_value = "/mcp")]
    path: String,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    // As the daemon sees working directories: absolute and without links.
    let directory = arguments.directory.as_ref().map(|directory| {
        let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.clone());
        std::fs::canonicalize(&absolute).unwrap_or(absolute)
    });
    let key = context.environment.access_key();
    let mut asked = json!({
        "directory": directory,
        "client": arguments.client,
        "path": arguments.path,
        "profile": context.profile(),
    });
    // An earlier daemon, which runs until it is restarted, refuses a member that it does not know.
    if let Some(key) = &key {
        asked["key"] = key.expose().into();
    }
    let said = Control::new(context).post("/whoami", &asked)?;
    let shown = said.clone();
    let exit = if said["refused"].is_object() {
        Exit::Refused
    } else {
        Exit::Done
    };
    context
        .output
        .document("whoami", said, || page(&shown, arguments.explain))?;
    Ok(exit)
}

fn page(said: &Value, explain: bool) -> String {
    let head = match said["refused"]["message"].as_str() {
        Some(refused) => {
            let place = said["refused"]["where"]
                .as_str()
                .map(|place| format!("   {place}"));
            format!("refused   {refused}{}\n", place.unwrap_or_default())
        }
        None if said["needs_key"] == true => "no key   a client without an access key is refused here; this is how the command line itself acts. Ask for one:  --client NAME, or JANUS_KEY\n".to_owned(),
        None => String::new(),
    };
    let body = if said["refused"].is_object() {
        String::new()
    } else {
        choices(said)
    };
    if !explain {
        return format!("{head}{body}");
    }
    let mut rows = Vec::new();
    for step in said["scope"].as_array().into_iter().flatten() {
        let decides = if step["decides"] == true {
            "← decides"
        } else {
            ""
        };
        let place = step["where"].as_str().unwrap_or_default();
        rows.push(vec![
            format!("  {} {}", step["rule"], text(step, "name")),
            text(step, "found"),
            decides.to_owned(),
            place.to_owned(),
        ]);
    }
    let directory = &said["directory"];
    let proved = match directory["path"].as_str() {
        Some(path) => {
            let pid = directory["pid"]
                .as_u64()
                .map(|pid| format!(", process {pid}"));
            let by = text(directory, "proved_by");
            let pid = pid.filter(|_| by != "supposed").unwrap_or_default();
            format!("  directory {path}, {by}{pid}\n")
        }
        None => "  the directory is not known\n".to_owned(),
    };
    format!(
        "{head}{body}\nrules, in their order; the first that says something decides\n{}{proved}",
        table(&rows)
    )
}

/// The profile and, for each server, the account and why it is this one.
pub(super) fn choices(said: &Value) -> String {
    let client = said["client"]
        .as_str()
        .map_or_else(String::new, |client| format!("client {client}   "));
    let mut page = format!(
        "{client}profile {}   switching {}\n",
        text(said, "profile"),
        text(said, "switching")
    );
    let mut rows = Vec::new();
    for (server, choice) in said["accounts"].as_object().into_iter().flatten() {
        let others = texts(&choice["may_become"]);
        let may = match (others.is_empty(), choice["account"].is_null()) {
            (true, _) => String::new(),
            (false, true) => format!("one of {}", others.join(", ")),
            (false, false) => format!("may become {}", others.join(", ")),
        };
        rows.push(vec![
            format!("  {server}"),
            choice["account"].as_str().unwrap_or("-").to_owned(),
            reason(&text(choice, "resolved_from")).to_owned(),
            may,
            choice["verified_as"]
                .as_str()
                .unwrap_or("unverified")
                .to_owned(),
            text(&said["places"], server),
        ]);
    }
    page.push_str(&table(&rows));
    page
}

fn reason(from: &str) -> &'static str {
    match from {
        "path" => "the path names it",
        "only_account" => "only account in scope",
        "argument" => "the call names it",
        "session" => "the session chose it",
        "client" => "the client chose it",
        "global" => "chosen for everybody",
        "profile" => "first in the profile",
        "default" => "the server's default",
        _ => "none chosen: a call must say which",
    }
}
