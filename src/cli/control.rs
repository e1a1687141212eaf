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
use tokio::time::timeout;

use super::serve::runtime;
use super::{Context, Exit, Failure};

/// The daemon answers from memory; a reload reads one file.
const PATIENCE: Duration = Duration::from_secs(20);

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

    /// Asks for something.
    pub(super) fn get(&self, path: &str) -> Result<Value, Failure> {
        runtime()?.block_on(self.ask(Method::GET, path, None))
    }

    /// Asks for something with what the answer depends on, or to do something.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        runtime()?.block_on(self.ask(Method::POST, path, Some(body)))
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

    async fn exchange(
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
        let lost = |error: hyper::Error| self.no_daemon(&error.to_string());
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

    fn no_daemon(&self, because: &str) -> Failure {
        Failure::new(Exit::NoDaemon, "no_daemon", "there is no daemon to talk to")
            .sent("nothing")
            .place(self.socket.display().to_string())
            .because(because)
            .help("start it in another terminal:  janus serve")
            .help("or name the directory of its sockets:  --runtime-dir DIR")
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
        "config_invalid" => (Exit::Configuration, "config_invalid"),
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
