//! A process: its era is found on its own pipe, by what it makes of the first message.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::Failure;
use super::super::handshake::{Opened, initialize};
use super::super::key::Key;
use super::super::leg::Leg;
use super::super::probe::{Verdict, verdict};
use super::super::stdio;
use super::{Dial, Dialled, INBOX, whole};
use crate::credential::Given;
use crate::model::{Command, EraChoice, Secret};
use crate::protocol::{Envelope, Era, Events, Relayed, Revision, ServerFacts};

/// A process that says nothing for this long to its first message is taken for a legacy one that ignores what comes
/// before `initialize`. Servers that start slower lose nothing: a late answer still counts.
const SILENCE: Duration = Duration::from_secs(10);

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
    pub(super) async fn process(
        &self,
        command: &Command,
        own: &[(String, Arc<Secret>)],
        key: &Key,
    ) -> Result<Dialled, Failure> {
        let known = self.era();
        let (leg, inbox) = self.leg(command, own)?;
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
                let (leg, inbox) = self.leg(command, own)?;
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

    /// A new process.
    fn leg(
        &self,
        command: &Command,
        own: &[(String, Arc<Secret>)],
    ) -> Result<(Leg, mpsc::Receiver<Envelope>), Failure> {
        let (owner, inbox) = self.owner();
        let leg = stdio::Leg::start(owner, command, (&self.environment, own))?;
        Ok((Leg::Stdio(leg), inbox))
    }

    /// A process that an earlier program of this process started, with what it was given.
    pub(in crate::upstream) fn adopt(
        &self,
        command: &Command,
        away: stdio::GivenAway,
        given: &Given,
    ) -> Result<(Leg, mpsc::Receiver<Envelope>), Failure> {
        let (owner, inbox) = self.owner();
        let leg = stdio::Leg::adopt(owner, command, away, given.secrets())?;
        Ok((Leg::Stdio(leg), inbox))
    }

    /// Whose a process is, and where what it says unasked is heard.
    fn owner(&self) -> (stdio::Owner, mpsc::Receiver<Envelope>) {
        let (sender, inbox) = mpsc::channel(INBOX);
        let owner = stdio::Owner {
            account: self.account.clone(),
            timeout: self.server.timeout,
            inbox: sender,
            tasks: self.tasks.clone(),
        };
        (owner, inbox)
    }
}
