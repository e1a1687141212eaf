//! `janus session`: the clients that opened a session.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that a JSON value does not have is null"
)]

use clap::Subcommand;
use serde_json::{Value, json};

use super::control::Control;
use super::table::{ago, table, text, texts};
use super::{Context, Exit, Failure};

/// Enough of an id to name a session by.
const SHOWN: usize = 8;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the sessions: whose they are, and what they chose.
    #[command(alias = "ls")]
    List,
    /// End a session. Its client begins a new one.
    End {
        /// The session, or enough of its id to tell it from the others.
        session: String,
    },
}

pub(super) fn run(verb: &Verb, context: &Context) -> Result<Exit, Failure> {
    let control = Control::new(context);
    match verb {
        Verb::List => {
            let listed = control.get("/sessions")?;
            let shown = listed["sessions"].clone();
            context
                .output
                .document("session-list", listed, || list(&shown))?;
        }
        Verb::End { session } => {
            let ended = control.post("/session/end", &json!({"session": session}))?;
            let id = text(&ended, "ended");
            context
                .output
                .document("session-end", ended, || format!("ended {id}"))?;
        }
    }
    Ok(Exit::Done)
}

fn list(sessions: &Value) -> String {
    let sessions = sessions.as_array().map(Vec::as_slice).unwrap_or_default();
    if sessions.is_empty() {
        return "no sessions\n".to_owned();
    }
    let head = [
        "SESSION",
        "CLIENT",
        "PROGRAM",
        "PROFILE",
        "DIRECTORY",
        "USED",
        "CHOSE",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for session in sessions {
        let or_dash = |member: &str| session[member].as_str().unwrap_or("-").to_owned();
        rows.push(vec![
            text(session, "session").chars().take(SHOWN).collect(),
            or_dash("client"),
            or_dash("program"),
            or_dash("profile"),
            or_dash("directory"),
            ago(session["used"].as_u64().unwrap_or_default()),
            texts(&session["choices"]).join(" "),
        ]);
    }
    table(&rows)
}
