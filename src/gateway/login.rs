//! A call whose account needs a login: a person is asked where the client can show a link, and told where it cannot.
//!
//! Invariants:
//! - Nothing is sent to the server before somebody has logged in, and the call is then sent once.
//! - The link in a question is a page of Janus, never the provider's: that page looks who asks and wants a click, so that
//!   who asked is who logs in. The specification wants `https` for such pages; a page of this machine is the one deviation.
//! - "Accepted" is not "logged in": how the account stands is looked at again.
//! - A client whose person said no is not asked again for a while, and no call waits for a person for long.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use crate::account::login::{Initiator, NotLoggedIn, Pending, Progress, Wanted};
use crate::account::{self, LoginReason};
use crate::binding::Scope;
use crate::credential::Moment;
use crate::model::{AccountId, Subject};
use crate::protocol::{Envelope, Events, Outcome, Question, Request};
use crate::upstream::Failure;

use super::bridge::{is_accepted, named, unique_name};
use super::error::{self, Login, Way};
use super::{Gateway, noted, sealed};

/// A person who opens the page at once is done by then; clients give a call a minute.
const PERSON: Duration = Duration::from_secs(45);
/// To find the provider and to register there. The login goes on without whoever waited for its link.
const LINK: Duration = Duration::from_secs(20);
/// How long a no counts.
const HELD: Duration = Duration::from_mins(15);
/// A tool for which so many logins brought no permission will not get it by another one.
const STEPS: u8 = 3;
/// After this long it may be another permission, or another provider's mind.
const STEPS_COUNT: Duration = Duration::from_hours(1);
/// Names of tools come from clients.
const MOST_STEPS: usize = 1000;
/// The methods in which a question may be asked (2026-07-28, basic/patterns/mrtr, "Supported Requests").
const MAY_ASK: [&str; 3] = ["tools/call", "prompts/get", "resources/read"];

/// What people have said to questions for logins.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Who said no for which account, and when.
    held: Mutex<BTreeMap<(String, AccountId), Moment>>,
    /// The logins for more permissions, by account and tool.
    steps: Mutex<BTreeMap<(AccountId, String), Step>>,
}

#[derive(Debug, Default)]
struct Step {
    /// The login that was begun last.
    login: Option<String>,
    /// How many were completed, and when the last one was.
    completed: u8,
    last: Option<Moment>,
}

/// What became of a call that needs a login.
pub(super) enum Asked {
    /// Somebody logged in: it may be sent.
    LoggedIn,
    /// It ends with this.
    Told(Outcome),
}

/// Why, in the words of the failure.
#[derive(Clone)]
struct Need {
    reason: LoginReason,
    /// The scopes that the server wants.
    scope: String,
}

impl Gateway {
    /// What a call gets that failed, where nobody is asked any more.
    pub(super) async fn failed(
        &self,
        scope: &Scope,
        subject: &Subject,
        request: &Request,
        failure: &Failure,
    ) -> Outcome {
        let Some(need) = Need::of(failure) else {
            return noted::failed(scope, subject, request.method(), failure);
        };
        let (_, told) = self.begun(scope, subject, request, failure, &need).await;
        told
    }

