//! mcpmux's YAML: `backends[]`, and settings that Janus has no use for.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::NotImported;
use super::entry::{Entry, Field, Found, Section, Target, wrong};
use super::words::shown;

/// What became of its settings.
const SETTINGS: [(&str, &str); 4] = [
    (
        "listen",
        "Janus listens at 127.0.0.1:7332 and on its socket; see `listen` of the result's format",
    ),
    ("connect_retry", "Janus tries again by itself"),
    ("eager_auth", "Janus logs in at no start"),
    ("token_store", "Janus has a store of its own"),
];

pub(super) fn read(root: &Map<String, Value>) -> Result<Found, NotImported> {
    let mut root = Section::new("the file".to_owned(), &Value::Object(root.clone()))?;
    let backends = match root.take(&["backends"]) {
        Some(Value::Array(backends)) if !backends.is_empty() => backends,
        Some(other) if !other.is_array() => return Err(wrong("backends", "a list", &other)),
        _ => {
            let expected = "a list below `backends`, each with `name` and `command` or `endpoint`";
            return Err(NotImported::NoServers { expected });
        }
    };
    let mut found = Found::default();
    let mut names = BTreeSet::new();
    for (index, backend) in backends.iter().enumerate() {
        let section = Section::new(format!("backends[{index}]"), backend)?;
        let entry = entry(section, &mut found.notes)?;
        if !names.insert(entry.name.clone()) {
            let name = shown(&entry.name);
            return Err(NotImported::Duplicate {
                at: "backends",
                name,
            });
        }
        found.entries.push(entry);
    }
    for (key, told) in SETTINGS {
        if root.take(&[key]).is_some() {
            found.notes.push(format!("`{key}` is left out: {told}"));
        }
    }
    found
        .notes
        .push("variables of an `mcpmux.env` must be set where Janus runs".to_owned());
    root.tell_left(&mut found.notes);
    Ok(found)
}

fn entry(mut section: Section, notes: &mut Vec<String>) -> Result<Entry, NotImported> {
    let at = section.at.clone();
    let missing = |what: &'static str| NotImported::WrongType {
        at: at.clone(),
        expected: what,
        found: "nothing",
    };
    let name = section
        .text(&["name"])?
        .ok_or_else(|| missing("a `name`"))?;
    section.take(&["transport"]);
    let command = section.texts(&["command"])?;
    let env = section.fields(&["env"])?;
    let target = if let Some(url) = section.text(&["endpoint"])? {
        let mut headers = section.fields(&["headers"])?;
        headers.extend(authorized(&mut section, notes)?);
        Target::Remote { url, headers }
    } else if command.first().is_some_and(|program| !program.is_empty()) {
        if section.take(&["auth"]).is_some() {
            notes.push(format!(
                "`{at}.auth` is of no use to a process, and is left out"
            ));
        }
        Target::Process { command, env }
    } else {
        return Err(missing("`command` or `endpoint`"));
    };
    let mut entry = Entry::new(at, &name, target);
    entry.description = section.text(&["description"])?;
    section.tell_left(notes);
    Ok(entry)
}

/// The header that `auth` is, if it is one.
fn authorized(
    section: &mut Section,
    notes: &mut Vec<String>,
) -> Result<Option<Field>, NotImported> {
    let Some(auth) = section.take(&["auth"]) else {
        return Ok(None);
    };
    let at = format!("{}.auth", section.at);
    let mut auth = Section::new(at.clone(), &auth)?;
    let kind = auth.text(&["type"])?.unwrap_or_default();
    let field = match kind.as_str() {
        "bearer" => auth.text(&["token"])?.map(|token| Field {
            secret: true,
            ..Field::new("Authorization", format!("Bearer {token}"))
        }),
        "header" => {
            let (name, value) = (auth.text(&["header"])?, auth.text(&["value"])?);
            name.zip(value).map(|(name, value)| Field {
                secret: true,
                ..Field::new(&name, value)
            })
        }
        "" | "none" => None,
        "command" | "oauth" => {
            let keys = super::entry::listed(auth.left());
            let keys = keys
                .map(|keys| format!(" ({keys} with it)"))
                .unwrap_or_default();
            let what = if kind == "oauth" {
                "a login"
            } else {
                "a token that a program prints"
            };
            notes.push(format!("`{at}` needs {what}, which Janus cannot do yet; the server is written without it{keys}"));
            return Ok(None);
        }
        _ => {
            notes.push(format!(
                "`{at}.type` is none that mcpmux knows; the server is written without it"
            ));
            return Ok(None);
        }
    };
    auth.tell_left(notes);
    Ok(field)
}
