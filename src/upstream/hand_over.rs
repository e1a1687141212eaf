//! The processes of accounts go along when Janus becomes another program; what is remote is dialled again.
//!
//! Invariants:
//! - A process goes on for the account, the client and the values it was started for, or ends.
//! - Ids go on from where they were: a late answer to an old request is nobody's.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::time::{sleep, timeout};

use super::account::Account;
use super::connection::Connection;
use super::dial::Dialled;
use super::key::{Key, KeyRecord};
use super::leg::Leg;
use super::stdio::GivenAway;
use super::{State, Upstream, snapshot};
use crate::credential::{Given, PrintedRecord};
use crate::handover::{Carried, Luggage};
use crate::model::{AccountId, Endpoint};
use crate::process::{Pipes, Process};

/// For a session to be given back: clients wait until this is done.
const FAREWELL: Duration = Duration::from_secs(2);
/// What still waits for an answer was given up a moment ago.
const LAST_MOMENT: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(5);

/// A process that goes along.
#[derive(Serialize, Deserialize)]
pub struct ChildRecord {
    account: String,
    key: KeyRecord,
    /// What it was started from.
    fingerprint: [u8; 32],
    process: i32,
    pipes: [Carried; 3],
    /// What it wrote of a line that has not ended.
    #[serde(with = "crate::handover::bytes")]
    unread: Vec<u8>,
    next_id: u64,
    asked: bool,
    /// The session that the shared process belongs to, if it does.
    keeper: Option<String>,
    /// What it said of itself.
    facts: String,
    /// The values of its account's credential it was started with.
    given: Vec<String>,
}

impl fmt::Debug for ChildRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut record = f.debug_struct("ChildRecord");
        record
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl Upstream {
    /// How many requests of clients wait at each account.
    pub fn in_flight(&self) -> Vec<(AccountId, usize)> {
        let accounts = self.accounts();
        let waiting = accounts.iter().map(|(id, account)| {
            let slots = account.slots();
            let standing = slots.iter().filter_map(|slot| slot.standing());
            (id.clone(), standing.map(|one| one.leg.calls()).sum())
        });
        waiting.filter(|(_, count)| *count > 0).collect()
    }

    /// Resolves when no process is being started.
    pub async fn started(&self) {
        let accounts = self.accounts();
        let local =
            |account: &&Arc<Account>| matches!(account.dial.endpoint(), Endpoint::Process(_));
        for account in accounts.values().filter(local) {
            let mut state = account.state.subscribe();
            let begun = state.wait_for(|state| !matches!(state, State::Connecting));
            // One that is gone is not being started either.
            drop(begun.await);
        }
    }

    /// Ends what is remote and lets the processes run on for the program that Janus becomes.
    pub async fn give(&self, luggage: &mut Luggage) -> Vec<ChildRecord> {
        self.0.ground.shutdown.cancel();
        let accounts = self.accounts();
        let standing: Vec<(Arc<Account>, Arc<Connection>)> = accounts
            .values()
            .flat_map(|account| {
                let slots = account.slots();
                let standing = slots.into_iter().filter_map(|slot| slot.close());
                standing
                    .map(|connection| (Arc::clone(account), connection))
                    .collect::<Vec<_>>()
            })
            .collect();
        // One that takes its time, such as a remote server that is asked to end a session, keeps nobody from going along.
        let each = |(_, connection): &(_, Arc<Connection>)| {
            let connection = Arc::clone(connection);
            async move { timeout(FAREWELL, given(&connection)).await.ok().flatten() }
        };
        let given = join_all(standing.iter().map(each)).await;
        standing
            .iter()
            .zip(given)
            .filter_map(|((account, connection), away)| record(account, connection, away?, luggage))
            .collect()
    }

    /// The tokens that commands have printed, by account.
    pub fn printed(&self) -> Vec<(String, Vec<PrintedRecord>)> {
        let accounts = self.accounts();
        let printed = accounts
            .iter()
            .map(|(id, account)| (id.to_string(), account.dial.credential.printed()));
        printed.filter(|(_, printed)| !printed.is_empty()).collect()
    }

    /// Goes on with the tokens that commands printed for the program before; before [`Upstream::adopt`], which compares
    /// what processes were given with what counts.
    pub fn adopt_printed(&self, printed: &[(String, Vec<PrintedRecord>)]) {
        for account in self.accounts().values() {
            let id = account.id().to_string();
            let own = printed.iter().filter(|(of, _)| *of == id);
            own.for_each(|(_, printed)| account.dial.credential.go_on_with(printed));
        }
    }

    /// Goes on with processes that the program before had; before [`Upstream::start`]. How many there are.
    pub async fn adopt(&self, children: Vec<ChildRecord>, luggage: &mut Luggage) -> usize {
        let mut adopted = 0;
        for child in children {
            let (id, leader) = (child.account.clone(), child.process);
            match self.adopt_one(child, luggage).await {
                Ok(()) => adopted += 1,
                Err(why) => {
                    tracing::warn!(account = id, "its process did not go along: {why}");
                    // It may not mind that its input ended, and nobody else would see to its end.
                    if let Ok(mut process) = Process::adopt(leader) {
                        process.reap().await;
                    }
                }
            }
        }
        adopted
    }

    async fn adopt_one(&self, child: ChildRecord, luggage: &mut Luggage) -> Result<(), String> {
        let away = away(&child, luggage)?;
        let account = self
            .accounts()
            .values()
            .find(|account| account.id().to_string() == child.account)
            .cloned()
            .ok_or("the account is not in the configuration any more")?;
        account.adopt(child, away).await
    }
}

