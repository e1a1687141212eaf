//! The five rules that give a request its profile. The first that says something wins.
//!
//! | # | rule | another profile in path or header |
//! |---|---|---|
//! | 1 | the client's key is tied to profiles | refused |
//! | 2 | a binding matches client and directory | refused |
//! | 3 | the path or `Janus-Profile` names one that is not guarded | |
//! | 4 | `default_profile`, or the only profile | |
//! | 5 | several, none chosen | a refusal |
//!
//! A key that is tied to several profiles, none of them named, leaves the decision to the rules after it, among those.

use std::path::Path;

use crate::authn::{Directory, Proof};
use crate::model::{BindingRule, Client, Identity, ProfileName, Written};

use super::explain::Trace;
use super::profile::Compiled;
use super::scope::Given;
use super::{Binding, Refused};

/// The rules by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// 1
    ClientKey,
    /// 2
    Binding,
    /// 3
    Named,
    /// 4
    Default,
    /// 5
    NoneChosen,
}

/// The rule that gave a scope its profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Which.
    pub rule: Rule,
    /// Where it is written; line 0 where it is nowhere.
    pub written: Written,
}

impl Rule {
    /// Those that can give a profile, in their order.
    pub const GIVING: [Self; 4] = [Self::ClientKey, Self::Binding, Self::Named, Self::Default];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientKey => "client key",
            Self::Binding => "binding",
            Self::Named => "path, Janus-Profile",
            Self::Default => "default_profile",
            Self::NoneChosen => "none chosen",
        }
    }

    /// Its number.
    pub fn number(self) -> u8 {
        match self {
            Self::ClientKey => 1,
            Self::Binding => 2,
            Self::Named => 3,
            Self::Default => 4,
            Self::NoneChosen => 5,
        }
    }

    fn giver(self) -> &'static str {
        match self {
            Self::ClientKey => "the client's key",
            Self::Binding => "a binding",
            Self::Named | Self::NoneChosen => "the request",
            Self::Default => "the default",
        }
    }
}

/// What the rules are asked about.
pub(super) struct Question<'a> {
    pub(super) given: &'a Given<'a>,
    /// The profile that path or header name, and whether naming it may decide: it may not for a transparent path.
    pub(super) named: Option<&'a Compiled>,
    pub(super) may_name: bool,
}

impl Binding {
    /// The profile of a request.
    pub(super) fn profile(
        &self,
        asked: &Question<'_>,
        trace: &mut Trace<'_>,
    ) -> Result<(&Compiled, Decided), Refused> {
        let client = self.client(asked, trace)?;
        let among = client.map(|client| (client, &client.profiles[..]));
        let found = match self.by_key(asked, client, trace)? {
            Some(found) => Some(found),
            None => match self.by_binding(asked, trace)? {
                Some(found) => Some(found),
                None => self
                    .by_name(asked, trace)?
                    .or_else(|| self.by_default(asked, among, trace)),
            },
        };
        let Some((profile, decided)) = found else {
            return Err(self.none_chosen(among, trace));
        };
        if let Some((client, allowed)) = among
            && !allowed.contains(&profile.name)
        {
            return Err(Refused::OutsideKey {
                named: profile.name.clone(),
                allowed: allowed.to_vec(),
                written: client.written.clone(),
            });
        }
        match asked.named {
            Some(named) if named.name != profile.name => Err(Refused::OtherProfile {
                named: named.name.clone(),
                given: profile.name.clone(),
                by: decided.rule.giver(),
                written: decided.written,
            }),
            _ => Ok((profile, decided)),
        }
    }

    /// The client, if its key is tied to profiles. One that is not written any more reaches nothing: what it was tied
    /// to is not known.
    fn client(
        &self,
        asked: &Question<'_>,
        trace: &mut Trace<'_>,
    ) -> Result<Option<&Client>, Refused> {
        let Some(id) = asked.given.client else {
            trace.passed(Rule::ClientKey, || "no key sent".to_owned());
            return Ok(None);
        };
        let mut known = self.identity.clients.iter().flatten();
        let Some(client) = known.find(|client| client.id == *id) else {
            trace.passed(Rule::ClientKey, || format!("`{id}`, which is not there"));
            return Err(Refused::UnknownClient(id.clone()));
        };
        if client.profiles.is_empty() {
            trace.passed(Rule::ClientKey, || format!("`{id}`, tied to no profile"));
            return Ok(None);
        }
        Ok(Some(client))
    }

