//! From what the file says to what Janus does: how the keys fit together, and the defaults.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;

use super::Environment;
use super::container::List;
use super::file::{self, Document};
use super::fillings::{Reading, Templates};
use super::identity;
use super::names::Places;
use super::problem::{ConfigError, Mistake, Place, Problems};
use super::server::Servers;
use super::template::Catalog;
use super::value::Text;
use super::warning::{Warning, warnings};
use crate::model::{
    Account, Endpoint, Identity, KeySource, Listen, Reference, Server, ServerName, Settings,
    VaultSettings,
};

/// What counts without a key.
pub(super) mod defaults {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::time::Duration;

    /// Loopback: whoever reaches it can use every account.
    pub(crate) const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7332);
    /// Longer than tools usually think, shorter than people usually wait.
    pub(crate) const TIMEOUT: Duration = Duration::from_mins(1);
    /// Long enough that a working session does not start its servers again and again.
    pub(crate) const IDLE: Duration = Duration::from_mins(10);
    /// A client that was left open over night goes on in the morning.
    pub(crate) const SESSION_IDLE: Duration = Duration::from_hours(24);
    pub(crate) use crate::model::QUESTION_TIMEOUT;
}

/// `sun_path` of a socket address has 108 bytes, the last of them zero.
const LONGEST_SOCKET: usize = 107;

/// A configuration that was read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// What Janus runs with.
    pub settings: Settings,
    /// The servers with `enabled: false`, in the order of the file.
    pub disabled: Vec<Arc<Server>>,
    /// Who may reach what as it is written: here profiles reach the servers that are not enabled, too.
    pub written: Identity,
    /// What is allowed and probably not meant, in the order of the file.
    pub warnings: Vec<Warning>,
    /// Which servers take a template, and what they fill in.
    pub(super) templates: Templates,
}

impl Loaded {
    /// The servers that have the URL of a template and do not take it.
    pub(super) fn offers(&self, catalog: &Catalog) -> Vec<(ServerName, String)> {
        let servers = self.settings.servers.iter().chain(&self.disabled);
        let without = servers.filter(|server| !self.templates.contains_key(&server.name));
        let offer = |server: &Arc<Server>| {
            let Endpoint::Http(remote) = &server.accounts.first()?.endpoint else {
                return None;
            };
            let mut templates = catalog.templates.iter();
            let template = templates.find(|template| template.is_at(&remote.url))?;
            Some((server.name.clone(), template.name.clone()))
        };
        without.filter_map(offer).collect()
    }
}

/// Fills in the defaults, and notes what does not fit together. What is wrong is left out of the result.
pub(super) fn check(
    mut document: Document,
    environment: &Environment,
    catalog: Option<&Catalog>,
    problems: &mut Problems,
) -> Result<Loaded, ConfigError> {
    let state_directory = environment.state_directory().ok_or(ConfigError::NoHome)?;
    let listen = listen(
        std::mem::take(&mut document.listen).or(file::Listen::default()),
        environment,
        problems,
    );
    let vault = vault(
        std::mem::take(&mut document.vault).or(file::Vault::default()),
        environment,
        problems,
    );
    let mut places = Places::default();
    let mut reading = Reading {
        environment,
        catalog,
        templates: Templates::new(),
    };
    let servers = std::mem::take(&mut document.servers);
    let known = Servers::of(servers, &mut reading, &mut places, problems);
    let written = identity::check(document, &known, &mut places, problems);
    let (mut servers, mut disabled) = (Vec::new(), Vec::new());
    for known in known.list {
        let list = if known.enabled {
            &mut servers
        } else {
            &mut disabled
        };
        list.extend(known.server);
    }
    let identity = in_force(&written, &disabled);
    Ok(Loaded {
        templates: reading.templates,
        warnings: warnings(&servers, &identity, &places, problems.take_warnings()),
        settings: Settings {
            identity,
            file: None,
            listen,
            state_directory,
            child_environment: children(environment, &servers),
            servers,
            proxy: environment.proxy(),
            vault,
        },
        disabled,
        written,
    })
}

