//! Why a person must log in: a word for programs, and words for people.

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal, $told:literal;)+) => {
        /// Why a person must log in.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum LoginReason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl LoginReason {
            const ALL: &[Self] = &[$(Self::$name),+];

            /// As `_meta["dev.janus/login"]` and `--json` have it.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }

            /// In words, after "it needs a login:".
            pub fn told(self) -> &'static str {
                match self {
                    $(Self::$name => $told,)+
                }
            }
        }
    };
}

reasons! {
    /// Nobody has logged in yet, and the server wants it.
    Never = "never", "nobody has logged in yet";
    /// The provider ended the grant.
    Rejected = "rejected", "the provider ended the earlier one";
    /// The provider ended the grant just when another account logged in by the same client.
    Displaced = "displaced",
        "the provider ended the earlier one just after another account logged in by the same client; it may allow one at a time";
    /// The provider does not know the client any more.
    Registration = "registration", "the provider does not know this client any more";
    /// The provider wants a person to answer something.
    Interaction = "interaction", "the provider wants a person to answer something";
    /// The token ended, and there is nothing to renew it with.
    Expired = "expired", "the earlier one ended, and there was nothing to renew it with";
    /// A renewal was cut off, and what it brought is lost.
    Lost = "lost", "a renewal was cut off, and what it brought is lost";
    /// The server wants a scope that was not granted.
    Scope = "scope", "the server wants a permission that was not granted";
    /// Somebody logged out.
    LoggedOut = "logged_out", "somebody logged out";
}

impl LoginReason {
    /// The reason of this word.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|reason| reason.word() == word).copied()
    }
}
