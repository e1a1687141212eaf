//! Another build of Janus to measure beside this one: a program, or the one that a revision makes.
//!
//! The revision is checked out beside the build's own files, which stay for the next time; the checkout does not. Both
//! are built alike: `cargo bench` builds with the features that the tests want of the libraries, and people do not.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};

/// The other build.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let file = Path::new(name);
    if file.is_file() {
        return file.canonicalize().context("the program cannot be found");
    }
    let revision = said(
        git()
            .args(["rev-parse", "--verify", "--quiet", "--end-of-options"])
            .arg(format!("{name}^{{commit}}")),
    )
    .with_context(|| format!("`{name}` is neither a file nor a revision"))?;
    let directory = directory()?;
    let kept = directory.join(format!("janus-{revision}"));
    if kept.is_file() {
        return Ok(kept);
    }
    eprintln!("building janus of {revision} …");
    let checkout = Checkout::of(&revision, directory.join("checkout"))?;
    build(&checkout.0, &directory, kept)
}

/// This build, made as the other one is.
pub(crate) fn this() -> anyhow::Result<PathBuf> {
    let directory = directory()?;
    let kept = directory.join("janus-now");
    build(Path::new(env!("CARGO_MANIFEST_DIR")), &directory, kept)
}

fn build(sources: &Path, directory: &Path, kept: PathBuf) -> anyhow::Result<PathBuf> {
    let target = directory.join("target");
    let mut cargo = Command::new("cargo");
    let what = ["build", "--release", "--locked", "--bin", "janus"];
    cargo.current_dir(sources).args(what);
    let status = cargo.arg("--target-dir").arg(&target).status();
    let built = status.context("cargo does not start")?.success();
    ensure!(built, "janus does not build in {}", sources.display());
    std::fs::copy(target.join("release/janus"), &kept)?;
    Ok(kept)
}

/// Beside what cargo built of this one.
fn directory() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(3).context("no target directory")?;
    let directory = target.join("bench-against");
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// A working tree of another revision; it goes with this value.
struct Checkout(PathBuf);

impl Checkout {
    fn of(revision: &str, at: PathBuf) -> anyhow::Result<Self> {
        // Left there by a run that was killed.
        drop(Self(at.clone()));
        said(
            git()
                .args(["worktree", "add", "--detach", "--quiet"])
                .arg(&at)
                .arg(revision),
        )
        .context("the revision cannot be checked out")?;
        Ok(Self(at))
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let mut remove = git();
        remove.args(["worktree", "remove", "--force"]).arg(&self.0);
        // Where there is none, there is nothing to remove.
        remove.stderr(Stdio::null()).status().ok();
    }
}

fn git() -> Command {
    let mut git = Command::new("git");
    git.current_dir(env!("CARGO_MANIFEST_DIR"));
    git
}

/// What a command says on its standard output.
fn said(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().context("git does not start")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// How much more a call may take than in the other build.
const ALLOWED: f64 = 2.0;

/// What became of the instructions of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Growth {
    /// In percent of the other build.
    percent: f64,
}

impl Growth {
    pub(crate) fn of(now: f64, before: f64) -> Self {
        Self {
            percent: (now / before - 1.0) * 100.0,
        }
    }

    /// Whether it is more than noise of the allocator could be.
    pub(crate) fn is_allowed(self) -> bool {
        self.percent <= ALLOWED
    }
}

impl std::fmt::Display for Growth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:+.2} % (at most {ALLOWED:+} %)", self.percent)
    }
}

/// Tries the arithmetic: a gate that lets everything through would look right.
pub(crate) fn try_growth() -> anyhow::Result<()> {
    let (same, more, less) = (
        Growth::of(10.0, 10.0),
        Growth::of(10.3, 10.0),
        Growth::of(5.0, 10.0),
    );
    ensure!(
        same.is_allowed() && less.is_allowed() && !more.is_allowed(),
        "{same}, {more}, {less}"
    );
    ensure!(less.to_string() == "-50.00 % (at most +2 %)", "{less}");
    Ok(())
}
