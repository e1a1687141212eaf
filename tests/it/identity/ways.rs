//! The programs in front of Janus: every way in, in both eras.

use super::actor::Way;
use super::model::{ALL, EVERYBODY, LOCKED, MIXED, VAULT};
use crate::support::Era;

use Era::{Legacy, Modern};

/// The tools of the default profile: two of Janus's own for everybody, two where there is a choice, and at each server
/// `who`, `die` and one for each account.
pub(super) const TOOLS: usize = 4 + 10 * 7;

const FREE: Option<&str> = Some("free");
const OTHER: Option<&str> = Some("other");
const TIED: Option<&str> = Some("tied");
const TWO: Option<&str> = Some("two");

pub(super) const WITH_KEYS: [Way; 15] = [
    Way::new(FREE, "/mcp", Legacy, ALL),
    Way::new(FREE, "/mcp", Legacy, ALL),
    Way::new(FREE, "/mcp", Modern, ALL),
    Way::new(FREE, "/mcp/mixed", Legacy, MIXED).tcp(),
    Way::new(FREE, "/mcp", Modern, MIXED).header("mixed"),
    Way::new(TIED, "/mcp", Legacy, VAULT),
    Way::new(TIED, "/mcp/vault", Modern, VAULT).tcp(),
    Way::new(TWO, "/mcp/locked", Legacy, LOCKED),
    Way::new(TWO, "/mcp", Modern, LOCKED).header("locked"),
    Way::new(TWO, "/mcp", Legacy, EVERYBODY).header("everybody"),
    Way::new(TWO, "/mcp/everybody", Modern, EVERYBODY),
    Way::new(OTHER, "/mcp/everybody", Legacy, EVERYBODY).tcp(),
    Way::new(OTHER, "/mcp/all", Legacy, ALL),
    Way::new(FREE, "/mcp/@s0/cat", Legacy, ALL).shows(0, "cat"),
    Way::new(OTHER, "/mcp/@s8/eve", Modern, ALL).shows(8, "eve"),
];

pub(super) const WITHOUT_KEYS: [Way; 12] = [
    Way::new(None, "/mcp", Legacy, ALL),
    Way::new(None, "/mcp", Legacy, ALL).tcp(),
    Way::new(None, "/mcp", Modern, ALL),
    Way::new(None, "/mcp/all", Legacy, ALL).header("all"),
    Way::new(None, "/mcp/mixed", Legacy, MIXED),
    Way::new(None, "/mcp", Modern, MIXED).header("mixed").tcp(),
    Way::new(None, "/mcp/locked", Legacy, LOCKED),
    Way::new(None, "/mcp/locked", Modern, LOCKED),
    Way::new(None, "/mcp/everybody", Legacy, EVERYBODY),
    Way::new(None, "/mcp/everybody", Modern, EVERYBODY),
    Way::new(None, "/mcp/@s5/bob", Legacy, ALL).shows(5, "bob"),
    Way::new(None, "/mcp/@s3/dan", Modern, ALL).shows(3, "dan"),
];