    fn by_key(
        &self,
        asked: &Question<'_>,
        client: Option<&Client>,
        trace: &mut Trace<'_>,
    ) -> Result<Option<(&Compiled, Decided)>, Refused> {
        let Some(client) = client else {
            return Ok(None);
        };
        let decided = match (asked.named, &client.profiles[..]) {
            (Some(named), allowed) if asked.may_name && allowed.contains(&named.name) => {
                &named.name
            }
            // One that is named too is compared by whoever asked.
            (_, [only]) => only,
            (Some(named), allowed) if asked.may_name => {
                return Err(Refused::OutsideKey {
                    named: named.name.clone(),
                    allowed: allowed.to_vec(),
                    written: client.written.clone(),
                });
            }
            (_, several) => {
                trace.passed(Rule::ClientKey, || {
                    format!("`{}`, tied to {}", client.id, listed(several))
                });
                return Ok(None);
            }
        };
        trace.decided(
            Rule::ClientKey,
            || format!("`{}`, tied to {}", client.id, listed(&client.profiles)),
            &client.written,
        );
        Ok(self.decide(decided, Rule::ClientKey, &client.written))
    }

    fn by_binding(
        &self,
        asked: &Question<'_>,
        trace: &mut Trace<'_>,
    ) -> Result<Option<(&Compiled, Decided)>, Refused> {
        let given = asked.given;
        let Some(rule) = self.bound(given)? else {
            trace.passed(Rule::Binding, || self.unbound(given));
            return Ok(None);
        };
        trace.decided(Rule::Binding, || matched(rule, given), &rule.written);
        let found = self.decide(&rule.profile, Rule::Binding, &rule.written);
        let by_roots = rule.directory.is_some()
            && given
                .directory
                .is_some_and(|directory| directory.proof() == Proof::Roots);
        match found {
            Some((profile, _)) if profile.guarded && by_roots => Err(Refused::GuardedByRoots {
                profile: profile.name.clone(),
                written: rule.written.clone(),
            }),
            found => Ok(found),
        }
    }

    fn by_name(
        &self,
        asked: &Question<'_>,
        trace: &mut Trace<'_>,
    ) -> Result<Option<(&Compiled, Decided)>, Refused> {
        let Some(named) = asked.named.filter(|_| asked.may_name) else {
            trace.passed(Rule::Named, || "not given".to_owned());
            return Ok(None);
        };
        if named.guarded {
            trace.passed(Rule::Named, || {
                format!("`{}`, which is guarded", named.name)
            });
            return Err(Refused::Guarded {
                profile: named.name.clone(),
                written: named.written.clone(),
            });
        }
        trace.decided(Rule::Named, || format!("`{}`", named.name), &named.written);
        Ok(self.decide(&named.name, Rule::Named, &named.written))
    }

    fn by_default(
        &self,
        asked: &Question<'_>,
        among: Option<(&Client, &[ProfileName])>,
        trace: &mut Trace<'_>,
    ) -> Option<(&Compiled, Decided)> {
        debug_assert!(
            asked.named.is_none() || !asked.may_name,
            "a name would have decided"
        );
        let allowed = |name: &ProfileName| among.is_none_or(|(_, allowed)| allowed.contains(name));
        if let Some((name, written)) = &self.identity.default_profile {
            if allowed(name)
                && self
                    .named(name.as_str())
                    .is_some_and(|profile| !profile.guarded)
            {
                trace.decided(Rule::Default, || format!("`{name}`"), written);
                return self.decide(name, Rule::Default, written);
            }
            trace.passed(Rule::Default, || {
                format!("`{name}`, which is out of reach here")
            });
            return None;
        }
        if let [only] = &self.profiles[..]
            && !only.guarded
            && allowed(&only.name)
        {
            trace.decided(
                Rule::Default,
                || format!("`{}`, the only profile", only.name),
                &only.written,
            );
            return self.decide(&only.name, Rule::Default, &only.written);
        }
        trace.passed(Rule::Default, || {
            "not set, and there are several profiles".to_owned()
        });
        None
    }

