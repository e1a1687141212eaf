//! The accounts that need a login. A server that is still starting has not said yet whether it wants one: it is waited for,
//! as long as `--timeout` says.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Run, say};
use crate::cli::Failure;
use crate::cli::table::texts;

/// Without `--timeout`: longer than the attempt to start a server takes with the `timeout` that it has by default.
const PATIENCE: Duration = Duration::from_mins(2);
/// Before somebody is told what is waited for.
const AT_FIRST: Duration = Duration::from_secs(1);

/// What is known of all accounts.
pub(super) struct Needed {
    /// Those that need one.
    pub(super) accounts: Vec<String>,
    /// Those of which it is not known, and why.
    pub(super) unknown: Vec<Value>,
}

impl Run<'_> {
    /// The accounts that need a login, and those of which nobody knows; of these it is said.
    pub(super) async fn needed(&self) -> Result<Needed, Failure> {
        let ends = self.ends.unwrap_or_else(|| Instant::now() + PATIENCE);
        let mut needed = self.asked(ends.min(Instant::now() + AT_FIRST)).await?;
        let starting = needed.starting();
        if !starting.is_empty() {
            let output = self.context.output;
            output.tell(&format!("waiting for {} to start", starting.join(", ")));
        }
        while !needed.starting().is_empty() && Instant::now() < ends {
            needed = self.asked(ends).await?;
        }
        for account in &needed.unknown {
            let said = account["because"].as_str();
            self.context.output.note(&format!(
                "warning: whether {} needs a login is not known: {}:  janus logs --server {}",
                say::text(account, "account"),
                said.unwrap_or("it is still starting"),
                say::text(account, "server")
            ));
        }
        Ok(needed)
    }

    async fn asked(&self, by: Instant) -> Result<Needed, Failure> {
        let left = by.saturating_duration_since(Instant::now());
        // A part of a second is one: with none nobody would wait.
        let seconds = (left + Duration::from_millis(999)).as_secs();
        let seconds = seconds.min(self.control.held());
        let patience = json!({"seconds": seconds});
        let known = self.control.ask(Method::POST, "/logins", Some(&patience));
        let known = match known.await {
            // An earlier daemon says what it knows, and waits for nobody.
            Err(failure) if failure.parts().code == "unknown_request" => {
                self.control.ask(Method::GET, "/logins", None).await?
            }
            known => known?,
        };
        let unknown = known.get("unknown").and_then(Value::as_array);
        Ok(Needed {
            accounts: texts(known.get("needed").unwrap_or(&Value::Null)),
            unknown: unknown.cloned().unwrap_or_default(),
        })
    }
}

impl Needed {
    /// Those with which nothing is wrong yet.
    fn starting(&self) -> Vec<String> {
        let unknown = self.unknown.iter();
        let starting = unknown.filter(|account| account["because"].is_null());
        starting
            .map(|account| say::text(account, "account"))
            .collect()
    }
}
