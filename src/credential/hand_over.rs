//! Tokens that commands have printed go along when Janus becomes another program: a command that prints another one each
//! time it runs would have each process that was given one started again.
//!
//! Invariant: a token counts for the command that printed it, in the account that it was printed for, and for no longer
//! than it would have.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Credential;
use super::clock::Moment;
use super::proof::Origin;

/// A token that a command printed, for the next program of this process and nobody else.
#[derive(Serialize, Deserialize)]
pub struct PrintedRecord {
    /// The digest of the command.
    pub(super) command: String,
    pub(super) token: String,
    pub(super) renew: Option<Moment>,
    pub(super) end: Option<Moment>,
}

impl fmt::Debug for PrintedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

impl Credential {
    /// The tokens at hand that commands have printed.
    pub fn printed(&self) -> Vec<PrintedRecord> {
        let parts = self.parts().iter();
        let held = parts.filter_map(|part| match &part.origin {
            Origin::Printed(source, _) => source.record(),
            _ => None,
        });
        held.collect()
    }

    /// Goes on with those of them whose commands it has, too.
    pub fn go_on_with(&self, printed: &[PrintedRecord]) {
        for part in self.parts() {
            if let Origin::Printed(source, _) = &part.origin {
                source.go_on_with(printed);
            }
        }
    }
}
