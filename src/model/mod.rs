//! Words everyone shares. No I/O, and nothing here knows a protocol.
//!
//! Invariants:
//! - A name that exists is a legal name: it was checked when it was made.
//! - A type that holds a secret has neither `Display` nor `Serialize`, and its `Debug` prints `****`.

mod hex;
mod name;
mod secret;
mod server;
mod settings;
mod subject;

pub use hex::hex;
pub use name::{AccountId, AccountName, BadName, ProfileName, ServerName};
pub use secret::{Secret, looks_secret};
pub use server::{Command, Endpoint, EraChoice, HttpEndpoint, Server, Sharing, ToolFilter};
pub use settings::{Listen, ProxySettings, Settings};
pub use subject::Subject;
