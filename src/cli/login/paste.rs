//! The address that a person pastes, read beside everything else.
//!
//! A terminal that edits lines takes 4095 bytes of one, and an address may be longer; so it hands over each key at once.
//!
//! Invariant: who reads no more takes nothing more from standard input: the next login of the same command reads it, and
//! the question before that one.

use std::io::{self, IsTerminal, PipeReader, PipeWriter};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{read, retry_on_intr};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// An address with everything that a provider may add.
const LONGEST: usize = 64 * 1024;
/// Lines that wait.
const LINES: usize = 4;

/// What a person types, line by line. The terminal is as it was when this goes.
pub(super) struct Lines {
    typed: mpsc::Receiver<Zeroizing<String>>,
    /// Whoever reads ends when this goes.
    wanted: Option<PipeWriter>,
    reader: Option<JoinHandle<()>>,
    _terminal: Option<Keys>,
}

impl Lines {
    /// Reads standard input from now on.
    pub(super) fn read() -> io::Result<Self> {
        let terminal = io::stdin()
            .is_terminal()
            .then(Keys::begin)
            .and_then(Result::ok);
        let editing = terminal.is_some();
        let (sender, typed) = mpsc::channel(LINES);
        let (ended, wanted) = io::pipe()?;
        // Standard input may be a file, which no runtime waits for.
        let reader = std::thread::spawn(move || {
            while let Some(line) = line(editing, &ended) {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            typed,
            wanted: Some(wanted),
            reader: Some(reader),
            _terminal: terminal,
        })
    }

    /// The next line; `None` at the end of the input.
    pub(super) async fn next(&mut self) -> Option<Zeroizing<String>> {
        self.typed.recv().await
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.typed.close();
        self.wanted = None;
        if let Some(reader) = self.reader.take() {
            // It waits for nothing any more.
            drop(reader.join());
        }
    }
}

fn line(editing: bool, ended: &PipeReader) -> Option<Zeroizing<String>> {
    let mut line = Zeroizing::new(Vec::new());
    loop {
        let Some(byte) = byte(ended).ok()? else {
            if line.is_empty() {
                return None;
            }
            break;
        };
        match byte {
            b'\n' | b'\r' => break,
            4 if editing => return None,
            8 | 127 if editing => {
                line.pop();
            }
            other if line.len() < LONGEST => line.push(other),
            _ => {}
        }
    }
    let text = String::from_utf8_lossy(&line).into_owned();
    Some(Zeroizing::new(text))
}

/// The next byte, without what `Stdin` would read ahead; `None` at the end of the input. It fails when no more is wanted.
fn byte(ended: &PipeReader) -> io::Result<Option<u8>> {
    let input = io::stdin();
    let mut ready = [
        PollFd::new(ended, PollFlags::IN),
        PollFd::new(&input, PollFlags::IN),
    ];
    retry_on_intr(|| poll(&mut ready, None))?;
    let [is_ended, _] = ready;
    if !is_ended.revents().is_empty() {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    let mut byte = [0_u8; 1];
    let length = retry_on_intr(|| read(&input, &mut byte))?;
    Ok(byte.first().copied().filter(|_| length > 0))
}

/// A terminal that hands over each key, for as long as this lives.
struct Keys(Termios);

impl Keys {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut keys = before.clone();
        keys.local_modes.remove(LocalModes::ICANON);
        tcsetattr(io::stdin(), OptionalActions::Now, &keys)?;
        Ok(Self(before))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // A terminal that is gone needs no mode.
        tcsetattr(io::stdin(), OptionalActions::Now, &self.0).ok();
    }
}
