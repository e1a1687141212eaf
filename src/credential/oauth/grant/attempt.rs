//! One renewal, from the intent to what became of it. It belongs to nobody who waits for it.
//!
//! Invariants:
//! - That it begins is on the disk before the refresh token leaves, so that a start knows what may be lost.
//! - Within one attempt the token is sent again only where the answer says that it was not taken, and once where
//!   nobody knows.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::breaker::Pass;
use super::commit::Committed;
use super::mark::Point;
use super::schedule::Failed;
use super::state::{Life, Phase};
use super::verdict::{
    About, Failure, Outcome, SETTLED, machine_refused, no_client, nobody, refused, settled,
    unreachable,
};
use super::{Grant, Inner, LoginReason};
use crate::credential::clock::Moment;
use crate::credential::oauth::client_authentication::{Form, other};
use crate::credential::oauth::client_credentials;
use crate::credential::oauth::granted::{Registration, Source, Tokens};
use crate::credential::oauth::login::Challenge;
use crate::credential::oauth::metadata::is_same_issuer;
use crate::credential::oauth::revocation::revoke;
use crate::credential::oauth::token_response::{self, Answer};
use crate::model::{ClientAuthentication, GrantKind, Secret};
use crate::store::{Change, IntentRecord};

/// At the end of Janus, a renewal that is under way gets this long.
const LAST: Duration = Duration::from_secs(10);
/// What may have been taken is sent once more after this.
const AGAIN: Duration = Duration::from_secs(1);

/// What is renewed.
pub(super) struct Subject {
    made: Arc<()>,
    began: Moment,
    generation: u64,
    /// `None`: a machine account, which has none.
    pub(super) refresh: Option<Arc<Secret>>,
    source: Source,
    /// The registration it was given to; `None` where the configuration has the client.
    registration: Option<Arc<str>>,
    pub(super) attempt: u32,
    /// What an earlier attempt brought may be lost.
    pub(super) interrupted: bool,
    /// The vault at its beginning.
    vault: u64,
}

/// The end of an attempt, however it ends.
struct Running(Arc<Grant>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.inner().running = false;
        self.0.changes();
    }
}

impl Grant {
    /// One renewal.
    pub(super) async fn attempt(self: Arc<Self>, pass: Pass) {
        let _running = Running(Arc::clone(&self));
        self.engine.mark(Point::RenewalBegins);
        let Some(subject) = self.subject() else {
            return;
        };
        let stopping = self.engine.means.stopping.clone();
        let cut_off = async {
            stopping.cancelled().await;
            tokio::time::sleep(LAST).await;
        };
        let outcome = tokio::select! {
            outcome = self.outcome(&subject) => outcome,
            // The intent stays: the next start knows.
            () = cut_off => return,
        };
        self.conclude(&subject, outcome, &pass).await;
        self.engine.mark(Point::RenewalEnds);
    }

    fn subject(&self) -> Option<Subject> {
        // Before anything is read of it.
        let vault = *self.engine.means.vault.changes().borrow();
        let inner = self.inner();
        let machine = self.settings().grant == GrantKind::ClientCredentials;
        let refresh = inner.secrets.refresh.clone();
        // How it stands may have changed since this was due.
        if refresh.is_none() && !machine || inner.life.phase() != Phase::Held {
            return None;
        }
        Some(Subject {
            made: Arc::clone(&inner.made),
            began: self.engine.now(),
            generation: inner.life.generation,
            refresh: refresh.filter(|_| !machine),
            source: inner.facts.source(),
            registration: inner.registration.clone(),
            attempt: inner.life.failures.saturating_add(1),
            interrupted: inner.life.interrupted,
            vault,
        })
    }

    async fn outcome(&self, subject: &Subject) -> Outcome {
        let asked = if let Some(refresh) = &subject.refresh {
            let refreshed = self.refresh(subject, refresh).await;
            refreshed.map(|(tokens, client)| (tokens, Some(Box::new(client))))
        } else {
            self.ask_as_machine(subject)
                .await
                .map(|tokens| (tokens, None))
        };
        match asked {
            Ok((tokens, client)) => Outcome::Renewed(tokens, client),
            Err(outcome) => outcome,
        }
    }

