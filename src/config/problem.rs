//! What can be wrong with a configuration, and where.
//!
//! Invariant: a message holds no value of the file. It holds keys that look harmless, types, and what was expected.
//! Every mistake here is for the person who wrote the file to repair.

use std::fmt;
use std::path::PathBuf;

use super::Named;
use super::warning::Warning;
use crate::model::looks_secret;

/// Enough to repair a file by; a file that is wrong throughout does not fill the terminal.
const MOST: usize = 100;

/// A position in the file; lines and columns count from one, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A place in the file: the position, and the key's path (`servers.github.timeout`), empty at the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it is written.
    pub position: Position,
    /// The keys that lead there.
    pub path: String,
}

/// The keys that lead to a value, as messages show them.
#[derive(Clone, Default)]
pub(super) struct Path(String);

impl Path {
    /// The value at `key` of this map.
    pub(super) fn key(&self, key: &str) -> Self {
        let dot = if self.0.is_empty() { "" } else { "." };
        Self(format!("{}{dot}{}", self.0, shown(key)))
    }

    /// The value at `index` of this list.
    pub(super) fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// This path at a position of the file.
    pub(super) fn at(&self, position: Position) -> Place {
        let path = self.0.clone();
        Place { position, path }
    }
}

/// A key as messages show it: one that looks like a secret (a value written without its key) becomes `…`.
pub(super) fn shown(key: &str) -> &str {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !key.is_empty() && key.len() <= 40 && key.chars().all(plain) && !looks_secret(key) {
        key
    } else {
        "…"
    }
}

/// A mistake at a place of the file, and how to repair it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// What is wrong.
    pub mistake: Mistake,
    /// What to do about it, if that is more than the message says.
    pub help: Option<String>,
}

/// What is wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// The text is no YAML, or uses a part of YAML that has no meaning here.
    #[error("{what}")]
    Syntax {
        /// What the parser met, without the text it met.
        what: String,
    },
    /// A key that does not exist at this place.
    #[error("unknown key `{key}`")]
    UnknownKey {
        /// The key, or `…`.
        key: String,
    },
    /// A key that is there already.
    #[error("duplicate key `{key}`, first in line {first}")]
    DuplicateKey {
        /// The key, or `…`.
        key: String,
        /// Where it was first.
        first: usize,
    },
    /// A value of another type.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// What belongs there.
        expected: String,
        /// The type that was found.
        found: &'static str,
    },
    /// A value of the right type that cannot be used.
    #[error("expected {expected}")]
    BadValue {
        /// What belongs there.
        expected: String,
    },
    /// Something that must be there.
    #[error("missing {what}")]
    Missing {
        /// What it is.
        what: String,
    },
    /// Something that is right by itself, but not beside the rest.
    #[error("{why}")]
    DoesNotFit {
        /// Why not.
        why: String,
    },
    /// A name that nothing has.
    #[error("no {what} has this name")]
    UnknownName {
        /// What should have it: `server`, `account of …`.
        what: String,
    },
    /// A variable that is not in the environment.
    #[error("the environment variable `{name}` is not set")]
    UnsetVariable {
        /// Its name.
        name: String,
    },
    /// A variable whose value is no UTF-8.
    #[error("the environment variable `{name}` is not UTF-8 text")]
    VariableNotText {
        /// Its name.
        name: String,
    },
    /// A secret that is written out.
    #[error(
        "a secret is written here; a reference belongs in its place: `vault:NAME`, `env:NAME`, `file:PATH` or `cmd:COMMAND`"
    )]
    LiteralSecret,
    /// `${` without a name and `}`.
    #[error("expected the name of an environment variable and `}}` after `${{`")]
    BadReference,
}

