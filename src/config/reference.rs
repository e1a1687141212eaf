//! Values that may be secrets: where a reference must stand, where one may, and where none may.
//!
//! Invariant: a text is taken for a reference by how it is written, before any variable is put in.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::Environment;
use super::container::List;
use super::expand::{expand, is_variable_name};
use super::node::{Node, Value};
use super::problem::{Mistake, Path, Problems};
use super::read::{Form, Read, Reader};
use super::value::{Text, inline_schema};
use super::warning::Warning;
use super::words::nearest;
use crate::model::{
    BadSecretName, Reference, Secret, SecretName, SecretValue, is_secret_name, looks_secret,
    points, text_looks_secret,
};

/// The command that takes secrets out of the file.
const MIGRATE: &str = "move it to the vault:  janus config migrate-secrets";

/// What belongs where a secret is needed.
const REFERENCE: &str = "a reference: `vault:NAME`, `env:NAME`, `file:PATH` or `cmd:COMMAND`";

/// A secret of `auth`: a reference and nothing else.
pub(super) struct Referred(pub(super) Reference);

impl Read for Referred {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        let place = path.at(node.at);
        match &node.value {
            Value::Scalar { .. } if node.is_nothing() => {
                reader.wrong_type(node, path, Form::of(REFERENCE));
                None
            }
            Value::Scalar { text, .. } if points(text) => {
                parsed(text, reader, path, node).map(Self)
            }
            Value::Scalar { text, .. } => {
                let (mistake, help) = match misspelt(text) {
                    Some(help) => (Mistake::bad_value(REFERENCE), help),
                    None => (Mistake::LiteralSecret, MIGRATE.to_owned()),
                };
                reader.problems.add_with_help(&place, mistake, help);
                None
            }
            Value::List(_) | Value::Map(_) => {
                reader.wrong_type(node, path, Form::of(REFERENCE));
                None
            }
        }
    }
}
inline_schema!(Referred, "Reference", {
    "type": "string",
    "pattern": "^(vault:[a-z0-9_.-]{1,64}|env:[A-Za-z_][A-Za-z0-9_]*|file:[/~$].*|cmd:.*[^ ].*)$"
});

/// A value of `env` or `headers`: written out, or a reference.
pub(super) struct Supplied(pub(super) SecretValue);

impl Read for Supplied {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        if let Value::Scalar { text, .. } = &node.value {
            if points(text) {
                let reference = parsed(text, reader, path, node)?;
                return Some(Self(SecretValue::Reference(reference)));
            }
            if let Some(help) = misspelt(text).filter(|_| !looks_like_a_url(text)) {
                let message = "this is no reference, and is taken as it is written";
                reader
                    .problems
                    .warn(Warning::new(&path.at(node.at), message, &help));
            } else if within(text) {
                let why =
                    "a reference is a whole value; within a text it would be sent as it is written";
                let help = "write `auth: { bearer: vault:NAME }`, or `auth: { header: NAME, value: vault:NAME, prefix: \"…\" }`";
                reader
                    .problems
                    .add_with_help(&path.at(node.at), Mistake::does_not_fit(why), help);
                return None;
            } else {
                warn(text, path, node, reader.problems);
            }
        }
        let text = Text::read(node, path, reader)?;
        Some(Self(SecretValue::literal(text.0)))
    }
}

