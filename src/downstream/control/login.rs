//! `janus login`, `janus logout`: a login is begun, waited for, answered and ended by separate requests, so that it goes
//! on whoever asks, and any terminal can take it up.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that a JSON object does not have yet is made"
)]

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Answer, Problem, seconds};
use crate::account::login::{Initiator, LoggedIn, Meant, NotLoggedIn, Pending, Progress, Wanted};
use crate::account::{LoginNeed, known_host_name, login_need};
use crate::credential::oauth::{GrantState, LoginReason, Options};
use crate::downstream::Downstream;
use crate::model::{AccountId, OpenBrowser};
use crate::protocol::ListKind;
use crate::telemetry::redact;
use crate::upstream::{Change, State};

/// Shorter than any patience of a command: who waits longer asks again.
const LONGEST_WAIT: u64 = 25;
/// For the connection that begins after a login, so that a person sees that it works.
const CONNECT: Duration = Duration::from_secs(5);

/// A login that a person wants.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command"
)]
pub(super) struct Start {
    account: String,
    /// Also where somebody is logged in and nothing is amiss.
    #[serde(default)]
    again: bool,
    #[serde(default)]
    device: bool,
    #[serde(default)]
    fresh_client: bool,
    #[serde(default)]
    more_scopes: Vec<String>,
    #[serde(default)]
    expect: Option<String>,
    #[serde(default)]
    replace: bool,
    #[serde(default)]
    same_identity: bool,
    #[serde(default)]
    yes: bool,
}

/// A login that is under way.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    login: String,
    #[serde(default)]
    seconds: u64,
}

/// How long somebody waits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Patience {
    seconds: u64,
}

/// The address on which a browser ended. No `Debug`: a code is in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paste {
    login: String,
    address: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Logout {
    account: String,
    #[serde(default)]
    local: bool,
}

impl Downstream {
    /// Begins a login, or joins the one that waits.
    pub(super) async fn log_in(&self, wanted: Start) -> Answer {
        let id = self.account_named(&wanted.account)?;
        let joined = self.logins.waiting(&id);
        if joined.is_none()
            && !wanted.again
            && let Some(said) = self.logged_in_already(&id)
        {
            return Err(Problem::new(StatusCode::CONFLICT, "logged_in", said)
                .help(format!("log in all the same:  janus login {id} --again"))
                .help(format!(
                    "somebody else from now on:  janus login {id} --replace"
                ))
                .help(format!("try whether it works:  janus account verify {id}")));
        }
        let wishes = Wanted {
            options: Options {
                fresh_client: wanted.fresh_client,
                device: wanted.device,
                more_scopes: wanted.more_scopes,
                identity: wanted.expect.is_some(),
                workspace: None,
            },
            expect: wanted.expect,
            replace: wanted.replace,
            same_identity: wanted.same_identity,
            yes: wanted.yes,
        };
        let pending = self.logins.start(&id, wishes, Initiator::Person).await;
        let pending = pending.map_err(|why| problem(&why, &id))?;
        let mut said = shown(&pending);
        said["joined"] = (joined == Some(pending.id)).into();
        Ok(said)
    }

    /// How a login stands, as soon as it has ended or after a while.
    pub(super) async fn login_wait(&self, known: &Known) -> Answer {
        let within = Duration::from_secs(known.seconds.min(LONGEST_WAIT));
        let progress = self.logins.wait(&known.login, within).await;
        let account = self.logins.account_of(&known.login);
        let (progress, account) = match (progress, account) {
            (Ok(progress), Some(account)) => (progress, account),
            (Err(why), _) => return Err(no_login(&why)),
            (Ok(_), None) => return Err(no_login(&NotLoggedIn::Unknown(known.login.clone()))),
        };
        let word = match progress {
            Progress::Preparing => "preparing",
            Progress::Waiting => "waiting",
            Progress::Finishing => "finishing",
            Progress::LoggedIn(logged_in) => return Ok(self.logged_in(&logged_in).await),
            Progress::NotLoggedIn(why) => return Err(self.why(&why, &account)),
        };
        let pending = self
            .logins
            .page(&known.login)
            .and_then(|(pending, ..)| pending);
        let mut said = pending.map_or_else(
            || json!({"login": known.login, "account": account.to_string()}),
            |pending| shown(&pending),
        );
        said["state"] = word.into();
        Ok(said)
    }

