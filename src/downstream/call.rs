//! A request that came over HTTP, from its first byte of answer to its last, and what happens when the client goes
//! away before that.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio_util::task::TaskTracker;

use crate::protocol::Json;

use super::adapt::{Response, ResponseBody, joined};
use super::conversation::{Conversation, Next};
use super::legacy::{KeptStream, Session};
use super::modern::Parking;

/// One request under way.
pub(super) struct Call {
    conversation: Option<Conversation>,
    kind: Kind,
    /// The response is to be a stream, even where it comes first.
    streams: bool,
}

enum Kind {
    /// It ends with its connection, unless it asks its client something.
    Modern(Arc<Parking>),
    /// It outlives its connection; `None` once somebody else sees to that.
    Legacy(Option<Legacy>),
}

/// A legacy call outlives its connection.
struct Legacy {
    session: Arc<Session>,
    id: Json,
    tasks: TaskTracker,
    /// There once the answer is a stream: a plain answer has no event id to resume by.
    kept: Option<Arc<KeptStream>>,
}

impl Call {
    /// A call that ends with its connection.
    pub(super) fn modern(conversation: Conversation, parking: &Arc<Parking>) -> Self {
        Self {
            conversation: Some(conversation),
            kind: Kind::Modern(Arc::clone(parking)),
            streams: false,
        }
    }

    /// A call of a session.
    pub(super) fn legacy(
        conversation: Conversation,
        session: Arc<Session>,
        id: Json,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            conversation: Some(conversation),
            kind: Kind::Legacy(Some(Legacy {
                session,
                id,
                tasks,
                kept: None,
            })),
            streams: false,
        }
    }

    /// What comes next; not called again after a response or a cancellation.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        let Some(conversation) = &mut self.conversation else {
            return Poll::Ready(Next::Cancelled);
        };
        let next = std::task::ready!(conversation.poll_next(cx));
        if matches!(next, Next::Message(_) | Next::Stream) {
            return Poll::Ready(next);
        }
        self.streams = conversation.streams();
        let conversation = self.conversation.take();
        Poll::Ready(match (&self.kind, next) {
            (Kind::Modern(parking), Next::Pause) => {
                let response = conversation.and_then(|conversation| parking.park(conversation));
                response.map_or(Next::Cancelled, Next::Response)
            }
            (Kind::Legacy(Some(legacy)), next) => {
                legacy.session.finish(&legacy.id);
                next
            }
            (_, next) => next,
        })
    }

    /// Whether the response, which has come, is to be a stream.
    pub(super) fn streams(&self) -> bool {
        self.streams
    }

    /// Waits for the response alone.
    pub(super) async fn response(&mut self) -> Option<Response> {
        loop {
            match std::future::poll_fn(|cx| self.poll_next(cx)).await {
                Next::Message(_) | Next::Stream => {}
                Next::Response(response) => return Some(response),
                Next::Pause | Next::Cancelled => return None,
            }
        }
    }

    /// Where what outlives the client goes on; `None` where nothing does.
    pub(super) fn tasks(&self) -> Option<TaskTracker> {
        match &self.kind {
            Kind::Legacy(Some(legacy)) => Some(legacy.tasks.clone()),
            Kind::Legacy(None) | Kind::Modern(_) => None,
        }
    }

    /// The answer becomes a stream, alone or with others: in a session it is kept, so that it can be resumed.
    pub(super) fn start_stream(&mut self, alone: bool) -> Option<Arc<KeptStream>> {
        let Kind::Legacy(Some(legacy)) = &mut self.kind else {
            return None;
        };
        let kept = legacy.session.new_stream(legacy.id.clone(), alone);
        legacy.kept = Some(Arc::clone(&kept));
        Some(kept)
    }
}

impl Drop for Call {
    /// The client is gone. A modern call ends here; a legacy one goes on, and what it says is kept.
    fn drop(&mut self) {
        let Kind::Legacy(legacy) = &mut self.kind else {
            return;
        };
        let (Some(conversation), Some(legacy)) = (self.conversation.take(), legacy.take()) else {
            return;
        };
        let tasks = legacy.tasks.clone();
        tasks.spawn(async move {
            finish(conversation, legacy.kept.as_deref()).await;
            legacy.session.finish(&legacy.id);
        });
    }
}

/// Runs a call to its end without its client.
async fn finish(mut conversation: Conversation, kept: Option<&KeptStream>) {
    loop {
        match (conversation.next().await, kept) {
            (Next::Message(message), Some(kept)) => {
                kept.keep(message.bytes());
            }
            (Next::Message(_), None) | (Next::Stream, _) => {}
            (Next::Response(response), Some(kept)) => {
                kept.keep_response(&collected(response).await);
                return kept.end();
            }
            (Next::Response(_), None) => return,
            (Next::Pause | Next::Cancelled, kept) => return kept.map_or((), KeptStream::end),
        }
    }
}

/// What is kept of a response: one that is too long to be kept becomes a note when it is (see `kept`).
async fn collected(response: Response) -> Bytes {
    match response.body {
        ResponseBody::Whole(parts) => joined(&parts),
        ResponseBody::Stream(mut stream) => {
            let mut text = BytesMut::new();
            while let Some(Ok(chunk)) = stream.next().await {
                text.extend_from_slice(&chunk);
                if text.len() > super::legacy::LONGEST_KEPT {
                    break;
                }
            }
            text.freeze()
        }
    }
}
