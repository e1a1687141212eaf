//! Resource URIs: kept as they are, and told apart where two accounts of a view use the same one, or where two accounts
//! of their server are in scope.
//!
//! A URI that two accounts share is shown as `janus://SERVER/ACCOUNT/` followed by the original; a `ui:` one stays a
//! `ui:` one, because hosts look at the scheme, and becomes `ui://janus/SERVER/ACCOUNT/` followed by the original.

use std::collections::BTreeMap;

use crate::model::{AccountId, ServerName};

const HEAD: &str = "janus://";
const UI_HEAD: &str = "ui://janus/";

/// The resources and templates of a view, by address.
#[derive(Debug)]
pub struct Addresses {
    /// And whether other accounts of the same server are in scope.
    accounts: Vec<(AccountId, bool)>,
    known: Vec<Known>,
    /// Which accounts use a URI or template.
    users: BTreeMap<String, Vec<AccountId>>,
}

/// A resource or template of one account.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) account: AccountId,
    pub(super) uri: String,
    pub(super) template: bool,
}

/// Where a URI leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// To this account, under this URI of its own.
    At(AccountId, String),
    /// To a server with several accounts in scope, under this URI: whose it is follows from the choice, not from who
    /// lists it.
    Choice(ServerName, String),
    /// To several servers: the choices, as they can be asked for.
    Ambiguous(Vec<String>),
    /// To none.
    Nowhere,
}

impl Addresses {
    pub(super) fn of(accounts: Vec<(AccountId, bool)>, known: Vec<Known>) -> Self {
        let mut users: BTreeMap<String, Vec<AccountId>> = BTreeMap::new();
        for one in &known {
            let users = users.entry(one.uri.clone()).or_default();
            if !users.contains(&one.account) {
                users.push(one.account.clone());
            }
        }
        Self {
            accounts,
            known,
            users,
        }
    }

    /// How an account's URI (or template) is shown in this view.
    pub fn shown(&self, account: &AccountId, uri: &str) -> String {
        let shared = self.is_one_of_several(account)
            || self
                .users
                .get(uri)
                .is_some_and(|users| users.iter().any(|user| user != account));
        if shared {
            told_apart(account, uri)
        } else {
            uri.to_owned()
        }
    }

    fn is_one_of_several(&self, account: &AccountId) -> bool {
        let mut accounts = self.accounts.iter();
        accounts.any(|(known, several)| known == account && *several)
    }

    /// Where a URI that a client names leads. First what was told apart, then what is listed, then what a template
    /// covers, then the one account whose resources have this scheme and authority.
    pub fn find(&self, uri: &str) -> Found {
        if let Some(found) = self.told_apart(uri) {
            return found;
        }
        if let Some(users) = self.users.get(uri) {
            return self.among(users, uri);
        }
        let covering = self.distinct(|known| known.template && covers(&known.uri, uri));
        if !covering.is_empty() {
            return self.among(&covering, uri);
        }
        let origin = origin(uri);
        self.among(
            &self.distinct(|known| self::origin(&known.uri) == origin),
            uri,
        )
    }

    fn told_apart(&self, uri: &str) -> Option<Found> {
        let rest = uri
            .strip_prefix(HEAD)
            .or_else(|| uri.strip_prefix(UI_HEAD))?;
        let account = self.accounts.iter().find_map(|(account, _)| {
            let own = rest
                .strip_prefix(account.server().as_str())?
                .strip_prefix('/')?;
            Some((
                account,
                own.strip_prefix(account.account().as_str())?
                    .strip_prefix('/')?,
            ))
        });
        account.map(|(account, own)| Found::At(account.clone(), own.to_owned()))
    }

    fn distinct(&self, wanted: impl Fn(&Known) -> bool) -> Vec<AccountId> {
        let mut accounts = Vec::new();
        for known in self.known.iter().filter(|known| wanted(known)) {
            if !accounts.contains(&known.account) {
                accounts.push(known.account.clone());
            }
        }
        accounts
    }

    fn among(&self, accounts: &[AccountId], uri: &str) -> Found {
        match accounts {
            [] => Found::Nowhere,
            [one] if !self.is_one_of_several(one) => Found::At(one.clone(), uri.to_owned()),
            [one, others @ ..] if others.iter().all(|other| other.server() == one.server()) => {
                Found::Choice(one.server().clone(), uri.to_owned())
            }
            several => Found::Ambiguous(
                several
                    .iter()
                    .map(|account| told_apart(account, uri))
                    .collect(),
            ),
        }
    }
}

/// A URI that names its account.
pub fn told_apart(account: &AccountId, uri: &str) -> String {
    let head = if uri.starts_with("ui:") {
        UI_HEAD
    } else {
        HEAD
    };
    format!("{head}{}/{}/{uri}", account.server(), account.account())
}

