//! What a browser brought back: the query of the redirect (RFC 6749, section 4.1.2; RFC 9207).
//!
//! Invariant: after a wrong `iss` nothing of it is acted on or shown.
//!
//! A browser brings the whole of it; a person who copies may lose the end ([`Expected::cut_off`]). That is said before
//! the login takes it, since it takes one answer only.

use std::fmt;
use std::sync::Arc;

use super::failed::{LoginFailed, foreign, host_of};
use crate::model::Secret;
use crate::telemetry::learn;

/// A code of a kilobyte, and what belongs to it. Whoever sends more is no authorization server.
const LONGEST: usize = 16 * 1024;

/// What is said of an answer without its end.
const LOST: &str = "its end was lost where it was copied";
/// The same where the provider may have said no more, though it promised to.
const LOST_OR_UNSAID: &str =
    "its end was lost where it was copied, or the provider did not say who it is";

/// What the browser brought back: the query of the redirect (RFC 6749, section 4.1.2; RFC 9207).
#[derive(Clone, PartialEq, Eq)]
pub struct Callback {
    /// `state`: which login.
    pub state: String,
    issuer: Option<String>,
    error: Option<String>,
    code: Option<Arc<Secret>>,
}

impl Callback {
    /// Reads the whole redirect URL, or its query; a bare code is refused, since it carries no state.
    ///
    /// # Errors
    /// What is missing.
    pub fn read(text: &str) -> Result<Self, LoginFailed> {
        let text = text.trim();
        let wrong = |why: &str| LoginFailed::NotTheAnswer(why.to_owned());
        if text.len() > LONGEST {
            return Err(wrong("it is too long"));
        }
        let (_, query) = text.split_once('?').unwrap_or(("", text));
        let (query, _) = query.split_once('#').unwrap_or((query, ""));
        if !query.contains('=') {
            return Err(wrong(
                "the whole address is needed, since a code alone does not say which login it is for",
            ));
        }
        let (mut state, mut issuer) = (None, None);
        let (mut error, mut described, mut code) = (None, None, None);
        let mut asked = None;
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let place = match name.as_ref() {
                "state" => &mut state,
                "iss" => &mut issuer,
                "error" => &mut error,
                "error_description" => &mut described,
                "code" => &mut code,
                "response_type" => &mut asked,
                _ => continue,
            };
            //= https://www.rfc-editor.org/rfc/rfc6749#section-3.1
            //# Request and response parameters MUST NOT be included more than once.
            if place.replace(value.into_owned()).is_some() {
                return Err(wrong("it says something twice"));
            }
        }
        let filled = |value: Option<String>| value.filter(|value| !value.is_empty());
        let state = filled(state).ok_or_else(|| wrong("it carries no state"))?;
        let error = filled(error).map(|error| match filled(described) {
            Some(described) => format!("{error}: {described}"),
            None => error,
        });
        let code = filled(code).map(|code| Arc::new(Secret::new(code)));
        // Of a login's own state, it would be the one answer that the login takes.
        if code.is_none() && error.is_none() {
            return Err(wrong(if asked.is_some() {
                "it is the link to log in with, not the address on which the browser ends afterwards"
            } else {
                "it carries no code"
            }));
        }
        Ok(Self {
            state,
            issuer: filled(issuer),
            error,
            code,
        })
    }

    /// The code, if this is the answer to the login of this state, from this issuer.
    pub(super) fn code(self, expected: &Expected) -> Result<Arc<Secret>, LoginFailed> {
        let wrong = |why: &str| LoginFailed::NotTheAnswer(why.to_owned());
        if self.state != expected.state {
            return Err(wrong("it belongs to another login"));
        }
        // Not before: any web page can send a browser here, and whatever it calls a code would be taken out of every text.
        self.code.iter().for_each(learn);
        //= https://www.rfc-editor.org/rfc/rfc9207#section-2.4
        //# If the value does not match the expected issuer identifier, clients MUST reject the authorization response and MUST NOT proceed with the authorization grant.
        match &self.issuer {
            Some(issuer) if *issuer != expected.issuer => {
                return Err(wrong("it comes from another authorization server"));
            }
            None if expected.names_issuer => {
                return Err(wrong(
                    "it does not say which authorization server it comes from",
                ));
            }
            _ => {}
        }
        if let Some(error) = self.error {
            return Err(LoginFailed::Denied {
                host: host_of(&expected.issuer),
                why: foreign(&error),
            });
        }
        self.code.ok_or_else(|| wrong("it carries no code"))
    }
}

/// What a callback is held against.
#[derive(Clone)]
pub struct Expected {
    /// Of this login alone.
    pub state: String,
    /// The authorization server.
    pub issuer: String,
    /// It says that it names itself.
    pub names_issuer: bool,
}

