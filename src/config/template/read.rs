//! Finds the files of templates, reads them, and puts `extends` together.

use std::path::{Path as FilePath, PathBuf};
use std::rc::Rc;

use super::Template;
use super::check;
use super::describe::{CatalogEntry, entry};
use super::keys::{self, Templates};
use crate::config::node::{Key, Node, Value};
use crate::config::problem::{ConfigError, Mistake, Path, Position, Problems};
use crate::config::read::{Read, Reader};
use crate::config::words::instead;
use crate::config::{Environment, Location, Named, text, tree};

/// The built-in ones.
const BUILT_IN: &str = include_str!("catalog.yaml");

/// What the built-in ones are called in messages, which nobody should see.
const BUILT_IN_NAME: &str = "the built-in catalogue";

/// The directory beside the configuration, and how its files end.
const DIRECTORY: &str = "templates";
const EXTENSION: &str = "yaml";

/// A chain of `extends` longer than this is no sensible one, and ends what no loop check would.
const LONGEST_CHAIN: usize = 8;

/// All templates: a person's own before the built-in ones.
pub(in crate::config) struct Catalog {
    /// In the order of their names.
    pub(in crate::config) templates: Vec<Template>,
    /// The same for people.
    pub(in crate::config) entries: Vec<CatalogEntry>,
}

/// A file of templates.
struct Source {
    /// `None`: the built-in one.
    path: Option<PathBuf>,
    entries: Vec<(Key, Rc<Node>)>,
}

/// A template as it is written.
#[derive(Clone, Copy)]
struct Found<'s> {
    /// Which source it is of.
    source: usize,
    key: &'s Key,
    node: &'s Rc<Node>,
}

impl Catalog {
    /// The built-in templates, and those beside the configuration `file`.
    ///
    /// # Errors
    /// A file of templates cannot be read, or has mistakes: the error names that file.
    pub(in crate::config) fn beside(
        file: &FilePath,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let mut sources = Vec::new();
        for path in own_files(file)? {
            let location = Location {
                path: path.clone(),
                named: Named::Flag,
            };
            let text = text::read(&location)?.unwrap_or_default();
            sources.push(source(&text, Some(path), environment)?);
        }
        sources.push(source(BUILT_IN, None, environment)?);
        let mut found = own_only_once(&sources)?;
        found.sort_by(|one, other| one.key.text.cmp(&other.key.text));
        let mut catalog = Self {
            templates: Vec::new(),
            entries: Vec::new(),
        };
        for one in found {
            let mut problems = Problems::default();
            let made = made(one, &sources, environment, &mut problems);
            let path = sources
                .get(one.source)
                .and_then(|source| source.path.clone());
            let name = path.clone().unwrap_or_else(|| PathBuf::from(BUILT_IN_NAME));
            if let Some(error) = problems.into_error(&name) {
                return Err(error);
            }
            if let Some((template, keys, whole)) = made {
                catalog.entries.push(entry(&template, &keys, &whole, path));
                catalog.templates.push(template);
            }
        }
        Ok(catalog)
    }

    /// The template of this name.
    pub(in crate::config) fn find(&self, name: &str) -> Option<&Template> {
        self.templates.iter().find(|template| template.name == name)
    }

    /// All names.
    pub(in crate::config) fn names(&self) -> Vec<&str> {
        let names = self.templates.iter().map(|template| template.name.as_str());
        names.collect()
    }
}

/// The files beside the configuration, in the order of their names.
fn own_files(configuration: &FilePath) -> Result<Vec<PathBuf>, ConfigError> {
    let Some(directory) = configuration.parent().map(|parent| parent.join(DIRECTORY)) else {
        return Ok(Vec::new());
    };
    let unreadable = |source| ConfigError::Unreadable {
        path: directory.clone(),
        source,
    };
    let listed = match std::fs::read_dir(&directory) {
        Ok(listed) => listed,
        Err(error) => {
            let absent = matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            );
            return if absent {
                Ok(Vec::new())
            } else {
                Err(unreadable(error))
            };
        }
    };
    let mut files = Vec::new();
    for file in listed {
        let path = file.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == EXTENSION)
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads one file; each of its templates is right by itself.
fn source(
    text: &str,
    path: Option<PathBuf>,
    environment: &Environment,
) -> Result<Source, ConfigError> {
    let mut problems = Problems::default();
    let entries = entries(text, environment, &mut problems);
    let name = path.clone().unwrap_or_else(|| PathBuf::from(BUILT_IN_NAME));
    match problems.into_error(&name) {
        Some(error) => Err(error),
        None => Ok(Source { path, entries }),
    }
}

