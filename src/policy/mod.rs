//! Allow or deny. Pure.
//!
//! Invariant: `upstream` forwards nothing that does not come wrapped in a [`Permitted`], and only this module makes
//! one.

use std::collections::BTreeMap;

use wildmatch::WildMatch;

use crate::model::{AccountId, Server, ServerName, Subject};

/// The rules that hold.
#[derive(Debug)]
pub struct Policy {
    tools: BTreeMap<ServerName, ToolRules>,
}

#[derive(Debug)]
struct ToolRules {
    include: Vec<WildMatch>,
    exclude: Vec<WildMatch>,
}

/// Proof that the rules let `T` through.
#[derive(Debug)]
pub struct Permitted<T> {
    call: T,
}

impl<T> Permitted<T> {
    /// What was permitted.
    pub fn get(&self) -> &T {
        &self.call
    }
}

/// A rule said no. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject} of {account} is denied ({rule})")]
pub struct Denied {
    /// The account it would have gone to.
    pub account: AccountId,
    /// What was wanted.
    pub subject: Subject,
    /// The rule, as the configuration has it.
    pub rule: String,
}

impl Policy {
    /// The rules of these servers: `tools.include` and `tools.exclude`.
    pub fn new<'a>(servers: impl IntoIterator<Item = &'a Server>) -> Self {
        let compile = |globs: &[String]| globs.iter().map(|glob| WildMatch::new(glob)).collect();
        let rules = |server: &Server| ToolRules {
            include: compile(&server.tools.include),
            exclude: compile(&server.tools.exclude),
        };
        Self {
            tools: servers
                .into_iter()
                .map(|server| (server.name.clone(), rules(server)))
                .collect(),
        }
    }

    /// Takes the call by value: what was denied cannot be forwarded by mistake.
    pub fn permit<T>(
        &self,
        account: &AccountId,
        subject: &Subject,
        call: T,
    ) -> Result<Permitted<T>, Denied> {
        match self.against(account, subject) {
            None => Ok(Permitted { call }),
            Some(rule) => Err(Denied {
                account: account.clone(),
                subject: subject.clone(),
                rule,
            }),
        }
    }

    /// Whether any tool of the account may be hidden at all.
    pub fn hides_tools(&self, account: &AccountId) -> bool {
        self.tools.get(account.server()).is_some_and(|rules| {
            !rules.exclude.is_empty() || !rules.include.iter().any(|glob| glob.pattern() == "*")
        })
    }

    /// The rule that denies, if one does: lists and calls ask the same question.
    pub fn against(&self, account: &AccountId, subject: &Subject) -> Option<String> {
        let Subject::Tool(tool) = subject else {
            return None;
        };
        let server = account.server();
        let rules = self.tools.get(server)?;
        if let Some(glob) = rules.exclude.iter().find(|glob| glob.matches(tool)) {
            return Some(format!("servers.{server}.tools.exclude: \"{glob}\""));
        }
        let included = rules.include.iter().any(|glob| glob.matches(tool));
        (!included).then(|| format!("servers.{server}.tools.include"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Account, Command, Endpoint, EraChoice, Sharing, ToolFilter};

    fn policy(include: &[&str], exclude: &[&str]) -> (Policy, AccountId) {
        let own = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect();
        let name = ServerName::new("s").unwrap();
        let server = Server {
            name: name.clone(),
            accounts: vec![Account::only(Endpoint::Process(Command {
                program: "x".into(),
                args: vec![],
                env: vec![],
            }))],
            default: None,
            description: None,
            timeout: std::time::Duration::from_mins(1),
            idle: None,
            sharing: Sharing::Auto,
            era: EraChoice::Auto,
            transport: crate::model::Transport::Auto,
            tools: ToolFilter {
                include: own(include),
                exclude: own(exclude),
            },
        };
        (Policy::new([&server]), AccountId::default_of(&name))
    }

    #[test]
    fn exclude_wins_over_include_and_what_is_not_included_is_denied() {
        let (policy, account) = policy(&["get_*", "*list*"], &["*_secret"]);
        let verdict = |tool: &str| {
            policy
                .permit(&account, &Subject::Tool(tool.into()), ())
                .map_err(|denied| denied.rule)
        };
        assert!(verdict("get_user").is_ok());
        assert!(verdict("a_list_b").is_ok());
        assert_eq!(
            verdict("get_secret").unwrap_err(),
            "servers.s.tools.exclude: \"*_secret\""
        );
        assert_eq!(verdict("drop").unwrap_err(), "servers.s.tools.include");
        assert!(
            policy
                .permit(&account, &Subject::Prompt("drop".into()), ())
                .is_ok()
        );
    }
}
