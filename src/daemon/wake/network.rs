//! The machine's links, addresses and routes, as the kernel tells of them.
//!
//! Invariants:
//! - What comes together is told together, and each kind of change no sooner than a few seconds after the one before.
//! - What the kernel could not tell because too much happened at once is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recvfrom, sendto,
    socket_with,
};
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep_until};

use super::netlink::{All, GROUPS, Told, question, read};
use super::readable;
use crate::model::Surroundings;

/// An address comes with its routes, and a link with both.
const TOGETHER: Duration = Duration::from_millis(250);
/// Between two changes of a kind that are told: a link that flaps makes no storm.
const REST: Duration = Duration::from_secs(3);
/// More than the kernel puts into one datagram.
const ROOM: usize = 32 * 1024;

/// The kernel's news.
#[derive(Debug)]
pub(super) struct Network {
    kernel: Option<Kernel>,
    known: Known,
    news: News,
    lost: Turn,
    reachable: Turn,
}

/// When one kind of change is told.
#[derive(Debug, Default)]
struct Turn {
    /// The first that nobody was told of.
    since: Option<Instant>,
    told: Option<Instant>,
}

/// What there is.
#[derive(Debug, Default)]
struct Known {
    links: BTreeMap<u32, Link>,
    addresses: BTreeMap<u32, BTreeSet<IpAddr>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link {
    up: bool,
    running: bool,
}

/// What nobody was told yet.
#[derive(Debug, Default)]
struct News {
    reachable: bool,
    faded: bool,
    gone: BTreeSet<IpAddr>,
}

impl Network {
    /// Listens. Where the system does not let it, there is never any news.
    pub(super) fn open() -> Self {
        let kernel = Kernel::open()
            .inspect_err(|why| tracing::debug!("the kernel tells nothing of the network: {why}"));
        Self {
            kernel: kernel.ok(),
            known: Known::default(),
            news: News::default(),
            lost: Turn::default(),
            reachable: Turn::default(),
        }
    }

    /// The next change that matters.
    pub(super) async fn changed(&mut self) -> Surroundings {
        loop {
            let Some(kernel) = &mut self.kernel else {
                return std::future::pending().await;
            };
            // What is there at the start is no change.
            let begins = kernel.begins;
            let due = [self.lost.due(), self.reachable.due()];
            let due = async {
                match due.into_iter().flatten().min() {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                heard = kernel.hear() => match heard {
                    Ok(told) => self.take(&told, begins),
                    Err(why) => {
                        tracing::debug!("the kernel tells nothing more of the network: {why}");
                        self.kernel = None;
                    }
                },
                () = due => {
                    if let Some(change) = self.next() {
                        return change;
                    }
                }
            }
        }
    }

    fn take(&mut self, told: &[Told], begins: bool) {
        for &told in told {
            self.known.take(told, &mut self.news);
        }
        if begins {
            self.news = News::default();
            return;
        }
        if self.news.faded || !self.news.gone.is_empty() {
            self.lost.comes();
        }
        if self.news.reachable {
            self.reachable.comes();
        }
    }

    /// What is lost goes first: what is tried after that is tried over what is left.
    fn next(&mut self) -> Option<Surroundings> {
        if self.lost.is_due() {
            self.lost.is_told();
            let faded = std::mem::take(&mut self.news.faded);
            let gone = std::mem::take(&mut self.news.gone).into_iter();
            // It may have come back.
            let gone: Vec<IpAddr> = gone.filter(|ip| !self.known.has(*ip)).collect();
            if faded || !gone.is_empty() {
                return Some(Surroundings::Lost(gone));
            }
        }
        if self.reachable.is_due() {
            self.reachable.is_told();
            self.news.reachable = false;
            return Some(Surroundings::Reachable);
        }
        None
    }
}

impl Turn {
    fn comes(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    fn due(&self) -> Option<Instant> {
        let soon = self.since? + TOGETHER;
        Some(self.told.map_or(soon, |told| soon.max(told + REST)))
    }

    fn is_due(&self) -> bool {
        self.due().is_some_and(|due| due <= Instant::now())
    }

    fn is_told(&mut self) {
        *self = Self {
            since: None,
            told: Some(Instant::now()),
        };
    }
}

impl Known {
    fn take(&mut self, told: Told, news: &mut News) {
        match told {
            Told::Link { link, up, running } => {
                let now = Link { up, running };
                let before = self.links.insert(link, now);
                let before = before.unwrap_or(Link {
                    up: false,
                    running: false,
                });
                // A link without an address leads nowhere: containers have theirs come and go.
                if before == now || self.of(link).next().is_none() {
                    return;
                }
                if before.up && !up {
                    news.gone.extend(self.of(link));
                } else if before.running && !running {
                    news.faded = true;
                } else if up && running {
                    news.reachable = true;
                }
            }
            Told::NoLink { link } => {
                self.links.remove(&link);
                news.gone
                    .extend(self.addresses.remove(&link).into_iter().flatten());
            }
            Told::Address { link, address } => {
                if self.addresses.entry(link).or_default().insert(address) {
                    news.reachable |= self.leads(link);
                }
            }
            Told::NoAddress { link, address } => {
                let of_link = self.addresses.get_mut(&link);
                if of_link.is_some_and(|addresses| addresses.remove(&address)) {
                    news.gone.insert(address);
                }
            }
            Told::Route => news.reachable = true,
            Told::Missed => {
                *self = Self::default();
                (news.faded, news.reachable) = (true, true);
            }
            Told::Done => {}
        }
    }

