//! What a person types and nobody shall see, or what a program pipes in.

use std::io::{self, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::{Context, Exit, Failure};

/// Longer than any secret.
const LONGEST: u64 = 1024 * 1024;

/// A secret: typed without an echo at a terminal, or all of standard input without its last line end.
pub(super) fn secret(
    context: &Context,
    question: &str,
    help: &str,
) -> Result<Zeroizing<String>, Failure> {
    let stdin = io::stdin();
    let text = if stdin.is_terminal() {
        typed(context, question)?
    } else {
        let mut bytes = Zeroizing::new(Vec::new());
        stdin
            .lock()
            .take(LONGEST)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        let text = std::str::from_utf8(&bytes);
        let text =
            text.map_err(|_| Failure::new(Exit::Usage, "usage", "what was piped in is not text"))?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        Zeroizing::new(text.strip_suffix('\r').unwrap_or(text).to_owned())
    };
    if text.is_empty() {
        return Err(Failure::new(Exit::Usage, "usage", "nothing was given").help(help));
    }
    Ok(text)
}

/// A passphrase for a file: typed twice where one is made.
pub(super) fn passphrase(context: &Context, new: bool) -> Result<Zeroizing<String>, Failure> {
    let help = "type it when asked, or:  --passphrase-file FILE";
    let first = secret(context, "passphrase of the file (it is not shown): ", help)?;
    if new && io::stdin().is_terminal() && *typed(context, "the same again: ")? != *first {
        return Err(Failure::new(
            Exit::Usage,
            "usage",
            "the two are not the same",
        ));
    }
    Ok(first)
}

/// Whether somebody sits there who can answer.
pub(super) fn can_ask(context: &Context) -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal() && !context.output.is_json()
}

/// A question whose answer is no unless it is yes.
pub(super) fn yes(context: &Context, question: &str) -> Result<bool, Failure> {
    context.output.note(question);
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(unreadable)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes" | "Yes"))
}

/// One line from the terminal, read byte by byte: the terminal shows nothing and keeps nothing.
fn typed(context: &Context, question: &str) -> Result<Zeroizing<String>, Failure> {
    let stdin = io::stdin();
    context.output.note(question);
    let quiet = Quiet::begin().map_err(unreadable)?;
    let mut line = Zeroizing::new(Vec::new());
    let mut input = stdin.lock();
    let mut byte = Zeroizing::new([0_u8; 1]);
    let ended = loop {
        if input.read(&mut *byte).map_err(unreadable)? == 0 {
            break Ok(());
        }
        match byte.first().copied().unwrap_or_default() {
            b'\n' | b'\r' | 4 => break Ok(()),
            // ^C: the terminal does not make a signal of it now.
            3 => {
                break Err(Failure::new(
                    Exit::Interrupted,
                    "interrupted",
                    "interrupted; nothing changed",
                ));
            }
            // A whole character: its last bytes begin with the bits 10 (RFC 3629, section 3).
            8 | 127 => while line.pop().is_some_and(|byte| byte & 0xC0 == 0x80) {},
            other => line.push(other),
        }
    };
    drop(quiet);
    ended?;
    let text = String::from_utf8(std::mem::take(&mut *line));
    let text =
        text.map_err(|_| Failure::new(Exit::Usage, "usage", "what was typed is not text"))?;
    Ok(Zeroizing::new(text))
}

/// The terminal without echo, for as long as this lives.
struct Quiet(Termios);

impl Quiet {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that is gone needs no mode.
        tcsetattr(io::stdin(), OptionalActions::Now, &self.0).ok();
        io::stderr().flush().ok();
    }
}

fn unreadable(error: impl Into<io::Error>) -> Failure {
    Failure::from(anyhow::Error::new(error.into()).context("standard input cannot be read"))
}