impl Mistake {
    /// The fixed word that names this kind of mistake to scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "syntax",
            Self::UnknownKey { .. } => "unknown_key",
            Self::DuplicateKey { .. } => "duplicate_key",
            Self::WrongType { .. } => "wrong_type",
            Self::BadValue { .. } => "bad_value",
            Self::Missing { .. } => "missing_key",
            Self::DoesNotFit { .. } => "does_not_fit",
            Self::UnknownName { .. } => "unknown_name",
            Self::UnsetVariable { .. } | Self::VariableNotText { .. } => "unset_variable",
            Self::BadReference => "bad_reference",
            Self::LiteralSecret => "literal_secret",
        }
    }

    pub(super) fn wrong_type(expected: &str, found: &'static str) -> Self {
        let expected = expected.to_owned();
        Self::WrongType { expected, found }
    }

    pub(super) fn bad_value(expected: &str) -> Self {
        let expected = expected.to_owned();
        Self::BadValue { expected }
    }

    pub(super) fn does_not_fit(why: &str) -> Self {
        let why = why.to_owned();
        Self::DoesNotFit { why }
    }

    pub(super) fn syntax(what: &str) -> Self {
        let what = what.to_owned();
        Self::Syntax { what }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Somebody named a file that does not exist.
    #[error("there is no file {}, which {named} names", path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
        /// Who named it.
        named: Named,
    },
    /// The file is there and cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The path is that of a directory.
    #[error("{} is a directory, not a file", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// The file is too large to be a configuration.
    #[error("{} is larger than 1 MiB", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is not text.
    #[error("{} is not UTF-8 text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The first byte that is not.
        position: Position,
    },
    /// Neither the file's place nor the state's can be known.
    #[error("`HOME` is not set to an absolute path")]
    NoHome,
    /// The file was read and has mistakes, here in the order of the file.
    #[error("{} {} in {}", count, if *count == 1 { "mistake" } else { "mistakes" }, file.display())]
    Wrong {
        /// The file.
        file: PathBuf,
        /// The mistakes, at most 100 of them.
        problems: Vec<Problem>,
        /// How many there are.
        count: usize,
    },
}

/// Collects what is wrong, and what is strange, while the reading goes on.
#[derive(Default)]
pub(super) struct Problems {
    list: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl Problems {
    pub(super) fn add(&mut self, place: &Place, mistake: Mistake) {
        self.push(place, mistake, None);
    }

    pub(super) fn add_with_help(
        &mut self,
        place: &Place,
        mistake: Mistake,
        help: impl Into<String>,
    ) {
        self.push(place, mistake, Some(help.into()));
    }

    /// Notes what is allowed and probably not meant.
    pub(super) fn warn(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }

    pub(super) fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings)
    }

    fn push(&mut self, place: &Place, mistake: Mistake, help: Option<String>) {
        let place = place.clone();
        self.list.push(Problem {
            place,
            mistake,
            help,
        });
    }

    /// The error that these problems are, if there are any.
    pub(super) fn into_error(self, file: &std::path::Path) -> Option<ConfigError> {
        let mut problems = self.list;
        problems.sort_by_key(|problem| problem.place.position);
        let mut told: Vec<Problem> = Vec::with_capacity(problems.len());
        for problem in problems {
            let here = told.iter().rev();
            let mut here = here.take_while(|one| one.place.position == problem.place.position);
            // What accounts have of their server is wrong once.
            if !here.any(|one| *one == problem) {
                told.push(problem);
            }
        }
        let mut problems = told;
        let count = problems.len();
        problems.truncate(MOST);
        (count > 0).then(|| ConfigError::Wrong {
            file: file.to_owned(),
            problems,
            count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_may_be_a_secret_is_not_shown() {
        for plain in ["timeout", "GITHUB_TOKEN", "X-Api-Key", "client_a"] {
            assert_eq!(shown(plain), plain);
        }
        for hidden in [
            "",
            "TOKEN=x",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "sk-ant-abc",
            "a\u{1b}[31m",
        ] {
            assert_eq!(shown(hidden), "…", "{hidden}");
        }
    }
}
