//! From an account to a conversation that stands: starts the process or the HTTP client, finds the era, shakes hands.
//!
//! Invariant: a verdict on the era is remembered only when a conversation stood on it.

use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};
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
use super::{Failure, http_sse, stdio, streamable_http};
use crate::model::{
    self, AccountId, Command, Endpoint, EraChoice, HttpEndpoint, ProxySettings, Server, Settings,
    Transport,
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
    /// The last conversation stood on the transport of 2024-11-05.
    old: AtomicBool,
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
            old: AtomicBool::new(false),
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
            && ours.transport == server.transport
            && self.proxy == settings.proxy
    }

    /// Whether it is a process.
    pub(super) fn is_pipe(&self) -> bool {
        matches!(self.endpoint, Endpoint::Process(_))
    }

    /// Whether everything the server says comes on one stream, which does not say to whom.
    pub(super) fn is_one_stream(&self) -> bool {
        self.is_pipe() || self.is_old()
    }

    /// Whether it is, or was, spoken to by the transport of 2024-11-05.
    fn is_old(&self) -> bool {
        match self.server.transport {
            Transport::Sse => true,
            Transport::StreamableHttp => false,
            Transport::Auto => self.old.load(Ordering::Relaxed),
        }
    }

    /// The era it is known or configured to speak.
    pub(super) fn era(&self) -> Option<Era> {
        match self.server.era {
            _ if self.is_old() => Some(Era::Legacy),
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
            Endpoint::Process(command) => self.process(command, key).await?,
            Endpoint::Http(_) => self.http(key).await?,
        };
        if self.server.era == EraChoice::Auto {
            self.known.remember(dialled.facts.revision.era());
        }
        Ok(dialled)
    }

    async fn process(&self, command: &Command, key: &Key) -> Result<Dialled, Failure> {
        let known = self.era();
        let (leg, inbox) = self.leg(command)?;
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
                let (leg, inbox) = self.leg(command)?;
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
        if self.is_old() {
            match self.http_sse(key).await {
                Err(_) if self.server.transport == Transport::Auto => {
                    // It may have been replaced by a newer one.
                    self.old.store(false, Ordering::Relaxed);
                }
                dialled => return dialled,
            }
        }
        let (leg, inbox) = self.remote()?;
        let failure = match self.streamable(&leg, key).await {
            Ok(facts) => {
                let leg = Leg::Http(leg);
                return Ok(Dialled { leg, facts, inbox });
            }
            Err(failure) => failure,
        };
        if self.server.transport != Transport::Auto || !leg.may_be_old() {
            return Err(failure);
        }
        match self.http_sse(key).await {
            Ok(dialled) => {
                self.old.store(true, Ordering::Relaxed);
                Ok(dialled)
            }
            Err(other) => {
                tracing::debug!("nor the transport of 2024-11-05: {other}");
                Err(failure)
            }
        }
    }

    /// A conversation by Streamable HTTP.
    async fn streamable(
        &self,
        http: &streamable_http::Leg,
        key: &Key,
    ) -> Result<Arc<ServerFacts>, Failure> {
        let leg = Leg::Http(http.clone());
        if self.era() == Some(Era::Legacy) {
            match initialize(&leg, &self.account, key.capabilities()).await? {
                Opened::Legacy(facts) => return Ok(facts),
                Opened::Modern => self.forget_era(),
            }
        }
        let probe = http.probe(&Self::discover(&leg)).await?;
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
            return Ok(facts);
        }
        match initialize(&leg, &self.account, key.capabilities()).await? {
            Opened::Legacy(facts) => Ok(facts),
            Opened::Modern => Err(self.refuses_both()),
        }
    }

    /// A conversation by the transport of 2024-11-05, which knows nothing of the modern era.
    async fn http_sse(&self, key: &Key) -> Result<Dialled, Failure> {
        let (http, _) = self.remote()?;
        let (sender, inbox) = mpsc::channel(INBOX);
        let (account, limit) = (self.account.clone(), self.server.timeout);
        let opening = http_sse::Leg::open(account, http, limit, sender, &self.tasks);
        let leg = Leg::Sse(opening.await?);
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

    /// A new process.
    fn leg(&self, command: &Command) -> Result<(Leg, mpsc::Receiver<Envelope>), Failure> {
        let (sender, inbox) = mpsc::channel(INBOX);
        let (account, limit) = (self.account.clone(), self.server.timeout);
        let leg = stdio::Leg::start(
            account,
            command,
            &self.environment,
            limit,
            sender,
            &self.tasks,
        )?;
        Ok((Leg::Stdio(leg), inbox))
    }

    /// A new conversation with a remote server.
    fn remote(&self) -> Result<(streamable_http::Leg, mpsc::Receiver<Envelope>), Failure> {
        let Endpoint::Http(endpoint) = &self.endpoint else {
            return Err(self.refuses_both());
        };
        let (sender, inbox) = mpsc::channel(INBOX);
        let client = self.client(endpoint)?;
        let leg = streamable_http::Leg::new(
            self.account.clone(),
            Arc::new(endpoint.clone()),
            client,
            self.server.timeout,
            sender,
            self.tasks.clone(),
        );
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
