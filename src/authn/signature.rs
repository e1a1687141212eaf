//! `Janus-Directory: PATH; mac=HEX`: a working directory that this installation vouches for.
//!
//! The daemon reads the directory of the process that asks, signs it, and the client sends it with every request. A
//! repository can carry any header, but none with the right code. The value says nothing of when it was made: it is
//! as good as the directory's name, and it ends with the installation key.
//!
//! Invariants:
//! - The code covers the path as it is written, so one directory has one spelling and nothing unsigned is decoded.

use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};

use super::{DirectoryRefused, Header};
use crate::model::hex;

/// What `janus client install` writes where a header helper shall put the real value.
const PLACEHOLDER: &[u8] = b"required";
const BETWEEN: &str = "; mac=";
/// SHA-256 in hexadecimal digits.
const CODE: usize = 64;

/// Signs directories and knows what it signed.
#[derive(Clone)]
pub(super) struct Signer(Hmac<Sha256>);

impl Signer {
    /// With a key of its own for this purpose, derived from the installation's.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    pub(super) fn new(installation_key: &[u8; 32]) -> Self {
        let key = Sha256::new()
            .chain_update(b"janus directory 1\0")
            .chain_update(installation_key)
            .finalize();
        Self(Hmac::new_from_slice(&key).expect("a key of any length"))
    }

    /// The value of the header.
    pub(super) fn sign(&self, directory: &Path) -> String {
        let path = encode(directory);
        let code = self.0.clone().chain_update(&path).finalize().into_bytes();
        format!("{path}{BETWEEN}{}", hex(&code))
    }

    /// The directory that the header names; `None` without a header.
    pub(super) fn verify(&self, header: Header<'_>) -> Result<Option<PathBuf>, DirectoryRefused> {
        let value = match header {
            Header::Missing => return Ok(None),
            Header::Once(value) => value,
            Header::Repeated => return Err(DirectoryRefused::Twice),
        };
        if value == PLACEHOLDER {
            return Err(DirectoryRefused::HelperFailed);
        }
        let path = self.signed(value).ok_or(DirectoryRefused::NotSigned)?;
        if path.is_absolute() {
            Ok(Some(path))
        } else {
            Err(DirectoryRefused::Relative)
        }
    }

    fn signed(&self, value: &[u8]) -> Option<PathBuf> {
        let (value, code) = value.split_at_checked(value.len().checked_sub(CODE)?)?;
        let path = value.strip_suffix(BETWEEN.as_bytes())?;
        // In constant time, as the code of the wrong path is a secret.
        self.0
            .clone()
            .chain_update(path)
            .verify_slice(&digits(code)?)
            .ok()?;
        decode(path)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// A path as a header can carry it: visible ASCII as it is, all else, `%` and `;` as `%` and two digits.
fn encode(path: &Path) -> String {
    let mut text = String::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'%' | b';' => {}
            0x21..=0x7e => {
                text.push(char::from(*byte));
                continue;
            }
            _ => {}
        }
        // Writing to a string cannot fail.
        let written = write!(text, "%{byte:02X}");
        debug_assert!(written.is_ok(), "a string takes what it is given");
    }
    text
}

fn decode(text: &[u8]) -> Option<PathBuf> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let value = digit(rest.next()?)? << 4 | digit(rest.next()?)?;
                u8::try_from(value).ok()?
            }
            byte => *byte,
        });
    }
    Some(OsString::from_vec(bytes).into())
}

