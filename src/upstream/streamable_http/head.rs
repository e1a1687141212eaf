//! A look at the head of a message that is too long to hold: which kind it is.
//!
//! The text is a prefix of a message nobody checked; what cannot be made out is `None`.

/// Where the value of the top-level `result` begins, if the prefix shows one before anything else that decides.
pub(super) fn result(text: &[u8]) -> Option<usize> {
    members(text, 0)
        .take_while(|(key, _)| !matches!(*key, b"error" | b"method"))
        .find(|(key, _)| *key == b"result")
        .map(|(_, value)| value)
}

/// The `resultType` of the result that begins at `at`, if the prefix holds it whole.
pub(super) fn result_type(text: &[u8], at: usize) -> Option<&[u8]> {
    let (_, value) = members(text, at).find(|(key, _)| *key == b"resultType")?;
    let end = skip(text, value)?;
    match text.get(value..end)? {
        [b'"', inner @ .., b'"'] => Some(inner),
        _ => None,
    }
}

/// The members of the object at `at`: each key without its quotes, and where its value begins.
fn members(text: &[u8], at: usize) -> Members<'_> {
    let start = blank(text, at);
    Members {
        text,
        next: (text.get(start) == Some(&b'{')).then_some(Next::Key(start + 1)),
    }
}

struct Members<'a> {
    text: &'a [u8],
    /// Where the next key is looked for; `None` at the end of what can be seen.
    next: Option<Next>,
}

#[derive(Clone, Copy)]
enum Next {
    /// From there on.
    Key(usize),
    /// After the value that begins there. Whether it ends within the prefix matters only to whoever asks for another
    /// member: the value of interest is the long one.
    Value(usize),
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], usize);

    fn next(&mut self) -> Option<Self::Item> {
        let from = match self.next.take()? {
            Next::Key(at) => at,
            Next::Value(at) => skip(self.text, at)?,
        };
        let mut at = blank(self.text, from);
        if self.text.get(at) == Some(&b',') {
            at = blank(self.text, at + 1);
        }
        if self.text.get(at) != Some(&b'"') {
            return None;
        }
        let end = string(self.text, at)?;
        let key = self.text.get(at + 1..end - 1)?;
        let colon = blank(self.text, end);
        if self.text.get(colon) != Some(&b':') {
            return None;
        }
        let value = blank(self.text, colon + 1);
        self.next = Some(Next::Value(value));
        Some((key, value))
    }
}

fn blank(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The end of the value at `at`, if the prefix reaches it.
fn skip(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_u32;
    loop {
        match text.get(at)? {
            b'"' => at = string(text, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => at += 1,
            _ => {
                let rest = text.get(at..)?;
                at += rest
                    .iter()
                    .position(|byte| b",:}] \t\n\r\"{[".contains(byte))?;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

fn string(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        let found = at + memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text.get(found) == Some(&b'"') {
            return Some(found + 1);
        }
        at = found + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_seen_as_soon_as_its_key_is() {
        let text = br#" { "x":[{"result":1},"]"], "id" : 1e2 , "result" : {"a":"\"}","resultType":"input_required","b":[1"#;
        let at = result(text).unwrap();
        assert_eq!(text[at], b'{');
        assert_eq!(result_type(text, at), Some(&b"input_required"[..]));
        for end in 0..text.len() {
            // A shorter prefix shows less, never something else.
            if let Some(seen) = result(&text[..end]) {
                // The blank before the value may be where the prefix ends.
                assert!(seen == at || seen == end);
                assert!(matches!(
                    result_type(&text[..end], seen),
                    None | Some(b"input_required")
                ));
            }
        }
    }

    #[test]
    fn what_is_no_result_is_not_taken_for_one() {
        for text in [
            &br#"{"error":{"result":1},"result":2"#[..],
            br#"{"method":"x","params":{"result":2"#,
            br#"{"jsonrpc":"2.0","id":"result"#,
            br#"[{"result":1}]"#,
            b"<html>",
            b"",
            b"}",
            br#"{"a":}]}"result":1"#,
        ] {
            assert_eq!(result(text), None, "{}", String::from_utf8_lossy(text));
        }
    }
}
