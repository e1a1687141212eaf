//! The log without secrets: each record is held back until it is whole, and then redacted.

use std::fmt;
use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

use super::known::redact;

/// Makes writers that take secrets out of what is written to them.
#[derive(Clone)]
pub struct Redacting<M>(M);

impl<M> Redacting<M> {
    /// Over whatever makes the writers that are written to.
    pub fn new(inner: M) -> Self {
        Self(inner)
    }
}

impl<M> fmt::Debug for Redacting<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redacting")
    }
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Redacting<M> {
    type Writer = Record<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Record {
            held: Vec::new(),
            inner: self.0.make_writer(),
        }
    }
}

/// One record. In whatever pieces it comes, it leaves as one.
pub struct Record<W: Write> {
    held: Vec<u8>,
    inner: W,
}

impl<W: Write> fmt::Debug for Record<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Record")
    }
}

impl<W: Write> Write for Record<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Nothing leaves before the end: what follows may be the other half of a secret.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Drop for Record<W> {
    fn drop(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(&self.held);
        // A log that cannot be written has nobody to be told.
        self.inner.write_all(redact(&text).as_bytes()).ok();
        self.inner.flush().ok();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::model::Secret;
    use crate::telemetry::learn;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_secret_in_pieces_is_one() {
        let secret = Arc::new(Secret::new("pieces-canary-42"));
        learn(&secret);
        for at in 0..=secret.expose().len() {
            let log = Log::default();
            let sink = log.clone();
            let (head, tail) = secret.expose().split_at(at);
            let redacting = Redacting::new(move || sink.clone());
            let mut record = redacting.make_writer();
            record.write_all(head.as_bytes()).unwrap();
            record.flush().unwrap();
            record.write_all(tail.as_bytes()).unwrap();
            drop(record);
            assert_eq!(log.0.lock().unwrap().as_slice(), b"****");
        }
    }
}
