//! The sockets Janus serves: those it was handed, which are authoritative, or else those it binds for itself. One that is
//! taken says by whom.

use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, UnixListener};

use crate::downstream::Listener;
use crate::handover::{Carried, Luggage};
use crate::model::Listen;

use super::systemd::{Inherited, Socket};

/// Why a socket could not be bound. A person must act.
#[derive(Debug, thiserror::Error)]
pub enum NotBound {
    /// Two of them would fight over clients.
    #[error("another Janus already listens on {0}")]
    AnotherJanus(String),
    /// Some other program has the port.
    #[error("{0} is taken by another program")]
    Taken(SocketAddr),
    /// Something that is no socket is in the way.
    #[error("`{}` exists and is not a socket", .0.display())]
    InTheWay(PathBuf),
    /// The system refused.
    #[error("{what} cannot be bound")]
    Io {
        /// The address or path.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The sockets that Janus serves, bound for itself or held by the service manager.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) listeners: Vec<Listener>,
    /// The first TCP address.
    pub(super) http: Option<SocketAddr>,
    /// The unix socket for clients.
    pub(super) socket: Option<PathBuf>,
    /// Where clients reach it, as they write it.
    pub(super) listening: Vec<String>,
    /// Whether the service manager holds those for clients.
    pub(super) held: bool,
    /// What Janus has made, and removes.
    own: Vec<Own>,
}

/// The sockets as the next program of this process finds them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SocketsRecord {
    tcp: Vec<Carried>,
    unix: Vec<Carried>,
    control: Vec<Carried>,
    held: bool,
    own: Vec<Own>,
}

/// A socket that Janus has made. Another one may be in its place by the time it ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Own {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Own {
    /// What is there now; nothing if it is gone already.
    fn at(path: &Path) -> Option<Self> {
        let metadata = fs::symlink_metadata(path).ok()?;
        Some(Self {
            path: path.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    fn is_there(&self) -> bool {
        Self::at(&self.path)
            .is_some_and(|there| (there.device, there.inode) == (self.device, self.inode))
    }
}

impl Sockets {
    /// Those of the program that this process was.
    pub(super) fn resume(record: &SocketsRecord, luggage: &mut Luggage) -> anyhow::Result<Self> {
        let mut sockets = Self {
            listeners: Vec::new(),
            http: None,
            socket: None,
            listening: Vec::new(),
            held: record.held,
            own: record.own.clone(),
        };
        let mut take = |place| luggage.take(place).context("a socket is lost");
        for place in &record.tcp {
            sockets.adopt(Socket::Tcp(take(*place)?.into()))?;
        }
        for place in &record.unix {
            sockets.adopt(Socket::Unix(take(*place)?.into()))?;
        }
        for place in &record.control {
            sockets.serve_control(take(*place)?.into())?;
        }
        Ok(sockets)
    }

    /// Them for the program that this process becomes.
    ///
    /// # Errors
    /// Too many files are open.
    pub(super) fn give(&self, luggage: &mut Luggage) -> io::Result<SocketsRecord> {
        let (mut tcp, mut unix, mut control) = (Vec::new(), Vec::new(), Vec::new());
        for listener in &self.listeners {
            let copy = listener.as_fd().try_clone_to_owned()?;
            let place = luggage.put(copy);
            match listener {
                Listener::Tcp(_) => tcp.push(place),
                Listener::Unix(_) => unix.push(place),
                Listener::Control(_) => control.push(place),
            }
        }
        Ok(SocketsRecord {
            tcp,
            unix,
            control,
            held: self.held,
            own: self.own.clone(),
        })
    }

    fn serve_control(&mut self, control: StdUnixListener) -> anyhow::Result<()> {
        control.set_nonblocking(true)?;
        let control = UnixListener::from_std(control)?;
        self.listeners.push(Listener::Control(control));
        Ok(())
    }

    /// What was handed over, and for the roles that nothing was handed over for, what the configuration says: where one of
    /// them is missing, or the configuration means another place, that is said.
    pub(super) async fn open(inherited: Inherited, listen: &Listen) -> anyhow::Result<Self> {
        let mut sockets = Self {
            listeners: Vec::new(),
            http: None,
            socket: None,
            listening: Vec::new(),
            held: !inherited.mcp.is_empty(),
            own: Vec::new(),
        };
        if sockets.held {
            for socket in inherited.mcp {
                sockets.adopt(socket)?;
            }
            sockets.say_what_does_not_count(listen);
        } else {
            if !inherited.control.is_empty() {
                let own = format!("{} and `{}`", listen.http, listen.socket.display());
                say_what_is_missing("mcp", &own);
            }
            sockets.serve_tcp(tcp(listen.http).await?)?;
            sockets.serve_unix(unix(&listen.socket)?, Some(listen.socket.clone()));
            sockets.own.extend(Own::at(&listen.socket));
        }
        if inherited.control.is_empty() {
            if sockets.held {
                say_what_is_missing("control", &format!("`{}`", listen.control.display()));
            }
            let control = unix(&listen.control)?;
            sockets.listeners.push(Listener::Control(control));
            sockets.own.extend(Own::at(&listen.control));
        }
        for control in inherited.control {
            sockets.serve_control(control)?;
        }
        Ok(sockets)
    }

    /// A person who wrote an address expects clients there.
    fn say_what_does_not_count(&self, listen: &Listen) {
        let http = format!("http://{}/mcp", listen.http);
        let socket = format!("unix:{}", listen.socket.display());
        for (key, place, is_configured) in [
            ("listen.http", http, listen.http_is_configured),
            ("listen.socket", socket, listen.socket_is_configured),
        ] {
            if is_configured && !self.listening.contains(&place) {
                tracing::warn!(
                    "`{key}` does not count, nobody is served at {place}: the sockets were handed over; write \
                     ListenStream= in the socket unit"
                );
            }
        }
    }

    fn adopt(&mut self, socket: Socket) -> anyhow::Result<()> {
        match socket.listener()? {
            Listener::Tcp(listener) => self.serve_tcp(listener),
            Listener::Unix(listener) | Listener::Control(listener) => {
                let path = listener.local_addr().ok();
                let path = path.and_then(|address| Some(address.as_pathname()?.to_owned()));
                self.serve_unix(listener, path);
                Ok(())
            }
        }
    }

    fn serve_tcp(&mut self, listener: TcpListener) -> anyhow::Result<()> {
        let address = listener
            .local_addr()
            .context("the listener has no address")?;
        if !address.ip().is_loopback() {
            tracing::warn!(%address, "other machines reach this socket, and are refused");
        }
        self.http.get_or_insert(address);
        self.listening.push(format!("http://{address}/mcp"));
        self.listeners.push(Listener::Tcp(listener));
        Ok(())
    }

    fn serve_unix(&mut self, listener: UnixListener, path: Option<PathBuf>) {
        if let Some(path) = path {
            self.listening.push(format!("unix:{}", path.display()));
            self.socket.get_or_insert(path);
        }
        self.listeners.push(Listener::Unix(listener));
    }

    /// Removes what Janus made. A socket that nobody listens on would only make clients wait; one that somebody else put in
    /// its place is theirs.
    pub(super) fn remove(own: &[Own]) {
        for own in own.iter().filter(|own| own.is_there()) {
            // If it is gone already, so much the better.
            drop(fs::remove_file(&own.path));
        }
    }

    /// What Janus has made.
    pub(super) fn own(&self) -> Vec<Own> {
        self.own.clone()
    }
}

/// Half of what was expected was handed over.
fn say_what_is_missing(name: &str, own: &str) {
    tracing::warn!(
        "no socket `{name}` was handed over: Janus listens on {own} by itself; write FileDescriptorName={name} in its \
         socket unit, and that unit into Sockets= of the service"
    );
}

/// A neighbour on loopback answers at once or is none.
const ASK: Duration = Duration::from_millis(500);

/// Binds the TCP address.
async fn tcp(address: SocketAddr) -> Result<TcpListener, NotBound> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(if is_janus(address).unwrap_or(false) {
                NotBound::AnotherJanus(format!("http://{address}/mcp"))
            } else {
                NotBound::Taken(address)
            })
        }
        Err(source) => Err(NotBound::Io {
            what: address.to_string(),
            source,
        }),
    }
}