    /// Asks for the login that a call needs, or tells of it.
    pub(super) async fn login_wanted(
        &self,
        scope: &Scope,
        subject: &Subject,
        request: &Request,
        failure: &Failure,
        events: &Events,
    ) -> Asked {
        let Some(need) = Need::of(failure) else {
            let told = noted::failed(scope, subject, request.method(), failure);
            return Asked::Told(told);
        };
        let (pending, told) = self.begun(scope, subject, request, failure, &need).await;
        let Some(pending) = pending else {
            return Asked::Told(told);
        };
        let Some(question) = self.question(scope, request, &pending, &need) else {
            return Asked::Told(told);
        };
        let name = unique_name();
        let answer = events.ask(named(&question, &name)).await;
        let account = failure.account();
        match answer.result() {
            Ok(answer) if is_accepted(&answer) => {}
            // It said no, or what it said is none of the answers there are.
            Ok(_) => {
                self.hold(scope, account);
                return Asked::Told(told);
            }
            Err(_) => return Asked::Told(told),
        }
        match self.logins.wait(&pending.id, PERSON).await {
            Ok(Progress::LoggedIn(_)) => {
                //= https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation#completion-notifications-for-url-mode-elicitation
                //# Servers **MAY** send a `notifications/elicitation/complete` notification when an
                //# out-of-band interaction started by URL mode elicitation is completed.
                let params = json!({"elicitationId": name});
                let done = Envelope::notification("notifications/elicitation/complete", &params);
                events.notify(done).await;
                self.upstream.look_again(account);
                Asked::LoggedIn
            }
            Ok(Progress::NotLoggedIn(why)) => {
                let way = none(&why, account);
                Asked::Told(error::needs_login(
                    request.method(),
                    &self.told(failure, &need, way),
                ))
            }
            _ => Asked::Told(told),
        }
    }

    /// Begins the login, or joins the one that waits, and says how a person gets there.
    async fn begun(
        &self,
        scope: &Scope,
        subject: &Subject,
        request: &Request,
        failure: &Failure,
        need: &Need,
    ) -> (Option<Pending>, Outcome) {
        noted::note_failed(scope, subject, failure);
        let account = failure.account();
        let method = request.method();
        if need.reason == LoginReason::Scope && !self.may_step(account, subject) {
            return (None, error::never_granted(method, failure, STEPS));
        }
        match self.link(account).await {
            Ok(pending) => {
                if need.reason == LoginReason::Scope {
                    self.step(account, subject, &pending);
                }
                let told = error::needs_login(
                    method,
                    &self.told(failure, need, Way::Pending(pending.clone())),
                );
                (Some(pending), told)
            }
            Err(way) => (
                None,
                error::needs_login(method, &self.told(failure, need, way)),
            ),
        }
    }

    /// The login of an account that waits: the one there is, or another.
    pub(super) async fn link(&self, account: &AccountId) -> Result<Pending, Way> {
        let starting = self
            .logins
            .start(account, Wanted::default(), Initiator::Client);
        match timeout(LINK, starting).await {
            Ok(Ok(pending)) => Ok(pending),
            Ok(Err(why)) => Err(none(&why, account)),
            Err(_) => Err(Way::None {
                why: "the authorization server was not found in time".to_owned(),
                help: None,
            }),
        }
    }

    fn told<'a>(&self, failure: &'a Failure, need: &'a Need, way: Way) -> Login<'a> {
        let account = failure.account();
        let since = match need.reason {
            LoginReason::Never | LoginReason::Scope => None,
            _ => account::granted_since(&self.upstream, account),
        };
        Login {
            account,
            reason: need.reason,
            scope: &need.scope,
            since,
            // A server that wants more was asked, and did nothing.
            asked: need.reason == LoginReason::Scope,
            way,
        }
    }

    /// What the client is asked, if it can be.
    fn question(
        &self,
        scope: &Scope,
        request: &Request,
        pending: &Pending,
        need: &Need,
    ) -> Option<Question> {
        if !MAY_ASK.contains(&request.method())
            // Without a page of Janus there is nothing that looks who comes.
            || pending.page == pending.url
            || self.is_held(scope, &pending.account)
        {
            return None;
        }
        let who = pending.expected.as_deref();
        let who = who.map_or_else(String::new, |who| format!(" as {who}"));
        let account = &pending.account;
        let why = need.words();
        let message = format!(
            "{account} needs a login{who}: {why}. The page leads to {}.",
            pending.host
        );
        let question = Question::open(&pending.page, &message)?;
        let named = scope.client();
        let shows = named.is_some_and(|client| self.known().links.contains(client));
        (shows || question.suits(&request.client)).then_some(question)
    }

    fn hold(&self, scope: &Scope, account: &AccountId) {
        let who = (sealed::principal(scope).to_owned(), account.clone());
        self.answers.hold(who, self.now());
    }

