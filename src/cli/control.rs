//! A client of the control socket: what a command asks of the daemon that runs.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use super::serve::runtime;
use super::{Context, Exit, Failure};
use crate::daemon::{self, NoVault};
use crate::model::Settings;

/// The daemon answers from memory; a reload reads one file.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that starts, and a command that gets its token.
const FOR_A_SERVER: Duration = Duration::from_mins(2);

/// When a daemon that went away is asked again. The one after it may be about to go, too: that ends with the patience.
const AGAIN: Duration = Duration::from_millis(10);
/// The code of a connection that ended before the answer.
const LOST: &str = "connection_lost";

/// Whether the daemon that was asked did nothing, because another one comes.
fn did_nothing(failure: &Failure, path: &str) -> bool {
    ["/reload", "/go-on"].contains(&path) && failure.parts().code == "stopping"
}

/// Whether it is not known what the daemon did.
fn is_lost(failure: &Failure) -> bool {
    failure.parts().code == LOST
}

/// The control socket of the daemon that runs.
#[derive(Debug)]
pub(super) struct Control {
    socket: PathBuf,
    patience: Duration,
}

impl Control {
    /// It is found without the configuration, which may be broken.
    pub(super) fn new(context: &Context) -> Self {
        let directory = context.environment.runtime_directory();
        let directory = std::path::absolute(&directory).unwrap_or(directory);
        Self {
            socket: directory.join("control.sock"),
            patience: context.global.timeout.unwrap_or(PATIENCE),
        }
    }

    /// The same for what takes its time.
    pub(super) fn waiting(context: &Context, patience: Duration) -> Self {
        Self {
            patience,
            ..Self::new(context)
        }
    }

    /// The same for what waits for a server.
    pub(super) fn patient(context: &Context) -> Self {
        let patience = context.global.timeout.unwrap_or(FOR_A_SERVER);
        Self {
            patience,
            ..Self::new(context)
        }
    }

    /// How long the daemon may hold back an answer until something happens, in seconds.
    pub(super) fn held(&self) -> u64 {
        (self.patience.as_secs() / 2).clamp(1, 20)
    }

    /// Asks for something.
    pub(super) fn get(&self, path: &str) -> Result<Value, Failure> {
        runtime()?.block_on(self.ask(Method::GET, path, None))
    }

    /// Asks for something with what the answer depends on, or to do something.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        runtime()?.block_on(self.ask(Method::POST, path, Some(body)))
    }

    /// Asks for something about the vault: the daemon that runs, or else, where none does, the state itself.
    pub(super) fn vault(
        &self,
        context: &Context,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        match runtime()?.block_on(self.ask(method.clone(), path, body)) {
            Err(failure) if failure.exit() == Exit::NoDaemon => {
                Self::vault_at(&super::migrate::settings(context)?, method, path, body)
            }
            answered => answered,
        }
    }

    /// The same with settings at hand, and without a daemon.
    pub(super) fn vault_at(
        settings: &Settings,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let text = Zeroizing::new(body.map_or_else(String::new, Value::to_string));
        let asked = daemon::ask_vault(settings, method, path, text.as_bytes());
        runtime()?.block_on(asked).map_err(|why| match why {
            NoVault::Refused(status, error) => refused(status, &error),
            NoVault::Unusable(unusable) => {
                let failure = Failure::from(anyhow::Error::from(unusable));
                failure.help("is another Janus running?  name the directory of its sockets:  --runtime-dir DIR")
            }
        })
    }

    /// The same for a command that has a runtime already.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let exchange = timeout(self.patience, self.exchange(method, path, body));
        exchange.await.unwrap_or_else(|_| {
            let said = format!(
                "the daemon did not answer within {} s",
                self.patience.as_secs()
            );
            Err(Failure::new(Exit::Failed, "timed_out", said)
                .place(self.socket.display().to_string()))
        })
    }

    /// The same question again, of the daemon that comes after one that goes away, where it does no harm to ask twice.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let harmless = method == Method::GET || path == "/reload";
        loop {
            match self.once(method.clone(), path, body).await {
                Err(failure) if did_nothing(&failure, path) || (harmless && is_lost(&failure)) => {
                    sleep(AGAIN).await;
                }
                answered => return answered,
            }
        }
    }

    async fn once(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let stream = UnixStream::connect(&self.socket).await;
        let stream = stream.map_err(|error| self.no_daemon(&error.to_string()))?;
        let text = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, "localhost")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(text))
            .map_err(|error| Failure::from(anyhow::Error::from(error)))?;
        let lost = |error: hyper::Error| self.lost(&error.to_string());
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        let mut answer = std::pin::pin!(async {
            let response = sender.send_request(request).await.map_err(lost)?;
            let status = response.status();
            let text = response
                .into_body()
                .collect()
                .await
                .map_err(lost)?
                .to_bytes();
            Ok::<_, Failure>((status, text))
        });
        let (status, text) = tokio::select! {
            biased;
            answer = &mut answer => answer,
            _ = connection => answer.await,
        }?;
        let value = serde_json::from_slice(&text).unwrap_or(Value::Null);
        if status.is_success() {
            Ok(value)
        } else {
            Err(refused(status, &value))
        }
    }

    fn lost(&self, because: &str) -> Failure {
        let message = "the daemon went away before it answered";
        Failure::new(Exit::NoDaemon, LOST, message)
            .place(self.socket.display().to_string())
            .because(because)
            .help("see whether it is back:  janus status")
    }

    fn no_daemon(&self, because: &str) -> Failure {
        Failure::no_daemon(self.socket.display().to_string(), because)
    }
}

