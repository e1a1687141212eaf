//! Fifty accounts at ten servers, and the configuration that puts Janus in front of them.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::model::{ACCOUNTS, DEFAULTS, PROFILES, SERVERS};
use crate::support::{Fixture, WhoServer};

/// The servers that are of the modern era.
const MODERN: [usize; 4] = [3, 4, 8, 9];

/// The servers: the first ones over HTTP, the others processes.
#[derive(Debug)]
pub(super) struct World {
    pub(super) remote: Vec<WhoServer>,
    directory: TempDir,
}

/// Who must show a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// Nobody: any program of this user may connect.
    None,
    /// `clients:` is there.
    Required,
}

impl World {
    /// So many of the servers are reached over HTTP.
    pub(super) async fn start(remote: usize) -> Self {
        let mut servers = Vec::new();
        for server in 0..remote {
            let modern = MODERN.contains(&server);
            servers.push(WhoServer::start(&format!("s{server}"), modern, &ACCOUNTS).await);
        }
        Self {
            remote: servers,
            directory: TempDir::with_prefix("janus-who-").unwrap(),
        }
    }

    /// The configuration. `clients` are untied clients beside those that every test knows.
    pub(super) fn config(&self, keys: Keys, clients: &[String]) -> Value {
        let servers: Map<String, Value> = (0..SERVERS)
            .map(|server| (format!("s{server}"), self.server(server)))
            .collect();
        let profiles: Map<String, Value> = PROFILES
            .iter()
            .map(|profile| {
                let accounts: Map<String, Value> = profile
                    .reach
                    .iter()
                    .map(|(server, accounts)| {
                        let listed = if accounts.is_empty() {
                            json!("*")
                        } else {
                            json!(accounts)
                        };
                        (format!("s{server}"), listed)
                    })
                    .collect();
                let mut written =
                    json!({"switching": profile.switching, "guarded": profile.guarded});
                if accounts.is_empty() {
                    let all: Vec<String> =
                        (0..SERVERS).map(|server| format!("s{server}")).collect();
                    written["servers"] = all.into();
                } else {
                    written["accounts"] = accounts.into();
                }
                (profile.name.to_owned(), written)
            })
            .collect();
        let mut config = json!({
            "listen": {"http": "127.0.0.1:0"},
            "servers": servers,
            "profiles": profiles,
            "default_profile": "all",
        });
        if keys == Keys::Required {
            config["clients"] = json!({
                "free": {},
                "other": {},
                "tied": {"profile": "vault"},
                "two": {"profiles": ["locked", "everybody"]},
            });
            for client in clients {
                config["clients"][client] = json!({});
            }
        }
        config
    }

    fn server(&self, server: usize) -> Value {
        let mut written = if let Some(remote) = self.remote.get(server) {
            json!({"url": remote.url()})
        } else {
            let modern = MODERN.contains(&server);
            let era = if modern { "modern" } else { "legacy" };
            json!({
                "command": [Fixture::who()],
                "env": {"WHO_ERA": era, "WHO_VIOLATIONS": self.file()},
            })
        };
        let accounts: Map<String, Value> = ACCOUNTS
            .iter()
            .map(|account| {
                let credential = format!("cred-s{server}-{account}");
                let own = if self.remote.get(server).is_some() {
                    json!({"headers": {"Authorization": format!("Bearer {credential}")}})
                } else {
                    json!({"env": {"WHO_CREDENTIAL": credential}})
                };
                ((*account).to_owned(), own)
            })
            .collect();
        written["accounts"] = accounts.into();
        written["timeout"] = "30s".into();
        written["tools"] = json!({"exclude": ["hidden"]});
        if let Some((_, default)) = DEFAULTS.iter().find(|(of, _)| *of == server) {
            written["default"] = (*default).into();
        }
        written
    }

    /// How many calls and reads the servers over HTTP have seen.
    pub(super) fn calls(&self) -> usize {
        self.remote.iter().map(WhoServer::calls).sum()
    }

    /// No server has seen anything that was not its own.
    pub(super) fn assert_no_crossing(&self) {
        let seen: Vec<String> = self.remote.iter().flat_map(WhoServer::violations).collect();
        assert!(seen.is_empty(), "{seen:#?}");
        assert_eq!(self.written(), "");
    }

    /// What the processes have written of crossings.
    pub(super) fn written(&self) -> String {
        // The file is not there if none had anything to write.
        std::fs::read_to_string(self.file()).unwrap_or_default()
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("violations")
    }
}
