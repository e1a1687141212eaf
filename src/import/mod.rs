//! Configurations of other programs, made into servers, accounts and profiles of Janus.
//!
//! Text in, values and text out: what is read, asked and written is the business of `cli`. The way is `tree` (the text
//! as values), one reader for each source (`servers`, `janusmcp`, `mcpmux`), which give entries; `group` finds the
//! entries that are accounts of one server, `settle` writes what they say in the words of Janus, `yaml` and `merge`
//! make the text of it.
//!
//! Invariants:
//! - No secret of the source is in a result, a note or an error. What may be one becomes `vault:NAME` or `${NAME}`, and `to_set` says
//!   which value belongs there.
//! - Nothing is dropped silently: what has no counterpart is in `notes`.
//! - Two credentials never become one account, and one name never stands for two things.

mod argument;
mod entry;
mod group;
mod janusmcp;
mod login;
mod mcp_remote;
mod mcpmux;
mod merge;
mod profiles;
mod reference;
mod servers;
mod settle;
mod tree;
mod url;
mod usable;
mod variables;
mod vaulted;
mod words;
mod yaml;

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

use crate::model::{AccountName, ProfileName, SecretName, ServerName, Switching};

pub use merge::{Merged, NotMerged, merge};
pub use reference::{references, secrets, variables};
pub use yaml::document;

use entry::Found;
use variables::Variables;

/// What stands for a variable while the result is checked, before anybody set it: good as a port, a host, a text.
const STAND_IN: &str = "1";

/// The same where a URL begins with the variable.
const STAND_IN_BEGIN: &str = "https://stand.invalid";

/// What a source says, in the words of Janus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// What it was read as.
    pub form: Form,
    /// In the order of the source.
    pub servers: Vec<Server>,
    /// Empty where the source has none.
    pub profiles: Vec<Profile>,
    /// The profile of requests that name none.
    pub default_profile: Option<ProfileName>,
    /// `identity.switching`, where the source says something about it.
    pub switching: Option<Switching>,
    /// The variables to set before Janus can use the result.
    pub to_set: Vec<ToSet>,
    /// What was changed, what was left out, and what is left to do. One line each.
    pub notes: Vec<String>,
}

impl Imported {
    /// A value for each variable with which the result can be checked before the variables are set.
    pub fn stand_ins(&self) -> Vec<(String, &'static str)> {
        let begins_url = |variable: &str| {
            let begin = format!("${{{variable}}}");
            self.servers.iter().any(
                |server| matches!(&server.reach, Reach::Url { url, .. } if url.starts_with(&begin)),
            )
        };
        let value = |variable: &str| {
            if begins_url(variable) {
                STAND_IN_BEGIN
            } else {
                STAND_IN
            }
        };
        let variables = self.to_set.iter().filter(|set| !set.in_vault);
        let variables = variables.map(|set| &set.variable);
        variables
            .map(|variable| (variable.clone(), value(variable)))
            .collect()
    }
}

/// A server of the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name.
    pub name: ServerName,
    /// Where it is, and what is the same for all of its accounts.
    pub reach: Reach,
    /// The login of the one account without a name.
    pub auth: Option<Auth>,
    /// Shown to the model.
    pub description: Option<String>,
    /// `tools.include`; empty: all.
    pub include: Vec<String>,
    /// `tools.exclude`.
    pub exclude: Vec<String>,
    /// Whether Janus uses it.
    pub enabled: bool,
    /// Empty where it has one account without a name.
    pub accounts: Vec<Account>,
    /// The account that is meant where nothing else decides.
    pub default: Option<AccountName>,
}

/// Where a server of the result is. Every text is as the configuration writes it, with `${NAME}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// A remote server.
    Url {
        /// Its URL.
        url: String,
        /// Names and values.
        headers: Vec<(String, String)>,
    },
    /// A local process.
    Command {
        /// The program and its arguments.
        command: Vec<String>,
        /// Names and values.
        env: Vec<(String, String)>,
    },
}

/// An account of a server of the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: AccountName,
    /// What people call it.
    pub label: Option<String>,
    /// What follows the command.
    pub args: Vec<String>,
    /// Names and values, of a process.
    pub env: Vec<(String, String)>,
    /// Names and values, of a remote server.
    pub headers: Vec<(String, String)>,
    /// How it logs in.
    pub auth: Option<Auth>,
}

/// What proves an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// A login, with what the source says about it.
    OAuth {
        /// Keys of `auth.oauth`; without any, everything is found out.
        keys: Vec<(&'static str, Said)>,
        /// The variable of a process that gets the token.
        into: Option<String>,
    },
    /// The token that the vault has under this name.
    Bearer(SecretName),
}

impl Auth {
    fn is_login(&self) -> bool {
        matches!(self, Self::OAuth { .. })
    }
}

/// A value of such a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A text.
    Text(String),
    /// Several.
    List(Vec<String>),
    /// A port.
    Number(u16),
}

/// A profile of the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: ProfileName,
    /// The accounts of each server.
    pub accounts: Vec<(ServerName, Vec<AccountName>)>,
    /// Servers with all of their accounts.
    pub servers: Vec<ServerName>,
}

