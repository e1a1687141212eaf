//! How every authorization server is reached: by which addresses, for how long, and how much is read.

use std::path::PathBuf;

use http::Uri;

use crate::model::ProxySettings;

/// The connections to authorization servers. Clones share them.
#[derive(Debug, Clone)]
pub struct Network {}

/// What is allowed for the sake of one server.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The MCP server. Plain `http` and loopback addresses are for one that is on loopback itself.
    pub server: Uri,
    /// `allow_private_addresses`
    pub private: bool,
    /// `tls.ca` of the server, which counts for its authorization server too.
    pub ca: Option<PathBuf>,
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Janus does not go there. Nothing was sent.
    #[error("{0}")]
    Refused(String),
    /// It cannot be reached now. `sent`: it may have read the request.
    #[error("{why}")]
    Unreachable {
        /// What the connection said.
        why: String,
        /// Whether the request may have been read.
        sent: bool,
    },
    /// Its certificate is not accepted.
    #[error("{0}")]
    Tls(String),
    /// Its answer is too long, or was cut off.
    #[error("{0}")]
    BadAnswer(String),
}

impl Network {
    /// A network of this proxy.
    pub fn new(_proxy: &ProxySettings) -> Self {
        Self {}
    }

    /// Sends one request to an absolute URL. A redirect is an answer and never followed here.
    ///
    /// # Errors
    /// Why there is no response.
    pub async fn send(
        &self,
        _request: http::Request<Vec<u8>>,
        _policy: &Policy,
    ) -> Result<http::Response<Vec<u8>>, NetworkError> {
        todo!()
    }
}
