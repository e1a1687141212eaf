//! Percent-encoding (RFC 3986, section 2.1).

/// A text with everything encoded but the unreserved characters (section 2.3) and those of `kept`.
pub fn percent(text: &str, kept: &[u8], upper: bool) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
            let digits = [digit(byte >> 4), digit(byte & 15)];
            encoded.push('%');
            encoded.extend(digits.map(|c| if upper { c.to_ascii_uppercase() } else { c }));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_unreserved_or_kept_stays() {
        assert_eq!(percent("a-Z/ ä", b"", true), "a-Z%2F%20%C3%A4");
        assert_eq!(percent("a-Z/ ä", b"/", false), "a-Z/%20%c3%a4");
    }
}
