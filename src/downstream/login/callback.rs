//! Where a provider sends the browser back to, while a login waits (RFC 8252, section 7.3).
//!
//! Anybody can send a browser here, with anything. So what comes back is looked at in this order: whose program it is,
//! the method, the Host and the path as they were registered, the state. Whatever does not fit gets a page that says
//! nothing of what was sent, and changes nothing.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, HOST, ORIGIN};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};

use super::html::{Referrer, page};
use crate::account::login::{Arrived, Door};
use crate::authn::{NotAuthenticated, Peer};
use crate::downstream::Downstream;
use crate::downstream::reply::Reply;

/// A browser opens a few; nobody needs more.
const CONNECTIONS: usize = 32;
/// Others of this machine are told so, as far as that costs nothing, and take no place of a browser.
const STRANGERS: usize = 4;
/// One that connects and says nothing.
const READ_HEAD: Duration = Duration::from_secs(10);
/// A code can be long, and is not this long.
const HEAD_BYTES: usize = 64 * 1024;
/// A person waits this long before the page, for what came of it.
const MOMENT: Duration = Duration::from_secs(20);
/// Out of descriptors: what is open must close first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Downstream {
    /// Serves the doors that logins open, until Janus stops: a vital task.
    pub async fn answer_doors(self, mut doors: mpsc::Receiver<Door>) {
        let room = Room {
            ours: Arc::new(Semaphore::new(CONNECTIONS)),
            strangers: Arc::new(Semaphore::new(STRANGERS)),
        };
        loop {
            let door = tokio::select! {
                () = self.stopping.cancelled() => return,
                door = doors.recv() => door,
            };
            let Some(door) = door else {
                // Nobody opens one any more.
                return self.stopping.cancelled().await;
            };
            let (serving, room) = (self.clone(), room.clone());
            self.tasks
                .spawn(async move { serving.door(door, room).await });
        }
    }

    async fn door(self, door: Door, room: Room) {
        loop {
            let accepted = tokio::select! {
                () = self.stopping.cancelled() => return,
                () = door.until.cancelled() => return,
                accepted = door.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a browser's connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let known = is_ours(&stream);
            let room = if known { &room.ours } else { &room.strangers };
            let Ok(place) = Arc::clone(room).try_acquire_owned() else {
                continue;
            };
            let serving = self.clone();
            self.tasks.spawn(async move {
                serving.visit(stream, known).await;
                drop(place);
            });
        }
    }

    /// One connection with one request: nothing keeps it open when the login is over.
    async fn visit(&self, stream: TcpStream, known: bool) {
        let service = service_fn(|request| async move {
            Ok::<_, Infallible>(self.arrival(known, &request).await)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(READ_HEAD)
            .max_buf_size(HEAD_BYTES)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            ended = connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a browser's connection ended");
                }
            }
            () = self.stopping.cancelled() => {}
        }
    }

    async fn arrival(&self, known: bool, request: &Request<Incoming>) -> Response<Reply> {
        if !known {
            return STRANGER_HERE.answer();
        }
        if request.method() != Method::GET {
            let mut refused = ONLY_GET.answer();
            let headers = refused.headers_mut();
            headers.insert(ALLOW, HeaderValue::from_static("GET"));
            return refused;
        }
        let headers = request.headers();
        let mut hosts = headers.get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().ok(),
            _ => None,
        };
        let uri = request.uri();
        // A page cannot navigate with an Origin, and a browser does not send an absolute form to a server.
        let odd = headers.contains_key(ORIGIN) || uri.authority().is_some();
        let Some(host) = host.filter(|_| !odd) else {
            return NOWHERE.answer();
        };
        let query = uri.query().unwrap_or_default();
        let arrived = self.logins.arrive(host, uri.path(), query, MOMENT).await;
        let said = match arrived {
            Arrived::LoggedIn => LOGGED_IN,
            Arrived::NotLoggedIn => NOT_LOGGED_IN,
            Arrived::Underway => UNDERWAY,
            Arrived::Nowhere => NOWHERE,
            Arrived::Stranger => NO_SUCH_STATE,
        };
        said.answer()
    }
}

/// Places for connections.
#[derive(Clone)]
struct Room {
    ours: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

/// Whether a program of this user has the other end.
fn is_ours(stream: &TcpStream) -> bool {
    match Peer::from_tcp(stream) {
        Ok(_) => true,
        Err(NotAuthenticated::Closing) => false,
        // Whoever is refused could fill the journal with it.
        Err(error) => {
            tracing::debug!(%error, "somebody came back for a login and is refused");
            false
        }
    }
}

/// A page that is always the same.
struct Said(StatusCode, &'static str, &'static str);

impl Said {
    fn answer(&self) -> Response<Reply> {
        page(self.0, self.1, self.2, Referrer::Never)
    }
}

const LOGGED_IN: Said = Said(
    StatusCode::OK,
    "Logged in",
    "<p>Janus has what it needs. You can close this window.</p>",
);
const NOT_LOGGED_IN: Said = Said(
    StatusCode::OK,
    "Not logged in",
    "<p>It did not work, and nothing was saved. The reason is where you began: in the terminal, on the page of the login, \
     or in the journal.</p>",
);
const UNDERWAY: Said = Said(
    StatusCode::OK,
    "Almost done",
    "<p>The answer has arrived. Janus is finishing the login; how it ends is told where you began.</p>",
);
const NO_SUCH_STATE: Said = Said(
    StatusCode::BAD_REQUEST,
    "No login waits for this",
    "<p>The address is of a login that is over, or of none. Begin again: <code>janus login</code></p>",
);
const NOWHERE: Said = Said(
    StatusCode::NOT_FOUND,
    "Nothing is here",
    "<p>Logins come back to another address.</p>",
);
const ONLY_GET: Said = Said(
    StatusCode::METHOD_NOT_ALLOWED,
    "Nothing is done here",
    "<p>Logins come back with GET.</p>",
);
const STRANGER_HERE: Said = Said(
    StatusCode::FORBIDDEN,
    "Somebody else's",
    "<p>This Janus serves another user of this machine.</p>",
);
