//! Arguments of programs: which of them hold a secret, and where in them it begins.

use super::variables::has_password;
use super::words::{
    SHORT_FLAGS_OF_HEADERS, is_path, is_secret_name, names_a_file, text_looks_secret,
};

/// Longer texts before a colon are no header's name.
const LONGEST_HEADER: usize = 60;

/// An argument, by what of it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Argument {
    /// Nothing.
    Plain,
    /// A URL with a query or path that may hold one.
    Url,
    /// All that follows the first `prefix` bytes, under this name.
    Secret { prefix: usize, name: String },
}

/// What of the argument at `at` may be a secret.
pub(super) fn argument(arguments: &[String], at: usize) -> Argument {
    let text = arguments.get(at).map(String::as_str).unwrap_or_default();
    let before = at
        .checked_sub(1)
        .and_then(|at| arguments.get(at))
        .map(String::as_str);
    if let Some(flag) = before.filter(|flag| flag.starts_with('-') && !flag.contains('='))
        && !text.starts_with('-')
        && let Some(name) = secret_flag(flag, text)
    {
        return Argument::Secret { prefix: 0, name };
    }
    if let Some(found) = header(text, 0).or_else(|| assigned(text)) {
        return found;
    }
    if has_password(text) {
        return secret(0, "url");
    }
    if let Some((scheme, rest)) = text.split_once("://")
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '+')
    {
        return url(text, rest);
    }
    let literal = without_digest(text);
    let object = text.starts_with('{') && text.split('"').any(is_secret_name);
    if object || text_looks_secret(&literal) {
        return secret(0, "argument");
    }
    Argument::Plain
}

/// A URL is taken apart if it has a plain form; one with a user, a fragment or no host is a secret or stays.
fn url(text: &str, rest: &str) -> Argument {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if !authority.is_empty() && !authority.contains('@') && !rest.contains('#') {
        return Argument::Url;
    }
    if rest.contains('?') || text_looks_secret(text) {
        secret(0, "url")
    } else {
        Argument::Plain
    }
}

fn secret(prefix: usize, name: &str) -> Argument {
    let name = name.to_owned();
    Argument::Secret { prefix, name }
}

/// `--token VALUE`.
fn secret_flag(flag: &str, value: &str) -> Option<String> {
    let name = flag.trim_start_matches('-');
    let wanted = is_secret_name(name) && !names_a_file(name) && !name.ends_with("-type");
    (wanted && !is_path(value) && !SHORT_FLAGS_OF_HEADERS.contains(&flag)).then(|| name.to_owned())
}

/// `Authorization: Bearer VALUE`.
fn header(text: &str, from: usize) -> Option<Argument> {
    let (name, value) = text.get(from..)?.split_once(':')?;
    let token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_name = !name.is_empty() && name.len() <= LONGEST_HEADER && name.chars().all(token);
    if !is_name || !is_secret_name(name) || value.starts_with("//") {
        return None;
    }
    let spaces = value.len() - value.trim_start().len();
    Some(secret(from + name.len() + 1 + spaces, name))
}

/// `--token=VALUE`, `TOKEN=VALUE`, `--header=Authorization: VALUE`.
fn assigned(text: &str) -> Option<Argument> {
    let (flag, value) = text.split_once('=')?;
    let name = flag.trim_start_matches('-');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(plain) {
        return None;
    }
    let prefix = flag.len() + 1;
    if let Some(found) = header(text, prefix) {
        return Some(found);
    }
    let by_name = is_secret_name(name) && !(names_a_file(name) && is_path(value));
    let hidden = by_name || has_password(value) || text_looks_secret(&without_digest(value));
    (hidden && !value.is_empty()).then(|| secret(prefix, name))
}

/// The text without `sha256:…`, which pins an image and is no secret.
fn without_digest(text: &str) -> String {
    let mut pieces = text.split("sha256:");
    let mut rest = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        rest.push_str(piece.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_in_every_form_of_argument() {
        let all = |line: &str| line.split('|').map(str::to_owned).collect::<Vec<_>>();
        for (line, expected) in [
            ("--token|hunter2", Some((0, "token"))),
            ("--api-key=hunter2", Some((10, "api-key"))),
            ("-e|GITHUB_TOKEN=hunter2", Some((13, "GITHUB_TOKEN"))),
            (
                "--header|Authorization: Bearer hunter2",
                Some((15, "Authorization")),
            ),
            ("--header=X-Api-Key:hunter2", Some((19, "X-Api-Key"))),
            ("postgres://u:hunter2@h/db", Some((0, "url"))),
            ("{\"token\":\"hunter2\"}", Some((0, "argument"))),
            ("ghp_hunter2", Some((0, "argument"))),
            ("--token|--verbose", None),
            ("--key-file|/etc/key.pem", None),
            ("-e|GITHUB_TOKEN", None),
            ("--project-ref=abc", None),
            ("@modelcontextprotocol/server-github", None),
            (
                "x@sha256:9f86d081884c7d659a2feaa0c55ad0159f86d081884c7d659a2feaa0c55ad015",
                None,
            ),
        ] {
            let arguments = all(line);
            let found = match argument(&arguments, arguments.len() - 1) {
                Argument::Secret { prefix, name } => Some((prefix, name)),
                _ => None,
            };
            let expected = expected.map(|(prefix, name)| (prefix, name.to_owned()));
            assert_eq!(found, expected, "{line}");
        }
        assert_eq!(argument(&all("https://x.example/?a=b"), 0), Argument::Url);
    }
}
