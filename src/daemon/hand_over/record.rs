//! What goes along, as text.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::credential::PrintedRecord;
use crate::daemon::bind::SocketsRecord;
use crate::downstream::ClientRecord;
use crate::handover::{Carried, Program};
use crate::telemetry::Recorded;
use crate::upstream::ChildRecord;

/// What every format says: enough to go back.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) format: u32,
    /// The version of the program that wrote it.
    pub(super) version: String,
    /// How often this process became another program.
    #[serde(default)]
    pub(super) lives: u64,
    /// That program, held open.
    pub(super) running: Carried,
    /// How it was started.
    pub(super) program: Program,
    /// Why the program that was installed did not take over, where this is the way back.
    pub(super) failed: Option<String>,
}

/// Everything.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    #[serde(flatten)]
    pub(super) head: Head,
    /// When Janus began to serve.
    pub(super) started: SystemTime,
    /// What it logged last.
    pub(super) recorded: Recorded,
    pub(super) sockets: SocketsRecord,
    /// The limit of open files that children get.
    pub(super) limit: Option<u64>,
    /// The lock of the state directory.
    pub(super) lock: Carried,
    pub(super) children: Vec<ChildRecord>,
    /// The tokens that commands have printed, by account.
    pub(super) printed: Vec<(String, Vec<PrintedRecord>)>,
    pub(super) clients: Vec<ClientRecord>,
}
