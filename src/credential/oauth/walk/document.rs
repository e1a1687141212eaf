//! What is at a place: read once, however often rmcp asks for it.

use http::{Response, StatusCode};
use serde_json::Value;

use crate::credential::oauth::metadata::{ResourceMetadata, ServerMetadata};

/// An answer, and what it was read as: once, however often it is asked for.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    pub(super) response: Response<Vec<u8>>,
    pub(super) document: Document,
}

/// What a document is.
#[derive(Debug, Clone)]
pub(super) enum Document {
    Server(Box<ServerMetadata>),
    Resource(ResourceMetadata),
    /// An object that says nothing.
    Other,
    /// There is none.
    Nothing,
}

impl Answered {
    pub(super) fn new(response: Response<Vec<u8>>) -> Self {
        let value = (response.status() == StatusCode::OK)
            .then(|| serde_json::from_slice::<Value>(response.body()).ok())
            .flatten();
        let document = match value.as_ref().and_then(Value::as_object) {
            Some(object) => {
                if let Some(server) = ServerMetadata::read(object) {
                    Document::Server(Box::new(server))
                } else {
                    let resource = ResourceMetadata::read(object);
                    if resource.is_one() {
                        Document::Resource(resource)
                    } else {
                        Document::Other
                    }
                }
            }
            None => Document::Nothing,
        };
        Self { response, document }
    }
}
