//! Asks the kernel for one TCP socket by its addresses: `sock_diag(7)`.
//!
//! Invariants:
//! - It never waits: the kernel answers while the question is sent, and a socket without an answer says so at once.
//! - An answer counts only if it comes from the kernel, to this question, about these addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recvfrom, sendto, socket_with,
};

use super::tcp::{ESTABLISHED, Ends, Owner};

/// `NLMSG_ERROR` of `linux/netlink.h`.
const ERROR: u16 = 2;
/// `NLM_F_REQUEST` of `linux/netlink.h`.
const REQUEST: u16 = 1;
/// `SOCK_DIAG_BY_FAMILY` of `linux/sock_diag.h`.
const BY_FAMILY: u16 = 20;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;
const INET: u8 = 2;
const INET6: u8 = 10;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct inet_diag_req_v2`.
const QUESTION: usize = 56;
/// Several times the one message that comes, with the attributes that the kernel adds unasked.
const ROOM: usize = 4096;

/// Whose the client's end is.
///
/// # Errors
/// The kernel does not offer it, or not to us.
pub(super) fn owner(ends: &Ends) -> io::Result<Owner> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        Some(SOCK_DIAG),
    )?;
    let kernel = SocketAddrNetlink::new(0, 0);
    sendto(&socket, &question(ends), SendFlags::empty(), &kernel)?;
    let mut room = [0; ROOM];
    let (length, _, from) = recvfrom(&socket, &mut room[..], RecvFlags::DONTWAIT)?;
    let from = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
    if from != Some(kernel) {
        return Err(unclear());
    }
    read(room.get(..length).unwrap_or_default(), ends).ok_or_else(unclear)?
}

fn unclear() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "sock_diag: an unclear answer")
}

/// One number for each question of a process, so that an answer belongs to it.
fn sequence(ends: &Ends) -> u32 {
    u32::from(ends.client.port()) << 16 | u32::from(ends.here.port())
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`: this machine's byte order, but the network's in addresses and ports.
fn question(ends: &Ends) -> Vec<u8> {
    let family = match ends.client.ip() {
        IpAddr::V4(_) => INET,
        IpAddr::V6(_) => INET6,
    };
    let mut text = Vec::with_capacity(HEADER + QUESTION);
    text.extend(
        u32::try_from(HEADER + QUESTION)
            .unwrap_or_default()
            .to_ne_bytes(),
    );
    text.extend(BY_FAMILY.to_ne_bytes());
    text.extend(REQUEST.to_ne_bytes());
    text.extend(sequence(ends).to_ne_bytes());
    // The sender's port, which the kernel chooses.
    text.extend(0_u32.to_ne_bytes());

    // No extensions, and padding.
    text.extend([family, TCP, 0, 0]);
    // Any state: which one it is, is ours to judge.
    text.extend(u32::MAX.to_ne_bytes());
    // The socket as its owner has it: the client's address is its source.
    text.extend(ends.client.port().to_be_bytes());
    text.extend(ends.here.port().to_be_bytes());
    text.extend(address(ends.client.ip()));
    text.extend(address(ends.here.ip()));
    // No interface, and no cookie (`INET_DIAG_NOCOOKIE`).
    text.extend(0_u32.to_ne_bytes());
    text.extend([u8::MAX; 8]);
    text
}