impl Expected {
    /// What to say where this is the beginning of the answer, whose end was lost where it was copied: its last value is
    /// the beginning of what is expected there, or what comes with a code is not there at all.
    ///
    /// What is cut off inside the code itself cannot be told, unless something belongs after it.
    pub fn cut_off(&self, text: &str) -> Option<&'static str> {
        let query = match text.trim().split_once('?') {
            Some((_, query)) => query,
            None => text.trim(),
        };
        // What comes after it is the browser's own, and whole where that has begun.
        if query.contains('#') {
            return None;
        }
        let value = |name: &str| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            let found = pairs.find(|(named, value)| named == name && !value.is_empty());
            found.map(|(_, value)| value.into_owned())
        };
        let last = query.rsplit('&').next().unwrap_or_default();
        let ends_within = |name: &str, whole: &str| {
            let begun = last.strip_prefix(name).and_then(|it| it.strip_prefix('='));
            begun.is_some_and(|begun| is_beginning(begun, whole))
        };
        // One that lacks nothing but its last slash is how a provider writes it; no person loses just that.
        let is_another = value("iss").is_some_and(|iss| format!("{iss}/") == self.issuer);
        if ends_within("state", &self.state) || (ends_within("iss", &self.issuer) && !is_another) {
            return Some(LOST);
        }
        value("code")?;
        let Some(state) = value("state") else {
            return Some(LOST);
        };
        let lacks_issuer = self.names_issuer && state == self.state && value("iss").is_none();
        (lacks_issuer && ends_with_state(query)).then_some(LOST_OR_UNSAID)
    }
}

/// Whether nothing but the beginning of the name of `iss` comes after `state`: what else does was not lost, and a
/// provider that says so much says no more.
fn ends_with_state(query: &str) -> bool {
    let before = query
        .rsplit_once('&')
        .filter(|(_, last)| "iss=".starts_with(last));
    let (query, _) = before.unwrap_or((query, ""));
    let last = query.rsplit('&').next();
    last.is_some_and(|last| last.starts_with("state="))
}

