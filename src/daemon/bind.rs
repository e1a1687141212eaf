//! The sockets Janus binds for itself. One that is taken says by whom.

use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};

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

/// A neighbour on loopback answers at once or is none.
const ASK: Duration = Duration::from_millis(500);

/// Binds the TCP address.
pub(super) async fn tcp(address: SocketAddr) -> Result<TcpListener, NotBound> {
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
pub(super) fn unix(path: &Path) -> Result<UnixListener, NotBound> {
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