/// A variable or a secret that the result needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToSet {
    /// Its name.
    pub variable: String,
    /// The account or server that uses it first.
    pub owner: String,
    /// What belongs in it.
    pub what: String,
    /// Whether the source refers to it already, so that it may be set somewhere.
    pub known: bool,
    /// Whether it is a secret of the vault, and no variable.
    pub in_vault: bool,
}

/// The kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A client's file with `mcpServers`, `servers`, `mcp`, `context_servers` or `extensions`.
    McpServers,
    /// JanusMCP's `config.json`.
    JanusMcp,
    /// mcpmux's YAML.
    Mcpmux,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::McpServers => "a client's list of MCP servers",
            Self::JanusMcp => "a JanusMCP configuration",
            Self::Mcpmux => "an mcpmux configuration",
        })
    }
}

/// Why nothing was imported. The person who named the file must act; no message holds a value of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotImported {
    /// There is nothing in it.
    #[error("the file is empty")]
    Empty,
    /// The text is neither JSON nor YAML.
    #[error("line {line}, column {column}: {what}")]
    Syntax {
        /// What is wrong.
        what: String,
        /// Counted from one.
        line: usize,
        /// Counted from one.
        column: usize,
    },
    /// TOML is another language.
    #[error("this looks like TOML, which Janus cannot import yet")]
    Toml,
    /// It is read, and holds no servers.
    #[error("there are no MCP servers in it: {expected}")]
    NoServers {
        /// What would be some.
        expected: &'static str,
    },
    /// A part of the file has another form than its program writes.
    #[error("`{at}` is {found}, where {expected} belongs")]
    WrongType {
        /// The keys that lead there.
        at: String,
        /// What belongs there.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// Two things have one name; which of them is meant, nobody can know.
    #[error("the name `{name}` is there twice in `{at}`")]
    Duplicate {
        /// The list.
        at: &'static str,
        /// The name.
        name: String,
    },
}

/// Reads a file of another program. `taken` are the variables that the configuration refers to already, and those whose
/// names secrets of the vault have.
pub fn read(
    text: &str,
    form: Option<Form>,
    taken: &BTreeSet<String>,
) -> Result<Imported, NotImported> {
    let root = root(text)?;
    let form = form.unwrap_or_else(|| detect(&root));
    let found = match form {
        Form::McpServers => servers::read(&root)?,
        Form::JanusMcp => janusmcp::read(&root)?,
        Form::Mcpmux => mcpmux::read(&root)?,
    };
    let mut names: BTreeSet<String> = references(text);
    names.extend(taken.iter().cloned());
    Ok(imported(form, found, Variables::new(form, names)))
}

/// The map that the file is.
fn root(text: &str) -> Result<Map<String, Value>, NotImported> {
    let begins = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .ok_or(NotImported::Empty)?;
    if begins.starts_with('[') && begins.ends_with(']') && text.contains('=') {
        return Err(NotImported::Toml);
    }
    let json =
        begins.starts_with(['{', '[']) || begins.starts_with("//") || begins.starts_with("/*");
    let value = if json {
        tree::json(text)
    } else {
        tree::yaml(text)
    };
    match value {
        Ok(Value::Object(root)) => Ok(root),
        Ok(Value::Null) => Err(NotImported::Empty),
        Ok(other) => Err(NotImported::WrongType {
            at: "the file".to_owned(),
            expected: "a map",
            found: entry::kind(&other),
        }),
        Err(_) if text.contains("[mcp_servers.") => Err(NotImported::Toml),
        Err(error) => Err(error),
    }
}

fn detect(root: &Map<String, Value>) -> Form {
    let is_list = |key: &str| root.get(key).is_some_and(Value::is_array);
    if is_list("backends") {
        Form::Mcpmux
    } else if is_list("accounts") {
        Form::JanusMcp
    } else {
        Form::McpServers
    }
}

/// The logins that a person has to repeat.
fn logins(servers: &[Server]) -> Option<String> {
    let mut commands = Vec::new();
    for server in servers.iter().filter(|server| server.enabled) {
        if server.auth.as_ref().is_some_and(Auth::is_login) {
            commands.push(format!("`janus login {}`", server.name));
        }
        let logs_in = |one: &&Account| one.auth.as_ref().is_some_and(Auth::is_login);
        for account in server.accounts.iter().filter(logs_in) {
            commands.push(format!("`janus login {}/{}`", server.name, account.name));
        }
    }
    let told = "logins are not taken over, because two owners of one login end it; to repeat:";
    (!commands.is_empty()).then(|| format!("{told} {}", commands.join(", ")))
}

fn imported(form: Form, found: Found, mut variables: Variables) -> Imported {
    let mut notes = found.notes;
    let groups = group::groups(found.entries, &mut notes);
    let (servers, accounts) = settle::servers(groups, &mut variables, &mut notes);
    let mut imported = Imported {
        form,
        servers,
        profiles: Vec::new(),
        default_profile: None,
        switching: found.switching,
        to_set: Vec::new(),
        notes,
    };
    profiles::identity(
        &mut imported,
        &accounts,
        found.default.as_deref(),
        found.profiles,
    );
    let secrets = variables.secrets();
    let (to_set, told) = variables.finish();
    imported.to_set = to_set;
    imported.notes.extend(told);
    vaulted::vaulted(&mut imported, &secrets);
    imported.notes.extend(logins(&imported.servers));
    imported
}
