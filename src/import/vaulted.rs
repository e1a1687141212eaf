//! Secrets that are a whole value are read from the vault: the configuration loads before they are there, and
//! `janus secret set` brings them without a restart. What is a part of a value stays a variable.

use std::collections::BTreeSet;

use super::login::may_log_in;
use super::{Auth, Imported, Reach, ToSet, document, variables};
use crate::model::SecretName;

/// How a token stands in a header.
const BEARER: [&str; 2] = ["Bearer ", "bearer "];

/// Writes `vault:NAME` in place of each of these variables where nothing is beside it.
pub(super) fn vaulted(imported: &mut Imported, secrets: &BTreeSet<String>) {
    let mut vaulting = Vaulting {
        secrets,
        moved: BTreeSet::new(),
    };
    for server in &mut imported.servers {
        let may_log_in = match &mut server.reach {
            Reach::Command { env, .. } => {
                vaulting.values(env);
                false
            }
            Reach::Url { url, headers } => {
                let may_log_in = may_log_in(url);
                if may_log_in && server.auth.is_none() && server.accounts.is_empty() {
                    server.auth = vaulting.bearer(headers);
                }
                vaulting.values(headers);
                may_log_in
            }
        };
        for account in &mut server.accounts {
            vaulting.values(&mut account.env);
            if may_log_in && account.auth.is_none() {
                account.auth = vaulting.bearer(&mut account.headers);
            }
            vaulting.values(&mut account.headers);
        }
    }
    for variable in &vaulting.moved {
        let name = variable.to_ascii_lowercase();
        for note in &mut imported.notes {
            *note = note.replace(
                &format!("belongs in `{variable}`"),
                &format!("belongs in `vault:{name}`"),
            );
        }
        let told = imported.to_set.iter().find(|set| set.variable == *variable);
        let told = told.map(|set| ToSet {
            variable: name,
            in_vault: true,
            ..set.clone()
        });
        imported.to_set.extend(told);
    }
    // A part of another value may refer to it all the same.
    let used = variables(&document(imported));
    imported
        .to_set
        .retain(|set| !vaulting.moved.contains(&set.variable) || used.contains(&set.variable));
}

struct Vaulting<'s> {
    secrets: &'s BTreeSet<String>,
    moved: BTreeSet<String>,
}

impl Vaulting<'_> {
    fn values(&mut self, pairs: &mut [(String, String)]) {
        for (_, value) in pairs {
            if let Some(name) = self.name(value) {
                *value = format!("vault:{name}");
            }
        }
    }

    /// The header that is a token, as what it is.
    fn bearer(&mut self, headers: &mut Vec<(String, String)>) -> Option<Auth> {
        let is_authorization = |name: &str| name.eq_ignore_ascii_case("authorization");
        let at = headers
            .iter()
            .position(|(name, _)| is_authorization(name))?;
        let (_, value) = headers.get(at)?;
        let token = BEARER.iter().find_map(|scheme| value.strip_prefix(scheme));
        let name = self.name(token?)?;
        headers.remove(at);
        Some(Auth::Bearer(name))
    }

    /// The name in the vault, where a value is one of the variables and nothing else.
    fn name(&mut self, value: &str) -> Option<SecretName> {
        let variable = value.strip_prefix("${")?.strip_suffix('}')?;
        let variable = self.secrets.get(variable)?;
        let name = SecretName::new(&variable.to_ascii_lowercase()).ok()?;
        self.moved.insert(variable.clone());
        Some(name)
    }
}