    fn is_held(&self, scope: &Scope, account: &AccountId) -> bool {
        let who = (sealed::principal(scope).to_owned(), account.clone());
        self.answers.is_held(&who, self.now())
    }

    fn now(&self) -> Moment {
        self.logins.grants().clock().now()
    }

    /// Whether another login may bring what the server wants for this.
    fn may_step(&self, account: &AccountId, subject: &Subject) -> bool {
        let mut steps = self.answers.steps();
        let key = (account.clone(), subject.to_string());
        let Some(step) = steps.get_mut(&key) else {
            return true;
        };
        let completed = step.login.as_ref().is_some_and(|id| {
            let progress = self.logins.progress(id);
            matches!(progress, Some(Progress::LoggedIn(_)))
        });
        let now = self.now();
        if step.last.is_some_and(|last| now.from(last) >= STEPS_COUNT) {
            *step = Step::default();
        }
        if completed {
            step.login = None;
            step.completed = step.completed.saturating_add(1);
            step.last = Some(now);
        }
        step.completed < STEPS
    }

    fn step(&self, account: &AccountId, subject: &Subject, pending: &Pending) {
        let mut steps = self.answers.steps();
        if steps.len() >= MOST_STEPS {
            // Those that brought nothing yet go first, then the one that counts least: names of tools are a client's.
            let least = steps.iter().min_by_key(|(_, step)| step.last);
            if let Some(key) = least.map(|(key, _)| key.clone()) {
                steps.remove(&key);
            }
        }
        let key = (account.clone(), subject.to_string());
        steps.entry(key).or_default().login = Some(pending.id.clone());
    }
}

impl Need {
    fn of(failure: &Failure) -> Option<Self> {
        let (reason, scope) = failure.needs_login()?;
        Some(Self {
            reason,
            scope: scope.to_owned(),
        })
    }

    fn words(&self) -> String {
        error::login_reason(self.reason, &self.scope)
    }
}

impl Answers {
    /// Somebody said no: from now on, for a while.
    fn hold(&self, who: (String, AccountId), now: Moment) {
        let mut held = self.held();
        held.retain(|_, since| now.from(*since) < HELD);
        held.insert(who, now);
    }

    fn is_held(&self, who: &(String, AccountId), now: Moment) -> bool {
        let held = self.held();
        held.get(who).is_some_and(|since| now.from(*since) < HELD)
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<(String, AccountId), Moment>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn steps(&self) -> MutexGuard<'_, BTreeMap<(AccountId, String), Step>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// There is no login, and the command that mends it. What is no command is said, with all the rest, by the one that logs in.
fn none(why: &NotLoggedIn, account: &AccountId) -> Way {
    let help = why.help(account).into_iter().next();
    Way::None {
        why: why.to_string(),
        help: help.filter(|line| line.contains("janus ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Clock;
    use crate::model::{AccountName, ServerName};

    #[test]
    fn a_no_holds_for_fifteen_minutes_for_whom_it_was_said() {
        let clock = Clock::movable();
        let answers = Answers::default();
        let account = |name: &str| {
            AccountId::new(
                ServerName::new("s").unwrap(),
                AccountName::new(name).unwrap(),
            )
        };
        let who = ("client".to_owned(), account("a"));
        answers.hold(who.clone(), clock.now());
        for (passed, holds) in [(0, true), (14 * 60 + 59, true), (1, false)] {
            clock.advance(Duration::from_secs(passed));
            assert_eq!(answers.is_held(&who, clock.now()), holds, "{passed}");
        }
        answers.hold(who.clone(), clock.now());
        for other in [
            ("client".to_owned(), account("b")),
            ("another".to_owned(), account("a")),
        ] {
            assert!(!answers.is_held(&other, clock.now()));
        }
        // The machine's sleep counts, and nothing that is over is kept.
        clock.suspend(HELD);
        assert!(!answers.is_held(&who, clock.now()));
        answers.hold(("another".to_owned(), account("a")), clock.now());
        assert_eq!(answers.held().len(), 1);
    }
}
