//! The control API: what the command line asks of the daemon, over a unix socket that needs the same user and no key.
//!
//! JSON in, JSON out, one request each. It has no logic of its own: it asks the resolver, the accounts and the keys that
//! requests of clients ask too, so that what it says is what happens.

mod choose;
mod go_on;
mod keys;
mod login;
mod logs;
mod secrets;
mod sessions;
mod status;
mod verify;
mod who;

pub use go_on::{Coming, GoOn, NotNow};
pub use secrets::Secrets;

use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::reply::Reply;
use super::service::json as json_answer;
use super::{Downstream, guard, refusal};
use crate::authn::{NotAuthenticated, Peer};
use crate::binding::Refused;
use crate::protocol::Json;
use crate::store::NotSaved;
use crate::telemetry::redact;

/// Requests are a few names; an encrypted file of secrets is the longest.
const LONGEST: usize = 16 * 1024 * 1024;
/// The asker is a command of ours on this machine.
const READ: Duration = Duration::from_secs(5);

/// What the daemon knows of itself.
#[derive(Debug)]
pub struct About {
    /// When it began to serve.
    pub started: SystemTime,
    /// Where clients reach it, as they write it.
    pub listening: Vec<String>,
    /// Whether the service manager holds those sockets.
    pub held: bool,
    /// Where its own pages are, such as `http://127.0.0.1:7332`; `None`: nowhere.
    pub pages: Option<String>,
    /// Asks it to read the configuration again; `None` where there is none to read.
    pub reload: Option<mpsc::Sender<Reload>>,
    /// Asks it to go on as the program that is installed; `None` where it cannot.
    pub go_on: Option<mpsc::Sender<GoOn>>,
    /// How often this process became another program.
    pub lives: u64,
    /// Why the program that was installed did not take over, the last time.
    pub not_replaced: Option<String>,
}

/// Somebody wants the configuration to be read again, and waits for what came of it.
#[derive(Debug)]
pub struct Reload(pub oneshot::Sender<Result<Reloaded, Vec<String>>>);

/// What a reload changed, in words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// One line each.
    pub notes: Vec<String>,
}

/// Why a control request cannot be answered.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    place: Option<String>,
    help: Vec<String>,
}

type Answer = Result<Value, Problem>;

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            place: None,
            help: Vec::new(),
        }
    }

    fn unknown(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// Nothing was done. Another daemon may be on its way.
    fn stopping() -> Self {
        let message = "the daemon stops, or goes on as another program: ask again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", message)
    }

    fn to_json(&self) -> Value {
        json!({"error": {
            "code": self.code,
            "message": redact(&self.message),
            "where": self.place,
            "help": self.help,
        }})
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }
}

impl From<NotSaved> for Problem {
    fn from(not_saved: NotSaved) -> Self {
        let message = format!("it could not be saved, and nothing changed: {not_saved}");
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "unavailable", message)
    }
}

/// The vault's part of the API without a daemon: what it answers, or the status and what is wrong.
///
/// # Errors
/// What the control socket would have answered, with its status.
pub async fn without_a_daemon(
    secrets: Secrets<'_>,
    method: &Method,
    path: &str,
    text: &[u8],
) -> Result<Value, (StatusCode, Value)> {
    let answer = secrets.answer(method, path, text).await;
    answer.map_err(|problem| (problem.status, problem.to_json()))
}

impl Downstream {
    /// Serves one control request.
    pub(super) async fn serve_control(
        &self,
        peer: &Result<Peer, NotAuthenticated>,
        request: Request<Incoming>,
    ) -> Result<Response<Reply>, Infallible> {
        if let Err(foreign) = guard::check_unix(request.headers()) {
            return Ok(super::service::refused(
                StatusCode::FORBIDDEN,
                &foreign.to_string(),
            ));
        }
        let peer = match peer {
            Ok(peer) => peer,
            Err(why) => return Ok(refusal::stranger(why)),
        };
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answered = match body(request).await {
            Ok(text) => Box::pin(self.answer(&method, &path, &text, peer)).await,
            Err(problem) => Err(problem),
        };
        Ok(match answered {
            Ok(value) => json_answer(StatusCode::OK, Reply::text(Json::of(&value).into_bytes())),
            Err(problem) => {
                let error = Json::of(&problem.to_json());
                json_answer(problem.status, Reply::text(error.into_bytes()))
            }
        })
    }

