//! `janus client`: the programs that connect, and their access keys.
//!
//! A key is shown once. What a client may reach is written in `clients:` of the configuration; `add` and `remove` edit
//! that section, keep everything else of the file as it is, and show the lines first.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that a JSON value does not have is null"
)]

use std::io::{self, BufRead, IsTerminal};
use std::path::Path;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::control::Control;
use super::known::unknown;
use super::table::{ago, table, text, texts};
use super::{Context, Exit, Failure};
use crate::config::edit;
use crate::model::{ClientId, Identity, ProfileName};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the clients, their keys and when those were used.
    #[command(alias = "ls")]
    List,
    /// Make an access key for a client; one that is new is added to the configuration. With --profile its keys are tied to
    /// that profile.
    Add(Add),
    /// Make a new key for a client and end the ones it has.
    Rotate {
        /// The client.
        name: String,
    },
    /// End the keys of a client and its sessions. It can come again with a new key: only `remove` shuts it out.
    Revoke {
        /// The client.
        name: String,
    },
    /// End the keys of a client and take it out of the configuration.
    #[command(aliases = ["rm", "delete"])]
    Remove(Remove),
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// What to call it: a-z, 0-9, - and _.
    name: String,
    /// Refuse its keys from this day on: 2027-03-01.
    #[arg(long, value_name = "DATE")]
    expires: Option<String>,
    /// Change the configuration without asking.
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct Remove {
    /// The client.
    name: String,
    /// Change the configuration without asking.
    #[arg(short, long)]
    yes: bool,
}

pub(super) fn run(verb: &Verb, context: &Context) -> Result<Exit, Failure> {
    let control = Control::new(context);
    match verb {
        Verb::List => {
            let listed = control.get("/clients")?;
            let shown = listed.clone();
            context
                .output
                .document("client-list", listed, || list(&shown))?;
        }
        Verb::Add(add) => add.run(&control, context)?,
        Verb::Rotate { name } => {
            let made = control.post("/client/key", &json!({"client": name, "rotate": true}))?;
            show_key(&made, context)?;
        }
        Verb::Revoke { name } => {
            let ended = control.post("/client/end", &json!({"client": name}))?;
            said(&ended, context)?;
        }
        Verb::Remove(remove) => remove.run(&control, context)?,
    }
    Ok(Exit::Done)
}

impl Add {
    fn run(&self, control: &Control, context: &Context) -> Result<(), Failure> {
        let name = legal(&self.name)?;
        // Only what is said here: a variable of the surroundings ties no key.
        let tied = context.global.profile.clone();
        // Nothing is written for a daemon that could not take it over.
        let before = control.get("/clients")?;
        let known = before["clients"].as_array().into_iter().flatten();
        if !known
            .into_iter()
            .any(|client| client["client"] == self.name.as_str())
        {
            let tied = tied.as_deref().map(ProfileName::new).transpose();
            let profiles: Vec<ProfileName> = tied.map_err(bad_name)?.into_iter().collect();
            let change =
                |text: &str| edit::add_client(text, &name, &profiles, self.expires.as_deref());
            // What is wrong with the argument is nothing of the file.
            if let (Some(profile), Ok(settings)) = (profiles.first(), context.settings())
                && let Some(failure) = no_profile(profile, &settings.identity)
            {
                return Err(failure);
            }
            if before["keys_required"] != true {
                context.output.note("note: from now on every client needs a key, also those that work without one today");
            }
            rewrite(control, context, self.yes, change)?;
            control.post("/reload", &json!({}))?;
        } else if tied.is_some() || self.expires.is_some() {
            let said = format!(
                "`{}` is in the configuration already; what it is tied to is changed there",
                self.name
            );
            return Err(Failure::new(Exit::Usage, "usage", said).help("janus config path"));
        }
        let made = control.post("/client/key", &json!({"client": self.name}))?;
        show_key(&made, context)
    }
}

impl Remove {
    fn run(&self, control: &Control, context: &Context) -> Result<(), Failure> {
        let name = legal(&self.name)?;
        control.get("/clients")?;
        rewrite(control, context, self.yes, |text| {
            edit::remove_client(text, &name)
        })?;
        // First: who still is a client could come again in between. Its keys end also where the file cannot be read.
        let reloaded = control.post("/reload", &json!({}));
        let ended = control.post("/client/end", &json!({"client": self.name}))?;
        reloaded?;
        let left = control.get("/clients")?;
        if left["clients"].as_array().is_some_and(Vec::is_empty) {
            context.output.note(
                "note: no client is left, and every client still needs a key; take `clients:` out to let programs in without one",
            );
        }
        said(&ended, context)
    }
}

/// That the configuration has no profile of this name, if so.
fn no_profile(name: &ProfileName, identity: &Identity) -> Option<Failure> {
    let known = identity.profiles.iter().map(|profile| &profile.name);
    let known: Vec<String> = known.map(ToString::to_string).collect();
    let failure = unknown(("profile", "profile_unknown"), name.as_str(), &known)?;
    Some(failure.sent("nothing").help("janus profile list"))
}

