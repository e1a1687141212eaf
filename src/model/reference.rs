//! Where a secret is, instead of the secret itself.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Secret, SecretName};

/// What the configuration writes in place of a secret. It is resolved when the value is needed, never at load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// `vault:NAME`
    Vault(SecretName),
    /// `env:NAME`: the daemon's environment at its start.
    Environment {
        /// The variable.
        name: String,
        /// What it held; `None` where it was not set.
        value: Option<Arc<Secret>>,
    },
    /// `file:PATH`: the whole file.
    File(PathBuf),
    /// `cmd:COMMAND`: what a command prints.
    Command(Vec<String>),
}

/// A value that may be a secret: written out, or where it is.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretValue {
    /// As it is written.
    Literal(Arc<Secret>),
    /// Resolved when it is needed.
    Reference(Reference),
}

/// How references begin.
const KINDS: [&str; 4] = ["vault:", "env:", "file:", "cmd:"];

/// Whether a text is a reference, right or wrong. `file://…` is a URL, and `file:./x` the path that SQLite takes.
pub fn points(text: &str) -> bool {
    match text.strip_prefix("file:") {
        Some(path) => path.starts_with(['/', '~', '$']) && !path.starts_with("//"),
        None => KINDS.iter().any(|kind| text.starts_with(kind)),
    }
}

/// As the configuration writes it; of a command only the program, because secrets are passed as arguments too.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vault(name) => write!(f, "vault:{name}"),
            Self::Environment { name, .. } => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Command(words) => match words.as_slice() {
                [program] => write!(f, "cmd:{program}"),
                [program, ..] => write!(f, "cmd:{program} …"),
                [] => write!(f, "cmd:"),
            },
        }
    }
}

impl SecretValue {
    /// A value as it is written.
    pub fn literal(value: impl Into<String>) -> Self {
        Self::Literal(Arc::new(Secret::new(value)))
    }

    /// Where it is, if it is not written out.
    pub fn reference(&self) -> Option<&Reference> {
        match self {
            Self::Literal(_) => None,
            Self::Reference(reference) => Some(reference),
        }
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(secret) => secret.fmt(f),
            Self::Reference(reference) => write!(f, "{reference}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_words_are_no_references() {
        for reference in [
            "vault:a",
            "vault:",
            "env:A",
            "file:/a",
            "file:~/a",
            "file:${X}/a",
            "cmd:op read x",
        ] {
            assert!(points(reference), "{reference}");
        }
        for other in [
            "",
            "vault",
            "vaults:a",
            "file:///a",
            "file:./dev.db",
            "https://a",
            "Bearer vault:a",
        ] {
            assert!(!points(other), "{other}");
        }
        let command = Reference::Command(vec!["op".to_owned(), "CANARY".to_owned()]);
        assert_eq!(command.to_string(), "cmd:op …");
    }
}
