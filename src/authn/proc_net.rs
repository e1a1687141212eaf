//! Finds one TCP socket in `/proc/net/tcp` and `/proc/net/tcp6`, where `sock_diag` cannot be had: sandboxes without
//! netlink, kernels without its modules.
//!
//! An IPv4 connection may stand in either file: in the second where the client's socket is one for both families.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::tcp::{Ends, Owner};

/// Whose the client's end is.
///
/// # Errors
/// There is no such file here.
pub(super) fn owner(ends: &Ends) -> io::Result<Owner> {
    let mut found = find(BufReader::new(File::open("/proc/net/tcp")?), ends)?;
    if found == Owner::Nobody {
        found = match File::open("/proc/net/tcp6") {
            Ok(file) => find(BufReader::new(file), ends)?,
            // A kernel without IPv6.
            Err(error) if error.kind() == ErrorKind::NotFound => Owner::Nobody,
            Err(error) => return Err(error),
        };
    }
    Ok(found)
}

fn find(mut table: impl BufRead, ends: &Ends) -> io::Result<Owner> {
    let mut line = String::new();
    loop {
        line.clear();
        if table.read_line(&mut line)? == 0 {
            return Ok(Owner::Nobody);
        }
        if let Some(owner) = row(&line, ends) {
            return Ok(owner);
        }
    }
}

/// What a line says if it is about this connection: number, local address, remote address, state, queues, timer,
/// retransmissions, user, timeouts, inode.
fn row(line: &str, ends: &Ends) -> Option<Owner> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let client = address(words.next()?)?;
    let here = address(words.next()?)?;
    if Ends::new(client, here) != *ends {
        return None;
    }
    let state = u8::from_str_radix(words.next()?, 16).ok()?;
    let mut words = words.skip(3);
    let user = words.next()?.parse().ok()?;
    let inode = words.nth(1)?.parse().ok()?;
    Some(Owner::judged(state, user, inode))
}

/// `0100007F:1CA4`: words of 32 bits in this machine's byte order, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| -> Option<[u8; 4]> {
        let digits = ip.get(at..at.checked_add(8)?)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let octets: [u8; 16] = words.as_flattened().try_into().ok()?;
            Ipv6Addr::from(octets).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
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

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_are_read_as_the_kernel_writes_them() {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
        let line = |client: &str, state: &str, user: u32, inode: u32| {
            format!(
                "   3: {client}:0FA0 0100007F:1CA4 {state} 00000000:00000000 00:00000000 00000000 {user:>5}        0 {inode} 1 0000000000000000 20 4 30 10 -1\n"
            )
        };
        let mapped = "   0: 0000000000000000FFFF00000100007F:0FA0 0000000000000000FFFF00000100007F:1CA4 01 00000000:00000000 00:00000000 00000000  1000        0 9 1\n";
        for (table, expected) in [
            (line("0100007F", "01", 1000, 9), Owner::User(1000)),
            (line("0100007F", "08", 1000, 9), Owner::Closing),
            (line("0100007F", "06", 0, 0), Owner::Closing),
            (line("0200007F", "01", 1000, 9), Owner::Nobody),
            (mapped.to_owned(), Owner::User(1000)),
            (String::new(), Owner::Nobody),
        ] {
            let table = format!("{head}{table}");
            assert_eq!(
                find(table.as_bytes(), &ends()).unwrap(),
                expected,
                "{table}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "( *[0-9]+:)?( ?[0-9A-Fa-fé]{0,33}(:[0-9A-F]{0,5})?){0,11}") {
            prop_assert!(!matches!(row(&line, &ends()), Some(Owner::User(_))));
        }
    }
}
