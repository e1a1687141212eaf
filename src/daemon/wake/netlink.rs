//! What the kernel tells of links, addresses and routes: `rtnetlink(7)`. Pure: bytes in, words out.
//!
//! Invariant: whatever the bytes are, nothing panics, and what is not understood is left out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `NLMSG_ERROR` and `NLMSG_DONE` of `linux/netlink.h`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `RTM_*` of `linux/rtnetlink.h`.
const NEW_LINK: u16 = 16;
const DELETED_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const DELETED_ADDRESS: u16 = 21;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// `RTMGRP_LINK`, `_IPV4_IFADDR`, `_IPV4_ROUTE`, `_IPV6_IFADDR` and `_IPV6_ROUTE`.
pub(super) const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;
/// `struct nlmsghdr`, and those of links, addresses and routes that follow it.
const HEADER: usize = 16;
const LINK: usize = 16;
const ADDRESS: usize = 8;
const ROUTE: usize = 12;
const INET: u8 = 2;
const INET6: u8 = 10;
/// `IFF_UP`, `IFF_LOOPBACK` and `IFF_RUNNING`.
const UP: u32 = 0x1;
const LOOPBACK: u32 = 0x8;
const RUNNING: u32 = 0x40;
/// `IFA_F_TENTATIVE` and `IFA_F_DADFAILED`: nobody can use it yet, or at all.
const NOT_YET: u32 = 0x40 | 0x08;
/// `IFA_ADDRESS`, `IFA_LOCAL` and `IFA_FLAGS`.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
/// `RTA_DST`.
const DESTINATION: u16 = 1;
/// `RT_TABLE_LOCAL`: the machine's own addresses.
const LOCAL: u8 = 255;
/// `RTN_UNICAST`.
const UNICAST: u8 = 1;

/// One thing that is so, or is so no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// A link is there; whether somebody put it up, and whether anything is at its other end.
    Link { link: u32, up: bool, running: bool },
    /// It is not there any more.
    NoLink { link: u32 },
    /// An address can be used on a link.
    Address { link: u32, address: IpAddr },
    /// Or not any more.
    NoAddress { link: u32, address: IpAddr },
    /// There is a way to somewhere.
    Route,
    /// Something that was not told.
    Missed,
    /// That was all that was asked for.
    Done,
}

/// The two questions for all there is.
#[derive(Debug, Clone, Copy)]
pub(super) enum All {
    Links,
    Addresses,
}

/// Asks for all there is.
pub(super) fn question(all: All) -> Vec<u8> {
    let (kind, body) = match all {
        All::Links => (GET_LINK, LINK),
        All::Addresses => (GET_ADDRESS, ADDRESS),
    };
    let length = HEADER + body;
    let mut text = Vec::with_capacity(length);
    text.extend(u32::try_from(length).unwrap_or_default().to_ne_bytes());
    text.extend(kind.to_ne_bytes());
    text.extend(DUMP.to_ne_bytes());
    // A number that nobody looks at, and the sender's port, which the kernel chooses; then: of every family.
    text.resize(length, 0);
    text
}

/// Everything that a datagram tells.
pub(super) fn read(mut datagram: &[u8]) -> Vec<Told> {
    let mut told = Vec::new();
    while let Some((kind, body, rest)) = message(datagram) {
        told.extend(one(kind, body));
        datagram = rest;
    }
    told
}

/// The first message: its kind, its body, and what follows.
fn message(datagram: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(at(datagram, 0)?)).ok()?;
    let kind = u16::from_ne_bytes(at(datagram, 4)?);
    let body = datagram.get(HEADER..length)?;
    let rest = datagram.get(aligned(length)..).unwrap_or_default();
    Some((kind, body, rest))
}

fn one(kind: u16, body: &[u8]) -> Option<Told> {
    match kind {
        NEW_LINK | DELETED_LINK => link(kind, body),
        NEW_ADDRESS | DELETED_ADDRESS => address(kind, body),
        NEW_ROUTE => route(body),
        DONE | ERROR => Some(Told::Done),
        _ => None,
    }
}

/// `struct ifinfomsg`.
fn link(kind: u16, body: &[u8]) -> Option<Told> {
    let link = u32::from_ne_bytes(at(body, 4)?);
    let flags = u32::from_ne_bytes(at(body, 8)?);
    if flags & LOOPBACK != 0 {
        return None;
    }
    // Bridges tell of their ports as well, which are links of their own.
    let family: [u8; 1] = at(body, 0)?;
    if family != [0] {
        return None;
    }
    Some(match kind {
        NEW_LINK => Told::Link {
            link,
            up: flags & UP != 0,
            running: flags & RUNNING != 0,
        },
        _ => Told::NoLink { link },
    })
}

/// `struct ifaddrmsg`.
fn address(kind: u16, body: &[u8]) -> Option<Told> {
    let [family, _, flags, _] = at(body, 0)?;
    let link = u32::from_ne_bytes(at(body, 4)?);
    let attributes = body.get(ADDRESS..)?;
    // On a link between two machines the other attribute is the other machine's.
    let own = attribute(attributes, IFA_LOCAL).or_else(|| attribute(attributes, IFA_ADDRESS))?;
    let address = ip(family, own)?;
    if is_of_one_link(address) {
        return None;
    }
    let flags = match attribute(attributes, IFA_FLAGS) {
        Some(flags) => u32::from_ne_bytes(at(flags, 0)?),
        None => flags.into(),
    };
    Some(if kind == NEW_ADDRESS && flags & NOT_YET == 0 {
        Told::Address { link, address }
    } else {
        Told::NoAddress { link, address }
    })
}