/// Whether a Janus answers there: it names itself when it refuses.
fn is_janus(address: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, ASK)?;
    stream.set_read_timeout(Some(ASK))?;
    stream.write_all(b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = [0; 1024];
    let length = stream.read(&mut answer)?;
    Ok(
        String::from_utf8_lossy(answer.get(..length).unwrap_or_default())
            .contains("server: janus/"),
    )
}

/// Binds the unix socket, 0600 in a directory that is made 0700. One that nobody listens on any more is replaced.
fn unix(path: &Path) -> Result<UnixListener, NotBound> {
    let failed = |source| NotBound::Io {
        what: format!("`{}`", path.display()),
        source,
    };
    if let Some(directory) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed)?;
    }
    if let Ok(metadata) = fs::symlink_metadata(path) {
        if !metadata.file_type().is_socket() {
            return Err(NotBound::InTheWay(path.to_owned()));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(NotBound::AnotherJanus(format!("unix:{}", path.display())));
        }
        fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_somebody_put_in_the_place_of_ours_stays() {
        let directory = tempfile::tempdir().unwrap();
        let [ours, theirs] = ["ours.sock", "theirs.sock"].map(|name| directory.path().join(name));
        let (kept, replaced) = (unix(&ours).unwrap(), unix(&theirs).unwrap());
        let own: Vec<Own> = [&ours, &theirs]
            .into_iter()
            .filter_map(|path| Own::at(path))
            .collect();
        let moved = directory.path().join("moved.sock");
        let another = unix(&moved).unwrap();
        fs::rename(&moved, &theirs).unwrap();
        Sockets::remove(&own);
        assert!(!ours.exists());
        assert!(theirs.exists());
        drop((kept, replaced, another));
    }
}
