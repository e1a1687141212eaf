//! `janus secret`: what the vault holds. Values go in by a prompt or a pipe, never as an argument.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that a JSON value does not have is null"
)]

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::control::Control;
use super::table::{ago, table, text, texts};
use super::{Context, Exit, Failure, prompt};
use crate::daemon;
use crate::model::SecretName;
use crate::store::private;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the secrets without their values, and who uses them.
    #[command(alias = "ls")]
    List,
    /// Set a secret: typed at a prompt without echo, or piped in.
    Set {
        /// What to call it: a-z, 0-9, `_`, `.` and `-`.
        name: String,
    },
    /// Remove a secret.
    #[command(aliases = ["rm", "delete"])]
    Remove {
        /// The secret.
        name: String,
    },
    /// Have the daemon try every reference of the configuration anew; commands are run.
    Check,
    /// Show a secret on this terminal.
    Reveal {
        /// The secret.
        name: String,
    },
    /// Write all secrets to a file, encrypted with a passphrase.
    Export(Export),
    /// Take in the secrets of such a file.
    Import(Import),
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// The file to make; `-` is standard output.
    file: PathBuf,
    /// Read the passphrase from this file instead of asking.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file to read.
    file: PathBuf,
    /// Replace secrets that are there already.
    #[arg(long)]
    replace: bool,
    /// Read the passphrase from this file instead of asking.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

pub(super) fn run(verb: &Verb, context: &Context) -> Result<Exit, Failure> {
    let ask = |method, path, body: Option<&Value>| {
        Control::new(context).vault(context, method, path, body)
    };
    match verb {
        Verb::List => {
            let listed = ask(Method::GET, "/secrets", None)?;
            let shown = listed.clone();
            context
                .output
                .document("secret-list", listed, || list(&shown))?;
        }
        Verb::Set { name } => {
            legal(name)?;
            let value = prompt::secret(
                context,
                &format!("value of `{name}` (it is not shown): "),
                "type it when asked, or pipe it in:  printf %s \"$VALUE\" | janus secret set NAME",
            )?;
            let body = json!({"name": name, "value": value.as_str()});
            let set = ask(Method::POST, "/secret/set", Some(&body))?;
            let users = texts(&set["used_by"]);
            if value.contains('\n') {
                context
                    .output
                    .note("note: it has several lines; headers, tokens and variables take one");
            }
            context
                .output
                .document("secret-set", set, || match users.as_slice() {
                    [] => format!(
                        "`{name}` is in the vault; write `vault:{name}` where it is needed\n"
                    ),
                    users => format!("`{name}` is in the vault; used by {}\n", users.join(", ")),
                })?;
        }
        Verb::Remove { name } => {
            legal(name)?;
            let removed = ask(Method::POST, "/secret/remove", Some(&json!({"name": name})))?;
            let users = texts(&removed["used_by"]);
            context.output.document("secret-remove", removed, || {
                format!("`{name}` is removed\n")
            })?;
            if !users.is_empty() {
                context
                    .output
                    .note(&format!("note: {} cannot act without it", users.join(", ")));
            }
        }
        Verb::Check => return check(context),
        Verb::Reveal { name } => reveal(&legal(name)?, context)?,
        Verb::Export(export) => export.run(context)?,
        Verb::Import(import) => import.run(context)?,
    }
    Ok(Exit::Done)
}

fn legal(name: &str) -> Result<SecretName, Failure> {
    SecretName::new(name).map_err(|bad| {
        Failure::new(Exit::Usage, "usage", bad.to_string())
            .help("janus secret set NAME        # the value is asked for, or piped in")
    })
}

fn list(listed: &Value) -> String {
    let mut rows = vec![["SECRET", "SET", "USED BY"].map(str::to_owned).to_vec()];
    let secrets = listed["secrets"].as_array().into_iter().flatten();
    for secret in secrets {
        let updated = secret["updated"].as_u64().unwrap_or_default();
        rows.push(vec![
            text(secret, "name"),
            ago(updated),
            texts(&secret["used_by"]).join(" "),
        ]);
    }
    for missing in listed["missing"].as_array().into_iter().flatten() {
        rows.push(vec![
            text(missing, "name"),
            "missing".to_owned(),
            texts(&missing["used_by"]).join(" "),
        ]);
    }
    let state = super::vault::line(&listed["vault"]);
    if rows.len() == 1 {
        return format!("{state}no secrets yet:  janus secret set NAME\n");
    }
    format!("{state}{}", table(&rows))
}

