//! Reads one list of a server, page by page.
//!
//! Invariants:
//! - A bad item costs that item; a bad page costs the reading, and what was known stays.
//! - What is logged of an item is its name or its place, nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Failure;
use super::connection::Connection;
use super::handshake::words;
use super::leg::Leg;
use crate::model::AccountId;
use crate::protocol::{Era, Item, Json, Kind, ListKind, Object, ServerFacts, code, param_header};

/// More pages than any real server has; one that has more goes in circles with ever new cursors.
const MOST_PAGES: usize = 100;

/// A list as it was read.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub(super) items: Vec<Item>,
    /// How long it is fresh, where the server said so.
    pub(super) ttl: Option<Duration>,
}

/// One page.
#[derive(Debug)]
struct Page {
    /// What is usable.
    items: Vec<Item>,
    /// What is not: its name or place, and why.
    bad: Vec<(String, String)>,
    next: Option<String>,
    ttl: Option<Duration>,
}

/// Whether the server has such a list.
pub(super) fn offered(facts: &ServerFacts, kind: ListKind) -> bool {
    facts.capabilities.has(kind.capability())
}

/// Reads a list to its end.
///
/// # Errors
/// How it failed; nothing of it is usable then.
pub(super) async fn read(
    account: &AccountId,
    connection: &Connection,
    kind: ListKind,
) -> Result<Fetched, Failure> {
    let revision = connection.facts.revision;
    let headers = revision.era() == Era::Modern && matches!(connection.leg, Leg::Http(_));
    let bad = |reason| Failure::BadAnswer {
        account: account.clone(),
        reason,
    };
    let mut fetched = Fetched::default();
    let mut seen = BTreeSet::new();
    let mut cursors = BTreeSet::new();
    let mut cursor: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let params = cursor
            .as_ref()
            .map(|cursor| Json::of(&serde_json::json!({"cursor": cursor})));
        let own = connection
            .leg
            .own(account, kind.method(), params.as_ref(), revision);
        let answer = own.await?;
        if answer.kind() == Kind::Error {
            return match answer.error_code() {
                // Many servers with resources have no templates, and no words for that.
                Some(code::METHOD_NOT_FOUND) if cursor.is_none() => Ok(fetched),
                _ => Err(bad(format!(
                    "{} is refused: {}",
                    kind.method(),
                    words(&answer)
                ))),
            };
        }
        let result = answer.result().and_then(|result| result.object());
        let page = result
            .and_then(|result| page(kind, &result, headers))
            .ok_or_else(|| bad(format!("{} brings no list", kind.method())))?;
        for (item, why) in page.bad {
            tracing::warn!(account = %account, list = kind.member(), item, "an item is left out: {why}");
        }
        for item in page.items {
            if seen.insert(item.key.clone()) {
                fetched.items.push(item);
            } else {
                tracing::warn!(account = %account, list = kind.member(), item = item.key, "an item is left out: there is one of that name already");
            }
        }
        fetched.ttl = match (fetched.ttl, page.ttl) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let Some(next) = page.next else {
            return Ok(fetched);
        };
        if !cursors.insert(next.clone()) {
            tracing::warn!(account = %account, list = kind.member(), "the pages go in circles");
            return Ok(fetched);
        }
        cursor = Some(next);
    }
    tracing::warn!(account = %account, list = kind.member(), "there are more than {MOST_PAGES} pages; the rest is left out");
    Ok(fetched)
}

/// The items of a list that was read before, as far as today's rules allow them; `None` if there is no such list.
pub(super) fn usable(kind: ListKind, object: &Object, headers: bool) -> Option<Vec<Item>> {
    page(kind, object, headers).map(|page| page.items)
}

/// The items of one result; `None` if it has none.
fn page(kind: ListKind, result: &Object, headers: bool) -> Option<Page> {
    let elements = result.get(kind.member())?.elements()?;
    let mut page = Page {
        items: Vec::with_capacity(elements.len()),
        bad: Vec::new(),
        // An empty cursor is a cursor; a null is none.
        next: result.text("nextCursor"),
        ttl: result
            .get("ttlMs")
            .and_then(|ttl| ttl.read())
            .map(Duration::from_millis),
    };
    for (at, json) in elements.into_iter().enumerate() {
        match item(kind, &json, headers) {
            Ok(key) => page.items.push(Item { key, json }),
            Err((key, why)) => page
                .bad
                .push((key.unwrap_or_else(|| format!("#{at}")), why)),
        }
    }
    Some(page)
}

/// What an item is named by, or why it cannot be used.
fn item(kind: ListKind, json: &Json, headers: bool) -> Result<String, (Option<String>, String)> {
    let object = json
        .object()
        .ok_or_else(|| (None, "it is no object".to_owned()))?;
    let key = object
        .text(kind.key())
        .filter(|key| !key.is_empty())
        .ok_or_else(|| (None, format!("it has no `{}`", kind.key())))?;
    if kind != ListKind::Tools {
        return Ok(key);
    }
    let Some(schema) = object.get("inputSchema").filter(Json::is_object) else {
        return Err((Some(key), "its `inputSchema` is no object".to_owned()));
    };
    match param_header::annotated(&schema) {
        Err(invalid) if headers => Err((Some(key), invalid.to_string())),
        _ => Ok(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_page(kind: ListKind, result: &str, headers: bool) -> Option<Page> {
        page(
            kind,
            &Json::parse(result.to_owned().into())
                .unwrap()
                .object()
                .unwrap(),
            headers,
        )
    }

    #[test]
    fn a_bad_item_costs_that_item() {
        let result = r#"{"tools":[{"name":"a","inputSchema":{"type":"object"},"x":1.0},7,{"inputSchema":{}},
            {"name":"b"},{"name":"c","inputSchema":[]},{"name":5,"inputSchema":{}},
            {"name":"d","inputSchema":{"properties":{"p":{"type":"number","x-mcp-header":"P"}}}}],"nextCursor":""}"#;
        let page = read_page(ListKind::Tools, result, true).unwrap();
        let keys: Vec<_> = page.items.iter().map(|item| item.key.as_str()).collect();
        assert_eq!(keys, ["a"]);
        assert_eq!(
            page.items[0].json.as_str(),
            r#"{"name":"a","inputSchema":{"type":"object"},"x":1.0}"#
        );
        let bad: Vec<_> = page.bad.iter().map(|(item, _)| item.as_str()).collect();
        assert_eq!(bad, ["#1", "#2", "b", "c", "#5", "d"]);
        assert_eq!(page.next.as_deref(), Some(""));
        // Over a pipe there are no headers to be wrong.
        assert_eq!(
            read_page(ListKind::Tools, result, false)
                .unwrap()
                .items
                .len(),
            2
        );
    }

    #[test]
    fn a_page_without_a_list_is_no_page() {
        for result in [r"{}", r#"{"tools":null}"#, r#"{"tools":{}}"#] {
            assert!(
                read_page(ListKind::Tools, result, false).is_none(),
                "{result}"
            );
        }
        let page = read_page(
            ListKind::Templates,
            r#"{"resourceTemplates":[{"uriTemplate":"a{b}"}],"nextCursor":null,"ttlMs":5}"#,
            false,
        )
        .unwrap();
        assert_eq!(
            (page.items[0].key.as_str(), page.next, page.ttl),
            ("a{b}", None, Some(Duration::from_millis(5)))
        );
        let odd = read_page(ListKind::Prompts, r#"{"prompts":[],"ttlMs":-1}"#, false).unwrap();
        assert_eq!(odd.ttl, None);
    }
}
