//! `janus vault`: where the key of the secrets is, and whether they are open.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that a JSON value does not have is null"
)]

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::{Value, json};

use super::control::Control;
use super::table::text;
use super::{Context, Exit, Failure};
use crate::daemon;
use crate::model::KeySource;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show whether the vault is open, and where its key is.
    Status,
    /// Unlock the keyring, which may ask for its password, and open the vault.
    Unlock,
    /// Make a new key and seal everything with it.
    Rekey,
    /// Keep the key in another place too.
    Move(Move),
}

#[derive(Debug, Args)]
pub(super) struct Move {
    /// Where to.
    #[arg(value_enum)]
    to: Target,
    /// The file to make, for `file`.
    #[arg(value_name = "FILE", required_if_eq("to", "file"))]
    key_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    SecretService,
    File,
}

pub(super) fn run(verb: &Verb, context: &Context) -> Result<Exit, Failure> {
    let ask = |method, path, body: Option<&Value>| {
        Control::new(context).vault(context, method, path, body)
    };
    match verb {
        Verb::Status => {
            let status = ask(Method::GET, "/vault", None)?;
            let shown = status.clone();
            context
                .output
                .document("vault-status", status, || page(&shown))?;
        }
        Verb::Unlock => {
            let settings = context.settings()?;
            let unlocked = super::serve::runtime()?.block_on(daemon::unlock_keyring(&settings));
            unlocked.map_err(|why| {
                Failure::new(Exit::NeedsLogin, "sealed", why.to_string())
                    .help("unlock it at the desktop, or log in there; Janus notices by itself")
                    .help("headless:  gnome-keyring-daemon --unlock   # reads the password from standard input")
            })?;
            let status = ask(Method::POST, "/vault/unlock", Some(&json!({})))?;
            let shown = status.clone();
            context
                .output
                .document("vault-unlock", status, || page(&shown))?;
        }
        Verb::Rekey => {
            let done = ask(Method::POST, "/vault/rekey", Some(&json!({})))?;
            let count = done["rekeyed"].clone();
            context.output.document("vault-rekey", done, || {
                format!("{count} secrets are sealed with a new key; copies of the old one open nothing any more\n")
            })?;
        }
        Verb::Move(to) => to.run(context)?,
    }
    Ok(Exit::Done)
}

impl Move {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        let (source, file) = match self.to {
            Target::SecretService => (KeySource::SecretService, None),
            Target::File => (KeySource::File, self.key_file.as_deref()),
        };
        let file = file.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
        let body = json!({"to": source.word(), "key_file": file});
        let moved =
            Control::new(context).vault(context, Method::POST, "/vault/move", Some(&body))?;
        let (place, before) = (text(&moved, "place"), text(&moved["before"], "place"));
        let line = match &file {
            Some(file) => format!("vault: {{ key: file, key_file: {} }}", file.display()),
            None => "vault: { key: secret-service }".to_owned(),
        };
        context.output.document("vault-move", moved, || {
            format!("the key is in {place} as well\nwrite in the configuration:  {line}\nthen:  janus config reload, and janus vault status, which names the place that counts\nand remove it from {before}\n")
        })
    }
}

/// One line about the vault, for lists.
pub(super) fn line(vault: &Value) -> String {
    match vault["state"].as_str() {
        Some("sealed") => format!(
            "the vault is sealed: {}   ({})\n",
            text(vault, "because"),
            text(vault, "help")
        ),
        _ => String::new(),
    }
}

fn page(vault: &Value) -> String {
    let state = match text(vault, "state").as_str() {
        "empty" if vault["because"].is_null() => "empty: the first secret makes it".to_owned(),
        other if vault["because"].is_null() => other.to_owned(),
        "open" => format!(
            "open, and sealed after the next start: {}",
            text(vault, "because")
        ),
        other => format!("{other}: {}", text(vault, "because")),
    };
    let help = vault["help"].as_str();
    let help = help.map_or_else(String::new, |help| format!("help     {help}\n"));
    format!(
        "vault    {state}\nkey      {}   ({})\nsecrets  {}\n{help}",
        text(vault, "place"),
        text(vault, "key"),
        vault["secrets"],
    )
}