/// What every child gets, without the variables that hold a secret for somebody.
fn children(environment: &Environment, servers: &[Arc<Server>]) -> Vec<(String, OsString)> {
    let accounts = servers.iter().flat_map(|server| &server.accounts);
    let secret: BTreeSet<&str> = accounts
        .flat_map(Account::references)
        .filter_map(|reference| match reference {
            Reference::Environment { name, .. } => Some(name.as_str()),
            _ => None,
        })
        .collect();
    let mut environment = environment.child_environment();
    environment.retain(|(name, _)| !secret.contains(name.as_str()));
    environment
}

fn vault(vault: file::Vault, environment: &Environment, problems: &mut Problems) -> VaultSettings {
    let key = vault
        .key
        .value
        .as_ref()
        .map_or(KeySource::Auto, |at| at.value);
    match (key, &vault.key.value, &vault.key_file.key) {
        (KeySource::File, Some(at), None) => {
            let what = "`key_file`, the file that holds the key".to_owned();
            let help = "write `vault: { key: file, key_file: ~/.config/janus/vault.key }`";
            problems.add_with_help(&at.place, Mistake::Missing { what }, help);
        }
        (KeySource::File, ..) | (_, _, None) => {}
        (_, _, Some(place)) => {
            let why = "`key_file` belongs to `key: file`: a key beside what it protects is never chosen by itself";
            problems.add_with_help(
                place,
                Mistake::does_not_fit(why),
                "write `key: file`, or remove it",
            );
        }
    }
    VaultSettings {
        key,
        key_file: vault.key_file.into_value().map(|file| file.0),
        credentials: environment.credentials_directory(),
        session_bus: environment.session_bus(),
    }
}

/// Profiles without the servers that are not enabled.
fn in_force(written: &Identity, disabled: &[Arc<Server>]) -> Identity {
    let mut identity = written.clone();
    for profile in &mut identity.profiles {
        let off = |name: &ServerName| disabled.iter().any(|server| server.name == *name);
        profile.reach.retain(|reach| !off(&reach.server));
    }
    identity
}

fn listen(listen: file::Listen, environment: &Environment, problems: &mut Problems) -> Listen {
    let allow_remote = listen.allow_remote.value.is_some_and(|at| at.value.0);
    if let Some(at) = &listen.http.value {
        refuse_remote(at.value.0, &at.place, allow_remote, problems);
    }
    if let Some(at) = &listen.socket.value
        && at.value.0.as_os_str().len() > LONGEST_SOCKET
    {
        let expected =
            format!("a path of at most {LONGEST_SOCKET} bytes, the limit of unix sockets");
        problems.add(&at.place, Mistake::BadValue { expected });
    }
    Listen {
        control: environment.control_socket(),
        http_is_configured: listen.http.value.is_some(),
        socket_is_configured: listen.socket.value.is_some(),
        http: listen
            .http
            .into_value()
            .map_or(defaults::HTTP, |address| address.0),
        socket: listen
            .socket
            .into_value()
            .map_or_else(|| environment.socket(), |path| path.0),
        session_idle: listen
            .session_idle
            .into_value()
            .map_or(defaults::SESSION_IDLE, |wait| wait.0),
        question_timeout: listen
            .question_timeout
            .into_value()
            .map_or(defaults::QUESTION_TIMEOUT, |wait| wait.0),
        upgrade_on_reload: listen.upgrade_on_reload.value.is_some_and(|at| at.value.0),
    }
}

/// Without client keys and TLS, an address that others reach would give them every account.
fn refuse_remote(address: SocketAddr, place: &Place, allowed: bool, problems: &mut Problems) {
    if address.ip().is_loopback() {
        return;
    }
    let why = if allowed {
        "not a loopback address, and `allow_remote` cannot help: client keys and TLS do not exist yet"
    } else {
        "not a loopback address: whoever reached it could use every account"
    };
    let help = "use 127.0.0.1 or [::1], and ssh -L from other machines";
    problems.add_with_help(place, Mistake::does_not_fit(why), help);
}

pub(super) fn texts(list: List<Text>) -> Vec<String> {
    list.into_values().map(|text| text.0).collect()
}
