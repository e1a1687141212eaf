//! The section `clients` in the text: where it is, where an entry goes, and how far one reaches.

use std::rc::Rc;

use super::flow::{closed, opened};
use super::lines::Lines;
use super::{Entries, members};
use crate::config::node::{Key, Node, Value};

/// What a new section's entries are indented by, beyond the section.
const INDENT: &str = "  ";

/// The section, and the document around it.
pub(super) struct Clients<'t> {
    lines: Lines<'t>,
    root: &'t Entries,
    /// Where it stands among the document's entries.
    at: Option<usize>,
}

impl<'t> Clients<'t> {
    pub(super) fn of(text: &'t str, root: &'t Entries) -> Self {
        Self {
            lines: Lines::of(text),
            at: root.iter().position(|(key, _)| key.text == "clients"),
            root,
        }
    }

    fn section(&self) -> Option<(&'t Key, &'t Node)> {
        let (key, node) = self.root.get(self.at?)?;
        Some((key, node))
    }

    fn clients(&self) -> &'t Entries {
        let members = self.section().and_then(|(_, node)| members(node));
        members.unwrap_or_default()
    }

    pub(super) fn find(&self, name: &str) -> Option<(&'t Key, &'t Node)> {
        let mut clients = self.clients().iter();
        let (key, node) = clients.find(|(key, _)| key.text == name)?;
        Some((key, node))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The text with one entry more, if it is clear where that goes.
    pub(super) fn with(&self, entry: &str) -> Option<String> {
        let Some((key, node)) = self.section() else {
            return self.with_section(entry);
        };
        let within = self.lines.indent(key.at)?;
        let indent = match (&node.value, self.clients()) {
            (Value::Scalar { text, .. }, _) if text.is_empty() => format!("{within}{INDENT}"),
            (Value::Map(_), entries) if self.is_flow(node) => {
                let (before, rest) = self.lines.split(node.at)?;
                let line = opened(before, rest, entry, !entries.is_empty())?;
                return Some(self.lines.replaced(node.at, &line));
            }
            (Value::Map(_), [(first, _), ..]) if first.at.line > key.at.line => {
                self.lines.indent(first.at)?.to_owned()
            }
            _ => return None,
        };
        let end = self.lines.content(key.at.line, self.end(), indent.len());
        Some(self.lines.with(end, &[format!("{indent}{entry}")]))
    }

    /// The text with a section at its end.
    fn with_section(&self, entry: &str) -> Option<String> {
        let indent = match self.root.first() {
            Some((first, _)) => self.lines.indent(first.at)?,
            None => "",
        };
        let last = self.root.last();
        let end = self.lines.document(last.map_or(0, |(key, _)| key.at.line));
        let space = self.lines.follows_text(end).then(String::new);
        let section = [
            format!("{indent}clients:"),
            format!("{indent}{INDENT}{entry}"),
        ];
        let new: Vec<String> = space.into_iter().chain(section).collect();
        Some(self.lines.with(end, &new))
    }

    /// The text without one of the entries, if it is clear how far that reaches.
    pub(super) fn without(&self, name: &str) -> Option<String> {
        let (key, node) = self.section()?;
        let entries = self.clients();
        let at = entries.iter().position(|(key, _)| key.text == name)?;
        let (entry, _) = entries.get(at)?;
        if self.is_flow(node) {
            let (before, rest) = self.lines.split(entry.at)?;
            return Some(self.lines.replaced(entry.at, &closed(before, rest)?));
        }
        if entry.at.line <= key.at.line {
            return None;
        }
        let indent = self.lines.indent(entry.at)?.len();
        let next = entries.get(at + 1);
        let end = next.map_or_else(|| self.end(), |(next, _)| Lines::before(next.at));
        // Comments that are indented like the entry belong to the next one, deeper ones to itself.
        let end = self.lines.content(entry.at.line, end, indent + 1);
        Some(self.lines.without(Lines::before(entry.at), end))
    }

    /// The number of lines up to the end of the section: to the next one, or to the end of the document.
    fn end(&self) -> usize {
        let next = self.at.and_then(|at| self.root.get(at + 1));
        next.map_or_else(
            || self.lines.document(0),
            |(next, _): &(Key, Rc<Node>)| Lines::before(next.at),
        )
    }

    fn is_flow(&self, node: &Node) -> bool {
        let rest = self.lines.split(node.at).map(|(_, rest)| rest);
        rest.is_some_and(|rest| rest.starts_with('{'))
    }
}
