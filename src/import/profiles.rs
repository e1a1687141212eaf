//! Defaults and profiles of the result.

use std::collections::BTreeSet;

use super::settle::{Placed, renamed};
use super::words::{free, shown};
use super::{Imported, Profile};
use crate::model::{AccountName, ProfileName, ServerName};

/// The profile with everything, which a source with profiles has without saying it.
const EVERYTHING: &str = "everything";

/// Sets the defaults, and makes profiles of the source's.
pub(super) fn identity(
    imported: &mut Imported,
    placed: &[Placed],
    default: Option<&str>,
    profiles: Vec<(String, Vec<String>)>,
) {
    let find = |entry: &str| placed.iter().find(|placed| placed.entry == entry);
    if let Some(found) = default.and_then(find)
        && let Some(server) = imported
            .servers
            .iter_mut()
            .find(|server| server.name == found.server)
    {
        server.default.clone_from(&found.account);
    }
    let mut taken = BTreeSet::new();
    for (name, members) in profiles {
        let mut accounts: Vec<(ServerName, Vec<AccountName>)> = Vec::new();
        for found in members.iter().filter_map(|member| find(member)) {
            let account = found
                .account
                .clone()
                .unwrap_or_else(AccountName::default_account);
            match accounts
                .iter_mut()
                .find(|(server, _)| *server == found.server)
            {
                Some((_, list)) if list.contains(&account) => {}
                Some((_, list)) => list.push(account),
                None => accounts.push((found.server.clone(), vec![account])),
            }
        }
        if accounts.is_empty() {
            imported.notes.push(format!(
                "profile `{}` has no accounts, and is left out",
                shown(&name)
            ));
            continue;
        }
        let name = renamed(&name, "profile", &mut taken, &mut imported.notes);
        if let Ok(name) = ProfileName::new(&name) {
            imported.profiles.push(Profile {
                name,
                accounts,
                servers: Vec::new(),
            });
        }
    }
    if imported.profiles.is_empty() {
        return;
    }
    if let Ok(name) = ProfileName::new(&free(EVERYTHING, &mut taken)) {
        imported.notes.push(format!(
            "profile `{name}` has every account, as without a profile before; it is used where nothing else is said"
        ));
        imported.default_profile = Some(name.clone());
        imported.profiles.push(Profile {
            name,
            accounts: Vec::new(),
            servers: imported
                .servers
                .iter()
                .map(|server| server.name.clone())
                .collect(),
        });
    }
}
