//! The commands of systemd that Janus runs, and what they say when they fail.

use std::path::Path;
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
        };
        let without = "without systemd:  janus serve";
        let asked = run("systemctl", &["--user", "show-environment"]);
        let asked = asked.map_err(|error| missing(error.to_string()).help(without))?;
        if asked.status.success() {
            return Ok(Self(()));
        }
        let user = rustix::process::getuid().as_raw();
        let runs = Path::new(&bus_of(user)).exists();
        let failure = missing(last(&asked)).help(way_to_it(user, runs));
        Err(failure
            .help("or from a login of its own:  machinectl shell \"$(id -un)@\"")
            .help(without))
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

/// Where the manager of a user is reached, if it runs.
fn bus_of(user: u32) -> String {
    format!("/run/user/{user}/bus")
}

/// What brings this shell and the user's manager together. `su`, `sudo` and cron give no login, and without one nobody
/// starts the manager or says where it is.
fn way_to_it(user: u32, runs: bool) -> String {
    if runs {
        return format!(
            "it runs, and this shell does not know where:  export XDG_RUNTIME_DIR=/run/user/{user}"
        );
    }
    format!(
        "have it run without a login, as root:  loginctl enable-linger {user}    # then: export XDG_RUNTIME_DIR=/run/user/{user}"
    )
}

/// Has this user's manager start at boot and outlive logout, if it does not already.
pub(super) fn linger() -> Result<(), Failure> {
    if lingers() == Some(true) {
        return Ok(());
    }
    let user = user();
    let enabled = succeed("loginctl", &["enable-linger", &user]).map(drop);
    enabled.map_err(|failure| failure.help(format!("as root:  loginctl enable-linger {user}")))
}

/// Whether it does, where somebody keeps account of that.
pub(super) fn lingers() -> Option<bool> {
    let words = ["show-user", "--value", "-p", "Linger", &user()];
    let lingers = succeed("loginctl", &words).ok()?;
    Some(lingers.trim() == "yes")
}

/// By number: where the session is not one of logind's (`su`), it would not know who asks.
fn user() -> String {
    rustix::process::getuid().as_raw().to_string()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_bus_is_told_how_to_get_there() {
        let line = |runs| {
            let help = way_to_it(1000, runs);
            help.split_once(":  ").unwrap().1.to_owned()
        };
        assert_eq!(line(true), "export XDG_RUNTIME_DIR=/run/user/1000");
        assert_eq!(
            line(false),
            "loginctl enable-linger 1000    # then: export XDG_RUNTIME_DIR=/run/user/1000"
        );
    }
}
