//! Servers for Janus to stand in front of, started on free ports; they end with their stdin.

use std::path::PathBuf;
use std::process::Command;

use super::process::{Output, Process};

/// The revisions a fixture speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    Legacy,
    Modern,
}

impl Era {
    /// The two that a client can speak.
    pub(crate) const CLIENTS: [Self; 2] = [Self::Legacy, Self::Modern];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

/// A server over HTTP, in a process of its own.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) process: Process,
    url: String,
}

impl Fixture {
    /// The conformance server.
    pub(crate) fn start(era: Era) -> Self {
        Self::conf(&["--era", era.as_str()])
    }

    /// The conformance server, with arguments.
    pub(crate) fn conf(arguments: &[&str]) -> Self {
        let mut command = Command::new(Self::program());
        command.arg("--until-stdin-closes").args(arguments);
        Self::run("conf-server", &mut command)
    }

    /// A server that says `listening URL` on stdout once it can be reached.
    pub(crate) fn run(name: &str, command: &mut Command) -> Self {
        let mut process = Process::start(name, command);
        let url = process.line(Output::Stdout, |line| {
            line.strip_prefix("listening ").map(str::to_owned)
        });
        Self { process, url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where cargo puts the example: beside the directory of the test's own program.
    pub(crate) fn program() -> PathBuf {
        Self::example("conf-server")
    }

    /// The process that answers with who called.
    pub(crate) fn who() -> PathBuf {
        Self::example("who-server")
    }

    /// The client of the conformance suite.
    pub(crate) fn client() -> PathBuf {
        Self::example("conf-client")
    }

    /// Clients that ask without end.
    pub(crate) fn load() -> PathBuf {
        Self::example("load-client")
    }

    /// Clients of every kind that go on whatever happens.
    pub(crate) fn steady() -> PathBuf {
        Self::example("steady-client")
    }

    fn example(name: &str) -> PathBuf {
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
        let program = profile.join("examples").join(name);
        assert!(
            program.exists(),
            "{} is not built: cargo build --example {name}",
            program.display()
        );
        program
    }
}
