//! What a server takes of a template, and what it and its accounts fill in.

use std::collections::BTreeMap;

use super::Environment;
use super::container::{Field, Map};
use super::file;
use super::problem::{Mistake, Problems};
use super::template::{Catalog, Filled, Given, Taken, Target};
use super::warning::Warning;
use super::words::nearest;
use crate::model::{AccountName, OAuth, ServerName};

/// What reading the servers needs beside the file.
pub(super) struct Reading<'r> {
    pub(super) environment: &'r Environment,
    /// `None` where no server takes a template.
    pub(super) catalog: Option<&'r Catalog>,
    /// What servers took.
    pub(super) templates: Templates,
}

/// Which servers take a template.
pub(super) type Templates = BTreeMap<ServerName, Fillings>;

/// What a server took, as it is shown again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fillings {
    /// The template.
    pub(super) template: String,
    /// `params` of the server.
    pub(super) server: Pairs,
    /// `params` of its accounts.
    pub(super) accounts: BTreeMap<AccountName, Pairs>,
    /// Whether the template says where the server is, and of a process with how many arguments.
    pub(super) target: Option<usize>,
}

type Pairs = Vec<(String, String)>;

impl Fillings {
    pub(super) fn of(taken: &Taken<'_>, server: &file::Server, params: &Given) -> Self {
        let target = match &taken.template.target {
            _ if !says_nothing(server) => None,
            Target::Url(_) => Some(0),
            Target::Command(words) => Some(words.len().saturating_sub(1)),
            Target::Open => None,
        };
        Self {
            template: taken.template.name.clone(),
            server: pairs(params),
            accounts: BTreeMap::new(),
            target,
        }
    }

    pub(super) fn put(&mut self, account: &AccountName, params: &Given) {
        self.accounts.insert(account.clone(), pairs(params));
    }
}

fn pairs(given: &Given) -> Pairs {
    let entries = given.entries.iter();
    let entries = entries.map(|(name, value)| (name.value.0.clone(), value.value.0.clone()));
    entries.collect()
}

/// Where accounts get what a template says.
pub(super) struct From<'f> {
    /// `None` where the server itself says where it is, or takes no template.
    pub(super) taken: Option<&'f Taken<'f>>,
    /// What a login gets.
    pub(super) facts: Option<&'f OAuth>,
    /// `params` of the server.
    pub(super) params: Given,
    pub(super) environment: &'f Environment,
}

impl From<'_> {
    /// The template with what an account fills in; `None` without one, or where a mistake was noted.
    pub(super) fn filled(
        &self,
        account: &Given,
        name: &AccountName,
        problems: &mut Problems,
    ) -> Option<Filled> {
        let taken = self.taken?;
        taken.filled(&self.params, account, name, self.environment, problems)
    }
}

/// The template that a server names.
pub(super) fn taken<'c>(
    server: &file::Server,
    catalog: Option<&'c Catalog>,
    problems: &mut Problems,
) -> Option<Taken<'c>> {
    let at = server.template.value.as_ref()?;
    let catalog = catalog?;
    let Some(template) = catalog.find(&at.value.0) else {
        let what = "template".to_owned();
        let help = match nearest(&at.value.0, &catalog.names()) {
            Some(name) => format!("did you mean `{name}`?  All of them:  janus catalog"),
            None => "see which there are:  janus catalog".to_owned(),
        };
        problems.add_with_help(&at.place, Mistake::UnknownName { what }, help);
        return None;
    };
    let facts = template.facts.as_ref();
    if facts.is_some_and(|facts| facts.risks.unadvertised_pkce) {
        let message = "this template takes a risk: `allow_unadvertised_pkce`, by which a code that somebody steals on its way back could be used";
        let help = "take it out of the template as soon as the provider allows that";
        problems.warn(Warning::new(&at.place, message, help));
    }
    Some(Taken {
        template,
        place: at.place.clone(),
    })
}

/// Whether a server leaves it to its template where it is.
pub(super) fn says_nothing(server: &file::Server) -> bool {
    server.url.key.is_none() && server.command.key.is_none()
}

/// `params`, which need a template that has a use for them.
pub(super) fn params(
    field: Field<Given>,
    server: &file::Server,
    taken: Option<&Taken<'_>>,
    problems: &mut Problems,
) -> Given {
    if let Some(key) = &field.key {
        let wrong = if server.template.key.is_none() {
            Some((
                "`params` fill in a template, and this server names none",
                "write `template: NAME`, or remove them",
            ))
        } else if !says_nothing(server) {
            Some((
                "`params` fill in the address that a template has, and this server has its own",
                "remove the server's `url` or `command`, or the `params`",
            ))
        } else {
            None
        };
        if let Some((why, help)) = wrong {
            problems.add_with_help(key, Mistake::does_not_fit(why), help);
            return Map::default();
        }
    }
    // What a name that nobody knows has was noted already.
    taken.map_or_else(Map::default, |_| field.or(Map::default()))
}
