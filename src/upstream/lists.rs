//! Reading a server's lists, page by page. One bad item costs that item.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use crate::model::AccountId;
use crate::protocol::{Era, Item, Json, ListKind, Object, ServerFacts, param_header};

use super::Failure;
use super::answer::result;
use super::leg::Leg;

/// A server that never stops giving pages.
const PAGES: usize = 100;

/// Reads one list to its end.
pub(super) async fn read(
    account: &AccountId,
    leg: &Leg,
    facts: &ServerFacts,
    kind: ListKind,
) -> Result<Arc<[Item]>, Failure> {
    if !facts.capabilities.has(kind.capability()) {
        return Ok(Arc::default());
    }
    // Other transports have no headers (2026-07-28, "Schema Extension"), and the other era has no such word.
    let over_modern_http = matches!(leg, Leg::Http(_)) && facts.revision.era() == Era::Modern;
    let (mut items, mut seen) = (Vec::new(), BTreeSet::new());
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES {
        // An empty cursor is a cursor.
        let params = cursor
            .as_ref()
            .map(|cursor| Json::of(&json!({"cursor": cursor})));
        let answer = leg
            .ask(kind.method(), params.as_ref(), facts.revision)
            .await?;
        // A server may refuse a list it said it has; templates have no capability of their own.
        let Some(page) = result(account, answer)?.and_then(|page| page.object()) else {
            break;
        };
        items.extend(usable(account, over_modern_http, kind, &page));
        cursor = page.text("nextCursor");
        match &cursor {
            None => break,
            Some(next) if !seen.insert(next.clone()) => {
                tracing::warn!(%account, list = kind.member(), "the server's pages go in a circle");
                break;
            }
            Some(_) => {}
        }
    }
    Ok(items.into())
}

fn usable(account: &AccountId, over_modern_http: bool, kind: ListKind, page: &Object) -> Vec<Item> {
    let elements = page
        .get(kind.member())
        .and_then(|list| list.elements())
        .unwrap_or_default();
    let read = |(at, json): (usize, Json)| match item(over_modern_http, kind, &json) {
        Ok(key) => Some(Item {
            key,
            json: json.on_one_line(),
        }),
        Err(reason) => {
            tracing::warn!(%account, list = kind.member(), at, %reason, "an item of the list is left out");
            None
        }
    };
    elements.into_iter().enumerate().filter_map(read).collect()
}

/// The name of an item that can be shown.
fn item(over_modern_http: bool, kind: ListKind, json: &Json) -> Result<String, String> {
    let object = json.object().ok_or("it is no object")?;
    let key = object
        .text(kind.key())
        .filter(|key| !key.is_empty())
        .ok_or_else(|| format!("it has no `{}`", kind.key()))?;
    if object.repeated(&[kind.key(), "inputSchema"]).is_some() {
        return Err("it has a member twice".to_owned());
    }
    if kind == ListKind::Tools {
        let schema = object
            .get("inputSchema")
            .filter(Json::is_object)
            .ok_or("it has no `inputSchema`")?;
        if over_modern_http {
            param_header::validate(&schema).map_err(|invalid| invalid.to_string())?;
        }
    }
    Ok(key)
}
