//! The key of a vault: 32 random bytes, and how they are written where they are kept.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::model::{hex, unhex};

/// The key that everything is sealed with. It is overwritten in memory when it goes.
#[derive(Clone)]
pub(super) struct VaultKey(Zeroizing<[u8; 32]>);

impl VaultKey {
    /// A new one.
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key)?;
        Ok(Self(key))
    }

    /// As people and programs write 32 bytes: raw, hexadecimal or base64, with a line end or without.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        if let Ok(raw) = <[u8; 32]>::try_from(bytes) {
            return Some(Self(Zeroizing::new(raw)));
        }
        let text = std::str::from_utf8(bytes).ok()?.trim();
        let decoded = Zeroizing::new(unhex(text).or_else(|| {
            let engines = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD];
            engines
                .into_iter()
                .find_map(|engine| engine.decode(text).ok())
        })?);
        let raw = <[u8; 32]>::try_from(decoded.as_slice()).ok()?;
        Some(Self(Zeroizing::new(raw)))
    }

    /// As it is kept: hexadecimal, which every keyring and editor leaves alone.
    pub(super) fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(hex(&*self.0))
    }

    /// What tells it from others without saying anything about it.
    pub(super) fn id(&self) -> Vec<u8> {
        self.derive("janus/1|key-id")
            .get(..8)
            .unwrap_or_default()
            .to_vec()
    }

    /// A key for one purpose (RFC 5869): what seals one table opens no other.
    pub(super) fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut derived = Zeroizing::new([0; 32]);
        // It fails for outputs of more than 8160 bytes only.
        let expanded =
            Hkdf::<Sha256>::new(None, &*self.0).expand(purpose.as_bytes(), &mut *derived);
        debug_assert!(expanded.is_ok(), "32 bytes can be derived");
        derived
    }
}

impl fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_in_every_form_it_is_written_in() {
        let key = VaultKey::random().unwrap();
        let text = key.text();
        let forms = [
            key.0.to_vec(),
            text.as_bytes().to_vec(),
            format!("{}\n", text.to_uppercase()).into_bytes(),
            STANDARD.encode(*key.0).into_bytes(),
            URL_SAFE_NO_PAD.encode(*key.0).into_bytes(),
        ];
        for form in forms {
            assert_eq!(VaultKey::read(&form).unwrap().id(), key.id());
        }
        for wrong in [&b""[..], b"short", &[b'g'; 64], &[b'0'; 62], &[0; 33]] {
            assert!(VaultKey::read(wrong).is_none());
        }
    }
}
