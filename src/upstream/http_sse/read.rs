//! The stream: first the address, then messages.

use std::future::poll_fn;

use bytes::Bytes;

use super::super::streamable_http::{Frame, Held, Source, is_message};
use crate::protocol::LONGEST_MESSAGE;
use crate::protocol::sse::{Fields, Piece};
use crate::upstream::duplex::Dispatcher;

/// No address is longer.
const LONGEST_ADDRESS: usize = 8 * 1024;

/// The data of the `endpoint` event, which comes before any message.
pub(super) async fn address(source: &mut Source) -> Result<String, String> {
    loop {
        let (fields, data) = event(source, LONGEST_ADDRESS).await?;
        if fields.event.as_deref() == Some("endpoint") {
            let text = String::from_utf8(data.to_vec());
            let text = text.map_err(|_| "the address to post to is no text".to_owned())?;
            return Ok(text.trim().to_owned());
        }
        if is_message(&fields) && !data.is_empty() {
            return Err("its event stream names no address to post to".to_owned());
        }
    }
}

/// Hands every message on, to the end of the stream; gives why it ended.
pub(super) async fn all(mut source: Source, dispatcher: &Dispatcher) -> String {
    loop {
        match event(&mut source, LONGEST_MESSAGE).await {
            Ok((fields, data)) if is_message(&fields) && !data.is_empty() => {
                dispatcher.line(data).await;
            }
            // Another address would be for another stream; servers send pings of their own making.
            Ok(_) => {}
            Err(reason) => return reason,
        }
    }
}

/// The next event and its data.
async fn event(source: &mut Source, longest: usize) -> Result<(Fields, Bytes), String> {
    let mut held = Held::default();
    loop {
        while let Some(piece) = source.piece() {
            match piece {
                Piece::Data(bytes) => held.push(bytes),
                Piece::End(fields) => return Ok((fields, held.into_bytes())),
            }
            if held.len() > longest {
                return Err("an event of its stream is too long".to_owned());
            }
        }
        match poll_fn(|cx| source.poll_more(cx)).await {
            Frame::Data(_) => {}
            Frame::End => return Err("its event stream ended".to_owned()),
            Frame::Broken(why) => return Err(why),
        }
    }
}
