//! An answer that is JSON, and how any answer becomes the client's own.

use bytes::Bytes;
use hyper::body::Incoming;

use super::call::Call;
use super::source::{Frame, Held};
use super::{HOLD, head, long};
use crate::protocol::{
    Body, Completion, Edit, Envelope, Era, Json, Kind, LONGEST_MESSAGE, Relayed, code, meta,
};
use crate::upstream::Failure;

impl Call<'_> {
    /// A response with a JSON body: one piece if it is short, else a stream as soon as its result shows.
    pub(super) async fn json(mut self, mut body: Incoming) -> Result<Relayed, Failure> {
        let mut held = Held::default();
        let mut most = HOLD;
        loop {
            match self.frame(&mut body).await? {
                Frame::Data(bytes) => held.push(bytes),
                Frame::End => break,
                Frame::Broken(why) => return Err(self.leg.interrupted(why)),
            }
            if held.len() > most {
                if let Some(completion) = self.streams(held.text(), most) {
                    let body = long::json(&self, held.into_bytes(), body);
                    return Ok(self.streamed(body, completion));
                }
                most = self.longer(most)?;
            }
        }
        let text = held.into_bytes();
        if is_batch(&text) {
            let alone = batch(text).into_iter().find(|message| {
                matches!(message.kind(), Kind::Result | Kind::Error)
                    && message.id().is_some_and(|id| self.is_ours(id))
            });
            let missing = || self.leg.bad("an array of messages without the response");
            return alone
                .map(|message| self.relay(&message))
                .ok_or_else(missing);
        }
        match Envelope::parse(text) {
            Ok(message) if matches!(message.kind(), Kind::Result | Kind::Error) => {
                Ok(self.relay(&message))
            }
            Ok(_) => Err(self.leg.bad("a message that is no response")),
            Err(refused) => Err(self.leg.bad(refused.error.message)),
        }
    }

    /// Whether a message whose head is `text` is handed on as it comes, and what it says. Asked once, at [`HOLD`].
    pub(super) fn streams(&self, text: &[u8], most: usize) -> Option<Completion> {
        if most != HOLD || self.client.is_none() {
            return None;
        }
        let result = head::result(text)?;
        let completion = match self.era {
            Era::Legacy => Completion::Complete,
            // What the server wants carried is sealed, so all of it is needed; so is what does not say early what it is.
            Era::Modern => match head::result_type(text, result) {
                Some(kind) => completion(Some(kind)),
                None if may_be_sealed(text) => return None,
                None => Completion::Complete,
            },
        };
        (completion == Completion::Complete).then_some(completion)
    }

    /// How long a message may be that is not handed on as it comes.
    pub(super) fn longer(&self, most: usize) -> Result<usize, Failure> {
        if most == LONGEST_MESSAGE {
            return Err(self.leg.bad(format!(
                "a message of more than {} MiB that cannot be handed on as it comes",
                LONGEST_MESSAGE / 1024 / 1024
            )));
        }
        Ok(LONGEST_MESSAGE)
    }

    pub(super) fn streamed(
        &self,
        body: crate::protocol::BodyStream,
        completion: Completion,
    ) -> Relayed {
        Relayed {
            body: Body::Stream(body),
            era: self.era,
            completion,
        }
    }

    /// A whole response with the client's own id.
    pub(super) fn relay(&self, message: &Envelope) -> Relayed {
        let completion = match (message.kind(), self.era) {
            (Kind::Error, _) => {
                Completion::Error(message.error_code().unwrap_or(code::INTERNAL_ERROR))
            }
            (_, Era::Legacy) => Completion::Complete,
            (_, Era::Modern) => {
                let kind = message.result_type();
                let kind = kind.as_ref().and_then(Json::as_text);
                completion(kind.as_deref().map(str::as_bytes))
            }
        };
        let (id, identity) = (&self.outgoing.client_id, self.outgoing.identity.as_ref());
        let text = if self.outgoing.is_listen()
            && let Some(result) = message.result()
            && let Some(result) = self.resubscribed(&result)
            && let Ok(message) = Envelope::of(&message.edited(&[Edit::Set("result", result)]))
        {
            message.answered(id, identity)
        } else if identity.is_none() && message.id() == Some(id) {
            message.json().clone()
        } else {
            message.answered(id, identity)
        };
        Relayed {
            body: Body::Whole(text.on_one_line()),
            era: self.era,
            completion,
        }
    }

    /// The object with the client's listen id in its `_meta`, if it has ours there.
    pub(super) fn resubscribed(&self, holder: &Json) -> Option<Json> {
        let holder = holder.object()?;
        let meta = holder.object("_meta")?;
        let subscription = meta.get(meta::SUBSCRIPTION_ID)?;
        if !self.is_ours(&subscription) {
            return None;
        }
        let meta = meta.edited(&[Edit::Set(
            meta::SUBSCRIPTION_ID,
            self.outgoing.client_id.clone(),
        )]);
        Some(holder.edited(&[Edit::Set("_meta", meta)]))
    }

    /// Whether this is our id, as a number or, as some servers have it, as a string.
    pub(super) fn is_ours(&self, id: &Json) -> bool {
        is(id, self.outgoing.id)
    }
}

/// Whether these are several messages: 2025-03-26 has batches, and whoever speaks it must take them.
pub(super) fn is_batch(text: &[u8]) -> bool {
    text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}

/// The messages of a batch. What is none costs itself.
pub(super) fn batch(text: Bytes) -> Vec<Envelope> {
    let elements = Json::parse(text).ok().and_then(|array| array.elements());
    let elements = elements.unwrap_or_default();
    elements
        .iter()
        .filter_map(|one| Envelope::of(one).ok())
        .collect()
}

/// Whether the head of a result that has not said what it is has a member of those that carry what must be sealed.
fn may_be_sealed(head: &[u8]) -> bool {
    let has = |member: &str| memchr::memmem::find(head, member.as_bytes()).is_some();
    has("\"inputRequests\"") || has("\"requestState\"") || has("\"taskId\"")
}

/// Whether `json` is the number, or its digits as a string.
pub(super) fn is(json: &Json, id: u64) -> bool {
    json.as_text().map_or_else(
        || json.read::<u64>() == Some(id),
        |text| text.parse() == Ok(id),
    )
}

fn completion(result_type: Option<&[u8]>) -> Completion {
    match result_type {
        None | Some(b"complete") => Completion::Complete,
        Some(b"input_required") => Completion::InputRequired,
        Some(_) => Completion::Extension,
    }
}
