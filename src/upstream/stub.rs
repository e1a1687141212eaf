#![allow(missing_docs, dead_code, unused_variables)]
use super::Failure;
use crate::binding::Route;
use crate::model::*;
use crate::policy::Permitted;
use crate::protocol::*;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
#[derive(Debug, Clone)]
pub struct Upstream;
#[derive(Debug, Clone)]
pub enum Change {
    Listed {
        account: AccountId,
        kind: ListKind,
        identical: bool,
    },
    Notification {
        account: AccountId,
        message: Envelope,
        session: Option<Arc<str>>,
    },
}
impl Upstream {
    pub async fn forward(
        &self,
        call: Permitted<Route>,
        request: &Request,
        events: &Events,
    ) -> Result<Relayed, Failure> {
        todo!()
    }
    pub async fn notify(
        &self,
        call: Permitted<Route>,
        message: Envelope,
        session: Option<Arc<str>>,
    ) {
    }
    pub fn listing(&self, a: &AccountId) -> watch::Receiver<Arc<Listing>> {
        todo!()
    }
    pub async fn settled(&self, a: &AccountId, d: Duration) {}
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        todo!()
    }
    pub fn new(
        s: &Settings,
        t: tokio_util::task::TaskTracker,
        c: tokio_util::sync::CancellationToken,
    ) -> Self {
        Upstream
    }
    pub fn start(&self) {}
    pub fn release(&self, s: &str) {}
    pub async fn shutdown(&self) {}
}