/// Sixteen bytes, of which IPv4 takes the first four.
fn address(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// Reads the answer; `None` where it is none to this question.
fn read(answer: &[u8], ends: &Ends) -> Option<io::Result<Owner>> {
    let length = usize::try_from(u32::from_ne_bytes(at(answer, 0)?)).ok()?;
    let kind = u16::from_ne_bytes(at(answer, 4)?);
    if u32::from_ne_bytes(at(answer, 8)?) != sequence(ends) {
        return None;
    }
    let body = answer.get(HEADER..length)?;
    match kind {
        ERROR => {
            let number = i32::from_ne_bytes(at(body, 0)?).checked_neg()?;
            let error = io::Error::from_raw_os_error(number);
            Some(match error.kind() {
                io::ErrorKind::NotFound => Ok(Owner::Nobody),
                _ => Err(error),
            })
        }
        BY_FAMILY => entry(body, ends).map(Ok),
        _ => None,
    }
}

/// `struct inet_diag_msg`. The kernel takes a listening socket where it finds no connected one, so addresses are
/// compared, and IPv4 addresses come as an IPv6 socket spells them where it is one.
fn entry(body: &[u8], ends: &Ends) -> Option<Owner> {
    let [family, state] = at(body, 0)?;
    let ip = |from| -> Option<IpAddr> {
        match family {
            INET => Some(Ipv4Addr::from(at::<4>(body, from)?).into()),
            INET6 => Some(Ipv6Addr::from(at::<16>(body, from)?).into()),
            _ => None,
        }
    };
    let port = |from| at(body, from).map(u16::from_be_bytes);
    let client = SocketAddr::new(ip(8)?, port(4)?);
    let here = SocketAddr::new(ip(24)?, port(6)?);
    let user = u32::from_ne_bytes(at(body, 64)?);
    let inode = u32::from_ne_bytes(at(body, 68)?);
    if Ends::new(client, here) != *ends {
        return Some(Owner::Nobody);
    }
    Some(Owner::judged(state, user, inode.into()))
}

impl Owner {
    /// A socket without an inode belongs to no process, and the kernel says user 0.
    pub(super) fn judged(state: u8, user: u32, inode: u64) -> Self {
        if state == ESTABLISHED && inode != 0 {
            Self::User(user)
        } else {
            Self::Closing
        }
    }
}

fn at<const N: usize>(bytes: &[u8], from: usize) -> Option<[u8; N]> {
    bytes.get(from..from.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ends() -> Ends {
        Ends::new(
            "127.0.0.1:4000".parse().unwrap(),
            "127.0.0.1:7332".parse().unwrap(),
        )
    }

    /// The answer of a kernel about these addresses.
    fn answer(family: u8, state: u8, about: &Ends, user: u32, inode: u32) -> Vec<u8> {
        let ip = |ip| match (family, ip) {
            (INET6, IpAddr::V4(ip)) => address(ip.to_ipv6_mapped().into()),
            _ => address(ip),
        };
        let mut text = Vec::new();
        text.extend(88_u32.to_ne_bytes());
        text.extend(BY_FAMILY.to_ne_bytes());
        text.extend([0; 2]);
        text.extend(sequence(about).to_ne_bytes());
        text.extend([0; 4]);
        text.extend([family, state, 0, 0]);
        text.extend(about.client.port().to_be_bytes());
        text.extend(about.here.port().to_be_bytes());
        text.extend(ip(about.client.ip()));
        text.extend(ip(about.here.ip()));
        text.extend([0; 24]);
        text.extend(user.to_ne_bytes());
        text.extend(inode.to_ne_bytes());
        text
    }

    #[test]
    fn an_answer_counts_only_whole_and_about_the_connection_asked_for() {
        let whole = answer(INET, ESTABLISHED, &ends(), 1000, 7);
        let read = |text: &[u8]| read(text, &ends()).map(Result::unwrap);
        assert_eq!(read(&whole), Some(Owner::User(1000)));
        assert_eq!(
            read(&answer(INET6, ESTABLISHED, &ends(), 1000, 7)),
            Some(Owner::User(1000))
        );
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(read(&answer(INET, 5, &ends(), 0, 0)), Some(Owner::Closing));
        assert_eq!(
            read(&answer(INET, ESTABLISHED, &ends(), 0, 0)),
            Some(Owner::Closing)
        );
        // The same ports, and so the same number, at another address.
        let other = Ends::new("127.0.0.6:4000".parse().unwrap(), ends().here);
        assert_eq!(
            read(&answer(INET, ESTABLISHED, &other, 1000, 7)),
            Some(Owner::Nobody)
        );
        let swapped = Ends::new(ends().here, ends().client);
        assert_eq!(read(&answer(INET, ESTABLISHED, &swapped, 1000, 7)), None);
    }

    proptest! {
        #[test]
        fn no_answer_panics(text in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(!matches!(read(&text, &ends()), Some(Ok(Owner::User(_)))));
        }
    }
}
