//! A command that prints tokens, kept in step with what they say of their end.
//!
//! Invariants:
//! - One run at a time, for all who wait; it goes on when they go away.
//! - While a token is valid, nobody waits, and a command that fails harms nobody.

mod format;
mod run;

use std::ffi::OsString;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::format::{End, Printed};
use super::clock::{Clock, Moment};
use super::error::NoCredential;
use super::hand_over::PrintedRecord;
use crate::model::{Helper, Secret, hex};
use crate::telemetry::learn;

/// A token is renewed this much of its life before its end, but not earlier than [`MOST_EARLY`].
const EARLY: u32 = 10;
const MOST_EARLY: Duration = Duration::from_mins(1);
/// Pauses after failures double up to this.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// A token, and for how long it is one.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) secret: Arc<Secret>,
    /// Counts the values.
    pub(super) generation: u64,
    /// From here on a newer one is fetched, while this one still serves.
    pub(super) renew: Option<Moment>,
    /// From here on it is none.
    pub(super) end: Option<Moment>,
}

type Outcome = Result<Token, NoCredential>;

/// The command of one account.
pub(super) struct Source(Arc<Inner>);

struct Inner {
    helper: Arc<Helper>,
    environment: Arc<[(String, OsString)]>,
    clock: Clock,
    tasks: TaskTracker,
    stopping: CancellationToken,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// The run under way; it tells what it brought.
    running: Option<watch::Receiver<Option<Outcome>>>,
    failures: u32,
    /// The last failure, and until when it is the answer.
    failed: Option<(NoCredential, Moment)>,
    /// The value that a 403 already had renewed in vain.
    forbidden: Option<u64>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("program", &self.program())
            .finish_non_exhaustive()
    }
}

impl Source {
    pub(super) fn new(
        helper: Arc<Helper>,
        environment: Arc<[(String, OsString)]>,
        clock: Clock,
        (tasks, stopping): (TaskTracker, CancellationToken),
    ) -> Self {
        helper.pass_env.iter().for_each(|(_, value)| learn(value));
        Self(Arc::new(Inner {
            helper,
            environment,
            clock,
            tasks,
            stopping,
            state: Mutex::default(),
        }))
    }

    /// Whether what it prints is good for one use.
    pub(super) fn is_once(&self) -> bool {
        self.0.helper.ttl.is_zero()
    }

    /// Its program, for people.
    pub(super) fn program(&self) -> &str {
        self.0.program()
    }

    /// A token that is valid now.
    pub(super) async fn token(&self) -> Outcome {
        let run = {
            let mut state = self.0.state();
            let now = self.0.clock.now();
            if let Some(token) = state.valid(now) {
                if token.renew.is_some_and(|renew| renew <= now) && !state.pauses(now) {
                    self.0.start(&mut state);
                }
                return Ok(token);
            }
            match &state.failed {
                Some((failure, until)) if *until > now && state.running.is_none() => {
                    return Err(failure.clone());
                }
                _ => self.0.start(&mut state),
            }
        };
        outcome(run, self.program()).await
    }

    /// Runs the command, unless it is running, and waits for what that brings.
    pub(super) async fn renew(&self) -> Outcome {
        let run = {
            let mut state = self.0.state();
            self.0.start(&mut state)
        };
        outcome(run, self.program()).await
    }

    /// The token at hand, without running anything.
    pub(super) fn held(&self) -> Option<Token> {
        self.0.state().token.clone()
    }

    /// Whether there is a newer value than the one of `generation`, which the server refused. The command is run for
    /// it, once for all who ask; after a 403 at most once for each value.
    pub(super) async fn renewed(&self, generation: u64, status: u16) -> bool {
        let run = {
            let mut state = self.0.state();
            if state
                .token
                .as_ref()
                .is_none_or(|token| token.generation != generation)
                && state.running.is_none()
            {
                return state.token.is_some();
            }
            if status == 403 && state.forbidden == Some(generation) {
                return false;
            }
            self.0.start(&mut state)
        };
        let newer = outcome(run, self.program())
            .await
            .is_ok_and(|token| token.generation != generation);
        if status == 403 && !newer {
            self.0.state().forbidden = Some(generation);
        }
        newer
    }

    /// Whether this is the token at hand, valid, and not due to be renewed.
    pub(super) fn is_fresh(&self, used: &Arc<Secret>) -> bool {
        let state = self.0.state();
        let now = self.0.clock.now();
        let valid = state.valid(now);
        valid.is_some_and(|token| Arc::ptr_eq(&token.secret, used))
            && state.due(now).is_none_or(|due| !due.is_zero())
    }

    /// How long until it is worth looking for a newer token.
    pub(super) fn due(&self) -> Option<Duration> {
        self.0.state().due(self.0.clock.now())
    }

    /// The token at hand, for the next program; `None` for one that is good for one use.
    pub(super) fn record(&self) -> Option<PrintedRecord> {
        let token = self.held().filter(|_| !self.is_once())?;
        Some(PrintedRecord {
            command: digest(&self.0.helper),
            token: token.secret.expose().to_owned(),
            renew: token.renew,
            end: token.end,
        })
    }

