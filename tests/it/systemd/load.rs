//! Real clients at work while Janus is restarted, killed and upgraded: legacy ones with sessions and open streams, modern
//! ones, and those behind the shim. What is held to account is what they saw, and what their servers count.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::life::{another, can_hang, hang, kill};
use super::{drop_in, enabled};
use crate::support::{Fixture, Machine, Output, Process, scale};

/// One local server with two accounts, of which one is chosen, and a remote one.
const CONFIG: &str = r#"
servers:
  local:
    command: [python3, /usr/share/counting_server.py, --log, /home/tester/ran]
    era: legacy
    accounts: { ana: { args: [--as, ana] }, bob: { args: [--as, bob] } }
    default: ana
  remote: { url: "http://127.0.0.1:7400/mcp", era: modern }
"#;

/// Of each kind, those behind the shim in both eras.
const EACH: &str = "3";

/// What happens to Janus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disturbance {
    /// `systemctl --user restart`.
    Restart,
    /// `kill -9`.
    Kill,
    /// It stands still, and the watchdog ends it.
    Hang,
    /// Another file takes the program's name, and `janus reexec` goes on as it.
    Upgrade,
}

impl Disturbance {
    /// How often.
    fn times(self) -> usize {
        match self {
            Self::Restart => scale(50),
            Self::Kill => scale(20),
            Self::Hang => 2,
            Self::Upgrade => scale(20).max(3),
        }
    }

    /// What else the service needs for it.
    fn drop_in(self) -> &'static str {
        match self {
            // Longer than a busy machine lets a healthy one wait.
            Self::Hang => "WatchdogSec=4s\n",
            Self::Restart | Self::Kill | Self::Upgrade => "",
        }
    }

    /// It has happened, and Janus serves again, when this returns.
    fn happen(self, machine: &Machine) {
        match self {
            Self::Restart => drop(machine.systemctl(&["restart", "janus.service"])),
            Self::Kill => {
                let process = super::main_process(machine);
                kill(machine, "KILL");
                another(machine, &process);
            }
            Self::Hang => {
                let process = super::main_process(machine);
                hang(machine, "runtime");
                another(machine, &process);
            }
            Self::Upgrade => {
                let process = super::main_process(machine);
                // As package managers do it.
                machine.put(Path::new(env!("CARGO_BIN_EXE_janus")), "/usr/bin/janus");
                machine.done(&["janus", "reexec"]);
                assert_eq!(super::main_process(machine), process);
            }
        }
    }
}

/// What the servers wrote down.
#[derive(Debug, Default)]
struct Written {
    /// How often each call ran.
    runs: BTreeMap<String, usize>,
    /// How often a server was started.
    starts: usize,
}

impl Written {
    fn read(machine: &Machine) -> Self {
        let text = std::fs::read_to_string(machine.seen("~/ran")).unwrap();
        let mut written = Self::default();
        for line in text.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["ran", _, call] => *written.runs.entry(call.to_owned()).or_default() += 1,
                ["start", ..] => written.starts += 1,
                _ => panic!("{line}"),
            }
        }
        written
    }
}

/// Runs the clients, disturbs them, and gives what they and the servers tell.
fn disturbed(test: &str, disturbance: Disturbance) -> Option<(Value, Written)> {
    let machine = enabled(test, CONFIG)?;
    drop_in(
        &machine,
        &format!("[Service]\nRestartSec=50ms\n{}", disturbance.drop_in()),
    );
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/counting_server.py");
    machine.put(&server, "/usr/share/counting_server.py");
    machine.put(&Fixture::steady(), "/usr/bin/steady-client");
    let words = [
        "--http",
        "7400",
        "--as",
        "remote",
        "--log",
        "/home/tester/ran",
    ];
    let words = [&["python3", "/usr/share/counting_server.py"], &words[..]].concat();
    let mut remote = Process::start("the remote server", &mut machine.command(&words));
    remote.line(Output::Stdout, |line| (line == "listening").then_some(()));

    let words = ["steady-client", "127.0.0.1:7332", EACH];
    let mut clients = Process::start("steady-client", &mut machine.command(&words));
    clients.line(Output::Stdout, |line| (line == "steady").then_some(()));
    for _ in 0..disturbance.times() {
        disturbance.happen(&machine);
        clients.say("go on");
        clients.line(Output::Stdout, |line| (line == "went on").then_some(()));
    }
    clients.close_stdin();
    let ended = clients.finish();
    let told = ended.stdout.lines().last().unwrap_or_default();
    let told: Value = serde_json::from_str(told).unwrap_or_else(|_| panic!("{}", ended.stderr));
    let problems = told["problems"].as_array().unwrap();
    assert!(
        problems.is_empty(),
        "{problems:#?}\n{}\n{}",
        ended.stderr,
        machine.journal()
    );
    Some((told, Written::read(&machine)))
}

