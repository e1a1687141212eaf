//! mcpmux's YAML: `backends[]`, and settings that Janus has no use for.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::NotImported;
use super::entry::{Entry, Field, Found, Section, Target, wrong};
use super::login::{ClientSecret, Login};
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
    let mut login = None;
    let target = if let Some(url) = section.text(&["endpoint"])? {
        let mut headers = section.fields(&["headers"])?;
        let (header, asked) = authorized(&mut section, notes)?;
        headers.extend(header);
        login = asked;
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
    entry.login = login;
    entry.description = section.text(&["description"])?;
    section.tell_left(notes);
    Ok(entry)
}

/// The header or the login that `auth` is.
fn authorized(
    section: &mut Section,
    notes: &mut Vec<String>,
) -> Result<(Option<Field>, Option<Login>), NotImported> {
    let Some(auth) = section.take(&["auth"]) else {
        return Ok((None, None));
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
        "oauth" => {
            let login = login(&mut auth, notes)?;
            auth.tell_left(notes);
            return Ok((None, Some(login)));
        }
        "command" => {
            notes.push(format!(
                "`{at}` runs a program that prints a token; it is left out, write it as `auth: {{ command: [program, argument] }}` if you want that"
            ));
            return Ok((None, None));
        }
        _ => {
            notes.push(format!(
                "`{at}.type` is none that mcpmux knows; the server is written without it"
            ));
            return Ok((None, None));
        }
    };
    auth.tell_left(notes);
    Ok((field, None))
}

/// mcpmux's `scopes` is an allow-list over what the server asks for.
fn login(auth: &mut Section, notes: &mut Vec<String>) -> Result<Login, NotImported> {
    let at = auth.at.clone();
    let mut login = Login::of(auth)?;
    login.scopes_limit = std::mem::take(&mut login.scopes);
    let command = auth.texts(&["client_secret_command"])?;
    if login.client_secret.is_none() && !command.is_empty() {
        login.client_secret = Some(ClientSecret::Command(command));
    }
    if auth.take(&["client_id_command"]).is_some() {
        notes.push(format!(
            "`{at}.client_id_command`: run it once, and write what it prints as `client_id`"
        ));
    }
    if auth.switch(&["allow_issuer_mismatch"]) == Some(true) {
        notes.push(format!(
            "`{at}.allow_issuer_mismatch`: Janus takes no other issuer than the one that is advertised; if that differs, write the exact one as `issuer`"
        ));
    }
    Ok(login)
}
