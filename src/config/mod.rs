//! The file and the environment, read once and turned into checked values.
//!
//! Three steps, each with its own types: `node` is what the text says, with positions; `file` is what the
//! configuration may say, the one definition of reader and JSON Schema; [`model::Settings`](crate::model::Settings)
//! is what the rest of Janus wants, checked in `settings`, `server` and `identity`.
//!
//! Invariants:
//! - Nothing else reads the environment, and the environment is read once.
//! - The working directory never decides which file is read.
//! - Every mistake of a file is reported in one run, each with line, column and the key's path.
//! - No message holds a value of the file. It names keys, types and what was expected.

mod auth;
mod choice;
mod container;
mod date;
mod directory;
pub mod edit;
mod endpoint;
mod environment;
mod expand;
mod file;
mod fillings;
mod identity;
mod locate;
mod name;
mod names;
mod node;
mod oauth;
mod problem;
mod profile;
mod read;
mod reference;
mod schema;
mod server;
mod settings;
mod show;
mod template;
mod text;
mod tree;
mod value;
mod warning;
mod words;

use std::path::Path;

pub use date::{moment, spelled_moment};
pub use environment::Environment;
pub use locate::{Location, Named, locate};
pub use problem::{ConfigError, Mistake, Place, Position, Problem};
pub use schema::schema;
pub use settings::Loaded;
pub use show::effective;
pub use template::{CatalogEntry, EXAMPLE as TEMPLATES, Ways};
pub use value::{BadDuration, duration};
pub use warning::Warning;

use problem::Problems;
use template::Catalog;

/// Reads and checks the configuration at `location`.
///
/// A default place without a file is an empty configuration; a file somebody named must exist.
pub fn load(location: &Location, environment: &Environment) -> Result<Loaded, ConfigError> {
    let text = text::read(location)?;
    let found = text.is_some();
    let mut loaded = parse(&text.unwrap_or_default(), &location.path, environment)?;
    loaded.settings.file = found.then(|| location.path.clone());
    Ok(loaded)
}

/// Checks the text of a configuration; `file` is its name in messages and in the settings, and templates of the person
/// are beside it.
pub fn parse(text: &str, file: &Path, environment: &Environment) -> Result<Loaded, ConfigError> {
    let mut problems = Problems::default();
    let document = read::document(text, environment, &mut problems).unwrap_or_default();
    // The catalogue is read where somebody takes something of it.
    let catalog = if document.takes_templates() {
        Some(Catalog::beside(file, environment)?)
    } else {
        None
    };
    let mut loaded = settings::check(document, environment, catalog.as_ref(), &mut problems)?;
    loaded.settings.file = Some(file.to_owned());
    problems.into_error(file).map_or(Ok(loaded), Err)
}

/// All templates: the built-in ones, and those beside the configuration at `location`, in the order of their names.
///
/// # Errors
/// A file of templates cannot be read, or has mistakes.
pub fn catalog(
    location: &Location,
    environment: &Environment,
) -> Result<Vec<CatalogEntry>, ConfigError> {
    Catalog::beside(&location.path, environment).map(|catalog| catalog.entries)
}

/// The servers that have the URL of a template and do not take it, each with that template's name.
///
/// # Errors
/// A file of templates cannot be read, or has mistakes.
pub fn offers(
    loaded: &Loaded,
    location: &Location,
    environment: &Environment,
) -> Result<Vec<(crate::model::ServerName, String)>, ConfigError> {
    let catalog = Catalog::beside(&location.path, environment)?;
    Ok(loaded.offers(&catalog))
}
