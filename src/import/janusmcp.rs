//! JanusMCP's `config.json`: `accounts[]`, `bindingMode`, `defaultAccount`, `profiles`, `oauthProviders`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::NotImported;
use super::entry::{Entry, Found, Section, Target, text, wrong};
use super::words::shown;
use crate::model::Switching;

pub(super) fn read(root: &Map<String, Value>) -> Result<Found, NotImported> {
    let mut root = Section::new("the file".to_owned(), &Value::Object(root.clone()))?;
    let mut found = Found::default();
    let accounts = match root.take(&["accounts"]) {
        Some(Value::Array(accounts)) if !accounts.is_empty() => accounts,
        Some(other) if !other.is_array() => return Err(wrong("accounts", "a list", &other)),
        _ => {
            let expected = "a list below `accounts`, each with `id` and `command` or `url`";
            return Err(NotImported::NoServers { expected });
        }
    };
    let mut ids = BTreeSet::new();
    for (index, account) in accounts.iter().enumerate() {
        let section = Section::new(format!("accounts[{index}]"), account)?;
        let entry = entry(section, &mut found.notes)?;
        if !ids.insert(entry.name.clone()) {
            let name = shown(&entry.name);
            return Err(NotImported::Duplicate {
                at: "accounts",
                name,
            });
        }
        found.entries.push(entry);
    }
    found.switching = Some(switching(&mut root, &mut found.notes)?);
    found.default = root.text(&["defaultAccount"])?.filter(|id| !id.is_empty());
    if let Some(id) = found.default.as_ref().filter(|id| !ids.contains(*id)) {
        found.notes.push(format!(
            "`defaultAccount` names `{}`, which is no account; it is left out",
            shown(id)
        ));
        found.default = None;
    }
    profiles(&mut root, &ids, &mut found)?;
    tell_providers(&mut root, &mut found.notes);
    root.take(&["$schema"]);
    root.tell_left(&mut found.notes);
    Ok(found)
}

fn entry(mut section: Section, notes: &mut Vec<String>) -> Result<Entry, NotImported> {
    let at = section.at.clone();
    let missing = |at: &str, what: &'static str| NotImported::WrongType {
        at: at.to_owned(),
        expected: what,
        found: "nothing",
    };
    let id = section.text(&["id"])?.filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| missing(&format!("{at}.id"), "a name"))?;
    let url = section.text(&["url"])?.filter(|url| !url.is_empty());
    let program = section
        .text(&["command"])?
        .filter(|program| !program.is_empty());
    let args = section.texts(&["args"])?;
    let env = section.fields(&["env"])?;
    section.take(&["transport"]);
    let target = match (url, program) {
        (Some(url), program) => {
            let unused = program.is_some() || !args.is_empty() || !env.is_empty();
            if unused {
                notes.push(format!(
                    "`{at}`: has a URL; its `command`, `args` and `env` are left out"
                ));
            }
            let headers = section.fields(&["headers"])?;
            Target::Remote { url, headers }
        }
        (None, Some(program)) => {
            let command = std::iter::once(program).chain(args).collect();
            Target::Process { command, env }
        }
        (None, None) => return Err(missing(&at, "`command` or `url`")),
    };
    if section
        .text(&["auth"])?
        .is_some_and(|auth| !auth.is_empty())
    {
        notes.push(format!(
            "`{at}`: account `{}` needs a login, which Janus cannot do yet; it is written without it",
            shown(&id)
        ));
    }
    let service = section
        .text(&["service"])?
        .filter(|service| !service.is_empty());
    let mut entry = Entry::new(at, &id, target);
    entry.service = Some(service.unwrap_or_else(|| id.clone()));
    entry.label = section.text(&["label"])?.filter(|label| !label.is_empty());
    section.tell_left(notes);
    Ok(entry)
}

fn switching(root: &mut Section, notes: &mut Vec<String>) -> Result<Switching, NotImported> {
    let mode = root.text(&["bindingMode"])?.unwrap_or_default();
    Ok(match mode.as_str() {
        "session" => Switching::Session,
        "global" => Switching::Global,
        "locked" => Switching::Off,
        "" => {
            notes.push("`bindingMode` is missing, which means `global` to JanusMCP: a choice is everybody's".to_owned());
            Switching::Global
        }
        _ => {
            notes.push(
                "`bindingMode` is none that JanusMCP knows; switching is off until you decide"
                    .to_owned(),
            );
            Switching::Off
        }
    })
}

fn profiles(
    root: &mut Section,
    ids: &BTreeSet<String>,
    found: &mut Found,
) -> Result<(), NotImported> {
    let profiles = match root.take(&["profiles"]) {
        None => return Ok(()),
        Some(Value::Object(profiles)) => profiles,
        Some(other) => return Err(wrong("profiles", "a map", &other)),
    };
    for (name, members) in profiles {
        let at = format!("profiles.{}", shown(&name));
        let Value::Array(members) = members else {
            return Err(wrong(&at, "a list", &members));
        };
        let mut known = Vec::new();
        for member in &members {
            let member = text(&at, member)?;
            if ids.contains(&member) {
                known.push(member);
            } else {
                found.notes.push(format!(
                    "`{at}` names `{}`, which is no account; it is left out",
                    shown(&member)
                ));
            }
        }
        found.profiles.push((name, known));
    }
    Ok(())
}

fn tell_providers(root: &mut Section, notes: &mut Vec<String>) {
    let Some(Value::Object(providers)) = root.take(&["oauthProviders"]) else {
        return;
    };
    for name in providers.keys() {
        notes.push(format!(
            "`oauthProviders.{}`: a provider for logins, which Janus cannot do yet; it is left out",
            shown(name)
        ));
    }
}