/// The outcomes, and how many calls had each: those that never ran, those that ran once, those that ran again.
fn outcomes(told: &Value, written: &Written) -> BTreeMap<String, [usize; 3]> {
    let mut counts: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    for (call, outcome) in told["calls"].as_object().unwrap() {
        let kind = if call.starts_with("shim") {
            "shim"
        } else {
            "http"
        };
        let name = format!("{kind} {}", outcome.as_str().unwrap());
        let ran = written.runs.get(call).copied().unwrap_or_default();
        counts.entry(name).or_default()[ran.min(2)] += 1;
    }
    counts
}

/// Nothing ran twice; what has a result ran, and what says that nothing was sent did not. Through the shim every call
/// has an answer.
fn hold_true(counts: &BTreeMap<String, [usize; 3]>) {
    for (outcome, [never, once, again]) in counts {
        assert_eq!(*again, 0, "{counts:?}");
        match outcome.split_once(' ').unwrap() {
            (_, "Ran") => assert_eq!(*never, 0, "{counts:?}"),
            (_, "Unsent") => assert_eq!(*once, 0, "{counts:?}"),
            ("shim", "Broken") => panic!("{counts:?}"),
            _ => {}
        }
    }
    for kind in ["http Ran", "shim Ran"] {
        assert!(counts[kind][1] > 20, "{counts:?}");
    }
}

#[test]
fn restarts_lose_no_session_and_no_answer() {
    let test = "restarts_lose_no_session_and_no_answer";
    let Some((told, written)) = disturbed(test, Disturbance::Restart) else {
        return;
    };
    let counts = outcomes(&told, &written);
    hold_true(&counts);
    // What began is answered; all that a client may see is that its connection ended before it said anything.
    for (outcome, [_, once, _]) in &counts {
        assert!(outcome.ends_with("Ran") || *once == 0, "{counts:?}");
    }
    assert!(!counts.contains_key("shim Unsent"), "{counts:?}");
}

#[test]
fn kills_lose_no_session_and_leave_no_call_without_a_word() {
    let test = "kills_lose_no_session_and_leave_no_call_without_a_word";
    let Some((told, written)) = disturbed(test, Disturbance::Kill) else {
        return;
    };
    hold_true(&outcomes(&told, &written));
}

#[test]
fn hangs_that_the_watchdog_ends_lose_no_session_and_leave_no_call_without_a_word() {
    let test = "hangs_that_the_watchdog_ends_lose_no_session_and_leave_no_call_without_a_word";
    if !can_hang(test) {
        return;
    }
    let Some((told, written)) = disturbed(test, Disturbance::Hang) else {
        return;
    };
    hold_true(&outcomes(&told, &written));
}

#[test]
fn upgrades_fail_no_call_and_restart_no_server() {
    let test = "upgrades_fail_no_call_and_restart_no_server";
    let Some((told, written)) = disturbed(test, Disturbance::Upgrade) else {
        return;
    };
    let counts = outcomes(&told, &written);
    hold_true(&counts);
    assert_eq!(counts.len(), 2, "{counts:?}");
    // The remote one, and the local one for each of its accounts.
    assert_eq!(written.starts, 3);
}
