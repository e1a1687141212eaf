//! Whose program is on the other end of a loopback TCP connection.
//!
//! Any user of this machine reaches the port, so the kernel is asked whose socket the client's end is.
//!
//! Invariants:
//! - The client's end is open while its user is read, and ours is still open afterwards. So the pair of addresses
//!   meant this connection all the while: a client that resets its connection and leaves its port to a program of
//!   ours would otherwise be taken for that program, and what it had sent before would be served.
//! - Where the kernel gives no clear answer, nobody is there.

use std::io;
use std::net::SocketAddr;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::net::TcpStream;

use super::{NotAuthenticated, proc_net, sock_diag};

/// `TCP_ESTABLISHED` of the kernel's `tcp_states.h`.
pub(super) const ESTABLISHED: u8 = 1;

/// A connection, as the client's socket has it: from there to here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    /// The client's own address.
    pub(super) client: SocketAddr,
    /// The address it connected to.
    pub(super) here: SocketAddr,
}

/// What the kernel says of the client's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// It is open, and this user's.
    User(u32),
    /// It is closed in one direction at least: it may have lost its process, and then the kernel says user 0.
    Closing,
    /// There is none.
    Nobody,
}

/// The user of the client's end.
pub(super) fn user(stream: &TcpStream) -> Result<u32, NotAuthenticated> {
    let ends = Ends::of(stream).map_err(|_| NotAuthenticated::Closing)?;
    let owner = asked(&ends).map_err(NotAuthenticated::Unknown)?;
    if !is_open(stream).map_err(|error| NotAuthenticated::Unknown(error.into()))? {
        return Err(NotAuthenticated::Closing);
    }
    match owner {
        Owner::User(user) => Ok(user),
        Owner::Closing => Err(NotAuthenticated::Closing),
        Owner::Nobody => Err(NotAuthenticated::Unknown(io::Error::new(
            io::ErrorKind::NotFound,
            format!("no socket of this machine connects {ends}"),
        ))),
    }
}

/// What the kernel says, asked twice at most: among hundreds of connections that come and go at once a socket was seen
/// to be missed, and a second look is as good as a first.
fn asked(ends: &Ends) -> io::Result<Owner> {
    for _ in 0..2 {
        if let Ok(known @ (Owner::User(_) | Owner::Closing)) = sock_diag::owner(ends) {
            return Ok(known);
        }
    }
    // It also finds nothing where the kernel lacks the part that knows TCP.
    match proc_net::owner(ends)? {
        Owner::Nobody => proc_net::owner(ends),
        known => Ok(known),
    }
}

/// Whether the other end has neither reset the connection nor finished sending.
fn is_open(stream: &TcpStream) -> rustix::io::Result<bool> {
    // Errors and hang-ups are told without being asked for.
    let mut polled = [PollFd::new(stream, PollFlags::RDHUP)];
    poll(&mut polled, Some(&Timespec::default())).map(|closed| closed == 0)
}

impl Ends {
    fn of(stream: &TcpStream) -> io::Result<Self> {
        Ok(Self::new(stream.peer_addr()?, stream.local_addr()?))
    }

    /// An IPv4 address that an IPv6 socket wrote as `::ffff:a.b.c.d` is the IPv4 address.
    pub(super) fn new(client: SocketAddr, here: SocketAddr) -> Self {
        let plain =
            |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        Self {
            client: plain(client),
            here: plain(here),
        }
    }
}

