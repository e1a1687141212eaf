//! Why somebody is nobody to us.

use std::io;

/// A connection or a request that comes from nobody Janus serves.
#[derive(Debug, thiserror::Error)]
pub enum NotAuthenticated {
    /// Nobody can repair it: a Janus serves one user, and this one needs its own.
    #[error(
        "the program on the other end belongs to user {theirs}; this Janus serves user {ours} only"
    )]
    OtherUser {
        /// Whose program connected.
        theirs: u32,
        /// Whom Janus runs as.
        ours: u32,
    },
    /// The client must connect anew, and keep its end open until it has its answer.
    #[error(
        "the other end of this connection closed before it was known whose it is; connect again, and keep both directions open"
    )]
    Closing,
    /// Whoever runs Janus must let it look: a container without its own `/proc`, an address translated on the way.
    #[error("the kernel does not say whose program is on the other end")]
    Unknown(#[source] io::Error),
    /// The client must send an access key that counts. The same for every reason, so that it says nothing about keys.
    #[error(
        "an access key is required, as `Authorization: Bearer KEY`, and none that counts was sent"
    )]
    KeyRequired,
    /// The client's configuration must be repaired.
    #[error(transparent)]
    DirectoryRefused(#[from] DirectoryRefused),
}

/// What is wrong with a `Janus-Directory` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryRefused {
    /// The client goes on without its helper, and would be served in another profile.
    #[error(
        "`Janus-Directory` still says `required`: the client's header helper failed; run `janus headers` in the session's directory to see why, or use `janus connect`"
    )]
    HelperFailed,
    /// Somebody wrote it by hand, a repository carried it, or the installation key is another one by now.
    #[error(
        "`Janus-Directory` is not as this Janus signed it; let `janus headers` print it anew, or use `janus connect`"
    )]
    NotSigned,
    /// Two headers would let two readers see two directories.
    #[error(
        "`Janus-Directory` was sent more than once; send what `janus headers` prints and no other, or use `janus connect`"
    )]
    Twice,
    /// A relative path is one for the process that says it only.
    #[error(
        "`Janus-Directory` is not an absolute path; let `janus headers` print it anew, or use `janus connect`"
    )]
    Relative,
}

impl NotAuthenticated {
    /// The word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherUser { .. } | Self::Closing | Self::Unknown(_) => "other_user",
            Self::KeyRequired => "key_required",
            Self::DirectoryRefused(_) => "profile_refused",
        }
    }
}
