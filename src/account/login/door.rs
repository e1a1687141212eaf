//! Where browsers come back to: the port, and the listeners on it while somebody is awaited.
//!
//! Invariants:
//! - Nothing listens while no login waits.
//! - The port of the installation is chosen once and kept: providers compare it with what was registered. Another one is
//!   chosen only where that one is taken, and only where a new registration can be made for it.
//! - What is bound here is loopback. `localhost` is both addresses: whoever had the other one would get the answers.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::NotLoggedIn;
use crate::model::{OAuth, Redirect, RedirectHost};
use crate::store::{Change, Store};

/// Outside the range that Linux gives to connections, and nobody's by registration.
const FIRST: u16 = 7334;
const LAST: u16 = 7399;
/// The program that has the port may be an earlier Janus on its way out.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);
/// Listeners on their way to who serves them.
const QUEUE: usize = 16;

/// A listener that is bound, for whoever speaks HTTP.
#[derive(Debug)]
pub struct Door {
    /// On loopback.
    pub listener: TcpListener,
    /// It is closed when this ends.
    pub until: CancellationToken,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Doors {
    open: Arc<Mutex<BTreeMap<u16, Open>>>,
    /// One at a time is opened: two logins get one port.
    opening: tokio::sync::Mutex<Option<u16>>,
    store: Store,
    serving: mpsc::Sender<Door>,
}

#[derive(Debug)]
struct Open {
    users: usize,
    addresses: Vec<IpAddr>,
    until: CancellationToken,
}

/// One login's use of a port. It is closed with the last.
#[derive(Debug)]
pub(super) struct Ajar {
    port: u16,
    open: Arc<Mutex<BTreeMap<u16, Open>>>,
}

/// Why a port is not listened on.
enum Shut {
    Taken,
    Failed(io::Error),
    Stopping,
}

impl Doors {
    /// With the port that was chosen once; who serves what is opened gets the receiver.
    pub(super) fn new(store: Store, kept: Option<u16>) -> (Self, mpsc::Receiver<Door>) {
        let (serving, doors) = mpsc::channel(QUEUE);
        let new = Self {
            open: Arc::default(),
            opening: tokio::sync::Mutex::new(kept),
            store,
            serving,
        };
        (new, doors)
    }

    /// Listens where a login of these settings comes back to, and gives the redirect URI.
    ///
    /// # Errors
    /// The port is taken, and no other one will do.
    pub(super) async fn open(&self, settings: &OAuth) -> Result<(Ajar, String), NotLoggedIn> {
        let redirect = &settings.redirect;
        let mut kept = self.opening.lock().await;
        if let Some(port) = redirect.port {
            let ajar = self.patiently(port, redirect.host).await;
            return match ajar {
                Ok(ajar) => Ok((ajar, uri(redirect, port))),
                Err(shut) => Err(shut.told(port)),
            };
        }
        if let Some(port) = *kept {
            match self.patiently(port, redirect.host).await {
                Ok(ajar) => return Ok((ajar, uri(redirect, port))),
                // Somebody wrote it down at the provider.
                Err(Shut::Taken) if settings.client.is_some() => {
                    return Err(NotLoggedIn::PortTaken { port });
                }
                Err(Shut::Taken) => {}
                Err(shut) => return Err(shut.told(port)),
            }
        }
        for port in (FIRST..=LAST).filter(|port| Some(*port) != *kept) {
            match self.listen(port, redirect.host).await {
                Ok(ajar) => {
                    if let Some(before) = *kept {
                        tracing::warn!(
                            before,
                            port,
                            "the port to which browsers come back was taken by another program; there is a new one"
                        );
                    }
                    *kept = Some(port);
                    // Without it the next life would choose again, and register again.
                    if let Err(why) = self.store.write(Change::CallbackPort(port)).await {
                        tracing::warn!("the port for browsers is not kept: {why}");
                    }
                    return Ok((ajar, uri(redirect, port)));
                }
                Err(Shut::Taken) => {}
                Err(shut) => return Err(shut.told(port)),
            }
        }
        Err(NotLoggedIn::NoPort {
            first: FIRST,
            last: LAST,
        })
    }

