//! Where secrets rest: sealed rows in the store, and a key that lies elsewhere.
//!
//! `source` finds the key (a systemd credential, the Secret Service, a file by explicit choice), `seal` uses it, `rows`
//! says what a value is called and when it may be read, `oauth` seals what grants and registrations have, `watch` waits
//! for a keyring that is locked or absent, `rekey` and `export` carry everything over to another key.
//!
//! Invariants:
//! - Nobody waits for the vault who does not need it: Janus is ready without, and what is `sealed` says so.
//! - A key is made for a new vault only. One that does not open the vault is never written over, and neither are rows.
//! - A value is in the store before it is in memory, and an answer leaves after that.
//! - What is read is known to [`telemetry`](crate::telemetry) before anybody else gets it.

mod error;
mod export;
mod key;
mod oauth;
mod open;
mod rekey;
mod rows;
mod seal;
mod source;
mod watch;

pub use error::{NotThere, Refused, Sealed};
pub use export::Imported;
pub use oauth::{GrantSecrets, NotOpened, OAuthRows, RegistrationSecrets};
pub use open::{Status, Vault};
pub use rows::Listed;
pub use source::{no_place, unlock};
