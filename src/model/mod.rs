//! Words everyone shares. No I/O, and nothing here knows a protocol.
//!
//! Invariants:
//! - A name that exists is a legal name: it was checked when it was made.
//! - A type that holds a secret has neither `Display` nor `Serialize`, and its `Debug` prints `****`.

mod auth;
mod hex;
mod identity;
mod name;
mod oauth;
mod origin;
mod percent;
mod reference;
mod secret;
mod server;
mod settings;
mod subject;
mod surroundings;

pub use auth::{Auth, Authentication, Format, Helper};
pub use hex::{hex, unhex};
pub use identity::{BindingRule, Client, Identity, Profile, Reach, Switching, Written};
pub use name::{
    AccountId, AccountName, BadName, BadSecretName, ClientId, ProfileName, SecretName, ServerName,
};
pub use oauth::{
    Ask, Browser, CLIENT_NAME, ClientAuthentication, Endpoints, GrantKind, OAuth, OWN_PARAMETERS,
    OpenBrowser, PreRegistered, Provider, REDIRECT_PATH, Redirect, RedirectHost, RegistrationScope,
    Resource, Risks, SigningAlgorithm, SigningKey, Whoami,
};
pub use origin::{Origin, is_loopback};
pub use percent::percent;
pub use reference::{Reference, SecretValue, points};
pub use secret::{ACCESS_KEY_PREFIX, Secret, is_secret_name, looks_secret, text_looks_secret};
pub use server::{
    Account, Colour, Command, Endpoint, EraChoice, HttpEndpoint, OWNED_HEADERS, Server, Sharing,
    ToolFilter, Transport,
};
pub use settings::{KeySource, Listen, ProxySettings, QUESTION_TIMEOUT, Settings, VaultSettings};
pub use subject::Subject;
pub use surroundings::Surroundings;
