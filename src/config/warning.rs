//! What is allowed and probably not meant: it is said, and nothing is refused.
//!
//! Invariant: a warning holds no value of the file, as no mistake does.

use std::sync::Arc;

use super::names::Places;
use super::problem::Place;
use crate::model::{Identity, Server};

/// Something strange at a place of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where it is.
    pub place: Place,
    /// What is strange.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Warning {
    pub(super) fn new(place: &Place, message: impl Into<String>, help: &str) -> Self {
        Self {
            place: place.clone(),
            message: message.into(),
            help: Some(help.to_owned()),
        }
    }
}

/// All warnings about a configuration without mistakes, in the order of the file.
pub(super) fn warnings(
    servers: &[Arc<Server>],
    identity: &Identity,
    places: &Places,
    mut found: Vec<Warning>,
) -> Vec<Warning> {
    found.sort_by_key(|warning| warning.place.position);
    found
}
