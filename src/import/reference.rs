//! References in the texts of other programs: `${VAR}`, `${VAR:-x}`, `$VAR`, `${env:VAR}`, `{env:VAR}`, `${input:ID}`,
//! `{file:PATH}`, and JanusMCP's `vault:X` and `oauth:X`.

use std::collections::BTreeSet;

use super::Form;
use crate::model::looks_secret;

/// What marks a reference in a [`Marked`] text. Values with this character are never read.
const MARK: char = '\0';

/// More references than a text that makes sense has; the rest stays text.
const MOST: u32 = 4096;

/// The first of the characters that number the marks.
const FIRST: u32 = 0xE000;

/// A reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    /// An environment variable, and what counts where it is not set.
    Variable {
        name: String,
        default: Option<String>,
    },
    /// Something that Janus cannot look up: an input, a vault entry, a login, a file.
    Elsewhere { kind: Kind, id: String },
}

/// Where the program found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Input,
    Vault,
    Login,
    File,
    Editor,
}

impl Kind {
    /// The head of its variable's name.
    pub(super) fn head(self) -> &'static str {
        match self {
            Self::Input => "INPUT",
            Self::Vault => "VAULT",
            Self::Login => "OAUTH",
            Self::File => "FILE",
            Self::Editor => "EDITOR",
        }
    }

    /// What it is, for people.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Input => "the answer to the input",
            Self::Vault => "the secret in JanusMCP's vault called",
            Self::Login => "a token of the login called",
            Self::File => "the contents of the file",
            Self::Editor => "what the editor put in for",
        }
    }
}

/// A text in which each reference is one mark, so that it can be taken apart without taking a reference apart.
pub(super) struct Marked {
    pub(super) text: String,
    pub(super) references: Vec<Reference>,
}

/// A part of a marked text.
pub(super) enum Part<'m> {
    Character(char),
    Reference(&'m Reference),
}

impl Marked {
    /// Finds the references that this kind of file has.
    pub(super) fn new(text: &str, form: Form) -> Self {
        let mut marked = Self {
            text: String::with_capacity(text.len()),
            references: Vec::new(),
        };
        if let Some(whole) = whole(text, form) {
            marked.push(whole);
            return marked;
        }
        let mut rest = text;
        while let Some(at) = rest.find(['$', '{']) {
            let (before, from) = rest.split_at(at);
            marked.text.push_str(before);
            if let Some((reference, after)) = reference(from, form)
                && marked.push(reference)
            {
                rest = after;
            } else {
                let mut characters = from.chars();
                marked.text.extend(characters.next());
                rest = characters.as_str();
            }
        }
        marked.text.push_str(rest);
        marked
    }

    fn push(&mut self, reference: Reference) -> bool {
        let number = u32::try_from(self.references.len()).unwrap_or(MOST);
        let Some(numbered) = char::from_u32(FIRST + number).filter(|_| number < MOST) else {
            return false;
        };
        self.text.extend([MARK, numbered]);
        self.references.push(reference);
        true
    }

    /// The parts of a piece of this text.
    pub(super) fn parts<'m>(&'m self, piece: &str) -> Vec<Part<'m>> {
        let mut parts = Vec::new();
        let mut characters = piece.chars();
        while let Some(c) = characters.next() {
            if c != MARK {
                parts.push(Part::Character(c));
                continue;
            }
            let number = characters
                .next()
                .map_or(MOST, |c| u32::from(c).saturating_sub(FIRST));
            let reference = usize::try_from(number)
                .ok()
                .and_then(|at| self.references.get(at));
            parts.extend(reference.map(Part::Reference));
        }
        parts
    }

    /// The piece without its marks.
    pub(super) fn literal(piece: &str) -> String {
        let mut literal = String::new();
        let mut characters = piece.chars();
        while let Some(c) = characters.next() {
            if c == MARK {
                characters.next();
            } else {
                literal.push(c);
            }
        }
        literal
    }
}

/// `vault:X` and `oauth:X` are whole values, of JanusMCP.
fn whole(text: &str, form: Form) -> Option<Reference> {
    if form != Form::JanusMcp {
        return None;
    }
    let elsewhere = |kind, id: &str| Reference::Elsewhere {
        kind,
        id: id.to_owned(),
    };
    text.strip_prefix("vault:")
        .map(|id| elsewhere(Kind::Vault, id))
        .or_else(|| Some(elsewhere(Kind::Login, text.strip_prefix("oauth:")?)))
}

/// The reference that a text begins with, and what follows it.
fn reference(from: &str, form: Form) -> Option<(Reference, &str)> {
    if let Some(braced) = from.strip_prefix("${") {
        let (inside, after) = braced.split_once('}')?;
        return Some((in_braces(inside)?, after));
    }
    if let Some(braced) = from.strip_prefix('{') {
        let (inside, after) = braced.split_once('}')?;
        if let Some(name) = inside.strip_prefix("env:") {
            return Some((variable(name, None)?, after));
        }
        let id = inside.strip_prefix("file:")?.to_owned();
        return Some((
            Reference::Elsewhere {
                kind: Kind::File,
                id,
            },
            after,
        ));
    }
    let bare = from.strip_prefix('$')?;
    let end = bare
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(bare.len());
    let (name, after) = bare.split_at(end);
    // Only mcpmux expands any name; elsewhere `pa$word` is a password.
    let upper = name.len() > 1 && !name.contains(|c: char| c.is_ascii_lowercase());
    let counts = form == Form::Mcpmux || upper;
    Some((variable(name, None).filter(|_| counts)?, after))
}

