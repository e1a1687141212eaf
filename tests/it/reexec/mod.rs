//! Janus goes on as another program: sockets, connections, sessions and processes stay, and where the program does not
//! take over, everything is as it was.

mod asked;
mod carried;
mod refused;
mod slow;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Ended, Home, Janus, Process};

const SERVER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/servers/faulty_server.py"
);

/// The server, which writes down when it starts.
fn server(log: &Path) -> Value {
    json!({"command": ["python3", SERVER, "--log", log]})
}

/// A Janus that was started from a copy of the program, which can be replaced.
struct Installed {
    janus: Janus,
    log: PathBuf,
}

impl Installed {
    fn start() -> Self {
        Self::start_with("")
    }

    /// With more in the configuration's `listen`.
    fn start_with(listen: &str) -> Self {
        Self::start_as(listen, server)
    }

    /// With another server, given where it writes down that it starts.
    fn start_as(listen: &str, server: impl FnOnce(&Path) -> Value) -> Self {
        Self::start_by(listen, server, |command| {
            Command::new(command.get_program())
        })
    }

    /// The same, started by a program of the caller's.
    fn start_by(
        listen: &str,
        server: impl FnOnce(&Path) -> Value,
        start: impl FnOnce(&Command) -> Command,
    ) -> Self {
        let home = Home::new("");
        let log = home.path().join("log");
        let text = format!(
            "listen: {{ http: \"127.0.0.1:0\"{listen} }}\nservers:\n  server: {}\n",
            server(&log)
        );
        fs::write(home.config(), text).unwrap();
        let program = home.path().join("janus");
        fs::copy(env!("CARGO_BIN_EXE_janus"), &program).unwrap();
        let janus = Janus::start_in(home, |command| {
            let mut started = start(&Command::new(&program));
            like(command, &mut started);
            *command = started;
        });
        Self { janus, log }
    }

    fn program(&self) -> PathBuf {
        self.janus.home().path().join("janus")
    }

    /// Installs something else, as package managers do: another file takes the name.
    fn install(&self, put: impl FnOnce(&Path)) {
        let new = self.janus.home().path().join("janus.new");
        put(&new);
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(new, self.program()).unwrap();
    }

    fn install_again(&self) {
        self.install(|new| {
            fs::copy(env!("CARGO_BIN_EXE_janus"), new).unwrap();
        });
    }

    /// Installs a program of another version: the same, but for what it says of itself.
    fn install_version(&self, version: &str) {
        let (mut program, mut rest) = (
            Vec::new(),
            &fs::read(env!("CARGO_BIN_EXE_janus")).unwrap()[..],
        );
        let own = env!("CARGO_PKG_VERSION").as_bytes();
        assert_eq!(own.len(), version.len());
        while let Some(at) = memchr::memmem::find(rest, own) {
            program.extend_from_slice(&rest[..at]);
            program.extend_from_slice(version.as_bytes());
            rest = &rest[at + own.len()..];
        }
        program.extend_from_slice(rest);
        self.install(|new| fs::write(new, program).unwrap());
    }

    fn reexec(&self, arguments: &[&str]) -> Ended {
        self.janus
            .home()
            .run(&[&["reexec", "--json"], arguments].concat())
    }

    /// The same by hand: what is answered when it is decided.
    async fn go_on(&self) -> Value {
        let wish = json!({"force": false, "wait": 20_000});
        let answer = self.janus.control().post("/go-on", &[], &wish).await;
        answer.json().await
    }

    /// A command under way.
    fn begin(&self, arguments: &[&str]) -> Process {
        let mut command = self.janus.home().command(arguments);
        Process::start(arguments[0], &mut command)
    }

    /// How often the server was started.
    fn starts(&self) -> usize {
        let text = fs::read_to_string(&self.log).unwrap();
        text.lines()
            .filter(|line| line.starts_with("start"))
            .count()
    }

    async fn status(&self) -> Value {
        self.janus.control().get("/status", &[]).await.json().await
    }

    /// The file that runs.
    fn running(&self) -> PathBuf {
        fs::read_link(format!("/proc/{}/exe", self.janus.id())).unwrap()
    }
}

/// With the same arguments, the same environment and the same directory.
fn like(before: &Command, started: &mut Command) {
    let variables = before.get_envs();
    started.args(before.get_args()).env_clear();
    started.envs(variables.filter_map(|(name, value)| Some((name, value?))));
    started.current_dir(before.get_current_dir().unwrap());
}