/// The daemon's refusal, with its code where the program knows it.
fn refused(status: StatusCode, value: &Value) -> Failure {
    let error = &value["error"];
    let (exit, code) = match error["code"].as_str().unwrap_or_default() {
        "profile_unknown" => (Exit::Usage, "profile_unknown"),
        "unknown_account" => (Exit::Usage, "unknown_account"),
        "ambiguous_account" => (Exit::Usage, "ambiguous_account"),
        "unknown_server" => (Exit::Usage, "unknown_server"),
        "unknown_client" => (Exit::Usage, "unknown_client"),
        "session_unknown" => (Exit::Usage, "session_unknown"),
        "usage" => (Exit::Usage, "usage"),
        "profile_refused" => (Exit::Refused, "profile_refused"),
        "switching_off" => (Exit::Refused, "switching_off"),
        "key_required" => (Exit::Refused, "key_required"),
        "sealed" => (Exit::NeedsLogin, "sealed"),
        "needs_secret" => (Exit::NeedsLogin, "needs_secret"),
        "bad_secret" => (Exit::NeedsLogin, "bad_secret"),
        "rejected" => (Exit::NeedsLogin, "rejected"),
        "no_key" => (Exit::NeedsLogin, "no_key"),
        "needs_login" => (Exit::NeedsLogin, "needs_login"),
        "wrong_identity" => (Exit::Refused, "wrong_identity"),
        "declined" => (Exit::Refused, "declined"),
        "login_denied" => (Exit::Refused, "login_denied"),
        "login_expired" => (Exit::NeedsLogin, "login_expired"),
        "not_the_answer" => (Exit::Usage, "not_the_answer"),
        "not_registered" => (Exit::NeedsLogin, "not_registered"),
        "bad_configuration" => (Exit::Failed, "bad_configuration"),
        "no_authorization_server" => (Exit::Failed, "no_authorization_server"),
        "other_authorization_server" => (Exit::Refused, "other_authorization_server"),
        "unsafe_authorization_server" => (Exit::Refused, "unsafe_authorization_server"),
        "provider_refused" => (Exit::Failed, "provider_refused"),
        "provider_unreachable" => (Exit::Failed, "provider_unreachable"),
        "not_kept" => (Exit::Failed, "not_kept"),
        "no_login" => (Exit::Usage, "no_login"),
        "logged_in" => (Exit::Refused, "logged_in"),
        "login_unknown" => (Exit::Usage, "login_unknown"),
        "stopping" => (Exit::Failed, "stopping"),
        "foreign_state" => (Exit::Usage, "foreign_state"),
        "unknown_request" => (Exit::Failed, "unknown_request"),
        "unknown_secret" => (Exit::Usage, "unknown_secret"),
        "unavailable" => (Exit::Failed, "unavailable"),
        "timed_out" => (Exit::Failed, "timed_out"),
        "outcome_unknown" => (Exit::Failed, "outcome_unknown"),
        "not_replaced" => (Exit::Failed, "not_replaced"),
        "deferred" => (Exit::Failed, "deferred"),
        "config_invalid" => (Exit::Configuration, "config_invalid"),
        "cannot_start" => (Exit::Failed, "cannot_start"),
        "directory_unknown" => (Exit::Failed, "directory_unknown"),
        _ => (Exit::Failed, "failed"),
    };
    let said = error["message"].as_str().map_or_else(
        || format!("what listens there does not answer as Janus does (HTTP {status})"),
        str::to_owned,
    );
    let mut lines = said.lines();
    let mut failure = Failure::new(exit, code, lines.next().unwrap_or_default());
    for line in lines {
        failure = failure.because(line.trim());
    }
    if let Some(place) = error["where"].as_str() {
        failure = failure.place(place);
    }
    let help = error["help"].as_array().into_iter().flatten();
    help.filter_map(Value::as_str).fold(failure, Failure::help)
}
