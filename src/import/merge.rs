//! A result added to a configuration that exists: new lines, and every old line stays what and where it was.
//!
//! Invariants:
//! - The text only grows, so that comments, order and spelling of what a person wrote stay.
//! - The new text means what the old one meant and what was added, and nothing else; that is checked by reading it.
//! - Nothing that exists is replaced, and no request gets another profile than before.

use serde_yaml::{Mapping, Value};

use super::yaml::{Lines, scalar, scalars, sections};
use super::{Imported, Profile};
use crate::model::{ProfileName, ServerName};

/// The merged text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// All of it.
    pub text: String,
    /// What was added where: the number of old lines before it, and the lines.
    pub added: Vec<(usize, Vec<String>)>,
    /// What could not be added because its name is taken, and what was done so that nothing else changes.
    pub notes: Vec<String>,
}

/// Why nothing could be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotMerged {
    /// The existing file is no map of YAML.
    #[error("the existing configuration cannot be read as YAML")]
    Unreadable,
    /// It is written so that lines cannot be added without changing others.
    #[error("the existing configuration is written in a form that lines cannot be added to")]
    Form {
        /// The lines to add by hand.
        paste: String,
    },
}

/// Adds what is new to the text of a configuration.
pub fn merge(old: &str, imported: &Imported) -> Result<Merged, NotMerged> {
    let before = meaning(old).ok_or(NotMerged::Unreadable)?;
    let mut notes = Vec::new();
    let mut new = imported.clone();
    leave_out_taken(&mut new, &before, &mut notes);
    keep_profiles(&mut new, &before, &mut notes);
    let added = additions(old, &before, &new);
    let text = inserted(old, &added);
    let wanted = expected(before, &new);
    if wanted.is_some() && meaning(&text) == wanted {
        Ok(Merged { text, added, notes })
    } else {
        Err(NotMerged::Form { paste: paste(&new) })
    }
}

/// What a text says; an empty one is an empty map.
fn meaning(text: &str) -> Option<Mapping> {
    match serde_yaml::from_str(text).ok()? {
        Value::Mapping(map) => Some(map),
        Value::Null => Some(Mapping::new()),
        _ => None,
    }
}

fn section<'m>(map: &'m Mapping, name: &str) -> Option<&'m Mapping> {
    map.get(name).and_then(Value::as_mapping)
}

/// Removes servers, profiles and settings whose names are taken, and what refers to them.
fn leave_out_taken(new: &mut Imported, before: &Mapping, notes: &mut Vec<String>) {
    let taken =
        |name: &str, key: &str| section(before, name).is_some_and(|map| map.contains_key(key));
    new.servers.retain(|server| {
        let name = server.name.as_str();
        let free = !taken("servers", name);
        if !free {
            notes.push(format!("the server `{name}` exists already and stays as it is; the one of the file is left out"));
        }
        free
    });
    let kept: Vec<_> = new
        .servers
        .iter()
        .map(|server| server.name.clone())
        .collect();
    for profile in &mut new.profiles {
        profile.accounts.retain(|(server, _)| kept.contains(server));
        profile.servers.retain(|server| kept.contains(server));
    }
    new.profiles.retain(|profile| {
        let name = profile.name.as_str();
        let empty = profile.accounts.is_empty() && profile.servers.is_empty();
        let free = !taken("profiles", name);
        if !free {
            notes.push(format!("the profile `{name}` exists already and stays as it is; the one of the file is left out"));
        } else if empty {
            notes.push(format!("the profile `{name}` would hold nothing new, and is left out"));
        }
        free && !empty
    });
    let here = section(before, "identity")
        .and_then(|map| map.get("switching"))
        .and_then(Value::as_str);
    if let Some(wanted) = new.switching.take_if(|_| before.contains_key("identity")) {
        let here = here.unwrap_or("session");
        if here != wanted.word() {
            notes.push(format!(
                "`identity.switching` stays as it is; the file asks for `{}`",
                wanted.word()
            ));
        }
    } else if let Some(wanted) = new
        .switching
        .take_if(|_| section(before, "servers").is_some())
    {
        // Without the key it is `session`, and the servers that are there keep it.
        if wanted.word() != "session" {
            notes.push(format!(
                "`identity.switching` stays `session`; the file asks for `{}`",
                wanted.word()
            ));
        }
    }
}

