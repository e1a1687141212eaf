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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::handover::FORMAT;

    /// A record with something in every place, and one of every kind.
    ///
    /// A program reads what one before it wrote, so that this changes together with [`FORMAT`] and never without it.
    const FORMAT_2: &str = r#"{
        "format": 2,
        "version": "0.1.0",
        "lives": 1,
        "running": 10,
        "program": {
            "path": {"Unix": [47, 106]},
            "arguments": [{"Unix": [115, 101, 114, 118, 101]}]
        },
        "failed": "it did not take over",
        "started": {"secs_since_epoch": 1764140000, "nanos_since_epoch": 5},
        "recorded": {
            "next": 8,
            "entries": [{
                "time": {"secs_since_epoch": 1764140001, "nanos_since_epoch": 6},
                "level": "WARN",
                "message": "login needed",
                "fields": {
                    "event": "login_needed",
                    "server": "github",
                    "account": "github/work",
                    "profile": "everyday",
                    "client": "editor",
                    "tool": "github__search",
                    "login": "7f3k9q",
                    "code": "needs_login"
                }
            }]
        },
        "sockets": {
            "tcp": [0],
            "unix": [1],
            "control": [2],
            "held": true,
            "own": [{"path": "/run/user/1000/janus/mcp.sock", "device": 1, "inode": 2}]
        },
        "limit": 1024,
        "lock": 3,
        "children": [
            {
                "account": "github/work",
                "key": "Shared",
                "fingerprint": [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1],
                "process": 4711,
                "pipes": [4, 5, 6],
                "unread": "eyI",
                "next_id": 9,
                "asked": true,
                "keeper": "s-1",
                "facts": "{}",
                "given": ["value"]
            },
            {
                "account": "github/work",
                "key": {"PerCapabilities": "{}"},
                "fingerprint": [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,2],
                "process": 4712,
                "pipes": [11, 12, 13],
                "unread": "",
                "next_id": 1,
                "asked": false,
                "keeper": null,
                "facts": "{}",
                "given": []
            },
            {
                "account": "github/work",
                "key": {"PerSession": ["s-1", "{}"]},
                "fingerprint": [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,3],
                "process": 4713,
                "pipes": [14, 15, 16],
                "unread": "",
                "next_id": 1,
                "asked": false,
                "keeper": null,
                "facts": "{}",
                "given": []
            },
            {
                "account": "github/work",
                "key": {"Lane": [1, "{}"]},
                "fingerprint": [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,4],
                "process": 4714,
                "pipes": [17, 18, 19],
                "unread": "",
                "next_id": 1,
                "asked": false,
                "keeper": null,
                "facts": "{}",
                "given": []
            }
        ],
        "printed": [["github/work", [{
            "command": "digest",
            "token": "token",
            "renew": {"secs": 7, "nanos": 8},
            "end": {"secs": 9, "nanos": 10}
        }]]],
        "clients": [{"tcp": true, "socket": 7, "read": "UE8"}]
    }"#;

    #[test]
    fn a_record_of_this_format_is_read_and_written_as_it_is() {
        let text: Value = serde_json::from_str(FORMAT_2).unwrap();
        let changed = "the record has changed: raise FORMAT, and bring this test's record up to it";
        assert_eq!(text["format"], FORMAT, "{changed}");
        let record: Record = serde_json::from_str(FORMAT_2).expect(changed);
        let written = serde_json::to_value(record).unwrap();
        assert_eq!(written, text, "{changed}");
        // Every format has as much as leads back.
        serde_json::from_str::<Head>(FORMAT_2).unwrap();
    }
}
