//! The life of one login, in a task of its own: a door, a link, an answer, a grant.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

use super::door::Ajar;
use super::entry::{Entry, Progress};
use super::{Event, Initiator, LIFE, LoggedIn, Logins, NotLoggedIn, Pending, Wanted};
use crate::credential::Moment;
use crate::credential::oauth::{Brought, Flow, Grant, Granted, Identity, LoginFailed, Options};
use crate::model::{AccountId, GrantKind, OpenBrowser};
use crate::telemetry::redact;

/// For a login that has its answer when Janus stops: shorter than Janus waits for its tasks.
const LAST_WORDS: Duration = Duration::from_secs(8);

impl Logins {
    /// Runs a login to its end and says what came of it.
    pub(super) async fn run(&self, entry: &Arc<Entry>) {
        let stopping = async {
            self.0.stopping.cancelled().await;
            // A code that was sent is good once: what comes of it is not thrown away.
            if matches!(entry.progress(), Progress::Finishing) {
                sleep(LAST_WORDS).await;
            }
        };
        let outcome = tokio::select! {
            outcome = Box::pin(self.attempt(entry)) => outcome,
            () = stopping => Err(NotLoggedIn::Stopping),
        };
        let (account, login) = (&entry.account, entry.id.as_str());
        match (&outcome, self.0.grants.find(account)) {
            (Ok(_), _) => self.0.held.forget(account),
            (Err(why), Some(grant)) if entry.by == Initiator::Client => {
                self.0.held.failed(account, &grant.settings(), why);
            }
            _ => {}
        }
        let progress = match outcome {
            Ok(logged_in) => {
                let who = logged_in.verified_as.as_ref();
                let who = who.map_or_else(|| "somebody unverified".to_owned(), ToString::to_string);
                tracing::info!(event = "logged_in", %account, login, "logged in: {account} as {who}");
                // Nobody may listen.
                self.0.events.send(Event::LoggedIn(logged_in.clone())).ok();
                Progress::LoggedIn(logged_in)
            }
            Err(why) => {
                let event = match why {
                    NotLoggedIn::WrongIdentity { .. }
                    | NotLoggedIn::UnknownIdentity { .. }
                    | NotLoggedIn::SameIdentity { .. } => "wrong_identity",
                    _ => "login_failed",
                };
                let said = why.to_string();
                tracing::warn!(event, %account, login, "the login of {account} failed: {}", redact(&said));
                Progress::NotLoggedIn(Arc::new(why))
            }
        };
        entry.go_on(progress);
    }

    async fn attempt(&self, entry: &Arc<Entry>) -> Result<LoggedIn, NotLoggedIn> {
        let grant = self.grant(&entry.account)?;
        let prepared = tokio::select! {
            biased;
            why = entry.given_up() => return Err(why),
            prepared = Box::pin(self.prepare(entry, &grant)) => prepared,
        };
        let (flow, door) = prepared?;
        let life = flow.device().map_or(LIFE, |(_, _, life)| life);
        let clock = self.0.grants.clock();
        let ends = clock.now().after(life);
        let uri = door.as_ref().map(|(_, uri)| uri.clone());
        self.show(entry, &grant, &flow, uri, ends);
        let expired = async {
            clock.sleep_until(ends).await;
            NotLoggedIn::Expired {
                minutes: life.as_secs() / 60,
            }
        };
        let granted = if flow.device().is_some() {
            let mut polled = self.polled(flow, &grant);
            let why = tokio::select! {
                biased;
                brought = &mut polled => Ok(brought.map_err(|_| NotLoggedIn::Stopping)??),
                why = entry.given_up() => Err(why),
                why = expired => Err(why),
            };
            let brought = match why {
                Ok(brought) => brought,
                Err(why) => {
                    polled.close();
                    // It came in this moment.
                    if let Ok(Ok(brought)) = polled.try_recv() {
                        self.give_back(&grant, &brought.granted).await;
                    }
                    return Err(why);
                }
            };
            // The code was good in time: who that is may take longer, and tokens that are not kept are given back.
            entry.go_on(Progress::Finishing);
            let who = tokio::select! {
                biased;
                why = entry.given_up() => {
                    self.give_back(&grant, &brought.granted).await;
                    return Err(why);
                }
                who = brought.identity() => who,
            };
            Granted {
                verified_as: who,
                ..brought.granted
            }
        } else {
            let answered = entry.take_answered().ok_or(NotLoggedIn::Answered)?;
            let callback = tokio::select! {
                biased;
                // What is there counts, also in the last moment.
                callback = answered => callback.map_err(|_| NotLoggedIn::Stopping)?,
                why = entry.given_up() => return Err(why),
                why = expired => return Err(why),
            };
            entry.go_on(Progress::Finishing);
            flow.finish(callback).await?
        };
        // Nobody else comes back for this one.
        drop(door);
        entry.go_on(Progress::Finishing);
        self.settle(entry, &grant, granted).await
    }

