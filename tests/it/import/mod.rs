//! `janus import`: files as other programs write them, and what becomes of them.

mod corpus;
mod files;
mod merging;
mod properties;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use janus::config::{self, ConfigError, Environment, Loaded};
use janus::import::{Imported, NotImported, references};

/// What every secret of the corpus has in it.
const CANARY: &str = "CANARY";

/// The files of the corpus, in the order of their names.
fn corpus() -> Vec<(String, PathBuf, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/import/corpus");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let named = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        (name, path, text)
    };
    paths.into_iter().map(named).collect()
}

fn read(text: &str) -> Result<Imported, NotImported> {
    janus::import::read(text, None, &BTreeSet::new())
}

/// What the configuration's own reader says, once the variables are set.
fn validated(text: &str, imported: &Imported) -> Result<Loaded, ConfigError> {
    let referred = references(text).into_iter().map(|name| (name, "1"));
    let supposed: Vec<_> = imported.stand_ins().into_iter().chain(referred).collect();
    let environment = Environment::new([("HOME", "/home/ana")], 1000).supposing(supposed);
    config::parse(text, Path::new("/janus.yaml"), &environment)
}
