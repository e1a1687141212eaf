//! From an account to a conversation that stands: starts the process or the HTTP client, finds the era, shakes hands.
//!
//! Invariant: a verdict on the era is remembered only when a conversation stood on it.

use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::fingerprint::fingerprint;
use super::handshake::{Opened, initialize, modern_facts, unreachable};
use super::key::Key;
use super::known_era::KnownEra;
use super::leg::Leg;
use super::probe::{Verdict, verdict};
use super::wire::Outgoing;
use super::{Failure, stdio, streamable_http};
use crate::model::{
    self, AccountId, Endpoint, EraChoice, HttpEndpoint, ProxySettings, Server, Settings,
};
use crate::protocol::{Body, Envelope, Era, Events, Relayed, Revision, ServerFacts};

/// A process that says nothing for this long to its first message is taken for a legacy one that ignores what comes
/// before `initialize`. Servers that start slower lose nothing: a late answer still counts.
const SILENCE: Duration = Duration::from_secs(10);
/// What a server says unasked while somebody acts on it. More than a burst of `list_changed` and updates.
const INBOX: usize = 256;

/// How to reach an account.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) account: AccountId,
    pub(super) server: Arc<Server>,
    endpoint: Endpoint,
    environment: Arc<[(String, OsString)]>,
    proxy: ProxySettings,
    /// Made when it is needed.
    client: Mutex<Option<streamable_http::Client>>,
    known: KnownEra,
    tasks: TaskTracker,
}

/// A conversation that stands.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) leg: Leg,
    pub(super) facts: Arc<ServerFacts>,
    pub(super) inbox: mpsc::Receiver<Envelope>,
}

/// What a first message to a process brought.
enum First {
    /// It is legacy, and nothing was opened yet.
    Legacy,
    /// The conversation stands.
    Stands(Arc<ServerFacts>),
    /// The process ended.
    Gone(Failure),
}