/// Sees to it that requests get the profile they got before, and that what is new is in reach.
fn keep_profiles(new: &mut Imported, before: &Mapping, notes: &mut Vec<String>) {
    let old: Vec<&str> = section(before, "profiles")
        .map(|map| map.keys().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    // "Everything" of the file would not be everything here.
    let catch_all = new.default_profile.take();
    new.profiles
        .retain(|profile| Some(&profile.name) != catch_all.as_ref());
    let all: Vec<ServerName> = new
        .servers
        .iter()
        .map(|server| server.name.clone())
        .collect();
    if old.is_empty() {
        if new.profiles.is_empty() {
            return;
        }
        // Until now there was one profile with everything, and it goes on under its name.
        let existing = section(before, "servers")
            .into_iter()
            .flat_map(Mapping::keys)
            .filter_map(Value::as_str);
        let servers = existing
            .filter_map(|name| ServerName::new(name).ok())
            .chain(all);
        let name = ProfileName::default_profile();
        new.profiles.retain(|profile| profile.name != name);
        notes.push("there are profiles now; `default` has everything, as before".to_owned());
        new.profiles.push(Profile {
            name: name.clone(),
            accounts: Vec::new(),
            servers: servers.collect(),
        });
        new.default_profile = Some(name);
        return;
    }
    let left_over = all.iter().any(|name| !is_reached(new, name));
    if !all.is_empty() && (left_over || catch_all.is_some()) {
        let free = |name: &String| {
            !old.contains(&name.as_str())
                && new
                    .profiles
                    .iter()
                    .all(|profile| profile.name.as_str() != name)
        };
        let numbered = (2..).map(|number| format!("imported_{number}"));
        let name = std::iter::once("imported".to_owned())
            .chain(numbered)
            .find(free);
        if let Some(Ok(name)) = name.as_deref().map(ProfileName::new) {
            notes.push(format!(
                "the new servers are in no profile that exists; the profile `{name}` reaches them"
            ));
            new.profiles.push(Profile {
                name,
                accounts: Vec::new(),
                servers: all,
            });
        }
    }
    if let ([only], false, false) = (
        old.as_slice(),
        new.profiles.is_empty(),
        before.contains_key("default_profile"),
    ) && let Ok(only) = ProfileName::new(only)
    {
        notes.push(format!(
            "there are several profiles now; `{only}` stays the one that counts without a name"
        ));
        new.default_profile = Some(only);
    }
}

fn is_reached(new: &Imported, server: &ServerName) -> bool {
    new.profiles.iter().any(|profile| {
        profile.servers.contains(server) || profile.accounts.iter().any(|(name, _)| name == server)
    })
}

/// The lines to add, each with the number of old lines before them, in the order of the file.
fn additions(old: &str, before: &Mapping, new: &Imported) -> Vec<(usize, Vec<String>)> {
    let lines: Vec<&str> = old.lines().collect();
    let mut added = Vec::new();
    let mut at_end: Vec<String> = Vec::new();
    for (name, section) in sections(new) {
        let place = before.get(name).and_then(|_| place(&lines, name));
        if let Some((at, indent)) = place {
            let Lines(section) = section;
            let step = |line: &String| format!("{}{line}", " ".repeat(indent));
            added.push((at, section.iter().map(step).collect()));
        } else {
            at_end.push(String::new());
            at_end.push(format!("{name}:"));
            at_end.extend(section.0.iter().map(|line| format!("  {line}")));
        }
    }
    for lines in scalars(new) {
        at_end.push(String::new());
        at_end.extend(lines);
    }
    if lines.iter().all(|line| line.trim().is_empty()) && !at_end.is_empty() {
        at_end.remove(0);
    }
    added.sort_by_key(|(at, _)| *at);
    if !at_end.is_empty() {
        added.push((lines.len(), at_end));
    }
    added
}

/// After which line a section's entries end, and how far they are indented.
fn place(lines: &[&str], name: &str) -> Option<(usize, usize)> {
    let head = |line: &str| {
        let rest = line
            .strip_prefix(name)
            .and_then(|rest| rest.trim_start().strip_prefix(':'));
        rest.is_some_and(|rest| rest.trim_start().is_empty() || rest.trim_start().starts_with('#'))
    };
    let start = lines.iter().position(|line| head(line))? + 1;
    let indentation = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let mut end = start;
    let mut indent = None;
    for (at, line) in lines.iter().enumerate().skip(start) {
        let text = line.trim();
        if text.is_empty() {
            continue;
        }
        if indentation(line) == 0 {
            // A comment at the margin may stand between entries, or before the next section.
            if text.starts_with('#') {
                continue;
            }
            break;
        }
        if !text.starts_with('#') {
            indent.get_or_insert_with(|| indentation(line));
        }
        end = at + 1;
    }
    Some((end, indent.unwrap_or(2)))
}

/// The old text with the lines in it, in the old text's line ends.
fn inserted(old: &str, added: &[(usize, Vec<String>)]) -> String {
    let line_end = if old.contains("\r\n") { "\r\n" } else { "\n" };
    let mut text = String::with_capacity(old.len());
    let mut lines = old.split_inclusive('\n');
    let mut taken = 0;
    for (at, new) in added {
        while taken < *at {
            text.push_str(lines.next().unwrap_or_default());
            taken += 1;
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push_str(line_end);
        }
        for line in new {
            text.push_str(line);
            text.push_str(line_end);
        }
    }
    text.extend(lines);
    text
}

/// What the merged text must mean.
fn expected(before: Mapping, new: &Imported) -> Option<Mapping> {
    let mut expected = before;
    for (name, section) in sections(new) {
        let entries: Mapping = serde_yaml::from_str(&section.0.join("\n")).ok()?;
        let place = expected.entry(name.into()).or_insert(Value::Null);
        match place {
            Value::Mapping(map) => map.extend(entries),
            Value::Null => *place = Value::Mapping(entries),
            _ => return None,
        }
    }
    for lines in scalars(new) {
        let entries: Mapping = serde_yaml::from_str(&lines.join("\n")).ok()?;
        expected.extend(entries);
    }
    Some(expected)
}

/// The lines to add by hand.
fn paste(new: &Imported) -> String {
    let mut lines = Vec::new();
    for (name, section) in sections(new) {
        lines.push(format!("{}:", scalar(name)));
        lines.extend(section.0.iter().map(|line| format!("  {line}")));
    }
    lines.extend(scalars(new).into_iter().flatten());
    lines.join("\n") + "\n"
}
