//! What is kept, and how it changes.

use std::sync::Arc;
use std::time::SystemTime;

use crate::model::{AccountId, AccountName, ClientId, ProfileName, SecretName, ServerName};

/// What the port of callbacks is called among what was chosen once.
pub(super) const CALLBACK_PORT: &str = "callback_port";
/// Before the account, what the authorization server of a machine account is called there.
pub(super) const ISSUER_OF: &str = "issuer:";

/// A session of a legacy client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its id.
    pub id: Arc<str>,
    /// The client that opened it, where it proved who it is.
    pub client: Option<ClientId>,
    /// What the edge wants to know of it after a restart: JSON, and the edge's own.
    pub facts: String,
    /// When it was opened.
    pub opened: SystemTime,
    /// When it was last used, as far as that was noted.
    pub used: SystemTime,
}

/// Who a choice counts for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// One session. Its choices end with it.
    Session(Arc<str>),
    /// Everything one client does.
    Client(ClientId),
    /// Everybody in the profile.
    Everybody,
}

/// The account somebody chose for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChoiceRecord {
    /// Who it counts for.
    pub holder: Holder,
    /// The profile it was made in.
    pub profile: ProfileName,
    /// The server it is about.
    pub server: ServerName,
    /// The chosen account.
    pub account: AccountName,
}

/// An access key, of which only the digest is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The digest of the key.
    pub hash: [u8; 32],
    /// What people call it by; no secret.
    pub id: String,
    /// The client it proves; `None` where it belongs to nobody in particular.
    pub client: Option<ClientId>,
    /// What it is good for.
    pub kind: KeyKind,
    /// When it was made.
    pub made: SystemTime,
    /// When it was last used, as far as that was noted.
    pub used: Option<SystemTime>,
}

/// What a key is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// It proves a client.
    Access,
    /// It proves a connection.
    Connection,
}

/// What an account offered when it was last listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingRecord {
    /// The account.
    pub account: AccountId,
    /// The digest of what was talked to: a listing of something else says nothing.
    pub fingerprint: [u8; 32],
    /// The listing: JSON, and `upstream`'s own.
    pub facts: String,
}

/// The era a server turned out to speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EraRecord {
    /// The account through which it was found.
    pub account: AccountId,
    /// The digest of what was talked to: a verdict on something else says nothing.
    pub fingerprint: [u8; 32],
    /// The verdict.
    pub era: StoredEra,
    /// When it was found: a verdict may age.
    pub since: SystemTime,
}

/// An era of the protocol, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredEra {
    /// `initialize` and sessions.
    Legacy,
    /// `server/discover`, stateless.
    Modern,
}

/// What identifies a vault, and tells whether a key is its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultRecord {
    /// Random, so that its key is found among others.
    pub id: Arc<str>,
    /// The digest of its key's name, no secret.
    pub key_id: Vec<u8>,
    /// When it was made.
    pub created: SystemTime,
    /// Something known, sealed with the key.
    pub probe: Vec<u8>,
}

/// A secret, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRecord {
    /// What people call it.
    pub name: SecretName,
    /// How often it was set. It is sealed in, so that an old value cannot be put in the place of a new one unseen.
    pub generation: u64,
    /// When it was set.
    pub updated: SystemTime,
    /// The sealed value.
    pub value: Vec<u8>,
}

/// An OAuth client that Janus registered at an authorization server. What is secret of it is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationRecord {
    /// Random.
    pub id: Arc<str>,
    /// The authorization server.
    pub issuer: String,
    /// For which server.
    pub server: ServerName,
    /// For which of its accounts; `None`: for all.
    pub account: Option<AccountName>,
    /// Sealed in.
    pub generation: u64,
    /// What else is known of it: JSON, and of who wrote it.
    pub facts: String,
    /// The sealed `client_id`.
    pub client_id: Vec<u8>,
    /// The sealed `client_secret`.
    pub client_secret: Option<Vec<u8>>,
    /// The sealed `registration_access_token`.
    pub registration_access_token: Option<Vec<u8>>,
}

/// What an authorization server gave one account. The tokens are sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRecord {
    /// Whose.
    pub account: AccountId,
    /// The authorization server.
    pub issuer: String,
    /// The registered client it was given to; `None` where the configuration has it.
    pub registration: Option<Arc<str>>,
    /// Counts what was given. It is sealed in, and whoever changes the row names the one it read.
    pub generation: u64,
    /// What else is known of it: JSON, and of who wrote it.
    pub facts: String,
    /// The sealed access token.
    pub access_token: Option<Vec<u8>>,
    /// The sealed refresh token.
    pub refresh_token: Option<Vec<u8>>,
}

/// A renewal that began, and did not say yet what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntentRecord {
    /// Whose.
    pub account: AccountId,
    /// What is renewed.
    pub generation: u64,
    /// How often that was tried in a row.
    pub attempt: u32,
    /// The digest of the refresh token that is sent.
    pub token_hash: [u8; 32],
    /// When it began.
    pub began: SystemTime,
}

