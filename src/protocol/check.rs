//! Whether a text is one JSON value (RFC 8259). Every message is checked once, so this is the hot path's own loop:
//! strings are skipped in long strides, and nesting costs one byte a level, whatever the depth.

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    /// It is no UTF-8.
    #[error(transparent)]
    Text(#[from] std::str::Utf8Error),
    /// A byte that cannot stand there.
    #[error("unexpected at byte {0}")]
    At(usize),
}

/// Checks that `text` is exactly one JSON value in UTF-8 with blanks around it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn one_value(text: &[u8]) -> Result<(), Flaw> {
    let seen = survey(text);
    if !seen.ascii {
        std::str::from_utf8(text)?;
    }
    let mut check = Check {
        text,
        at: 0,
        open: Vec::new(),
        controls: seen.controls,
    };
    check.run().map_err(Flaw::At)
}

/// What the bytes of a text are, whatever their order.
struct Survey {
    ascii: bool,
    /// Some are control characters, of which blanks between values are made and strings must have none.
    controls: bool,
}

/// One look at every byte, many at a time, that saves most texts a look at each string and at each character.
fn survey(text: &[u8]) -> Survey {
    let (all, controls) = text.iter().fold((0, 0), |(all, controls), &byte| {
        (all | byte, controls | u8::from(byte < b' '))
    });
    Survey {
        ascii: all < 0x80,
        controls: controls > 0,
    }
}

struct Check<'t> {
    text: &'t [u8],
    at: usize,
    controls: bool,
    /// The brackets that are open.
    open: Vec<u8>,
}

impl Check<'_> {
    /// The offset of the first byte that cannot stand there.
    fn run(&mut self) -> Result<(), usize> {
        self.blanks();
        self.value()?;
        while let Some(&open) = self.open.last() {
            self.after_value(open)?;
        }
        self.blanks();
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(self.at)
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// A value, or the opening of one with something in it, up to its first member's value.
    fn value(&mut self) -> Result<(), usize> {
        loop {
            match self.peek() {
                Some(b'"') => return self.string(),
                Some(open @ (b'{' | b'[')) => {
                    self.at += 1;
                    self.blanks();
                    if self.peek() == Some(closing(open)) {
                        self.at += 1;
                        return Ok(());
                    }
                    self.open.push(open);
                    if open == b'{' {
                        self.key()?;
                    }
                }
                Some(b'-' | b'0'..=b'9') => return self.number(),
                Some(b't') => return self.word(b"true"),
                Some(b'f') => return self.word(b"false"),
                Some(b'n') => return self.word(b"null"),
                _ => return Err(self.at),
            }
        }
    }

    /// What follows a value inside of brackets: the next one, or their end.
    fn after_value(&mut self, open: u8) -> Result<(), usize> {
        self.blanks();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.blanks();
                if open == b'{' {
                    self.key()?;
                }
                self.value()
            }
            Some(byte) if byte == closing(open) => {
                self.at += 1;
                self.open.pop();
                Ok(())
            }
            _ => Err(self.at),
        }
    }

    fn key(&mut self) -> Result<(), usize> {
        if self.peek() != Some(b'"') {
            return Err(self.at);
        }
        self.string()?;
        self.blanks();
        if self.peek() != Some(b':') {
            return Err(self.at);
        }
        self.at += 1;
        self.blanks();
        Ok(())
    }

    fn string(&mut self) -> Result<(), usize> {
        self.at += 1;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let Some(found) = memchr::memchr2(b'"', b'\\', rest) else {
                return Err(self.text.len());
            };
            if self.controls {
                let plain = rest.get(..found).unwrap_or_default();
                // Counted, not searched: that way it is done many bytes at a time.
                if plain.iter().filter(|byte| **byte < b' ').count() > 0 {
                    return Err(self.at);
                }
            }
            self.at += found + 1;
            if rest.get(found) == Some(&b'"') {
                return Ok(());
            }
            self.escape()?;
        }
    }

    fn escape(&mut self) -> Result<(), usize> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                let digits = self.text.get(self.at + 1..self.at + 5).unwrap_or_default();
                if digits.len() == 4 && digits.iter().all(u8::is_ascii_hexdigit) {
                    self.at += 5;
                    return Ok(());
                }
                Err(self.at)
            }
            _ => Err(self.at),
        }
    }

    fn number(&mut self) -> Result<(), usize> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), usize> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(start) }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), usize> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.at)
    }
}

fn closing(open: u8) -> u8 {
    if open == b'{' { b'}' } else { b']' }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agrees(text: &str) {
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        assert_eq!(one_value(text.as_bytes()).is_ok(), theirs, "{text:?}");
    }

    #[test]
    fn it_agrees_with_the_parser_on_what_is_odd() {
        for text in [
            "",
            " ",
            "{}",
            "[]",
            "[[],{}]",
            "{\"a\":[{}]}",
            "0",
            "-0",
            "01",
            "-",
            "1.",
            ".1",
            "1.5e",
            "1e+5",
            "1E-0",
            "--1",
            "+1",
            "tru",
            "true",
            "truefalse",
            "nullx",
            "[1,]",
            "[,1]",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{1:2}",
            "\"",
            "\"\\",
            "\"\\\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\\uD800\"",
            "\"\\x\"",
            "\"a\u{1}\"",
            "\"a\nb\"",
            "[1}",
            "{\"a\":1]",
            "[",
            "{",
            "]",
            "[1 2]",
            "\u{a0}1",
            "1 ",
            "\t1\r\n",
            "{}{}",
            "[1]]",
            "\"\u{7f}\u{80}\"",
            "1e999",
            "[\"a\",\"b\"]",
        ] {
            agrees(text);
        }
    }

    #[test]
    fn what_is_no_utf_8_is_no_json() {
        for text in [
            &b"\"\xff\""[..],
            b"[\"\xed\xa0\x80\"]",
            b"\xef\xbb\xbf1",
            b"\"\xc3",
        ] {
            assert!(one_value(text).is_err(), "{text:?}");
        }
        assert!(one_value("\"é😀\u{7f}\"".as_bytes()).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn it_agrees_with_the_parser_on_any_soup(text in r#"[\[\]{},:"\\untrfalse0-9.eE+ \n-]{0,24}"#) {
            agrees(&text);
        }

        #[test]
        fn it_agrees_with_the_parser_on_damaged_json(value in ".{0,40}", cut in 0_usize..60, byte in " -~") {
            let mut text = serde_json::json!({"k": [value, 1.5, null, {"x": true}]}).to_string();
            let at = (0..=cut.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            agrees(&text);
            text.insert_str(at, &byte);
            agrees(&text);
        }
    }
}
