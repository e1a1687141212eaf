//! JanusMCP's `config.json`: `accounts[]`, `bindingMode`, `defaultAccount`, `profiles`, `oauthProviders`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::NotImported;
use super::entry::{Entry, Field, Found, Section, Target, text, wrong};
use super::login::Login;
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
    let mut providers = providers(&mut root, &mut found.notes)?;
    for (index, account) in accounts.iter().enumerate() {
        let section = Section::new(format!("accounts[{index}]"), account)?;
        let entry = entry(section, &mut providers, &mut found.notes)?;
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
    for (name, _) in providers.iter().filter(|(_, provider)| !provider.used) {
        found.notes.push(format!(
            "`oauthProviders.{}`: no account uses it, and it is left out",
            shown(name)
        ));
    }
    root.take(&["$schema"]);
    root.tell_left(&mut found.notes);
    Ok(found)
}

fn entry(
    mut section: Section,
    providers: &mut Providers,
    notes: &mut Vec<String>,
) -> Result<Entry, NotImported> {
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
    let mut env = section.fields(&["env"])?;
    let mut login = token_of(&mut env, providers);
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
    let auth = section.text(&["auth"])?.filter(|auth| !auth.is_empty());
    match (auth, &target) {
        (Some(auth), Target::Remote { .. }) => {
            let provider = providers.get_mut(&auth);
            login = Some(provider.map_or_else(Login::default, Provider::taken));
        }
        (Some(_), Target::Process { .. }) => notes.push(format!(
            "`{at}.auth` is of no use to a process, and is left out"
        )),
        (None, Target::Remote { .. }) => login = None,
        (None, Target::Process { .. }) => {}
    }
    let service = section
        .text(&["service"])?
        .filter(|service| !service.is_empty());
    let mut entry = Entry::new(at, &id, target);
    entry.login = login;
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

/// `oauthProviders`, by name.
type Providers = BTreeMap<String, Provider>;

/// Where a login of JanusMCP goes.
struct Provider {
    login: Login,
    used: bool,
}

impl Provider {
    fn taken(&mut self) -> Login {
        self.used = true;
        self.login.clone()
    }
}

fn providers(root: &mut Section, notes: &mut Vec<String>) -> Result<Providers, NotImported> {
    let mut providers = Providers::new();
    let Some(Value::Object(map)) = root.take(&["oauthProviders"]) else {
        return Ok(providers);
    };
    for (name, provider) in map {
        let mut section = Section::new(format!("oauthProviders.{}", shown(&name)), &provider)?;
        let login = Login::of(&mut section)?;
        section.tell_left(notes);
        let used = false;
        providers.insert(name, Provider { login, used });
    }
    Ok(providers)
}

/// The login whose token a variable of a process gets: `oauth:NAME`. Without both of its endpoints the variable stays.
fn token_of(env: &mut Vec<Field>, providers: &mut Providers) -> Option<Login> {
    let of = |field: &Field| field.value.strip_prefix("oauth:").map(str::to_owned);
    let at = env.iter().position(|field| {
        let provider = of(field).and_then(|name| providers.get(&name));
        provider.is_some_and(|provider| {
            let login = &provider.login;
            let known = login.authorization_endpoint.is_some() && login.token_endpoint.is_some();
            known && super::reference::is_variable(&field.name)
        })
    })?;
    let field = env.remove(at);
    let mut login = providers.get_mut(&of(&field)?)?.taken();
    login.into = Some(field.name);
    Some(login)
}
