//! Why a person must log in, in one word for programs.

use super::grant::LoginReason;

impl LoginReason {
    /// As `_meta["dev.janus/login"]` and `--json` have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Rejected => "rejected",
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
