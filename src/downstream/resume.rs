//! A session of an earlier life of Janus goes on: its servers know nothing of it, so they are told again what was asked
//! of them for it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use crate::binding::{Entry, Scope};
use crate::gateway::Gateway;
use crate::protocol::{Completion, Envelope, Events, Json, Outcome, Request};

use super::Downstream;
use super::legacy::{Found, Session};

/// A server that is not there yet is asked again, this much later each time; then its client must ask itself.
const AGAIN: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
];
/// Asked at once: a server that does not answer holds up its own.
const AT_ONCE: usize = 16;

impl Downstream {
    /// The session of that id, for whoever comes as it was opened. To anybody else it does not exist.
    pub(super) async fn session(&self, id: &str, entry: &Entry) -> Option<Arc<Session>> {
        match self.sessions.find(id, entry)? {
            Found::InUse(session) => Some(session),
            Found::Again { session, streams } => {
                if streams {
                    // What they held is here now: a later life must not find it a second time.
                    self.sessions.keep(&session).await;
                }
                let (downstream, again) = (self.clone(), Arc::clone(&session));
                self.tasks.spawn(async move {
                    let asking = downstream.ask_again(&again);
                    downstream.stopping.run_until_cancelled(asking).await;
                });
                Some(session)
            }
        }
    }

    async fn ask_again(&self, session: &Arc<Session>) {
        // One whose client never said where it works asked for nothing either.
        let Some(Ok(scope)) = session.settled(&self.gateway, &self.reach) else {
            return;
        };
        session.tell_due(&self.gateway, &self.reach);
        let scope = &scope;
        let asking = session
            .asked()
            .into_iter()
            .map(|(method, params)| async move {
                for pause in AGAIN {
                    tokio::time::sleep(pause).await;
                    if ask(&self.gateway, scope, session, method, &params).await {
                        break;
                    }
                }
                if method == "resources/subscribe" {
                    // What changed meanwhile nobody told.
                    let method = "notifications/resources/updated";
                    session.tell(&Envelope::notification(method, &params));
                }
            });
        stream::iter(asking)
            .for_each_concurrent(AT_ONCE, |asked| asked)
            .await;
    }
}

/// Whether it was agreed to.
async fn ask(
    gateway: &Gateway,
    scope: &Scope,
    session: &Session,
    method: &str,
    params: &Value,
) -> bool {
    let (id, params) = (Json::string("janus-again"), Json::of(params));
    let Ok(message) = Envelope::of(&Envelope::request_text(&id, method, Some(&params))) else {
        return false;
    };
    let request = Request {
        message,
        client: Arc::clone(&session.client),
        param_headers: Vec::new(),
        over_http: false,
        log_level: None,
        holder: None,
    };
    let (events, _nobody) = Events::channel();
    match gateway.handle(scope, request, &events).await {
        Outcome::Result { .. } => true,
        Outcome::Relayed(relayed) => relayed.completion == Completion::Complete,
        Outcome::Error(_) => false,
    }
}
