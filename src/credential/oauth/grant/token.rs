//! What a call gets of a grant: a token at once, or one that is waited for, or why there is none; and what the server said
//! of the one it got.
//!
//! Invariant: while a token is valid, nobody waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::state::{Answer, Phase, Verdict};
use super::{Grant, Inner, LoginReason, schedule};
use crate::credential::NoCredential;
use crate::credential::clock::Moment;
use crate::credential::oauth::login::Challenge;
use crate::model::Secret;

/// A call waits no longer for a new token, whatever its own limit is.
const PATIENCE: Duration = Duration::from_secs(30);

impl Grant {
    /// A token that is valid now; `None` where none is needed as far as is known: nobody has configured or made a
    /// login, and the server did not ask for one.
    ///
    /// # Errors
    /// Why there is none, and who must act.
    pub async fn token(&self) -> Result<Option<Arc<Secret>>, NoCredential> {
        if self.dormant.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.touch(self.engine.now());
        match self.at_once() {
            Some(answer) => answer,
            None => Box::pin(self.waited()).await,
        }
    }

    /// What can be said without waiting.
    fn at_once(&self) -> Option<Result<Option<Arc<Secret>>, NoCredential>> {
        let mut inner = self.inner();
        let answer = self.answer(&mut inner);
        let needs = |reason| Err(NoCredential::NeedsLogin { reason });
        Some(match answer {
            Answer::Token => Ok(inner.secrets.access.clone()),
            Answer::Nothing(reason) => {
                let needless = self.configured().optional && !inner.asked;
                if needless { Ok(None) } else { needs(reason) }
            }
            Answer::Person(reason) => needs(reason),
            Answer::Wait | Answer::Sealed => return None,
        })
    }

    /// How it stands, with what is in the vault opened where that is possible by now.
    pub(super) fn answer(&self, inner: &mut Inner) -> Answer {
        if inner.life.phase() == Phase::Sealed {
            self.open(inner);
        }
        if inner.life.ran_out(self.engine.now()) {
            self.needs_now(inner, LoginReason::Expired);
        }
        inner.life.answer(self.engine.now())
    }

    /// Waits for the vault, or for a renewal.
    async fn waited(&self) -> Result<Option<Arc<Secret>>, NoCredential> {
        if self.inner().life.phase() == Phase::Sealed {
            // Whatever comes of it, how it stands then counts.
            self.engine.means.vault.asked().await.ok();
        }
        let end = self.engine.now().after(PATIENCE);
        let mut changed = self.changed.subscribe();
        let _calling = Calling::begin(self);
        // A call that waits is worth more than one that may come.
        self.engine.wake.notify_one();
        loop {
            changed.mark_unchanged();
            if let Some(answer) = self.at_once() {
                return answer;
            }
            if let Some(why) = self.engine.means.vault.is_sealed()
                && self.inner().life.phase() == Phase::Sealed
            {
                return Err(NoCredential::Sealed(why));
            }
            if let Some(refusal) = self.no_token_before(end) {
                return Err(refusal);
            }
            tokio::select! {
                changed = changed.changed() => drop(changed),
                () = self.engine.means.clock.sleep_until(end) => {
                    return Err(self.no_token());
                }
                () = self.engine.means.stopping.cancelled() => return Err(self.no_token()),
            }
        }
    }

    /// What who waits is told where nothing will come of it in time.
    fn no_token_before(&self, end: Moment) -> Option<NoCredential> {
        let hopeless = {
            let inner = self.inner();
            let next = inner.life.waits_until(self.engine.now());
            // Nobody waits for a secret that only a person sets.
            let vault = *self.engine.means.vault.changes().borrow();
            let lacks = inner.life.lacks.as_ref();
            let lacks = lacks.is_some_and(|(_, seen)| *seen == vault);
            !inner.running && next.is_some_and(|next| lacks || next > end)
        };
        hopeless.then(|| self.no_token())
    }

    pub(super) fn no_token(&self) -> NoCredential {
        let inner = self.inner();
        if let Some((why, _)) = &inner.life.lacks {
            return why.clone();
        }
        let now = self.engine.now();
        let next = inner.life.waits_until(now);
        NoCredential::NoToken {
            host: self.host(&inner),
            why: inner
                .life
                .cause
                .clone()
                .unwrap_or_else(|| "it gave no answer yet".to_owned()),
            retry_in: next.map_or(0, |next| next.from(now).as_secs()),
        }
    }

