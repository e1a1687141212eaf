//! The names that a command line may mean, for words that no answer of the daemon judges.

use serde_json::Value;

use super::control::Control;
use super::table::text;
use super::{Context, Exit, Failure};

/// The servers and accounts of the daemon that runs; of the configuration where none does.
#[derive(Debug, Default)]
pub(super) struct Known {
    servers: Vec<String>,
    accounts: Vec<String>,
}

impl Known {
    /// `None`: no daemon runs, and the configuration cannot be read.
    pub(super) async fn of(context: &Context) -> Option<Self> {
        let control = Control::new(context);
        let listed = control.ask(http::Method::GET, "/accounts", None).await;
        let rows = listed
            .ok()
            .and_then(|listed| Some(listed.get("accounts")?.as_array()?.clone()));
        if let Some(rows) = rows {
            let column = |name: &str| rows.iter().map(|row: &Value| text(row, name)).collect();
            return Some(Self {
                servers: column("server"),
                accounts: column("id"),
            });
        }
        let servers = context.settings().ok()?.servers;
        let accounts = servers.iter().flat_map(|server| server.account_ids());
        Some(Self {
            accounts: accounts.map(|id| id.to_string()).collect(),
            servers: servers
                .iter()
                .map(|server| server.name.to_string())
                .collect(),
        })
    }

    /// That there is no server of this name, if so.
    pub(super) fn no_server(&self, name: &str) -> Option<Failure> {
        unknown(("server", "unknown_server"), name, &self.servers).map(listed)
    }

    /// The same for an account by its full name.
    pub(super) fn no_account(&self, name: &str) -> Option<Failure> {
        unknown(("account", "unknown_account"), name, &self.accounts).map(listed)
    }
}

/// That there is nothing of this kind and name, with the one that may be meant.
pub(super) fn unknown(
    (what, code): (&str, &'static str),
    name: &str,
    known: &[String],
) -> Option<Failure> {
    if known.iter().any(|known| known == name) {
        return None;
    }
    let failure = Failure::new(Exit::Usage, code, format!("there is no {what} `{name}`"));
    let near = known
        .iter()
        .find(|known| strsim::damerau_levenshtein(known, name) <= 2);
    Some(match near {
        Some(near) => failure.help(format!("did you mean `{near}`?")),
        None => failure,
    })
}

/// With where the names are, unless one is meant.
fn listed(failure: Failure) -> Failure {
    if failure.parts().help.is_empty() {
        return failure.help("see which there are:  janus account list");
    }
    failure
}
