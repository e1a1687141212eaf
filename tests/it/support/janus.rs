//! Janus itself, in a home of its own that nobody else has.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::http::Http;
use super::process::{Ended, Output, Process};

/// A home with a configuration, and commands that know no other.
#[derive(Debug)]
pub(crate) struct Home {
    directory: TempDir,
}

impl Home {
    /// The configuration is `servers`, below `servers:`, plus a free port to listen on.
    pub(crate) fn new(servers: &str) -> Self {
        Self::with(&format!(
            "listen: {{ http: \"127.0.0.1:0\" }}\nservers:\n{}\n",
            indented(servers)
        ))
    }

    /// The whole configuration is `text`, which names the address to listen on.
    pub(crate) fn with(text: &str) -> Self {
        let directory = TempDir::with_prefix("janus-").unwrap();
        for name in ["home", "state", "config", "run"] {
            let path = directory.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let home = Self { directory };
        fs::write(home.config(), text).unwrap();
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("config/janus.yaml")
    }

    /// `janus` with nothing of the tests' environment but `PATH`.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_janus"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", super::env("PATH").unwrap_or_default())
            .env("HOME", self.path().join("home"))
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("XDG_STATE_HOME", self.path().join("state"))
            .env("XDG_RUNTIME_DIR", self.path().join("run"))
            .current_dir(self.path());
        command
    }

    /// A command of the program, run to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Process::run("janus", &mut self.command(arguments))
    }

    /// `janus connect`: a shim in front of the daemon of this home, whether it runs or not.
    pub(crate) fn connect(&self, arguments: &[&str]) -> Process {
        let mut command = self.command(&["connect", "--config"]);
        Process::start("janus connect", command.arg(self.config()).args(arguments))
    }

    /// `janus connect --standalone`: the gateway on stdin and stdout.
    pub(crate) fn standalone(&self) -> Process {
        let config = self.config();
        let arguments = ["connect", "--standalone", "--config"];
        Process::start("janus connect", self.command(&arguments).arg(config))
    }
}

/// A running `janus serve`.
#[derive(Debug)]
pub(crate) struct Janus {
    // Before `home`: fields are dropped in order, and the process must not outlive its directory.
    process: Process,
    address: String,
    socket: PathBuf,
    home: Home,
}

impl Janus {
    /// Starts it with these servers, in YAML, and waits until it serves.
    pub(crate) fn start(servers: &str) -> Self {
        Self::start_in(Home::new(servers), |_| {})
    }

    /// Starts it in a home that is already there, after `change` to its command.
    pub(crate) fn start_in(home: Home, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = home.command(&["serve", "--config"]);
        command.arg(home.config());
        change(&mut command);
        let mut process = Process::start("janus serve", &mut command);
        let (address, socket) = process.line(Output::Stderr, ready);
        Self {
            process,
            address,
            socket: socket.into(),
            home,
        }
    }

    /// The URL of a view: `/mcp`, `/mcp/@NAME`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// A client of its TCP port.
    pub(crate) fn http(&self) -> Http {
        Http::tcp(&self.address)
    }

    /// A client of its socket.
    pub(crate) fn unix(&self) -> Http {
        Http::unix(&self.socket)
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// A client of its control socket.
    pub(crate) fn control(&self) -> Http {
        Http::unix(&self.socket.with_file_name("control.sock"))
    }

    /// A new access key of a client.
    pub(crate) async fn key(&self, client: &str) -> String {
        let wanted = serde_json::json!({ "client": client });
        let answer = self.control().post("/client/key", &[], &wanted).await;
        let answer = answer.json().await;
        let key = answer["key"].as_str();
        key.unwrap_or_else(|| panic!("no key for {client}: {answer}"))
            .to_owned()
    }

    /// Ends it without any warning, as a lack of memory would; its home stays.
    pub(crate) fn kill(self) -> Home {
        self.strike();
        self.stop().1
    }

    /// The same, without waiting for the end.
    pub(crate) fn strike(&self) {
        self.send(Signal::KILL);
    }

    /// Asks it to read its configuration again.
    pub(crate) fn hang_up(&self) {
        self.send(Signal::HUP);
    }

    fn send(&self, signal: Signal) {
        // It is a child that nobody has waited for: the id is not another's.
        let id = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        kill_process(id.unwrap(), signal).unwrap();
    }

    /// What it has written to stderr so far.
    pub(crate) fn stderr(&mut self) -> &str {
        self.process.stderr()
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        self.process.terminate();
    }

    /// Waits until it has ended.
    pub(crate) fn finish(self) -> (Ended, Home) {
        (self.process.finish(), self.home)
    }

    /// Asks it to end and waits until it did.
    pub(crate) fn stop(self) -> (Ended, Home) {
        (self.process.stop(), self.home)
    }
}

/// The address and the socket in `janus: ready on http://HOST/mcp and unix:/PATH`.
fn ready(line: &str) -> Option<(String, String)> {
    let (url, socket) = line
        .strip_prefix("janus: ready on ")?
        .split_once(" and unix:")?;
    Some((url.strip_suffix("/mcp")?.to_owned(), socket.to_owned()))
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}
