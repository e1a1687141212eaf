//! A remote server: its transport and its era, found by what it answers.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::super::handshake::{Opened, initialize};
use super::super::key::Key;
use super::super::leg::Leg;
use super::super::probe::{Verdict, verdict};
use super::super::{Failure, http_sse, streamable_http};
use super::{Dial, Dialled, INBOX};
use crate::model::{Endpoint, HttpEndpoint, Transport};
use crate::protocol::{Envelope, Era, ServerFacts};

impl Dial {
    pub(super) async fn http(&self, key: &Key) -> Result<Dialled, Failure> {
        if self.is_old() {
            match self.http_sse(key).await {
                Err(_) if self.server.transport == Transport::Auto => {
                    // It may have been replaced by a newer one.
                    self.old.store(false, Ordering::Relaxed);
                }
                dialled => return dialled,
            }
        }
        let (leg, inbox) = self.remote()?;
        let failure = match self.streamable(&leg, key).await {
            Ok(facts) => {
                let leg = Leg::Http(leg);
                return Ok(Dialled { leg, facts, inbox });
            }
            Err(failure) => failure,
        };
        if self.server.transport != Transport::Auto || !leg.may_be_old() {
            return Err(failure);
        }
        match self.http_sse(key).await {
            Ok(dialled) => {
                self.old.store(true, Ordering::Relaxed);
                Ok(dialled)
            }
            Err(other) => {
                tracing::debug!("nor the transport of 2024-11-05: {other}");
                Err(failure)
            }
        }
    }

    /// A conversation by Streamable HTTP.
    async fn streamable(
        &self,
        http: &streamable_http::Leg,
        key: &Key,
    ) -> Result<Arc<ServerFacts>, Failure> {
        let leg = Leg::Http(http.clone());
        if self.era() == Some(Era::Legacy) {
            match initialize(&leg, &self.account, key.capabilities()).await? {
                Opened::Legacy(facts) => return Ok(facts),
                Opened::Modern => self.forget_era(),
            }
        }
        let probe = http.probe(&Self::discover(&leg)).await?;
        let concluded = match verdict(Some(probe.status), probe.message.as_ref()) {
            Verdict::Unwell(reason) => Err(Failure::Unreachable {
                account: self.account.clone(),
                reason,
                retry_in: probe.retry_in,
            }),
            verdict => self.settle(verdict),
        };
        if let Some(facts) = concluded? {
            leg.speak(facts.revision);
            return Ok(facts);
        }
        match initialize(&leg, &self.account, key.capabilities()).await? {
            Opened::Legacy(facts) => Ok(facts),
            Opened::Modern => Err(self.refuses_both()),
        }
    }

    /// A conversation by the transport of 2024-11-05, which knows nothing of the modern era.
    async fn http_sse(&self, key: &Key) -> Result<Dialled, Failure> {
        let (http, _) = self.remote()?;
        let (sender, inbox) = mpsc::channel(INBOX);
        let (account, limit) = (self.account.clone(), self.server.timeout);
        let opening = http_sse::Leg::open(account, http, limit, sender, &self.tasks);
        let leg = Leg::Sse(opening.await?);
        match initialize(&leg, &self.account, key.capabilities()).await? {
            Opened::Legacy(facts) => Ok(Dialled { leg, facts, inbox }),
            Opened::Modern => Err(self.refuses_both()),
        }
    }

    /// A new conversation with a remote server.
    fn remote(&self) -> Result<(streamable_http::Leg, mpsc::Receiver<Envelope>), Failure> {
        let Endpoint::Http(endpoint) = &self.endpoint else {
            return Err(self.refuses_both());
        };
        let (sender, inbox) = mpsc::channel(INBOX);
        let client = self.client(endpoint)?;
        let leg = streamable_http::Leg::new(
            self.account.clone(),
            Arc::new(endpoint.clone()),
            client,
            self.server.timeout,
            sender,
            self.tasks.clone(),
        );
        Ok((leg, inbox))
    }

    /// No later request takes a connection that was made before this.
    pub(in crate::upstream) fn dial_anew(&self) {
        if let Some(client) = &*self.made() {
            client.dial_anew();
        }
    }

    /// Ends the connections that go out from one of these addresses.
    pub(in crate::upstream) fn cut(&self, addresses: &[IpAddr]) {
        if let Some(client) = &*self.made() {
            client.cut(addresses);
        }
    }

    fn made(&self) -> MutexGuard<'_, Option<streamable_http::Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One for the account: its pool of connections is nobody else's.
    fn client(&self, endpoint: &HttpEndpoint) -> Result<streamable_http::Client, Failure> {
        let mut made = self.made();
        if let Some(client) = &*made {
            return Ok(client.clone());
        }
        let client =
            streamable_http::Client::new(&self.account, endpoint, &self.proxy, &self.credential)?;
        Ok(made.insert(client).clone())
    }
}