    /// Goes on with the token of this command among these, unless it has run already.
    pub(super) fn go_on_with(&self, printed: &[PrintedRecord]) {
        let command = digest(&self.0.helper);
        let Some(record) = printed.iter().find(|record| record.command == command) else {
            return;
        };
        let secret = Arc::new(Secret::new(record.token.as_str()));
        learn(&secret);
        self.0.state().token.get_or_insert(Token {
            secret,
            generation: 1,
            renew: record.renew,
            end: record.end,
        });
    }

    /// How long the token at hand is valid, where it ends.
    pub(super) fn left(&self) -> Option<Duration> {
        let state = self.0.state();
        Some(state.token.as_ref()?.end?.from(self.0.clock.now()))
    }
}

/// All that makes a command print what it prints, as far as the configuration says.
fn digest(helper: &Helper) -> String {
    let Helper {
        argv,
        format,
        ttl,
        pointer,
        expiry_pointer,
        timeout: _,
        pass_env,
        input,
    } = helper;
    let passed: Vec<_> = pass_env
        .iter()
        .map(|(name, value)| (name, value.expose()))
        .collect();
    let all = format!(
        "{:?}",
        (argv, format, ttl, pointer, expiry_pointer, passed, input)
    );
    hex(&Sha256::digest(all))
}

/// What a run brings.
async fn outcome(mut run: watch::Receiver<Option<Outcome>>, program: &str) -> Outcome {
    let ended = run.wait_for(Option::is_some).await;
    let outcome = ended.ok().and_then(|outcome| outcome.clone());
    // A run that ends without a word was cut off.
    outcome.unwrap_or_else(|| Err(NoCredential::helper(program, "Janus is stopping")))
}

impl State {
    fn valid(&self, now: Moment) -> Option<Token> {
        self.token
            .clone()
            .filter(|token| token.end.is_none_or(|end| end > now))
    }

    fn due(&self, now: Moment) -> Option<Duration> {
        let renew = self.token.as_ref()?.renew?;
        let pause = self.failed.as_ref().map(|(_, until)| *until);
        Some(pause.map_or(renew, |pause| renew.max(pause)).from(now))
    }

    fn pauses(&self, now: Moment) -> bool {
        self.failed.as_ref().is_some_and(|(_, until)| *until > now)
    }
}

impl Inner {
    fn program(&self) -> &str {
        self.helper.argv.first().map_or("", String::as_str)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run under way, or a new one.
    fn start(self: &Arc<Self>, state: &mut State) -> watch::Receiver<Option<Outcome>> {
        if let Some(running) = &state.running {
            return running.clone();
        }
        let (tell, running) = watch::channel(None);
        state.running = Some(running.clone());
        let inner = Arc::clone(self);
        self.tasks.spawn(async move {
            // Dropping it ends the command with all that it started.
            let printed = tokio::select! {
                printed = inner.print() => printed,
                () = inner.stopping.cancelled() => Err("Janus is stopping".to_owned()),
            };
            let outcome = inner.took(printed);
            tell.send_replace(Some(outcome));
        });
        running
    }

    async fn print(&self) -> Result<Printed, String> {
        let output = run::run(&self.helper, &self.environment).await?;
        format::read(&output, &self.helper)
    }

    /// Takes over what a run brought.
    fn took(&self, printed: Result<Printed, String>) -> Outcome {
        let now = self.clock.now();
        let printed = printed.and_then(|printed| {
            let life = self.life(&printed);
            if life == Some(Duration::ZERO) && printed.end != End::Unknown {
                return Err("its token has expired already".to_owned());
            }
            Ok((printed, life))
        });
        let mut state = self.state();
        state.running = None;
        match printed {
            Ok((printed, life)) => {
                let before = state.token.as_ref();
                let same =
                    before.is_some_and(|token| token.secret.expose() == printed.token.as_str());
                let generation = before.map_or(1, |token| token.generation + u64::from(!same));
                let secret = match before {
                    Some(token) if same => Arc::clone(&token.secret),
                    _ => Arc::new(Secret::new(printed.token.as_str())),
                };
                let early = |life: Duration| life.saturating_sub((life / EARLY).min(MOST_EARLY));
                let token = Token {
                    secret,
                    generation,
                    renew: life.map(|life| now.after(early(life))),
                    end: life.map(|life| now.after(life)),
                };
                state.failures = 0;
                state.failed = None;
                learn(&token.secret);
                state.token = Some(token.clone());
                Ok(token)
            }
            Err(why) => {
                let failure = NoCredential::helper(self.program(), &why);
                let pause = Duration::from_secs(1 << state.failures.min(6)).min(LONGEST_PAUSE);
                state.failures = state.failures.saturating_add(1);
                state.failed = Some((failure.clone(), now.after(pause)));
                if state.failures == 1 {
                    tracing::warn!("{failure}");
                } else {
                    tracing::debug!(failures = state.failures, "{failure}");
                }
                Err(failure)
            }
        }
    }

    /// How long a token is one; `None` for ever.
    fn life(&self, printed: &Printed) -> Option<Duration> {
        match printed.end {
            End::Unknown => Some(self.helper.ttl),
            End::Never => None,
            End::In(life) => Some(life),
            End::At(time) => Some(time.duration_since(self.clock.wall()).unwrap_or_default()),
        }
    }
}
