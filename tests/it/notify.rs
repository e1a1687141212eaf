//! What Janus tells whoever started it (`sd_notify(3)`), word for word.

use std::os::unix::net::UnixDatagram;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Client, Era, Home, Janus, Output, PATIENCE, Process, until};

/// A Janus whose messages come here.
fn told(servers: &str) -> (Janus, Messages) {
    let home = Home::new(servers);
    let path = home.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let janus = Janus::start_in(home, |command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    (janus, Messages(socket))
}

struct Messages(UnixDatagram);

impl Messages {
    fn next(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.0.recv(&mut bytes).expect("a message in time");
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    /// The next message that is no mere status.
    fn step(&self) -> String {
        std::iter::repeat_with(|| self.next())
            .find(|said| !said.starts_with("STATUS="))
            .unwrap()
    }
}

/// A server that never says anything.
const MUTE: &str = "mute: { command: [sleep, \"600\"] }";

#[test]
fn it_is_ready_before_a_server_is_and_a_reload_is_one_also_when_the_file_is_refused() {
    let (janus, messages) = told(MUTE);
    let place = janus.url("").replace("http://", "");
    assert_eq!(
        messages.step(),
        format!("READY=1\nSTATUS=serving {place}; 1 account idle\n")
    );
    let good = std::fs::read_to_string(janus.home().config()).unwrap();
    for (text, ends) in [("servers: [".to_owned(), false), (good, true)] {
        std::fs::write(janus.home().config(), text).unwrap();
        janus.hang_up();
        let reloading = messages.step();
        let stamp = reloading
            .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
            .unwrap();
        assert!(stamp.trim().parse::<u64>().unwrap() > 0, "{reloading}");
        let ready = messages.step();
        assert!(
            ready.starts_with(&format!("READY=1\nSTATUS=serving {place}; 1 account ")),
            "{ready}"
        );
        assert_eq!(
            ready.contains("the earlier one stays in force"),
            !ends,
            "{ready}"
        );
        assert_eq!(ready.lines().count(), 2);
    }
}

#[tokio::test]
async fn the_end_is_told_first_and_then_that_it_goes_on() {
    let (janus, messages) = told(MUTE);
    assert!(messages.step().starts_with("READY=1\n"));
    // Somebody waits for an answer that does not come.
    let mut client = Client::open(janus.http(), "/mcp", Era::Legacy).await;
    let stream = client.listen(&[]).await;
    let process = Pid::from_raw(janus.id().try_into().unwrap()).unwrap();
    kill_process(process, Signal::TERM).unwrap();
    assert_eq!(
        messages.step(),
        "STOPPING=1\nSTATUS=stopping: calls in flight may finish\n"
    );
    assert_eq!(messages.step(), "EXTEND_TIMEOUT_USEC=5000000\n");
    drop(stream);
    let (ended, _) = janus.stop();
    assert!(ended.status.success(), "{ended:?}");
}

#[test]
fn a_hangup_before_it_serves_does_not_end_it() {
    let (_, home) = Janus::start("").stop();
    let state = home.path().join("state/janus");
    // The start waits for whoever looks into the database.
    let holds = rusqlite::Connection::open(state.join("janus.db")).unwrap();
    holds
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
        .unwrap();
    let mut command = home.command(&["serve", "--config"]);
    let mut janus = Process::start("janus serve", command.arg(home.config()));
    let process = janus.id().to_string();
    until("its lock on the state", || {
        let holder = std::fs::read_to_string(state.join("lock"));
        holder.is_ok_and(|holder| holder.trim() == process)
    });
    let id = Pid::from_raw(process.parse().unwrap()).unwrap();
    kill_process(id, Signal::HUP).unwrap();
    drop(holds);
    // It is what it was asked for that it does, as soon as it serves.
    for said in ["janus: ready on ", "the configuration was read again"] {
        janus.line(Output::Stderr, |line| line.contains(said).then_some(()));
    }
    janus.terminate();
    let ended = janus.finish();
    assert!(ended.status.success(), "{ended:?}");
}
