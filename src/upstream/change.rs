//! What happens behind Janus without anybody having asked.

use std::sync::Arc;

use crate::model::AccountId;
use crate::protocol::{Envelope, ListKind};

/// A change that those in front of Janus may want to know.
#[derive(Debug, Clone)]
pub enum Change {
    /// A list was read again; the listing holds it already.
    Listed {
        /// Whose list.
        account: AccountId,
        /// Which list.
        kind: ListKind,
        /// The server announced a change, and nothing is different.
        identical: bool,
    },
    /// A server said something outside of any call.
    Notification {
        /// Who said it.
        account: AccountId,
        /// What, as it wrote it.
        message: Envelope,
        /// The session whose own connection it came from, where it has one.
        session: Option<Arc<str>>,
    },
}

/// Changes that a slow listener may fall behind before it has to look at everything again.
pub(super) const CHANGES: usize = 256;