/// Changes the configuration, after showing how.
fn rewrite(
    control: &Control,
    context: &Context,
    yes: bool,
    change: impl FnOnce(&str) -> Result<String, edit::NotEdited>,
) -> Result<(), Failure> {
    let path = context.location()?.path;
    let status = control.get("/status")?;
    let theirs = text(&status, "config");
    if !theirs.is_empty() && !is_same(Path::new(&theirs), &path) {
        let said =
            format!("the daemon that runs reads {theirs}, and this would change another file");
        return Err(Failure::new(Exit::Usage, "usage", said)
            .place(path.display().to_string())
            .help("name it:  --config FILE"));
    }
    let before = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(Failure::from(anyhow::Error::from(error)).place(path.display().to_string()));
        }
    };
    let after = change(&before).map_err(|not_edited| {
        let failure = Failure::new(Exit::Failed, "not_edited", not_edited.to_string());
        let failure = failure.place(path.display().to_string());
        match not_edited {
            edit::NotEdited::ByHand { help } => help.lines().fold(failure, Failure::help),
            _ => failure,
        }
    })?;
    // A file that is not good after the change is not written.
    crate::config::parse(&after, &path, &context.environment)?;
    context
        .output
        .note(&format!("changes in {}:", path.display()));
    for line in changed(&before, &after) {
        context.output.note(&line);
    }
    if !yes && !agreed(context)? {
        return Err(Failure::new(
            Exit::Refused,
            "declined",
            "nothing was changed",
        ));
    }
    let now = std::fs::read_to_string(&path).unwrap_or_default();
    if now != before {
        let said = "the file changed meanwhile; nothing was written";
        return Err(
            Failure::new(Exit::Failed, "not_edited", said).place(path.display().to_string())
        );
    }
    edit::write_whole(&path, &after).map_err(|error| {
        Failure::from(anyhow::Error::from(error)).place(path.display().to_string())
    })
}

/// Whether two paths lead to one file; one that is not there is known by its name.
fn is_same(one: &Path, other: &Path) -> bool {
    let of = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    of(one) == of(other)
}

/// The lines that differ, the old ones first.
fn changed(before: &str, after: &str) -> Vec<String> {
    let (before, after): (Vec<&str>, Vec<&str>) =
        (before.lines().collect(), after.lines().collect());
    let same = before
        .iter()
        .zip(&after)
        .take_while(|(a, b)| a == b)
        .count();
    let rest = before.len().min(after.len()) - same;
    let end = before
        .iter()
        .rev()
        .zip(after.iter().rev())
        .take(rest)
        .take_while(|(a, b)| a == b)
        .count();
    let middle = |lines: &[&str], sign: &str| -> Vec<String> {
        let lines = lines.get(same..lines.len() - end).unwrap_or_default();
        lines.iter().map(|line| format!("{sign} {line}")).collect()
    };
    [middle(&before, "-"), middle(&after, "+")].concat()
}

pub(super) fn agreed(context: &Context) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() || context.output.is_json() {
        return Err(Failure::new(Exit::Usage, "usage", "there is nobody to ask")
            .help("agree in advance:  --yes"));
    }
    context.output.note("change it? [y/N]");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn legal(name: &str) -> Result<ClientId, Failure> {
    ClientId::new(name).map_err(bad_name)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the form that `map_err` wants"
)]
fn bad_name(bad: crate::model::BadName) -> Failure {
    Failure::new(Exit::Usage, "usage", bad.to_string())
}

/// The one time the key is seen.
fn show_key(made: &Value, context: &Context) -> Result<(), Failure> {
    let key = text(made, "key");
    let client = text(made, "client");
    context
        .output
        .document("client-key", made.clone(), || key)?;
    context.output.note(&format!(
        "the access key of `{client}`; it is not shown again. Send it as `Authorization: Bearer KEY`, or set JANUS_KEY"
    ));
    Ok(())
}

fn said(ended: &Value, context: &Context) -> Result<(), Failure> {
    let text = format!(
        "{} of `{}` ended",
        match ended["ended"].as_u64() {
            Some(1) => "1 key".to_owned(),
            count => format!("{} keys", count.unwrap_or_default()),
        },
        text(ended, "client")
    );
    context
        .output
        .document("client-end", ended.clone(), || text)
}

/// The day in UTC, and whether it is over.
fn expiry(seconds: u64) -> String {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let day = crate::config::spelled_moment(at);
    let is_over = at <= SystemTime::now();
    format!("{day}{}", if is_over { " (over)" } else { "" })
}

fn list(listed: &Value) -> String {
    if listed["keys_required"] != true {
        return "no `clients:` in the configuration: any program of this user may connect, without a key\n".to_owned();
    }
    let head = [
        "CLIENT", "TIED TO", "EXPIRES", "KEY", "KIND", "MADE", "USED",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for client in listed["clients"].as_array().into_iter().flatten() {
        let tied = texts(&client["profiles"]);
        let tied = if tied.is_empty() {
            "-".to_owned()
        } else {
            tied.join(" ")
        };
        let expires = client["expires"]
            .as_u64()
            .map_or_else(|| "-".to_owned(), expiry);
        let keys = client["keys"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        if keys.is_empty() {
            rows.push(vec![
                text(client, "client"),
                tied.clone(),
                expires.clone(),
                "none".to_owned(),
            ]);
        }
        for key in keys {
            let used = key["used"].as_u64().map_or_else(|| "never".to_owned(), ago);
            rows.push(vec![
                text(client, "client"),
                tied.clone(),
                expires.clone(),
                text(key, "id"),
                text(key, "kind"),
                ago(key["made"].as_u64().unwrap_or_default()),
                used,
            ]);
        }
    }
    table(&rows)
}
