//! The address that a person pastes, read beside everything else.
//!
//! A terminal that edits lines takes 4095 bytes of one, and an address may be longer; so it hands over each key at once.

use std::io::{self, IsTerminal, Read};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// An address with everything that a provider may add.
const LONGEST: usize = 64 * 1024;
/// Lines that wait.
const LINES: usize = 4;

/// What a person types, line by line. The terminal is as it was when this goes.
pub(super) struct Lines {
    lines: mpsc::Receiver<Zeroizing<String>>,
    _terminal: Option<Keys>,
}

impl Lines {
    /// Reads standard input from now on.
    pub(super) fn read() -> Self {
        let terminal = io::stdin()
            .is_terminal()
            .then(Keys::begin)
            .and_then(Result::ok);
        let editing = terminal.is_some();
        let (sender, lines) = mpsc::channel(LINES);
        // It may wait for a key for ever, and ends with the process.
        std::thread::spawn(move || {
            while let Some(line) = line(editing) {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            lines,
            _terminal: terminal,
        }
    }

    /// The next line; `None` at the end of the input.
    pub(super) async fn next(&mut self) -> Option<Zeroizing<String>> {
        self.lines.recv().await
    }
}

fn line(editing: bool) -> Option<Zeroizing<String>> {
    let mut input = io::stdin().lock();
    let mut line = Zeroizing::new(Vec::new());
    let mut byte = [0_u8; 1];
    loop {
        if input.read(&mut byte).ok()? == 0 {
            if line.is_empty() {
                return None;
            }
            break;
        }
        match byte.first().copied().unwrap_or_default() {
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
