//! The name of this machine, for people who read a link to it somewhere else.

use std::sync::LazyLock;

/// Names are at most this long (RFC 1035, section 2.3.4).
const LONGEST: usize = 253;

/// What this machine is called; `this machine` where its name cannot be shown.
pub fn host_name() -> &'static str {
    known_host_name().unwrap_or("this machine")
}

/// The same, if it has a name that can be shown.
pub fn known_host_name() -> Option<&'static str> {
    static NAME: LazyLock<Option<String>> = LazyLock::new(|| {
        let name = rustix::system::uname();
        shown(&name.nodename().to_string_lossy())
    });
    NAME.as_deref()
}

/// Nothing that looks like more than a name gets into a sentence.
fn shown(name: &str) -> Option<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let fits = !name.is_empty() && name.len() <= LONGEST && name.chars().all(is_name);
    fits.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_and_a_sentence_is_not() {
        assert_eq!(shown("build-box.lan").as_deref(), Some("build-box.lan"));
        for odd in [
            "",
            "(none)",
            "a b",
            "x; janus logout",
            "\u{1b}[31m",
            &"x".repeat(300),
        ] {
            assert_eq!(shown(odd), None, "{odd:?}");
        }
        assert!(!host_name().is_empty());
    }
}
