//! Why a person must log in: a word for programs, and words for people.

/// Why a person must log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginReason {
    /// Nobody has logged in yet, and the server wants it.
    Never,
    /// The provider ended the grant.
    Rejected,
    /// The provider ended the grant just when another account logged in by the same client.
    Displaced,
    /// The provider does not know the client any more.
    Registration,
    /// The provider wants a person to answer something.
    Interaction,
    /// The token ended, and there is nothing to renew it with.
    Expired,
    /// A renewal was cut off, and what it brought is lost.
    Lost,
    /// The server wants a scope that was not granted.
    Scope,
    /// Somebody logged out.
    LoggedOut,
}

impl LoginReason {
    /// In words, after "it needs a login:".
    pub fn told(self) -> &'static str {
        match self {
            Self::Never => "nobody has logged in yet",
            Self::Rejected => "the provider ended the earlier one",
            Self::Displaced => {
                "the provider ended the earlier one just after another account logged in by the same client; it may allow one at a time"
            }
            Self::Registration => "the provider does not know this client any more",
            Self::Interaction => "the provider wants a person to answer something",
            Self::Expired => "the earlier one ended, and there was nothing to renew it with",
            Self::Lost => "a renewal was cut off, and what it brought is lost",
            Self::Scope => "the server wants a permission that was not granted",
            Self::LoggedOut => "somebody logged out",
        }
    }

    /// As `_meta["dev.janus/login"]` and `--json` have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Rejected => "rejected",
            Self::Displaced => "displaced",
            Self::Registration => "registration",
            Self::Interaction => "interaction",
            Self::Expired => "expired",
            Self::Lost => "lost",
            Self::Scope => "scope",
            Self::LoggedOut => "logged_out",
        }
    }

    /// The reason of this word.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        [
            Self::Never,
            Self::Rejected,
            Self::Displaced,
            Self::Registration,
            Self::Interaction,
            Self::Expired,
            Self::Lost,
            Self::Scope,
            Self::LoggedOut,
        ]
        .into_iter()
        .find(|reason| reason.word() == word)
    }
}
