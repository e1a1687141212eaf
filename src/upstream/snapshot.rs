//! A listing as text, so that the next life of Janus has lists before any server answers.
//!
//! One JSON object: what the server said of itself, and the four lists under the names they have on the wire. Items
//! are written as the server wrote them, so that a client that compares sees no difference after a restart.
//!
//! Invariants:
//! - A snapshot is whole or none: a list that is missing from it would be taken for an empty one.
//! - It is read by today's rules: an item they do not allow is left out.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::account::Account;
use super::lists;
use crate::protocol::{Edit, Era, Json, ListKind, Listing, Object, Revision, ServerFacts};
use crate::store::{self, ListingRecord};
use crate::telemetry::redact;

/// The snapshot of a listing; `None` while the server was not reached.
fn written(listing: &Listing) -> Option<String> {
    let server = listing.server.as_ref()?;
    let mut members = facts_members(server);
    for kind in ListKind::ALL {
        let items: Vec<Json> = listing.of(kind).iter().map(|i| i.json.clone()).collect();
        members.push(Edit::Set(kind.member(), Json::array(&items)));
    }
    Some(Object::empty().edited(&members).as_str().to_owned())
}

fn facts_members(server: &ServerFacts) -> Vec<Edit<'static>> {
    let mut members = vec![
        Edit::Set("revision", Json::string(server.revision.as_str())),
        Edit::Set("capabilities", server.capabilities.json().clone()),
    ];
    if let Some(info) = &server.info {
        members.push(Edit::Set("serverInfo", info.clone()));
    }
    if let Some(instructions) = &server.instructions {
        members.push(Edit::Set("instructions", Json::string(instructions)));
    }
    members
}

/// What a server said of itself, alone.
pub(super) fn facts_text(server: &ServerFacts) -> String {
    let members = facts_members(server);
    Object::empty().edited(&members).as_str().to_owned()
}

/// The same from its text.
pub(super) fn facts(text: &str) -> Option<ServerFacts> {
    facts_of(&Json::parse(text.to_owned().into()).ok()?.object()?)
}

fn facts_of(object: &Object) -> Option<ServerFacts> {
    Some(ServerFacts {
        revision: Revision::named(&object.text("revision")?)?,
        capabilities: object.object("capabilities")?,
        info: object.get("serverInfo"),
        instructions: object.text("instructions"),
    })
}

/// The listing of a snapshot. `pipe` tells whether the account is a process: its tools need no headers.
fn read(text: &str, pipe: bool) -> Option<Listing> {
    let json = Json::parse(text.to_owned().into()).ok()?;
    let object = json.object()?;
    let server = facts_of(&object)?;
    let headers = server.revision.era() == Era::Modern && !pipe;
    let mut listing = Listing {
        server: Some(Arc::new(server)),
        ..Listing::default()
    };
    for kind in ListKind::ALL {
        *listing.of_mut(kind) = lists::usable(kind, &object, headers)?.into();
    }
    Some(listing)
}

fn digest(record: &ListingRecord) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(record.fingerprint);
    digest.update(&record.facts);
    digest.finalize().into()
}

impl Account {
    /// Shows what an earlier life listed, if it is of the same server.
    pub(super) fn inherit(&self, kept: &ListingRecord) {
        if kept.fingerprint != self.dial.fingerprint() {
            return;
        }
        match read(&kept.facts, self.dial.is_pipe()) {
            Some(listing) => {
                self.listing.send_replace(Arc::new(listing));
                *self.saved() = Some(digest(kept));
            }
            None => {
                tracing::debug!(account = %self.id(), "its last listing is not understood");
            }
        }
    }

    /// Saves what is listed now, if it is not what was saved last. `complete` tells whether every list was read since
    /// Janus started.
    pub(super) fn save(&self, complete: bool) {
        let Some(facts) = written(&self.listing.borrow()) else {
            return;
        };
        let record = ListingRecord {
            account: self.id().clone(),
            fingerprint: self.dial.fingerprint(),
            // A server may describe itself with what it was sent.
            facts: redact(&facts).into_owned(),
        };
        let new = digest(&record);
        let mut saved = self.saved();
        // What was there before stands for a list that could not be read; where nothing was, nothing does.
        if *saved == Some(new) || (saved.is_none() && !complete) {
            return;
        }
        *saved = Some(new);
        drop(saved);
        // One that is lost costs a reading.
        self.store.note(store::Change::Listed(record));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: &str = concat!(
        r#"{"revision":"2026-07-28","capabilities":{"tools":{"x":1.0e0}},"serverInfo":{"name":"s"},"#,
        r#""instructions":"a\"b","tools":[{"name":"a","inputSchema":{"type":"object"},"n":1.00},"#,
        r#"{"name":"h","inputSchema":{"properties":{"p":{"type":"number","x-mcp-header":"P"}}}}],"#,
        r#""prompts":[{"name":"p"}],"resources":[{"uri":"r:1"}],"resourceTemplates":[{"uriTemplate":"r:{x}"}]}"#
    );

    #[test]
    fn a_snapshot_comes_back_as_the_server_wrote_it() {
        let listing = read(FACTS, true).unwrap();
        let keys = ListKind::ALL.map(|kind| listing.of(kind)[0].key.clone());
        assert_eq!(keys, ["a", "p", "r:1", "r:{x}"]);
        assert_eq!(
            listing.server.as_ref().unwrap().instructions.as_deref(),
            Some("a\"b")
        );
        assert_eq!(written(&listing).as_deref(), Some(FACTS));
        // Over HTTP this tool needs a header that cannot be made.
        assert_eq!(read(FACTS, false).unwrap().tools.len(), 1);
    }

    #[test]
    fn half_a_snapshot_is_none() {
        let without = FACTS.replace("\"prompts\"", "\"other\"");
        assert!(read(&without, true).is_none());
        let unknown = FACTS.replace("2026-07-28", "2099-01-01");
        assert!(read(&unknown, true).is_none());
        assert!(read("{", true).is_none());
        assert_eq!(written(&Listing::default()), None);
    }
}
