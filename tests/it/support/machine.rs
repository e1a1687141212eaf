//! A real systemd with a user manager, in namespaces of its own (`tests/box/boot`), and commands inside. It ends when
//! this is dropped, or with the test's process.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

use super::process::{Ended, Output, Process};

/// The user whose manager runs inside.
const USER: &str = "tester";

/// The box. One at a time on a machine: a second one waits.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Ends it when this is dropped.
    _boot: Process,
    /// Its first process, seen from outside.
    leader: String,
    user: u32,
    /// After `boot`, which works in it.
    _directory: TempDir,
}

impl Machine {
    /// Boots it. `None`, with the reason printed, where that cannot be.
    pub(crate) fn boot(test: &str) -> Option<Self> {
        let directory = TempDir::with_prefix("janus-box-").unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/box/boot");
        let mut command = Command::new(script);
        let mut boot = Process::start("tests/box/boot", command.arg(directory.path()).arg(USER));
        let Some(ready) = boot.line_or_end(Output::Stdout, |line| {
            line.strip_prefix("ready ").map(str::to_owned)
        }) else {
            let ended = boot.finish();
            let reason = ended.stderr.lines().last().unwrap_or_default();
            assert_eq!(ended.status.code(), Some(77), "{ended:?}");
            super::skip(test, reason);
            return None;
        };
        let (leader, user) = ready.split_once(' ').unwrap();
        Some(Self {
            _boot: boot,
            leader: leader.to_owned(),
            user: user.parse().unwrap(),
            _directory: directory,
        })
    }

    /// The same with Janus in it: the program, the packaged units, the manual page.
    pub(crate) fn with_janus(test: &str) -> Option<Self> {
        let machine = Self::boot(test)?;
        machine.put(Path::new(env!("CARGO_BIN_EXE_janus")), "/usr/bin/janus");
        let systemd = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
        for unit in ["janus.socket", "janus-control.socket", "janus.service"] {
            machine.put(
                &systemd.join(unit),
                &format!("/usr/lib/systemd/user/{unit}"),
            );
        }
        machine.put(&systemd.join("janus.1"), "/usr/share/man/man1/janus.1");
        machine.systemctl(&["daemon-reload"]);
        Some(machine)
    }

    /// The number of the user.
    pub(crate) fn user(&self) -> u32 {
        self.user
    }

    /// A command of the user, with the environment that a login gives.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let (id, home) = (self.user.to_string(), format!("/home/{USER}"));
        let mut command = self.enter();
        command
            .args(["setpriv", "--reuid", &id, "--regid", &id, "--init-groups"])
            .args(["env", "-C", &home, "-i", "LANG=C.UTF-8"])
            .args(["PATH=/usr/local/bin:/usr/bin:/bin", "SHELL=/bin/bash"])
            .arg(format!("HOME={home}"))
            .arg(format!("USER={USER}"))
            .arg(format!("XDG_RUNTIME_DIR=/run/user/{id}"))
            .arg(format!(
                "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/{id}/bus"
            ))
            .args(words);
        command
    }

    /// Runs a command of the user to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        Process::run(words[0], &mut self.command(words))
    }

    /// The same for one that must do what it is asked. What it wrote to stdout.
    pub(crate) fn done(&self, words: &[&str]) -> String {
        let ended = self.run(words);
        assert!(
            ended.status.success(),
            "{words:?}: {ended:?}\n{}",
            self.journal()
        );
        ended.stdout
    }

    /// Runs a command of root.
    pub(crate) fn root(&self, words: &[&str]) -> Ended {
        let mut command = self.enter();
        command
            .args(["env", "-i", "LANG=C.UTF-8"])
            .arg("PATH=/usr/sbin:/usr/bin:/sbin:/bin")
            .args(words);
        Process::run(words[0], &mut command)
    }

    /// `systemctl --user`, which must do what it is asked.
    pub(crate) fn systemctl(&self, words: &[&str]) -> String {
        self.done(&[&["systemctl", "--user", "--no-pager"], words].concat())
    }

    /// A property of a unit.
    pub(crate) fn property(&self, unit: &str, name: &str) -> String {
        let shown = self.systemctl(&["show", unit, "--value", "-p", name]);
        shown.trim().to_owned()
    }

    /// Everything the user's services have said, and what was said of them.
    pub(crate) fn journal(&self) -> String {
        let units = ["janus.service", "janus.socket", "janus-control.socket"];
        let of = units.map(|unit| {
            [
                format!("_SYSTEMD_USER_UNIT={unit}"),
                format!("USER_UNIT={unit}"),
            ]
        });
        let of = of.concat().join(" + ");
        let words: Vec<&str> = of.split(' ').collect();
        self.root(&[&["journalctl", "--no-pager", "-o", "cat"], &words[..]].concat())
            .stdout
    }

    /// Does this with the network of the box: what begins to listen here is reached from inside.
    pub(crate) fn in_network<T: Send>(&self, work: impl AsyncFnOnce() -> T + Send) -> T {
        let network = File::open(format!("/proc/{}/ns/net", self.leader)).unwrap();
        // A thread of its own, since it never comes back from there; those that it starts are there too.
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(network.as_fd(), kind).unwrap();
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(work())
            });
            inside.join().unwrap()
        })
    }

    /// Copies a file of this machine to where it has this path inside, with its mode.
    pub(crate) fn put(&self, file: &Path, path: &str) {
        let mode = std::fs::metadata(file).unwrap().permissions().mode() & 0o777;
        self.write_as(None, path, &std::fs::read(file).unwrap(), mode);
    }

    /// Writes a file of the user; one that begins with `~/` is in the home.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = Self::path(path);
        self.write_as(Some(self.user), &path, text.as_bytes(), 0o600);
    }

    /// Where a path of the user is.
    fn path(path: &str) -> String {
        match path.strip_prefix("~/") {
            Some(rest) => format!("/home/{USER}/{rest}"),
            None => path.to_owned(),
        }
    }

    /// A path inside, as this process reaches it.
    pub(crate) fn seen(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}", self.leader, Self::path(path)))
    }

    fn write_as(&self, user: Option<u32>, path: &str, bytes: &[u8], mode: u32) {
        let mut command = self.enter();
        if let Some(user) = user {
            let id = user.to_string();
            command.args(["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"]);
        }
        let script = r#"mkdir -p "$(dirname "$1")" && cat >"$1.new" && chmod "$2" "$1.new" && mv -f "$1.new" "$1""#;
        let mut child = command
            .args(["sh", "-c", script, "sh", path, &format!("{mode:o}")])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        assert!(child.wait().unwrap().success(), "{path} cannot be written");
    }

    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.leader, "-m", "-p", "-u", "-i", "-C", "-n", "--"]);
        command
    }
}
