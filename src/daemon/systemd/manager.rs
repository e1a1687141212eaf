//! Messages to the service manager (`sd_notify(3)`). Without one they go nowhere.
//!
//! Invariants:
//! - No message holds a secret or a link.
//! - A message that cannot be sent is logged once, and stops nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::telemetry::redact;

/// How the status of one begins that cannot start, for as long as it says so to whoever connects.
pub const NOT_STARTED: &str = "did not start: ";

/// The service manager that started us, if one did.
#[derive(Debug, Clone, Default)]
pub struct Manager {
    complained: Arc<AtomicBool>,
}

impl Manager {
    /// It serves.
    pub(in crate::daemon) fn ready(&self, status: &str) {
        self.send(&[NotifyState::Ready, NotifyState::Status(&line(status))]);
    }

    /// How things stand.
    pub(in crate::daemon) fn status(&self, status: &str) {
        self.send(&[NotifyState::Status(&line(status))]);
    }

    /// It reads its configuration again; [`Manager::ready`] ends that. `Type=notify-reload` takes it for the answer to
    /// its own request only with the time.
    pub(in crate::daemon) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.send(&[NotifyState::Reloading, now]),
            Err(_) => self.send(&[NotifyState::Reloading]),
        }
    }

    /// It is about to go on as another program, which says that it is ready.
    pub(in crate::daemon) fn going_on(&self) {
        self.reloading();
        self.status("going on as the program that is installed");
    }

    /// It was asked to end, and begins to.
    pub(in crate::daemon) fn stopping(&self) {
        self.send(&[
            NotifyState::Stopping,
            NotifyState::Status("stopping: calls in flight may finish"),
        ]);
    }

    /// It is alive.
    pub(in crate::daemon) fn watchdog(&self) {
        self.send(&[NotifyState::Watchdog]);
    }

    /// What it does now goes on for at most this long, or until it says so again.
    pub(in crate::daemon) fn extend(&self, by: Duration) {
        let by = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
        self.send(&[NotifyState::ExtendTimeoutUsec(by)]);
    }

    /// It failed, and this error of the system is behind that, if one is.
    pub(in crate::daemon) fn failed(&self, why: &anyhow::Error) {
        let source = why
            .chain()
            .find_map(|cause| cause.downcast_ref::<std::io::Error>());
        let number = source.and_then(std::io::Error::raw_os_error);
        if let Some(number) = number.and_then(|number| u32::try_from(number).ok()) {
            self.send(&[NotifyState::Errno(number)]);
        }
    }

    /// It cannot start, for this reason. (`EXIT_STATUS=` is nothing that systemd reads of a service; it sees the status.)
    pub fn not_started(&self, why: &str) {
        self.send(&[NotifyState::Status(&line(&format!("{NOT_STARTED}{why}")))]);
    }

    fn send(&self, state: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(state)
            && !self.complained.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%error, "the service manager cannot be told how things stand");
        }
    }
}

/// A message ends with its line, and whoever may ask the manager reads it.
fn line(text: &str) -> String {
    redact(text).replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::Secret;
    use crate::telemetry::learn;

    #[test]
    fn a_message_is_one_line_without_a_secret() {
        let secret = Arc::new(Secret::new("manager-canary-42"));
        learn(&secret);
        assert_eq!(line("a\nb: manager-canary-42"), "a b: ****");
    }
}
