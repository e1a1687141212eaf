//! One list out of many: tools, prompts, resources and templates of all accounts in a scope.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{AccountId, ServerName, Subject};
use crate::protocol::{Edit, Era, Json, ListKind, Listing, Object};

use super::address::{self, Addresses};
use super::{Argument, argument, exposed_name};

/// One account's contribution to a view.
#[derive(Debug, Clone)]
pub struct Source {
    /// Whose it is.
    pub account: AccountId,
    /// The server's `description`.
    pub description: Option<String>,
    /// What it offers.
    pub listing: Arc<Listing>,
    /// How a call says which account of the server it means, where it may.
    pub argument: Option<Arc<Argument>>,
    /// Whether other accounts of the server are in scope: then a resource's address names its account.
    pub several: bool,
}

/// A merged list: ready to send, and able to say where each name leads.
#[derive(Debug)]
pub struct Merged {
    /// The array, as clients get it.
    pub array: Json,
    /// What each shown name stands for.
    entries: BTreeMap<String, Entry>,
}

/// What a shown name stands for.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The server it belongs to: one entry serves all of its accounts in scope.
    pub server: ServerName,
    /// Its own name or URI.
    pub key: String,
    /// The argument by which a call says which account it means, shown or not; `None` where every name for it is the
    /// tool's own.
    pub argument: Option<&'static str>,
}

impl Merged {
    /// Merges one list. `own` comes first: the tools of Janus itself. `denied` says which items the caller's rules
    /// hide; `era` is the client's.
    pub fn new(
        kind: ListKind,
        own: Vec<Json>,
        sources: &[Source],
        era: Era,
        denied: impl Fn(&AccountId, &Subject) -> bool,
    ) -> Self {
        let addresses = Addresses::new(sources);
        let (mut entries, mut shown) = (BTreeMap::new(), own);
        for source in sources {
            for item in source.listing.of(kind).iter() {
                let subject = subject(kind, &item.key);
                if denied(&source.account, &subject) {
                    continue;
                }
                let taken = if kind == ListKind::Tools {
                    // A view of several servers serves no tasks of the legacy era, so a tool that needs one cannot
                    // be called.
                    for_era(item.json.clone(), era).filter(|tool| !needs_task(tool))
                } else {
                    Some(item.json.clone())
                };
                let Some(json) = taken else { continue };
                let name = shown_key(kind, &addresses, source, &item.key);
                // One copy of each, whatever the number of accounts; and a server that lists a name twice gets its
                // first one shown: calls could reach only one.
                let std::collections::btree_map::Entry::Vacant(free) = entries.entry(name) else {
                    continue;
                };
                let argument = argument_of(kind, &json);
                shown.push(arranged(
                    kind,
                    &addresses,
                    source,
                    json,
                    &item.key,
                    free.key(),
                    argument,
                ));
                free.insert(Entry {
                    server: source.account.server().clone(),
                    key: item.key.clone(),
                    argument,
                });
            }
        }
        Self {
            array: Json::array(&shown).on_one_line(),
            entries,
        }
    }

    /// What a name of this list stands for.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// The names, for "did you mean".
    pub fn names(&self) -> BTreeSet<&str> {
        self.entries.keys().map(String::as_str).collect()
    }
}

fn subject(kind: ListKind, key: &str) -> Subject {
    match kind {
        ListKind::Tools => Subject::Tool(key.to_owned()),
        ListKind::Prompts => Subject::Prompt(key.to_owned()),
        ListKind::Resources | ListKind::Templates => Subject::Resource(key.to_owned()),
    }
}

/// Whether a tool can be called as a task of the legacy era only (2025-11-25, basic/utilities/tasks).
fn needs_task(tool: &Json) -> bool {
    let execution = tool.object().and_then(|tool| tool.object("execution"));
    let support = execution.and_then(|execution| execution.text("taskSupport"));
    support.as_deref() == Some("required")
}