/// Everything that was there when the store was opened, in a fixed order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// By id.
    pub sessions: Vec<SessionRecord>,
    /// By holder, profile and server.
    pub choices: Vec<ChoiceRecord>,
    /// Oldest first.
    pub keys: Vec<KeyRecord>,
    /// By account.
    pub listings: Vec<ListingRecord>,
    /// By account.
    pub eras: Vec<EraRecord>,
    /// `None` where no secret was ever kept.
    pub vault: Option<VaultRecord>,
    /// By name.
    pub secrets: Vec<SecretRecord>,
    /// By id.
    pub registrations: Vec<RegistrationRecord>,
    /// By account.
    pub grants: Vec<GrantRecord>,
    /// By account.
    pub intents: Vec<IntentRecord>,
    /// The port to which browsers come back after a login, once it was chosen.
    pub callback_port: Option<u16>,
    /// The authorization servers that machine accounts first asked, by account.
    pub issuers: Vec<(AccountId, String)>,
}

/// One change to what is kept. It happens whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A session began, or is told anew; its choices stay.
    SessionOpened(SessionRecord),
    /// Sessions were used, at these times.
    SessionsUsed(Vec<(Arc<str>, SystemTime)>),
    /// What the edge knows of a session changed.
    SessionFacts {
        /// The session.
        id: Arc<str>,
        /// All of it, instead of what was there.
        facts: String,
    },
    /// A session ended, and its choices with it.
    SessionEnded(Arc<str>),
    /// Somebody chose an account.
    Chosen {
        /// Who it counts for. A session must be known.
        holder: Holder,
        /// The profile it was made in.
        profile: ProfileName,
        /// The server it is about.
        server: ServerName,
        /// The chosen account.
        account: AccountName,
    },
    /// Somebody took a choice back.
    Unchosen {
        /// Who it counted for.
        holder: Holder,
        /// The profile it was made in.
        profile: ProfileName,
        /// The server it was about.
        server: ServerName,
    },
    /// There is one more key.
    KeyMade(KeyRecord),
    /// All keys of a client end, and this one begins.
    KeysReplaced {
        /// The client.
        client: ClientId,
        /// Its key from now on.
        key: KeyRecord,
    },
    /// All keys of a client end.
    KeysEnded {
        /// The client.
        client: ClientId,
    },
    /// One key ends.
    KeyEnded {
        /// Its digest.
        hash: [u8; 32],
    },
    /// Keys were used, at these times.
    KeysUsed(Vec<([u8; 32], SystemTime)>),
    /// An account was listed; what was listed before is forgotten.
    Listed(ListingRecord),
    /// The era of a server was found; what was found before is forgotten.
    EraFound(EraRecord),
    /// The era of a server is unknown again.
    EraForgotten(AccountId),
    /// An account is no longer configured: its listing and era are forgotten.
    AccountGone(AccountId),
    /// The vault began. A second one contradicts it.
    VaultMade(VaultRecord),
    /// Secrets were set, all of them or none.
    SecretsSaved(Vec<SecretRecord>),
    /// A secret is gone.
    SecretRemoved(SecretName),
    /// Everything is sealed with another key.
    Rekeyed {
        /// What identifies the vault from now on.
        vault: VaultRecord,
        /// All secrets, sealed anew.
        secrets: Vec<SecretRecord>,
        /// All registrations, sealed anew.
        registrations: Vec<RegistrationRecord>,
        /// All grants, sealed anew. One that changed meanwhile contradicts it.
        grants: Vec<GrantRecord>,
    },
    /// Janus is a client of an authorization server; what was kept under this id is replaced.
    RegistrationKept(RegistrationRecord),
    /// These registrations are forgotten.
    RegistrationsGone(Vec<Arc<str>>),
    /// A login: from now on this is the grant, whatever there was. No renewal of an earlier one is under way any more.
    GrantBegun(GrantRecord),
    /// What an account was granted was renewed or is known better. That there is nothing of generation `was` to be
    /// changed contradicts it. The renewal that was under way is over.
    GrantChanged {
        /// The generation that this is the successor of.
        was: u64,
        /// All of it, instead of what was there.
        grant: GrantRecord,
    },
    /// An account has no grant any more.
    GrantEnded(AccountId),
    /// A renewal begins.
    RefreshIntended(IntentRecord),
    /// A renewal is over, and the grant is what it was.
    RefreshOver(AccountId),
    /// The port to which browsers come back was chosen, instead of the one before.
    CallbackPort(u16),
    /// A machine account asks this authorization server from now on. That ends with its grant.
    IssuerTrusted {
        /// Which account.
        account: AccountId,
        /// Who gives tokens to it.
        issuer: String,
    },
}

impl KeyKind {
    /// The word in the database.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Connection => "connection",
        }
    }

    pub(super) fn of_word(word: &str) -> Option<Self> {
        [Self::Access, Self::Connection]
            .into_iter()
            .find(|kind| kind.word() == word)
    }
}

impl StoredEra {
    /// The word in the database.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }

    pub(super) fn of_word(word: &str) -> Option<Self> {
        [Self::Legacy, Self::Modern]
            .into_iter()
            .find(|era| era.word() == word)
    }
}
