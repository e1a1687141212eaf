//! Lists of words in messages, and the word somebody probably meant.

use super::problem::shown;

/// The words of a message: `a`, `b` or `c`.
pub(super) fn one_of(words: &[&str]) -> String {
    list(words, "or")
}

/// The words, with `last` before the last one.
pub(super) fn list(words: &[&str], last: &str) -> String {
    match words {
        [] => String::new(),
        [word] => format!("`{word}`"),
        [first @ .., word] => {
            let first: Vec<String> = first.iter().map(|word| format!("`{word}`")).collect();
            format!("{} {last} `{word}`", first.join(", "))
        }
    }
}

/// More names than this are a list to look up, and no help.
const MOST_NAMES: usize = 8;

/// What to write instead of a name that nothing has.
pub(super) fn instead(text: &str, kind: &str, names: &[&str]) -> String {
    match (nearest(text, names), names) {
        (Some(name), _) => format!("did you mean `{}`?", shown(name)),
        (None, []) => format!("there are no {kind}"),
        (None, [only]) => format!("there is only `{}`", shown(only)),
        (None, names) if names.len() > MOST_NAMES => format!("there are {} {kind}", names.len()),
        (None, names) => {
            let names: Vec<&str> = names.iter().map(|name| shown(name)).collect();
            format!("the {kind} are {}", list(&names, "and"))
        }
    }
}

/// The word somebody probably meant: at most a third of its letters differ.
pub(super) fn nearest<'w>(text: &str, words: &[&'w str]) -> Option<&'w str> {
    // A longer text is no misspelling, and comparing it would take long.
    if text.len() > 64 {
        return None;
    }
    let distance = |word: &str| strsim::damerau_levenshtein(&text.to_lowercase(), word);
    let (word, distance) = words
        .iter()
        .map(|word| (*word, distance(word)))
        .min_by_key(|(_, d)| *d)?;
    (distance <= (word.chars().count() / 3).max(1)).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_is_near_or_absent() {
        let words = ["timeout", "url", "era"];
        assert_eq!(nearest("timeuot", &words), Some("timeout"));
        assert_eq!(nearest("Url", &words), Some("url"));
        assert_eq!(nearest("ear", &words), Some("era"));
        assert_eq!(nearest("port", &words), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), &words), None);
    }
}
