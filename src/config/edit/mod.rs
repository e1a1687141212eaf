//! Changes to the text of the configuration that leave the rest of it byte for byte, comments and line ends included.
//!
//! Invariant: a text is given back only after it was parsed again, and is the old document with exactly the change.
//! Where the file is written in a way that is not understood here, nothing is changed and a person is told what to write.

mod clients;
mod flow;
mod lines;
mod secrets;
mod whole;

use std::rc::Rc;

use super::date::moment;
use super::node::{Key, Node, Value};
use super::tree;
use crate::model::{ClientId, ProfileName};

pub use secrets::{Literal, literals, with_references};
pub use whole::write_whole;

use clients::Clients;

/// Why a text was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotEdited {
    /// The file must be right first.
    #[error("the file has mistakes")]
    Broken,
    /// It is there already.
    #[error("client `{0}` is there already")]
    Exists(ClientId),
    /// There is nothing to remove.
    #[error("client `{0}` is not there")]
    Absent(ClientId),
    /// The end of its keys is neither a day nor a time.
    #[error("expected a date such as `2027-03-01`, or a time such as `2027-03-01T18:00:00Z`")]
    NoDate,
    /// The section is written in a way that only a person changes.
    #[error("`clients` is written in a way that only a person can change")]
    ByHand {
        /// The lines to write, or what to remove.
        help: String,
    },
}

type Entries = [(Key, Rc<Node>)];

/// The text with one client more: `NAME: { profile: P }` in the section `clients`, which is made if it is missing.
///
/// # Errors
/// Why nothing was changed.
pub fn add_client(
    text: &str,
    name: &ClientId,
    profiles: &[ProfileName],
    expires: Option<&str>,
) -> Result<String, NotEdited> {
    if expires.is_some_and(|expires| moment(expires).is_none()) {
        return Err(NotEdited::NoDate);
    }
    let before = read(text)?;
    let clients = Clients::of(text, entries(&before).ok_or(NotEdited::Broken)?);
    if clients.has(name.as_str()) {
        return Err(NotEdited::Exists(name.clone()));
    }
    let line = line(name, profiles, expires);
    let edited = clients.with(&line).filter(|edited| {
        let Ok(after) = read(edited) else {
            return false;
        };
        let added = read(&line).ok();
        let added = added.as_ref().and_then(entries).and_then(<[_]>::first);
        added.is_some_and(|(_, added)| differ_by(&before, &after, name, added))
    });
    edited.ok_or_else(|| NotEdited::ByHand {
        help: format!("clients:\n  {line}"),
    })
}

/// The text without a client. The section stays, and with it that a key is needed.
///
/// # Errors
/// Why nothing was changed.
pub fn remove_client(text: &str, name: &ClientId) -> Result<String, NotEdited> {
    let before = read(text)?;
    let clients = Clients::of(text, entries(&before).ok_or(NotEdited::Broken)?);
    let Some((key, removed)) = clients.find(name.as_str()) else {
        return Err(NotEdited::Absent(name.clone()));
    };
    let edited = clients
        .without(name.as_str())
        .filter(|edited| read(edited).is_ok_and(|after| differ_by(&after, &before, name, removed)));
    edited.ok_or_else(|| NotEdited::ByHand {
        help: format!("remove `{name}` in line {}", key.at.line),
    })
}

/// The entry of a client.
fn line(name: &ClientId, profiles: &[ProfileName], expires: Option<&str>) -> String {
    let names: Vec<String> = profiles.iter().map(|one| word(one.as_str())).collect();
    let profiles = match &names[..] {
        [] => None,
        [only] => Some(format!("profile: {only}")),
        several => Some(format!("profiles: [{}]", several.join(", "))),
    };
    let expires = expires.map(|expires| format!("expires: {expires}"));
    let keys: Vec<String> = profiles.into_iter().chain(expires).collect();
    let name = word(name.as_str());
    if keys.is_empty() {
        format!("{name}: {{}}")
    } else {
        format!("{name}: {{ {} }}", keys.join(", "))
    }
}

/// A name as YAML: in quotes where it would be a number or a boolean.
fn word(name: &str) -> String {
    let node = read(name).ok().and_then(|document| document.root);
    if node.is_some_and(|node| node.found() == "text") {
        name.to_owned()
    } else {
        format!("\"{name}\"")
    }
}

fn read(text: &str) -> Result<tree::Document, NotEdited> {
    match tree::parse(text) {
        Ok(document) if document.duplicates.is_empty() => Ok(document),
        _ => Err(NotEdited::Broken),
    }
}

/// The entries of a document that is a map; none where it is empty.
fn entries(document: &tree::Document) -> Option<&Entries> {
    match &document.root {
        None => Some(&[]),
        Some(root) => members(root),
    }
}

fn members(node: &Node) -> Option<&Entries> {
    match &node.value {
        Value::Map(entries) => Some(entries),
        _ if node.is_nothing() => Some(&[]),
        _ => None,
    }
}

/// Whether `with` is `without` and one client more.
fn differ_by(
    without: &tree::Document,
    with: &tree::Document,
    name: &ClientId,
    client: &Node,
) -> bool {
    let (Some(without), Some(with)) = (entries(without), entries(with)) else {
        return false;
    };
    let clients = |key: &Key| key.text == "clients";
    let section = |entries: &Entries| -> Option<Vec<(Key, Rc<Node>)>> {
        let found = entries.iter().find(|(key, _)| clients(key));
        found.map_or(Some(Vec::new()), |(_, node)| Some(members(node)?.to_vec()))
    };
    let rest = |entries: &Entries| -> Vec<(Key, Rc<Node>)> {
        let rest = entries.iter().filter(|(key, _)| !clients(key));
        rest.cloned().collect()
    };
    let (Some(fewer), Some(mut more)) = (section(without), section(with)) else {
        return false;
    };
    let at = more.iter().position(|(key, _)| key.text == name.as_str());
    let found = at.map(|at| more.remove(at));
    found.is_some_and(|(_, node)| same(&node, client))
        && same_entries(&fewer, &more)
        && same_entries(&rest(without), &rest(with))
}

fn same_entries(one: &Entries, other: &Entries) -> bool {
    let mut pairs = one.iter().zip(other);
    one.len() == other.len()
        && pairs.all(|((key, value), (other_key, other_value))| {
            key.text == other_key.text && same(value, other_value)
        })
}

/// Whether two values say the same, wherever they stand.
fn same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::Map(one), Value::Map(other)) => same_entries(one, other),
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (
            Value::Scalar { text, plain },
            Value::Scalar {
                text: other,
                plain: other_plain,
            },
        ) => text == other && plain == other_plain,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
