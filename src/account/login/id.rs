//! What a login is called by, and what its page proves itself with.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Nothing that is read as something else: no 0, no 1.
const ALPHABET: &[u8; 34] = b"abcdefghijklmnopqrstuvwxyz23456789";
const LENGTH: usize = 6;

/// A short id, to be typed. It opens nothing.
pub(super) fn short() -> Option<String> {
    let mut id = String::with_capacity(LENGTH);
    while id.len() < LENGTH {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        let letters = bytes.iter().filter_map(|byte| {
            // 7 × 34 = 238: what is above would make some letters likelier.
            let byte = usize::from(*byte);
            (byte < 238).then(|| ALPHABET.get(byte % ALPHABET.len()).copied())?
        });
        id.extend(letters.map(char::from).take(LENGTH - id.len()));
    }
    Some(id)
}

/// 128 random bits: the form of a page has it, and no other page knows it.
pub(super) fn token() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_six_letters_and_digits_and_never_twice_the_same() {
        let ids: std::collections::BTreeSet<String> = (0..200).filter_map(|_| short()).collect();
        assert_eq!(ids.len(), 200);
        for id in ids {
            assert_eq!(id.len(), LENGTH, "{id}");
            assert!(id.bytes().all(|byte| ALPHABET.contains(&byte)), "{id}");
        }
    }
}
