//! All that goes along is packed, and Janus becomes the other program.

use std::os::fd::OwnedFd;
use std::time::SystemTime;

use anyhow::Context as _;

use super::TAKES_OVER;
use super::came::Way;
use super::record::{Head, Record};
use crate::credential::PrintedRecord;
use crate::daemon::bind::{Sockets, SocketsRecord};
use crate::downstream::Downstream;
use crate::handover::{Carried, FORMAT, Luggage, Program, send};
use crate::process::{descriptor_limit_before, expect_the_next_within};
use crate::store::StateDirectory;
use crate::telemetry::recorded;
use crate::upstream::ChildRecord;

/// A process that is about to become another program.
#[derive(Debug)]
pub struct Leaving {
    program: Program,
    socket: OwnedFd,
}

/// What goes along, while it is collected.
#[derive(Debug)]
pub(in crate::daemon) struct Along {
    pub(in crate::daemon) luggage: Luggage,
    pub(in crate::daemon) children: Vec<ChildRecord>,
    pub(in crate::daemon) printed: Vec<(String, Vec<PrintedRecord>)>,
    started: SystemTime,
    sockets: SocketsRecord,
    lock: Carried,
    running: OwnedFd,
}

impl Along {
    /// What goes along in any case. It is opened when Janus starts, when nothing is lost if it cannot be; besides, the
    /// sockets are later in the hands of those who listen.
    ///
    /// # Errors
    /// Too many files are open.
    pub(in crate::daemon) fn of(
        sockets: &Sockets,
        state: &StateDirectory,
        started: SystemTime,
    ) -> anyhow::Result<Self> {
        let mut luggage = Luggage::default();
        Ok(Self {
            sockets: sockets.give(&mut luggage)?,
            lock: luggage.put(state.lock()?),
            running: Program::running().context("the program that runs cannot be opened")?,
            started,
            luggage,
            children: Vec::new(),
            printed: Vec::new(),
        })
    }

    /// Packs it, with the clients' connections that were at rest.
    ///
    /// # Errors
    /// The system refuses.
    pub(in crate::daemon) fn pack(
        mut self,
        program: Program,
        lives: u64,
        downstream: &Downstream,
    ) -> anyhow::Result<Leaving> {
        let luggage = &mut self.luggage;
        let record = Record {
            head: Head {
                format: FORMAT,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                lives: lives + 1,
                running: luggage.put(self.running),
                program: program.clone(),
                failed: None,
            },
            started: self.started,
            recorded: recorded(),
            sockets: self.sockets,
            limit: descriptor_limit_before(),
            lock: self.lock,
            children: self.children,
            printed: self.printed,
            clients: downstream.give(luggage),
        };
        let text = serde_json::to_vec(&record)?;
        Ok(Leaving {
            socket: send(&text, &self.luggage).context("it cannot be handed over")?,
            program,
        })
    }
}

impl Leaving {
    /// Becomes the other program. Returns only if neither it nor the one that runs can be started. No other thread may
    /// hold anything that must be finished.
    pub fn go(self) -> anyhow::Error {
        expect_the_next_within(TAKES_OVER);
        let failed = self.program.become_it(&self.socket);
        let path = self.program.path().display();
        match Way::receive() {
            Ok(way) => way
                .go_back(&format!("`{path}` cannot be started: {failed}"))
                .into(),
            Err(lost) => lost,
        }
    }
}
