//! What a configuration of Janus can hold: which headers, variables and URLs.

use super::entry::{Entry, Field, Target};
use super::reference::is_variable;
use super::words::{shown, text_looks_secret};
use super::{STAND_IN, STAND_IN_BEGIN};
use crate::model::OWNED_HEADERS;

/// The headers that may be set.
pub(super) fn headers(entry: &Entry, notes: &mut Vec<String>) -> Vec<Field> {
    let Target::Remote { headers, .. } = &entry.target else {
        return Vec::new();
    };
    let mut seen: Vec<http::HeaderName> = Vec::new();
    let mut usable = Vec::new();
    for field in headers {
        let name = field.name.parse::<http::HeaderName>().ok();
        let name = name.filter(|_| !text_looks_secret(&field.name));
        match name {
            Some(name) if !OWNED_HEADERS.contains(&name.as_str()) && !seen.contains(&name) => {
                seen.push(name);
                usable.push(field.clone());
            }
            _ => notes.push(format!(
                "`{}`: the header `{}` is left out: no configuration of Janus can hold it",
                entry.at,
                shown(&field.name)
            )),
        }
    }
    usable
}

/// The variables that may be set.
pub(super) fn env(entry: &Entry, notes: &mut Vec<String>) -> Vec<Field> {
    let Target::Process { env, .. } = &entry.target else {
        return Vec::new();
    };
    let mut usable: Vec<Field> = Vec::new();
    for field in env {
        let twice = usable.iter().any(|other| other.name == field.name);
        if is_variable(&field.name) && !twice {
            usable.push(field.clone());
        } else {
            notes.push(format!(
                "`{}`: the variable `{}` is left out: no configuration of Janus can hold it",
                entry.at,
                shown(&field.name)
            ));
        }
    }
    usable
}

/// Whether a URL can be one, whatever the values of its variables.
pub(super) fn is_url(url: &str) -> bool {
    let mut plain = String::new();
    let mut rest = url;
    while let Some((before, after)) = rest.split_once('$') {
        plain.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            plain.push('$');
            rest = after;
        } else {
            // As `Imported::stand_ins` has it.
            let begins = plain.is_empty();
            plain.push_str(if begins { STAND_IN_BEGIN } else { STAND_IN });
            rest = after.split_once('}').map_or("", |(_, after)| after);
        }
    }
    plain.push_str(rest);
    let authority = plain.split_once("://").map(|(_, rest)| rest);
    let authority = authority.and_then(|rest| rest.split(['/', '?']).next());
    // The parser takes a user and drops a fragment; a configuration may hold neither.
    let strict =
        authority.is_some_and(|authority| !authority.contains('@')) && !plain.contains('#');
    let url: Option<http::Uri> = plain.parse().ok().filter(|_| strict);
    url.is_some_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https"))
            && url.host().is_some_and(|host| !host.is_empty())
    })
}
