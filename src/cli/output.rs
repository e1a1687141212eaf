//! The only place that prints.
//!
//! Invariants:
//! - Standard output carries data and nothing else.
//! - What came from elsewhere cannot steer the terminal: control characters are replaced.

use std::ffi::OsString;
use std::io::{self, ErrorKind, IsTerminal, Write};

use clap::ValueEnum;
use serde_json::Value;

use super::{Exit, Failure, Global};
use crate::config::Environment;
use crate::protocol::{Edit, Json, Object};

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` or `TERM=dumb` forbids it or `CLICOLOR_FORCE` asks for it.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where and how a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    json: bool,
    quiet: bool,
    colour: bool,
}

impl Output {
    pub(super) fn new(global: &Global, environment: &Environment) -> Self {
        Self {
            json: global.json,
            quiet: global.quiet,
            colour: coloured(global.color, environment),
        }
    }

    /// For a line that the parser does not understand: what can be seen of the flags anyway.
    pub(super) fn before_parsing(arguments: &[OsString], environment: &Environment) -> Self {
        let flags = || arguments.iter().take_while(|argument| *argument != "--");
        let never = flags().any(|argument| argument == "--color=never");
        let colour = if never { Colour::Never } else { Colour::Auto };
        Self {
            json: flags().any(|argument| argument == "--json"),
            quiet: false,
            colour: coloured(colour, environment),
        }
    }

    /// Whether `--json` asks for a document.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Prints data, as lines. A reader that went away is no failure: it has what it wanted.
    pub fn data(self, text: &str) -> Result<(), Failure> {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let mut stdout = io::stdout().lock();
        match write!(stdout, "{text}{end}").and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                let failure =
                    Failure::new(Exit::Failed, "output", "cannot write to standard output");
                Err(failure.because(error.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Prints the document `janus/NAME/1` with `--json`, else the text.
    pub fn document(
        self,
        name: &str,
        fields: Value,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if !self.json {
            return self.data(&text());
        }
        self.data(&named(name, fields).to_string())
    }

    /// Prints the document `janus/NAME/1` of members that stay as they were written.
    pub(super) fn raw_document(self, name: &str, members: &[Edit<'_>]) -> Result<(), Failure> {
        let schema = Edit::Set("schema", Json::string(&format!("janus/{name}/1")));
        let edits: Vec<Edit<'_>> = std::iter::once(schema)
            .chain(members.iter().cloned())
            .collect();
        self.foreign(Object::empty().edited(&edits).on_one_line().as_str())
    }

    /// Prints text that came from elsewhere: as it is, but on a terminal without what would steer it.
    pub(super) fn foreign(self, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        if io::stdout().is_terminal() {
            let lines: Vec<String> = text.split('\n').map(harmless).collect();
            return self.data(&lines.join("\n"));
        }
        self.data(text)
    }

    /// Says something beside the data, unless `--quiet`.
    pub fn note(self, text: &str) {
        if !self.quiet {
            complain(&format!("{}\n", printable(text)));
        }
    }

    /// The same for several lines.
    pub(super) fn notes(self, text: &str) {
        for line in text.lines() {
            self.note(line);
        }
    }

    /// The same for people alone: a program has the documents.
    pub(super) fn tell(self, text: &str) {
        if !self.json {
            self.notes(text);
        }
    }

    /// With `--json`, the document `janus/NAME/1` on a line of standard error: what a program needs before the command ends
    /// with its own.
    pub(super) fn beside(self, name: &str, fields: &Value) {
        if self.json && !self.quiet {
            complain(&format!("{}\n", named(name, fields.clone())));
        }
    }

    /// Prints a failure.
    pub fn failure(self, failure: &Failure) {
        let parts = failure.parts();
        if self.json {
            complain(&format!("{}\n", failure.to_json()));
        } else if parts.mistakes.is_empty() {
            complain(&self.block(failure));
        } else {
            let blocks: String = parts
                .mistakes
                .iter()
                .map(|mistake| self.block(mistake))
                .collect();
            complain(&format!("{blocks}{}\n", printable(&parts.message)));
        }
    }

    /// A failure as people read it.
    fn block(self, failure: &Failure) -> String {
        let parts = failure.parts();
        let (red, plain) = if self.colour {
            ("\u{1b}[1;31m", "\u{1b}[0m")
        } else {
            ("", "")
        };
        let head = format!(
            "{red}error[{}]{plain}: {}\n",
            parts.code,
            printable(&parts.message)
        );
        let sent = parts.sent.iter().map(|sent| ("sent:", sent));
        let place = parts.place.iter().map(|place| ("where:", place));
        let causes = parts.because.iter().map(|cause| ("because:", cause));
        let help = parts.help.iter().map(|help| ("help:", help));
        let lines = sent.chain(place).chain(causes).chain(help);
        let lines = lines.map(|(label, line)| format!("  {label:<6} {}\n", printable(line)));
        std::iter::once(head).chain(lines).collect()
    }
}

/// A document with the name of its form.
fn named(name: &str, fields: Value) -> Value {
    let mut document = serde_json::Map::new();
    document.insert("schema".to_owned(), format!("janus/{name}/1").into());
    if let Value::Object(fields) = fields {
        document.extend(fields);
    }
    Value::Object(document)
}

fn coloured(colour: Colour, environment: &Environment) -> bool {
    match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto if environment.forbids_colour() => false,
        Colour::Auto => environment.forces_colour() || io::stderr().is_terminal(),
    }
}

/// Text from elsewhere as a part of a line.
pub(super) fn printable(text: &str) -> String {
    replaced(text, char::is_control)
}

/// A line whose tabs may stay.
fn harmless(line: &str) -> String {
    replaced(line, |c| c.is_control() && c != '\t')
}

fn replaced(text: &str, unwanted: impl Fn(char) -> bool) -> String {
    text.chars()
        .map(|c| if unwanted(c) { '\u{fffd}' } else { c })
        .collect()
}

/// Writes to standard error. If even that is gone, there is nobody left to tell.
fn complain(text: &str) {
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(colour: bool) -> Output {
        let (json, quiet) = (false, false);
        Output {
            json,
            quiet,
            colour,
        }
    }

    #[test]
    fn a_failure_is_printed_with_its_parts_in_order() {
        let failure = Failure::new(Exit::Failed, "unknown_tool", "there is no tool `a__b`")
            .help("janus tool list")
            .because("the server \u{1b}[31mclosed")
            .place("a")
            .sent("nothing");
        insta::assert_snapshot!(output(false).block(&failure), @"
        error[unknown_tool]: there is no tool `a__b`
          sent:  nothing
          where: a
          because: the server �[31mclosed
          help:  janus tool list
        ");
        assert!(
            output(true)
                .block(&failure)
                .starts_with("\u{1b}[1;31merror[unknown_tool]\u{1b}[0m: ")
        );
    }

    #[test]
    fn colour_follows_the_flag_then_the_environment() {
        let with = |name: &str, value: &str| Environment::new([(name, value)], 0);
        assert!(coloured(Colour::Always, &with("NO_COLOR", "1")));
        assert!(!coloured(Colour::Never, &with("CLICOLOR_FORCE", "1")));
        assert!(coloured(Colour::Auto, &with("CLICOLOR_FORCE", "1")));
        assert!(!coloured(Colour::Auto, &with("NO_COLOR", "1")));
        assert!(!coloured(Colour::Auto, &with("TERM", "dumb")));
    }
}
