//! Whether the accept loops turn: each of them answers when it is asked.

use std::future::pending;

use tokio::sync::{mpsc, watch};

/// Asks all of them.
#[derive(Debug, Clone)]
pub(super) struct Pulse(watch::Sender<Option<mpsc::Sender<()>>>);

/// One of them.
#[derive(Debug)]
pub(super) struct Heart(watch::Receiver<Option<mpsc::Sender<()>>>);

impl Default for Pulse {
    fn default() -> Self {
        Self(watch::channel(None).0)
    }
}

impl Pulse {
    /// Another loop that answers, as long as it has this.
    pub(super) fn heart(&self) -> Heart {
        Heart(self.0.subscribe())
    }

    /// Waits until all of them have ended.
    pub(super) async fn ended(&self) {
        self.0.closed().await;
    }

    /// Waits until each of them has answered. When all have ended, nobody is waited for: one alone does not end.
    pub(super) async fn felt(&self) {
        let waiting = self.0.receiver_count();
        let (answer, mut answers) = mpsc::channel(waiting.max(1));
        self.0.send_replace(Some(answer));
        for _ in 0..waiting {
            tokio::select! {
                _ = answers.recv() => {}
                () = self.0.closed() => break,
            }
        }
    }
}

impl Heart {
    /// Answers when it is asked. Safe to cancel: what is asked then is answered the next time.
    pub(super) async fn beat(&mut self) {
        if self.0.changed().await.is_err() {
            return pending().await;
        }
        let asked = self.0.borrow().clone();
        if let Some(asked) = asked {
            // Nobody waits any more if a later question is under way.
            asked.try_send(()).ok();
        }
    }
}
