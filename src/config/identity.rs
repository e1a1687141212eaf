//! Who may reach what: the sections beside `servers`, and that every name in them leads somewhere.

use super::container::{At, Field, List, Map, Rules};
use super::directory::{Strange, canonical, goes_up};
use super::file::{self, Document};
use super::names::{Names, Places};
use super::problem::{Mistake, Place, Problems};
use super::profile::{profiles, twice};
use super::server::Servers;
use super::value::FilePath;
use super::warning::Warning;
use crate::model::{BindingRule, Client, ClientId, Identity, Profile, ProfileName, Switching};

/// Reads the sections; profiles reach here the servers that are not enabled, too.
pub(super) fn check(
    document: Document,
    servers: &Servers,
    places: &mut Places,
    problems: &mut Problems,
) -> Identity {
    let switching = switching(document.identity, places);
    if let Some(key) = &document.profiles.key {
        places.note(key);
    }
    let wrong = document.profiles.is_wrong();
    let listed = document.profiles.or(Map::default());
    let complete = listed.complete && !wrong;
    let mut identity = everything(servers, switching);
    if !(listed.entries.is_empty() && complete) {
        identity.profiles = profiles(listed, servers, switching, places, problems);
    }
    let profiles = std::mem::take(&mut identity.profiles);
    let names = Names {
        what: "profile".to_owned(),
        kind: "profiles".to_owned(),
        words: profiles
            .iter()
            .map(|profile| profile.name.as_str())
            .collect(),
        complete,
    };
    identity.default_profile = default_profile(
        document.default_profile,
        &profiles,
        &names,
        places,
        problems,
    );
    let some = Section::of(&document.clients);
    if let Some(key) = &document.clients.key {
        places.note(key);
        let clients = document.clients.or(Map::default());
        identity.clients = Some(self::clients(clients, &names, places, problems));
    }
    let list = document.bindings.or_default();
    let whom = whom(identity.clients.as_deref().unwrap_or_default(), some);
    identity.bindings = bindings(list, &names, whom.as_ref(), places, problems);
    identity.profiles = profiles;
    identity
}

/// Whether a section is there, and complete.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Absent,
    Complete,
    Incomplete,
}

impl Section {
    fn of<K, V>(section: &Field<Map<K, V>>) -> Self {
        match (&section.key, &section.value) {
            (None, _) => Self::Absent,
            (Some(_), Some(at)) if at.value.complete => Self::Complete,
            (Some(_), _) => Self::Incomplete,
        }
    }
}

fn switching(identity: Field<file::Identity>, places: &mut Places) -> Switching {
    let identity = identity.or(file::Identity::default());
    if let Some(key) = &identity.switching.key {
        places.note(key);
    }
    identity.switching.or(Switching::default())
}

/// One profile with everything: what counts without `profiles`.
fn everything(servers: &Servers, switching: Switching) -> Identity {
    let all = servers.list.iter();
    let mut identity = Identity::plain(all.map(|known| (&known.name, known.accounts.clone())));
    identity.switching = switching;
    for profile in &mut identity.profiles {
        profile.switching = switching;
    }
    identity
}

fn default_profile(
    name: Field<ProfileName>,
    profiles: &[Profile],
    names: &Names<'_>,
    places: &mut Places,
    problems: &mut Problems,
) -> Option<(ProfileName, crate::model::Written)> {
    let (key, at) = (name.key?, name.value?);
    if !names.check(at.value.as_str(), &at.place, problems) {
        return None;
    }
    let guarded = |profile: &Profile| profile.name == at.value && profile.guarded;
    if profiles.iter().any(guarded) {
        let why = "this profile is guarded, and a default would give it to everybody";
        let help = "take another, or lead to it with a binding or a key";
        problems.add_with_help(&at.place, Mistake::does_not_fit(why), help);
        return None;
    }
    Some((at.value, places.note(&key)))
}

fn clients(
    clients: Map<ClientId, file::Client>,
    profiles: &Names<'_>,
    places: &mut Places,
    problems: &mut Problems,
) -> Vec<Client> {
    let entries = clients.entries.into_iter();
    entries
        .map(|(id, client)| {
            let written = places.note(&id.place);
            let keys = client.value;
            let expires = keys.expires.into_value().map(|date| date.0);
            Client {
                id: id.value,
                profiles: tied(keys.profile, keys.profiles, profiles, problems),
                expires,
                url_elicitation: keys
                    .url_elicitation
                    .into_value()
                    .is_some_and(|switch| switch.0),
                written,
            }
        })
        .collect()
}

