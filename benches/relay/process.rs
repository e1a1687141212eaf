//! A process under test: started, found ready, looked at from outside, ended.

use std::{fs, net::SocketAddr, process::Stdio, time::Duration};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdin, Command},
    task::JoinSet,
    time::timeout,
};

/// Longer than any of them takes, also under valgrind on a slow machine.
const READY: Duration = Duration::from_secs(30);
/// Longer than Janus waits for requests in flight, of which there are none.
const ENDED: Duration = Duration::from_secs(15);
/// The unit of `stat` on Linux, whatever the kernel's own tick is.
const TICK: Duration = Duration::from_millis(10);
/// What a process says before its address.
const MARK: &str = ": ready on http://";

/// How a process is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Its stdin closes, as it does for ours when this program dies.
    Stdin,
    /// SIGTERM.
    Signal,
}

/// A process that said where it listens.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pid: u32,
    address: SocketAddr,
    stdin: Option<ChildStdin>,
    end: End,
    /// Reads stderr to its end, so that the process never waits for a reader.
    rest: JoinSet<Vec<String>>,
}

impl Process {
    pub(crate) async fn start(command: Command, end: End) -> anyhow::Result<Self> {
        Self::start_with(command, Stdio::piped(), end).await
    }

    /// The same with something else as its stdin.
    pub(crate) async fn start_with(
        mut command: Command,
        stdin: Stdio,
        end: End,
    ) -> anyhow::Result<Self> {
        let program = command
            .as_std()
            .get_program()
            .to_string_lossy()
            .into_owned();
        let mut child = command
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{program} does not start"))?;
        let stdin = child.stdin.take();
        let pid = child.id().context("the process has just been started")?;
        let mut lines = BufReader::new(child.stderr.take().context("stderr is a pipe")?).lines();
        let mut said = Vec::new();
        let Ok(found) = timeout(READY, ready(&mut lines, &mut said)).await else {
            bail!(
                "{program} is not ready after {} s: {}",
                READY.as_secs(),
                said.join(" | ")
            );
        };
        let Some(address) = found? else {
            let status = timeout(ENDED, child.wait()).await??;
            bail!("{program} does not serve: {status}: {}", said.join(" | "));
        };
        let mut rest = JoinSet::new();
        rest.spawn(async move {
            let mut said = Vec::new();
            while let Ok(Some(line)) = lines.next_line().await {
                said.push(line);
            }
            said
        });
        Ok(Self {
            child,
            pid,
            address,
            stdin,
            end,
            rest,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// User and system time of all its threads.
    ///
    /// The scheduler knows nanoseconds for each living thread, `stat` knows ticks of 10 ms and counts the dead ones
    /// too. Neither says too much, so the greater is the better.
    pub(crate) fn processor_time(&self) -> anyhow::Result<Duration> {
        Ok(self
            .of_living_threads()
            .unwrap_or_default()
            .max(self.of_all_threads()?))
    }

    fn of_living_threads(&self) -> anyhow::Result<Duration> {
        let mut sum = Duration::ZERO;
        for task in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let nanos = text.split(' ').next().context("an empty schedstat")?;
            sum += Duration::from_nanos(nanos.parse()?);
        }
        Ok(sum)
    }

    fn of_all_threads(&self) -> anyhow::Result<Duration> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        // The second field is a name in parentheses and may hold blanks; utime and stime are the 14th and 15th.
        let (_, fields) = text.rsplit_once(") ").context("no name in stat")?;
        let ticks = fields
            .split(' ')
            .skip(11)
            .take(2)
            .map(str::parse::<u32>)
            .sum::<Result<u32, _>>()?;
        Ok(TICK * ticks)
    }

    /// Its resident memory in megabytes.
    pub(crate) fn resident(&self) -> anyhow::Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
        let kilobytes: f64 = kilobytes.context("no VmRSS in status")?.parse()?;
        Ok(kilobytes / 1024.0)
    }

    /// Ends it and returns what it said since it was ready.
    pub(crate) async fn stop(mut self) -> anyhow::Result<Vec<String>> {
        match self.end {
            End::Stdin => drop(self.stdin.take()),
            End::Signal => {
                let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
                kill_process(pid.context("not a process id")?, Signal::TERM)?;
            }
        }
        timeout(ENDED, self.child.wait())
            .await
            .with_context(|| format!("process {} does not end", self.pid))??;
        Ok(self.rest.join_next().await.transpose()?.unwrap_or_default())
    }
}

/// Reads until the line with the address; `None` where stderr ends without it.
async fn ready(
    lines: &mut Lines<BufReader<ChildStderr>>,
    said: &mut Vec<String>,
) -> anyhow::Result<Option<SocketAddr>> {
    while let Some(line) = lines.next_line().await? {
        if let Some((_, rest)) = line.split_once(MARK) {
            let address = rest.split('/').next().unwrap_or_default();
            let address = address
                .parse()
                .with_context(|| format!("no address in: {line}"))?;
            return Ok(Some(address));
        }
        said.push(line);
    }
    Ok(None)
}