    /// The grant, if it is still the one that is renewed: a login, a logout or another configuration may have come
    /// between.
    fn still(&self, subject: &Subject) -> Option<MutexGuard<'_, Inner>> {
        let inner = self.inner();
        let same = Arc::ptr_eq(&inner.made, &subject.made);
        (same && inner.life.generation == subject.generation).then_some(inner)
    }

    /// Asks with a refresh token (RFC 6749, section 6).
    async fn refresh(
        &self,
        subject: &Subject,
        refresh: &Arc<Secret>,
    ) -> Result<(Tokens, Registration), Outcome> {
        let client = self.client().await.map_err(|why| no_client(why, subject))?;
        let mut source = subject.source.clone();
        self.engine.mark(Point::IntentNotWritten);
        self.intend(subject, refresh).await;
        self.engine.mark(Point::IntentWritten);
        let known = self.still(subject).ok_or(Outcome::Replaced)?.facts.method();
        let mut method = known.unwrap_or(client.method);
        let (mut other_tried, mut unclear_tried, mut stale_tried) = (false, false, false);
        loop {
            // What was waited for may have been long: nothing leaves for a grant that has ended.
            drop(self.still(subject).ok_or(Outcome::Replaced)?);
            let form = || {
                Form::new("refresh_token")
                    .with_secret("refresh_token", refresh)
                    .with_resource(&source)
            };
            let answer = self.ask(&client, method, &source, form()).await?;
            match answer {
                Answer::Tokens(tokens) => {
                    if other_tried && let Some(mut inner) = self.still(subject) {
                        inner.facts.set_method(method);
                    }
                    return Ok((tokens, client));
                }
                Answer::ClientGone(_) if !other_tried && other(method).is_some() => {
                    other_tried = true;
                    method = other(method).unwrap_or(method);
                }
                Answer::Unclear(said) if !unclear_tried => {
                    unclear_tried = true;
                    tracing::warn!(account = %self.account(), "{}", said.text);
                    tokio::time::sleep(AGAIN).await;
                }
                Answer::Stale(said) if !stale_tried => {
                    stale_tried = true;
                    let Some(found) = self.found_anew(&source).await else {
                        return Err(settled(said.text, subject.attempt));
                    };
                    let mut inner = self.still(subject).ok_or(Outcome::Replaced)?;
                    inner.facts.set_source(&found);
                    drop(inner);
                    source = found;
                }
                other => {
                    let outcome = refused(other, subject, &client);
                    return Err(self.displaced(outcome, (&source.issuer, &client.client_id)));
                }
            }
        }
    }

    /// Whether the provider ended the grant for the sake of another account's login.
    fn displaced(&self, outcome: Outcome, client: (&str, &str)) -> Outcome {
        let now = self.engine.now();
        match (
            outcome,
            self.engine.siblings().of(&self.account, client, now),
        ) {
            (
                Outcome::Needs {
                    reason: LoginReason::Rejected,
                    wipe,
                    said,
                },
                Some(sibling),
            ) => Outcome::Needs {
                reason: LoginReason::Displaced,
                wipe,
                said: format!("{said} ({sibling} logged in by the same client a moment ago)"),
            },
            (outcome, _) => outcome,
        }
    }

    /// Asks in the client's own name (RFC 6749, section 4.4).
    async fn ask_as_machine(&self, subject: &Subject) -> Result<Tokens, Outcome> {
        let settings = self.settings();
        let attempt = self.inner().life.failures.saturating_add(1);
        let Some(configured) = &settings.client else {
            return Err(settled(
                "`auth.oauth.client_id` is missing".to_owned(),
                attempt,
            ));
        };
        let known = self.inner().found.clone();
        // The configuration may name another one by now.
        let known = known.filter(|(source, _)| {
            let pinned = settings.issuer.as_ref();
            pinned.is_none_or(|pinned| is_same_issuer(pinned, &source.issuer))
        });
        let (mut source, wanted) = match known {
            Some(found) => found,
            None => self.found().await.map_err(|why| {
                Outcome::Failed(Failure {
                    failed: if attempt < SETTLED {
                        Failed::Passing
                    } else {
                        Failed::Settled
                    },
                    why,
                    wish: None,
                    unclear: false,
                    of: About::Nobody,
                    lacks: None,
                })
            })?,
        };
        let trusted = self.trust(&settings, &source).await;
        trusted.map_err(|why| Outcome::Failed(nobody(why)))?;
        let client = self.configured_client(configured, &source).await;
        let client = client.map_err(|why| Outcome::Failed(nobody(why)))?;
        // What it said when it refused somebody counts before what it lists.
        let challenged = self.challenge().as_ref().and_then(Challenge::scope);
        let wanted = challenged.map_or(wanted, |scope| {
            scope.split(' ').map(str::to_owned).collect()
        });
        let mut method = self.inner().facts.method().unwrap_or(client.method);
        let (mut other_tried, mut scoped, mut stale_tried) = (false, true, false);
        loop {
            drop(self.still(subject).ok_or(Outcome::Replaced)?);
            let form = client_credentials::form(&settings, &source, &wanted, scoped);
            match self.ask(&client, method, &source, form).await? {
                Answer::Tokens(tokens) => {
                    if let Some(mut inner) = self.still(subject) {
                        if other_tried {
                            inner.facts.set_method(method);
                        }
                        inner.found = Some((source, wanted));
                    }
                    return Ok(tokens);
                }
                Answer::ClientGone(_) if !other_tried && other(method).is_some() => {
                    other_tried = true;
                    method = other(method).unwrap_or(method);
                }
                Answer::Scope(_) if scoped => scoped = false,
                Answer::Stale(said) if !stale_tried => {
                    stale_tried = true;
                    let Some(found) = self.found_anew(&source).await else {
                        return Err(settled(said.text, attempt));
                    };
                    source = found;
                }
                answer => return Err(machine_refused(answer, configured, attempt)),
            }
        }
    }

    /// One request, and what its answer means.
    async fn ask(
        &self,
        client: &Registration,
        method: ClientAuthentication,
        source: &Source,
        form: Form,
    ) -> Result<Answer, Outcome> {
        let clock = &self.engine.means.clock;
        let key = match method {
            ClientAuthentication::PrivateKeyJwt => self.signing_key(client).await,
            _ => Ok(None),
        };
        let key = key.map_err(|why| Outcome::Failed(nobody(why)))?;
        let (endpoint, key) = (&source.token_endpoint, key.as_deref());
        let request = form.proven(endpoint, (client, method), key, clock.wall());
        let request = request.map_err(|why| {
            Outcome::Failed(Failure {
                failed: Failed::Settled,
                why: why.to_string(),
                wish: None,
                unclear: false,
                of: About::Nobody,
                lacks: None,
            })
        })?;
        self.engine.mark(Point::RequestNotSent);
        let sent = self.engine.network.send(request, &self.policy()).await;
        self.engine.mark(Point::AnswerCame);
        match sent {
            Ok(response) => {
                let (head, body) = response.into_parts();
                let body = zeroize::Zeroizing::new(body);
                Ok(token_response::read(
                    head.status,
                    &head.headers,
                    &body,
                    clock.wall(),
                ))
            }
            Err(why) => Err(Outcome::Failed(unreachable(&why))),
        }
    }

    /// Has it on the disk that the refresh token is about to leave.
    async fn intend(&self, subject: &Subject, refresh: &Arc<Secret>) {
        let intent = IntentRecord {
            account: self.account.clone(),
            generation: subject.generation,
            attempt: subject.attempt,
            token_hash: Sha256::digest(refresh.expose().as_bytes()).into(),
            began: self.engine.means.clock.wall(),
        };
        let store = self.engine.means.vault.store();
        if let Err(why) = store.write(Change::RefreshIntended(intent)).await {
            // A full disk must not end the service: what comes is kept beside it.
            tracing::warn!(account = %self.account, "a renewal begins without a note of it: {why}");
        }
    }

    async fn conclude(self: &Arc<Self>, subject: &Subject, outcome: Outcome, pass: &Pass) {
        let machine = subject.refresh.is_none();
        match outcome {
            Outcome::Renewed(tokens, client) => {
                pass.answered();
                if machine {
                    self.machine_renewed(subject, tokens);
                    return;
                }
                let committed = self.renewed(subject.generation, &tokens).await;
                if let (Committed::Replaced, Some(client)) = (committed, client) {
                    let network = &self.engine.network;
                    revoke(network, self, &client, &subject.source, &tokens).await;
                }
            }
            Outcome::Replaced => {
                if !machine {
                    self.nothing_is_intended();
                }
            }
            Outcome::Needs { reason, wipe, said } => {
                pass.answered();
                tracing::info!(account = %self.account, "the authorization server said: {said}");
                if reason == LoginReason::Registration && self.still(subject).is_some() {
                    self.forget_registration_of(subject).await;
                }
                self.needs(subject.generation, reason, wipe).await;
            }
            Outcome::Failed(failure) => self.failed(subject, &failure, pass),
        }
    }

    fn failed(&self, subject: &Subject, failure: &Failure, pass: &Pass) {
        let when = (subject.began, self.engine.now());
        match failure.of {
            About::Answered => pass.answered(),
            About::Silent => pass.failed(failure.failed, failure.wish, when),
            About::Nobody => {}
        }
        let first = {
            let Some(mut inner) = self.still(subject) else {
                return;
            };
            let Failure {
                failed, why, wish, ..
            } = failure;
            inner.life.fail(*failed, why.clone(), *wish, when);
            inner.life.lacks = failure.lacks.clone().map(|why| (why, subject.vault));
            inner.life.interrupted |= failure.unclear && subject.refresh.is_some();
            inner.life.failures == 1
        };
        if first {
            tracing::warn!(account = %self.account, "its token could not be renewed: {}", failure.why);
        } else {
            tracing::debug!(account = %self.account, "its token could still not be renewed: {}", failure.why);
        }
        if subject.refresh.is_some() && !failure.unclear && !subject.interrupted {
            self.nothing_is_intended();
        }
    }

    /// The note that a refresh token was about to leave counts no more.
    fn nothing_is_intended(&self) {
        let over = Change::RefreshOver(self.account.clone());
        self.engine.means.vault.store().note(over);
    }

    /// A machine account keeps its tokens in memory: it gets others without anybody.
    fn machine_renewed(&self, subject: &Subject, tokens: Tokens) {
        let Some(mut inner) = self.still(subject) else {
            tracing::info!(account = %self.account, "it is configured anew or ended by now; what came for it is dropped");
            return;
        };
        let keep = Duration::MAX;
        let now = self.engine.now();
        inner.life = Life::held(subject.generation + 1, true, tokens.life, keep, now);
        inner.facts.set_life(tokens.life, &self.engine.means.clock);
        inner.facts.scopes = tokens.scopes.unwrap_or_default();
        inner.facts.issuer = inner
            .found
            .as_ref()
            .map(|(source, _)| source.issuer.clone())
            .unwrap_or_default();
        inner.secrets.access = Some(tokens.access);
    }

    /// The authorization server does not know the client that asked. A later login may have another one.
    async fn forget_registration_of(&self, subject: &Subject) {
        // One that is kept for another authorization server is not its own.
        let own = self.registrations(&subject.source.issuer).into_iter();
        let ids = own
            .map(|record| record.id)
            .filter(|id| Some(id) == subject.registration.as_ref())
            .collect();
        if let Err(why) = self.engine.means.vault.forget_registrations(ids).await {
            tracing::warn!(account = %self.account, "its registration could not be forgotten: {why}");
        }
    }
}
