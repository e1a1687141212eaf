//! Logins in a browser: Janus's own page of one (`page`), and where the provider sends the browser back to (`callback`).
//!
//! Invariants:
//! - A GET changes nothing but by a state that a login waits for.
//! - No page loads anything, runs anything, or is kept; those of callbacks are written out here and echo nothing.
//! - From here a link to a provider is followed after a click on a page that says whose login it is.

mod callback;
mod html;
mod page;

pub(super) use page::PREFIX;