impl Dial {
    pub(super) fn new(
        account: AccountId,
        server: Arc<Server>,
        endpoint: Endpoint,
        environment: &[(String, OsString)],
        proxy: &ProxySettings,
        known: KnownEra,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            account,
            server,
            endpoint,
            environment: environment.into(),
            proxy: proxy.clone(),
            client: Mutex::default(),
            known,
            tasks,
        }
    }

    /// Whether this is how the configuration has the account now.
    pub(super) fn is_of(
        &self,
        server: &Server,
        account: &model::Account,
        settings: &Settings,
    ) -> bool {
        let ours = &self.server;
        self.endpoint == account.endpoint
            && ours.timeout == server.timeout
            && ours.idle == server.idle
            && ours.sharing == server.sharing
            && ours.era == server.era
            && self.proxy == settings.proxy
    }

    /// Whether it is a process.
    pub(super) fn is_pipe(&self) -> bool {
        matches!(self.endpoint, Endpoint::Process(_))
    }

    /// The era it is known or configured to speak.
    pub(super) fn era(&self) -> Option<Era> {
        match self.server.era {
            EraChoice::Legacy => Some(Era::Legacy),
            EraChoice::Modern => Some(Era::Modern),
            EraChoice::Auto => self.known.recall(),
        }
    }

    /// What was concluded turned out wrong: the next conversation begins with a probe.
    pub(super) fn forget_era(&self) {
        self.known.forget();
    }

    /// The digest of what is talked to.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        fingerprint(&self.endpoint)
    }

    /// Connects.
    pub(super) async fn connect(&self, key: &Key) -> Result<Dialled, Failure> {
        let dialled = match &self.endpoint {
            Endpoint::Process(_) => self.process(key).await?,
            Endpoint::Http(_) => self.http(key).await?,
        };
        if self.server.era == EraChoice::Auto {
            self.known.remember(dialled.facts.revision.era());
        }
        Ok(dialled)
    }

    async fn process(&self, key: &Key) -> Result<Dialled, Failure> {
        let known = self.era();
        let (leg, inbox) = self.leg()?;
        if known == Some(Era::Legacy) {
            return self.legacy_first(leg, inbox, key).await;
        }
        let may_be_legacy = self.server.era == EraChoice::Auto;
        match self.first(&leg, key, may_be_legacy).await? {
            First::Stands(facts) => Ok(Dialled { leg, facts, inbox }),
            First::Legacy => self.legacy_first(leg, inbox, key).await,
            // A server that was modern before has crashed; any other may have taken offence at the first message.
            First::Gone(failure) if known == Some(Era::Modern) => Err(failure),
            First::Gone(_) => {
                leg.end().await;
                let (leg, inbox) = self.leg()?;
                self.legacy_first(leg, inbox, key).await
            }
        }
    }

    /// `initialize`, and `server/discover` only if that is refused as too old.
    async fn legacy_first(
        &self,
        leg: Leg,
        inbox: mpsc::Receiver<Envelope>,
        key: &Key,
    ) -> Result<Dialled, Failure> {
        let facts = match initialize(&leg, &self.account, key.capabilities()).await? {
            Opened::Legacy(facts) => facts,
            Opened::Modern => self.discovered(&leg).await?,
        };
        Ok(Dialled { leg, facts, inbox })
    }

    /// Asks a process for its era. While it is silent, `initialize` goes down the same pipe.
    async fn first(&self, leg: &Leg, key: &Key, may_be_legacy: bool) -> Result<First, Failure> {
        let (events, _nobody) = Events::channel();
        let outgoing = Self::discover(leg);
        let mut discover = Box::pin(leg.exchange(&outgoing, None, Era::Modern, &events));
        let answer = match timeout(SILENCE, &mut discover).await {
            Ok(answer) => answer,
            Err(_) if may_be_legacy => {
                let mut opening = Box::pin(initialize(leg, &self.account, key.capabilities()));
                // Dropped only after `initialized` went out: its cancellation must not come before.
                tokio::select! {
                    biased;
                    late = &mut discover => match late {
                        // Not an answer; what counts is what `initialize` brings.
                        Err(Failure::TimedOut { .. }) => return self.opened(leg, opening.await?).await,
                        // A legacy server that answers all the same: `initialize` is on its way already.
                        Ok(late) if !Self::is_modern(&late) => return self.opened(leg, opening.await?).await,
                        late => late,
                    },
                    opened = &mut opening => return self.opened(leg, opened?).await,
                }
            }
            Err(_) => discover.await,
        };
        self.concluded(answer, may_be_legacy)
    }

    async fn opened(&self, leg: &Leg, opened: Opened) -> Result<First, Failure> {
        match opened {
            Opened::Legacy(facts) => Ok(First::Stands(facts)),
            Opened::Modern => self.discovered(leg).await.map(First::Stands),
        }
    }

    fn is_modern(relayed: &Relayed) -> bool {
        let message = whole(relayed);
        matches!(
            verdict(None, message.as_ref()),
            Verdict::Modern(..) | Verdict::Refuses(_)
        )
    }

    fn concluded(
        &self,
        answer: Result<Relayed, Failure>,
        may_be_legacy: bool,
    ) -> Result<First, Failure> {
        let answer = match answer {
            Ok(relayed) => relayed,
            Err(failure @ (Failure::Interrupted { .. } | Failure::Unreachable { .. }))
                if may_be_legacy =>
            {
                return Ok(First::Gone(failure));
            }
            // Silence for less than ours, or an answer that is no JSON-RPC.
            Err(Failure::TimedOut { .. } | Failure::BadAnswer { .. }) if may_be_legacy => {
                return Ok(First::Legacy);
            }
            Err(failure) => return Err(failure),
        };
        match self.settle(verdict(None, whole(&answer).as_ref()))? {
            Some(facts) => Ok(First::Stands(facts)),
            None => Ok(First::Legacy),
        }
    }

    /// A second `server/discover` after the server said that it is modern.
    async fn discovered(&self, leg: &Leg) -> Result<Arc<ServerFacts>, Failure> {
        let own = leg.own(
            &self.account,
            "server/discover",
            None,
            Revision::LATEST_MODERN,
        );
        let answer = own.await?;
        match self.settle(verdict(None, Some(&answer)))? {
            Some(facts) => Ok(facts),
            None => Err(self.refuses_both()),
        }
    }

    fn refuses_both(&self) -> Failure {
        let reason = "it refuses both initialize and server/discover";
        unreachable(&self.account, reason.to_owned())
    }

    async fn http(&self, key: &Key) -> Result<Dialled, Failure> {
        let (leg, inbox) = self.leg()?;
        if self.era() == Some(Era::Legacy) {
            match initialize(&leg, &self.account, key.capabilities()).await? {
                Opened::Legacy(facts) => return Ok(Dialled { leg, facts, inbox }),
                Opened::Modern => self.forget_era(),
            }
        }
        let outgoing = Self::discover(&leg);
        let probe = match &leg {
            Leg::Http(http) => http.probe(&outgoing).await?,
            Leg::Stdio(_) => return Err(self.refuses_both()),
        };
        let concluded = match verdict(Some(probe.status), probe.message.as_ref()) {
            Verdict::Unwell(reason) => Err(Failure::Unreachable {
                account: self.account.clone(),
                reason,
                retry_in: probe.retry_in,
            }),
            verdict => self.settle(verdict),
        };
        if let Some(facts) = concluded? {
            leg.speak(facts.revision);
            return Ok(Dialled { leg, facts, inbox });
        }
        match initialize(&leg, &self.account, key.capabilities()).await? {
            Opened::Legacy(facts) => Ok(Dialled { leg, facts, inbox }),
            Opened::Modern => Err(self.refuses_both()),
        }
    }

    /// What a verdict comes to: the facts of a modern server, or `None` for a legacy one.
    fn settle(&self, verdict: Verdict) -> Result<Option<Arc<ServerFacts>>, Failure> {
        match verdict {
            Verdict::Modern(revision, result) => {
                Ok(Some(Arc::new(modern_facts(revision, &result))))
            }
            Verdict::Legacy if self.server.era == EraChoice::Modern => Err(unreachable(
                &self.account,
                "it does not answer server/discover, and the configuration says `era: modern`"
                    .to_owned(),
            )),
            Verdict::Legacy => Ok(None),
            Verdict::Refuses(reason) | Verdict::Unwell(reason) => {
                Err(unreachable(&self.account, reason))
            }
            Verdict::NotAllowed(status) => Err(Failure::Rejected {
                account: self.account.clone(),
                status,
            }),
        }
    }

    fn discover(leg: &Leg) -> Outgoing {
        Outgoing::own(
            "server/discover",
            None,
            leg.next_id(),
            Revision::LATEST_MODERN,
        )
    }

    fn leg(&self) -> Result<(Leg, mpsc::Receiver<Envelope>), Failure> {
        let (sender, inbox) = mpsc::channel(INBOX);
        let (account, limit) = (self.account.clone(), self.server.timeout);
        let tasks = self.tasks.clone();
        let leg = match &self.endpoint {
            Endpoint::Process(command) => {
                let environment = &self.environment;
                Leg::Stdio(stdio::Leg::start(
                    account,
                    command,
                    environment,
                    limit,
                    sender,
                    &tasks,
                )?)
            }
            Endpoint::Http(endpoint) => {
                let client = self.client(endpoint)?;
                let endpoint = Arc::new(endpoint.clone());
                Leg::Http(streamable_http::Leg::new(
                    account, endpoint, client, limit, sender, tasks,
                ))
            }
        };
        Ok((leg, inbox))
    }

    /// One for the account: its pool of connections is nobody else's.
    fn client(&self, endpoint: &HttpEndpoint) -> Result<streamable_http::Client, Failure> {
        let mut made = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*made {
            return Ok(client.clone());
        }
        let client = streamable_http::Client::new(&self.account, endpoint, &self.proxy)?;
        Ok(made.insert(client).clone())
    }
}

fn whole(relayed: &Relayed) -> Option<Envelope> {
    match &relayed.body {
        Body::Whole(json) => Envelope::of(json).ok(),
        Body::Stream(_) => None,
    }
}
