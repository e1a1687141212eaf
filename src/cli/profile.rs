//! `janus profile`: which accounts belong together.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that a JSON value does not have is null"
)]

use clap::Subcommand;
use serde_json::{Value, json};

use super::control::Control;
use super::table::{table, text, texts};
use super::{Context, Exit, Failure, whoami};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the profiles.
    #[command(alias = "ls")]
    List,
    /// Show what a profile reaches: its accounts and its tools.
    #[command(alias = "get")]
    Show {
        /// The profile.
        name: String,
    },
}

pub(super) fn run(verb: &Verb, context: &Context) -> Result<Exit, Failure> {
    let control = Control::new(context);
    match verb {
        Verb::List => {
            let listed = control.get("/profiles")?;
            let shown = listed["profiles"].clone();
            context
                .output
                .document("profile-list", listed, || list(&shown))?;
        }
        Verb::Show { name } => {
            let profile = control.post("/profile", &json!({"name": name}))?;
            let shown = profile.clone();
            context
                .output
                .document("profile-show", profile, || show(&shown))?;
        }
    }
    Ok(Exit::Done)
}

fn list(profiles: &Value) -> String {
    let head = ["PROFILE", "SWITCHING", "", "ACCOUNTS"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for profile in profiles.as_array().into_iter().flatten() {
        let marks = [("default", "default"), ("guarded", "guarded")];
        let marks = marks
            .into_iter()
            .filter(|(member, _)| profile[*member] == true);
        let marks: Vec<&str> = marks.map(|(_, word)| word).collect();
        rows.push(vec![
            text(profile, "name"),
            text(profile, "switching"),
            marks.join(" "),
            texts(&profile["accounts"]).join(" "),
        ]);
    }
    table(&rows)
}

fn show(profile: &Value) -> String {
    let tools: Vec<String> = texts(&profile["tools"])
        .iter()
        .map(|tool| format!("  {tool}\n"))
        .collect();
    format!("{}\ntools\n{}", whoami::choices(profile), tools.concat())
}
