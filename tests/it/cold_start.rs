//! A start by a connection, with the socket handed over as systemd does: whoever made it is answered first.

use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Home, Output, Process, until};

/// So much longer a start may take on a machine that does other things: it takes milliseconds.
const LONGER: Duration = Duration::from_secs(1);

/// A Janus whose socket has a connection in it before it is started.
struct Start {
    began: Instant,
    janus: Process,
    connection: TcpStream,
    _home: Home,
}

impl Start {
    /// With so many servers, all of which are there; `sent` of the request of whoever connected.
    fn new(servers: usize, there: &TcpListener, sent: &str) -> Self {
        let address = there.local_addr().unwrap();
        let servers = (0..servers)
            .map(|number| format!("s{number}: {{ url: \"http://{address}/mcp\", auth: none }}\n"));
        let home = Home::new(&servers.collect::<String>());
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut connection = TcpStream::connect(socket.local_addr().unwrap()).unwrap();
        connection.write_all(sent.as_bytes()).unwrap();
        let mut command = home.command(&["serve", "--config"]);
        command.arg(home.config());
        // What is handed over lies behind the three that every process has, and is for the process of this number.
        let script = "export LISTEN_PID=$$; exec \"$0\" \"$@\" 3<&0 </dev/null";
        let mut shell = Command::new("sh");
        shell
            .args(["-c", script])
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .envs([("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "mcp")])
            .current_dir(home.path());
        for (name, value) in command.get_envs() {
            shell.envs(value.map(|value| (name, value)));
        }
        let began = Instant::now();
        let janus = Process::start_with("janus serve", &mut shell, OwnedFd::from(socket));
        Self {
            began,
            janus,
            connection,
            _home: home,
        }
    }

    /// Waits for the first line of the answer.
    fn answer(&mut self) -> String {
        let mut line = String::new();
        let mut answer = BufReader::new(&self.connection);
        answer.read_line(&mut line).unwrap();
        line
    }
}

fn request() -> String {
    let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" },
    }})
    .to_string();
    format!(
        "POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A server that is there and never answers.
fn silent() -> TcpListener {
    let there = TcpListener::bind("127.0.0.1:0").unwrap();
    there.set_nonblocking(true).unwrap();
    there
}

#[test]
fn no_server_is_reached_before_the_first_answer() {
    let there = silent();
    let request = request();
    let (head, rest) = request.split_at(request.len() - 1);
    let mut start = Start::new(10, &there, head);
    let ready = |line: &str| line.contains("janus: ready on ").then_some(());
    start.janus.line(Output::Stderr, ready);
    let reached = there.accept().map_err(|error| error.kind());
    assert_eq!(reached.err(), Some(ErrorKind::WouldBlock));
    start.connection.write_all(rest.as_bytes()).unwrap();
    assert_eq!(start.answer(), "HTTP/1.1 200 OK\r\n");
    until("a server", || there.accept().is_ok());
}

#[test]
fn the_first_answer_comes_as_soon_with_a_hundred_servers_as_with_one() {
    let there = silent();
    let quickest = |servers| {
        let times = (0..3).map(|_| {
            let mut start = Start::new(servers, &there, &request());
            assert_eq!(start.answer(), "HTTP/1.1 200 OK\r\n");
            start.began.elapsed()
        });
        times.min().unwrap()
    };
    let (one, hundred) = (quickest(1), quickest(100));
    assert!(hundred < one + LONGER, "{one:?}, {hundred:?}");
}
