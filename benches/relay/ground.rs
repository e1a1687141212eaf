//! The processes of one measurement: an upstream, the bare relay before it, Janus before it.

use std::{
    fmt, fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    Amount,
    process::{End, Process},
};

/// The server's name before its tools' names.
pub(crate) const PREFIX: &str = "s__";

/// A way to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// None in between.
    Direct,
    /// The reference.
    Relay,
    /// What is measured.
    Janus,
    /// Another build of it.
    Before,
}

impl Way {
    /// What the client must write before a tool's name.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Direct => "",
            Self::Relay | Self::Janus | Self::Before => PREFIX,
        }
    }

    /// The same for the names in a list, which the relay does not touch.
    pub(crate) fn listed(self) -> &'static str {
        match self {
            Self::Direct | Self::Relay => "",
            Self::Janus | Self::Before => PREFIX,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Relay => "relay",
            Self::Janus => "janus",
            Self::Before => "before",
        })
    }
}

/// How a process is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Under {
    /// As it is.
    Nothing,
    /// With its instructions counted.
    Callgrind,
}

/// An upstream, and a place for the files of those before it.
#[derive(Debug)]
pub(crate) struct Ground {
    upstream: Process,
    directory: TempDir,
    janus: Option<PathBuf>,
    before: Option<PathBuf>,
    /// The era that Janus is told the upstream speaks; it speaks both.
    era: &'static str,
}

impl Ground {
    /// Starts an upstream that lists so many tools.
    pub(crate) async fn with_tools(tools: usize, amount: &Amount) -> anyhow::Result<Self> {
        let mut command = itself(Under::Nothing)?;
        command
            .arg("upstream")
            .arg("--tools")
            .arg(tools.to_string());
        Ok(Self {
            upstream: Process::start(command, End::Stdin).await?,
            directory: TempDir::new()?,
            janus: amount.janus.clone(),
            before: amount.before.clone(),
            era: "legacy",
        })
    }

    /// The same upstream, spoken to in the modern era.
    pub(crate) fn modern(self) -> Self {
        Self {
            era: "modern",
            ..self
        }
    }

    pub(crate) fn upstream(&self) -> &Process {
        &self.upstream
    }

    /// Starts what stands before the upstream.
    pub(crate) async fn start(&self, way: Way, under: Under) -> anyhow::Result<Process> {
        let janus = |program: &Option<PathBuf>| {
            let program = program.as_deref().context("this build is not measured")?;
            self.janus(program, under)
        };
        let (mut command, end) = match way {
            Way::Direct => anyhow::bail!("nothing stands before the upstream"),
            Way::Relay => {
                let mut command = itself(under)?;
                command
                    .arg("relay")
                    .arg("--to")
                    .arg(self.upstream.address().to_string());
                (command, End::Stdin)
            }
            Way::Janus => (janus(&self.janus)?, End::Signal),
            Way::Before => (janus(&self.before)?, End::Signal),
        };
        command.env_remove("RUST_LOG");
        Process::start(command, end)
            .await
            .with_context(|| way.to_string())
    }

    /// Starts Janus with a socket that is open already, as a service manager does, before so many servers.
    pub(crate) async fn activated(
        &self,
        way: Way,
        socket: OwnedFd,
        servers: usize,
    ) -> anyhow::Result<Process> {
        let janus = match way {
            Way::Before => &self.before,
            _ => &self.janus,
        };
        let janus = janus.as_deref().context("this build is not measured")?;
        // What is handed over lies behind the three that every process has, and is for the process of this number.
        let script = "export LISTEN_PID=$$; exec \"$0\" \"$@\" 3<&0 </dev/null";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).arg(janus);
        shell
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDNAMES", "mcp")
            .env_remove("RUST_LOG");
        self.in_a_home(&mut shell, servers)?;
        Process::start_with(shell, socket.into(), End::Signal)
            .await
            .with_context(|| way.to_string())
    }

    /// A Janus with a home of its own: none of them sees another's lock, or the user's files.
    fn janus(&self, janus: &Path, under: Under) -> anyhow::Result<Command> {
        let mut command = program(janus, under);
        self.in_a_home(&mut command, 1)?;
        Ok(command)
    }

    fn in_a_home(&self, command: &mut Command, servers: usize) -> anyhow::Result<()> {
        let home = TempDir::new_in(&self.directory)?.keep();
        let file = home.join("config.yaml");
        fs::write(&file, self.config(&home, servers))?;
        command.arg("serve").arg("--config").arg(&file);
        command.env("HOME", &home);
        for (variable, name) in [("XDG_STATE_HOME", "state"), ("XDG_RUNTIME_DIR", "run")] {
            let directory = home.join(name);
            fs::create_dir(&directory)?;
            command.env(variable, directory);
        }
        Ok(())
    }

    fn config(&self, home: &Path, servers: usize) -> String {
        let url = format!("http://{}/mcp", self.upstream.address());
        let socket = home.join("run").join("janus").join("mcp.sock");
        let others = (1..servers).map(|number| format!("s{number}"));
        let servers: Vec<String> = std::iter::once("s".to_owned())
            .chain(others)
            .map(|name| format!("  {name}:\n    url: {url}\n    era: {}\n", self.era))
            .collect();
        let servers = servers.concat();
        format!(
            "servers:\n{servers}listen:\n  http: 127.0.0.1:0\n  socket: {}\n",
            socket.display()
        )
    }
}

/// This program once more, in another part.
fn itself(under: Under) -> anyhow::Result<Command> {
    Ok(program(&std::env::current_exe()?, under))
}

fn program(path: &Path, under: Under) -> Command {
    match under {
        Under::Nothing => Command::new(path),
        Under::Callgrind => {
            let mut command = Command::new("valgrind");
            // Only the sum is wanted, which it prints.
            command
                .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
                .arg(path);
            command
        }
    }
}