/// Whether `begun`, as it stands in a query, is the beginning of `whole` and not all of it.
fn is_beginning(begun: &str, whole: &str) -> bool {
    // It may end within what stands for one character.
    let begun = match begun.char_indices().rev().take(2).find(|(_, c)| *c == '%') {
        Some((at, _)) => begun.get(..at).unwrap_or_default(),
        None => begun,
    };
    let pair = format!("v={begun}");
    let begun = url::form_urlencoded::parse(pair.as_bytes()).next();
    begun.is_some_and(|(_, begun)| begun.len() < whole.len() && whole.starts_with(&*begun))
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expected")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback")
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://as.example";

    fn expected(names_issuer: bool) -> Expected {
        Expected {
            state: "state-of-this-login".to_owned(),
            issuer: ISSUER.to_owned(),
            names_issuer,
        }
    }

    fn outcome(query: &str, names_issuer: bool) -> String {
        let expected = expected(names_issuer);
        match Callback::read(query).and_then(|callback| callback.code(&expected)) {
            Ok(code) => code.expose().to_owned(),
            Err(failed) => format!("{}: {failed}", failed.code()),
        }
    }

    #[test]
    fn what_a_stranger_calls_a_code_is_taken_out_of_no_text() {
        let name = "nobodys-code@example.org";
        let query = format!("state=another&code={name}");
        assert!(outcome(&query, false).contains("another login"));
        assert_eq!(crate::telemetry::redact(name), name);
        let own = format!("state=state-of-this-login&code={name}");
        assert_eq!(outcome(&own, false), name);
    }

    #[test]
    fn state_comes_before_the_issuer_and_that_before_the_error() {
        for (query, names_issuer, got) in [
            ("code=c0de&state=state-of-this-login", false, "c0de"),
            ("?code=c0de&state=state-of-this-login", false, "c0de"),
            (
                "http://127.0.0.1:7334/callback?code=c0de&state=state-of-this-login#_",
                false,
                "c0de",
            ),
            ("  code=c%30de&state=state-of-this-login\n", false, "c0de"),
            (
                "code=c0de&state=state-of-this-login&iss=https%3A%2F%2Fas.example",
                true,
                "c0de",
            ),
            (
                "code=c0de&state=state-of-this-login&iss=https%3A%2F%2Fas.example",
                false,
                "c0de",
            ),
            (
                "code=c0de&state=other&iss=https%3A%2F%2Fevil.example&error=x",
                true,
                "belongs to another login",
            ),
            (
                "code=c0de&state=state-of-this-login",
                true,
                "does not say which",
            ),
            (
                "code=c0de&state=state-of-this-login&iss=",
                true,
                "does not say which",
            ),
            (
                "code=c0de&state=state-of-this-login&iss=https://as.example/",
                false,
                "another authorization server",
            ),
            (
                "code=c0de&state=state-of-this-login&iss=https://AS.example",
                false,
                "another authorization server",
            ),
            (
                "error=evil-text&state=state-of-this-login&iss=https://evil.example",
                true,
                "another authorization server",
            ),
            (
                "error=access_denied&state=state-of-this-login",
                true,
                "does not say which",
            ),
            (
                "error=access_denied&error_description=no%0Away&state=state-of-this-login",
                false,
                "login_denied: as.example did not let you in: access_denied: no way",
            ),
            (
                "error=access_denied&code=c0de&state=state-of-this-login",
                false,
                "access_denied",
            ),
            ("code=c0de", false, "carries no state"),
            ("code=c0de&state=", false, "carries no state"),
            (
                "code=c0de&code=other&state=state-of-this-login",
                false,
                "twice",
            ),
            (
                "code=c0de&state=state-of-this-login&state=other",
                false,
                "twice",
            ),
            (
                "code=c0de&state=state-of-this-login&iss=https://as.example&iss=x",
                false,
                "twice",
            ),
            ("c0de", false, "a code alone"),
            ("", false, "a code alone"),
            ("http://127.0.0.1:7334/callback", false, "a code alone"),
        ] {
            let outcome = outcome(query, names_issuer);
            assert!(outcome.contains(got), "{query}: {outcome}");
        }
        assert!(
            !outcome(
                "error=evil-text&state=state-of-this-login&iss=https://evil.example",
                true
            )
            .contains("evil")
        );
        assert!(
            outcome(&format!("code={}&state=s", "x".repeat(LONGEST)), false).contains("too long")
        );
    }

    #[test]
    fn what_is_no_answer_is_refused_before_a_login_takes_it() {
        for (query, why) in [
            ("state=state-of-this-login", "carries no code"),
            ("code=&state=state-of-this-login", "carries no code"),
            (
                "https://as.example/authorize?response_type=code&state=state-of-this-login",
                "is the link to log in with",
            ),
        ] {
            let refused = Callback::read(query).unwrap_err().to_string();
            assert!(refused.contains(why), "{query}: {refused}");
        }
    }

    #[test]
    fn an_answer_that_lost_its_end_is_no_answer_of_somebody_else() {
        let whole = "http://127.0.0.1:7334/callback?code=c0de&state=state-of-this-login&iss=https%3A%2F%2Fas.example";
        let first_of_state = whole.find("&state").unwrap();
        // Also within the name, and within what stands for one character.
        for end in first_of_state..whole.len() {
            let begun = whole.get(..end).unwrap();
            assert!(expected(true).cut_off(begun).is_some(), "{begun}");
        }
        assert_eq!(expected(true).cut_off(whole), None);
        // Where no `iss` is promised, what ends before it is whole.
        let (without, _) = whole.split_once("&iss").unwrap();
        assert_eq!(expected(false).cut_off(without), None);
        let begun = whole.strip_suffix('e').unwrap();
        assert_eq!(expected(false).cut_off(begun), Some(LOST));
        // Where it is, the provider may have kept its promise or not.
        assert_eq!(expected(true).cut_off(without), Some(LOST_OR_UNSAID));
        for other in [
            "code=c0de&state=state-of-this-login#_",
            "state=state-of-this-login&code=c0de",
            "code=c0de&state=state-of-this-login&session_state=x",
            "code=c0de&state=state-of-this-login&session_state=x&i",
            "code=c0de&state=state-of-this-login&iss=https://as.example.evil",
            "code=c0de&state=state-of-this-login&iss=https://evil.example",
            "code=c0de&state=state-of-this-login&iss=https://as.exam#_",
            "code=c0de&iss=https://as.exam&state=state-of-this-login",
            "code=c0de&state=other&iss=https://as.example",
            "error=access_denied&state=state-of-this-login",
            "a=b",
            "",
        ] {
            assert_eq!(expected(true).cut_off(other), None, "{other}");
        }
    }

    #[test]
    fn an_issuer_without_its_last_slash_is_another_one_and_not_cut_off() {
        let slashed = Expected {
            issuer: format!("{ISSUER}/"),
            ..expected(true)
        };
        let answer = "code=c0de&state=state-of-this-login&iss=";
        for whole in ["https://as.example", "https%3A%2F%2Fas.example"] {
            let text = format!("{answer}{whole}");
            assert_eq!(slashed.cut_off(&text), None, "{text}");
            let refused = Callback::read(&text).unwrap().code(&slashed).unwrap_err();
            let refused = refused.to_string();
            assert!(
                refused.contains("another authorization server"),
                "{refused}"
            );
            let shorter = text.strip_suffix('e').unwrap();
            assert_eq!(slashed.cut_off(shorter), Some(LOST), "{shorter}");
        }
        let within_the_slash = format!("{answer}https%3A%2F%2Fas.example%2");
        assert_eq!(slashed.cut_off(&within_the_slash), Some(LOST));
    }

    #[test]
    fn a_callback_shows_nothing_of_itself() {
        let read = Callback::read("code=very-secret-code&state=very-secret-state").unwrap();
        let shown = format!("{read:?}");
        assert!(!shown.contains("secret"), "{shown}");
        let shown = format!("{:?}", expected(true));
        assert!(!shown.contains("state-of"), "{shown}");
    }
}
