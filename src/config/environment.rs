//! The environment, captured once as a value.
//!
//! Tests build their own; nothing else in Janus asks the process for a variable.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::model::{ProxySettings, Secret};

/// What a child process gets of our environment: enough to find its programs, its home and its language.
const CHILD: [&str; 7] = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR"];

/// The families a child gets: its locale, and where the desktop keeps things.
const CHILD_PREFIXES: [&str; 2] = ["LC_", "XDG_"];

/// The variables of the process, and who runs it. `Debug` prints the names only: values may be secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    user: u32,
    runtime: Option<PathBuf>,
}

impl Environment {
    /// The environment of this process.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the environment"
    )]
    pub fn capture() -> Self {
        Self::new(std::env::vars_os(), rustix::process::getuid().as_raw())
    }

    /// An environment of the given variables, for the user with this number.
    pub fn new<K: Into<OsString>, V: Into<OsString>>(
        variables: impl IntoIterator<Item = (K, V)>,
        user: u32,
    ) -> Self {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self {
            variables,
            user,
            runtime: None,
        }
    }

    /// The same with another runtime directory: `--runtime-dir` wins over `JANUS_RUNTIME_DIR`.
    #[must_use]
    pub fn with_runtime_directory(mut self, directory: Option<PathBuf>) -> Self {
        self.runtime = directory.or(self.runtime);
        self
    }

    /// The same with these variables where they are not set: what a configuration would mean once they are.
    #[must_use]
    pub fn supposing<'v>(mut self, variables: impl IntoIterator<Item = (String, &'v str)>) -> Self {
        for (name, value) in variables {
            self.variables
                .entry(name.into())
                .or_insert_with(|| value.into());
        }
        self
    }

    /// A variable as it is, for `${NAME}`.
    pub(super) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
    }

    /// A variable that is set to something. Empty counts as absent.
    fn set(&self, name: &str) -> Option<&OsStr> {
        self.variable(name).filter(|value| !value.is_empty())
    }

    /// A directory from a variable. The XDG specification has relative ones ignored.
    fn directory(&self, name: &str) -> Option<PathBuf> {
        self.set(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    }

    /// `JANUS_CONFIG`: the configuration to read.
    pub fn config_file(&self) -> Option<PathBuf> {
        self.set("JANUS_CONFIG").map(PathBuf::from)
    }

    /// Whether standard error is what `JOURNAL_STREAM` names, as `is` tells (`systemd.exec(5)`).
    pub fn logs_to(&self, is: impl FnOnce(Option<&str>) -> bool) -> bool {
        is(self.set("JOURNAL_STREAM").and_then(OsStr::to_str))
    }

    /// The home directory.
    pub fn home(&self) -> Option<PathBuf> {
        self.directory("HOME")
    }

    /// Where configurations live: `$XDG_CONFIG_HOME`, else `~/.config`.
    pub fn config_home(&self) -> Option<PathBuf> {
        self.directory("XDG_CONFIG_HOME")
            .or_else(|| self.home().map(|home| home.join(".config")))
    }

    /// Where Janus keeps its state: `$XDG_STATE_HOME/janus`, else `~/.local/state/janus`.
    pub fn state_directory(&self) -> Option<PathBuf> {
        self.directory("XDG_STATE_HOME")
            .or_else(|| self.home().map(|home| home.join(".local/state")))
            .map(|state| state.join("janus"))
    }

    /// The directory of Janus's sockets: `--runtime-dir`, `JANUS_RUNTIME_DIR`, else `janus` below `$XDG_RUNTIME_DIR`,
    /// which systemd makes at `/run/user/UID`.
    pub fn runtime_directory(&self) -> PathBuf {
        self.runtime
            .clone()
            .or_else(|| self.set("JANUS_RUNTIME_DIR").map(PathBuf::from))
            .unwrap_or_else(|| {
                self.directory("XDG_RUNTIME_DIR")
                    .unwrap_or_else(|| PathBuf::from(format!("/run/user/{}", self.user)))
                    .join("janus")
            })
    }

    /// The socket that clients reach Janus at, where the configuration names none.
    pub fn socket(&self) -> PathBuf {
        self.runtime_file("mcp.sock")
    }

    /// The socket that commands ask the daemon at. It lies at the MCP socket's usual place: which file is read must not
    /// change where the running daemon is found.
    pub fn control_socket(&self) -> PathBuf {
        self.runtime_file("control.sock")
    }

    fn runtime_file(&self, name: &str) -> PathBuf {
        let directory = self.runtime_directory();
        std::path::absolute(&directory)
            .unwrap_or(directory)
            .join(name)
    }

    /// `$CREDENTIALS_DIRECTORY`: the credentials that systemd gave the service.
    pub fn credentials_directory(&self) -> Option<PathBuf> {
        self.directory("CREDENTIALS_DIRECTORY")
    }

    /// The session bus: `$DBUS_SESSION_BUS_ADDRESS`, else `bus` in `$XDG_RUNTIME_DIR`, where systemd has it.
    pub fn session_bus(&self) -> Option<String> {
        self.text("DBUS_SESSION_BUS_ADDRESS").or_else(|| {
            let runtime = self.directory("XDG_RUNTIME_DIR");
            let runtime =
                runtime.unwrap_or_else(|| PathBuf::from(format!("/run/user/{}", self.user)));
            Some(format!("unix:path={}", runtime.join("bus").to_str()?))
        })
    }

    /// Whether there is a graphical session: a browser that is opened is seen.
    pub fn has_display(&self) -> bool {
        self.set("DISPLAY").is_some() || self.set("WAYLAND_DISPLAY").is_some()
    }

    /// What the user is called.
    pub fn user_name(&self) -> Option<String> {
        self.text("USER").or_else(|| self.text("LOGNAME"))
    }

    /// The address and the port by which whoever sits at this terminal reached the machine: the end of
    /// `$SSH_CONNECTION` (ssh(1), ENVIRONMENT).
    pub fn reached_at(&self) -> Option<(String, u16)> {
        let connection = self.text("SSH_CONNECTION")?;
        let words: Vec<&str> = connection.split(' ').collect();
        let [_, _, address, port] = words.as_slice() else {
            return None;
        };
        let address: std::net::IpAddr = address.parse().ok()?;
        Some((address.to_string(), port.parse().ok()?))
    }

    /// `SHELL`: the login shell.
    pub fn shell(&self) -> Option<String> {
        self.text("SHELL")
    }

    /// `JANUS_PROFILE`: the profile that a client of ours asks for.
    pub fn profile(&self) -> Option<String> {
        self.text("JANUS_PROFILE")
    }

    /// `JANUS_KEY`: the access key of a client of ours.
    pub fn access_key(&self) -> Option<Secret> {
        self.text("JANUS_KEY").map(Secret::new)
    }

    /// `JANUS_LOG`: what to log, in the form of `tracing-subscriber`.
    pub fn log_filter(&self) -> Option<String> {
        self.text("JANUS_LOG")
    }

    /// Whether `NO_COLOR` or a dumb terminal forbids colour.
    pub fn forbids_colour(&self) -> bool {
        self.set("NO_COLOR").is_some() || self.variable("TERM") == Some(OsStr::new("dumb"))
    }

    /// Whether `CLICOLOR_FORCE` asks for colour where there is no terminal.
    pub fn forces_colour(&self) -> bool {
        self.set("CLICOLOR_FORCE").is_some_and(|value| value != "0")
    }

    /// `HTTPS_PROXY` and `NO_PROXY`, in either case.
    pub fn proxy(&self) -> ProxySettings {
        ProxySettings {
            https: self
                .text("HTTPS_PROXY")
                .or_else(|| self.text("https_proxy"))
                .map(|url| Arc::new(Secret::new(url))),
            no_proxy: self.text("NO_PROXY").or_else(|| self.text("no_proxy")),
        }
    }

    /// The minimal environment of every child, ordered by name.
    pub fn child_environment(&self) -> Vec<(String, OsString)> {
        let wanted = |name: &str| {
            CHILD.contains(&name) || CHILD_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        };
        self.variables
            .iter()
            .filter_map(|(name, value)| Some((name.to_str()?, value)))
            .filter(|(name, _)| wanted(name))
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect()
    }

    fn text(&self, name: &str) -> Option<String> {
        self.set(name)?.to_str().map(str::to_owned)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_gets_the_minimal_environment_in_order() {
        let environment = Environment::new(
            [
                ("XDG_DATA_HOME", "/d"),
                ("PATH", "/bin"),
                ("LC_ALL", "C"),
                ("GITHUB_TOKEN", "ghp_secret"),
                ("LANG", "C.UTF-8"),
                ("LD_PRELOAD", "/evil.so"),
            ],
            1000,
        );
        let names: Vec<String> = environment
            .child_environment()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["LANG", "LC_ALL", "PATH", "XDG_DATA_HOME"]);
        assert!(!format!("{environment:?}").contains("ghp_secret"));
    }

    #[test]
    fn directories_follow_the_xdg_specification() {
        let of = |variables: &[(&str, &str)]| Environment::new(variables.iter().copied(), 1000);
        let home = of(&[
            ("HOME", "/home/ana"),
            ("XDG_CONFIG_HOME", "relative"),
            ("XDG_STATE_HOME", ""),
        ]);
        assert_eq!(home.config_home(), Some("/home/ana/.config".into()));
        assert_eq!(
            home.state_directory(),
            Some("/home/ana/.local/state/janus".into())
        );
        assert_eq!(
            home.runtime_directory(),
            PathBuf::from("/run/user/1000/janus")
        );

        let set = of(&[("XDG_RUNTIME_DIR", "/run/x"), ("JANUS_RUNTIME_DIR", "")]);
        assert_eq!(set.runtime_directory(), PathBuf::from("/run/x/janus"));
        assert_eq!(set.config_home(), None);
        let named = of(&[
            ("XDG_RUNTIME_DIR", "/run/x"),
            ("JANUS_RUNTIME_DIR", "/tmp/j"),
        ]);
        assert_eq!(named.runtime_directory(), PathBuf::from("/tmp/j"));
        let flag = named.with_runtime_directory(Some("/tmp/k".into()));
        assert_eq!(flag.runtime_directory(), PathBuf::from("/tmp/k"));
    }

    #[test]
    fn an_empty_proxy_is_none_and_either_case_counts() {
        let environment = Environment::new(
            [
                ("HTTPS_PROXY", ""),
                ("https_proxy", "http://p:1"),
                ("NO_PROXY", "localhost"),
            ],
            0,
        );
        let proxy = environment.proxy();
        assert_eq!(proxy.https, Some(Arc::new(Secret::new("http://p:1"))));
        assert_eq!(proxy.no_proxy.as_deref(), Some("localhost"));
    }
}