    /// Of the authorization server, for people.
    pub(super) fn host(&self, inner: &Inner) -> String {
        let endpoint = match &inner.found {
            Some((found, _)) => found.token_endpoint.clone(),
            None => inner.facts.source().token_endpoint,
        };
        let host = endpoint.parse::<http::Uri>().ok();
        let host = host.as_ref().and_then(http::Uri::host);
        host.map_or_else(|| format!("of {}", self.account.server()), str::to_owned)
    }

    /// Whether `used` is the token at hand, and valid.
    pub fn is_fresh(&self, used: &Arc<Secret>) -> bool {
        if self.dormant.load(Ordering::Relaxed) {
            return Arc::ptr_eq(used, &self.nothing);
        }
        let now = self.engine.now();
        let inner = self.inner();
        let current = inner.secrets.access.as_ref();
        let fresh = current.is_some_and(|current| Arc::ptr_eq(current, used))
            && inner.life.answer(now) == Answer::Token;
        drop(inner);
        if fresh {
            self.touch(now);
        }
        fresh
    }

    /// Whether nothing is there and nothing was asked for: nothing is sent then.
    pub fn is_dormant(&self) -> bool {
        self.dormant.load(Ordering::Relaxed)
    }

    /// Stands for the token where [`Self::token`] has none.
    pub(in crate::credential) fn nothing(&self) -> &Arc<Secret> {
        &self.nothing
    }

    /// The server refused `used`. Whether there is a newer one by now: at most one renewal for all who ask.
    pub async fn refused(&self, used: &Arc<Secret>, status: u16) -> bool {
        let verdict = {
            let mut inner = self.inner();
            if self.answer(&mut inner) == Answer::Token
                && inner.secrets.access.as_ref() != Some(used)
            {
                // An older one: the call is repeated with what there is now.
                return true;
            }
            let is_current = inner.secrets.access.as_ref() == Some(used);
            let counts = match status {
                401 => true,
                // A missing permission, unless the server says that it means the token.
                _ => inner
                    .challenge
                    .as_ref()
                    .is_some_and(|said| said.status == status && said.refuses_token()),
            };
            if !is_current || !counts {
                return false;
            }
            let verdict = inner.life.refuse(self.engine.now());
            if verdict == Verdict::Person {
                self.needs_now(&mut inner, LoginReason::Expired);
            }
            verdict
        };
        self.changes();
        match verdict {
            Verdict::Final | Verdict::Person => false,
            Verdict::Renew => {
                let renewed = Box::pin(self.waited()).await;
                matches!(renewed, Ok(Some(token)) if token != *used)
            }
        }
    }

    /// The server said this with a 401 or 403: it is where the next login begins.
    pub fn challenged(&self, challenge: Challenge) {
        {
            let mut inner = self.inner();
            if challenge.status == 401 && matches!(inner.life.phase(), Phase::Absent(_)) {
                inner.asked = true;
            }
            if inner.challenge.as_ref() == Some(&challenge) {
                drop(inner);
                self.settle();
                return;
            }
            inner.challenge = Some(challenge);
        }
        self.changes();
    }

    /// A person wants what the server refused to be tried again, or it let somebody in.
    pub fn forget_refusal(&self) {
        // Every answer of a server comes by here.
        if self.dormant.load(Ordering::Relaxed) {
            return;
        }
        let asked = std::mem::take(&mut self.inner().asked);
        if asked {
            self.changes();
        }
    }

    /// What the server said last.
    pub fn challenge(&self) -> Option<Challenge> {
        self.inner().challenge.clone()
    }

    /// Somebody uses it. The first time after a while, something may be due.
    fn touch(&self, now: Moment) {
        let seconds = now.since_start().as_secs().max(1);
        let before = self.used.load(Ordering::Relaxed);
        if before == seconds {
            return;
        }
        self.used.store(seconds, Ordering::Relaxed);
        if before == 0 || seconds.saturating_sub(before) >= schedule::WARM.as_secs() {
            self.engine.wake.notify_one();
        }
    }

    /// When it was last used.
    pub(super) fn last_used(&self) -> Option<Moment> {
        let seconds = self.used.load(Ordering::Relaxed);
        (seconds > 0).then(|| Moment::of_start(Duration::from_secs(seconds)))
    }
}

/// A call that waits.
struct Calling<'a>(&'a Grant);

impl<'a> Calling<'a> {
    fn begin(grant: &'a Grant) -> Self {
        grant.inner().waiting += 1;
        Self(grant)
    }
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        let mut inner = self.0.inner();
        inner.waiting = inner.waiting.saturating_sub(1);
    }
}
