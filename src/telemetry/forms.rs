//! The forms in which a secret shows up in text: as it is, in a URL, in base64, in JSON.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::model::percent;

/// A form. It is a secret itself.
pub(super) type Form = Zeroizing<Vec<u8>>;

/// A key has fewer lines, and a file of keys is known by its first.
const LINES: usize = 64;

/// What a path or a query may have, and lenient writers leave.
const LENIENT: &[u8] = b"!$'()*,:;@/?";

/// Every form of a secret, none twice.
pub(super) fn forms(secret: &str) -> Vec<Form> {
    // A file ends with a line end that no header has.
    let secret = secret.trim_end_matches(['\n', '\r']);
    let mut forms: BTreeSet<Vec<u8>> = BTreeSet::new();
    forms.insert(secret.as_bytes().to_vec());
    forms.insert(percent(secret, b"", true).into_bytes());
    forms.insert(percent(secret, b"", false).into_bytes());
    forms.insert(percent(secret, LENIENT, true).into_bytes());
    forms.insert(json(secret, false));
    forms.insert(json(secret, true));
    // `{"text": "{\"token\": …"}`: JSON within JSON is common in this protocol.
    let once = String::from_utf8(json(secret, false)).unwrap_or_default();
    forms.insert(json(&once, false));
    // A key of several lines is shown line by line, and `{:?}` of a text escapes as Rust does.
    forms.insert(secret.escape_debug().to_string().into_bytes());
    for line in secret.lines().filter(|line| line.len() >= 16).take(LINES) {
        forms.insert(line.as_bytes().to_vec());
    }
    for offset in 0..3 {
        forms.extend(base64(secret, offset));
    }
    forms.into_iter().map(Zeroizing::new).collect()
}

/// As JSON writes it, without the quotes; some writers escape the slash and what is no ASCII.
fn json(secret: &str, eager: bool) -> Vec<u8> {
    let quoted = serde_json::Value::from(secret).to_string();
    let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
    if !eager {
        return inner.as_bytes().to_vec();
    }
    let mut text = String::with_capacity(inner.len());
    for c in inner.chars() {
        match c {
            '/' => text.push_str("\\/"),
            c if c.is_ascii() => text.push(c),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    text.push_str(&escaped(*unit));
                }
            }
        }
    }
    text.into_bytes()
}

fn escaped(unit: u16) -> String {
    format!("\\u{unit:04x}")
}

/// As it shows within the base64 of a longer text (RFC 4648), `offset` bytes after a boundary of three: the characters
/// that its neighbours have a part in are left out.
fn base64(secret: &str, offset: usize) -> Vec<Vec<u8>> {
    let mut padded = Zeroizing::new(vec![0; offset]);
    padded.extend_from_slice(secret.as_bytes());
    let bits = padded.len() * 8;
    let (first, last) = ((offset * 8).div_ceil(6), bits / 6);
    [
        STANDARD_NO_PAD.encode(&*padded),
        URL_SAFE_NO_PAD.encode(&*padded),
    ]
    .into_iter()
    .filter_map(|text| Some(text.get(first..last)?.as_bytes().to_vec()))
    .filter(|text| text.len() >= super::SHORTEST)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_the_base64_of_longer_texts() {
        let secret = "tok-äöü/+?1234";
        for before in ["", "a", "ab", "user:", "aladdin:"] {
            for after in ["", "x", "xy", "xyz"] {
                let text = STANDARD_NO_PAD.encode(format!("{before}{secret}{after}"));
                let found = forms(secret).iter().any(|form| {
                    text.as_bytes()
                        .windows(form.len())
                        .any(|window| window == form.as_slice())
                });
                assert!(found, "{before:?} {after:?}");
            }
        }
    }
}