    fn none_chosen(
        &self,
        among: Option<(&Client, &[ProfileName])>,
        trace: &mut Trace<'_>,
    ) -> Refused {
        let open = self.profiles.iter().filter(|profile| match among {
            Some((_, allowed)) => allowed.contains(&profile.name),
            None => !profile.guarded,
        });
        let profiles: Vec<ProfileName> = open.map(|profile| profile.name.clone()).collect();
        trace.decided(
            Rule::NoneChosen,
            || "no rule gives a profile".to_owned(),
            &Written::nowhere(),
        );
        Refused::NoneChosen { profiles }
    }

    fn decide(
        &self,
        name: &ProfileName,
        rule: Rule,
        written: &Written,
    ) -> Option<(&Compiled, Decided)> {
        let decided = Decided {
            rule,
            written: written.clone(),
        };
        self.named(name.as_str())
            .map(|profile| (profile.as_ref(), decided))
    }

    /// The rule of `bindings:` that matches best. Roots that belong to different profiles match none.
    fn bound(&self, given: &Given<'_>) -> Result<Option<&BindingRule>, Refused> {
        let Some(directory) = given.directory else {
            return Ok(best(&self.identity, given, None));
        };
        let mut found: Option<&BindingRule> = None;
        for path in directory.paths() {
            let rule = best(&self.identity, given, Some(path));
            match (found, rule) {
                (Some(first), Some(other)) if first.profile != other.profile => {
                    return Err(Refused::RootsDisagree {
                        profiles: vec![first.profile.clone(), other.profile.clone()],
                    });
                }
                (None, rule) => found = rule,
                _ => {}
            }
        }
        Ok(found)
    }

    fn unbound(&self, given: &Given<'_>) -> String {
        match (self.identity.bindings.is_empty(), given.directory) {
            (true, _) => "there are none".to_owned(),
            (false, Some(directory)) => format!("none matches {directory}"),
            (false, None) => "none matches, and the directory is not known".to_owned(),
        }
    }

    /// Whether knowing the directory could change the profile.
    pub fn has_directory_rules(&self) -> bool {
        let mut bindings = self.identity.bindings.iter();
        bindings.any(|rule| rule.directory.is_some())
    }
}

/// Longest directory first, then rules with a client alone, then the order of the file.
fn best<'a>(
    identity: &'a Identity,
    given: &Given<'_>,
    directory: Option<&Path>,
) -> Option<&'a BindingRule> {
    let matches = |rule: &&BindingRule| {
        let client = rule
            .client
            .as_ref()
            .is_none_or(|client| given.client == Some(client));
        let holds = |bound: &Path| directory.is_some_and(|directory| directory.starts_with(bound));
        client && rule.directory.as_deref().is_none_or(holds)
    };
    let depth = |rule: &BindingRule| {
        let directory = rule.directory.as_ref();
        directory.map_or(0, |directory| directory.components().count())
    };
    let mut best: Option<&BindingRule> = None;
    for rule in identity.bindings.iter().filter(matches) {
        if best.is_none_or(|best| depth(rule) > depth(best)) {
            best = Some(rule);
        }
    }
    best
}

fn matched(rule: &BindingRule, given: &Given<'_>) -> String {
    match (&rule.directory, &rule.client, given.directory) {
        (Some(bound), _, Some(directory)) => format!("{} holds {directory}", bound.display()),
        (_, Some(client), _) => format!("client `{client}`"),
        _ => format!("profile `{}`", rule.profile),
    }
}

fn listed(names: &[ProfileName]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

impl std::fmt::Display for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut paths = self.paths().map(|path| path.display().to_string());
        f.write_str(&paths.next().unwrap_or_default())?;
        paths.try_for_each(|path| write!(f, ", {path}"))
    }
}
