//! `janus config`: look at the configuration and check it. Nothing here needs a daemon.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that a JSON value does not have is null"
)]

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Context, Exit, Failure};
use crate::config::{self, Warning};
use crate::model::{Account, Auth, Reference, Settings};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Check the configuration; every mistake at once.
    Validate,
    /// Print the JSON Schema of the configuration.
    Schema,
    /// Print which file is read.
    Path,
    /// Tell the daemon that runs to read the configuration again.
    Reload,
    /// Print the settings in force: defaults filled in, values masked.
    #[command(alias = "get")]
    Show,
    /// Move the secrets that are written out to the vault, and write references in their place.
    MigrateSecrets(super::migrate::Arguments),
}

pub(super) fn run(verb: &Verb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        Verb::Validate => validate(context)?,
        Verb::Schema => context.output.data(&format!("{:#}", config::schema()))?,
        Verb::Path => path(context)?,
        Verb::Reload => reload(context)?,
        Verb::Show => show(context)?,
        Verb::MigrateSecrets(arguments) => super::migrate::run(arguments, context)?,
    }
    Ok(Exit::Done)
}

fn validate(context: &Context) -> Result<(), Failure> {
    let place = context.location()?.path.display().to_string();
    let loaded = context.loaded()?;
    let (enabled, disabled) = (loaded.settings.servers.len(), loaded.disabled.len());
    let exists = loaded.settings.file.is_some();
    let warnings: Vec<Value> = loaded
        .warnings
        .iter()
        .map(|warning| {
            json!({
                "message": warning.message,
                "where": warned_at(warning, &place),
                "help": warning.help,
            })
        })
        .collect();
    let mut notes = super::catalog::offers(&loaded, context)?;
    notes.extend(no_vault(&loaded.settings)?);
    let fields = json!({ "file": exists.then_some(&place), "servers": enabled, "disabled": disabled, "warnings": warnings, "notes": notes });
    context.output.document("config-validate", fields, || {
        let file = if exists {
            place.clone()
        } else {
            format!("no file {place}, which is no mistake")
        };
        let noun = if enabled == 1 { "server" } else { "servers" };
        let off = if disabled > 0 {
            format!(", and {disabled} not enabled")
        } else {
            String::new()
        };
        let warnings: String = loaded
            .warnings
            .iter()
            .map(|one| warned(one, &place))
            .collect();
        let notes = notes.iter().flat_map(|note| ["note: ", note, "\n"]);
        let notes: String = notes.collect();
        format!("{warnings}{notes}ok: {file}\nok: {enabled} {noun}{off}")
    })
}

/// That logins and secrets cannot be kept, where an account has one and nothing here could have the vault's key.
fn no_vault(settings: &Settings) -> Result<Option<String>, Failure> {
    let accounts = || settings.servers.iter().flat_map(|server| &server.accounts);
    let logs_in =
        |account: &Account| matches!(account.auth.how, Auth::OAuth(_)) && account.logs_in();
    let has_secret = |account: &Account| {
        let mut references = account.references();
        references.any(|reference| matches!(reference, Reference::Vault(_)))
    };
    if !accounts().any(|account| logs_in(account) || has_secret(account)) {
        return Ok(None);
    }
    let asked = crate::vault::no_place(&settings.vault);
    let found = super::serve::runtime()?.block_on(asked);
    Ok(found.map(|(why, ways)| {
        format!(
            "logins and secrets could not be kept from here, because the vault has no place for its key: {why} (janus help headless); {}",
            ways.join("; ")
        )
    }))
}

fn reload(context: &Context) -> Result<(), Failure> {
    let reloaded = super::control::Control::new(context).post("/reload", &json!({}))?;
    let notes = super::table::texts(&reloaded["notes"]);
    context.output.document("config-reload", reloaded, || {
        let notes: Vec<String> = notes.iter().map(|note| format!("note: {note}\n")).collect();
        let notes = notes.concat();
        format!("ok: the configuration was read again\n{notes}")
    })
}

/// A warning as people read it, in the form of an error.
fn warned(warning: &Warning, file: &str) -> String {
    let help = warning.help.iter().map(|help| format!("  help:  {help}\n"));
    let head = format!(
        "warning: {}\n  where: {}\n",
        warning.message,
        warned_at(warning, file)
    );
    std::iter::once(head).chain(help).collect()
}

/// The place of a warning: file, line, column and key.
pub(super) fn warned_at(warning: &Warning, file: &str) -> String {
    let place = &warning.place;
    format!("{file}:{} ({})", place.position, place.path)
}

fn path(context: &Context) -> Result<(), Failure> {
    let location = context.location()?;
    let path = location.path.display().to_string();
    let exists = location.path.exists();
    let fields = json!({ "path": path, "named_by": location.named.to_string(), "exists": exists });
    context
        .output
        .document("config-path", fields, || path.clone())?;
    if !exists {
        context.output.note("this file does not exist");
    }
    Ok(())
}

fn show(context: &Context) -> Result<(), Failure> {
    let settings = config::effective(&context.loaded()?);
    let text = serde_yaml::to_string(&settings).map_err(|error| {
        Failure::from(anyhow::Error::new(error).context("cannot write the settings as YAML"))
    })?;
    context.output.document("config-show", settings, || text)
}
