//! Sockets that were handed over (`sd_listen_fds(3)`), without a service manager: all of them are served, they count more
//! than the configuration, and what is missing or cannot be used is explained.

use std::fs;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::net::{AddressFamily, SocketType, bind, socket};
use serde_json::json;

use crate::support::{Client, Era, Home, Http, Output, Process};

/// Above all that a process opens by itself at its start.
const FAR: i32 = 100;

/// A Janus that was given these sockets.
struct Given {
    janus: Process,
    home: Home,
}

impl Given {
    /// Each under its name, in this order.
    fn start(home: Home, sockets: &[(&str, OwnedFd)]) -> Self {
        let far: Vec<OwnedFd> = sockets
            .iter()
            .map(|(_, socket)| fcntl_dupfd_cloexec(socket, FAR).unwrap())
            .collect();
        // What is handed over lies behind the three that every process has, and is for the process of this number.
        let moves = far.iter().zip(3..);
        let moves = moves.map(|(from, to)| format!("{to}<&{0} {0}<&-", from.as_raw_fd()));
        let moves = moves.collect::<Vec<_>>().join(" ");
        let script = format!("export LISTEN_PID=$$; exec \"$0\" \"$@\" {moves}");
        let names: Vec<&str> = sockets.iter().map(|(name, _)| *name).collect();
        let serve = home.command(&["serve", "--config"]);
        let mut command = Command::new("bash");
        command
            .args(["-c", &script])
            .arg(serve.get_program())
            .args(serve.get_args())
            .arg(home.config())
            .env_clear()
            .envs(
                serve
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env("LISTEN_FDS", sockets.len().to_string())
            .env("LISTEN_FDNAMES", names.join(":"))
            .current_dir(home.path());
        for socket in &far {
            fcntl_setfd(socket, FdFlags::empty()).unwrap();
        }
        let mut janus = Process::start("janus serve", &mut command);
        drop(far);
        janus.line(Output::Stderr, |line| {
            line.contains("janus: ready on ").then_some(())
        });
        Self { janus, home }
    }

    fn run_socket(&self, name: &str) -> PathBuf {
        self.home.path().join("run/janus").join(name)
    }

    /// What it said, and where it was.
    fn end(self) -> (String, Home) {
        (self.janus.stop().stderr, self.home)
    }
}

fn tcp() -> (String, OwnedFd) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (url, listener.into())
}

fn unix(path: &Path) -> OwnedFd {
    UnixListener::bind(path).unwrap().into()
}

fn server(home: &str) -> Home {
    let notes = format!("{:?}", env!("CARGO_BIN_EXE_janus"));
    Home::with(&format!(
        "{home}servers:\n  notes: {{ command: [{notes}, demo-server, ana] }}\n"
    ))
}

/// A real call.
async fn works(http: Http) {
    let mut client = Client::open(http, "/mcp", Era::Modern).await;
    let noted = client
        .text("notes__add_note", json!({"text": "milk"}))
        .await;
    assert!(noted.starts_with("Noted. "), "{noted}");
}

#[tokio::test]
async fn all_sockets_of_a_name_are_served_and_count_more_than_the_configuration() {
    // Somebody else's: it is not even tried.
    let (taken, _taken) = tcp();
    let taken = taken.strip_prefix("http://").unwrap();
    let home = server(&format!(
        "listen: {{ http: \"{taken}\", socket: /nowhere/else.sock }}\n"
    ));
    let [one, two, control] = ["one", "two", "control"].map(|name| home.path().join(name));
    let ((first, first_socket), (second, second_socket)) = (tcp(), tcp());
    let sockets = [
        ("mcp", first_socket),
        ("mcp", unix(&one)),
        ("control", unix(&control)),
        ("mcp", unix(&two)),
        ("mcp", second_socket),
    ];
    let given = Given::start(home, &sockets);
    drop(sockets);
    for http in [
        Http::tcp(&first),
        Http::tcp(&second),
        Http::unix(&one),
        Http::unix(&two),
    ] {
        works(http).await;
    }
    let status = Http::unix(&control).get("/status", &[]).await.json().await;
    let places = [
        format!("{first}/mcp"),
        format!("unix:{}", one.display()),
        format!("unix:{}", two.display()),
        format!("{second}/mcp"),
    ];
    assert_eq!(status["listening"], json!(places));
    assert_eq!(status["held_by_systemd"], true);
    let (said, _home) = given.end();
    for (key, place) in [
        ("listen.http", format!("http://{taken}/mcp")),
        ("listen.socket", "unix:/nowhere/else.sock".to_owned()),
    ] {
        let words = format!("`{key}` does not count, nobody is served at {place}");
        assert!(said.contains(&words), "{said}");
    }
    assert!(!said.contains("was handed over"), "{said}");
    // They are whoever's who made them.
    for path in [one, two, control] {
        assert!(path.exists(), "{}", path.display());
    }
}