/// Fails if one reference leads nowhere.
fn check(context: &Context) -> Result<Exit, Failure> {
    let checked = Control::patient(context).get("/references")?;
    let rows = checked["references"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let all_fine = rows.iter().all(|row| row["outcome"]["ok"] == true);
    context.output.document("secret-check", checked, || {
        let lines = rows.iter().map(|row| {
            let users = texts(&row["used_by"]).join(" ");
            let reference = text(row, "reference");
            if row["outcome"]["ok"] == true {
                format!("✔ {reference}   {users}\n")
            } else {
                let (why, help) = (
                    text(&row["outcome"], "because"),
                    text(&row["outcome"], "help"),
                );
                format!("✘ {reference}   {users}\n  {why}\n  help:  {help}\n")
            }
        });
        let lines: String = lines.collect();
        if lines.is_empty() {
            "no references in the configuration\n".to_owned()
        } else {
            lines
        }
    })?;
    Ok(if all_fine {
        Exit::Done
    } else {
        Exit::NeedsLogin
    })
}

/// The one way a secret comes out, and only to somebody who sits there.
fn reveal(name: &SecretName, context: &Context) -> Result<(), Failure> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::new(
            Exit::Refused,
            "denied",
            "a secret is shown on a terminal only",
        )
        .help("for programs: `vault:` references, or  janus secret export FILE"));
    }
    let settings = context.settings()?;
    let revealed = super::serve::runtime()?.block_on(daemon::reveal(&settings, name));
    let secret = revealed.map_err(|why| {
        let exit = match &why {
            daemon::NotRevealed::NotThere(_) => Exit::NeedsLogin,
            daemon::NotRevealed::Unusable(_) => Exit::Failed,
        };
        Failure::new(exit, "sealed", why.to_string()).help("janus vault status")
    })?;
    context.output.data(secret.expose())
}

impl Export {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        let to_stdout = self.file == Path::new("-");
        if to_stdout && io::stdout().is_terminal() {
            return Err(Failure::new(
                Exit::Usage,
                "usage",
                "this would fill the terminal with ciphertext",
            ));
        }
        let passphrase = given(self.passphrase_file.as_deref(), context, true)?;
        let body = json!({"passphrase": passphrase.as_str()});
        let control = Control::new(context);
        let made = control.vault(context, Method::POST, "/secret/export", Some(&body))?;
        let bytes = STANDARD
            .decode(text(&made, "file"))
            .map_err(|error| Failure::from(anyhow::Error::from(error)))?;
        let failed = |error: io::Error| {
            Failure::from(anyhow::Error::from(error)).place(self.file.display().to_string())
        };
        if to_stdout {
            return io::stdout().lock().write_all(&bytes).map_err(failed);
        }
        let mut file = private::create(&self.file).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                failed(error).help("name another file; one that is there is not written over")
            }
            _ => failed(error),
        })?;
        file.write_all(&bytes)
            .and_then(|()| file.sync_all())
            .map_err(failed)?;
        let file = self.file.display().to_string();
        let fields = json!({"secrets": made["secrets"], "file": file});
        let count = made["secrets"].clone();
        context.output.document("secret-export", fields, || {
            format!("{count} secrets are in {file}, encrypted (age): keep the passphrase, nothing else opens it\n")
        })
    }
}

impl Import {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        let bytes = std::fs::read(&self.file).map_err(|error| {
            Failure::from(anyhow::Error::from(error)).place(self.file.display().to_string())
        })?;
        let passphrase = given(self.passphrase_file.as_deref(), context, false)?;
        let body = json!({
            "passphrase": passphrase.as_str(),
            "file": STANDARD.encode(bytes),
            "replace": self.replace,
        });
        let control = Control::new(context);
        let done = control.vault(context, Method::POST, "/secret/import", Some(&body))?;
        let (set, kept) = (texts(&done["set"]), texts(&done["kept"]));
        context.output.document("secret-import", done, || {
            let mut said = format!(
                "set: {}\n",
                if set.is_empty() {
                    "nothing".to_owned()
                } else {
                    set.join(" ")
                }
            );
            if !kept.is_empty() {
                said.push_str("there already, and left as they are: ");
                said.push_str(&kept.join(" "));
                said.push_str("   (--replace)\n");
            }
            said
        })
    }
}

fn given(
    file: Option<&Path>,
    context: &Context,
    new: bool,
) -> Result<zeroize::Zeroizing<String>, Failure> {
    let Some(file) = file else {
        return prompt::passphrase(context, new);
    };
    let text = std::fs::read_to_string(file).map(zeroize::Zeroizing::new);
    let text = text.map_err(|error| {
        Failure::from(anyhow::Error::from(error)).place(file.display().to_string())
    })?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        let said = "the file with the passphrase is empty";
        return Err(Failure::new(Exit::Usage, "usage", said).place(file.display().to_string()));
    }
    Ok(zeroize::Zeroizing::new(text.to_owned()))
}
