//! What came along from the program before, and the way back to it.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::SystemTime;
use std::{fmt, io};

use anyhow::Context as _;
use rustix::fs::{Mode, OFlags, open};
use rustix::stdio::dup2_stdin;
use zeroize::Zeroizing;

use super::TAKES_OVER;
use super::record::{Head, Record};
use crate::daemon::bind::Sockets;
use crate::downstream::{ClientRecord, Resumed};
use crate::handover::{FORMAT, Luggage, receive, send};
use crate::process::expect_the_next_within;
use crate::store::{StateDirectory, Unusable};
use crate::telemetry::go_on_after;
use crate::upstream::{ChildRecord, Upstream};

/// What came along.
#[derive(Debug)]
pub struct Came {
    record: Record,
    luggage: Luggage,
}

/// The way back, until Janus serves.
pub struct Way {
    /// It holds secrets.
    text: Zeroizing<Vec<u8>>,
    /// What came along, until it is used.
    luggage: Luggage,
    /// The same once more, with nothing of it open.
    again: OwnedFd,
    head: Head,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").finish_non_exhaustive()
    }
}

impl Way {
    /// Takes what the program before put on standard input.
    ///
    /// # Errors
    /// Nothing usable is there, not even the way back: this is no program that was handed anything.
    pub fn receive() -> anyhow::Result<Self> {
        let (text, luggage) = receive(rustix::stdio::stdin())
            .context("standard input holds nothing that an earlier Janus left")?;
        // Nobody else reads it, and a child would inherit it.
        let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        dup2_stdin(&null)?;
        let head: Head =
            serde_json::from_slice(&text).context("what an earlier Janus left cannot be read")?;
        let again = send(&text, &luggage).context("the way back cannot be kept")?;
        Ok(Self {
            text: Zeroizing::new(text),
            luggage,
            again,
            head,
        })
    }

    /// What came along, to be used, once. The way back keeps its own.
    ///
    /// # Errors
    /// It cannot be used, and the way back should be taken.
    pub fn came(&mut self) -> anyhow::Result<Came> {
        anyhow::ensure!(
            self.head.format == FORMAT,
            "it was handed things in format {}, and knows {FORMAT}",
            self.head.format
        );
        let record = serde_json::from_slice(&self.text).context("what came along is not whole")?;
        let luggage = std::mem::take(&mut self.luggage);
        Ok(Came { record, luggage })
    }

    /// Whether this is the way back already: the program that was installed did not take over, for this reason.
    pub fn failed(&self) -> Option<&str> {
        self.head.failed.as_deref()
    }

    /// The version of the program before.
    pub fn from(&self) -> &str {
        &self.head.version
    }

    /// How often this process became another program.
    pub fn lives(&self) -> u64 {
        self.head.lives
    }

    /// Becomes the program before again, which learns why. Returns only if that cannot be.
    pub fn go_back(mut self, why: &str) -> io::Error {
        if self.head.failed.is_some() {
            return io::Error::other("the earlier program cannot go on either");
        }
        let program = self.head.program.clone();
        // What was used is closed by now, and so is the rest.
        drop(std::mem::take(&mut self.luggage));
        expect_the_next_within(TAKES_OVER);
        match self.packed_again(why) {
            Ok((socket, running)) => program.go_back(&socket, &running),
            Err(error) => error,
        }
    }

    fn packed_again(self, why: &str) -> io::Result<(OwnedFd, OwnedFd)> {
        let (text, mut luggage) = receive(self.again.as_fd())?;
        let mut text: serde_json::Map<_, _> = serde_json::from_slice(&text)?;
        text.insert("failed".to_owned(), why.into());
        text.insert("lives".to_owned(), (self.head.lives + 1).into());
        let socket = send(&serde_json::to_vec(&text)?, &luggage)?;
        let running = luggage.take(self.head.running);
        Ok((socket, running.ok_or(io::ErrorKind::NotFound)?))
    }
}

impl Came {
    /// The state directory, with the lock that this process has.
    pub(in crate::daemon) fn state(
        &mut self,
        path: &std::path::Path,
    ) -> Result<StateDirectory, Unusable> {
        StateDirectory::adopt(path, self.luggage.take(self.record.lock))
    }

    /// When Janus began to serve.
    pub(in crate::daemon) fn started(&self) -> SystemTime {
        self.record.started
    }

    /// Its log goes on where it was.
    pub(in crate::daemon) fn resume_log(&mut self) {
        go_on_after(std::mem::take(&mut self.record.recorded));
    }

    /// The limit of open files that children get.
    pub(in crate::daemon) fn limit(&self) -> Option<u64> {
        self.record.limit
    }

    /// The sockets.
    ///
    /// # Errors
    /// One of them is lost.
    pub(in crate::daemon) fn sockets(&mut self) -> anyhow::Result<Sockets> {
        Sockets::resume(&self.record.sockets, &mut self.luggage)
    }

    /// Goes on with the processes. How many there are.
    pub(in crate::daemon) async fn children(&mut self, upstream: &Upstream) -> usize {
        upstream.adopt_printed(&std::mem::take(&mut self.record.printed));
        let children: Vec<ChildRecord> = std::mem::take(&mut self.record.children);
        upstream.adopt(children, &mut self.luggage).await
    }

    /// Clients' connections.
    pub(in crate::daemon) fn clients(&mut self) -> Vec<Resumed> {
        let clients: Vec<ClientRecord> = std::mem::take(&mut self.record.clients);
        let clients = clients.into_iter();
        clients
            .filter_map(|client| client.resume(&mut self.luggage))
            .collect()
    }
}
