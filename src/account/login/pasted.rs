//! What a person pasted, read: the answer to this login, or what it is instead and what is wanted.
//!
//! Invariant: what is not the whole answer is not taken, so that the login goes on and the next address can be.

use url::Url;

use super::entry::Entry;
use super::{Logins, NotLoggedIn, Pending, Progress, cut};
use crate::credential::oauth::{Callback, LoginFailed};

impl Logins {
    /// Takes what a person pasted: the whole address on which the browser ended, or its query.
    ///
    /// # Errors
    /// It is no such address, not all of it, or another login's; then this one goes on.
    pub fn paste(&self, id: &str, text: &str) -> Result<(), NotLoggedIn> {
        let unknown = || NotLoggedIn::Unknown(cut(id));
        let entry = self.find(id).ok_or_else(unknown)?;
        let text = text.trim();
        if let Some(lost) = entry.cut_off(text) {
            return Err(entry.wants(lost));
        }
        let callback =
            Callback::read(text).map_err(|why| entry.wants(&what(text, &entry, &why)))?;
        if !entry.has_state(&callback.state) {
            return Err(if entry.had_state(&callback.state) {
                entry.over()
            } else {
                self.elsewhere(&callback)
            });
        }
        if entry.answer(callback) {
            Ok(())
        } else {
            Err(NotLoggedIn::Answered)
        }
    }

    /// To which login this belongs instead.
    fn elsewhere(&self, callback: &Callback) -> NotLoggedIn {
        let known = self.known();
        let other = known.iter().find(|entry| entry.had_state(&callback.state));
        match other {
            Some(other) if other.is_open() => NotLoggedIn::OfAnother {
                account: other.account.clone(),
                id: other.id.clone(),
            },
            Some(other) => NotLoggedIn::OfEarlier(other.account.clone()),
            None => NotLoggedIn::ForeignState,
        }
    }
}

impl Entry {
    /// It takes no answer any more, though this is its own: the browser was first, or it has ended otherwise.
    fn over(&self) -> NotLoggedIn {
        match self.progress() {
            Progress::Finishing | Progress::LoggedIn(_) => NotLoggedIn::Answered,
            _ => NotLoggedIn::Over,
        }
    }

    /// The address is not the one of this login: what is wanted instead.
    fn wants(&self, what: &str) -> NotLoggedIn {
        NotLoggedIn::NotTheAddress {
            what: what.to_owned(),
            wanted: self.shown().and_then(|pending| pending.redirect_uri),
        }
    }
}

/// What was pasted, in words.
fn what(text: &str, entry: &Entry, why: &LoginFailed) -> String {
    let said = match why {
        LoginFailed::NotTheAnswer(said) => said.clone(),
        other => other.to_string(),
    };
    let Some(pending) = entry.shown() else {
        return said;
    };
    if leads_to_login(text, &pending) {
        return "it is the link to log in with, not the address on which the browser ends afterwards"
            .to_owned();
    }
    let ends_at = pending.redirect_uri.as_deref().and_then(place);
    match (place(text), ends_at) {
        (Some(place), Some(ends_at)) if place == ends_at => {
            format!("{said}; was its end lost where it was copied?")
        }
        (Some((host, _)), Some((ends_at, _))) if host != ends_at => {
            format!("{said}; it is an address at {host}, and the browser ends at {ends_at}")
        }
        _ => said,
    }
}

/// Whether it is one of the addresses with which a login begins.
fn leads_to_login(text: &str, pending: &Pending) -> bool {
    let page = pending.own_page().and_then(place);
    let begins = [place(&pending.url), page];
    let place = place(text);
    place.is_some() && begins.contains(&place)
}

/// The host and the path of an address.
fn place(address: &str) -> Option<(String, String)> {
    let address = Url::parse(address).ok()?;
    let host = address.host_str()?;
    let port = address.port().map(|port| format!(":{port}"));
    Some((
        format!("{host}{}", port.unwrap_or_default()),
        address.path().to_owned(),
    ))
}
