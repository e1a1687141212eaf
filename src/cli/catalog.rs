//! `janus catalog`: the templates there are, built in and beside the configuration. Nothing here needs a daemon.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::table::table;
use super::{Context, Exit, Failure};
use crate::config::{self, CatalogEntry, ConfigError};

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Your own go to templates/*.yaml beside the configuration: `janus help templates` has every key."
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Only those whose accounts can prove who they are like this.
    #[arg(long, value_name = "HOW")]
    auth: Option<How>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print all that is known of one, and the lines to copy.
    Show {
        /// The template.
        name: String,
    },
}

/// How accounts prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum How {
    /// By a login.
    Oauth,
    /// By a secret that a person makes at the provider.
    Key,
    /// By a tool that holds a login.
    Command,
    /// Not at all.
    None,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let entries = config::catalog(&context.location()?, &context.environment)?;
    match &arguments.verb {
        Some(Verb::Show { name }) => show(name, &entries, context)?,
        None => list(arguments.auth, &entries, context)?,
    }
    Ok(Exit::Done)
}

fn list(auth: Option<How>, entries: &[CatalogEntry], context: &Context) -> Result<(), Failure> {
    let chosen = || {
        entries
            .iter()
            .filter(|entry| auth.is_none_or(|how| how.is_of(entry)))
    };
    let templates: Vec<Value> = chosen()
        .map(|entry| {
            json!({
                "name": entry.name,
                "title": entry.title,
                "url": entry.url,
                "login": entry.ways.login,
                "key": entry.ways.key,
                "command": entry.ways.helper,
                "verified": entry.verified,
                "file": file(entry),
            })
        })
        .collect();
    context
        .output
        .document("catalog", json!({ "templates": templates }), || {
            let head = ["NAME", "TITLE", "LOGIN", "WITHOUT", "VERIFIED"].map(str::to_owned);
            let rows = chosen().map(|entry| {
                vec![
                    entry.name.clone(),
                    entry.title.clone(),
                    entry.ways.login.unwrap_or("-").to_owned(),
                    without(entry).to_owned(),
                    if entry.file.is_some() {
                        "your own"
                    } else {
                        entry.verified
                    }
                    .to_owned(),
                ]
            });
            let rows: Vec<Vec<String>> = std::iter::once(head.to_vec()).chain(rows).collect();
            format!(
                "{}\njanus catalog show NAME    # what is known of it, and the lines to copy\n",
                table(&rows)
            )
        })
}

fn without(entry: &CatalogEntry) -> &'static str {
    match (entry.ways.key, entry.ways.helper) {
        (true, true) => "key, command",
        (true, false) => "key",
        (false, true) => "command",
        (false, false) => "-",
    }
}

fn file(entry: &CatalogEntry) -> Option<String> {
    entry.file.as_ref().map(|file| file.display().to_string())
}

fn show(name: &str, entries: &[CatalogEntry], context: &Context) -> Result<(), Failure> {
    let Some(entry) = entries.iter().find(|entry| entry.name == name) else {
        return Err(unknown(name, entries));
    };
    let about = serde_yaml::to_string(&entry.about).map_err(|error| {
        Failure::from(anyhow::Error::new(error).context("cannot write the template as YAML"))
    })?;
    let fields = json!({
        "name": entry.name,
        "login": entry.ways.login,
        "file": file(entry),
        "template": entry.about,
        "lines": entry.lines,
    });
    context.output.document("catalog-show", fields, || {
        let from = file(entry).map_or_else(|| "built in".to_owned(), |file| format!("of {file}"));
        let tried = match entry.verified {
            "reported" => "; nobody of Janus has tried it: these are the sources' words",
            _ => "",
        };
        let login = entry
            .ways
            .login
            .map_or_else(String::new, |login| format!("# login: {login}\n"));
        format!(
            "# {}, {from}{tried}\n{login}{about}\n# To copy:\n{}",
            entry.name, entry.lines
        )
    })
}

fn unknown(name: &str, entries: &[CatalogEntry]) -> Failure {
    let message = format!("there is no template `{name}`");
    let failure = Failure::new(Exit::Usage, "unknown_name", message);
    let distance = |entry: &&CatalogEntry| strsim::damerau_levenshtein(name, &entry.name);
    match entries
        .iter()
        .min_by_key(distance)
        .filter(|entry| distance(entry) <= 3)
    {
        Some(near) => failure.help(format!("did you mean `{}`?", near.name)),
        None => failure.help("see which there are:  janus catalog"),
    }
}

impl How {
    fn is_of(self, entry: &CatalogEntry) -> bool {
        let ways = entry.ways;
        match self {
            Self::Oauth => ways.login.is_some_and(|login| login != "unknown"),
            Self::Key => ways.key,
            Self::Command => ways.helper,
            Self::None => ways.login.is_none() && !ways.key && !ways.helper,
        }
    }
}

/// The servers that have the URL of a template, for `janus config validate`. What cannot be read is a matter of
/// `janus catalog`.
pub(super) fn offers(loaded: &config::Loaded, context: &Context) -> Result<Vec<String>, Failure> {
    match config::offers(loaded, &context.location()?, &context.environment) {
        Ok(offers) => Ok(offers
            .into_iter()
            .map(|(server, template)| {
                format!("`{server}` has the URL of a template: `template: {template}` knows more of it (janus catalog show {template})")
            })
            .collect()),
        Err(error @ ConfigError::Wrong { .. }) => Err(error.into()),
        Err(_) => Ok(Vec::new()),
    }
}