    /// What another device brings. What comes when nobody waits for it any more is given back.
    fn polled(
        &self,
        flow: Flow,
        grant: &Arc<Grant>,
    ) -> oneshot::Receiver<Result<Brought, LoginFailed>> {
        let (mut waits, polled) = oneshot::channel();
        let (logins, grant) = (self.clone(), Arc::clone(grant));
        self.0.tasks.spawn(async move {
            let brought = flow.poll(waits.closed()).await;
            if let Err(Ok(late)) = waits.send(brought) {
                logins.give_back(&grant, &late.granted).await;
            }
        });
        polled
    }

    /// The grant of an account that a person logs in to.
    pub(super) fn grant(&self, account: &AccountId) -> Result<Arc<Grant>, NotLoggedIn> {
        let no = |why| NotLoggedIn::NoLogin {
            account: account.clone(),
            why,
        };
        let Some(grant) = self.0.grants.find(account) else {
            return Err(match self.0.upstream.credential(account) {
                Some(_) if self.0.upstream.is_process(account) => {
                    NotLoggedIn::Process(account.clone())
                }
                Some(_) => no("its configuration has another credential, or none"),
                None => NotLoggedIn::Gone(account.clone()),
            });
        };
        if grant.settings().grant == GrantKind::ClientCredentials {
            return Err(no("it is a machine account, which needs no person"));
        }
        Ok(grant)
    }

    /// The door and the flow.
    async fn prepare(
        &self,
        entry: &Entry,
        grant: &Grant,
    ) -> Result<(Flow, Option<(Ajar, String)>), NotLoggedIn> {
        let settings = grant.settings();
        let wanted = entry.wanted();
        let mut options: Options = wanted.options.clone();
        options.device |= settings.grant == GrantKind::DeviceCode;
        options.workspace = workspace(grant, &wanted);
        let network = self.0.grants.network();
        if options.device {
            return Ok((Flow::begin(grant, network, "", &options).await?, None));
        }
        let (ajar, mut uri) = self.0.doors.open(&settings).await?;
        let flow = Flow::begin(grant, network, &uri, &options).await?;
        if flow.redirect_uri() != uri {
            self.0.doors.also_localhost(&ajar).await?;
            flow.redirect_uri().clone_into(&mut uri);
        }
        Ok((flow, Some((ajar, uri))))
    }

    /// Tells whoever waits, and the journal, that a person must act.
    fn show(
        &self,
        entry: &Arc<Entry>,
        grant: &Grant,
        flow: &Flow,
        redirect_uri: Option<String>,
        ends: Moment,
    ) {
        let (settings, wanted, status) = (grant.settings(), entry.wanted(), grant.status());
        let device = flow.device();
        let device = device.map(|(code, place, _)| (code.to_owned(), place.to_owned()));
        let url = flow.url().to_owned();
        let page = self.0.pages.as_ref();
        let page = page.map_or_else(
            || url.clone(),
            |pages| format!("{pages}/login/{}", entry.id),
        );
        let earlier = status.known_as.as_ref().map(ToString::to_string);
        let pending = Pending {
            id: entry.id.clone(),
            account: entry.account.clone(),
            url,
            page,
            host: flow.host().to_owned(),
            foreign: flow.is_foreign(),
            moved: flow.moved(),
            expected: wanted
                .expect
                .or_else(|| settings.expect.clone())
                .or(earlier)
                .or_else(|| settings.login_hint.clone()),
            scopes: flow.scopes().to_vec(),
            new_scopes: flow.new_scopes().to_vec(),
            agreed: wanted.yes,
            again: status.issuer.is_some(),
            redirect_uri,
            device,
            open_browser: settings.browser.open,
            browser_command: settings.browser.command.clone(),
            left: LIFE,
        };
        let local = settings.browser.local_journal;
        let shown = if local && settings.browser.open == OpenBrowser::Never {
            pending.own_page()
        } else {
            pending.link()
        };
        // Without a page of Janus only the command asks what must be asked first.
        let shown = shown.map_or_else(String::new, |link| format!("{link} or: "));
        let account = &entry.account;
        let who = pending.expected.as_ref();
        let who = who.map_or_else(String::new, |who| format!(" ({who})"));
        tracing::info!(
            event = "login_needed",
            %account,
            login = entry.id.as_str(),
            "login needed: {account}{who}: {shown}janus login {account}"
        );
        let waits = Event::Waits {
            pending: Arc::new(pending.clone()),
            by: entry.by,
        };
        entry.show(pending, flow.expected(), ends);
        self.0.events.send(waits).ok();
    }
}

/// The workspace that is meant: what somebody says or wrote of it, else that of the last login, unless somebody else is
/// meant now.
fn workspace(grant: &Grant, wanted: &Wanted) -> Option<String> {
    let settings = grant.settings();
    let named = [wanted.expect.as_deref(), settings.expect.as_deref()];
    let named = named.into_iter().flatten().find_map(Identity::workspace_of);
    named.map(str::to_owned).or_else(|| {
        let known = grant.status().known_as.filter(|_| !wanted.replace);
        known?.workspace
    })
}