impl std::fmt::Display for Ends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} with {}", self.client, self.here)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::{Ipv6Addr, Shutdown};
    use std::process::{Child, Command, Stdio};

    use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt};
    use tokio::net::TcpListener;

    use super::*;

    const NOBODY: u32 = 65534;

    fn ourselves() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    async fn connected(to: &str) -> (std::net::TcpStream, TcpStream) {
        let listener = TcpListener::bind((to, 0)).await.unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    /// What both ways of asking say, which is the same.
    fn both(ends: &Ends) -> Owner {
        let owner = sock_diag::owner(ends).unwrap();
        assert_eq!(proc_net::owner(ends).unwrap(), owner, "{ends}");
        owner
    }

    /// A program that connects, says so and waits; as another user where we may.
    fn another_process(port: u16) -> (Child, u32) {
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; echo there; read");
        let (mut command, user) = if ourselves() == 0 {
            let mut command = Command::new("setpriv");
            command.args([&format!("--reuid={NOBODY}"), "--clear-groups", "bash"]);
            (command, NOBODY)
        } else {
            (Command::new("bash"), ourselves())
        };
        let child = command
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        (child, user)
    }

    #[tokio::test]
    async fn both_families_are_found_both_ways() {
        for address in ["127.0.0.1", "::1"] {
            let (_client, stream) = connected(address).await;
            let ends = Ends::of(&stream).unwrap();
            assert_eq!(both(&ends), Owner::User(ourselves()));
            assert_eq!(user(&stream).unwrap(), ourselves());
        }
    }

    #[tokio::test]
    async fn a_socket_of_both_families_is_found_by_its_ipv4_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mapped = std::net::Ipv4Addr::LOCALHOST.to_ipv6_mapped();
        let client = socket(AddressFamily::INET6, SocketType::STREAM, None).unwrap();
        connect(&client, &SocketAddr::from((mapped, port))).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        assert_eq!(both(&Ends::of(&stream).unwrap()), Owner::User(ourselves()));

        // The listener's end may be the mapped one as well.
        let here = socket(AddressFamily::INET6, SocketType::STREAM, None).unwrap();
        sockopt::set_ipv6_v6only(&here, false).unwrap();
        rustix::net::bind(&here, &SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))).unwrap();
        rustix::net::listen(&here, 1).unwrap();
        let listener = std::net::TcpListener::from(here);
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let port = listener.local_addr().unwrap().port();
        let _client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        assert!(stream.peer_addr().unwrap().is_ipv6());
        assert_eq!(both(&Ends::of(&stream).unwrap()), Owner::User(ourselves()));
        assert_eq!(user(&stream).unwrap(), ourselves());
    }

    #[tokio::test]
    async fn a_closing_end_is_nobodys() {
        let (client, stream) = connected("127.0.0.1").await;
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(both(&Ends::of(&stream).unwrap()), Owner::Closing);
        assert!(matches!(user(&stream), Err(NotAuthenticated::Closing)));

        let (client, stream) = connected("::1").await;
        drop(client);
        assert!(!matches!(both(&Ends::of(&stream).unwrap()), Owner::User(_)));
        assert!(matches!(user(&stream), Err(NotAuthenticated::Closing)));
    }

    #[tokio::test]
    async fn a_reset_connection_is_nobodys_though_its_addresses_are_in_use_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        // An address of this process alone: nobody else gets the port in between.
        let [_, a, b, c] = std::process::id().to_be_bytes();
        let own = SocketAddr::from(([127, a | 0x80, b, c], 0));
        let first = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&first, &own).unwrap();
        connect(&first, &here).unwrap();
        let mut first = std::net::TcpStream::from(first);
        let from = first.local_addr().unwrap();
        first.write_all(b"POST /mcp HTTP/1.1\r\n").unwrap();
        sockopt::set_socket_linger(&first, Some(std::time::Duration::ZERO)).unwrap();
        drop(first);
        let second = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&second, &from).unwrap();
        connect(&second, &here).unwrap();

        let (stream, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, from);
        // The kernel finds the second one under these addresses, which does not make it the first.
        assert_eq!(both(&Ends::new(from, here)), Owner::User(ourselves()));
        assert!(matches!(user(&stream), Err(NotAuthenticated::Closing)));
        let (stream, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, from);
        assert_eq!(user(&stream).unwrap(), ourselves());
    }

    #[tokio::test]
    async fn a_listening_socket_and_an_unknown_pair_are_nobodys() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let elsewhere = SocketAddr::from(([127, 0, 0, 1], 1));
        for ends in [Ends::new(here, elsewhere), Ends::new(elsewhere, here)] {
            assert!(!matches!(both(&ends), Owner::User(_)), "{ends}");
        }
    }

    #[tokio::test]
    async fn a_process_of_another_user_is_found_as_that_users() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mut child, expected) = another_process(listener.local_addr().unwrap().port());
        let (stream, _) = listener.accept().await.unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut said)
            .unwrap();
        assert_eq!(said, "there\n");
        assert_eq!(both(&Ends::of(&stream).unwrap()), Owner::User(expected));
        assert_eq!(user(&stream).unwrap(), expected);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(matches!(user(&stream), Err(NotAuthenticated::Closing)));
    }
}
