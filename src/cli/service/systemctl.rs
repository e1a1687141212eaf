//! The commands of systemd that Janus runs, and what they say when they fail.

use std::process::{Command, Output, Stdio};

use super::{Exit, Failure};

/// The user's service manager, which answers.
#[derive(Debug)]
pub(super) struct Systemctl(());

impl Systemctl {
    /// # Errors
    /// There is none.
    pub(super) fn there() -> Result<Self, Failure> {
        let missing = |why: String| {
            Failure::new(
                Exit::Failed,
                "no_systemd",
                "the user's systemd does not answer",
            )
            .because(why)
            .help("without systemd:  janus serve")
        };
        let asked = run("systemctl", &["--user", "show-environment"]);
        let asked = asked.map_err(|error| missing(error.to_string()))?;
        if asked.status.success() {
            Ok(Self(()))
        } else {
            Err(missing(last(&asked)))
        }
    }

    /// Runs `systemctl --user`.
    #[expect(clippy::unused_self, reason = "the proof that there is one")]
    pub(super) fn run(&self, words: &[&str]) -> Result<String, Failure> {
        succeed("systemctl", &[&["--user", "--no-pager"], words].concat())
    }

    /// Whether a unit is `active` or `enabled`.
    pub(super) fn is(&self, unit: &str, what: &str) -> bool {
        self.run(&[&format!("is-{what}"), "--quiet", unit]).is_ok()
    }

    pub(super) fn property(&self, unit: &str, name: &str) -> Result<String, Failure> {
        let shown = self.run(&["show", "--value", "-p", name, unit])?;
        Ok(shown.trim().to_owned())
    }

    /// Has systemd look for mistakes in the files of units. The manual pages are the packages' own matter.
    #[expect(clippy::unused_self, reason = "the proof that there is one")]
    pub(super) fn verify(&self, files: &[String]) -> Result<(), Failure> {
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let words = [&["--user", "--man=no", "verify"], &files[..]].concat();
        succeed("systemd-analyze", &words).map(drop)
    }
}

/// Has this user's manager start at boot and outlive logout, if it does not already.
pub(super) fn linger() -> Result<(), Failure> {
    // By number: where the session is not one of logind's (`su`), it would not know who asks.
    let user = rustix::process::getuid().as_raw().to_string();
    let lingers = succeed("loginctl", &["show-user", "--value", "-p", "Linger", &user]);
    if lingers.is_ok_and(|lingers| lingers.trim() == "yes") {
        return Ok(());
    }
    let enabled = succeed("loginctl", &["enable-linger", &user]).map(drop);
    enabled.map_err(|failure| failure.help(format!("as root:  loginctl enable-linger {user}")))
}

fn succeed(program: &str, words: &[&str]) -> Result<String, Failure> {
    let ended = run(program, words).map_err(anyhow::Error::from)?;
    if ended.status.success() {
        return Ok(String::from_utf8_lossy(&ended.stdout).into_owned());
    }
    let message = format!("`{program} {}` failed", words.join(" "));
    let failure = Failure::new(Exit::Failed, "systemd", message);
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    Err(said.lines().fold(failure, Failure::because))
}

/// These end by themselves: each has its own limit for an answer of the manager.
fn run(program: &str, words: &[&str]) -> std::io::Result<Output> {
    Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output()
}

fn last(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.lines().last().unwrap_or_default().to_owned()
}