    /// Takes the address on which a browser ended.
    pub(super) fn login_paste(&self, paste: &Paste) -> Answer {
        let pasted = self.logins.paste(&paste.login, &paste.address);
        match (pasted, self.logins.account_of(&paste.login)) {
            (Ok(()), _) => Ok(json!({"login": paste.login, "state": "finishing"})),
            (Err(why), Some(account)) => Err(problem(&why, &account)),
            (Err(why), None) => Err(no_login(&why)),
        }
    }

    /// Ends the login of an id or an account; where none is named, the only one.
    pub(super) fn login_cancel(&self, known: &Known) -> Answer {
        let id = self.login_named(&known.login)?;
        let account = self.logins.account_of(&id).map(|id| id.to_string());
        let cancelled = self.logins.cancel(&id);
        Ok(json!({"login": id, "account": account, "cancelled": cancelled}))
    }

    /// The id of the login that somebody means.
    fn login_named(&self, name: &str) -> Result<String, Problem> {
        let unknown = |said: String| {
            Problem::unknown("login_unknown", said).help("janus status        # which wait")
        };
        if name.is_empty() {
            let waiting: Vec<String> = self.logins.list().into_iter().map(|it| it.id).collect();
            return match waiting.as_slice() {
                [only] => Ok(only.clone()),
                [] => Err(unknown("no login waits".to_owned())),
                several => {
                    let said = format!("{} logins wait: name one", several.len());
                    Err(unknown(said))
                }
            };
        }
        if self.logins.progress(name).is_some() {
            return Ok(name.to_owned());
        }
        match self.account_named(name) {
            Ok(account) => {
                let waiting = self.logins.waiting(&account);
                waiting.ok_or_else(|| unknown(format!("no login of {account} waits")))
            }
            Err(problem) if problem.code == "unknown_account" => {
                Err(no_login(&NotLoggedIn::Unknown(name.to_owned())))
            }
            Err(problem) => Err(problem),
        }
    }

    /// The logins that wait, and the accounts that need one.
    pub(super) fn login_list(&self) -> Value {
        let waiting: Vec<Value> = self.logins.list().iter().map(shown).collect();
        let binding = self.reach.binding();
        let servers = binding.servers().iter();
        let ids = servers.flat_map(|server| server.account_ids());
        let needed = ids.filter(|id| self.needs_login(id));
        let needed: Vec<String> = needed.map(|id| id.to_string()).collect();
        json!({"logins": waiting, "needed": needed})
    }

    /// The same, once the servers that were never asked have said whether they want one, or after a while; and the
    /// accounts of which that is still not known, with why.
    pub(super) async fn logins_needed(&self, patience: &Patience) -> Value {
        let within = Duration::from_secs(patience.seconds.min(LONGEST_WAIT));
        let upstream = self.gateway.upstream();
        let binding = self.reach.binding();
        let servers = binding.servers().iter();
        let ids = servers.flat_map(|server| server.account_ids());
        let is_unknown = |id: &AccountId| {
            self.logins.is_interactive(id) && login_need(upstream, id) == LoginNeed::Unknown
        };
        let asked = ids.filter(is_unknown).map(async |id| {
            let tried = upstream.first_tried(&id, within).await;
            (id, tried)
        });
        let asked = join_all(asked).await;
        let unknown = asked.into_iter().filter(|(id, _)| is_unknown(id));
        let unknown = unknown.filter_map(|(id, tried)| {
            let failure = upstream.state(&id).borrow().failure(&id);
            if tried && failure.is_none() {
                return None;
            }
            let said = failure.map(|failure| redact(&failure.to_string()).into_owned());
            Some(
                json!({"account": id.to_string(), "server": id.server().as_str(), "because": said}),
            )
        });
        let unknown: Vec<Value> = unknown.collect();
        let mut said = self.login_list();
        said["unknown"] = unknown.into();
        said
    }

