//! Which entries are accounts of one server: those with the same URL, or the same command and fixed arguments, and
//! different credentials. Where the source says it, its word counts.

use super::argument::{Argument, argument};
use super::entry::{Entry, Field, Target};
use super::words::{common, is_secret_name, shown, text_looks_secret};

/// Programs that run a package; their flags that stand before its name; the package is what is run.
const RUNNERS: [&str; 3] = ["npx", "bunx", "uvx"];
const RUNNERS_FLAGS: [&str; 4] = ["-y", "--yes", "-q", "--quiet"];

/// A server with the entries that are its accounts.
pub(super) struct Group {
    /// What the source calls it.
    pub(super) server: String,
    pub(super) members: Vec<Member>,
    /// Whether its accounts have names even if there is only one.
    pub(super) named: bool,
}

/// An entry and what its account is called.
pub(super) struct Member {
    pub(super) account: String,
    pub(super) entry: Entry,
}

pub(super) fn groups(entries: Vec<Entry>, notes: &mut Vec<String>) -> Vec<Group> {
    let mut groups: Vec<Vec<Entry>> = Vec::new();
    for entry in entries {
        let same = |group: &&mut Vec<Entry>| group.iter().any(|other| is_same(other, &entry));
        if entry.service.is_none()
            && let Some(group) = groups.iter_mut().find(same)
            && let Some(other) = group.iter().find(|other| is_same(other, &entry))
        {
            notes.push(format!(
                "`{}` says the same as `{}`, and is written once",
                entry.at, other.at
            ));
            continue;
        }
        let fits = |group: &&mut Vec<Entry>| group.iter().all(|other| fits(other, &entry));
        if let Some(group) = groups.iter_mut().find(fits) {
            group.push(entry);
            continue;
        }
        let of_service = |other: &Entry| other.service == entry.service;
        if let Some(service) = &entry.service
            && groups.iter().flatten().any(of_service)
        {
            notes.push(format!(
                "`{}`: `{}` has another URL or command here, and so it is a server of its own",
                entry.at,
                shown(service)
            ));
        }
        groups.push(vec![entry]);
    }
    groups
        .into_iter()
        .map(|entries| group(entries, notes))
        .collect()
}

/// Whether two entries would be one account under two names.
fn is_same(one: &Entry, other: &Entry) -> bool {
    one.target == other.target
        && one.login == other.login
        && has_credential(one)
        && one.enabled == other.enabled
        && one.include == other.include
        && one.exclude == other.exclude
}

/// Whether two entries are accounts of one server.
fn fits(one: &Entry, other: &Entry) -> bool {
    let settings = one.enabled == other.enabled
        && one.include == other.include
        && one.exclude == other.exclude;
    let places = match (&one.target, &other.target) {
        (Target::Remote { url, .. }, Target::Remote { url: other, .. }) => url == other,
        (
            Target::Process { command, .. },
            Target::Process {
                command: other_command,
                ..
            },
        ) => {
            if one.service.is_some() {
                command.first() == other_command.first()
            } else {
                fixed(command) == fixed(other_command)
                    && credentials(&one.target) != credentials(&other.target)
            }
        }
        _ => false,
    };
    one.service == other.service && settings && places
}

fn has_credential(entry: &Entry) -> bool {
    !credentials(&entry.target).is_empty()
}

/// What of a command says which server it is. Secrets in it do not count.
fn fixed<'c>(command: &'c [String]) -> Vec<&'c str> {
    let program = command.first().map(String::as_str).unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default();
    let mut args = command.iter().skip(1).map(String::as_str);
    if RUNNERS.contains(&name)
        && let Some(package) = args.find(|arg| !RUNNERS_FLAGS.contains(arg))
        && !package.starts_with('-')
    {
        return vec![program, package];
    }
    let said = |(at, text): (usize, &'c String)| match argument(command, at) {
        // Only what precedes the secret says anything; the name of the program is never one.
        Argument::Secret { prefix, .. } if at > 0 => text.get(..prefix).unwrap_or_default(),
        _ => text.as_str(),
    };
    command.iter().enumerate().map(said).collect()
}

/// The values that say who one is.
fn credentials<'t>(target: &'t Target) -> Vec<(&'t str, &'t str)> {
    let secret = |field: &&Field| {
        field.secret || is_secret_name(&field.name) || text_looks_secret(&field.value)
    };
    let pairs = |fields: &'t [Field]| -> Vec<(&'t str, &'t str)> {
        let secrets = fields.iter().filter(secret);
        secrets
            .map(|field| (field.name.as_str(), field.value.as_str()))
            .collect()
    };
    match target {
        Target::Remote { headers, .. } => pairs(headers),
        Target::Process { command, env } => {
            let mut found = pairs(env);
            let hidden = (1..command.len()).filter(|at| argument(command, *at) != Argument::Plain);
            found.extend(hidden.filter_map(|at| Some(("", command.get(at)?.as_str()))));
            found
        }
    }
}

fn group(entries: Vec<Entry>, notes: &mut Vec<String>) -> Group {
    let first = entries.first();
    let service = first.and_then(|entry| entry.service.clone());
    let named = service.is_some();
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let (server, accounts) = match (service, names.as_slice()) {
        (Some(service), names) => (
            service,
            names.iter().map(|name| (*name).to_owned()).collect(),
        ),
        (None, [name]) => ((*name).to_owned(), vec![String::new()]),
        (None, names) => common(names).unwrap_or_else(|| {
            let all = names.iter().map(|name| (*name).to_owned()).collect();
            (names.first().copied().unwrap_or_default().to_owned(), all)
        }),
    };
    if !named && entries.len() > 1 {
        let places: Vec<String> = entries
            .iter()
            .map(|entry| format!("`{}`", entry.at))
            .collect();
        notes.push(format!(
            "{} are accounts of one server, `{}`; where several are in reach, a call must say which",
            places.join(", "),
            shown(&server)
        ));
    }
    let members = accounts.into_iter().zip(entries);
    Group {
        server,
        members: members
            .map(|(account, entry)| Member { account, entry })
            .collect(),
        named,
    }
}
