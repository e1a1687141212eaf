//! Rows that only the key opens, and only as the rows they are.
//!
//! XChaCha20-Poly1305 with a random nonce of 24 bytes for each write, and a key of its own for each table. What a row is
//! (table, id, column, generation) is authenticated with it, so that nobody can swap or relabel rows, or put an old
//! value back.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::key::VaultKey;

const NONCE: usize = 24;

/// Which value it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) table: &'static str,
    pub(super) id: &'a str,
    pub(super) column: &'static str,
    pub(super) generation: u64,
}

impl<'a> Row<'a> {
    /// A column of a row.
    pub(super) fn new(
        table: &'static str,
        id: &'a str,
        column: &'static str,
        generation: u64,
    ) -> Self {
        Self {
            table,
            id,
            column,
            generation,
        }
    }
}

impl Row<'_> {
    /// The value of a secret.
    pub(super) fn secret(name: &str, generation: u64) -> Row<'_> {
        Row {
            table: "secret",
            id: name,
            column: "value",
            generation,
        }
    }

    /// What tells whether a key is the vault's.
    pub(super) fn probe(vault: &str) -> Row<'_> {
        Row {
            table: "vault_meta",
            id: vault,
            column: "probe",
            generation: 0,
        }
    }

    fn associated(&self) -> Vec<u8> {
        let Self {
            table,
            id,
            column,
            generation,
        } = self;
        format!("janus/1|{table}|{id}|{column}|{generation}").into_bytes()
    }

    fn cipher(&self, key: &VaultKey) -> XChaCha20Poly1305 {
        let derived = key.derive(&format!("janus/1|{}", self.table));
        XChaCha20Poly1305::new((&*derived).into())
    }
}

/// Seals a value.
///
/// # Errors
/// The system has no random numbers.
pub(super) fn seal(
    key: &VaultKey,
    row: Row<'_>,
    value: &[u8],
) -> Result<Vec<u8>, getrandom::Error> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce)?;
    let payload = Payload {
        msg: value,
        aad: &row.associated(),
    };
    let sealed = row.cipher(key).encrypt(XNonce::from_slice(&nonce), payload);
    // It fails for values of more than 256 GiB only.
    Ok([nonce.as_slice(), &sealed.unwrap_or_default()].concat())
}

/// Opens a value; `None` where it is another row, another key's, or damaged.
pub(super) fn open(key: &VaultKey, row: Row<'_>, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, value) = sealed.split_at_checked(NONCE)?;
    let payload = Payload {
        msg: value,
        aad: &row.associated(),
    };
    let opened = row.cipher(key).decrypt(XNonce::from_slice(nonce), payload);
    opened.ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_opens_only_as_what_it_is() {
        let (key, other) = (VaultKey::random().unwrap(), VaultKey::random().unwrap());
        let row = Row::secret("a", 1);
        let sealed = seal(&key, row, b"value").unwrap();
        assert_eq!(open(&key, row, &sealed).unwrap().as_slice(), b"value");
        assert_ne!(seal(&key, row, b"value").unwrap(), sealed);
        assert!(open(&other, row, &sealed).is_none());
        for wrong in [
            Row::secret("b", 1),
            Row::secret("a", 2),
            Row {
                column: "other",
                ..row
            },
            Row {
                table: "vault_meta",
                ..row
            },
        ] {
            assert!(open(&key, wrong, &sealed).is_none(), "{wrong:?}");
        }
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(open(&key, row, &damaged).is_none(), "{at}");
            assert!(open(&key, row, &sealed[..at]).is_none(), "{at}");
        }
    }
}
