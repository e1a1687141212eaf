//! Durable state: the directory it lives in, who may use it, the installation key, and the database.
//!
//! `janus.db` holds what a restart must not lose: sessions, choices, access keys, sealed secrets, what accounts were granted
//! and which clients Janus is for that, the port that logins come back to, and what was learnt of servers. A
//! [`Store`] is the handle on it; one thread behind it owns the connection and writes in groups. Everything is read
//! once, at the start ([`Kept`]); from then on memory is asked and the database only told.
//!
//! Invariants:
//! - The directory is 0700 and this user's own; one Janus at a time holds it.
//! - The installation key is 0600, made on first start, and never written anywhere else.
//! - The database and the two files SQLite keeps beside it are 0600 and no links.
//! - Acknowledged means committed and synced. A change that was answered with [`NotSaved`] is as if never asked for.
//! - A database that is damaged, newer or not ours is named and left as it is, never replaced.
//! - A secret is not stored in the clear: keys and fingerprints come as digests, secrets sealed.
//!
//! # Old readers and new data
//!
//! The format is a number, `PRAGMA user_version`. A migration that has run is never edited; a change is one more.
//!
//! - An old Janus finds a newer number: it refuses to start and says so, because it cannot know what a table it does
//!   not know means for those it knows. It writes nothing.
//! - A new Janus finds an older number: it runs the missing migrations, each in a transaction of its own, before
//!   anything is read. A crash between two leaves a database of a known version.
//! - Within one version, the JSON of sessions and listings belongs to those who wrote it: they ignore members they do
//!   not know, and fill in what is missing.
//! - A row that today's rules do not allow (a name that is no longer legal, an unknown kind of key) is skipped with a
//!   warning and stays in the file, so that the version that wrote it finds it again.

mod apply;
mod database;
mod directory;
mod key;
mod oauth;
pub mod private;
mod read;
mod record;
mod schema;
mod unsaved;
mod writer;

#[cfg(test)]
mod tests;

pub use directory::{StateDirectory, Unusable};
pub use key::InstallationKey;
pub use record::{
    Change, ChoiceRecord, EraRecord, GrantRecord, Holder, IntentRecord, Kept, KeyKind, KeyRecord,
    ListingRecord, RegistrationRecord, SecretRecord, SessionRecord, StoredEra, VaultRecord,
};
pub use unsaved::NotSaved;
pub use writer::{Store, Turn};