fn entries(text: &str, environment: &Environment, problems: &mut Problems) -> Vec<(Key, Rc<Node>)> {
    let top = Path::default();
    let tree = match tree::parse(text) {
        Ok(tree) => tree,
        Err(broken) => {
            let place = top.at(broken.at);
            match broken.help {
                Some(help) => problems.add_with_help(&place, broken.mistake, help),
                None => problems.add(&place, broken.mistake),
            }
            return Vec::new();
        }
    };
    for (place, mistake) in tree.duplicates {
        problems.add_with_help(&place, mistake, "keep one of them");
    }
    let Some(root) = tree.root else {
        return Vec::new();
    };
    let mut reader = Reader {
        environment,
        problems,
    };
    if Templates::read(&root, &top, &mut reader).is_none() {
        return Vec::new();
    }
    members(&root)
        .iter()
        .find(|(key, _)| key.text == "templates")
        .map(|(_, node)| members(node).to_vec())
        .unwrap_or_default()
}

fn members(node: &Node) -> &[(Key, Rc<Node>)] {
    match &node.value {
        Value::Map(entries) => entries,
        _ => &[],
    }
}

/// Each name once: a person's own before the built-in one. Twice in files of one person nobody could know which is meant.
fn own_only_once(sources: &[Source]) -> Result<Vec<Found<'_>>, ConfigError> {
    let mut found: Vec<Found<'_>> = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        for (key, node) in &source.entries {
            let Some(other) = found.iter().find(|other| other.key.text == key.text) else {
                found.push(Found {
                    source: index,
                    key,
                    node,
                });
                continue;
            };
            let Some(path) = &source.path else { continue };
            let first = sources
                .get(other.source)
                .and_then(|first| first.path.as_ref());
            let first = first.map(|path| path.display().to_string());
            let why = format!(
                "the template `{}` is in {} already",
                key.text,
                first.unwrap_or_default()
            );
            let mut problems = Problems::default();
            let place = Path::default().key("templates").key(&key.text).at(key.at);
            problems.add_with_help(&place, Mistake::DoesNotFit { why }, "keep one of them");
            if let Some(error) = problems.into_error(path) {
                return Err(error);
            }
        }
    }
    Ok(found)
}

/// A template with what it extends, and all of its keys.
fn made(
    one: Found<'_>,
    sources: &[Source],
    environment: &Environment,
    problems: &mut Problems,
) -> Option<(Template, keys::Template, Rc<Node>)> {
    let whole = extended(one, sources, 0, problems)?;
    let path = Path::default().key("templates").key(&one.key.text);
    let mut reader = Reader {
        environment,
        problems,
    };
    let keys = keys::Template::read(&whole, &path, &mut reader)?;
    let place = path.at(one.key.at);
    let template = check::template(&one.key.text, &keys, &place, problems)?;
    Some((template, keys, whole))
}

/// The keys of a template over those of what it extends.
fn extended(
    one: Found<'_>,
    sources: &[Source],
    depth: usize,
    problems: &mut Problems,
) -> Option<Rc<Node>> {
    let named = members(one.node)
        .iter()
        .find(|(key, _)| key.text == "extends");
    let Some((
        key,
        Node {
            value: Value::Scalar { text: base, .. },
            at,
            ..
        },
    )) = named.map(|(key, node)| (key, &**node))
    else {
        return Some(Rc::clone(one.node));
    };
    let path = Path::default()
        .key("templates")
        .key(&one.key.text)
        .key(&key.text);
    let mut wrong = |at: Position, mistake: Mistake, help: String| {
        problems.add_with_help(&path.at(at), mistake, help);
    };
    if depth >= LONGEST_CHAIN {
        let why = "this leads back to itself, or through more templates than anybody can follow";
        wrong(
            *at,
            Mistake::does_not_fit(why),
            "extend a template that extends none".to_owned(),
        );
        return None;
    }
    // One that extends its own name extends what it stands before.
    let from = if *base == one.key.text {
        one.source + 1
    } else {
        0
    };
    let Some(base) = search(sources, base, from) else {
        let names = sources.iter().flat_map(|source| &source.entries);
        let names: Vec<&str> = names.map(|(key, _)| key.text.as_str()).collect();
        let what = "template".to_owned();
        let help = instead(base, "templates", &names);
        wrong(*at, Mistake::UnknownName { what }, help);
        return None;
    };
    let base = extended(base, sources, depth + 1, problems)?;
    let mut merged = members(&base).to_vec();
    for (key, node) in members(one.node) {
        match merged.iter_mut().find(|(other, _)| other.text == key.text) {
            Some(entry) => *entry = (key.clone(), Rc::clone(node)),
            None => merged.push((key.clone(), Rc::clone(node))),
        }
    }
    Some(Rc::new(Node {
        at: one.node.at,
        value: Value::Map(merged),
        size: one.node.size,
    }))
}

fn search<'s>(sources: &'s [Source], name: &str, from: usize) -> Option<Found<'s>> {
    let sources = sources.iter().enumerate().skip(from);
    let mut entries = sources.flat_map(|(index, source)| {
        source.entries.iter().map(move |(key, node)| Found {
            source: index,
            key,
            node,
        })
    });
    entries.find(|found| found.key.text == name)
}
