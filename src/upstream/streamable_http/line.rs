//! The TCP connections of one account, which end at once when the address they go out from is no longer this machine's:
//! nothing would come on them any more, and nothing would say so.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use ::http::Uri;
use futures_util::task::AtomicWaker;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Those that are open. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<Weak<Ends>>>>);

/// One of them, seen from outside.
#[derive(Debug)]
struct Ends {
    /// This machine's end.
    here: IpAddr,
    cut: AtomicBool,
    /// Who waits for something to be read, as somebody always does.
    reader: AtomicWaker,
}

/// One of them, seen from inside.
#[derive(Debug)]
pub(super) struct Line {
    stream: TokioIo<TcpStream>,
    ends: Arc<Ends>,
}

/// Makes them.
#[derive(Debug, Clone)]
pub(super) struct Tcp {
    pub(super) connector: HttpConnector,
    pub(super) lines: Lines,
}

impl Lines {
    /// Ends those that go out from one of these addresses.
    pub(super) fn cut(&self, addresses: &[IpAddr]) {
        for ends in self.open().iter().filter_map(Weak::upgrade) {
            if addresses.contains(&ends.here) {
                ends.cut.store(true, Ordering::Release);
                ends.reader.wake();
            }
        }
    }

    fn with(&self, stream: TokioIo<TcpStream>) -> io::Result<Line> {
        let ends = Arc::new(Ends {
            here: stream.inner().local_addr()?.ip().to_canonical(),
            cut: AtomicBool::new(false),
            reader: AtomicWaker::new(),
        });
        let mut open = self.open();
        open.retain(|ends| ends.strong_count() > 0);
        open.push(Arc::downgrade(&ends));
        Ok(Line { stream, ends })
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Ends>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn uncut(&self) -> io::Result<()> {
        if self.ends.cut.load(Ordering::Acquire) {
            let why = "the network it went over is gone";
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, why));
        }
        Ok(())
    }
}

impl Read for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // Known before the look, so that no cut falls in between.
        self.ends.reader.register(cx.waker());
        self.uncut()?;
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl Write for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.uncut()?;
        Pin::new(&mut self.stream).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.uncut()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, from)
    }
}

impl Connection for Line {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl Service<Uri> for Tcp {
    type Response = Line;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Line, Fault>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.connector.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let dialling = self.connector.call(url);
        let lines = self.lines.clone();
        Box::pin(async move { Ok(lines.with(dialling.await?)?) })
    }
}
