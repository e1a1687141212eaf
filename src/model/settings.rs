//! What the configuration and the environment ask for, as the rest of Janus wants it.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Identity, Secret, Server};

/// Everything `daemon::run` needs to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The file they come from; `None` where there is none, and Janus serves with nothing behind it.
    pub file: Option<PathBuf>,
    /// Where Janus listens.
    pub listen: Listen,
    /// Where its state lives, 0700: the installation key and the lock against a second Janus.
    pub state_directory: PathBuf,
    /// The enabled servers, in the order of the file: the order clients see.
    pub servers: Vec<Arc<Server>>,
    /// Who may reach what of them.
    pub identity: Identity,
    /// The minimal environment of every child (PATH, HOME, …), in a fixed order.
    pub child_environment: Vec<(String, OsString)>,
    /// The proxy to remote servers.
    pub proxy: ProxySettings,
    /// Where the key of the vault is.
    pub vault: VaultSettings,
}

/// Where the key of the vault is, and how to get there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VaultSettings {
    /// `vault.key`
    pub key: KeySource,
    /// `vault.key_file`, with `key: file` only.
    pub key_file: Option<PathBuf>,
    /// `$CREDENTIALS_DIRECTORY`: where systemd put the credentials of the service.
    pub credentials: Option<PathBuf>,
    /// The address of the session bus, where the Secret Service is; `None` where there is none.
    pub session_bus: Option<String>,
}

/// Who keeps the key of the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeySource {
    /// The systemd credential if there is one, else the Secret Service. Never a file.
    #[default]
    Auto,
    /// The systemd credential `janus-vault-key`.
    Credential,
    /// The keyring of the desktop.
    SecretService,
    /// A file beside what it protects, by explicit choice only.
    File,
}

impl KeySource {
    /// As the configuration writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Credential => "credential",
            Self::SecretService => "secret-service",
            Self::File => "file",
        }
    }
}

/// Where Janus listens, and for how long it remembers who came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The TCP address, loopback.
    pub http: SocketAddr,
    /// The unix socket; its directory is made 0700.
    pub socket: PathBuf,
    /// The configuration names the address; it is not the default.
    pub http_is_configured: bool,
    /// The same for the unix socket.
    pub socket_is_configured: bool,
    /// The control socket, for `janus status` and the like; its directory is made 0700.
    pub control: PathBuf,
    /// A session nobody used for this long ends.
    pub session_idle: Duration,
    /// A question nobody answered for this long ends.
    pub question_timeout: Duration,
    /// A reload goes on as the program that is installed, where it is another one.
    pub upgrade_on_reload: bool,
}

/// A person may be at lunch, but not for ever: a question ends after this long, where nothing else is configured.
pub const QUESTION_TIMEOUT: Duration = Duration::from_mins(5);

/// `HTTPS_PROXY` and `NO_PROXY`, as the environment has them. A proxy URL may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProxySettings {
    /// The proxy for `https` URLs.
    pub https: Option<Arc<Secret>>,
    /// The hosts reached without it, in the usual comma-separated form.
    pub no_proxy: Option<String>,
}
