//! Keys and headers: what a client needs to be known, for `janus client`, `janus headers` and `janus connect`.

use std::sync::Arc;
use std::time::SystemTime;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Problem, seconds};
use crate::authn::Peer;
use crate::downstream::Downstream;
use crate::model::{ClientId, ProfileName};
use crate::store::KeyKind;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Of {
    #[serde(default)]
    client: Option<String>,
    /// Asked by a command that a person runs, which is no client.
    #[serde(default)]
    own: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    client: String,
    /// Whether the keys it has end.
    #[serde(default)]
    rotate: bool,
}

impl Downstream {
    /// The headers that prove the asker's directory and, where keys are in use, its client.
    pub(super) async fn headers(&self, peer: &Peer, of: &Of) -> Answer {
        let mut headers = Map::new();
        match peer
            .directory()
            .and_then(|directory| directory.paths().next())
        {
            Some(path) => {
                headers.insert("Janus-Directory".to_owned(), self.authn.sign(path).into());
            }
            None => {
                return Err(Problem::new(
                    StatusCode::CONFLICT,
                    "directory_unknown",
                    "the working directory of the asking process is not known",
                ));
            }
        }
        if self.authn.requires_key() {
            let key = self.mint(of).await?;
            headers.insert("Authorization".to_owned(), format!("Bearer {key}").into());
        }
        Ok(json!({"headers": headers}))
    }

    /// A key for one connection of the shim, or of the command line.
    pub(super) async fn connection_key(&self, of: &Of) -> Answer {
        if !self.authn.requires_key() {
            // Whoever names a client that does not exist is told so all the same.
            self.client_named(of.client.as_deref())?;
            return Ok(json!({"key": Value::Null}));
        }
        let key = self.mint(of).await?;
        Ok(json!({"key": key}))
    }

    async fn mint(&self, of: &Of) -> Result<String, Problem> {
        let client = self.client_named(of.client.as_deref())?;
        if client.is_none() && !of.own {
            let said =
                "every client needs an access key here, and this one does not say which it is";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "key_required", said)
                .help("name it:  --client NAME        # janus client list")
                .help("or add it:  janus client add NAME"));
        }
        let binding = self.reach.binding();
        let mut clients = binding.identity().clients.iter().flatten();
        let expires = clients
            .find(|known| Some(&known.id) == client.as_ref())
            .and_then(|known| known.expires);
        if let Some(name) = &client
            && expires.is_some_and(|expires| expires <= SystemTime::now())
        {
            let said = format!("the keys of client `{name}` expired");
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "key_required", said)
                .help("write a later day in `expires:`, then:  janus config reload"));
        }
        let key = self.authn.connection_key(client.as_ref()).await?;
        Ok(key.into_text())
    }

    pub(super) fn client_list(&self) -> Value {
        let binding = self.reach.binding();
        let keys = self.authn.keys();
        let clients = binding.identity().clients.iter().flatten().map(|client| {
            let of_client = keys
                .iter()
                .filter(|key| key.client.as_ref() == Some(&client.id));
            let of_client: Vec<Value> = of_client
                .map(|key| {
                    json!({
                        "id": key.id,
                        "kind": kind(key.kind),
                        "made": seconds(key.made),
                        "used": key.used.map(seconds),
                    })
                })
                .collect();
            let profiles: Vec<&str> = client.profiles.iter().map(ProfileName::as_str).collect();
            json!({
                "client": client.id.as_str(),
                "profiles": profiles,
                "expires": client.expires.map(seconds),
                "keys": of_client,
                "where": self.whereabouts(&client.written),
            })
        });
        let clients: Vec<Value> = clients.collect();
        json!({"keys_required": self.authn.requires_key(), "clients": clients})
    }

    /// A key that lasts. This is the one time it is shown.
    pub(super) async fn new_key(&self, wanted: &NewKey) -> Answer {
        let client = self.must_be_client(&wanted.client)?;
        let key = if wanted.rotate {
            let key = self.authn.rotate_keys(&client).await?;
            self.prove_again(Some(&client));
            key
        } else {
            self.authn.add_key(&client).await?
        };
        Ok(json!({"client": client.as_str(), "key": key.into_text()}))
    }

    /// Ends every key of a client, also of one that the configuration does not have any more.
    pub(super) async fn end_keys(&self, of: &Of) -> Answer {
        let named = of.client.as_deref().unwrap_or_default();
        let client = ClientId::new(named)
            .map_err(|bad| Problem::new(StatusCode::BAD_REQUEST, "usage", bad.to_string()))?;
        let ended = self.authn.end_keys(&client).await?;
        let live = self.sessions.all().into_iter();
        let live = live.filter(|session| session.client() == Some(&client));
        let dormant = self.sessions.dormant().into_iter();
        let dormant = dormant.filter(|record| record.client.as_ref() == Some(&client));
        let live = live.map(|session| Arc::clone(&session.id));
        for id in live.chain(dormant.map(|record| record.id)) {
            self.sessions.end(&self.gateway, &id).await;
        }
        self.gateway.end_listens();
        Ok(json!({"client": client.as_str(), "ended": ended}))
    }

    fn must_be_client(&self, name: &str) -> Result<ClientId, Problem> {
        let client = self.client_named(Some(name))?;
        client.ok_or_else(|| {
            Problem::unknown("unknown_client", format!("there is no client `{name}`"))
        })
    }
}

fn kind(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Access => "access",
        KeyKind::Connection => "connection",
    }
}
