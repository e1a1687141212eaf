//! Values that clients hold for Janus and can neither read nor change: request states and task ids.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

/// XChaCha20-Poly1305 under a key derived from the installation key. 192-bit nonces may be drawn at random for ever.
#[derive(Clone)]
pub struct Sealer(XChaCha20Poly1305);

/// The text was not sealed by this installation for this purpose, or was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value was not made here, or was changed")]
pub struct Unsealed;

const NONCE: usize = 24;

impl Sealer {
    /// A sealer of its own for each purpose, so that a task id never passes for a request state.
    pub fn new(installation_key: &[u8; 32], purpose: &str) -> Self {
        let key = Sha256::new()
            .chain_update(b"janus seal 1\0")
            .chain_update(purpose)
            .chain_update(installation_key)
            .finalize();
        Self(XChaCha20Poly1305::new(&key))
    }

    /// Seals `plain`, bound to `context`: it opens with the same context only.
    ///
    /// # Panics
    /// Never: the one failure of the cipher is a plain text of more than 256 GiB.
    #[expect(
        clippy::expect_used,
        reason = "the cipher fails on plain texts over 256 GiB only, the system's generator never once started"
    )]
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> String {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).expect("the system has random numbers");
        let sealed = self
            .0
            .encrypt(
                XNonce::from_slice(&nonce),
                Payload {
                    msg: plain,
                    aad: context,
                },
            )
            .expect("the plain text is short");
        URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())
    }

    /// Opens what [`Self::seal`] made with the same context.
    pub fn open(&self, context: &[u8], sealed: &str) -> Result<Vec<u8>, Unsealed> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| Unsealed)?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE).ok_or(Unsealed)?;
        self.0
            .decrypt(
                XNonce::from_slice(nonce),
                Payload {
                    msg: sealed,
                    aad: context,
                },
            )
            .map_err(|_| Unsealed)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(****)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_opens_only_here_unchanged_and_in_its_context() {
        let sealer = Sealer::new(&[7; 32], "state");
        let sealed = sealer.seal(b"caller", b"hello");
        assert_eq!(
            sealer.open(b"caller", &sealed).as_deref(),
            Ok(&b"hello"[..])
        );
        assert_eq!(sealer.open(b"other", &sealed), Err(Unsealed));
        assert_eq!(
            Sealer::new(&[7; 32], "task").open(b"caller", &sealed),
            Err(Unsealed)
        );
        assert_eq!(
            Sealer::new(&[8; 32], "state").open(b"caller", &sealed),
            Err(Unsealed)
        );
        assert_ne!(sealer.seal(b"caller", b"hello"), sealed);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(
                sealer.open(b"caller", &String::from_utf8(changed).unwrap()),
                Err(Unsealed)
            );
        }
        for text in ["", "A", "%%", "AAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(sealer.open(b"caller", text), Err(Unsealed));
        }
    }
}
