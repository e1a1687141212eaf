//! OAuth 2.1 as MCP uses it: a login once, and a token that stays alive after it.
//!
//! `login` is one login from the server's refusal (`challenge`, RFC 6750) to the tokens. By RFC, in the order of its life:
//! `network` is how every authorization server is reached, by a `connector` that looks at each `address`; `discovery`
//! finds it (RFC 9728, 8414: `walk` is the way, `metadata` what is read there), `registration` makes Janus its client
//! (RFC 7591), `scopes` says what is asked for, `authorization` sends a person to its `page` (RFC 6749, 7636, 8707), `callback`
//! reads what comes back (RFC 9207), `exchange` has tokens for it, `device` is the way without a browser here (RFC 8628),
//! `identity` learns who logged in, `revocation` ends it (RFC 7009, 7592). After that a token's life is `grant`'s: the refresh
//! engine, with `token_response` for what comes, `client_authentication` for how Janus proves itself and
//! `client_credentials` for machine accounts. `granted`, `failed` and `reason` are the words of all of it.
//!
//! Invariants:
//! - A valid token is never waited for, and no request goes to an authorization server while it is valid, but to renew
//!   it: early, after a refusal, or after a renewal of which nobody knows what became.
//! - A grant is renewed by one task at a time, which nobody's going away ends.
//! - What a person's login or its renewal gave is on the disk before calls use it, or said to be beside it. Only the
//!   question who that is comes before.
//! - A grant, a registration and a login belong to one issuer, and nothing of them is sent to another.
//! - rmcp finds metadata, makes the URL and the PKCE of it; no token and no client secret gets into it (`seam`).

mod address;
mod authorization;
mod callback;
mod challenge;
mod client_authentication;
mod client_credentials;
mod connector;
mod device;
mod discovery;
mod exchange;
mod failed;
mod grant;
mod granted;
mod identity;
mod login;
mod metadata;
mod network;
mod page;
mod reason;
mod registration;
mod revocation;
mod scopes;
mod seam;
mod token_response;
mod walk;

pub use grant::{Grant, GrantState, GrantStatus, Grants, Notice, Point};
pub use granted::{
    Ended, Granted, Identity, Managed, Registration, RegistrationKind, Source, Tokens,
};
pub use identity::{NotTold, told};
pub use login::{Brought, Callback, Challenge, Expected, Flow, LoginFailed, Options};
pub use network::{Network, NetworkError, Policy};
pub use reason::LoginReason;
pub use revocation::{remove, revoke};

#[cfg(test)]
mod tests;
