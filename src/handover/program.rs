//! The program that comes next: whether it can go on, and becoming it.

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, io, iter};

use nix::unistd::execv;
use rustix::stdio::dup2_stdin;
use serde::{Deserialize, Serialize};

use super::FORMAT;

/// Tells a program that it goes on for another one. For Janus itself, so it is not among the documented flags.
const GO_ON: &str = "--go-on";
/// Asks a program whether it could.
const REHEARSE: &str = "--rehearse";

/// A program as it was started: what it is called, and with what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Program {
    path: OsString,
    arguments: Vec<OsString>,
}

/// What a program answers when it is asked whether it could go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsed {
    /// Its version.
    pub version: String,
    /// The formats that it reads.
    pub formats: Vec<u32>,
}

impl Rehearsed {
    /// The answer of this program.
    pub fn now() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            formats: vec![FORMAT],
        }
    }
}

impl Program {
    /// The one that runs, by the name it was started with: what is installed under that name may be newer.
    /// One without a directory is looked for in `path`, as the shell did.
    pub fn started(arguments: impl IntoIterator<Item = OsString>, path: Option<&OsStr>) -> Self {
        let mut arguments = arguments.into_iter();
        let name = PathBuf::from(arguments.next().unwrap_or_default());
        let found = if name.components().count() > 1 {
            std::path::absolute(&name).ok()
        } else {
            env::split_paths(path.unwrap_or_default())
                .filter(|directory| directory.is_absolute())
                .map(|directory| directory.join(&name))
                .find(|path| path.is_file())
        };
        let own = || env::current_exe().unwrap_or_default();
        Self {
            path: found.unwrap_or_else(own).into(),
            arguments: arguments.filter(|argument| argument != GO_ON).collect(),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        Path::new(&self.path)
    }

    /// Whether the file under that name is not the one that runs.
    pub fn is_another(&self) -> bool {
        let file = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino()));
        match (file(self.path()), file(Path::new("/proc/self/exe"))) {
            (Ok(installed), Ok(running)) => installed != running,
            _ => false,
        }
    }

    /// The one that runs, held open: it can be gone back to when its file is gone.
    ///
    /// # Errors
    /// The system does not give it.
    pub fn running() -> io::Result<OwnedFd> {
        File::open("/proc/self/exe").map(OwnedFd::from)
    }

    /// The command that asks it whether it could go on.
    pub fn rehearsal(&self) -> Command {
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .arg(REHEARSE)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Becomes it, with `socket` as its standard input. Returns only if it cannot be started; the socket is the standard
    /// input of this program then.
    pub fn become_it(&self, socket: &OwnedFd) -> io::Error {
        self.exec(&self.path, socket)
    }

    /// Becomes the earlier program, which is open as `running`, in the same way.
    pub fn go_back(&self, socket: &OwnedFd, running: &OwnedFd) -> io::Error {
        let path = format!("/proc/self/fd/{}", running.as_raw_fd());
        self.exec(OsStr::new(&path), socket)
    }

    /// `CommandExt::exec` would hand a file that is no program to a shell, which makes something of everything.
    fn exec(&self, path: &OsStr, socket: &OwnedFd) -> io::Error {
        let exec = || -> io::Result<Infallible> {
            let text = |text: &OsStr| CString::new(text.as_bytes());
            let own = iter::once(&self.path).chain(&self.arguments);
            let words = own.map(OsString::as_os_str).chain([OsStr::new(GO_ON)]);
            let words: Vec<_> = words.map(text).collect::<Result<_, _>>()?;
            dup2_stdin(socket)?;
            Ok(execv(&text(path)?, &words)?)
        };
        match exec() {
            Err(failed) => failed,
            Ok(never) => match never {},
        }
    }
}
