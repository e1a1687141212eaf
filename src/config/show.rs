//! The settings in force as a document: defaults filled in, values that may be secrets as `****`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::settings::Loaded;
use super::value::{Word, spelled};
use crate::model::{Endpoint, Secret, Server};

/// What a value that may be a secret looks like.
const MASK: &str = "****";

/// The settings in the keys of the file.
///
/// Of the environment, headers, queries of URLs and arguments only names are shown: tokens are written to all of them.
pub fn effective(loaded: &Loaded) -> Value {
    let listen = &loaded.settings.listen;
    let enabled = loaded.settings.servers.iter().map(|s| (s, true));
    let disabled = loaded.disabled.iter().map(|s| (s, false));
    let servers: Map<String, Value> = enabled
        .chain(disabled)
        .map(|(s, enabled)| (s.name.to_string(), server(s, enabled)))
        .collect();
    json!({
        "version": 1,
        "servers": servers,
        "listen": {
            "http": listen.http.to_string(),
            "socket": listen.socket.to_string_lossy(),
            "session_idle": spelled(listen.session_idle),
            "allow_remote": false,
        },
    })
}

fn server(server: &Server, enabled: bool) -> Value {
    let mut keys = Map::new();
    let mut put = |key: &str, value: Value| {
        keys.insert(key.to_owned(), value);
    };
    match &server.accounts[0].endpoint {
        Endpoint::Process(command) => {
            put("command", command.shown().into());
            put(
                "env",
                masked(
                    command
                        .env
                        .iter()
                        .map(|(name, secret)| (name.as_str(), secret)),
                ),
            );
            put(
                "idle",
                spelled(server.idle.unwrap_or(Duration::ZERO)).into(),
            );
        }
        Endpoint::Http(remote) => {
            put("url", remote.shown().into());
            put(
                "headers",
                masked(
                    remote
                        .headers
                        .iter()
                        .map(|(name, secret)| (name.as_str(), secret)),
                ),
            );
            if let Some(ca) = &remote.ca {
                put("tls", json!({ "ca": ca.to_string_lossy() }));
            }
        }
    }
    if let Some(description) = &server.description {
        put("description", description.as_str().into());
    }
    put("timeout", spelled(server.timeout).into());
    put("sharing", server.sharing.word().into());
    put("era", server.era.word().into());
    put(
        "tools",
        json!({ "include": server.tools.include, "exclude": server.tools.exclude }),
    );
    put("enabled", enabled.into());
    Value::Object(keys)
}

fn masked<'a>(entries: impl Iterator<Item = (&'a str, &'a Secret)>) -> Value {
    entries
        .map(|(name, _)| (name.to_owned(), MASK.into()))
        .collect::<Map<_, _>>()
        .into()
}
