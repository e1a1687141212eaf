//! `auth.oauth`: what an account says, over its server, over a template, over what counts without a key.
//!
//! `keys` is what may be written, `value` how, `fit` which keys belong together, and `over` what comes of it.
//!
//! Invariants:
//! - A key of an account wins over the same key of its server, and both over the template. Where two keys exclude each
//!   other, the one that is nearer to the account counts.
//! - A client and an issuer come whole: no secret of one client, and no endpoint of one issuer, is used with another.

mod fit;
mod keys;
mod over;
mod show;
mod value;

pub(super) use fit::{whoami as check_whoami, within};
pub(super) use keys::{OAuth, Whoami};
pub(super) use over::whoami;
pub(super) use show::shown;
pub(super) use value::{Directory, Journal, Parameter, Scope, Sent, WebUrl, web_url};

use std::sync::Arc;

use super::container::At;
use super::problem::{Place, Problems};
use crate::model::{self, Auth, Authentication};

/// `auth` of a server or an account that is a login.
pub(super) struct Login {
    /// Where `auth` is.
    pub(super) place: Place,
    /// What it says.
    pub(super) keys: OAuth,
    /// `into`
    pub(super) into: Option<At<String>>,
}

/// Where the server of a login is.
#[derive(Clone, Copy)]
pub(super) enum Where<'u> {
    /// It is a local process.
    Process,
    /// It is remote.
    Remote(&'u http::Uri),
}

/// What an account's own login says over that of its server and the facts of a template; what does not fit is noted.
pub(super) fn settled(
    own: Option<&Login>,
    base: Option<&Login>,
    facts: Option<&model::OAuth>,
    at: Where<'_>,
    problems: &mut Problems,
) -> Authentication {
    let oauth = over::over(own, base, facts);
    let into = own
        .and_then(|login| login.into.as_ref())
        .or_else(|| base.and_then(|login| login.into.as_ref()));
    if let Some(login) = own.or(base) {
        fit::whole(login, base, &oauth, into, at, problems);
    }
    Authentication {
        how: Auth::OAuth(Arc::new(oauth)),
        into: into.map(|into| into.value.clone()),
    }
}