/// Bytes from lower-case hexadecimal digits: a code has one spelling.
fn digits(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(byte.wrapping_sub(b'a').wrapping_add(10)),
        _ => None,
    };
    text.as_chunks::<2>()
        .0
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signer() -> Signer {
        Signer::new(&[7; 32])
    }

    fn verify(value: &[u8]) -> Result<Option<PathBuf>, DirectoryRefused> {
        signer().verify(Header::Once(value))
    }

    fn path(bytes: Vec<u8>) -> PathBuf {
        OsString::from_vec(bytes).into()
    }

    #[test]
    fn a_signed_directory_has_one_visible_spelling() {
        let signed = signer().sign(Path::new("/home/ana/50%; süß dir"));
        let (path, code) = signed.split_once("; mac=").unwrap();
        assert_eq!(path, "/home/ana/50%25%3B%20s%C3%BC%C3%9F%20dir");
        assert_eq!(code.len(), CODE);
        assert_eq!(
            verify(signed.as_bytes()),
            Ok(Some("/home/ana/50%; süß dir".into()))
        );
        for other in [
            signed.replace("%C3", "%c3"),
            signed.replace("ana", "%61na"),
            signed.replace("; mac=", ";mac="),
            format!("{path}; mac={}", code.to_uppercase()),
            format!("{signed} "),
            format!("{signed}, {signed}"),
            format!("{path}; mac="),
            path.to_owned(),
            format!("; mac={code}"),
            format!("{path}; mac={}", "0".repeat(CODE)),
            String::new(),
        ] {
            assert_eq!(
                verify(other.as_bytes()),
                Err(DirectoryRefused::NotSigned),
                "{other}"
            );
        }
        for length in 0..signed.len() {
            assert_eq!(
                verify(&signed.as_bytes()[..length]),
                Err(DirectoryRefused::NotSigned)
            );
        }
    }

    #[test]
    fn another_installations_signature_does_not_count_here() {
        let foreign = Signer::new(&[8; 32]).sign(Path::new("/home/ana"));
        assert_eq!(verify(foreign.as_bytes()), Err(DirectoryRefused::NotSigned));
        // Nor does a code without a key, or under the installation key itself.
        let unkeyed = hex(&Sha256::digest(b"/home/ana"));
        assert_eq!(
            verify(format!("/home/ana; mac={unkeyed}").as_bytes()),
            Err(DirectoryRefused::NotSigned)
        );
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        let relative = signer().sign(Path::new("src"));
        for (header, expected) in [
            (Header::Once(b"required"), DirectoryRefused::HelperFailed),
            (Header::Once(b"/home/ana"), DirectoryRefused::NotSigned),
            (Header::Repeated, DirectoryRefused::Twice),
            (
                Header::Once(relative.as_bytes()),
                DirectoryRefused::Relative,
            ),
        ] {
            let refused = signer().verify(header).unwrap_err();
            assert_eq!(refused, expected);
            let text = refused.to_string();
            assert!(
                text.contains("`janus headers`") && text.contains("`janus connect`"),
                "{text}"
            );
        }
        assert_eq!(signer().verify(Header::Missing), Ok(None));
    }

    proptest! {
        #[test]
        fn every_path_survives_its_header(tail in prop::collection::vec(1_u8.., 0..40)) {
            let directory = path([&b"/"[..], &tail].concat());
            let signed = signer().sign(&directory);
            prop_assert!(signed.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            prop_assert_eq!(verify(signed.as_bytes()), Ok(Some(directory)));
        }

        #[test]
        fn no_change_of_a_signed_value_is_taken(
            tail in prop::collection::vec(1_u8.., 0..20),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            how in 0..4,
        ) {
            let signed = signer().sign(&path([&b"/"[..], &tail].concat())).into_bytes();
            let mut changed = signed.clone();
            let at = at.index(signed.len());
            match how {
                0 => changed[at] = byte,
                1 => changed.insert(at, byte),
                2 => drop(changed.remove(at)),
                _ => changed.swap(at, signed.len() - 1 - at),
            }
            prop_assume!(changed != signed);
            prop_assert_eq!(verify(&changed), Err(DirectoryRefused::NotSigned));
        }

        #[test]
        fn nothing_unsigned_is_taken(value in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assume!(value != PLACEHOLDER);
            prop_assert_eq!(verify(&value), Err(DirectoryRefused::NotSigned));
        }
    }
}
