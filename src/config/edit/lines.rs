//! A text as lines with their ends, to put lines in and take them out.

use crate::config::problem::Position;

/// The lines of a text. What is put in gets the line end that the text has.
pub(super) struct Lines<'t> {
    /// What some editors write before the first line.
    mark: &'static str,
    all: Vec<&'t str>,
    end: &'static str,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let (mark, text) = match text.strip_prefix('\u{feff}') {
            Some(rest) => ("\u{feff}", rest),
            None => ("", text),
        };
        let all: Vec<&str> = text.split_inclusive('\n').collect();
        let first = all.first().copied().unwrap_or_default();
        let end = if first.ends_with("\r\n") {
            "\r\n"
        } else {
            "\n"
        };
        Self { mark, all, end }
    }

    /// How many lines come before this position, which counts from one.
    pub(super) fn before(at: Position) -> usize {
        at.line.saturating_sub(1)
    }

    /// The line at a position, in two parts.
    pub(super) fn split(&self, at: Position) -> Option<(&'t str, &'t str)> {
        let line = self.all.get(Self::before(at))?;
        let mut starts = line.char_indices().map(|(start, _)| start);
        let start = starts.nth(at.column.checked_sub(1)?)?;
        line.split_at_checked(start)
    }

    /// What stands before a key, if that is nothing but spaces.
    pub(super) fn indent(&self, at: Position) -> Option<&'t str> {
        let (before, _) = self.split(at)?;
        before.bytes().all(|byte| byte == b' ').then_some(before)
    }

    /// The number of lines up to the end of the document.
    pub(super) fn document(&self, from: usize) -> usize {
        let mut rest = self.all.iter().enumerate().skip(from);
        let end = rest.find(|(_, line)| line.starts_with("..."));
        end.map_or(self.all.len(), |(index, _)| index)
    }

    /// `last` without the lines before it, down to `first`, that belong to what follows: empty ones, and comments
    /// that are indented by less than `indent`.
    pub(super) fn content(&self, first: usize, last: usize, indent: usize) -> usize {
        let foreign = |line: &str| {
            let text = line.trim();
            let spaces = line.len() - line.trim_start_matches(' ').len();
            text.is_empty() || (text.starts_with('#') && spaces < indent)
        };
        let lines = self.all.iter().enumerate().take(last).skip(first);
        let kept = lines.rev().find(|(_, line)| !foreign(line));
        kept.map_or(first, |(index, _)| index + 1)
    }

    /// Whether the line before this place has something on it.
    pub(super) fn follows_text(&self, at: usize) -> bool {
        let line = at.checked_sub(1).and_then(|index| self.all.get(index));
        line.is_some_and(|line| !line.trim().is_empty())
    }

    /// The text with new lines after the first `at` ones. A last line without an end keeps the text without one.
    pub(super) fn with(&self, at: usize, new: &[String]) -> String {
        let mut text = String::from(self.mark);
        text.extend(self.all.iter().take(at).copied());
        let open = !text.ends_with('\n') && at > 0;
        let new = new.join(self.end);
        if open {
            text.push_str(self.end);
            text.push_str(&new);
        } else {
            text.push_str(&new);
            text.push_str(self.end);
        }
        text.extend(self.all.iter().skip(at).copied());
        text
    }

    /// The text without the lines from `first` up to `last`. A text without an end of its last line keeps none.
    pub(super) fn without(&self, first: usize, last: usize) -> String {
        let before = self.all.iter().take(first);
        let lines = before.chain(self.all.iter().skip(last));
        let mut text: String = std::iter::once(self.mark).chain(lines.copied()).collect();
        let open = |line: &&str| !line.ends_with('\n');
        if last == self.all.len() && self.all.last().is_some_and(open) {
            text.truncate(text.trim_end_matches(['\r', '\n']).len());
        }
        text
    }

    /// The text with another line in the place of the one at this position.
    pub(super) fn replaced(&self, at: Position, line: &str) -> String {
        let index = Self::before(at);
        let before = self.all.iter().take(index).copied();
        let after = self.all.iter().skip(index + 1).copied();
        std::iter::once(self.mark)
            .chain(before)
            .chain([line])
            .chain(after)
            .collect()
    }
}
