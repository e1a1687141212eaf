//! A Janus that cannot start says why to everybody who waits for it: at its sockets, and to the service manager.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

use crate::support::{Ended, Home, PATIENCE, Process};

const ASKS: &str = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;

/// What they were told.
struct Told {
    ended: Ended,
    /// The answer of the socket.
    status: u16,
    error: Value,
    /// What the service manager shows.
    line: String,
    all: String,
}

/// Starts it with a socket at which a client waits already.
fn start(home: &Home, change: impl FnOnce(&mut Command)) -> Told {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        client,
        "POST /mcp HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\ncontent-length: {}\r\n\r\n{ASKS}",
        ASKS.len()
    )
    .unwrap();
    let path = home.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_nonblocking(true).unwrap();

    // As the manager does it: the socket is the fourth descriptor of a process that knows its own number.
    let script = r#"export LISTEN_PID=$$; exec "$0" "$@" 3<&0 </dev/null"#;
    let janus = home.command(&["serve", "--config"]);
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", script])
        .arg(janus.get_program())
        .args(janus.get_args())
        .arg(home.config())
        .env_clear()
        .envs(
            janus
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", "mcp")
        .env("NOTIFY_SOCKET", &path)
        .current_dir(home.path());
    change(&mut command);
    let process = Process::start_with("janus serve", &mut command, OwnedFd::from(listener));
    // With it goes our own hold on the socket.
    drop(command);
    let mut answer = String::new();
    let read = client.read_to_string(&mut answer);
    let ended = process.finish();
    assert!(read.is_ok(), "{read:?}: {ended:?}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let mut said = Vec::new();
    let mut bytes = [0; 4096];
    while let Ok(length) = manager.recv(&mut bytes) {
        said.push(String::from_utf8(bytes[..length].to_vec()).unwrap());
    }
    fs::remove_file(&path).unwrap();
    let line = said
        .iter()
        .rev()
        .find_map(|said| said.strip_prefix("STATUS="));
    Told {
        status: head
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse().ok())
            .unwrap_or_default(),
        error: serde_json::from_str(body).unwrap_or_default(),
        line: line.unwrap_or_default().trim_end().to_owned(),
        all: said.concat(),
        ended,
    }
}

impl Told {
    /// All of them were told this, with this command.
    fn says(&self, exit: i32, code: &str, what: &str, help: &str) {
        let Self {
            ended,
            status,
            error,
            line,
            ..
        } = self;
        let shown = format!("{status} {error}\n{line}\n{ended:?}");
        assert_eq!(ended.status.code(), Some(exit), "{shown}");
        assert_eq!(*status, 503, "{shown}");
        assert_eq!(error["id"], 7, "{shown}");
        assert_eq!(error["error"]["data"]["code"], code, "{shown}");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("Janus cannot start"), "{shown}");
        assert!(line.starts_with("did not start: "), "{shown}");
        for said in [message, line] {
            assert!(said.contains(what), "{shown}");
            assert!(said.ends_with(&format!("; run: {help}")), "{shown}");
        }
        assert!(ended.stderr.contains(what), "{shown}");
    }
}

fn look_at(path: &Path) -> String {
    format!("ls -ld '{}'", path.display())
}

fn home() -> Home {
    Home::new("{}")
}

#[test]
fn what_a_person_wrote_is_wrong() {
    let wrong = home();
    fs::write(wrong.config(), "servers: [\n").unwrap();
    let told = start(&wrong, |_| {});
    told.says(
        78,
        "config_invalid",
        "config/janus.yaml:",
        "janus config validate",
    );
    let told = start(&home(), |command| {
        command.env("JANUS_LOG", "janus=loud");
    });
    let help = "JANUS_LOG=warn,janus=debug janus serve";
    told.says(78, "config_invalid", "`JANUS_LOG` cannot be read", help);
}

#[test]
fn the_state_is_unusable() {
    // Something else is where the directory of the state should be.
    let other = home();
    let state = other.path().join("state");
    fs::remove_dir(&state).unwrap();
    fs::write(&state, "").unwrap();
    let told = start(&other, |_| {});
    let directory = state.join("janus");
    told.says(78, "cannot_start", "cannot be used", &look_at(&directory));
    assert!(told.line.contains("Not a directory"), "{}", told.line);
    let number = rustix::io::Errno::NOTDIR.raw_os_error();
    assert!(
        told.all.contains(&format!("ERRNO={number}\n")),
        "{}",
        told.all
    );

    let damaged = home();
    let directory = damaged.path().join("state/janus");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    let database = directory.join("janus.db");
    fs::write(
        &database,
        "this is no database at all, and never was one".repeat(100),
    )
    .unwrap();
    fs::set_permissions(&database, fs::Permissions::from_mode(0o600)).unwrap();
    let told = start(&damaged, |_| {});
    let (database, help) = (
        database.display(),
        format!("mv '{0}' '{0}.damaged'", database.display()),
    );
    told.says(
        78,
        "cannot_start",
        &format!("`{database}` is damaged"),
        &help,
    );
}

#[test]
fn another_process_has_the_state() {
    let home = home();
    let directory = home.path().join("state/janus");
    fs::create_dir(&directory).unwrap();
    let mut options = fs::OpenOptions::new();
    let lock = options.create(true).write(true).truncate(false).mode(0o600);
    let mut lock = lock.open(directory.join("lock")).unwrap();
    flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    let id = std::process::id();
    writeln!(lock, "{id}").unwrap();
    // It may be over soon, so that it is tried again.
    let told = start(&home, |_| {});
    let what = format!("another Janus (process {id}) uses the state directory");
    told.says(1, "cannot_start", &what, &format!("ps -fp {id}"));
    let another = "  help:  if it serves already, use that one:  janus status\n";
    assert!(told.ended.stderr.contains(another), "{:?}", told.ended);
}

#[test]
fn something_is_in_the_way_of_a_socket_that_was_not_handed_over() {
    let home = home();
    let directory = home.path().join("run/janus");
    fs::create_dir(&directory).unwrap();
    let path = directory.join("control.sock");
    fs::write(&path, "mine").unwrap();
    let told = start(&home, |_| {});
    let what = format!("`{}` exists and is not a socket", path.display());
    told.says(78, "cannot_start", &what, &look_at(&path));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}
