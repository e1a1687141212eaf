//! A process of a test: what it writes is kept, waited for line by line, and its end is the end of the test at latest.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::PATIENCE;

/// How long a process may take to end when it is asked to; then it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// A running process. It is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<(Output, String)>,
    stdout: String,
    stderr: String,
    /// What [`Process::line`] has not looked at.
    seen: Vec<(Output, String)>,
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Stdout,
    Stderr,
}

/// A process that has ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    /// Starts it, with stdin open until [`Process::close_stdin`].
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        Self::start_with(name, command, Stdio::piped())
    }

    /// Starts it, with this as its stdin.
    pub(crate) fn start_with(name: &str, command: &mut Command, stdin: impl Into<Stdio>) -> Self {
        let mut child = command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}: {command:?}"));
        let (sender, lines) = channel();
        read(child.stdout.take().unwrap(), Output::Stdout, sender.clone());
        read(child.stderr.take().unwrap(), Output::Stderr, sender);
        Self {
            name: name.to_owned(),
            stdin: child.stdin.take(),
            child,
            lines,
            stdout: String::new(),
            stderr: String::new(),
            seen: Vec::new(),
        }
    }

    /// Runs it to its end, with nothing on stdin.
    pub(crate) fn run(name: &str, command: &mut Command) -> Ended {
        let mut process = Self::start(name, command);
        process.close_stdin();
        process.finish()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that `read` makes something of. Each line is looked at once.
    pub(crate) fn line<T>(&mut self, from: Output, read: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while !self.seen.is_empty() {
                let (output, line) = self.seen.remove(0);
                if let Some(found) = (output == from).then(|| read(&line)).flatten() {
                    return found;
                }
            }
            if let Err(error) = self.hear(deadline) {
                let said = self.said();
                panic!("{} did not say it ({error}):\n{said}", self.name);
            }
        }
    }

    /// The same for a process that may end instead.
    pub(crate) fn line_or_end<T>(
        &mut self,
        from: Output,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + 2 * PATIENCE;
        loop {
            while !self.seen.is_empty() {
                let (output, line) = self.seen.remove(0);
                if let Some(found) = (output == from).then(|| read(&line)).flatten() {
                    return Some(found);
                }
            }
            match self.hear(deadline) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    let said = self.said();
                    panic!("{} neither said it nor ended:\n{said}", self.name);
                }
            }
        }
    }

    /// Writes one line to its stdin.
    pub(crate) fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }

    /// Writes a line to stdin, if anybody reads it.
    pub(crate) fn offer(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        // One that refuses its arguments has ended by now.
        writeln!(stdin, "{line}").ok();
    }

    /// The next line of stdout, which is a message.
    pub(crate) fn message(&mut self) -> serde_json::Value {
        let line = self.line(Output::Stdout, |line| Some(line.to_owned()));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// What it has said so far, for the message of a test that fails.
    pub(crate) fn said(&mut self) -> String {
        while let Ok(line) = self.lines.try_recv() {
            self.keep(line);
        }
        format!("{}{}", self.stdout, self.stderr)
    }

    /// What it has written to stderr so far.
    pub(crate) fn stderr(&mut self) -> &str {
        self.said();
        &self.stderr
    }

    /// Waits until it ends by itself.
    pub(crate) fn finish(mut self) -> Ended {
        let deadline = Instant::now() + 5 * PATIENCE;
        if !self.hear_to_the_end(deadline) {
            let said = self.said();
            panic!("{} does not end:\n{said}", self.name);
        }
        self.ended()
    }

    /// Asks it to end, by the signal and the end of stdin, and waits until it did.
    pub(crate) fn stop(mut self) -> Ended {
        self.ask_to_end();
        self.ended()
    }

    /// Ends it without a warning, and waits until it did.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, by the signal alone.
    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    fn ask_to_end(&mut self) {
        self.close_stdin();
        // One that has ended is still there to be waited for: the id is not another's.
        if matches!(self.child.try_wait(), Ok(None)) {
            kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        }
        if !self.hear_to_the_end(Instant::now() + GRACE) {
            self.child.kill().unwrap();
        }
    }

    fn ended(&mut self) -> Ended {
        Ended {
            status: self.child.wait().unwrap(),
            stdout: std::mem::take(&mut self.stdout),
            stderr: std::mem::take(&mut self.stderr),
        }
    }

    /// Whether both outputs ended in time.
    fn hear_to_the_end(&mut self, deadline: Instant) -> bool {
        loop {
            match self.hear(deadline) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => return true,
                Err(RecvTimeoutError::Timeout) => return false,
            }
        }
    }

    fn hear(&mut self, deadline: Instant) -> Result<(), RecvTimeoutError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = self.lines.recv_timeout(left)?;
        self.keep(line);
        Ok(())
    }

    fn keep(&mut self, (output, line): (Output, String)) {
        let kept = match output {
            Output::Stdout => &mut self.stdout,
            Output::Stderr => &mut self.stderr,
        };
        kept.push_str(&line);
        kept.push('\n');
        self.seen.push((output, line));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.ask_to_end();
        }
        self.child.wait().ok();
    }
}

/// Reads lines until the output ends; a process that writes on must not block because a test does not listen.
fn read(from: impl Read + Send + 'static, output: Output, lines: Sender<(Output, String)>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).into_owned();
            if lines.send((output, line)).is_err() {
                // Nobody listens any more, and still the pipe is emptied.
            }
        }
    });
}
