//! Who logged in lately, and by which client: some providers end every other grant of a person and a client at a login, so
//! that two accounts log each other out.

use std::time::Duration;

use crate::credential::clock::Moment;
use crate::model::AccountId;

/// A grant that ends so soon after a login of another account ended of it, in all likelihood.
const LATELY: Duration = Duration::from_mins(5);

/// The logins of the last minutes, one for each account.
#[derive(Debug, Default)]
pub(super) struct Siblings(Vec<Login>);

#[derive(Debug)]
struct Login {
    account: AccountId,
    issuer: String,
    client: String,
    at: Moment,
}

impl Siblings {
    /// An account logged in.
    pub(super) fn logged_in(
        &mut self,
        account: &AccountId,
        (issuer, client): (&str, &str),
        now: Moment,
    ) {
        self.0
            .retain(|login| login.account != *account && now.from(login.at) <= LATELY);
        self.0.push(Login {
            account: account.clone(),
            issuer: issuer.to_owned(),
            client: client.to_owned(),
            at: now,
        });
    }

    /// The other account that logged in last by this client, if it did a moment ago.
    pub(super) fn of(
        &self,
        account: &AccountId,
        (issuer, client): (&str, &str),
        now: Moment,
    ) -> Option<&AccountId> {
        let lately = self.0.iter().rev().find(|login| {
            login.account != *account
                && login.issuer == issuer
                && login.client == client
                && now.from(login.at) <= LATELY
        });
        lately.map(|login| &login.account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountName, ServerName};

    fn account(name: &str) -> AccountId {
        AccountId::new(
            ServerName::new("s").unwrap(),
            AccountName::new(name).unwrap(),
        )
    }

    #[test]
    fn only_another_account_of_the_same_client_lately_is_one() {
        let (one, two) = (account("one"), account("two"));
        let start = Moment::of_start(Duration::from_hours(1));
        let client = ("https://as.example", "janus");
        let mut siblings = Siblings::default();
        siblings.logged_in(&one, client, start);
        siblings.logged_in(&two, client, start);
        let of = |siblings: &Siblings, account, client, seconds| {
            let now = start.after(Duration::from_secs(seconds));
            siblings.of(account, client, now).cloned()
        };
        assert_eq!(of(&siblings, &one, client, 0), Some(two.clone()));
        assert_eq!(of(&siblings, &two, client, 300), Some(one.clone()));
        assert_eq!(of(&siblings, &one, client, 301), None);
        for other in [
            ("https://as.example", "another"),
            ("https://as.example/", "janus"),
        ] {
            assert_eq!(of(&siblings, &one, other, 0), None, "{other:?}");
        }
        // What is long ago is forgotten, and of an account its last login counts.
        siblings.logged_in(&two, ("https://as.example", "new"), start);
        assert_eq!(of(&siblings, &one, client, 0), None);
        siblings.logged_in(&two, client, start.after(Duration::from_mins(6)));
        assert_eq!(siblings.0.len(), 1);
    }
}