/// Scheme and authority.
fn origin(uri: &str) -> (&str, &str) {
    let Some((scheme, rest)) = uri.split_once(':') else {
        return ("", "");
    };
    let authority = rest.strip_prefix("//").map_or("", |rest| {
        rest.split(['/', '?', '#', '{']).next().unwrap_or_default()
    });
    (scheme, authority)
}

/// Whether a URI can come out of a template (RFC 6570): its literal parts stand in it, in order, at both ends.
fn covers(template: &str, uri: &str) -> bool {
    let mut literals = template.split('{').enumerate().map(|(at, part)| {
        if at == 0 {
            part
        } else {
            part.split_once('}').map_or("", |(_, literal)| literal)
        }
    });
    let Some(mut rest) = uri.strip_prefix(literals.next().unwrap_or_default()) else {
        return false;
    };
    let literals: Vec<&str> = literals.collect();
    let Some((last, middle)) = literals.split_last() else {
        return rest.is_empty();
    };
    for literal in middle {
        match rest.split_once(literal) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServerName;

    fn account(name: &str) -> AccountId {
        AccountId::default_of(&ServerName::new(name).unwrap())
    }

    fn addresses(known: &[(&str, &str, bool)]) -> Addresses {
        let known = known.iter().map(|&(name, uri, template)| Known {
            account: account(name),
            uri: uri.into(),
            template,
        });
        let accounts = vec![(account("a"), false), (account("b"), false)];
        Addresses::of(accounts, known.collect())
    }

    #[test]
    fn a_uri_keeps_its_form_unless_two_accounts_share_it() {
        let view = addresses(&[
            ("a", "file:///x", false),
            ("b", "file:///x", false),
            ("a", "file:///y", false),
            ("a", "ui://w/1", false),
            ("b", "ui://w/1", false),
        ]);
        assert_eq!(view.shown(&account("a"), "file:///y"), "file:///y");
        assert_eq!(
            view.shown(&account("b"), "file:///x"),
            "janus://b/default/file:///x"
        );
        assert_eq!(
            view.shown(&account("b"), "ui://w/1"),
            "ui://janus/b/default/ui://w/1"
        );
        assert_eq!(
            view.find("janus://b/default/file:///x"),
            Found::At(account("b"), "file:///x".into())
        );
        assert_eq!(
            view.find("ui://janus/a/default/ui://w/1"),
            Found::At(account("a"), "ui://w/1".into())
        );
        assert_eq!(
            view.find("file:///y"),
            Found::At(account("a"), "file:///y".into())
        );
        let choices = vec![
            "janus://a/default/file:///x".to_owned(),
            "janus://b/default/file:///x".to_owned(),
        ];
        assert_eq!(view.find("file:///x"), Found::Ambiguous(choices));
    }

    #[test]
    fn with_two_accounts_of_a_server_every_address_names_its_account() {
        let server = ServerName::new("s").unwrap();
        let account = |name| {
            AccountId::new(
                server.clone(),
                crate::model::AccountName::new(name).unwrap(),
            )
        };
        let known = Known {
            account: account("x"),
            uri: "file:///n".into(),
            template: false,
        };
        let accounts = vec![(account("x"), true), (account("y"), true)];
        let view = Addresses::of(accounts, vec![known]);
        assert_eq!(
            view.shown(&account("x"), "file:///n"),
            "janus://s/x/file:///n"
        );
        assert_eq!(
            view.find("janus://s/y/file:///n"),
            Found::At(account("y"), "file:///n".into())
        );
        // Whoever lists it: the account that was chosen is meant.
        assert_eq!(
            view.find("file:///n"),
            Found::Choice(server.clone(), "file:///n".into())
        );
    }

    #[test]
    fn a_uri_that_is_not_listed_goes_where_a_template_or_its_origin_leads() {
        let view = addresses(&[
            ("a", "db://main/{table}/rows/{id}", true),
            ("b", "http://h/1", false),
            ("a", "notes://n/1", false),
        ]);
        assert_eq!(
            view.find("db://main/users/rows/7"),
            Found::At(account("a"), "db://main/users/rows/7".into())
        );
        assert_eq!(
            view.find("http://h/2"),
            Found::At(account("b"), "http://h/2".into())
        );
        assert_eq!(view.find("http://other/2"), Found::Nowhere);
        assert_eq!(view.find("janus://c/default/x:y"), Found::Nowhere);
    }

    #[test]
    fn a_template_covers_what_its_literals_frame() {
        for (template, uri, covered) in [
            ("x://{a}", "x://anything/at/all", true),
            ("x://{a}/end", "x://1/end", true),
            ("x://{a}/end", "x://1/other", false),
            ("x://a", "x://a", true),
            ("x://a", "x://ab", false),
            ("x://{a}/m/{b}", "x://1/2", false),
            ("x://{broken", "x://", true),
        ] {
            assert_eq!(covers(template, uri), covered, "{template} {uri}");
        }
    }
}