    fn of(&self, link: u32) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.get(&link).into_iter().flatten().copied()
    }

    fn leads(&self, link: u32) -> bool {
        let link = self.links.get(&link);
        link.is_some_and(|link| link.up && link.running)
    }

    /// Whether this is an address of the machine that it can send from.
    fn has(&self, address: IpAddr) -> bool {
        let up = |link: &u32| self.links.get(link).is_some_and(|link| link.up);
        let mut links = self.addresses.iter();
        links.any(|(link, addresses)| addresses.contains(&address) && up(link))
    }
}

/// The socket that it tells on.
#[derive(Debug)]
struct Kernel {
    socket: AsyncFd<OwnedFd>,
    /// What is still to be asked for; the last was.
    asking: Vec<All>,
    /// It has not told yet what there is.
    begins: bool,
}

impl Kernel {
    fn open() -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            // `NETLINK_ROUTE`.
            None,
        )?;
        // Subscribed before it is asked, so that nothing is missed in between.
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        let mut kernel = Self {
            socket: readable(socket)?,
            asking: Vec::new(),
            begins: true,
        };
        kernel.ask_for_all()?;
        Ok(kernel)
    }

    /// Links first: an address counts by what its link is.
    fn ask_for_all(&mut self) -> io::Result<()> {
        self.asking = vec![All::Addresses, All::Links];
        self.ask()
    }

    fn ask(&self) -> io::Result<()> {
        if let Some(all) = self.asking.last() {
            let kernel = SocketAddrNetlink::new(0, 0);
            sendto(&self.socket, &question(*all), SendFlags::empty(), &kernel)?;
        }
        Ok(())
    }

    /// What it tells next.
    async fn hear(&mut self) -> io::Result<Vec<Told>> {
        let mut room = vec![0; ROOM];
        loop {
            let mut ready = self.socket.readable().await?;
            let received = recvfrom(self.socket.get_ref(), &mut room[..], RecvFlags::DONTWAIT);
            let (length, from) = match received {
                Ok((length, _, from)) => (length, from),
                Err(Errno::WOULDBLOCK) => {
                    ready.clear_ready();
                    continue;
                }
                Err(Errno::INTR) => continue,
                // Too much happened at once.
                Err(Errno::NOBUFS) => {
                    drop(ready);
                    self.ask_for_all()?;
                    return Ok(vec![Told::Missed]);
                }
                Err(error) => return Err(error.into()),
            };
            let from = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
            // Any program may send to it.
            if from.is_none_or(|from| from.pid() != 0) {
                continue;
            }
            let told = read(room.get(..length).unwrap_or_default());
            drop(ready);
            if told.contains(&Told::Done) && self.asking.pop().is_some() {
                self.ask()?;
            }
            self.begins &= !self.asking.is_empty();
            return Ok(told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const DOWN: Told = link(false, false);
    const DARK: Told = link(true, false);
    const UP: Told = link(true, true);
    const ADDRESS: Told = Told::Address {
        link: 7,
        address: ONE,
    };
    const NO_ADDRESS: Told = Told::NoAddress {
        link: 7,
        address: ONE,
    };

    const fn link(up: bool, running: bool) -> Told {
        Told::Link {
            link: 7,
            up,
            running,
        }
    }

    /// A machine without a kernel to listen to, which has one address.
    fn network() -> Network {
        let mut network = Network {
            kernel: None,
            known: Known::default(),
            news: News::default(),
            lost: Turn::default(),
            reachable: Turn::default(),
        };
        network.take(&[UP, ADDRESS], true);
        network
    }

    /// What is told of this, one after the other.
    async fn told(network: &mut Network, told: &[Told]) -> Vec<Surroundings> {
        network.take(told, false);
        let mut changes = Vec::new();
        while let Some(due) = [network.lost.due(), network.reachable.due()]
            .into_iter()
            .flatten()
            .min()
        {
            sleep_until(due).await;
            changes.extend(network.next());
        }
        changes
    }

    #[tokio::test(start_paused = true)]
    async fn what_changes_is_told_and_what_stays_is_not() {
        use Surroundings::{Lost, Reachable};
        let gone = || Lost(vec![ONE]);
        for (news, expected) in [
            (&[UP, ADDRESS][..], vec![]),
            (&[DOWN], vec![gone()]),
            (&[DOWN, UP], vec![Reachable]),
            (&[DARK], vec![Lost(vec![])]),
            (&[NO_ADDRESS], vec![gone()]),
            (&[NO_ADDRESS, ADDRESS], vec![Reachable]),
            (&[Told::NoLink { link: 7 }], vec![gone()]),
            (&[Told::Route], vec![Reachable]),
            (&[Told::Missed, UP, ADDRESS], vec![Lost(vec![]), Reachable]),
            // The links of containers have no address of their own.
            (
                &[
                    Told::Link {
                        link: 8,
                        up: true,
                        running: true,
                    },
                    Told::NoLink { link: 8 },
                ],
                vec![],
            ),
        ] {
            let mut network = network();
            assert_eq!(told(&mut network, news).await, expected, "{news:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_a_kind_rests_after_the_one_before_and_the_other_kind_does_not() {
        let mut network = network();
        let began = Instant::now();
        let mut at = Vec::new();
        for news in [DOWN, UP, DOWN, UP] {
            assert_eq!(told(&mut network, &[news]).await.len(), 1);
            at.push(began.elapsed());
        }
        assert_eq!(
            at,
            [TOGETHER, 2 * TOGETHER, REST + TOGETHER, REST + 2 * TOGETHER]
        );
    }
}
