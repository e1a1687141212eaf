//! The official conformance suite: against the fixture alone, which shows that the fixture is right, and through Janus,
//! a client of each era at a server of each. `tests/matrix` shows the four as a table.

mod client;
mod expected;
mod suite;

use std::io::Write as _;

use crate::support::{Era, Fixture, Janus, Tools, env};

use expected::Expected;
use suite::Checks;

/// One revision's scenarios, as the suite has frozen them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Set {
    pub(crate) revision: &'static str,
    pub(crate) era: Era,
    /// How many checks it makes, those of the scenarios it does not score included.
    pub(crate) checks: usize,
}

pub(crate) const LEGACY: Set = Set {
    revision: "2025-11-25",
    era: Era::Legacy,
    checks: 83,
};
pub(crate) const MODERN: Set = Set {
    revision: "2026-07-28",
    era: Era::Modern,
    checks: 197,
};

/// A client of the set at a server of the era.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quadrant {
    pub(crate) client: Set,
    pub(crate) server: Era,
}

impl Quadrant {
    fn expected(self) -> Expected {
        match (self.client.era, self.server) {
            (Era::Modern, Era::Legacy) => Expected::read(),
            _ => Expected::default(),
        }
    }

    /// How many checks pass.
    pub(crate) fn passed(self) -> usize {
        self.client.checks - self.expected().lacking()
    }
}

#[test]
fn the_fixture_alone_passes_the_set_of_2025_11_25() {
    alone(LEGACY);
}

#[test]
fn the_fixture_alone_passes_the_set_of_2026_07_28() {
    alone(MODERN);
}

#[test]
fn a_legacy_server_behind_janus_passes_the_set_of_2025_11_25() {
    through_janus(LEGACY, Era::Legacy);
}

#[test]
fn a_modern_server_behind_janus_passes_the_set_of_2026_07_28() {
    through_janus(MODERN, Era::Modern);
}

#[test]
fn a_modern_server_behind_janus_passes_the_set_of_2025_11_25() {
    through_janus(LEGACY, Era::Modern);
}

#[test]
fn a_legacy_server_behind_janus_passes_what_it_can_of_2026_07_28() {
    through_janus(MODERN, Era::Legacy);
}

fn alone(set: Set) {
    let Some(tools) = Tools::npm("conformance") else {
        return;
    };
    let fixture = Fixture::start(set.era);
    let found = Checks::run(&tools, set.revision, fixture.url());
    let wrong = Expected::default().against(&found, set.checks);
    assert!(wrong.is_empty(), "{found}{wrong}");
}

fn through_janus(client: Set, server: Era) {
    let Some(tools) = Tools::npm("conformance") else {
        return;
    };
    let quadrant = Quadrant { client, server };
    let fixture = Fixture::start(server);
    let mut janus = Janus::start(&format!("conf: {{ url: \"{}\" }}", fixture.url()));
    let found = Checks::run(&tools, client.revision, &janus.url("/mcp/@conf"));
    note(quadrant, &found);
    let wrong = quadrant.expected().against(&found, client.checks);
    assert!(
        wrong.is_empty(),
        "{found}{wrong}\njanus said:\n{}",
        janus.stderr()
    );
}

/// Writes a line of the table that `tests/matrix` shows.
fn note(Quadrant { client, server }: Quadrant, found: &Checks) {
    if let Some(table) = env("JANUS_MATRIX") {
        let open = std::fs::OpenOptions::new().append(true).open(table);
        let (revision, server) = (client.revision, server.as_str());
        let (passed, all) = (found.passed(), client.checks);
        writeln!(open.unwrap(), "{revision} {server} {passed}/{all}").unwrap();
    }
}
