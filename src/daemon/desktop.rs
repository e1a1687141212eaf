//! Tells a person at a desktop that a login waits: a notification where there is somebody to show it, and a browser where
//! the configuration says `open_browser: true`.
//!
//! Invariants:
//! - Everything here is best effort: the journal and `janus status` say it too.
//! - What a server or a provider says is in no notification.
//! - A browser is started by the user's service manager, in the session's environment and outside of this service: it
//!   would die with the service, or have its restrictions. No shell; the address is the last argument.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use zbus::zvariant::Value;

use crate::account::login::{Event, Initiator, Logins, Pending};
use crate::credential::oauth::LoginReason;
use crate::model::{AccountId, OpenBrowser, Settings};

/// A program of the desktop that hangs holds up nothing.
const PATIENCE: Duration = Duration::from_secs(5);
/// About one account a person is told no more often than this.
const QUIET: Duration = Duration::from_mins(10);
/// What a browser needs of the session.
const DISPLAYS: [&str; 2] = ["DISPLAY=", "WAYLAND_DISPLAY="];

/// Where a person may sit.
#[derive(Debug)]
pub(super) struct Desktop {
    /// The address of the session bus.
    bus: Option<String>,
    /// What commands get.
    environment: Vec<(String, OsString)>,
    told: BTreeMap<AccountId, Instant>,
}

impl Desktop {
    pub(super) fn new(settings: &Settings) -> Self {
        let bus = settings.vault.session_bus.clone();
        let mut environment = settings.child_environment.clone();
        if let Some(bus) = &bus {
            environment.push(("DBUS_SESSION_BUS_ADDRESS".to_owned(), bus.into()));
        }
        Self {
            bus,
            environment,
            told: BTreeMap::new(),
        }
    }

    /// Tells what happens until Janus stops.
    pub(super) async fn tell(mut self, logins: Logins, stopping: CancellationToken) {
        let (mut notices, mut events) = (logins.grants().notices(), logins.events());
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                notice = notices.recv() => match notice {
                    Ok(notice) => {
                        let why = Some(notice.reason);
                        self.needed(&notice.account, why).await;
                    }
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
                event = events.recv() => match event {
                    Ok(Event::Waits { pending, by: Initiator::Client }) => self.waits(&pending).await,
                    Ok(Event::LoggedIn(logged_in)) => drop(self.told.remove(&logged_in.account)),
                    Ok(Event::Waits { by: Initiator::Person, .. }) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    async fn waits(&mut self, pending: &Arc<Pending>) {
        // Without a link a person must be asked something first, and only the command can.
        let may = pending.open_browser == OpenBrowser::Always && pending.link().is_some();
        if may && self.open(pending).await {
            return;
        }
        self.needed(&pending.account, None).await;
    }

    /// Shows a notification, once for a while.
    async fn needed(&mut self, account: &AccountId, why: Option<LoginReason>) {
        let recently = |told: &Instant| told.elapsed() < QUIET;
        if self.told.get(account).is_some_and(recently) {
            return;
        }
        let Some(bus) = &self.bus else { return };
        let why = why.map_or_else(String::new, |why| format!(": {}", why.told()));
        let summary = format!("{account} needs a login");
        let body = format!("{account} needs a login{why}. Run: janus login {account}");
        match timeout(PATIENCE, notify(bus, &summary, &body)).await {
            Ok(Ok(())) => drop(self.told.insert(account.clone(), Instant::now())),
            Ok(Err(error)) => tracing::debug!(%error, "no notification is shown"),
            Err(_) => tracing::debug!("no notification is shown: the desktop does not answer"),
        }
    }

    /// Opens the page of a login in the user's session, if there is a graphical one. Whether it was tried.
    async fn open(&self, pending: &Pending) -> bool {
        let shown = self.command("systemctl", &["--user", "show-environment"]);
        let shown = match timeout(PATIENCE, { shown }.output()).await {
            Ok(Ok(shown)) => String::from_utf8_lossy(&shown.stdout).into_owned(),
            _ => String::new(),
        };
        if !has_display(&shown) {
            return false;
        }
        let arguments = browser(pending.browser_command.as_deref(), &pending.page);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = self.command("systemd-run", &arguments);
        match timeout(PATIENCE, command.status()).await {
            Ok(Ok(status)) if status.success() => true,
            _ => {
                tracing::info!(account = %pending.account, "no browser could be opened for the login");
                false
            }
        }
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

/// The arguments of `systemd-run` for a browser.
fn browser(command: Option<&[String]>, page: &str) -> Vec<String> {
    let fixed = ["--user", "--collect", "-p", "ExitType=cgroup", "--"];
    let opener = ["xdg-open".to_owned()];
    let command = command.filter(|command| !command.is_empty());
    let command = command.unwrap_or(&opener);
    let fixed = fixed.map(str::to_owned).into_iter();
    fixed
        .chain(command.iter().cloned())
        .chain([page.to_owned()])
        .collect()
}

/// Whether the session that this manager serves is a graphical one.
fn has_display(environment: &str) -> bool {
    environment.lines().any(|line| {
        let mut values = DISPLAYS.iter().filter_map(|name| line.strip_prefix(name));
        values.any(|value| !value.is_empty())
    })
}

/// `org.freedesktop.Notifications.Notify`
async fn notify(bus: &str, summary: &str, body: &str) -> zbus::Result<()> {
    let connection = zbus::connection::Builder::address(bus)?.build().await?;
    let hints: HashMap<&str, Value<'_>> = HashMap::new();
    let actions: &[&str] = &[];
    let shown = (
        "Janus",
        0_u32,
        "dialog-password",
        summary,
        body,
        actions,
        hints,
        -1_i32,
    );
    connection
        .call_method(
            Some("org.freedesktop.Notifications"),
            "/org/freedesktop/Notifications",
            Some("org.freedesktop.Notifications"),
            "Notify",
            &shown,
        )
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_its_arguments_one_by_one_and_the_page_last() {
        let page = "http://127.0.0.1:7332/login/abc234";
        assert_eq!(
            browser(None, page),
            [
                "--user",
                "--collect",
                "-p",
                "ExitType=cgroup",
                "--",
                "xdg-open",
                page
            ]
        );
        let own = ["firefox".to_owned(), "-P".to_owned(), "client a".to_owned()];
        assert_eq!(
            browser(Some(&own), page)[5..],
            ["firefox", "-P", "client a", page]
        );
    }

    #[test]
    fn only_a_session_with_a_display_gets_a_browser() {
        assert!(has_display("PATH=/bin\nDISPLAY=:0\n"));
        assert!(has_display("WAYLAND_DISPLAY=wayland-0\n"));
        assert!(!has_display("PATH=/bin\nDISPLAY=\nMY_DISPLAY=:0\n"));
        assert!(!has_display(""));
    }
}