/// The profiles that a key is tied to, said in one of two ways.
fn tied(
    one: Field<ProfileName>,
    several: Field<List<ProfileName>>,
    profiles: &Names<'_>,
    problems: &mut Problems,
) -> Vec<ProfileName> {
    if let (Some(_), Some(key)) = (&one.key, &several.key) {
        let why = "a client has `profile` or `profiles`, not both";
        problems.add_with_help(key, Mistake::does_not_fit(why), "keep one of them");
    }
    if let Some(at) = &several.value
        && at.value.0.is_empty()
    {
        let help = "name one, or remove the key: then the client is tied to none";
        problems.add_with_help(&at.place, Mistake::bad_value("at least one profile"), help);
    }
    let named = match one.value {
        Some(one) => vec![one],
        None => several.or_default().0,
    };
    let mut tied: Vec<ProfileName> = Vec::new();
    for At { place, value } in named {
        if !profiles.check(value.as_str(), &place, problems) {
            continue;
        }
        if tied.contains(&value) {
            twice("this profile", &place, problems);
        } else {
            tied.push(value);
        }
    }
    tied
}

/// The clients that a binding may name; `None` without keys, which alone prove a client.
fn whom(clients: &[Client], section: Section) -> Option<Names<'_>> {
    (section != Section::Absent).then(|| Names {
        what: "client".to_owned(),
        kind: "clients".to_owned(),
        words: clients.iter().map(|client| client.id.as_str()).collect(),
        complete: section == Section::Complete,
    })
}

fn bindings(
    list: Rules<file::Binding>,
    profiles: &Names<'_>,
    clients: Option<&Names<'_>>,
    places: &mut Places,
    problems: &mut Problems,
) -> Vec<BindingRule> {
    let mut bindings = Vec::new();
    for At { place, value: rule } in list.0 {
        if rule.directory.key.is_none() && rule.client.key.is_none() {
            let what = "`directory` or `client`".to_owned();
            let help = "a rule for everybody is `default_profile`";
            problems.add_with_help(&place, Mistake::Missing { what }, help);
        }
        if rule.profile.key.is_none() {
            let what = "`profile`".to_owned();
            problems.add(&place, Mistake::Missing { what });
        }
        let directory = rule.directory.value;
        let directory = directory.and_then(|at| self::directory(at, problems));
        let client = rule.client.value;
        let client = client.and_then(|at| client_of(at, clients, problems));
        let profile = rule.profile.value;
        let profile = profile.filter(|at| profiles.check(at.value.as_str(), &at.place, problems));
        let written = places.note(&place);
        bindings.extend(profile.map(|profile| BindingRule {
            directory,
            client,
            profile: profile.value,
            written,
        }));
    }
    bindings
}

fn client_of(
    at: At<ClientId>,
    clients: Option<&Names<'_>>,
    problems: &mut Problems,
) -> Option<ClientId> {
    let Some(clients) = clients else {
        let why = "a client is proved by its key, and without `clients` there are no keys";
        let help = "list it under `clients`, or bind a directory";
        problems.add_with_help(&at.place, Mistake::does_not_fit(why), help);
        return None;
    };
    clients
        .check(at.value.as_str(), &at.place, problems)
        .then_some(at.value)
}

fn directory(at: At<FilePath>, problems: &mut Problems) -> Option<std::path::PathBuf> {
    let path = at.value.0;
    if goes_up(&path) {
        let mistake = Mistake::bad_value("a path without `..`");
        problems.add_with_help(&at.place, mistake, "write where it leads");
        return None;
    }
    let (directory, strange) = canonical(&path);
    if let Some(strange) = strange {
        problems.warn(strange_directory(&at.place, strange));
    }
    Some(directory)
}

fn strange_directory(place: &Place, strange: Strange) -> Warning {
    let message = match strange {
        Strange::Missing => "this directory does not exist",
        Strange::NoDirectory => "this is no directory",
        Strange::Unreadable => "this directory cannot be looked at, so its links are not followed",
    };
    Warning::new(place, message, "correct it, or create the directory")
}
