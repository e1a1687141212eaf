//! What people and scripts see of an import before it is written.

use std::fmt::Write as _;

use serde_json::json;

use super::files::{Target, Written};
use crate::cli::{Exit, Failure, Output};
use crate::import::{Imported, ToSet, secrets, variables};

/// What would be written, and what to know about it.
#[derive(Debug)]
pub(super) struct Preview {
    /// All of the file.
    pub(super) text: String,
    /// What is new in it: after how many old lines, and the lines.
    added: Vec<(usize, Vec<String>)>,
    set: Vec<ToSet>,
    pub(super) notes: Vec<String>,
    target: String,
    exists: bool,
}

impl Preview {
    pub(super) fn new(
        imported: &Imported,
        target: &Target,
        text: String,
        added: Vec<(usize, Vec<String>)>,
        more: Vec<String>,
    ) -> Self {
        // A variable of a server that was left out need not be set.
        let lines: Vec<&str> = added
            .iter()
            .flat_map(|(_, lines)| lines)
            .map(String::as_str)
            .collect();
        let lines = lines.join("\n");
        let (variables, secrets) = (variables(&lines), secrets(&lines));
        let used = |set: &&ToSet| {
            let known = if set.in_vault { &secrets } else { &variables };
            known.contains(&set.variable)
        };
        Self {
            set: imported.to_set.iter().filter(used).cloned().collect(),
            notes: imported.notes.iter().cloned().chain(more).collect(),
            target: target.shown(),
            exists: target.exists(),
            text,
            added,
        }
    }

    /// Whether it refers to secrets of the vault that are new.
    pub(super) fn sets_secrets(&self) -> bool {
        self.set.iter().any(|set| set.in_vault)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty()
    }

    /// The diff on standard output, what to know about it on standard error.
    pub(super) fn show(&self, output: Output) -> Result<(), Failure> {
        if output.is_json() {
            return Ok(());
        }
        if !self.is_empty() {
            output.foreign(&self.diff())?;
        }
        let (secrets, variables): (Vec<&ToSet>, Vec<&ToSet>) =
            self.set.iter().partition(|set| set.in_vault);
        let (known, new): (Vec<&ToSet>, Vec<&ToSet>) =
            variables.into_iter().partition(|set| set.known);
        if !secrets.is_empty() {
            output.note("to set in the vault, now or later:");
        }
        for set in secrets {
            output.note(&format!(
                "  janus secret set {}    # {}: {}",
                set.variable, set.owner, set.what
            ));
        }
        for (head, list) in [
            ("to set, where Janus runs:", new),
            (
                "needed where Janus runs, as the file refers to them:",
                known,
            ),
        ] {
            if !list.is_empty() {
                output.note(head);
            }
            for set in list {
                output.note(&format!("  {}  {}: {}", set.variable, set.owner, set.what));
            }
        }
        if !self.notes.is_empty() {
            output.note("to know:");
        }
        for note in &self.notes {
            output.note(&format!("  {note}"));
        }
        Ok(())
    }

    /// A unified diff without context: the old lines may hold secrets, and none of them changes.
    fn diff(&self) -> String {
        let old = if self.exists {
            self.target.as_str()
        } else {
            "/dev/null"
        };
        let mut diff = format!("--- {old}\n+++ {}\n", self.target);
        let mut grown = 0;
        for (after, lines) in &self.added {
            let (from, count) = (after + grown + 1, lines.len());
            // Writing to a string cannot fail.
            let _infallible = writeln!(diff, "@@ -{after},0 +{from},{count} @@");
            grown += count;
            for line in lines {
                diff.extend(["+", line, "\n"]);
            }
        }
        diff
    }

    /// The document for scripts. Of a configuration that exists it has the new lines only.
    pub(super) fn document(
        &self,
        output: Output,
        target: &Target,
        written: Option<&Written>,
    ) -> Result<Exit, Failure> {
        if !output.is_json() {
            return Ok(Exit::Done);
        }
        let lines: Vec<&str> = self
            .added
            .iter()
            .flat_map(|(_, lines)| lines.iter().map(String::as_str))
            .collect();
        let config = if lines.is_empty() {
            String::new()
        } else {
            lines.join("\n") + "\n"
        };
        let set: Vec<_> = self
            .set
            .iter()
            .map(|set| json!({ (if set.in_vault { "secret" } else { "variable" }): set.variable, "owner": set.owner, "what": set.what, "known": set.known }))
            .collect();
        let backup = match written {
            Some(Written::Replaced { backup }) => Some(backup.display().to_string()),
            Some(Written::Created) | None => None,
        };
        let fields = json!({
            "config": config,
            "set": set,
            "notes": self.notes,
            "file": target.shown(),
            "backup": backup,
            "written": written.is_some(),
        });
        output.document("import", fields, String::new)?;
        Ok(Exit::Done)
    }
}
