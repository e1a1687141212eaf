//! `janus config migrate-secrets`: secrets leave the configuration for the vault.
//!
//! Invariant: a value is in the vault before it leaves the file, and is shown nowhere.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that a JSON value does not have is null"
)]

use std::path::Path;

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::control::Control;
use super::table::text;
use super::{Context, Exit, Failure, keys};
use crate::config::{self, edit};
use crate::model::Settings;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Change the configuration without asking.
    #[arg(short, long)]
    yes: bool,
    /// Only say what would be moved.
    #[arg(long)]
    dry_run: bool,
}

/// A value and the reference that takes its place.
struct Moved<'a> {
    literal: &'a edit::Literal,
    reference: String,
    /// The name to store it under; nothing where it is in the environment, or under another name already.
    store: Option<String>,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let path = context.location()?.path;
    let place = path.display().to_string();
    let before = std::fs::read_to_string(&path)
        .map_err(|error| Failure::from(anyhow::Error::from(error)).place(place.as_str()))?;
    let not_edited = |why: edit::NotEdited| not_edited(&why, &place);
    let literals = edit::literals(&before).map_err(not_edited)?;
    if literals.is_empty() {
        return context
            .output
            .document("config-migrate-secrets", json!({"moved": []}), || {
                "no secrets are written out\n".to_owned()
            });
    }
    let control = Control::new(context);
    let running = control.get("/vault").is_ok();
    let settings = supposed(&before, &literals, &path, context)?;
    let ask = |method: Method, path: &str, body: Option<&Value>| {
        if running {
            control.vault(context, method, path, body)
        } else {
            Control::vault_at(&settings, method, path, body)
        }
    };
    let there = ask(Method::GET, "/secrets", None)?;
    let there = there["secrets"].as_array().into_iter().flatten();
    let moved = named(&literals, there.map(|one| text(one, "name")).collect());
    let references = moved
        .iter()
        .map(|one| (one.literal.at, one.reference.clone()))
        .collect();
    let after = edit::with_references(&before, &references).map_err(not_edited)?;
    config::parse(&after, &path, &context.environment)?;
    context.output.note(&format!("changes in {place}:"));
    for one in &moved {
        context.output.note(&format!(
            "  line {}: {} → {}",
            one.literal.at.line, one.literal.path, one.reference
        ));
    }
    if arguments.dry_run {
        return Ok(());
    }
    if !arguments.yes && !keys::agreed(context)? {
        return Err(Failure::new(
            Exit::Refused,
            "declined",
            "nothing was changed",
        ));
    }
    for one in &moved {
        if let Some(name) = &one.store {
            let body = json!({"name": name, "value": one.literal.value.expose()});
            ask(Method::POST, "/secret/set", Some(&body))?;
        }
    }
    write(&path, &before, &after)?;
    if running {
        control.post("/reload", &json!({}))?;
    }
    let paths: Vec<Value> = moved
        .iter()
        .map(|one| json!({"path": one.literal.path, "reference": one.reference}))
        .collect();
    let count = paths.len();
    context.output.document("config-migrate-secrets", json!({"moved": paths}), || {
        format!("{count} moved; copies of the file from before (backups, version control) still have them\n")
    })
}

/// The settings as they are once the secrets are out: the vault can be asked while the file is wrong.
fn supposed(
    text: &str,
    literals: &[edit::Literal],
    path: &Path,
    context: &Context,
) -> Result<Settings, Failure> {
    let references = literals.iter().map(|one| (one.at, "vault:x".to_owned()));
    let text = edit::with_references(text, &references.collect())
        .map_err(|why| not_edited(&why, &path.display().to_string()))?;
    Ok(config::parse(&text, path, &context.environment)?.settings)
}

/// The same of the configuration as it is, for who wants to set a secret before taking it out of the file.
pub(super) fn settings(context: &Context) -> Result<Settings, Failure> {
    let wrong = match context.settings() {
        Ok(settings) => return Ok(settings),
        Err(wrong) => wrong,
    };
    let path = context.location()?.path;
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let literals = edit::literals(&text).unwrap_or_default();
    supposed(&text, &literals, &path, context).map_err(|_| wrong)
}

/// A name for each value, and one for values that are the same.
fn named(literals: &[edit::Literal], mut taken: Vec<String>) -> Vec<Moved<'_>> {
    let mut moved: Vec<Moved<'_>> = Vec::new();
    for literal in literals {
        let known = moved
            .iter()
            .find(|one| one.store.is_some() && one.literal.value == literal.value);
        let (reference, store) = match (&literal.variable, known) {
            (Some(variable), _) => (format!("env:{variable}"), None),
            (None, Some(known)) => (known.reference.clone(), None),
            (None, None) => {
                let name = free(&literal.name, &taken);
                taken.push(name.clone());
                (format!("vault:{name}"), Some(name))
            }
        };
        moved.push(Moved {
            literal,
            reference,
            store,
        });
    }
    moved
}

/// A name that nothing has: a secret that is there is not written over.
fn free(name: &str, taken: &[String]) -> String {
    let is_free = |name: &String| !taken.contains(name);
    let mut numbered = (2..).map(|number| format!("{name}_{number}"));
    let first = name.to_owned();
    if is_free(&first) {
        first
    } else {
        numbered.find(is_free).unwrap_or(first)
    }
}

fn write(path: &Path, before: &str, after: &str) -> Result<(), Failure> {
    let place = path.display().to_string();
    let now = std::fs::read_to_string(path).unwrap_or_default();
    if now != before {
        let said = "the file changed meanwhile and was not written; the secrets are in the vault";
        return Err(Failure::new(Exit::Failed, "not_edited", said).place(place));
    }
    edit::write_whole(path, after)
        .map_err(|error| Failure::from(anyhow::Error::from(error)).place(place))
}

fn not_edited(why: &edit::NotEdited, place: &str) -> Failure {
    let said = match why {
        edit::NotEdited::ByHand { .. } => {
            "a secret is written in a way that only a person can change".to_owned()
        }
        other => other.to_string(),
    };
    let failure = Failure::new(Exit::Failed, "not_edited", said).place(place);
    match why {
        edit::NotEdited::ByHand { help } => help.lines().fold(failure, Failure::help),
        _ => failure,
    }
}
