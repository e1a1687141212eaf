//! A long answer on its way to a legacy client, and a copy of it for when the client loses its connection.
//!
//! The answer passes at the client's pace. The copy is bounded: one that grows too long is given up, and whoever
//! resumes is told so.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream as _, StreamExt as _};
use tokio_util::task::TaskTracker;

use crate::protocol::{BodyStream, Broken};

use super::legacy::{KeptStream, LONGEST_KEPT};

/// The answer, as the data of one event.
pub(super) struct Passing {
    stream: Option<BodyStream>,
    copy: Option<Copy>,
}

/// What resumption will find in the event's place.
struct Copy {
    kept: Arc<KeptStream>,
    sequence: u64,
    text: BytesMut,
    tasks: TaskTracker,
}

impl Passing {
    /// An answer that nobody resumes.
    pub(super) fn once(stream: BodyStream) -> Self {
        Self {
            stream: Some(stream),
            copy: None,
        }
    }

    /// An answer that is kept in the place of this event. Where the client goes away, the rest is read in a task.
    pub(super) fn kept(
        stream: BodyStream,
        kept: Arc<KeptStream>,
        sequence: u64,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            stream: Some(stream),
            copy: Some(Copy {
                kept,
                sequence,
                text: BytesMut::new(),
                tasks,
            }),
        }
    }

    /// The next bytes for the client.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Broken>>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(None);
        };
        let next = ready!(Pin::new(stream).poll_next(cx));
        match (&next, self.copy.take()) {
            (Some(Ok(chunk)), Some(copy)) => self.copy = copy.with(chunk),
            (None, Some(copy)) => copy.whole(),
            (Some(Err(_)), Some(copy)) => copy.lost(),
            (_, None) => {}
        }
        if !matches!(next, Some(Ok(_))) {
            self.stream = None;
        }
        Poll::Ready(next)
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        let (Some(stream), Some(copy)) = (self.stream.take(), self.copy.take()) else {
            return;
        };
        let tasks = copy.tasks.clone();
        tasks.spawn(copy.rest(stream));
    }
}

impl Copy {
    /// With one more piece, unless that is too much.
    fn with(mut self, chunk: &[u8]) -> Option<Self> {
        if self.text.len() + chunk.len() > LONGEST_KEPT {
            self.lost();
            return None;
        }
        self.text.extend_from_slice(chunk);
        Some(self)
    }

    fn whole(self) {
        self.kept.fill(self.sequence, Some(self.text.freeze()));
    }

    fn lost(self) {
        self.kept.fill(self.sequence, None);
    }

    async fn rest(self, mut stream: BodyStream) {
        let mut copy = self;
        loop {
            match stream.next().await {
                Some(Ok(chunk)) => match copy.with(&chunk) {
                    Some(longer) => copy = longer,
                    None => return,
                },
                Some(Err(_)) => return copy.lost(),
                None => return copy.whole(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::stream;
    use tokio::sync::mpsc::{Sender, channel};

    use super::*;
    use crate::downstream::legacy::Follow;
    use crate::protocol::Json;

    type Pieces = Sender<Result<Bytes, Broken>>;

    fn passing() -> (Pieces, Passing, Arc<KeptStream>, TaskTracker) {
        let (pieces, queue) = channel(8);
        let stream = stream::unfold(queue, |mut queue| async {
            Some((queue.recv().await?, queue))
        });
        let kept = Arc::new(KeptStream::answering(1, Json::literal("7"), true));
        let (sequence, tasks) = (kept.reserve(), TaskTracker::new());
        kept.end();
        let passing = Passing::kept(Box::pin(stream), Arc::clone(&kept), sequence, tasks.clone());
        (pieces, passing, kept, tasks)
    }

    async fn resumed(kept: &KeptStream) -> String {
        let mut position = 0;
        match poll_fn(|cx| kept.poll_follow(&mut position, cx)).await {
            Follow::Event(_, text) => String::from_utf8(text.to_vec()).unwrap(),
            Follow::End => panic!("nothing was kept"),
        }
    }

    #[tokio::test]
    async fn whoever_lost_the_connection_half_way_finds_all_of_it() {
        let (pieces, mut passing, kept, tasks) = passing();
        pieces.send(Ok("one ".into())).await.unwrap();
        let first = poll_fn(|cx| passing.poll_next(cx)).await.unwrap();
        assert_eq!(first.unwrap(), "one ");
        drop(passing);
        let (found, ()) = tokio::join!(resumed(&kept), async {
            pieces.send(Ok("two".into())).await.unwrap();
            drop(pieces);
            tasks.close();
            tasks.wait().await;
        });
        assert_eq!(found, "one two");
    }

    #[tokio::test]
    async fn what_is_too_long_or_breaks_off_is_told_as_lost() {
        let (pieces, mut passing, kept, _tasks) = passing();
        let long = Bytes::from(vec![b' '; LONGEST_KEPT]);
        for piece in [long, "x".into()] {
            pieces.send(Ok(piece)).await.unwrap();
            poll_fn(|cx| passing.poll_next(cx)).await.unwrap().unwrap();
        }
        assert!(
            resumed(&kept)
                .await
                .contains("was lost with the connection")
        );
        let (pieces, mut passing, kept, _tasks) = self::passing();
        pieces.send(Err(Broken("gone".to_owned()))).await.unwrap();
        poll_fn(|cx| passing.poll_next(cx))
            .await
            .unwrap()
            .unwrap_err();
        assert!(
            resumed(&kept)
                .await
                .contains("was lost with the connection")
        );
    }
}
