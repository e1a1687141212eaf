//! The sockets that a service manager listens on for us (`sd_listen_fds(3)`).

use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

use crate::downstream::{Listener, Unready, refuse};

/// Sockets that were handed over, by their roles.
#[derive(Debug, Default)]
pub struct Inherited {
    /// For clients.
    pub(in crate::daemon) mcp: Vec<Socket>,
    /// For commands.
    pub(in crate::daemon) control: Vec<UnixListener>,
    /// What could not be used, and why: the log does not exist yet.
    complaints: Vec<String>,
}

/// A socket for clients.
#[derive(Debug)]
pub(in crate::daemon) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    /// The same once more.
    fn again(&self) -> std::io::Result<Self> {
        match self {
            Self::Tcp(listener) => listener.try_clone().map(Self::Tcp),
            Self::Unix(listener) => listener.try_clone().map(Self::Unix),
        }
    }

    /// The same for the runtime.
    pub(in crate::daemon) fn listener(self) -> std::io::Result<Listener> {
        match self {
            Self::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                tokio::net::TcpListener::from_std(listener).map(Listener::Tcp)
            }
            Self::Unix(listener) => {
                listener.set_nonblocking(true)?;
                tokio::net::UnixListener::from_std(listener).map(Listener::Unix)
            }
        }
    }
}

impl Inherited {
    /// Takes what this process was given. Call it once, before there is any thread: it edits the environment.
    pub fn take() -> Self {
        let mut inherited = Self::default();
        // It also sees to it that no child has them.
        let names = match sd_notify::listen_fds_with_names() {
            Ok(named) => named.map(|(_, name)| name).collect::<Vec<_>>(),
            Err(error) => {
                inherited.complain(format!(
                    "the sockets that were handed over cannot be used: {error}"
                ));
                return inherited;
            }
        };
        let mut handed = ListenFd::from_env();
        for (at, name) in names.iter().enumerate() {
            inherited.adopt(name, take(&mut handed, at));
        }
        inherited
    }

    /// Says what could not be used, once there is a log.
    pub fn explain(&mut self) {
        for complaint in self.complaints.drain(..) {
            tracing::error!("{complaint}");
        }
    }

    /// The same sockets once more, for whoever waits at them in the case that Janus does not start: by then these have been
    /// handed on.
    #[must_use]
    pub fn again(&self) -> Self {
        // Whoever waits at one that cannot be had twice sees the connection break.
        Self {
            mcp: self.mcp.iter().flat_map(Socket::again).collect(),
            control: self
                .control
                .iter()
                .flat_map(UnixListener::try_clone)
                .collect(),
            complaints: Vec::new(),
        }
    }

    /// Whether somebody may wait at them.
    pub fn is_empty(&self) -> bool {
        self.mcp.is_empty() && self.control.is_empty()
    }

    /// Answers whoever waits at them with the reason why Janus does not start.
    pub async fn refuse(self, why: Unready) {
        let clients = self.mcp.into_iter().map(Socket::listener);
        let commands = self.control.into_iter().map(|control| {
            control.set_nonblocking(true)?;
            tokio::net::UnixListener::from_std(control).map(Listener::Control)
        });
        // One that cannot be served now could not be told of either.
        let listeners = clients.chain(commands).filter_map(Result::ok).collect();
        refuse(listeners, why).await;
    }

    fn adopt(&mut self, name: &str, socket: Result<Socket, String>) {
        let socket = match socket {
            Ok(socket) => socket,
            Err(why) => return self.complain(format!("the descriptor `{name}` is closed: {why}")),
        };
        match (name, socket) {
            ("mcp", socket) => self.mcp.push(socket),
            ("control", Socket::Unix(listener)) => self.control.push(listener),
            ("control", Socket::Tcp(_)) => {
                let why = "it is a TCP socket, whose peers nobody vouches for; give it a path";
                self.complain(format!("the socket `control` is closed: {why}"));
            }
            (name, _) => {
                let why =
                    "Janus knows `mcp` and `control`: write FileDescriptorName= in the socket unit";
                self.complain(format!("the socket `{name}` is closed: {why}"));
            }
        }
    }

    fn complain(&mut self, what: String) {
        self.complaints.push(what);
    }
}

/// The descriptor at this place, if it is a socket that Janus can serve; else it is closed.
fn take(handed: &mut ListenFd, at: usize) -> Result<Socket, String> {
    if let Ok(Some(listener)) = handed.take_tcp_listener(at) {
        return listening(&listener, "TCP").map(|()| Socket::Tcp(listener));
    }
    match handed.take_unix_listener(at) {
        Ok(Some(listener)) => listening(&listener, "unix").map(|()| Socket::Unix(listener)),
        Ok(None) => Err("it was not handed over".to_owned()),
        Err(_)
            if matches!(handed.take_udp_socket(at), Ok(Some(_)))
                || matches!(handed.take_unix_datagram(at), Ok(Some(_))) =>
        {
            Err("it is a datagram socket; write ListenStream= in the socket unit".to_owned())
        }
        // Not ours to close without knowing what it is; no child has it.
        Err(error) => Err(error.to_string()),
    }
}

fn listening(socket: impl AsFd, kind: &str) -> Result<(), String> {
    match socket_acceptconn(socket) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!(
            "it is a {kind} socket that does not listen; write Accept=no in the socket unit"
        )),
        Err(error) => Err(error.to_string()),
    }
}