    /// Every request there is.
    async fn answer(&self, method: &Method, path: &str, text: &[u8], peer: &Peer) -> Answer {
        match (method, path) {
            (&Method::GET, "/life") => Ok(self.life()),
            (&Method::GET, "/status") => Ok(self.status(peer).await),
            (&Method::GET, "/accounts") => Ok(self.accounts()),
            (&Method::GET, "/profiles") => Ok(self.profiles()),
            (&Method::GET, "/sessions") => Ok(self.session_list()),
            (&Method::GET, "/clients") => Ok(self.client_list()),
            (&Method::POST, "/whoami") => self.whoami(peer, &read(text)?),
            (&Method::POST, "/profile") => self.profile(&read(text)?).await,
            (&Method::POST, "/use") => self.use_from_outside(peer, read(text)?).await,
            (&Method::POST, "/session/end") => self.end_session(&read(text)?).await,
            (&Method::POST, "/headers") => self.headers(peer, &read(text)?).await,
            (&Method::POST, "/connection") => self.connection_key(&read(text)?).await,
            (&Method::POST, "/client/key") => self.new_key(&read(text)?).await,
            (&Method::POST, "/client/end") => self.end_keys(&read(text)?).await,
            #[cfg(debug_assertions)]
            (&Method::POST, "/hang/runtime") => loop {
                // What a defect would do, for the tests of the watchdog.
                std::thread::park();
            },
            #[cfg(debug_assertions)]
            (&Method::POST, "/hang/store") => {
                self.sessions.hang_store().await;
                Ok(json!({}))
            }
            #[cfg(debug_assertions)]
            (&Method::POST, "/hang/accept") => {
                crate::downstream::listener::hang_accept();
                Ok(json!({}))
            }
            (&Method::POST, "/reload") => self.reload().await,
            (&Method::POST, "/go-on") => self.go_on(&read(text)?).await,
            (&Method::POST, "/account/verify") => self.verify(&read(text)?).await,
            (&Method::POST, "/login") => self.log_in(read(text)?).await,
            (&Method::POST, "/login/wait") => self.login_wait(&read(text)?).await,
            (&Method::POST, "/login/paste") => self.login_paste(&read(text)?),
            (&Method::POST, "/login/cancel") => self.login_cancel(&read(text)?),
            (&Method::GET, "/logins") => Ok(self.login_list()),
            (&Method::POST, "/logins") => Ok(self.logins_needed(&read(text)?).await),
            (&Method::POST, "/logout") => self.log_out(&read(text)?).await,
            (&Method::POST, "/logs") => Ok(self.logs(&read(text)?)),
            (&Method::GET, "/references") => self.check_references().await,
            (_, path) if Secrets::serves(path) => {
                let binding = self.reach.binding();
                let secrets = Secrets {
                    vault: &self.vault,
                    servers: binding.servers(),
                    tasks: &self.tasks,
                };
                secrets.answer(method, path, text).await
            }
            _ => Err(Problem::unknown(
                "unknown_request",
                "this daemon does not know the request; it may be older or newer than the command",
            )
            .help("janus version, and `version` in janus status, tell which")),
        }
    }

    async fn reload(&self) -> Answer {
        let (answer, reloaded) = oneshot::channel();
        let asked = match &self.about.reload {
            Some(reload) => reload.send(Reload(answer)).await.is_ok(),
            None => false,
        };
        match reloaded.await {
            Ok(Ok(mut reloaded)) if asked => {
                reloaded.notes.extend(self.about_the_vault().await);
                Ok(json!({"reloaded": true, "notes": reloaded.notes}))
            }
            Ok(Err(mistakes)) if asked => {
                let problem = Problem::new(
                    StatusCode::CONFLICT,
                    "config_invalid",
                    "the configuration is wrong, and the earlier one stays in force",
                );
                let problem = problem.help("janus config validate");
                let mut message = problem.message.clone();
                for mistake in mistakes {
                    message.push_str("\n  ");
                    message.push_str(&mistake);
                }
                Err(Problem { message, ..problem })
            }
            _ if self.about.reload.is_some() => Err(Problem::stopping()),
            _ => Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "this daemon cannot read its configuration again",
            )),
        }
    }

    /// A refusal of the resolver, as the control API says it.
    fn problem(&self, refused: &Refused) -> Problem {
        let status = if refused.is_unknown() {
            StatusCode::NOT_FOUND
        } else {
            StatusCode::FORBIDDEN
        };
        Problem {
            place: refused
                .written()
                .map(|written| self.reach.place(written.line)),
            ..Problem::new(status, refused.code(), refused.to_string())
        }
    }
}

async fn body(request: Request<Incoming>) -> Result<Vec<u8>, Problem> {
    let read = Limited::new(request.into_body(), LONGEST).collect();
    match tokio::time::timeout(READ, read).await {
        Ok(Ok(text)) => Ok(text.to_bytes().to_vec()),
        _ => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "bad_request",
            "the request did not arrive whole",
        )),
    }
}

fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(text).map_err(|error| {
        let message = format!("the request cannot be read: {error}");
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", message)
    })
}

/// Seconds since 1970: what scripts compare.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

impl Default for About {
    fn default() -> Self {
        Self {
            started: SystemTime::now(),
            listening: Vec::new(),
            held: false,
            pages: None,
            reload: None,
            go_on: None,
            lives: 0,
            not_replaced: None,
        }
    }
}
