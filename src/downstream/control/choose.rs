//! `janus use`: a choice from outside.

use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::who::{Supposed, directory};
use super::{Answer, Problem};
use crate::account::{Holders, Switch};
use crate::authn::Peer;
use crate::binding::{Given, Reachable, Scope, Wish};
use crate::downstream::Downstream;
use crate::model::{AccountId, ServerName, Switching};
use crate::store::Holder;

/// What shall be chosen, and for whom.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Use {
    /// `server/account`; with `clear` the server alone is enough.
    account: String,
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    client: Option<String>,
    #[serde(default)]
    global: bool,
    #[serde(default)]
    clear: bool,
    /// For a client or everybody: the profile, instead of the one of the directory.
    #[serde(default)]
    profile: Option<String>,
}

impl Downstream {
    pub(super) async fn use_from_outside(&self, peer: &Peer, wanted: Use) -> Answer {
        let (scope, holder) = self.holder(peer, &wanted)?;
        if scope.switching() == Switching::Off && !wanted.clear {
            let message = format!("switching is off in profile `{}`", scope.profile());
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "switching_off",
                message,
            ));
        }
        if holder == Holder::Everybody && scope.switching() != Switching::Global && !wanted.clear {
            let message = format!(
                "a choice for everybody needs `switching: global` in profile `{}`",
                scope.profile()
            );
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "switching_off",
                message,
            ));
        }
        let (server, account) = if wanted.clear {
            (server_of(&scope, &wanted.account)?, None)
        } else {
            let account = account_of(&scope, &wanted.account)?;
            (account.server().clone(), Some(account.account().clone()))
        };
        let holders = match &holder {
            Holder::Session(session) => Holders {
                session: Some(session),
                client: scope.client(),
            },
            Holder::Client(client) => Holders {
                session: None,
                client: Some(client),
            },
            Holder::Everybody => Holders::default(),
        };
        let switch = Switch {
            holder: holder.clone(),
            server,
            account,
        };
        let switched = self
            .gateway
            .choices()
            .switch(&scope, switch, holders)
            .await?;
        let named = |id: Option<AccountId>| id.map(|id| id.to_string());
        Ok(json!({
            "profile": scope.profile().as_str(),
            "was": named(switched.was),
            "active": named(switched.active),
            "cleared": wanted.clear,
        }))
    }

    /// For whom, and the scope that it counts in.
    fn holder(&self, peer: &Peer, wanted: &Use) -> Result<(Arc<Scope>, Holder), Problem> {
        match (&wanted.session, &wanted.client, wanted.global) {
            (Some(session), None, false) => {
                let id = self.session_named(session)?;
                let live = self
                    .sessions
                    .all()
                    .into_iter()
                    .find(|session| session.id == id);
                let scope = live.and_then(|session| session.settled(&self.gateway, &self.reach));
                match scope {
                    Some(Ok(scope)) => Ok((scope, Holder::Session(id))),
                    Some(Err(refused)) => Err(self.problem(&refused)),
                    None => Err(Problem::new(
                        StatusCode::CONFLICT,
                        "session_unknown",
                        "the session was not used since Janus started, so its profile is not known yet",
                    )),
                }
            }
            (None, Some(client), false) => {
                let scope = self.supposed(peer, Some(client), wanted.profile.as_deref())?;
                let client = scope.client().cloned().map(Holder::Client);
                let holder = client
                    .ok_or_else(|| Problem::unknown("unknown_client", "there is no such client"))?;
                Ok((scope, holder))
            }
            (None, None, true) => {
                let scope = self.supposed(peer, None, wanted.profile.as_deref())?;
                Ok((scope, Holder::Everybody))
            }
            _ => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "usage",
                "a choice is for one session, one client, or everybody",
            )),
        }
    }

    /// The scope of a request from the asker's directory.
    fn supposed(
        &self,
        peer: &Peer,
        client: Option<&str>,
        profile: Option<&str>,
    ) -> Result<Arc<Scope>, Problem> {
        let client = self.client_named(client)?;
        let directory = directory(peer, &Supposed::default());
        let given = Given {
            client: client.as_ref(),
            directory: directory.as_ref(),
            path: "/mcp",
            profile,
        };
        let outcome = self.reach.binding().explain(&given).outcome;
        outcome
            .map(Arc::new)
            .map_err(|refused| self.problem(&refused))
    }
}

/// The one account in scope of this name.
fn account_of(scope: &Scope, named: &str) -> Result<AccountId, Problem> {
    let wish = Wish {
        named: Some(named),
        ..Wish::default()
    };
    let servers = scope.servers().iter();
    let found = servers.filter_map(|reachable| scope.choose(reachable.server(), &wish).ok());
    let found: Vec<AccountId> = found.map(|chosen| chosen.account().clone()).collect();
    if let [one] = &found[..] {
        return Ok(one.clone());
    }
    let accounts = scope.servers().iter().flat_map(Reachable::accounts);
    let there: Vec<String> = accounts.map(ToString::to_string).collect();
    let said = format!(
        "`{named}` is not one account of profile `{}`; there are: {}",
        scope.profile(),
        there.join(", ")
    );
    Err(Problem::unknown("unknown_account", said).help("janus account list"))
}

fn server_of(scope: &Scope, named: &str) -> Result<ServerName, Problem> {
    let name = named.split_once('/').map_or(named, |(server, _)| server);
    let mut servers = scope.servers().iter().map(Reachable::server);
    servers
        .find(|server| server.as_str() == name)
        .cloned()
        .ok_or_else(|| {
            Problem::unknown(
                "unknown_server",
                format!("profile `{}` has no server `{name}`", scope.profile()),
            )
        })
}
