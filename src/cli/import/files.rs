//! The file that is read and the file that is written.
//!
//! Invariants:
//! - The configuration is replaced in one step, by a file beside it that is complete and on the disk.
//! - Nobody else can read it before they could: a new file is 0600, another keeps its mode.
//! - If the configuration changed since it was shown, nothing is written.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::cli::{Exit, Failure};

/// Clients keep their history in the same file; more than this is something else.
const LARGEST: u64 = 16 * 1024 * 1024;

/// What the reader of the configuration takes.
const LARGEST_CONFIGURATION: u64 = 1024 * 1024;

/// Readable by its owner alone: a configuration may hold secrets that somebody adds later.
const PRIVATE: u32 = 0o600;

/// More backups than this beside each other are a sign that nobody looks at them.
const MOST_BACKUPS: u32 = 1000;

/// Reads the file to import.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    read_up_to(path, LARGEST)
}

fn read_up_to(path: &Path, largest: u64) -> Result<String, Failure> {
    let failed = |said: String| Failure::new(Exit::Failed, "unreadable", said);
    let shown = path.display();
    let unreadable =
        |error: io::Error| failed(format!("cannot read {shown}")).because(error.to_string());
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(failed(format!("{shown} is a directory, not a file")));
    }
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that fits from one that does not, whatever its metadata says.
    file.take(largest + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > largest {
        return Err(failed(format!(
            "{shown} is larger than {} MiB",
            largest / 1024 / 1024
        )));
    }
    String::from_utf8(bytes).map_err(|_| failed(format!("{shown} is not UTF-8 text")))
}

/// What was done to the configuration.
#[derive(Debug)]
pub(super) enum Written {
    /// There was none.
    Created,
    /// It grew.
    Replaced {
        /// Where the old text is.
        backup: PathBuf,
    },
}

/// The configuration that the result goes to.
#[derive(Debug)]
pub(super) struct Target {
    /// Where it is, with symbolic links followed.
    path: PathBuf,
    old: Option<String>,
}

impl Target {
    /// Looks at what is there.
    pub(super) fn at(path: PathBuf) -> Result<Self, Failure> {
        match fs::canonicalize(&path) {
            Ok(path) => {
                let old = Some(read_up_to(&path, LARGEST_CONFIGURATION)?);
                Ok(Self { path, old })
            }
            // A link that leads nowhere is there, and is not written through.
            Err(error)
                if error.kind() == ErrorKind::NotFound && fs::symlink_metadata(&path).is_err() =>
            {
                Ok(Self { path, old: None })
            }
            Err(error) => Err(Self::failed("unreadable", "cannot read", &path, &error)),
        }
    }

    pub(super) fn exists(&self) -> bool {
        self.old.is_some()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// What it says now; nothing where there is no file.
    pub(super) fn old(&self) -> &str {
        self.old.as_deref().unwrap_or_default()
    }

    /// Puts the text in its place.
    pub(super) fn write(&self, text: &str) -> Result<Written, Failure> {
        let unwritable =
            |error: &io::Error| Self::failed("unwritable", "cannot write", &self.path, error);
        let directory = self.path.parent().unwrap_or_else(|| Path::new("/"));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| unwritable(&error))?;
        let mode = match fs::metadata(&self.path) {
            Ok(metadata) => metadata.permissions().mode() & 0o777,
            Err(_) => PRIVATE,
        };
        let temporary = beside(&self.path, &format!("new-{}", std::process::id()));
        let written = self.replace(&temporary, text, mode);
        if written.is_err() {
            // It may not exist; what is told is why nothing was written.
            drop(fs::remove_file(&temporary));
        }
        written.map_err(|error| match error.kind() {
            ErrorKind::ResourceBusy => Failure::new(
                Exit::Failed,
                "changed",
                format!("{} changed since it was shown", self.shown()),
            )
            .sent("nothing was written")
            .help("run the command again"),
            _ => unwritable(&error).sent("nothing was written"),
        })
    }

    fn replace(&self, temporary: &Path, text: &str, mode: u32) -> io::Result<Written> {
        create(temporary, text, mode)?;
        let now = match fs::read(&self.path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if now.as_deref() != self.old.as_deref().map(str::as_bytes) {
            return Err(ErrorKind::ResourceBusy.into());
        }
        let Some(old) = &self.old else {
            // A link fails if a file came into being; a rename would replace it.
            fs::hard_link(temporary, &self.path).map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => ErrorKind::ResourceBusy.into(),
                _ => error,
            })?;
            fs::remove_file(temporary)?;
            return Ok(Written::Created);
        };
        let backup = self.back_up(old, mode)?;
        fs::rename(temporary, &self.path)?;
        if let Some(directory) = self.path.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(Written::Replaced { backup })
    }

    /// The old text under the first name that is free.
    fn back_up(&self, old: &str, mode: u32) -> io::Result<PathBuf> {
        for number in 1..=MOST_BACKUPS {
            let path = beside(&self.path, &format!("backup-{number}"));
            match create(&path, old, mode) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                created => return created.map(|()| path),
            }
        }
        Err(io::Error::other("there are too many backups beside it"))
    }

    fn failed(code: &'static str, what: &str, path: &Path, error: &io::Error) -> Failure {
        Failure::new(Exit::Failed, code, format!("{what} {}", path.display()))
            .because(error.to_string())
    }
}

/// A new file with this text, complete on the disk.
fn create(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    // The mask of the process may have taken bits that the old file has.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

/// `config.yaml.backup-1` beside `config.yaml`.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{end}"));
    path.with_file_name(name)
}
