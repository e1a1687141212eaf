//! Templates: what is known of servers and their providers, as data. `template: NAME` fills it in.
//!
//! `catalog.yaml` is the built-in ones; `*.yaml` in `templates` beside the configuration are a person's own, which win.
//! `keys` and `value` are what a file may say, `read` finds the files and puts `extends` together, `check` makes a
//! [`Template`] of it, `fill` puts the parameters in, `facts` is what a login gets, `describe` what people see.
//!
//! Invariants:
//! - Every quirk of a provider is data: no code asks for a provider's name.
//! - A template is taken by its name and never because a URL looks like it.
//! - What is unknown counts as absent, and is shown as unknown.

mod check;
mod describe;
mod facts;
mod fill;
mod keys;
mod read;
mod value;

pub use describe::{CatalogEntry, Ways};
pub(super) use fill::{Filled, Given};
pub(super) use read::Catalog;
pub(super) use value::{Encoding, Filling, Param, Ports, Registration, Spot, Verified};

use super::problem::Place;
use crate::model::{OAuth, Transport};

/// Every key of a person's own templates, with what it is for.
pub const EXAMPLE: &str = include_str!("example.yaml");

/// A template, checked.
pub(super) struct Template {
    /// Its name.
    pub(super) name: String,
    /// What people call it.
    pub(super) title: String,
    /// Where its servers are; `None`: whoever takes it says so.
    pub(super) target: Target,
    /// Variables of a process, with `{account}` in them.
    pub(super) env: Vec<(String, String)>,
    /// How a remote server is spoken to.
    pub(super) transport: Option<Transport>,
    /// What can be filled in.
    pub(super) params: Vec<Parameter>,
    /// Other URLs of the same service.
    pub(super) regions: Vec<(String, String)>,
    /// What a login gets; `None`: there is none, or nothing is known of one.
    pub(super) facts: Option<OAuth>,
}

/// Where the servers of a template are.
pub(super) enum Target {
    /// A URL, with `{NAME}` in it.
    Url(String),
    /// A program and its arguments, with `{NAME}` in them.
    Command(Vec<String>),
    /// It does not say.
    Open,
}

/// A part that a server or an account fills in.
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) spot: Spot,
    pub(super) required: bool,
    pub(super) meaning: String,
    /// How it is written, with `{value}` in it.
    pub(super) write: Option<String>,
    /// What must be filled in before it.
    pub(super) after: Option<String>,
}

/// The parameter that chooses a region.
pub(super) const REGION: &str = "region";

/// What stands for a parameter in a text.
pub(super) fn placeholder(name: &str) -> String {
    format!("{{{name}}}")
}

/// Where a server names its template.
pub(super) struct Taken<'t> {
    pub(super) template: &'t Template,
    pub(super) place: Place,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read::Section;
    use crate::config::{Environment, catalog};
    use crate::config::{Location, Named};

    #[test]
    fn the_example_is_read_and_has_every_key() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("templates")).unwrap();
        std::fs::write(home.path().join("templates/own.yaml"), EXAMPLE).unwrap();
        let location = Location {
            path: home.path().join("config.yaml"),
            named: Named::Default,
        };
        let entries = catalog(&location, &Environment::new([("HOME", "/nowhere")], 0)).unwrap();
        let own = entries.iter().filter(|entry| entry.file.is_some());
        let own: Vec<&str> = own.map(|entry| entry.name.as_str()).collect();
        assert_eq!(own, ["tickets", "tickets-key", "tickets-local"]);
        let keys = [
            keys::Templates::KEYS,
            keys::Template::KEYS,
            keys::Parameterized::KEYS,
            keys::Endpoints::KEYS,
            keys::Redirect::KEYS,
            keys::Extra::KEYS,
            keys::Fixed::KEYS,
            keys::Tool::KEYS,
            keys::Refresh::KEYS,
        ];
        for key in keys.into_iter().flatten() {
            let is_there = EXAMPLE.lines().any(|line| {
                let line = line.split(" #").next().unwrap_or_default();
                line.contains(&format!("{key}:"))
            });
            assert!(is_there, "the example lacks `{key}`");
        }
    }
}
