//! From HTTP to lines: how `janus connect` begins.
//!
//! One request says who it is and which view it wants, as any other does, and is refused as any other is; after a 101
//! the connection carries the lines of [`super::stdio`]. `Mcp-Session-Id` in the request names the session that the
//! client comes back to; in the answer, the session that it can come back to.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::BufReader;

use crate::authn::{Peer, Transport};
use crate::binding::Entry;
use crate::protocol::header;

use super::Downstream;
use super::connection::Place;
use super::legacy::random_id;
use super::reply::Reply;
use super::service::{answer, refused, session_id, session_unknown};
use super::stdio::{Returning, Shown};

/// The protocol after the upgrade.
const LINES: HeaderValue = HeaderValue::from_static("janus-stdio");

/// Whether a request asks for it. Any other protocol is ignored, as RFC 9110 (7.8) has it.
pub(super) fn is_asked(headers: &HeaderMap) -> bool {
    headers
        .get(UPGRADE)
        .is_some_and(|asked| asked.as_bytes().eq_ignore_ascii_case(LINES.as_bytes()))
}

impl Downstream {
    /// Answers such a request, and serves the client once the answer is sent.
    pub(super) async fn upgrade(
        &self,
        peer: &Peer,
        entry: Entry,
        request: Request<Incoming>,
    ) -> Response<Reply> {
        if entry.caller.transport() != Transport::Unix {
            return refused(
                StatusCode::BAD_REQUEST,
                "`janus-stdio` is spoken on the unix socket only",
            );
        }
        let session = match session_id(request.headers()) {
            None => None,
            Some(id) => match self.session(id, &entry).await {
                None => return self.not_found(&entry),
                found => found,
            },
        };
        if let Err(refusal) = self.scope(&entry)
            && !self.may_settle_later(&entry)
        {
            return refusal;
        }
        let reserved = session
            .as_ref()
            .map_or_else(random_id, |session| Arc::clone(&session.id));
        let Ok(id) = HeaderValue::from_str(&reserved) else {
            return session_unknown();
        };
        let header = |name| {
            let value = request.headers().get(name);
            value.map(|value: &HeaderValue| Bytes::copy_from_slice(value.as_bytes()))
        };
        let shown = Shown {
            peer: peer.clone(),
            authorization: header(AUTHORIZATION),
            directory: header(header::JANUS_DIRECTORY),
        };
        let client = Returning {
            reserved,
            session,
            shown,
        };
        self.serve_upgraded(request, entry, client);
        let mut response = answer(StatusCode::SWITCHING_PROTOCOLS, Reply::empty());
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, LINES);
        headers.insert(header::SESSION_ID, id);
        response
    }

    fn serve_upgraded(&self, mut request: Request<Incoming>, entry: Entry, client: Returning) {
        let place = request.extensions_mut().remove::<Arc<Place>>();
        let upgraded = hyper::upgrade::on(&mut request);
        let downstream = self.clone();
        self.tasks.spawn(async move {
            match upgraded.await {
                Ok(stream) => {
                    let (input, output) = tokio::io::split(TokioIo::new(stream));
                    let input = BufReader::new(input);
                    downstream
                        .converse(entry, Some(client), input, output)
                        .await;
                }
                Err(error) => tracing::debug!(%error, "a client left before it was served"),
            }
            drop(place);
        });
    }
}