    /// Also listens on what `localhost` may be, where a provider wanted that name after all.
    pub(super) async fn also_localhost(&self, ajar: &Ajar) -> Result<(), NotLoggedIn> {
        let _one_at_a_time = self.opening.lock().await;
        let more = self.patiently(ajar.port, RedirectHost::Localhost).await;
        more.map(drop).map_err(|shut| shut.told(ajar.port))
    }

    async fn patiently(&self, port: u16, host: RedirectHost) -> Result<Ajar, Shut> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.listen(port, host).await {
                Err(Shut::Taken) if Instant::now() < end => sleep(PAUSE).await,
                listening => return listening,
            }
        }
    }

    /// One try. What is open already is used by one more.
    async fn listen(&self, port: u16, host: RedirectHost) -> Result<Ajar, Shut> {
        self.listen_at(port, &addresses(host)).await
    }

    /// The same at these addresses, with whether it can do without one.
    async fn listen_at(&self, port: u16, wanted: &[(IpAddr, bool)]) -> Result<Ajar, Shut> {
        let (have, until) = {
            let open = self.ports();
            open.get(&port).map_or_else(
                || (Vec::new(), CancellationToken::new()),
                |open| (open.addresses.clone(), open.until.clone()),
            )
        };
        let mut bound = Vec::new();
        for &(address, needed) in wanted {
            if have.contains(&address) {
                continue;
            }
            match TcpListener::bind(SocketAddr::new(address, port)).await {
                Ok(listener) => bound.push((address, listener)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(Shut::Taken),
                Err(error) if needed => return Err(Shut::Failed(error)),
                // A machine without IPv6 has nobody on it either.
                Err(error) => tracing::debug!(%error, "no browser comes back to {address}"),
            }
        }
        let mut listening = have;
        // Whoever waits here may go away: what was handed over until then is closed again, or nobody could bind it.
        let fresh = until.child_token();
        let guard = fresh.clone().drop_guard();
        for (address, listener) in bound {
            let door = Door {
                listener,
                until: fresh.clone(),
            };
            self.serving.send(door).await.map_err(|_| Shut::Stopping)?;
            listening.push(address);
        }
        let mut open = self.ports();
        let users = open.get(&port).map_or(0, |open| open.users);
        // The last user may have gone meanwhile, and closed it.
        if until.is_cancelled() {
            return Err(Shut::Taken);
        }
        let now = Open {
            users: users + 1,
            addresses: listening,
            until,
        };
        open.insert(port, now);
        drop(open);
        guard.disarm();
        Ok(Ajar {
            port,
            open: Arc::clone(&self.open),
        })
    }

    fn ports(&self) -> MutexGuard<'_, BTreeMap<u16, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shut {
    fn told(self, port: u16) -> NotLoggedIn {
        match self {
            Self::Taken => NotLoggedIn::PortTaken { port },
            Self::Failed(error) => NotLoggedIn::NoListener(format!("port {port}: {error}")),
            Self::Stopping => NotLoggedIn::Stopping,
        }
    }
}

impl Drop for Ajar {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(door) = open.get_mut(&self.port) else {
            return;
        };
        door.users = door.users.saturating_sub(1);
        if door.users == 0 {
            door.until.cancel();
            open.remove(&self.port);
        }
    }
}

/// Where this host is, and whether it can do without.
fn addresses(host: RedirectHost) -> Vec<(IpAddr, bool)> {
    let v4 = (IpAddr::V4(Ipv4Addr::LOCALHOST), true);
    match host {
        RedirectHost::Address => vec![v4],
        RedirectHost::Localhost => vec![v4, (IpAddr::V6(Ipv6Addr::LOCALHOST), false)],
    }
}

