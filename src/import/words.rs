//! Names: how keys of the file are shown, how they become names that Janus can carry, which words mean a secret.

use std::collections::BTreeSet;

use crate::model::ServerName;
pub(super) use crate::model::{is_secret_name, text_looks_secret};

/// As in `model::name`: longer names leave no room for a tool's own.
const LONGEST: usize = 32;

/// Longer keys are no keys of a configuration.
const LONGEST_SHOWN: usize = 60;

/// What stands between the parts of a name.
const BETWEEN: [char; 6] = ['-', '_', '.', '/', ' ', ':'];

/// Flags whose value is a header, and no secret by itself: `-H "Authorization: …"`.
pub(super) const SHORT_FLAGS_OF_HEADERS: [&str; 2] = ["-H", "--header"];

/// A key of the file, as notes show it: one that may be a secret becomes `…`.
pub(super) fn shown(key: &str) -> String {
    let short = key.chars().count() <= LONGEST_SHOWN;
    if key.is_empty() || !short || key.chars().any(char::is_control) || text_looks_secret(key) {
        "…".to_owned()
    } else {
        key.replace('`', "'")
    }
}

/// Whether this name is that of a file with a secret in it, which is none itself.
pub(super) fn names_a_file(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    ["_file", "_path", "_dir", "_credentials"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// Whether this is a path, for [`names_a_file`].
pub(super) fn is_path(value: &str) -> bool {
    let begins = ["/", "~/", "./", "../"]
        .iter()
        .any(|p| value.starts_with(p));
    begins && !text_looks_secret(value)
}

/// The name that Janus can carry which is nearest to this one; `otherwise` where nothing is left of it.
pub(super) fn legal(name: &str, otherwise: &str) -> String {
    if text_looks_secret(name) {
        return otherwise.to_owned();
    }
    let mut legal = String::new();
    for c in name.chars() {
        let c = match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9' | '-') => c,
            _ => '_',
        };
        // No `_` beside another, and none at the beginning.
        let wanted = match c {
            '_' => !legal.is_empty() && !legal.ends_with('_'),
            '-' => !legal.is_empty(),
            _ => true,
        };
        if wanted && legal.len() < LONGEST {
            legal.push(c);
        }
    }
    let legal = legal.trim_end_matches(['-', '_']);
    if ServerName::new(legal).is_ok() {
        legal.to_owned()
    } else {
        otherwise.to_owned()
    }
}

/// The name with a number, if it is taken; then it is taken.
pub(super) fn free(name: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|number| {
        let end = format!("_{number}");
        let room = LONGEST.saturating_sub(end.len());
        let head: String = name.chars().take(room).collect();
        format!("{}{end}", head.trim_end_matches(['-', '_']))
    });
    let free = std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|name| !taken.contains(name))
        .unwrap_or_default();
    taken.insert(free.clone());
    free
}

/// What several names share and what is each one's own: `github-work`, `github-home` are `github` and `work`, `home`.
pub(super) fn common(names: &[&str]) -> Option<(String, Vec<String>)> {
    let split = |name: &str| -> Vec<String> {
        name.split(BETWEEN)
            .filter(|part| !part.is_empty())
            .map(str::to_ascii_lowercase)
            .collect()
    };
    let parts: Vec<Vec<String>> = names.iter().map(|name| split(name)).collect();
    let first = parts.first()?;
    let shortest = parts.iter().map(Vec::len).min()?;
    let head = (0..shortest)
        .take_while(|at| parts.iter().all(|part| part.get(*at) == first.get(*at)))
        .count();
    let from_end = |part: &[String], at: usize| part.iter().rev().nth(at).cloned();
    let tail = (0..shortest)
        .take_while(|at| {
            parts
                .iter()
                .all(|part| from_end(part, *at) == from_end(first, *at))
        })
        .count();
    let own = |range: &dyn Fn(&[String]) -> Vec<String>| -> Vec<String> {
        parts.iter().map(|part| range(part).join("_")).collect()
    };
    let (shared, own) = if head > 0 {
        let shared = first.iter().take(head).cloned().collect::<Vec<_>>();
        (
            shared,
            own(&|part| part.iter().skip(head).cloned().collect()),
        )
    } else if tail > 0 {
        let shared = first.iter().skip(first.len() - tail).cloned();
        let kept = |part: &[String]| {
            let kept = part.len().saturating_sub(tail);
            part.iter().take(kept).cloned().collect()
        };
        (shared.collect(), own(&kept))
    } else {
        return None;
    };
    Some((shared.join("_"), own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_legal_and_legal_names_stay() {
        for (name, expected) in [
            ("github", "github"),
            ("GitHub Work", "github_work"),
            ("@acme/mcp--server__x", "acme_mcp--server_x"),
            ("é", "server"),
            ("-_a_-", "a"),
            ("ghp_1234", "server"),
        ] {
            assert_eq!(legal(name, "server"), expected, "{name}");
        }
        assert_eq!(legal(&"ab".repeat(40), "server").len(), LONGEST);
    }

    #[test]
    fn a_taken_name_gets_a_number() {
        let mut taken = BTreeSet::new();
        let long = "a".repeat(LONGEST);
        assert_eq!(free("a", &mut taken), "a");
        assert_eq!(free("a", &mut taken), "a_2");
        assert_eq!(free("a", &mut taken), "a_3");
        assert_eq!(free(&long, &mut taken), long);
        assert_eq!(free(&long, &mut taken).len(), LONGEST);
    }

    #[test]
    fn what_names_share_is_found_at_either_end() {
        let found = |names: &[&str]| common(names).map(|(shared, own)| (shared, own.join(" ")));
        let github = |own: &str| Some(("github".to_owned(), own.to_owned()));
        assert_eq!(found(&["github-work", "github_home"]), github("work home"));
        assert_eq!(found(&["work.github", "home github"]), github("work home"));
        assert_eq!(found(&["github", "github-home"]), github(" home"));
        assert_eq!(found(&["gitea", "github"]), None);
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in [
            "API_KEY",
            "apiKey",
            "x-token",
            "DB_PASS",
            "githubPat",
            "Authorization",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["PATH", "AUTHOR", "REGION", "compass"] {
            assert!(!is_secret_name(name), "{name}");
        }
        assert!(names_a_file("GOOGLE_APPLICATION_CREDENTIALS"));
        assert!(is_path("~/key.json") && !is_path("/9f86d081884c7d659a2feaa0c55ad015"));
    }
}