fn in_braces(inside: &str) -> Option<Reference> {
    if let Some(name) = inside.strip_prefix("env:") {
        let (name, default) = name
            .split_once(":-")
            .map_or((name, None), |(n, d)| (n, Some(d)));
        return variable(name, default);
    }
    if let Some(id) = inside.strip_prefix("input:") {
        let id = id.to_owned();
        return Some(Reference::Elsewhere {
            kind: Kind::Input,
            id,
        });
    }
    if let Some((name, default)) = inside.split_once(":-") {
        return variable(name, Some(default));
    }
    match inside {
        "userHome" => variable("HOME", None),
        // VS Code and Cursor put these in; only an editor has a workspace.
        "workspaceFolder" | "workspaceFolderBasename" | "workspaceRoot" | "pathSeparator" => {
            let id = inside.to_owned();
            Some(Reference::Elsewhere {
                kind: Kind::Editor,
                id,
            })
        }
        name => variable(name, None),
    }
}

fn variable(name: &str, default: Option<&str>) -> Option<Reference> {
    is_variable(name).then(|| Reference::Variable {
        name: name.to_owned(),
        default: default.map(str::to_owned),
    })
}

/// Whether this may be the name of a variable, and is not a token behind a dollar sign.
pub(super) fn is_variable(name: &str) -> bool {
    let mut characters = name.chars();
    let head = characters.next();
    head.is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !looks_secret(name)
}

/// Every variable that a text refers to, in any of the forms, and secrets of the vault as the variables they would be.
pub fn references(text: &str) -> BTreeSet<String> {
    let secrets = secrets(text).into_iter();
    let secrets = secrets.map(|name| name.to_ascii_uppercase());
    variables(text).into_iter().chain(secrets).collect()
}

/// Every variable that a text refers to, in any of the forms.
pub fn variables(text: &str) -> BTreeSet<String> {
    let dollars = text.split('$').skip(1).filter_map(word);
    let words = text.split("env:").skip(1).filter_map(word);
    dollars.chain(words).collect()
}

/// Every secret of the vault that a text refers to.
pub fn secrets(text: &str) -> BTreeSet<String> {
    text.split("vault:").skip(1).filter_map(word).collect()
}

/// The name at the beginning of what stands behind a sign for a reference.
fn word(piece: &str) -> Option<String> {
    let piece = piece.trim_start_matches('{');
    let piece = piece.strip_prefix("env:").unwrap_or(piece);
    let end = piece
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(piece.len());
    piece
        .get(..end)
        .filter(|name| is_variable(name))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with its references as `<…>`.
    fn found(text: &str, form: Form) -> String {
        let marked = Marked::new(text, form);
        let part = |part: Part<'_>| match part {
            Part::Character(c) => c.to_string(),
            Part::Reference(Reference::Variable {
                name,
                default: None,
            }) => format!("<{name}>"),
            Part::Reference(Reference::Variable {
                name,
                default: Some(default),
            }) => {
                format!("<{name} or {default}>")
            }
            Part::Reference(Reference::Elsewhere { kind, id }) => format!("<{kind:?} {id}>"),
        };
        marked.parts(&marked.text).into_iter().map(part).collect()
    }

    #[test]
    fn every_form_of_reference_is_found_and_nothing_else() {
        for (text, expected) in [
            ("${A}-$B_C-${env:D}{env:E}", "<A>-<B_C>-<D><E>"),
            ("${A:-http://x}", "<A or http://x>"),
            ("${input:my-key} {file:~/k}", "<Input my-key> <File ~/k>"),
            ("${userHome}/x", "<HOME>/x"),
            (
                "pa$word $5 ${ ${} ${a b} {x} $",
                "pa$word $5 ${ ${} ${a b} {x} $",
            ),
            ("vault:x", "vault:x"),
            (
                "$A9F86D081884C7D659A2FEAA0C55AD015",
                "$A9F86D081884C7D659A2FEAA0C55AD015",
            ),
        ] {
            assert_eq!(found(text, Form::McpServers), expected, "{text}");
        }
        assert_eq!(found("vault:x", Form::JanusMcp), "<Vault x>");
        assert_eq!(found("pa$word", Form::Mcpmux), "pa<word>");
    }

    #[test]
    fn all_variables_of_a_text_are_listed() {
        let names = references("a: ${A} $B {env:C} ${env:D} ${E:-x} $$F $5");
        assert_eq!(names.into_iter().collect::<String>(), "ABCDEF");
    }
}
