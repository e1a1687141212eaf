//! From an account to a conversation that stands: starts the process or the HTTP client, finds the era, shakes hands.
//!
//! Invariant: a verdict on the era is remembered only when a conversation stood on it.

mod process;
mod remote;

use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::fingerprint::fingerprint;
use super::handshake::{modern_facts, unreachable};
use super::key::Key;
use super::known_era::KnownEra;
use super::leg::Leg;
use super::probe::Verdict;
use super::wire::Outgoing;
use super::{Failure, streamable_http};
use crate::credential::{self, Credential, Given};
use crate::model::{
    self, AccountId, Authentication, Endpoint, EraChoice, ProxySettings, Secret, Server, Settings,
    Transport,
};
use crate::protocol::{Body, Envelope, Era, Relayed, Revision, ServerFacts};

/// What a server says unasked while somebody acts on it. More than a burst of `list_changed` and updates.
const INBOX: usize = 256;

/// How to reach an account.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) account: AccountId,
    pub(super) server: Arc<Server>,
    endpoint: Endpoint,
    auth: Authentication,
    pub(super) credential: Arc<Credential>,
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

impl Dial {
    pub(super) fn new(
        account: AccountId,
        server: Arc<Server>,
        (one, credential): (&model::Account, Credential),
        environment: &[(String, OsString)],
        proxy: &ProxySettings,
        known: KnownEra,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            account,
            server,
            endpoint: one.endpoint.clone(),
            auth: one.auth.clone(),
            credential: Arc::new(credential),
            environment: environment.into(),
            proxy: proxy.clone(),
            client: Mutex::default(),
            known,
            old: AtomicBool::new(false),
            tasks,
        }
    }

    /// The same server with a token that the account does not have yet, which is for `origin`.
    ///
    /// # Errors
    /// It is a process, which would be started for that alone, or another server by now.
    pub(super) fn with_token(
        &self,
        (token, origin): (&Arc<Secret>, &str),
        ground: &credential::Ground,
    ) -> Result<Self, Failure> {
        let configured = self.server.account(self.account.account());
        let (Endpoint::Http(remote), Some(configured)) = (&self.endpoint, configured) else {
            return Err(unreachable(
                &self.account,
                "only a remote server is asked before a token is kept".to_owned(),
            ));
        };
        if model::Origin::of(&remote.url).is_none_or(|own| own.to_string() != origin) {
            return Err(unreachable(
                &self.account,
                "another server is configured since the login began".to_owned(),
            ));
        }
        Ok(Self {
            account: self.account.clone(),
            server: Arc::clone(&self.server),
            endpoint: self.endpoint.clone(),
            auth: self.auth.clone(),
            credential: Arc::new(Credential::with_token(configured, token, ground)),
            environment: Arc::clone(&self.environment),
            proxy: self.proxy.clone(),
            client: Mutex::default(),
            known: self.known.again(),
            old: AtomicBool::new(self.is_old()),
            tasks: self.tasks.clone(),
        })
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
            && self.auth == account.auth
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

    /// What is talked to.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
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

    /// Connects, with the account's credential; gives what of it that was.
    pub(super) async fn connect(&self, key: &Key) -> Result<(Dialled, Given), Failure> {
        let (dialled, given) = match &self.endpoint {
            Endpoint::Process(command) => {
                let own = self.credential.variables().await;
                let own = own.map_err(|why| Failure::NoCredential {
                    account: self.account.clone(),
                    why: Box::new(why),
                })?;
                let begun = Instant::now();
                let started = self.process(command, &own.values, key).await;
                let dialled = started.map_err(|failure| self.not_begun(failure, begun))?;
                (dialled, own.given)
            }
            // What the last request of the handshake had.
            Endpoint::Http(_) => (self.http(key).await?, self.credential.given()),
        };
        if self.server.era == EraChoice::Auto {
            self.known.remember(dialled.facts.revision.era());
        }
        Ok((dialled, given))
    }

    /// What is said of a process that was silent for all of its `timeout`: a person sees how long it had.
    fn not_begun(&self, failure: Failure, begun: Instant) -> Failure {
        match failure {
            Failure::TimedOut { .. } => unreachable(
                &self.account,
                format!(
                    "it did not answer within {} s of its start; `timeout` of the server gives it longer",
                    begun.elapsed().as_secs()
                ),
            ),
            other => other,
        }
    }

    fn refuses_both(&self) -> Failure {
        let reason = "it refuses both initialize and server/discover";
        unreachable(&self.account, reason.to_owned())
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
}

fn whole(relayed: &Relayed) -> Option<Envelope> {
    match &relayed.body {
        Body::Whole(json) => Envelope::of(json).ok(),
        Body::Stream(_) => None,
    }
}
