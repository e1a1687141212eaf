//! One login by a browser or another device, from the server's challenge to the tokens.

use std::time::Duration;

use super::grant::Grant;
use super::granted::Granted;
use super::network::Network;
use crate::model::AccountId;

/// What a server said when it refused: `WWW-Authenticate` (RFC 6750, section 3; RFC 9728, section 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// 401 or 403.
    pub status: u16,
    /// The header as it came; `None`: it said nothing.
    pub header: Option<String>,
}

/// What a person wants of a login.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Registers anew (`--fresh-client`).
    pub fresh_client: bool,
    /// By the device flow (`--device`).
    pub device: bool,
    /// Scopes beside those of the last grant that a person said yes to.
    pub more_scopes: Vec<String>,
}

/// A login under way. Dropping it ends it.
#[derive(Debug)]
pub struct Flow {}

/// What the browser brought back: the query of the redirect (RFC 6749, section 4.1.2; RFC 9207).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// `state`: which login.
    pub state: String,
}

/// Why a login failed, by who must act.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoginFailed {
    /// The server or its authorization server must be repaired, or is no such thing.
    #[error("{0}")]
    Server(String),
}

impl LoginFailed {
    /// The word for it.
    pub fn code(&self) -> &'static str {
        todo!()
    }

    /// The commands or lines that mend it, at most three.
    pub fn help(&self, _account: &AccountId) -> Vec<String> {
        todo!()
    }
}

impl Flow {
    /// Finds the authorization server, registers where that is needed, and makes the URL. `redirect_uri` is where Janus
    /// listens.
    ///
    /// # Errors
    /// Why nobody can log in.
    pub async fn begin(
        _grant: &Grant,
        _network: &Network,
        _redirect_uri: &str,
        _options: &Options,
    ) -> Result<Self, LoginFailed> {
        todo!()
    }

    /// The page of the provider: checked, and safe to be opened.
    pub fn url(&self) -> &str {
        todo!()
    }

    /// The host a person sees, in ASCII.
    pub fn host(&self) -> &str {
        todo!()
    }

    /// Whether that host belongs neither to the issuer nor to the server: a person confirms it first.
    pub fn is_foreign(&self) -> bool {
        todo!()
    }

    /// Which login a callback belongs to.
    pub fn state(&self) -> &str {
        todo!()
    }

    /// What is asked for.
    pub fn scopes(&self) -> &[String] {
        todo!()
    }

    /// Those of them that are neither configured nor were granted before.
    pub fn new_scopes(&self) -> &[String] {
        todo!()
    }

    /// The code and the address of the device flow, and how long they are good for.
    pub fn device(&self) -> Option<(&str, &str, Duration)> {
        todo!()
    }

    /// The code for tokens, and who that is. Runs to its end wherever it is awaited: spawn it.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn finish(self, _callback: Callback) -> Result<Granted, LoginFailed> {
        todo!()
    }

    /// Waits until the person is done on the other device.
    ///
    /// # Errors
    /// Why there are no tokens.
    pub async fn poll(self) -> Result<Granted, LoginFailed> {
        todo!()
    }
}

impl Callback {
    /// Reads the whole redirect URL, or its query; a bare code is refused, since it carries no state.
    ///
    /// # Errors
    /// What is missing.
    pub fn read(_text: &str) -> Result<Self, LoginFailed> {
        todo!()
    }
}
