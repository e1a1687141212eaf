//! A file system of a test's own, which it can fill, break and mend: mounted where no other process sees it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Output, Process, skip};

/// A mounted file system, and the process whose name space it is in.
#[derive(Debug)]
pub(crate) struct Disk {
    holder: Process,
    at: PathBuf,
    /// Where it is kept; `None`: in memory.
    image: Option<PathBuf>,
}

impl Disk {
    /// One in memory, of so many KiB, at an empty directory. `None`: not here, which was said.
    pub(crate) fn in_memory(test: &str, at: &Path, size: u32) -> Option<Self> {
        let mount = format!("mount -t tmpfs -o size={size}k,mode=700 tmpfs \"$0\"");
        Self::mounted(test, &mount, at, None)
    }

    /// One that is kept in a file beside it, so that it outlives that it was broken.
    pub(crate) fn in_a_file(test: &str, at: &Path, image: &Path) -> Option<Self> {
        File::create(image).unwrap().set_len(16 << 20).unwrap();
        let make = "mkfs.ext4 -q \"$1\" && mount -o loop \"$1\" \"$0\"";
        Self::mounted(test, make, at, Some(image.to_owned()))
    }

    fn mounted(test: &str, mount: &str, at: &Path, image: Option<PathBuf>) -> Option<Self> {
        let script = format!("{mount} && echo mounted || echo refused; exec cat");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]).arg(at);
        command.args(&image);
        if !rustix::process::geteuid().is_root() {
            skip(test, "only root mounts a file system");
            return None;
        }
        let mut holder = Process::start("the disk", &mut command);
        let said = holder.line(Output::Stdout, |line| Some(line.to_owned()));
        if said != "mounted" {
            skip(test, "this machine does not let a file system be mounted");
            return None;
        }
        Some(Self {
            holder,
            at: at.to_owned(),
            image,
        })
    }

    /// The same command, in the name space of the file system.
    pub(crate) fn enter(&self, command: &Command) -> Command {
        let mut entered = Command::new("nsenter");
        let target = self.holder.id().to_string();
        entered.args(["--mount", "--target", &target, "--"]);
        entered.arg(command.get_program()).args(command.get_args());
        entered.env_clear();
        for (name, value) in command.get_envs() {
            entered.envs(value.map(|value| (name, value)));
        }
        entered.current_dir(command.get_current_dir().unwrap());
        entered
    }

    /// Where it is, seen from outside.
    fn outside(&self) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.id());
        Path::new(&root).join(self.at.strip_prefix("/").unwrap())
    }

    /// Fills it to the last byte (`ENOSPC`).
    pub(crate) fn fill(&self) {
        let mut filler = File::create(self.outside().join("filler")).unwrap();
        for piece in [&[0; 4096][..], &[0; 1]] {
            let full = loop {
                match filler.write(piece).and_then(|_| filler.sync_data()) {
                    Ok(()) => {}
                    Err(error) => break error,
                }
            };
            assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        }
    }

    /// Makes room again.
    pub(crate) fn make_room(&self) {
        fs::remove_file(self.outside().join("filler")).unwrap();
    }

    /// Breaks it as a failing disk does: what is open cannot be written to (`EIO`), nor can anything be opened for it
    /// (`EROFS`).
    pub(crate) fn fail(&self) {
        self.run("mount -o remount,abort \"$0\"");
    }

    /// Mounts it anew, after all that had it open has ended.
    pub(crate) fn mend(&self) {
        self.run("umount \"$0\" && mount -o loop \"$1\" \"$0\"");
    }

    fn run(&self, script: &str) {
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(&self.at).args(&self.image);
        let path = super::env("PATH").unwrap_or_default();
        command.env("PATH", path).current_dir("/");
        let ended = Process::run("the disk", &mut self.enter(&command));
        assert!(ended.status.success(), "{script}: {}", ended.stderr);
    }
}
