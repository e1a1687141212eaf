//! The bytes of a client's connection: not read while the intake is closed, and first those that were read before.
//!
//! Invariant: a client that owes the head of a request is waited for within a limit, and one that Janus does not read from
//! owes nothing. Between requests a connection may rest for long, but not for ever; a head whose beginning came together
//! with the request before it counts as rest.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Sleep, sleep};

use super::hand_over::Resumed;
use super::intake::{Intake, Line};

/// A client that connects and says nothing, or begins a request and says no more of its head.
const HEAD: Duration = Duration::from_secs(10);
/// A client that asks nothing more: a program that forgets its connections takes the place of others.
const REST: Duration = Duration::from_mins(30);

/// A socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A client's connection.
#[derive(Debug)]
pub(super) struct Stream {
    socket: Socket,
    /// What was read before this began.
    ahead: Bytes,
    /// `None`: it is read from whatever happens.
    intake: Option<Intake>,
    line: Arc<Line>,
    /// Whether what must come next is the rest of a head; the first one is owed from the beginning.
    owes: bool,
    /// The requests of the line when that was found out.
    requests: usize,
    /// How long it is waited for, while that runs.
    limit: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    /// A connection that was just accepted.
    pub(super) fn new(socket: Socket, intake: Option<Intake>, line: Arc<Line>) -> Self {
        Self {
            socket,
            ahead: Bytes::new(),
            intake,
            line,
            owes: true,
            requests: 0,
            limit: None,
        }
    }

    /// One that an earlier program of this process had.
    pub(super) fn resumed(resumed: Resumed, intake: Intake, line: Arc<Line>) -> Self {
        Self {
            ahead: resumed.ahead,
            owes: false,
            ..Self::new(resumed.socket, Some(intake), line)
        }
    }

    /// The socket, and what was read of it and not taken.
    pub(super) fn into_parts(self) -> (Socket, Bytes) {
        (self.socket, self.ahead)
    }

    fn may_read(&self, cx: &Context<'_>) -> bool {
        let intake = self.intake.as_ref();
        intake.is_none_or(|intake| intake.may_read(&self.line, cx.waker()))
    }

    /// What is owed came if a request began since.
    fn settle(&mut self) {
        let requests = self.line.requests();
        if requests != self.requests {
            (self.requests, self.owes, self.limit) = (requests, false, None);
        }
    }

    /// Ends when a client took too long for the head that it owes, or for the next request.
    fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.line.expects_a_head() {
            return Poll::Pending;
        }
        let most = if self.owes { HEAD } else { REST };
        let limit = self.limit.get_or_insert_with(|| Box::pin(sleep(most)));
        let over = limit.as_mut().poll(cx);
        over.map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Socket {
    /// The same without a runtime.
    pub(super) fn into_fd(self) -> io::Result<OwnedFd> {
        Ok(match self {
            Self::Tcp(stream) => stream.into_std()?.into(),
            Self::Unix(stream) => stream.into_std()?.into(),
        })
    }
}

/// The same for either kind of socket.
macro_rules! either {
    ($socket:expr, $stream:ident => $then:expr) => {
        match $socket {
            Socket::Tcp($stream) => $then,
            Socket::Unix($stream) => $then,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.settle();
        if !self.may_read(cx) {
            self.limit = None;
            return Poll::Pending;
        }
        if self.ahead.has_remaining() {
            let length = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead.split_to(length));
            self.owes = true;
            return Poll::Ready(Ok(()));
        }
        let read = either!(&mut self.socket, stream => Pin::new(stream).poll_read(cx, buffer));
        if read.is_pending() {
            return self.poll_limit(cx);
        }
        if !self.owes && self.line.expects_a_head() {
            (self.owes, self.limit) = (true, None);
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = either!(&mut self.socket, stream => Pin::new(stream).poll_write(cx, bytes));
        self.line.takes(written.is_ready());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written =
            either!(&mut self.socket, stream => Pin::new(stream).poll_write_vectored(cx, pieces));
        self.line.takes(written.is_ready());
        written
    }

    fn is_write_vectored(&self) -> bool {
        either!(&self.socket, stream => stream.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = either!(&mut self.socket, stream => Pin::new(stream).poll_flush(cx));
        if flushed.is_ready() {
            self.line.sent();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut self.socket, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    struct Connected {
        client: UnixStream,
        stream: Stream,
        line: Arc<Line>,
        intake: Intake,
    }

    fn connected() -> Connected {
        let (client, socket) = UnixStream::pair().unwrap();
        let (line, intake) = (Arc::<Line>::default(), Intake::default());
        let stream = Stream::new(
            Socket::Unix(socket),
            Some(intake.clone()),
            Arc::clone(&line),
        );
        Connected {
            client,
            stream,
            line,
            intake,
        }
    }

    async fn read(stream: &mut Stream) -> io::Result<usize> {
        stream.read(&mut [0; 64]).await
    }

    async fn is_cut(stream: &mut Stream) -> bool {
        let read = timeout(2 * HEAD, read(stream)).await;
        read.is_ok_and(|read| read.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut))
    }

    #[tokio::test(start_paused = true)]
    async fn who_owes_a_head_is_waited_for_within_a_limit() {
        let mut silent = connected();
        assert!(is_cut(&mut silent.stream).await);
        let mut half = connected();
        half.client.write_all(b"POST ").await.unwrap();
        assert_eq!(read(&mut half.stream).await.unwrap(), 5);
        // A piece now and then is no head.
        let slowly = async {
            loop {
                sleep(HEAD / 3).await;
                half.client.write_all(b"x").await.unwrap();
                if read(&mut half.stream).await.is_err() {
                    break;
                }
            }
        };
        timeout(2 * HEAD, slowly).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_asked_may_rest() {
        let mut one = connected();
        one.client.write_all(b"GET").await.unwrap();
        read(&mut one.stream).await.unwrap();
        one.line.begins();
        assert!(timeout(100 * HEAD, read(&mut one.stream)).await.is_err());
        one.line.ends(None);
        assert!(timeout(REST / 2, read(&mut one.stream)).await.is_err());
        one.client.write_all(b"GET").await.unwrap();
        read(&mut one.stream).await.unwrap();
        assert!(is_cut(&mut one.stream).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_forgotten_by_its_client_ends() {
        let mut one = connected();
        one.line.begins();
        one.line.ends(None);
        let ended = timeout(2 * REST, read(&mut one.stream)).await.unwrap();
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_upgraded_owes_nothing() {
        let mut one = connected();
        one.client.write_all(b"GET").await.unwrap();
        read(&mut one.stream).await.unwrap();
        one.line.begins();
        one.line.upgrade();
        one.line.ends(None);
        one.client.write_all(b"half a line").await.unwrap();
        read(&mut one.stream).await.unwrap();
        assert!(timeout(100 * HEAD, read(&mut one.stream)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_read_from_owes_nothing() {
        let mut one = connected();
        one.intake.close();
        one.client.write_all(b"GET").await.unwrap();
        assert!(timeout(100 * HEAD, read(&mut one.stream)).await.is_err());
        one.intake.open();
        assert_eq!(read(&mut one.stream).await.unwrap(), 3);
        // From now on it is waited for.
        assert!(timeout(HEAD / 2, read(&mut one.stream)).await.is_err());
        one.intake.close();
        assert!(timeout(100 * HEAD, read(&mut one.stream)).await.is_err());
        one.intake.open();
        assert!(timeout(HEAD / 2, read(&mut one.stream)).await.is_err());
        assert!(is_cut(&mut one.stream).await);
    }
}