/// A tool as a client of this era can take it; `None` if it cannot.
pub fn for_era(tool: Json, era: Era) -> Option<Json> {
    let object = tool.object()?;
    if era == Era::Modern && needs_task(&tool) {
        return None;
    }
    let odd_output = era == Era::Legacy && !legacy_output_schema(&object);
    Some(if odd_output {
        object.edited(&[Edit::Remove("outputSchema")])
    } else {
        tool
    })
}

fn shown_key(kind: ListKind, addresses: &Addresses, source: &Source, key: &str) -> String {
    match kind {
        ListKind::Tools | ListKind::Prompts => exposed_name(source.account.server(), key),
        ListKind::Resources | ListKind::Templates => addresses.shown(&source.account, key),
    }
}

/// The item as it is shown: everything its server wrote, with the shown name in place.
fn arranged(
    kind: ListKind,
    addresses: &Addresses,
    source: &Source,
    item: Json,
    key: &str,
    name: &str,
    argument: Option<&'static str>,
) -> Json {
    let Some(object) = item.object() else {
        return item;
    };
    let mut edits = Vec::new();
    if name != key {
        edits.push(Edit::Set(kind.key(), Json::string(name)));
    }
    if kind == ListKind::Tools {
        edits.extend(described(&object, source).map(|text| Edit::Set("description", text)));
        edits.extend(ui_resource(&object, addresses, source).map(|meta| Edit::Set("_meta", meta)));
    }
    if let (Some(choice), Some(argument)) = (&source.argument, argument) {
        match kind {
            ListKind::Tools => {
                let schema = choice.in_schema(&object, argument);
                edits.extend(schema.map(|schema| Edit::Set("inputSchema", schema)));
            }
            ListKind::Prompts => {
                edits.push(Edit::Set(
                    "arguments",
                    choice.in_arguments(&object, argument),
                ));
            }
            ListKind::Resources | ListKind::Templates => {}
        }
    }
    if edits.is_empty() {
        item
    } else {
        object.edited(&edits)
    }
}

fn argument_of(kind: ListKind, item: &Json) -> Option<&'static str> {
    match kind {
        ListKind::Tools => argument::of_tool(&item.object()?),
        ListKind::Prompts => argument::of_prompt(&item.object()?),
        ListKind::Resources | ListKind::Templates => None,
    }
}

fn described(tool: &Object, source: &Source) -> Option<Json> {
    let server = source.description.as_deref()?;
    let own = tool.text("description").unwrap_or_default();
    Some(Json::string(&if own.is_empty() {
        server.to_owned()
    } else {
        format!("{server}: {own}")
    }))
}

/// `_meta.ui.resourceUri` must resolve in the same view.
fn ui_resource(tool: &Object, addresses: &Addresses, source: &Source) -> Option<Json> {
    let meta = tool.object("_meta")?;
    let ui = meta.object("ui")?;
    let uri = ui.text("resourceUri")?;
    let shown = addresses.shown(&source.account, &uri);
    (shown != uri).then(|| {
        meta.edited(&[Edit::Set(
            "ui",
            ui.edited(&[Edit::Set("resourceUri", Json::string(&shown))]),
        )])
    })
}

/// Revisions up to 2025-11-25 allow objects only as structured content.
fn legacy_output_schema(tool: &Object) -> bool {
    tool.object("outputSchema")
        .is_none_or(|schema| schema.text("type").as_deref() == Some("object"))
}

impl Addresses {
    /// The addresses of the resources and templates of these sources.
    pub fn new(sources: &[Source]) -> Self {
        let known = sources.iter().flat_map(|source| {
            let templates = source.listing.templates.iter().map(|item| (item, true));
            let resources = source.listing.resources.iter().map(|item| (item, false));
            resources
                .chain(templates)
                .map(|(item, template)| address::Known {
                    account: source.account.clone(),
                    uri: item.key.clone(),
                    template,
                })
        });
        let accounts = sources.iter().map(|source| {
            let account = source.account.clone();
            (account, source.several)
        });
        Self::of(accounts.collect(), known.collect())
    }
}
