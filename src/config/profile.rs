//! Profiles: which accounts each of them reaches.

use super::container::{At, Field, Map};
use super::file;
use super::name::Accounts;
use super::names::Places;
use super::problem::{Mistake, Place, Problems};
use super::server::{Known, Servers};
use crate::model::{AccountName, Profile, ProfileName, Reach, ServerName, Switching};

/// The profiles that are right, in the order of the file.
pub(super) fn profiles(
    profiles: Map<ProfileName, file::Profile>,
    servers: &Servers,
    switching: Switching,
    places: &mut Places,
    problems: &mut Problems,
) -> Vec<Profile> {
    let entries = profiles.entries.into_iter();
    entries
        .map(|(name, profile)| {
            let written = places.note(&name.place);
            let keys = profile.value;
            refuse_empty(&keys, &name.place, problems);
            let wanted = wanted(keys.accounts, keys.servers, servers, problems);
            Profile {
                name: name.value,
                reach: reach(&wanted, servers, places),
                guarded: keys.guarded.into_value().is_some_and(|switch| switch.0),
                switching: keys.switching.or(switching),
                written,
            }
        })
        .collect()
}

/// What a profile says of one server.
struct Wanted {
    server: ServerName,
    /// `None`: all of its accounts.
    accounts: Option<Vec<AccountName>>,
    place: Place,
}

/// A profile has only what it lists, so one that lists nothing was left unfinished.
fn refuse_empty(profile: &file::Profile, place: &Place, problems: &mut Problems) {
    let accounts = match &profile.accounts.value {
        Some(at) => at.value.complete && at.value.entries.is_empty(),
        None => profile.accounts.key.is_none(),
    };
    let servers = match &profile.servers.value {
        Some(at) => at.value.0.is_empty(),
        None => profile.servers.key.is_none(),
    };
    if accounts && servers {
        let what = "`accounts` or `servers`".to_owned();
        let help = "list what it reaches: without them that is nothing";
        problems.add_with_help(place, Mistake::Missing { what }, help);
    }
}

/// Both of its lists, checked against the servers there are and against each other.
fn wanted(
    accounts: Field<Map<super::name::ReachedServer, Accounts>>,
    whole: Field<super::container::List<ServerName>>,
    servers: &Servers,
    problems: &mut Problems,
) -> Vec<Wanted> {
    let names = servers.names();
    let mut all: Vec<Wanted> = Vec::new();
    for (server, accounts) in accounts.or(Map::default()).entries {
        let name = server.value.0;
        if !names.check(name.as_str(), &server.place, problems) {
            continue;
        }
        let known = servers.find(&name);
        all.push(Wanted {
            accounts: match accounts.value {
                Accounts::All => None,
                Accounts::Listed(list) => {
                    Some(known.map_or_else(Vec::new, |known| listed(list, known, problems)))
                }
            },
            server: name,
            place: server.place,
        });
    }
    let under_accounts = all.len();
    for At { place, value: name } in whole.or_default().0 {
        if !names.check(name.as_str(), &place, problems) {
            continue;
        }
        match all.iter().position(|wanted| wanted.server == name) {
            None => all.push(Wanted {
                server: name,
                accounts: None,
                place,
            }),
            Some(index) if index < under_accounts => {
                let why = "this server is under `accounts` and `servers`";
                let help =
                    "keep it under `accounts` for some of its accounts, under `servers` for all";
                problems.add_with_help(&place, Mistake::does_not_fit(why), help);
            }
            Some(_) => twice("this server", &place, problems),
        }
    }
    all
}

/// The accounts of a list that exist, each once.
fn listed(list: Vec<At<AccountName>>, known: &Known, problems: &mut Problems) -> Vec<AccountName> {
    let names = known.names();
    let mut accounts: Vec<AccountName> = Vec::new();
    for At { place, value } in list {
        if !names.check(value.as_str(), &place, problems) {
            continue;
        }
        if accounts.contains(&value) {
            twice("this account", &place, problems);
        } else {
            accounts.push(value);
        }
    }
    accounts
}

/// Notes that something stands in a list again.
pub(super) fn twice(what: &str, place: &Place, problems: &mut Problems) {
    let why = format!("{what} is in the list twice");
    problems.add_with_help(place, Mistake::DoesNotFit { why }, "keep one of them");
}

/// In the order of the servers, which is the order clients see.
fn reach(wanted: &[Wanted], servers: &Servers, places: &mut Places) -> Vec<Reach> {
    let mut reach = Vec::new();
    for known in &servers.list {
        let Some(wanted) = wanted.iter().find(|wanted| wanted.server == known.name) else {
            continue;
        };
        reach.push(Reach {
            server: known.name.clone(),
            accounts: wanted
                .accounts
                .clone()
                .unwrap_or_else(|| known.accounts.clone()),
            ordered: wanted.accounts.is_some(),
            written: places.note(&wanted.place),
        });
    }
    reach
}
