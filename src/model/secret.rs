//! A value that must not show.

use std::fmt;

use zeroize::Zeroizing;

/// A header value, an environment value: anything that may be a secret, and is treated as one.
///
/// No `Display`, no `Serialize`, no `Clone` (it is shared, not copied); `Debug` prints `****`, and the memory is
/// overwritten when it goes. Whoever needs the bytes says so with [`Secret::expose`].
#[derive(PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the value in.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// How Janus's own access keys begin, so that people, scanners and [`looks_secret`] know one.
pub const ACCESS_KEY_PREFIX: &str = "janus_k_";

/// How the tokens of well-known services begin.
const TOKEN_PREFIXES: [&str; 15] = [
    ACCESS_KEY_PREFIX,
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "sk-",
    "sk_",
    "rk_",
    "xox",
    "eyJ",
    "AKIA",
    "hf_",
    "npm_",
];

/// Random strings are long; words rarely reach this without a separator.
const LONG: usize = 20;

/// Whether a word looks like a token: by how well-known ones begin, or as a long run of letters with digits in it.
///
/// A guess for words that are shown (a key, a part of a URL's path), never for values that are secret by their place.
pub fn looks_secret(word: &str) -> bool {
    let known = TOKEN_PREFIXES.iter().any(|prefix| word.starts_with(prefix));
    let random = |run: &str| {
        run.len() >= LONG
            && run.contains(|c: char| c.is_ascii_digit())
            && run.contains(|c: char| c.is_ascii_alphabetic())
    };
    known || word.split(|c: char| !c.is_ascii_alphanumeric()).any(random)
}

/// Words that make the name of a variable, header, flag or parameter that of a secret.
const SECRET: [&str; 13] = [
    "key",
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "credential",
    "authorization",
    "cookie",
    "bearer",
    "apikey",
    "private",
    "signature",
];

/// Short ones count only as a whole word: `PATH` is no `pat`, and an author is no `auth`.
const SECRET_WORDS: [&str; 8] = ["pat", "auth", "pass", "pwd", "pw", "pin", "dsn", "jwt"];

/// Whether a word of this text looks like a token.
pub fn text_looks_secret(text: &str) -> bool {
    let between = |c: char| c.is_whitespace() || "=:,;\"'&?()[]{}<>|`".contains(c);
    text.split(between).any(looks_secret) || text.contains("***MASKED***")
}

/// Whether a value under this name is a secret.
pub fn is_secret_name(name: &str) -> bool {
    let mut words = String::with_capacity(name.len() + 4);
    let mut last_small = false;
    // `apiKey` and `API_KEY` are words alike.
    for c in name.chars() {
        if c.is_ascii_uppercase() && last_small {
            words.push('_');
        }
        last_small = c.is_ascii_lowercase();
        words.push(c.to_ascii_lowercase());
    }
    let whole = |word: &str| SECRET_WORDS.contains(&word);
    SECRET.iter().any(|secret| words.contains(secret))
        || words.split(|c: char| !c.is_ascii_alphanumeric()).any(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_look_secret_and_names_do_not() {
        for token in [
            "janus_k_x",
            "ghp_x",
            "sk-ant-1",
            "AKIAIOSFODNN7EXAMPLE",
            "9f86d081884c7d659a2feaa0c55ad015",
        ] {
            assert!(looks_secret(token), "{token}");
        }
        for name in [
            "timeout",
            "client_a",
            "mcp",
            "api2",
            "modelcontextprotocol",
            "GITHUB_PERSONAL_ACCESS_TOKEN",
        ] {
            assert!(!looks_secret(name), "{name}");
        }
    }
}
