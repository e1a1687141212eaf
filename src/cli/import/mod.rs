//! `janus import FILE`: another program's configuration becomes one of Janus, shown first and written after a yes.
//!
//! Invariants:
//! - What is shown is what is written, and the configuration's own reader has accepted it before.
//! - An existing configuration is never replaced: with `--merge` it grows, and its old bytes stay beside it.

mod files;
mod known;
mod show;

use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{Context, Exit, Failure, Output};
use crate::config;
use crate::import::{self, Form, Imported, NotImported, NotMerged};

use files::{Target, Written};
use show::Preview;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A client's JSON with MCP servers, a JanusMCP config.json, or an mcpmux YAML.
    file: PathBuf,
    /// What FILE is, if its contents do not tell.
    #[arg(long, value_enum, value_name = "KIND")]
    from: Option<From>,
    /// Add to a configuration that exists; nothing in it is replaced.
    #[arg(long)]
    merge: bool,
    /// Only show the result.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Write without asking.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum From {
    McpServers,
    #[value(name = "janusmcp")]
    JanusMcp,
    Mcpmux,
}

impl From {
    fn form(self) -> Form {
        match self {
            Self::McpServers => Form::McpServers,
            Self::JanusMcp => Form::JanusMcp,
            Self::Mcpmux => Form::Mcpmux,
        }
    }
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let source = files::read(&arguments.file)?;
    let target = Target::at(context.location()?.path)?;
    if target.exists() && !arguments.merge {
        let said = format!("there is a configuration already: {}", target.shown());
        return Err(
            Failure::new(Exit::Failed, "exists", said).help("janus import --merge FILE adds to it")
        );
    }
    let taken = import::references(target.old());
    // A server that is new must not get what belongs to another, which had its name before.
    let (secrets, unknown) = match known::secrets(context) {
        Ok(names) => (names, None),
        Err(why) => (BTreeSet::new(), Some(why)),
    };
    let form = arguments.from.map(From::form);
    let names = taken.union(&secrets).cloned().collect();
    let imported = import::read(&source, form, &names)
        .map_err(|error| not_imported(&error, &arguments.file))?;
    let mut preview = preview(&imported, &target, context.output)?;
    check(&preview, &imported, &taken, &target, context)?;
    if preview.sets_secrets() {
        preview.notes.extend(unknown);
    }
    if preview.is_empty() {
        preview.show(context.output)?;
        context.output.note("there is nothing to add");
        return preview.document(context.output, &target, None);
    }
    preview.show(context.output)?;
    let written = match decide(arguments, context)? {
        Decision::Write => Some(target.write(&preview.text)?),
        Decision::Leave(why) => {
            preview.notes.push(why.to_owned());
            context.output.note(why);
            None
        }
    };
    if let Some(written) = &written {
        context.output.note(&format!("written: {}", target.shown()));
        if let Written::Replaced { backup } = written {
            let kept = format!("the old file is kept as {}", backup.display());
            context.output.note(&kept);
        }
    }
    preview.document(context.output, &target, written.as_ref())
}

fn preview(imported: &Imported, target: &Target, output: Output) -> Result<Preview, Failure> {
    if !target.exists() {
        let text = import::document(imported);
        let lines = text.lines().map(str::to_owned).collect();
        return Ok(Preview::new(
            imported,
            target,
            text,
            vec![(0, lines)],
            Vec::new(),
        ));
    }
    match import::merge(target.old(), imported) {
        Ok(merged) => Ok(Preview::new(
            imported,
            target,
            merged.text,
            merged.added,
            merged.notes,
        )),
        Err(error) => {
            let failure = Failure::new(Exit::Failed, "not_merged", error.to_string())
                .place(target.shown())
                .sent("nothing was written");
            Err(match error {
                NotMerged::Unreadable => failure.help("janus config validate"),
                NotMerged::Form { paste } => {
                    // With --json standard output stays empty: there is no document.
                    if !output.is_json() {
                        output.data(&paste)?;
                    }
                    failure
                        .help("add these lines by hand, each section's below the one that is there")
                }
            })
        }
    }
}

/// Has the result read as a configuration, with stand-ins for the variables that nobody has set yet.
fn check(
    preview: &Preview,
    imported: &Imported,
    taken: &BTreeSet<String>,
    target: &Target,
    context: &Context,
) -> Result<(), Failure> {
    let referred = taken.iter().map(|name| (name.clone(), "1"));
    let supposed = imported.stand_ins().into_iter().chain(referred);
    let environment = context.environment.clone().supposing(supposed);
    let read = |text: &str| config::parse(text, target.path(), &environment);
    read(target.old())?;
    // Where the old text is right, what is wrong now is of the file.
    read(&preview.text).map(drop).map_err(Failure::from)
}

/// What is done after the preview.
enum Decision {
    Write,
    /// Nothing, for this reason.
    Leave(&'static str),
}

fn decide(arguments: &Arguments, context: &Context) -> Result<Decision, Failure> {
    if arguments.yes {
        return Ok(Decision::Write);
    }
    if arguments.dry_run {
        return Ok(Decision::Leave("nothing was written"));
    }
    let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !terminal || context.output.is_json() {
        return Ok(Decision::Leave(
            "nothing was written, as nobody can be asked here; --yes writes",
        ));
    }
    context.output.note("write this? [y/N]");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|error| {
        Failure::from(anyhow::Error::from(error).context("cannot read the answer"))
    })?;
    if is_yes(&answer) {
        Ok(Decision::Write)
    } else {
        let failure = Failure::new(Exit::Refused, "declined", "nothing was written");
        Err(failure)
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

fn not_imported(error: &NotImported, file: &Path) -> Failure {
    let failure = Failure::new(
        Exit::Failed,
        "not_imported",
        format!("cannot import this: {error}"),
    )
    .place(file.display().to_string());
    match error {
        NotImported::NoServers { .. } => {
            failure.help("--from mcp-servers, janusmcp or mcpmux says what the file is")
        }
        NotImported::Toml => {
            failure.help("name a JSON file, or write the servers by hand: janus help config")
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for yes in ["y\n", "Yes\r\n", " YES "] {
            assert!(is_yes(yes));
        }
        for no in ["", "\n", "n", "yess", "ok"] {
            assert!(!is_yes(no));
        }
    }
}