    pub(super) async fn log_out(&self, wanted: &Logout) -> Answer {
        let id = match self.account_named(&wanted.account) {
            Ok(id) => id,
            // What is not configured any more may be there still.
            Err(problem) => {
                let mut granted = self.logins.grants().granted().into_iter();
                let meant = granted.find(|id| id.to_string() == wanted.account);
                meant.ok_or(problem)?
            }
        };
        let out = self.logins.logout(&id, wanted.local).await;
        let out = out.map_err(|why| problem(&why, &id))?;
        Ok(json!({
            "account": out.account.to_string(),
            "had": out.had,
            "cancelled": out.cancelled,
            "revoked": out.revoked,
            "client_removed": out.removed,
        }))
    }

    /// Why nobody is logged in, with the file where that is what must be corrected.
    fn why(&self, why: &NotLoggedIn, account: &AccountId) -> Problem {
        let mut problem = problem(why, account);
        let by = match why {
            NotLoggedIn::WrongIdentity { by, .. } => Some(*by),
            _ => None,
        };
        if by == Some(Meant::Configured) {
            problem.place = self.reach.file().map(|file| file.display().to_string());
        }
        problem
    }

    /// Whether nobody can act as this account before a person logs in.
    pub(super) fn needs_login(&self, id: &AccountId) -> bool {
        if !self.logins.is_interactive(id) {
            return false;
        }
        let Some(grant) = self.logins.grants().find(id) else {
            return false;
        };
        matches!(grant.status().state, GrantState::NeedsLogin(_))
    }

    /// Who is logged in and for how long, where nothing is amiss; `None`: a login is what is needed.
    fn logged_in_already(&self, id: &AccountId) -> Option<String> {
        let status = self.logins.grants().find(id)?.status();
        let credential = self.gateway.upstream().credential(id);
        let is_refused = credential.is_some_and(|it| it.report().problem.is_some());
        let works = matches!(status.state, GrantState::Fresh | GrantState::Due)
            && !status.stuck
            && !is_refused
            && !matches!(
                &*self.gateway.upstream().state(id).borrow(),
                State::Rejected { .. }
            );
        if !works || !self.logins.is_interactive(id) {
            return None;
        }
        let who = status.verified_as.map(|who| who.to_string());
        let who = who.unwrap_or_else(|| "somebody unverified".to_owned());
        let minutes = |left: Duration| left.as_secs().div_ceil(60);
        let lasts = match (status.renews, status.left) {
            (Some(next), _) => format!("renewed by itself, next in {} min", minutes(next)),
            (None, Some(left)) => format!("for another {} min", minutes(left)),
            (None, None) => "until the server refuses it".to_owned(),
        };
        Some(format!("{id} is logged in as {who}, {lasts}"))
    }

    /// What a person wants to know of a login that succeeded.
    async fn logged_in(&self, logged_in: &LoggedIn) -> Value {
        let id = &logged_in.account;
        let upstream = self.gateway.upstream();
        // What is there by then is shown.
        timeout(CONNECT, self.connected(id)).await.ok();
        let who = logged_in.verified_as.as_ref();
        json!({
            "state": "logged_in",
            "account": id.to_string(),
            "verified_as": who.map(ToString::to_string),
            "subject": who.map(|who| &who.subject),
            "workspace": who.and_then(|who| who.workspace.as_ref()),
            "hint": self.verifiable(id, who.is_some()),
            "scopes": logged_in.scopes,
            "profiles": self.profiles_of(id),
            "tools": self.tool_count(id),
            "connected": matches!(&*upstream.state(id).borrow(), State::Ready { .. }),
        })
    }

