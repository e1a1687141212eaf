//! Why the daemon does not start: in words, with the command that helps, told to everybody who waits for it.
//!
//! Invariants:
//! - Whatever fails, whoever waits at the sockets is answered, and the service manager's line says the same.
//! - It ends with 78 where only a person can mend it. Otherwise the service manager may try again.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::serve::runtime;
use super::service::listens_at;
use super::{Exit, Failure};
use crate::daemon::{Inherited, Manager, NotBound, Unready};
use crate::store::Unusable;

/// A start that failed, and what it was.
#[derive(Debug)]
pub(super) struct NotStarted {
    failure: Failure,
    cause: Cause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// What a person wrote is wrong.
    Configuration,
    /// The state, a socket, the system.
    Surroundings,
}

impl NotStarted {
    /// What a person wrote is wrong.
    pub(super) fn configuration(failure: Failure) -> Self {
        Self {
            failure: failure.exits(Exit::Configuration),
            cause: Cause::Configuration,
        }
    }

    /// Something else.
    pub(super) fn surroundings(failure: Failure) -> Self {
        Self {
            failure,
            cause: Cause::Surroundings,
        }
    }

    /// What the daemon says.
    pub(super) fn of(error: anyhow::Error) -> Self {
        if let Some(failure) = error.downcast_ref().and_then(of_service) {
            return Self::surroundings(failure);
        }
        let (exit, help) = match (
            error.downcast_ref::<NotBound>(),
            error.downcast_ref::<Unusable>(),
        ) {
            (Some(socket), _) => of_socket(socket),
            (_, Some(state)) => of_state(state),
            (None, None) => (Exit::Failed, None),
        };
        // Mostly it is the daemon that was started before.
        let runs = matches!(error.downcast_ref(), Some(Unusable::InUse { .. }));
        let runs = runs.then(|| "if it serves already, use that one:  janus status".to_owned());
        let failure = Failure::from(error).exits(exit);
        let help = help.into_iter().chain(runs);
        Self::surroundings(help.fold(failure, Failure::help))
    }

    /// The failure, before anybody waits.
    pub(super) fn into_failure(self) -> Failure {
        self.failure
    }

    /// Tells whoever waits at the sockets, and the service manager.
    pub(super) fn told(self, waiting: Inherited, manager: &Manager) -> Failure {
        let why = self.why();
        manager.not_started(&why.to_string());
        if !waiting.is_empty() {
            // Without a runtime they see the connection break, which says less.
            if let Ok(runtime) = runtime() {
                runtime.block_on(waiting.refuse(why));
            }
        }
        self.failure
    }

    fn why(&self) -> Unready {
        let parts = self.failure.parts();
        let first = parts.mistakes.first().map_or(parts, Failure::parts);
        let mut message = first.message.clone();
        for cause in &first.because {
            message = format!("{message}: {cause}");
        }
        match parts.mistakes.len().saturating_sub(1) {
            0 => {}
            more => message = format!("{message} (and {more} more)"),
        }
        let help = parts.help.iter().find_map(|help| command(help));
        let (code, helps) = match self.cause {
            Cause::Configuration => ("config_invalid", "janus config validate"),
            Cause::Surroundings => ("cannot_start", "janus logs"),
        };
        Unready {
            code,
            message,
            place: first.place.clone(),
            help: help.unwrap_or(helps).to_owned(),
        }
    }
}

/// The command in a line of help: `say why:  janus logs    # a remark`.
fn command(help: &str) -> Option<&str> {
    let (_, command) = help.split_once(":  ")?;
    command.split("    #").next()
}

fn of_state(state: &Unusable) -> (Exit, Option<String>) {
    match state {
        // A command has it for moments, and another Janus may end.
        Unusable::InUse { pid, .. } => (
            Exit::Failed,
            pid.map(|pid| format!("see which one it is:  ps -fp {pid}")),
        ),
        Unusable::NotOurs { path, .. } => (Exit::Configuration, Some(look_at(path))),
        Unusable::Newer { .. } => (
            Exit::Configuration,
            Some("see which Janus this is:  janus --version".to_owned()),
        ),
        Unusable::Damaged { path, .. } => {
            let path = path.display();
            let help = format!("begin anew:  mv '{path}' '{path}.damaged'");
            (Exit::Configuration, Some(help))
        }
        // Somebody may hold it.
        Unusable::Database { path, .. } => (Exit::Failed, Some(look_at(path))),
        Unusable::Io { path, source } => (exit_of(source), Some(look_at(path))),
    }
}

/// The service is installed, and systemd listens where this Janus would.
fn of_service(socket: &NotBound) -> Option<Failure> {
    let place = match socket {
        NotBound::Taken(address) => address.to_string(),
        NotBound::AnotherJanus(place) => {
            let place = place.trim_start_matches("http://").trim_end_matches("/mcp");
            place.trim_start_matches("unix:").to_owned()
        }
        NotBound::InTheWay(_) | NotBound::Io { .. } => return None,
    };
    listens_at(&place).then(|| {
        let message = format!("the service has {place}: systemd listens there for it");
        Failure::new(Exit::Failed, "already_serving", message)
            .help("use it, the first connection starts it:  janus status")
            .help("or end it before:  systemctl --user stop janus.socket")
    })
}

fn of_socket(socket: &NotBound) -> (Exit, Option<String>) {
    let other = "choose another address:  janus config path    # listen";
    match socket {
        NotBound::AnotherJanus(_) => (
            Exit::Failed,
            Some("use the one that runs:  janus status".to_owned()),
        ),
        NotBound::Taken(_) => (Exit::Failed, Some(format!("{other}.http"))),
        NotBound::InTheWay(path) => (Exit::Configuration, Some(look_at(path))),
        NotBound::Io { source, .. } => (exit_of(source), Some(other.to_owned())),
    }
}

/// What does not become another by waiting.
fn exit_of(error: &io::Error) -> Exit {
    match error.kind() {
        ErrorKind::PermissionDenied
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::InvalidFilename => Exit::Configuration,
        _ => Exit::Failed,
    }
}

fn look_at(path: &Path) -> String {
    format!("look at it:  ls -ld '{}'", path.display())
}
