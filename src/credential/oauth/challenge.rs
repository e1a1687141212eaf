//! What a server says with a refusal (RFC 6750, section 3): read for what decides here and now. What a login needs of
//! it is read where the login begins.

use super::login::Challenge;

/// More of a header is not kept: servers put a page into it when they are in trouble.
const LONGEST_CHALLENGE: usize = 8 * 1024;
/// A list of scopes is not longer in practice, and it stands in a text that a model reads.
const LONGEST_SCOPE: usize = 500;

impl Challenge {
    /// What came with this status. Several headers are one list (RFC 9110, section 5.3).
    pub fn new<'h>(status: u16, headers: impl Iterator<Item = &'h [u8]>) -> Self {
        let mut text = String::new();
        for header in headers {
            let header = String::from_utf8_lossy(header);
            if text.len() + header.len() > LONGEST_CHALLENGE {
                break;
            }
            if !text.is_empty() {
                text.push_str(", ");
            }
            text.push_str(&header);
        }
        Self {
            status,
            header: (!text.is_empty()).then_some(text),
        }
    }

    /// Whether the token itself was refused, and not what was asked for with it.
    //= https://www.rfc-editor.org/rfc/rfc6750#section-3.1
    //# The access token provided is expired, revoked, malformed, or invalid for other reasons.
    pub fn refuses_token(&self) -> bool {
        // Some servers say with 403 what 401 is for.
        self.status == 401 || self.parameter("error").as_deref() == Some("invalid_token")
    }

    /// The scopes without which the server does not do this; empty where it does not say which.
    //= https://www.rfc-editor.org/rfc/rfc6750#section-3.1
    //# The request requires higher privileges than provided by the access token.
    pub fn wants_scope(&self) -> Option<String> {
        let wants =
            self.status == 403 && self.parameter("error").as_deref() == Some("insufficient_scope");
        wants.then(|| self.scope().unwrap_or_default())
    }

    /// The scopes that it names, as far as they can be scopes (RFC 6749, section 3.3).
    pub fn scope(&self) -> Option<String> {
        let scope = self.parameter("scope")?;
        let is_scope = |word: &&str| {
            word.bytes()
                .all(|c| c.is_ascii_graphic() && c != b'"' && c != b'\\')
        };
        let mut scopes = String::new();
        for word in scope.split_ascii_whitespace().filter(is_scope) {
            if scopes.len() + word.len() > LONGEST_SCOPE {
                break;
            }
            if !scopes.is_empty() {
                scopes.push(' ');
            }
            scopes.push_str(word);
        }
        Some(scopes)
    }

    /// A parameter of its `Bearer` challenge.
    pub fn parameter(&self, name: &str) -> Option<String> {
        bearer(self.header.as_deref()?)
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// The parameters of the `Bearer` challenges of a list (RFC 9110, section 11.6.1). Between challenges and between
/// parameters there is the same comma, so that a word is a scheme exactly where no `=` follows it.
fn bearer(header: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let (mut rest, mut ours) = (header, false);
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return found;
        }
        let end = rest.find(|c| !is_token(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            // Nothing that can stand here: it costs itself.
            let mut chars = rest.chars();
            chars.next();
            rest = chars.as_str();
            continue;
        }
        let Some(value) = after.trim_start_matches([' ', '\t']).strip_prefix('=') else {
            ours = word.eq_ignore_ascii_case("bearer");
            rest = after;
            continue;
        };
        let (value, after) = value_of(value.trim_start_matches([' ', '\t']));
        if ours {
            found.push((word.to_owned(), value));
        }
        rest = after;
    }
}

/// A token or a quoted string, and what follows it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c| !is_token(c)).unwrap_or(text.len());
        let (value, after) = text.split_at(end);
        return (value.to_owned(), after);
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => value.extend(chars.next()),
            c => value.push(c),
        }
    }
    (value, chars.as_str())
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/:".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(status: u16, header: &str) -> Challenge {
        Challenge::new(status, [header.as_bytes()].into_iter())
    }

    #[test]
    fn only_what_the_bearer_challenge_says_counts() {
        for (header, error, scope) in [
            (
                r#"Bearer error="insufficient_scope", scope="a b""#,
                "insufficient_scope",
                "a b",
            ),
            (
                "Bearer error=insufficient_scope,scope=a",
                "insufficient_scope",
                "a",
            ),
            (
                r#"Basic realm="x, Bearer error=no", Bearer realm="a\"b", error = "invalid_token""#,
                "invalid_token",
                "",
            ),
            (r#"bearer scope="a" , ERROR="x""#, "x", "a"),
            (r#"Negotiate abc==, Bearer error="x""#, "x", ""),
            (r#"Digest error="invalid_token""#, "", ""),
            (r#"Bearer error="never ended"#, "never ended", ""),
            (r#"Bearer ;;; error="x""#, "x", ""),
            ("Bearer", "", ""),
            ("", "", ""),
            ("=\"a\",,, = \"", "", ""),
        ] {
            let challenge = challenge(403, header);
            let said = |name| challenge.parameter(name).unwrap_or_default();
            assert_eq!(
                (said("error").as_str(), said("scope").as_str()),
                (error, scope),
                "{header}"
            );
        }
    }

    #[test]
    fn a_scope_is_wanted_with_403_alone_and_a_refused_token_with_401_or_its_word() {
        let wants = r#"Bearer error="insufficient_scope", scope="read write""#;
        assert_eq!(
            challenge(403, wants).wants_scope().as_deref(),
            Some("read write")
        );
        assert_eq!(challenge(401, wants).wants_scope(), None);
        let silent = "Bearer error=insufficient_scope";
        assert_eq!(challenge(403, silent).wants_scope().as_deref(), Some(""));
        assert!(!challenge(403, wants).refuses_token() && challenge(401, "").refuses_token());
        assert!(challenge(403, "Bearer error=invalid_token").refuses_token());
        assert!(!challenge(403, "").refuses_token());
    }

    #[test]
    fn what_is_no_scope_and_what_is_too_long_is_left_out() {
        let odd = challenge(403, "Bearer scope=\"ok \u{7}bad \u{e4} fine\"");
        assert_eq!(odd.scope().as_deref(), Some("ok fine"));
        let long = format!("Bearer scope=\"{}\"", "scope ".repeat(1000));
        assert!(challenge(403, &long).scope().unwrap().len() <= LONGEST_SCOPE);
        let page = vec![b'x'; LONGEST_CHALLENGE + 1];
        let both = Challenge::new(401, [&page[..], b"Bearer"].into_iter());
        assert_eq!(both.header, None);
        let two = Challenge::new(401, [&b"Basic"[..], b"Bearer"].into_iter());
        assert_eq!(two.header.as_deref(), Some("Basic, Bearer"));
    }
}