fn uri(redirect: &Redirect, port: u16) -> String {
    format!("http://{}:{port}{}", redirect.host.word(), redirect.path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PreRegistered;

    fn doors(kept: Option<u16>) -> (Doors, mpsc::Receiver<Door>, Store) {
        let (store, _) = Store::in_memory().unwrap();
        let (doors, opened) = Doors::new(store.clone(), kept);
        (doors, opened, store)
    }

    fn port_of(uri: &str) -> u16 {
        let rest = uri.strip_prefix("http://127.0.0.1:").unwrap();
        rest.strip_suffix("/callback").unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn logins_share_one_port_and_the_last_closes_it() {
        let (doors, mut opened, _store) = doors(None);
        let settings = OAuth::default();
        let (first, uri) = doors.open(&settings).await.unwrap();
        let port = port_of(&uri);
        assert!((FIRST..=LAST).contains(&port), "{port}");
        let door = opened.recv().await.unwrap();
        assert_eq!(door.listener.local_addr().unwrap().port(), port);
        let (second, same) = doors.open(&settings).await.unwrap();
        assert_eq!(same, uri);
        assert!(opened.try_recv().is_err(), "one listener serves both");
        drop(first);
        assert!(!door.until.is_cancelled());
        drop(second);
        assert!(door.until.is_cancelled());
        drop(door);
        // The next one is on the same port again.
        let (_third, again) = doors.open(&settings).await.unwrap();
        assert_eq!(again, uri);
    }

    #[tokio::test]
    async fn a_taken_port_is_given_up_only_where_nobody_wrote_it_down() {
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = other.local_addr().unwrap().port();
        let (doors, _opened, _store) = doors(Some(port));
        let registered = OAuth {
            client: Some(PreRegistered {
                id: "janus".to_owned(),
                secret: None,
                key: None,
            }),
            ..OAuth::default()
        };
        let refused = doors.open(&registered).await.unwrap_err();
        assert!(
            matches!(refused, NotLoggedIn::PortTaken { port: named } if named == port),
            "{refused}"
        );
        assert!(refused.to_string().contains(&port.to_string()), "{refused}");
        let (_ajar, uri) = doors.open(&OAuth::default()).await.unwrap();
        assert_ne!(port_of(&uri), port);
        // From now on that is the port, also where the first is free again.
        drop(other);
        let (_again, same) = doors.open(&OAuth::default()).await.unwrap();
        assert_eq!(same, uri);
    }

    #[tokio::test]
    async fn a_login_that_goes_away_while_it_opens_leaves_nothing_open() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let (store, _) = Store::in_memory().unwrap();
        let (serving, mut opened) = mpsc::channel(1);
        let doors = Doors {
            open: Arc::default(),
            opening: tokio::sync::Mutex::new(None),
            store,
            serving,
        };
        // As for `localhost`, on a machine without IPv6 too.
        let both = [1, 2].map(|last| (Ipv4Addr::new(127, 0, 0, last).into(), true));
        let opening = doors.listen_at(port, &both);
        let opening = tokio::time::timeout(Duration::from_millis(200), opening).await;
        assert!(opening.is_err(), "nobody took the second");
        let door = opened.recv().await.unwrap();
        assert!(door.until.is_cancelled());
    }

    #[tokio::test]
    async fn a_port_by_configuration_is_that_one_or_none() {
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = other.local_addr().unwrap().port();
        let (doors, mut opened, _store) = doors(None);
        let settings = OAuth {
            redirect: Redirect {
                host: RedirectHost::Localhost,
                port: Some(port),
                path: "/back".to_owned(),
            },
            ..OAuth::default()
        };
        doors.open(&settings).await.unwrap_err();
        drop(other);
        let (_ajar, uri) = doors.open(&settings).await.unwrap();
        assert_eq!(uri, format!("http://localhost:{port}/back"));
        let first = opened.recv().await.unwrap();
        assert!(first.listener.local_addr().unwrap().is_ipv4());
        if let Ok(second) = opened.try_recv() {
            assert!(second.listener.local_addr().unwrap().is_ipv6());
        }
    }
}
