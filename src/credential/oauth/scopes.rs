//! Which scopes a login asks for: never silently more than was granted.
//!
//! Configured, else what the server asked for with its refusal, else what its metadata lists, else none.

use crate::model::OAuth;

/// What a login asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// All of it, in order, each once.
    pub(super) scopes: Vec<String>,
    /// What of it is neither configured nor was granted before.
    pub(super) new: Vec<String>,
}

/// What is known of scopes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known<'k> {
    /// The server asked for these with its refusal.
    pub(super) challenged: &'k [String],
    /// Its metadata lists these.
    pub(super) listed: &'k [String],
    /// The authorization server has these; `None`: it does not say.
    pub(super) supported: Option<&'k [String]>,
    /// The last grant of the same authorization server has these.
    pub(super) granted: &'k [String],
    /// A person said yes to these.
    pub(super) agreed: &'k [String],
    /// Who logs in must be learnt.
    pub(super) identity: bool,
}

/// So many scopes of one list count, and so long a one: a list of a stranger is held against others, word by word.
pub(super) const MOST: usize = 256;
pub(super) const LONGEST: usize = 256;
/// Asks for a refresh token (OpenID Connect Core, section 11).
pub(super) const OFFLINE: &str = "offline_access";
/// Asks for an `id_token`.
pub(super) const OPENID: &str = "openid";

impl Asked {
    pub(super) fn of(settings: &OAuth, known: Known<'_>) -> Self {
        let mut scopes = Vec::new();
        let mut add = |more: &[String]| {
            for scope in more {
                if !scopes.contains(scope) {
                    scopes.push(scope.clone());
                }
            }
        };
        if let Some(exactly) = &settings.scopes {
            add(exactly);
            add(known.agreed);
        } else {
            let wanted = if known.challenged.is_empty() {
                known.listed
            } else {
                known.challenged
            };
            add(wanted);
            // A narrower login would take from the account what works now.
            add(known.granted);
            let supports = |scope: &str| {
                known
                    .supported
                    .is_some_and(|supported| supported.iter().any(|known| known == scope))
            };
            scopes.retain(|scope| ![OFFLINE, OPENID].contains(&scope.as_str()) || supports(scope));
            // Alone it would say that nothing else is wanted, where nothing said means the usual.
            if !scopes.is_empty() {
                let identity = settings.whoami.is_none()
                    && (known.identity
                        || settings.expect.is_some()
                        || settings.login_hint.is_some());
                for (scope, is_wanted) in [(OFFLINE, true), (OPENID, identity)] {
                    let is_there = scopes.iter().any(|known| known == scope);
                    if is_wanted && !is_there && supports(scope) {
                        scopes.push(scope.to_owned());
                    }
                }
            }
            if let Some(limit) = &settings.scopes_limit {
                scopes.retain(|scope| limit.contains(scope));
            }
            let agreed = known.agreed.iter();
            let agreed: Vec<String> = agreed
                .filter(|scope| !scopes.contains(scope))
                .cloned()
                .collect();
            scopes.extend(agreed);
        }
        let configured = settings.scopes.as_deref().unwrap_or_default();
        let is_new = |scope: &&String| {
            // These two permit nothing more: they ask for a renewal, and for who it is.
            ![OFFLINE, OPENID].contains(&scope.as_str())
                && !configured.contains(scope)
                && !known.granted.contains(scope)
                && !known.agreed.contains(scope)
        };
        let new = scopes.iter().filter(is_new).cloned().collect();
        Self { scopes, new }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn each_source_of_scopes_has_its_place() {
        // configured, limit, challenged, listed, supported, granted, agreed: asked, new
        for (configured, limit, challenged, listed, supported, granted, agreed, asked, new) in [
            (None, None, "", "", None, "", "", "", ""),
            (None, None, "", "a b", None, "", "", "a b", "a b"),
            (None, None, "c", "a b", None, "", "", "c", "c"),
            (Some("x"), None, "c", "a b", None, "", "", "x", ""),
            (Some(""), None, "c", "a b", None, "y", "", "", ""),
            (Some("x"), None, "c", "", None, "", "c", "x c", ""),
            (None, Some("a z"), "", "a b", None, "", "", "a", "a"),
            (None, Some("a"), "b", "", None, "", "b", "b", ""),
            (None, None, "c", "", None, "a b", "", "c a b", "c"),
            (
                None,
                None,
                "a",
                "",
                Some("a offline_access"),
                "a",
                "",
                "a offline_access",
                "",
            ),
            (None, None, "", "", Some("a offline_access"), "", "", "", ""),
            (
                None,
                None,
                "a offline_access",
                "",
                Some("a"),
                "",
                "",
                "a",
                "a",
            ),
            (None, None, "a offline_access", "", None, "", "", "a", "a"),
            (
                None,
                Some("a"),
                "a",
                "",
                Some("a offline_access"),
                "a",
                "",
                "a",
                "",
            ),
            (
                Some("x"),
                None,
                "",
                "",
                Some("x offline_access"),
                "",
                "",
                "x",
                "",
            ),
            (None, None, "a", "", Some("openid"), "a", "", "a", ""),
        ] {
            let settings = OAuth {
                scopes: configured.map(words),
                scopes_limit: limit.map(words),
                ..OAuth::default()
            };
            let supported = supported.map(words);
            let known = Known {
                challenged: &words(challenged),
                listed: &words(listed),
                supported: supported.as_deref(),
                granted: &words(granted),
                agreed: &words(agreed),
                ..Known::default()
            };
            let got = Asked::of(&settings, known);
            assert_eq!(got.scopes, words(asked), "{settings:?} {known:?}");
            assert_eq!(got.new, words(new), "{settings:?} {known:?}");
        }
    }

    #[test]
    fn who_somebody_is_is_asked_only_where_it_is_wanted_and_known() {
        let settings = OAuth {
            expect: Some("me@a.example".to_owned()),
            ..OAuth::default()
        };
        let (listed, supported) = (words("a"), words("a openid"));
        let known = Known {
            listed: &listed,
            supported: Some(&supported),
            ..Known::default()
        };
        assert_eq!(Asked::of(&settings, known).scopes, words("a openid"));
        assert_eq!(Asked::of(&OAuth::default(), known).scopes, words("a"));
    }

    #[test]
    fn somebody_who_is_named_for_one_login_is_learnt() {
        let (listed, supported) = (words("a"), words("a openid"));
        let known = |identity| Known {
            listed: &listed,
            supported: Some(&supported),
            identity,
            ..Known::default()
        };
        let asked = |identity| Asked::of(&OAuth::default(), known(identity)).scopes;
        assert_eq!(asked(false), words("a"));
        assert_eq!(asked(true), words("a openid"));
    }
}
