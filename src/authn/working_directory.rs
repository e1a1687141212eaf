//! The working directory of another process, if it can be trusted.
//!
//! The kernel's link `/proc/PID/cwd` names it, but something else may stand at that path in our view of the file
//! system, as with a process in a container. So the name counts only where it leads to the very directory that the
//! process is in. A directory that was removed (`x (deleted)`) goes by the name it had: whoever worked below a binding
//! would else be served in another profile from then on.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// The directory of process `pid`; `None` where it cannot be read, or its name cannot be trusted.
pub(super) fn of(pid: u32) -> Option<PathBuf> {
    let process = Held::take(pid)?;
    let link = PathBuf::from(format!("/proc/{pid}/cwd"));
    let named = fs::read_link(&link).ok()?;
    let is = fs::metadata(link.join(".")).ok()?;
    let trusted = |name: &Path| name.is_absolute() && process.is_there();
    match fs::metadata(&named) {
        Ok(found) => Some(named).filter(|named| same(&is, &found) && trusted(named)),
        Err(_) => removed(&named, &is).filter(|had| trusted(had)),
    }
}

/// The name that a removed directory had, if it was in the file system that we see there.
fn removed(named: &Path, is: &Metadata) -> Option<PathBuf> {
    let had = named.as_os_str().as_bytes().strip_suffix(b" (deleted)")?;
    let had = Path::new(OsStr::from_bytes(had));
    // Another directory of that name is not the one that was removed.
    let is_gone = fs::metadata(had).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    let above = had.ancestors().find_map(|above| fs::metadata(above).ok())?;
    (is_gone && above.dev() == is.dev()).then(|| had.to_owned())
}

fn same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// A process that is known from others which got its number after it.
enum Held {
    /// By a descriptor of it.
    Descriptor(OwnedFd),
    /// By its entry, which is another one for another process.
    Entry { path: PathBuf, first: Metadata },
}

impl Held {
    fn take(pid: u32) -> Option<Self> {
        let number = Pid::from_raw(i32::try_from(pid).ok()?)?;
        match pidfd_open(number, PidfdFlags::empty()) {
            Ok(descriptor) => Some(Self::Descriptor(descriptor)),
            // Kernels before 5.3, and sandboxes that do not know the call.
            Err(_) => Self::entry(Path::new(&format!("/proc/{pid}"))),
        }
    }

    fn entry(path: &Path) -> Option<Self> {
        Some(Self::Entry {
            path: path.to_owned(),
            first: fs::metadata(path).ok()?,
        })
    }

    fn is_there(&self) -> bool {
        match self {
            // It becomes readable when the process ends.
            Self::Descriptor(descriptor) => {
                let mut polled = [PollFd::new(descriptor, PollFlags::IN)];
                poll(&mut polled, Some(&Timespec::default())) == Ok(0)
            }
            Self::Entry { path, first } => {
                fs::metadata(path).is_ok_and(|now| same(first, &now) && first.uid() == now.uid())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A process in this directory, until its standard input closes.
    fn process_in(directory: &Path) -> Child {
        Command::new("cat")
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn end(mut child: Child) {
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn the_directory_of_another_process_is_known_while_it_runs() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().canonicalize().unwrap();
        let child = process_in(&path);
        let pid = child.id();
        assert_eq!(of(pid), Some(path));
        end(child);
        assert_eq!(of(pid), None);
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_not_trusted() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().canonicalize().unwrap();
        let (path, moved) = (root.join("project"), root.join("moved"));
        fs::create_dir(&path).unwrap();
        let child = process_in(&path);
        let pid = child.id();

        // The kernel follows a rename, and the new name is right.
        fs::rename(&path, &moved).unwrap();
        assert_eq!(of(pid).as_ref(), Some(&moved));
        // A removed directory is called `moved (deleted)`, and there may be one of that very name.
        fs::remove_dir(&moved).unwrap();
        assert_eq!(of(pid).as_ref(), Some(&moved));
        fs::create_dir(&moved).unwrap();
        assert_eq!(of(pid), None);
        fs::remove_dir(&moved).unwrap();
        fs::create_dir(root.join("moved (deleted)")).unwrap();
        assert_eq!(of(pid), None);
        end(child);
    }

    #[test]
    fn a_directory_may_be_called_as_if_it_were_removed() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().canonicalize().unwrap().join("x (deleted)");
        fs::create_dir(&path).unwrap();
        let child = process_in(&path);
        assert_eq!(of(child.id()), Some(path));
        end(child);
    }

    #[test]
    fn an_ended_process_is_not_there_either_way() {
        let child = process_in(Path::new("/"));
        let pid = child.id();
        let held = [
            Held::take(pid).unwrap(),
            Held::entry(Path::new(&format!("/proc/{pid}"))).unwrap(),
        ];
        assert!(matches!(held[0], Held::Descriptor(_)));
        assert!(held.iter().all(Held::is_there));
        end(child);
        assert!(!held.iter().any(Held::is_there));
        assert_eq!(of(0), None);
        assert_eq!(of(u32::MAX), None);
    }
}
