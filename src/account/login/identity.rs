//! Whether whoever logged in is who was meant.
//!
//! An identity is a pair (who, in which workspace), as far as it can be learnt. What is not known of one of two counts
//! as equal: it says nothing.

use super::error::Meant;
use super::{NotLoggedIn, Wanted};
use crate::credential::oauth::Identity;
use crate::model::AccountId;

/// What somebody is held against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) account: &'a AccountId,
    /// `expect` of the configuration.
    pub(super) expect: Option<&'a str>,
    /// Who logged in the last time.
    pub(super) earlier: Option<&'a Identity>,
    /// Who the other accounts of the server are.
    pub(super) siblings: &'a [(AccountId, Identity)],
}

/// Whether this login may be used. Somebody unknown may where nobody is expected: it is shown wherever the account is.
pub(super) fn judge(
    came: Option<&Identity>,
    known: Known<'_>,
    wanted: &Wanted,
) -> Result<(), NotLoggedIn> {
    let account = known.account;
    let expected = [
        (wanted.expect.as_deref(), Meant::Asked),
        (known.expect, Meant::Configured),
    ];
    let mut expected = expected
        .into_iter()
        .filter_map(|(who, by)| Some((who?, by)));
    let Some(came) = came else {
        // Whoever says who it must be does not mean "or somebody".
        return match expected.next() {
            Some((is, _)) => Err(NotLoggedIn::UnknownIdentity {
                account: account.clone(),
                is: is.to_owned(),
            }),
            None => Ok(()),
        };
    };
    let wrong = |is: String, by| NotLoggedIn::WrongIdentity {
        account: account.clone(),
        was: came.to_string(),
        is,
        by,
    };
    // What a person says now, and what the configuration says, both hold; `--replace` takes back neither.
    for (expect, by) in expected {
        if !is_named(came, expect) {
            return Err(wrong(expect.to_owned(), by));
        }
    }
    if let Some(earlier) = known.earlier
        && !wanted.replace
        && !is_same(came, earlier)
    {
        return Err(wrong(earlier.to_string(), Meant::Earlier));
    }
    let sibling = known.siblings.iter().find(|(_, who)| is_same(came, who));
    match sibling {
        Some((other, _)) if !wanted.same_identity => Err(NotLoggedIn::SameIdentity {
            account: account.clone(),
            was: came.to_string(),
            other: other.clone(),
        }),
        _ => Ok(()),
    }
}

/// Whether these are the same person in the same workspace, as far as both are known.
fn is_same(one: &Identity, other: &Identity) -> bool {
    let same_workspace = match (&one.workspace, &other.workspace) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    is_same_subject(&one.subject, &other.subject) && same_workspace
}

/// Addresses do not differ by case; other names may.
fn is_same_subject(one: &str, other: &str) -> bool {
    if one.contains('@') && other.contains('@') {
        one.eq_ignore_ascii_case(other)
    } else {
        one == other
    }
}

/// Whether a person means this one by `expected`: the subject, or all of it as it is shown.
fn is_named(who: &Identity, expected: &str) -> bool {
    is_same_subject(&who.subject, expected) || who.to_string() == expected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountName, ServerName};

    fn id(account: &str) -> AccountId {
        AccountId::new(
            ServerName::new("github").unwrap(),
            AccountName::new(account).unwrap(),
        )
    }

    fn who(subject: &str, workspace: Option<&str>) -> Identity {
        Identity {
            subject: subject.to_owned(),
            workspace: workspace.map(str::to_owned),
        }
    }

    fn judged(
        came: &Identity,
        expect: Option<&str>,
        earlier: Option<&Identity>,
        siblings: &[(AccountId, Identity)],
        wanted: &Wanted,
    ) -> Result<(), String> {
        let account = id("client_a");
        let known = Known {
            account: &account,
            expect,
            earlier,
            siblings,
        };
        judge(Some(came), known, wanted).map_err(|why| why.to_string())
    }

    #[test]
    fn somebody_else_is_refused_and_both_are_named() {
        let (ana, bob) = (who("ana@example.org", None), who("bob@example.org", None));
        let plain = Wanted::default();
        assert_eq!(judged(&ana, None, None, &[], &plain), Ok(()));
        assert_eq!(judged(&ana, None, Some(&ana), &[], &plain), Ok(()));
        assert_eq!(
            judged(&ana, Some("Ana@Example.org"), None, &[], &plain),
            Ok(())
        );
        assert_eq!(
            judged(&bob, None, Some(&ana), &[], &plain).unwrap_err(),
            "you logged in as bob@example.org, github/client_a is ana@example.org"
        );
        assert_eq!(
            judged(&bob, Some("ana@example.org"), None, &[], &plain).unwrap_err(),
            "you logged in as bob@example.org, github/client_a is ana@example.org"
        );
        let replace = Wanted {
            replace: true,
            ..Wanted::default()
        };
        assert_eq!(judged(&bob, None, Some(&ana), &[], &replace), Ok(()));
        // What the configuration requires, no flag takes back.
        judged(&bob, Some("ana@example.org"), Some(&ana), &[], &replace).unwrap_err();
        let expecting = Wanted {
            expect: Some("carol".to_owned()),
            ..replace
        };
        judged(&bob, None, None, &[], &expecting).unwrap_err();
    }

    #[test]
    fn somebody_unknown_is_used_only_where_nobody_is_expected() {
        let (account, ana) = (id("client_a"), who("ana", None));
        let judged = |expect, wanted: &Wanted| {
            let known = Known {
                account: &account,
                expect,
                earlier: Some(&ana),
                siblings: &[],
            };
            judge(None, known, wanted).map_err(|why| why.to_string())
        };
        assert_eq!(judged(None, &Wanted::default()), Ok(()));
        let refused = judged(Some("ana"), &Wanted::default()).unwrap_err();
        assert!(refused.contains("could not be learnt"), "{refused}");
        let expecting = Wanted {
            expect: Some("ana".to_owned()),
            ..Wanted::default()
        };
        judged(None, &expecting).unwrap_err();
    }

    #[test]
    fn the_workspace_counts_where_both_are_known() {
        let (a, b) = (who("ana", Some("A")), who("ana", Some("B")));
        let plain = Wanted::default();
        judged(&a, None, Some(&b), &[], &plain).unwrap_err();
        assert_eq!(
            judged(&a, None, Some(&who("ana", None)), &[], &plain),
            Ok(())
        );
        assert_eq!(
            judged(&a, Some("ana, workspace A"), None, &[], &plain),
            Ok(())
        );
        assert_eq!(
            judged(&a, None, None, &[(id("client_b"), b)], &plain),
            Ok(()),
            "another workspace is another identity"
        );
    }

    #[test]
    fn the_same_person_at_two_accounts_must_be_meant() {
        let ana = who("ana", None);
        let siblings = [(id("personal"), ana.clone())];
        assert_eq!(
            judged(&ana, None, None, &siblings, &Wanted::default()).unwrap_err(),
            "you logged in as ana, who is github/personal already; github/client_a would be the same"
        );
        let meant = Wanted {
            same_identity: true,
            ..Wanted::default()
        };
        assert_eq!(judged(&ana, None, None, &siblings, &meant), Ok(()));
    }
}