impl JsonSchema for Supplied {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// What looks like a secret and is written out.
fn warn(text: &str, path: &Path, node: &Node, problems: &mut Problems) {
    let place = path.at(node.at);
    let key = place.path.rsplit('.').next().unwrap_or_default();
    if is_literal_secret(key, text) {
        problems.warn(Warning::new(&place, "this looks like a secret", MIGRATE));
    }
}

/// Whether a reference to the vault stands within a text: nothing else is written like that.
pub(super) fn within(text: &str) -> bool {
    let before = |c: char| c.is_whitespace() || "=&?/".contains(c);
    let mut words = text.split(before).skip(1);
    words.any(|word| {
        word.strip_prefix("vault:")
            .is_some_and(|name| SecretName::new(name).is_ok())
    })
}

/// What to write instead of a text that was probably meant as a reference.
pub(super) fn misspelt(text: &str) -> Option<String> {
    let (kind, rest) = text.split_once(':')?;
    if rest.is_empty()
        || rest.starts_with("//")
        || kind.len() > 6
        || !kind.chars().all(|c| c.is_ascii_alphabetic())
    {
        return None;
    }
    if kind == "file" {
        return Some("a file has an absolute path, or one that begins with `~/`".to_owned());
    }
    let kinds = ["vault", "env", "file", "cmd"];
    let meant = nearest(kind, &kinds).filter(|meant| *meant != kind)?;
    Some(format!("did you mean `{meant}:`?"))
}

fn looks_like_a_url(text: &str) -> bool {
    text.contains("://") || text.starts_with("file:.")
}

/// Whether a value that is written out under this key looks like a secret. One that a variable stands for is not
/// written out, and a path leads to one at most.
pub(super) fn is_literal_secret(key: &str, text: &str) -> bool {
    let elsewhere = text.contains("${") || text.starts_with(['/', '~', '.']);
    if text.is_empty() || elsewhere || points(text) || misspelt(text).is_some() {
        return false;
    }
    let number = text.len() < 5 && text.chars().all(|c| c.is_ascii_digit());
    let word = WORDS.contains(&text.to_ascii_lowercase().as_str()) || number;
    text_looks_secret(text) || has_password(text) || (is_secret_name(key) && !word)
}

/// What a switch with the name of a secret may say (`LOG_KEYS: debug`).
const WORDS: [&str; 15] = [
    "true", "false", "yes", "no", "on", "off", "none", "null", "auto", "default", "debug", "info",
    "warn", "error", "always",
];

/// `scheme://user:password@host`
fn has_password(text: &str) -> bool {
    let authority = text
        .split_once("://")
        .map(|(_, rest)| rest.split(['/', '?']).next().unwrap_or_default());
    let user = authority
        .and_then(|authority| authority.rsplit_once('@'))
        .map(|(user, _)| user);
    user.and_then(|user| user.split_once(':'))
        .is_some_and(|(_, password)| !password.is_empty())
}

fn parsed(text: &str, reader: &mut Reader<'_>, path: &Path, node: &Node) -> Option<Reference> {
    match parse(text, reader.environment) {
        Ok(reference) => Some(reference),
        Err((mistake, help)) => {
            let place = path.at(node.at);
            match help {
                Some(help) => reader.problems.add_with_help(&place, mistake, help),
                None => reader.problems.add(&place, mistake),
            }
            None
        }
    }
}

/// A value that a template supplies; `None` where it is a reference that cannot be read.
pub(super) fn supplied(text: &str, environment: &Environment) -> Option<SecretValue> {
    if points(text) {
        return parse(text, environment).ok().map(SecretValue::Reference);
    }
    Some(SecretValue::literal(text))
}

type Wrong = (Mistake, Option<&'static str>);

fn parse(text: &str, environment: &Environment) -> Result<Reference, Wrong> {
    let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
    match kind {
        "vault" => SecretName::new(rest)
            .map(Reference::Vault)
            .map_err(|bad: BadSecretName| {
                let help = "the value goes into the vault:  janus secret set NAME";
                (
                    Mistake::bad_value(&format!("`vault:` and a name; {bad}")),
                    Some(help),
                )
            }),
        "env" if is_variable_name(rest) => Ok(Reference::Environment {
            name: rest.to_owned(),
            value: environment
                .variable(rest)
                .and_then(std::ffi::OsStr::to_str)
                .map(|value| Arc::new(Secret::new(value))),
        }),
        "env" => Err((
            Mistake::bad_value("`env:` and the name of a variable: letters, digits and `_`"),
            None,
        )),
        "file" => file(rest, environment).map(Reference::File),
        _ => command(rest, environment).map(Reference::Command),
    }
}

fn file(path: &str, environment: &Environment) -> Result<PathBuf, Wrong> {
    let path = expand(path, environment).map_err(unset)?;
    let whole = match (path.strip_prefix("~/"), environment.home()) {
        (Some(rest), Some(home)) => home.join(rest),
        (Some(_), None) => {
            return Err((
                Mistake::bad_value("an absolute path, because `HOME` is not set"),
                None,
            ));
        }
        (None, _) => PathBuf::from(path),
    };
    if whole.is_absolute() && !whole.as_os_str().as_encoded_bytes().contains(&0) {
        Ok(whole)
    } else {
        Err((
            Mistake::bad_value("`file:` and an absolute path, or one that begins with `~/`"),
            None,
        ))
    }
}

/// Split as a shell would, without one; a variable adds no words.
fn command(line: &str, environment: &Environment) -> Result<Vec<String>, Wrong> {
    const EXPECTED: &str = "`cmd:` and a command, with its quotes closed";
    let words =
        shlex::split(line).filter(|words| words.first().is_some_and(|word| !word.is_empty()));
    let words = words.ok_or_else(|| (Mistake::bad_value(EXPECTED), None))?;
    let words = words.iter().map(|word| expand(word, environment));
    words.collect::<Result<_, _>>().map_err(unset)
}

fn unset(mistake: Mistake) -> Wrong {
    (
        mistake,
        Some("set it where Janus is started; `$$` is a dollar sign"),
    )
}

/// Arguments are public: any user reads them in the process list.
pub(super) fn refuse_in_arguments(arguments: &List<Text>, problems: &mut Problems) {
    for argument in &arguments.0 {
        let text = argument.value.0.as_str();
        let value = text.split_once('=').map_or("", |(_, value)| value);
        if points(text) || points(value) {
            let why = "a reference in an argument: arguments are public, every user sees them in the process list";
            let help = "give it to the process in `env: { NAME: vault:NAME }`; `janus config migrate-secrets` moves what stands there as text";
            problems.add_with_help(&argument.place, Mistake::does_not_fit(why), help);
        } else if looks_secret(text) || looks_secret(value) || has_password(text) {
            let message = "this looks like a secret, and arguments are public: every user sees them in the process list";
            let help =
                "give it to the process in `env: { NAME: vault:NAME }`, if it takes it there";
            problems.warn(Warning::new(&argument.place, message, help));
        }
    }
}
