//! Words everyone shares. No I/O, and nothing here knows a protocol.
//!
//! Invariants:
//! - A name that exists is a legal name: it was checked when it was made.
//! - A type that holds a secret has neither `Display` nor `Serialize`, and its `Debug` prints `****`.

mod hex;
mod identity;
mod name;
mod secret;
mod server;
mod settings;
mod subject;

pub use hex::hex;
pub use identity::{BindingRule, Client, Identity, Profile, Reach, Switching, Written};
pub use name::{AccountId, AccountName, BadName, ClientId, ProfileName, ServerName};
pub use secret::{ACCESS_KEY_PREFIX, Secret, looks_secret};
pub use server::{
    Account, Colour, Command, Endpoint, EraChoice, HttpEndpoint, OWNED_HEADERS, Server, Sharing,
    ToolFilter, Transport,
};
pub use settings::{Listen, ProxySettings, QUESTION_TIMEOUT, Settings};
pub use subject::Subject;
