//! Janus.