    /// How it could be learnt who an account is; `None`: it is known, or nobody logs in to it.
    pub(super) fn verifiable(&self, id: &AccountId, known: bool) -> Option<&'static str> {
        let grant = self.logins.grants().find(id)?;
        if known || !self.logins.is_interactive(id) {
            return None;
        }
        Some(if grant.settings().whoami.is_some() {
            "what `auth.oauth.whoami` names did not say who that is; the journal has the reason"
        } else {
            "to have it verified: name a tool or URL that says who that is as `auth.oauth.whoami`, then log in again"
        })
    }

    /// Waits until the account is connected and its tools are listed, or it cannot be.
    async fn connected(&self, id: &AccountId) {
        let upstream = self.gateway.upstream();
        let (mut changes, mut state) = (upstream.changes(), upstream.state(id));
        let there = |state: &State| {
            matches!(
                state,
                State::Ready { .. }
                    | State::Failed { .. }
                    | State::Backoff { .. }
                    | State::Rejected { .. }
            )
        };
        let stands = state.wait_for(there).await;
        if !stands.is_ok_and(|state| matches!(&*state, State::Ready { .. })) {
            return;
        }
        while self.tool_count(id) == 0 {
            let Ok(change) = changes.recv().await else {
                return;
            };
            let tools = |change: &Change| matches!(change, Change::Listed { account, kind: ListKind::Tools, .. } if account == id);
            if tools(&change) {
                return;
            }
        }
    }

    /// How the grant of an account stands, for people.
    pub(super) fn grant_of(&self, id: &AccountId) -> Value {
        let Some(grant) = self.logins.grants().find(id) else {
            return Value::Null;
        };
        let status = grant.status();
        let (state, reason) = match &status.state {
            GrantState::Absent => return Value::Null,
            GrantState::Fresh => ("fresh", None),
            GrantState::Due => ("due", None),
            GrantState::Expired => ("expired", None),
            GrantState::NeedsLogin(reason) => ("needs_login", Some(*reason)),
            GrantState::Sealed => ("sealed", None),
        };
        json!({
            "state": state,
            "reason": reason.map(LoginReason::word),
            "because": reason.map(LoginReason::told),
            "since": seconds(status.since),
            "expires_in": status.left.map(|left| left.as_secs()),
            "renews_in": status.renews.map(|left| left.as_secs()),
            "scopes": status.scopes,
            "issuer": status.issuer,
            "generation": status.generation,
            "retry_because": status.backoff.as_ref().map(|(why, _)| why),
            "retry_in": status.backoff.as_ref().map(|(_, left)| left.as_secs()),
            "stuck": status.stuck,
            "unpersisted": status.unpersisted,
            "client_secret_expires": status.secret_expires.map(seconds),
        })
    }
}

/// A login that waits, for whoever may end it.
fn shown(pending: &Pending) -> Value {
    let port = pending.redirect_uri.as_deref().and_then(port);
    let (code, place) = pending.device.clone().unzip();
    json!({
        "login": pending.id,
        "account": pending.account.to_string(),
        "state": "waiting",
        "link": pending.link(),
        "url": pending.url,
        "page": pending.page,
        "host": pending.host,
        "foreign": pending.foreign,
        "moved": pending.moved.as_ref().map(|(now, before)| json!({"now": now, "before": before})),
        "expected": pending.expected,
        "scopes": pending.scopes,
        "new_scopes": pending.new_scopes,
        "needs_yes": pending.needs_yes(),
        "agreed": pending.agreed,
        "redirect_uri": pending.redirect_uri,
        "port": port,
        "machine": known_host_name(),
        "code": code,
        "code_at": place,
        "open_browser": match pending.open_browser {
            OpenBrowser::Auto => "auto",
            OpenBrowser::Always => "always",
            OpenBrowser::Never => "never",
        },
        "browser_command": pending.browser_command,
        "expires_in": pending.left.as_secs(),
    })
}

fn port(uri: &str) -> Option<u16> {
    uri.parse::<http::Uri>().ok()?.port_u16()
}

fn no_login(why: &NotLoggedIn) -> Problem {
    Problem::unknown(why.code(), why.to_string())
        .help("janus status        # which wait")
        .help("no login outlives a restart of Janus; begin another:  janus login ACCOUNT")
}

fn problem(why: &NotLoggedIn, account: &AccountId) -> Problem {
    let status = match why.code() {
        "unknown_account" | "login_unknown" => StatusCode::NOT_FOUND,
        _ => StatusCode::CONFLICT,
    };
    let problem = Problem::new(status, why.code(), why.to_string());
    why.help(account).into_iter().fold(problem, Problem::help)
}