impl Account {
    async fn adopt(self: &Arc<Self>, child: ChildRecord, away: GivenAway) -> Result<(), String> {
        let Endpoint::Process(command) = self.dial.endpoint() else {
            return Err("the account is no process any more".to_owned());
        };
        let facts = snapshot::facts(&child.facts).ok_or("what it said of itself is lost")?;
        let key = Key::of_record(child.key).ok_or("whose it was is lost")?;
        let given = Given::of(child.given);
        let dialled = self.dial.adopt(command, away, &given);
        let (leg, inbox) = dialled.map_err(|failure| failure.reason())?;
        if child.fingerprint != self.dial.fingerprint() {
            leg.end().await;
            return Err("it is started in another way now".to_owned());
        }
        if let Leg::Stdio(leg) = &leg {
            leg.duplex().go_on(child.next_id, child.asked);
        }
        if child.asked {
            self.go_on_asked(child.keeper.map(Into::into));
        }
        let dialled = Dialled {
            leg,
            facts: Arc::new(facts),
            inbox,
        };
        self.stand_adopted(key, (dialled, given)).await;
        Ok(())
    }
}

/// Its process, if it has one and it can go along; everything else is ended.
async fn given(connection: &Connection) -> Option<GivenAway> {
    let Leg::Stdio(leg) = &connection.leg else {
        connection.leg.end().await;
        return None;
    };
    // Who listened has stopped, and the server is told so.
    let quiet = async {
        while leg.duplex().in_flight() > 0 {
            sleep(LOOK).await;
        }
    };
    if timeout(LAST_MOMENT, quiet).await.is_err() {
        leg.duplex().stop().await;
        return None;
    }
    leg.give().await
}

fn record(
    account: &Account,
    connection: &Connection,
    away: GivenAway,
    luggage: &mut Luggage,
) -> Option<ChildRecord> {
    let Pipes {
        stdin,
        stdout,
        stderr,
    } = away.pipes;
    // They stay as they are: the next program expects pipes that do not block.
    let stdin: OwnedFd = stdin.into_nonblocking_fd().ok()?;
    let stdout = stdout.into_nonblocking_fd().ok()?;
    let stderr = stderr.into_nonblocking_fd().ok()?;
    Some(ChildRecord {
        account: account.id().to_string(),
        key: connection.key.record(),
        fingerprint: account.dial.fingerprint(),
        process: away.process,
        pipes: [luggage.put(stdin), luggage.put(stdout), luggage.put(stderr)],
        unread: away.unread.to_vec(),
        next_id: connection.leg.next_id(),
        asked: connection.leg.asked(),
        keeper: account.keeper(),
        facts: snapshot::facts_text(&connection.facts),
        given: connection.given.values(),
    })
}

fn away(child: &ChildRecord, luggage: &mut Luggage) -> Result<GivenAway, String> {
    let [stdin, stdout, stderr] = child.pipes.map(|place| luggage.take(place));
    let lost = || "a pipe is lost".to_owned();
    let broken = |error: std::io::Error| format!("a pipe is broken: {error}");
    let pipes = Pipes {
        stdin: Sender::from_owned_fd(stdin.ok_or_else(lost)?).map_err(broken)?,
        stdout: Receiver::from_owned_fd(stdout.ok_or_else(lost)?).map_err(broken)?,
        stderr: Receiver::from_owned_fd(stderr.ok_or_else(lost)?).map_err(broken)?,
    };
    Ok(GivenAway {
        process: child.process,
        pipes,
        unread: Bytes::copy_from_slice(&child.unread),
    })
}
