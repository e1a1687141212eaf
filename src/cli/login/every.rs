//! `janus login --all`: one account after the other, or the links of all at once.

use serde_json::{Value, json};

use super::needed::Needed;
use super::{Run, say};
use crate::cli::{Exit, Failure};

/// What came of the accounts so far.
#[derive(Default)]
struct Came {
    done: Vec<Value>,
    failed: Vec<Value>,
    worst: Option<Exit>,
}

impl Run<'_> {
    /// Every account that needs it. One that fails does not keep the others from it.
    pub(super) async fn every(&self) -> Result<Exit, Failure> {
        let output = self.context.output;
        let no_wait = self.arguments.no_wait;
        let Needed {
            accounts: needed,
            unknown,
        } = self.needed().await?;
        let mut came = Came::default();
        for account in &needed {
            match Box::pin(self.one(account)).await {
                Ok(outcome) => {
                    if !no_wait {
                        output.tell(&say::logged_in(&outcome));
                    }
                    came.done.push(outcome);
                }
                Err(failure) => {
                    let is_last = self.ends_all(&failure);
                    if output.is_json() {
                        let error = failure.to_json().get("error").cloned();
                        came.failed
                            .push(json!({"account": account, "error": error}));
                    } else {
                        output.failure(&failure);
                    }
                    let exit = failure.exit();
                    if came.worst.is_none() || exit == Exit::Interrupted {
                        came.worst = Some(exit);
                    }
                    if is_last {
                        break;
                    }
                }
            }
        }
        let links: String = came.done.iter().map(say::link_of_one).collect();
        let (succeeded, all) = (came.done.len(), needed.len());
        let fields = json!({"needed": needed, "logins": came.done, "failed": came.failed, "unknown": unknown});
        output.document("login-all", fields, || match all {
            0 if !unknown.is_empty() => "no account that could be asked needs a login\n".to_owned(),
            0 => "no account needs a login; to log in again, name one:  janus login ACCOUNT\n"
                .to_owned(),
            _ if no_wait => links,
            _ => format!("{succeeded} of {all} accounts are logged in\n"),
        })?;
        Ok(came.worst.unwrap_or(Exit::Done))
    }

    /// One of them: to its end, or to its link.
    async fn one(&self, account: &str) -> Result<Value, Failure> {
        let pending = self.begin(account).await?;
        if self.arguments.no_wait {
            self.consent(&pending).await?;
            return Ok(pending);
        }
        self.through(pending).await
    }

    /// Whether the same would come of every other account: nobody is there, or there is no time.
    fn ends_all(&self, failure: &Failure) -> bool {
        matches!(failure.exit(), Exit::Interrupted | Exit::NoDaemon)
            || failure.parts().code == "no_address"
            || self.is_over()
    }
}
