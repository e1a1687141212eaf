//! An access key: 256 random bits that a client shows, of which only the digest is kept.
//!
//! A digest without salt and without delay is enough, because nobody guesses 256 random bits; it also is what keys
//! are found by, so that no comparison tells how much of a key was right.

use std::fmt;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::model::{ACCESS_KEY_PREFIX, ClientId, Secret, hex};
use crate::store::{KeyKind, KeyRecord};

/// What a key is found by.
pub(super) type Hash = [u8; 32];

/// Bytes of the digest that a key is called by: short enough to say, and two keys of a user never share them.
const ID_BYTES: usize = 6;

/// A key that was just made. Its text is known here and nowhere else.
pub struct NewKey {
    id: String,
    text: Secret,
}

/// What there is to say about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// The client it proves; `None`: some program of this user, which came through the control socket.
    pub client: Option<ClientId>,
    /// What people call it by.
    pub id: String,
    /// What it is good for.
    pub kind: KeyKind,
    /// When it was made.
    pub made: SystemTime,
    /// When it was last used, to the minute.
    pub used: Option<SystemTime>,
}

impl NewKey {
    /// Draws a key, and what is kept of it.
    ///
    /// # Panics
    /// Never: the system has random numbers once it has started.
    #[expect(
        clippy::expect_used,
        reason = "the system's generator never fails once it has started"
    )]
    pub(super) fn draw(
        client: Option<&ClientId>,
        kind: KeyKind,
        now: SystemTime,
    ) -> (Self, KeyRecord) {
        let mut random = [0; 32];
        getrandom::fill(&mut random).expect("the system has random numbers");
        let text = format!("{ACCESS_KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
        let hash = digest(text.as_bytes());
        let id = hex(hash.first_chunk::<ID_BYTES>().unwrap_or(&[0; ID_BYTES]));
        let record = KeyRecord {
            hash,
            id: id.clone(),
            client: client.cloned(),
            kind,
            made: now,
            used: None,
        };
        let text = Secret::new(text);
        (Self { id, text }, record)
    }

    /// What people call it by.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key itself, for the one who is to have it; afterwards nobody can say it again.
    pub fn into_text(self) -> String {
        self.text.expose().to_owned()
    }
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

impl From<&KeyRecord> for KeyInfo {
    fn from(record: &KeyRecord) -> Self {
        Self {
            client: record.client.clone(),
            id: record.id.clone(),
            kind: record.kind,
            made: record.made,
            used: record.used,
        }
    }
}

/// The digest of the key in `Bearer KEY`; `None` where there is no such thing. The scheme's case does not matter, and
/// there may be several blanks (RFC 9110, 11.1 and 11.4).
pub(super) fn presented(authorization: &[u8]) -> Option<Hash> {
    let blank = authorization.iter().position(|byte| *byte == b' ')?;
    let (scheme, key) = authorization.split_at_checked(blank)?;
    scheme
        .eq_ignore_ascii_case(b"bearer")
        .then(|| digest(key.trim_ascii()))
}

/// What a key is found by.
pub(super) fn digest(key: &[u8]) -> Hash {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::looks_secret;

    #[test]
    fn a_key_looks_like_one_and_shows_itself_only_when_asked() {
        let (key, record) = NewKey::draw(None, KeyKind::Access, SystemTime::UNIX_EPOCH);
        let (other, _) = NewKey::draw(None, KeyKind::Access, SystemTime::UNIX_EPOCH);
        assert_eq!(format!("{key:?}"), "****");
        assert_eq!((key.id(), key.id().len()), (record.id.as_str(), 12));
        assert_ne!(key.id(), other.id());
        let text = key.into_text();
        assert_ne!(text, other.into_text());
        assert!(
            text.starts_with("janus_k_") && text.len() == 8 + 43,
            "{text}"
        );
        assert!(looks_secret(&text));
        assert!(!format!("{record:?}").contains(&text));
        assert_eq!(
            presented(format!("Bearer {text}").as_bytes()),
            Some(record.hash)
        );
    }

    #[test]
    fn only_bearer_presents_a_key() {
        let expected = Some(digest(b"janus_k_x"));
        for text in [
            "Bearer janus_k_x",
            "bearer janus_k_x",
            "BEARER   janus_k_x ",
        ] {
            assert_eq!(presented(text.as_bytes()), expected, "{text}");
        }
        for text in [
            "janus_k_x",
            "Basic janus_k_x",
            "Bearer",
            "Bearer\tjanus_k_x",
            "",
            " Bearer janus_k_x",
        ] {
            assert_eq!(presented(text.as_bytes()), None, "{text}");
        }
        assert_ne!(presented(b"Bearer janus_k_x janus_k_y"), expected);
    }
}