/// `struct rtmsg`.
fn route(body: &[u8]) -> Option<Told> {
    let [family, ..] = at::<1>(body, 0)?;
    let [table, _, _, kind] = at(body, 4)?;
    if table == LOCAL || kind != UNICAST {
        return None;
    }
    match attribute(body.get(ROUTE..)?, DESTINATION) {
        Some(destination) if is_of_one_link(ip(family, destination)?) => None,
        _ => Some(Told::Route),
    }
}

/// Containers and tunnels have such without leading anywhere.
fn is_of_one_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unicast_link_local() || address.is_multicast()
        }
    }
}

fn ip(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    match family {
        INET => Some(Ipv4Addr::from(at::<4>(bytes, 0)?).into()),
        INET6 => Some(Ipv6Addr::from(at::<16>(bytes, 0)?).into()),
        _ => None,
    }
}

/// `struct rtattr`: what the first of this kind holds.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(at(attributes, 0)?));
        let kind = u16::from_ne_bytes(at(attributes, 2)?);
        let value = attributes.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        attributes = attributes.get(aligned(length)..)?;
    }
}

fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

fn at<const N: usize>(bytes: &[u8], from: usize) -> Option<[u8; N]> {
    bytes.get(from..from.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        let length = u32::try_from(HEADER + body.len()).unwrap();
        text.extend(length.to_ne_bytes());
        text.extend(kind.to_ne_bytes());
        text.extend([0; 10]);
        text.extend(body);
        text.resize(aligned(text.len()), 0);
        text
    }

    fn with(head: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = head.to_vec();
        for (kind, value) in attributes {
            let length = u16::try_from(4 + value.len()).unwrap();
            body.extend(length.to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(*value);
            body.resize(aligned(body.len()), 0);
        }
        body
    }

    fn link_of(flags: u32) -> Vec<u8> {
        let mut body = vec![0; LINK];
        body[4..8].copy_from_slice(&7_u32.to_ne_bytes());
        body[8..12].copy_from_slice(&flags.to_ne_bytes());
        body
    }

    fn address_of(family: u8, flags: u8, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let [a, b, c, d] = 7_u32.to_ne_bytes();
        with(&[family, 24, flags, 0, a, b, c, d], attributes)
    }

    fn route_of(family: u8, table: u8, kind: u8, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let head = [family, 24, 0, 0, table, 0, 0, kind, 0, 0, 0, 0];
        with(&head, attributes)
    }

    #[test]
    fn every_kind_is_understood_and_several_in_one_datagram() {
        let (four, six) = ([192, 0, 2, 7], Ipv6Addr::LOCALHOST.octets());
        let global: Ipv6Addr = "2001:db8::7".parse().unwrap();
        let address = IpAddr::from(four);
        let mut all = text(NEW_LINK, &link_of(UP | RUNNING));
        all.extend(text(NEW_LINK, &link_of(UP | LOOPBACK)));
        all.extend(text(
            NEW_ADDRESS,
            &address_of(
                INET,
                0,
                &[
                    (IFA_ADDRESS, &[192, 0, 2, 1]),
                    (3, b"veth0\0"),
                    (IFA_LOCAL, &four),
                ],
            ),
        ));
        all.extend(text(
            NEW_ADDRESS,
            &address_of(INET6, 0, &[(IFA_ADDRESS, &six)]),
        ));
        all.extend(text(
            NEW_ADDRESS,
            &address_of(
                INET6,
                0x40,
                &[
                    (IFA_ADDRESS, &global.octets()),
                    (IFA_FLAGS, &0x40_u32.to_ne_bytes()),
                ],
            ),
        ));
        all.extend(text(
            DELETED_ADDRESS,
            &address_of(INET, 0, &[(IFA_LOCAL, &four)]),
        ));
        all.extend(text(NEW_ROUTE, &route_of(INET, 254, UNICAST, &[])));
        all.extend(text(
            NEW_ROUTE,
            &route_of(INET, LOCAL, 2, &[(DESTINATION, &four)]),
        ));
        let unicast_link_local: Ipv6Addr = "fe80::".parse().unwrap();
        all.extend(text(
            NEW_ROUTE,
            &route_of(
                INET6,
                254,
                UNICAST,
                &[(DESTINATION, &unicast_link_local.octets())],
            ),
        ));
        all.extend(text(DELETED_LINK, &link_of(0)));
        all.extend(text(DONE, &[0; 4]));
        assert_eq!(
            read(&all),
            [
                Told::Link {
                    link: 7,
                    up: true,
                    running: true
                },
                Told::Address { link: 7, address },
                Told::NoAddress {
                    link: 7,
                    address: global.into()
                },
                Told::NoAddress { link: 7, address },
                Told::Route,
                Told::NoLink { link: 7 },
                Told::Done,
            ]
        );
    }

    proptest! {
        #[test]
        fn no_datagram_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0_u16..30) {
            read(&bytes);
            read(&text(kind, &bytes));
        }
    }
}