#[tokio::test]
async fn a_socket_that_the_configuration_names_and_that_was_passed_is_nothing_to_speak_of() {
    let (url, socket) = tcp();
    let address = url.strip_prefix("http://").unwrap();
    let home = server(&format!("listen: {{ http: \"{address}\" }}\n"));
    let control = unix(&home.path().join("control"));
    let given = Given::start(home, &[("mcp", socket), ("control", control)]);
    works(Http::tcp(&url)).await;
    let (said, _home) = given.end();
    assert!(!said.contains("does not count"), "{said}");
}

#[tokio::test]
async fn a_control_socket_that_was_not_passed_is_made_and_that_is_said() {
    let home = server("");
    let (url, socket) = tcp();
    let given = Given::start(home, &[("mcp", socket)]);
    works(Http::tcp(&url)).await;
    let control = given.run_socket("control.sock");
    let status = Http::unix(&control).get("/status", &[]).await;
    assert_eq!(status.status, 200);
    let (said, _home) = given.end();
    let words = format!(
        "no socket `control` was handed over: Janus listens on `{}` by itself",
        control.display()
    );
    assert!(said.contains(&words), "{said}");
    // What nobody else wrote down is nobody's expectation.
    assert!(!said.contains("does not count"), "{said}");
    assert!(!control.exists());
}

#[tokio::test]
async fn sockets_for_clients_that_were_not_passed_are_made_and_that_is_said() {
    let home = server("listen: { http: \"127.0.0.1:0\" }\n");
    let path = home.path().join("control");
    let given = Given::start(home, &[("control", unix(&path))]);
    works(Http::unix(&given.run_socket("mcp.sock"))).await;
    let status = Http::unix(&path).get("/status", &[]).await.json().await;
    assert_eq!(status["held_by_systemd"], false);
    let socket = given.run_socket("mcp.sock");
    let (said, _home) = given.end();
    let words = format!(
        "no socket `mcp` was handed over: Janus listens on 127.0.0.1:0 and `{}` by itself",
        socket.display()
    );
    assert!(said.contains(&words), "{said}");
}

#[tokio::test]
async fn a_socket_that_does_not_listen_is_explained_and_the_others_are_served() {
    let home = server("");
    let connected = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let address: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    bind(connected.as_fd(), &address).unwrap();
    let (pair, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let file = fs::File::open(home.config()).unwrap();
    let (url, listens) = tcp();
    let control = unix(&home.path().join("control"));
    let sockets = [
        ("mcp", connected),
        ("mcp", pair.into()),
        ("mcp", file.into()),
        ("mcp", listens),
        ("control", control),
    ];
    let given = Given::start(home, &sockets);
    works(Http::tcp(&url)).await;
    let (said, _home) = given.end();
    for kind in ["TCP", "unix"] {
        let words = format!(
            "the descriptor `mcp` is closed: it is a {kind} socket that does not listen; write Accept=no in the socket unit"
        );
        assert!(said.contains(&words), "{said}");
    }
    assert_eq!(
        said.matches("the descriptor `mcp` is closed").count(),
        3,
        "{said}"
    );
}
