//! `notes`: a server on standard input and output that remembers while its process lives. Each account has a process of
//! its own, so that a mix-up would show.

use std::sync::{Arc, Mutex, PoisonError};

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::model::ContentBlock;
use rmcp::service::ServerInitializeError;
use rmcp::transport::io::stdio;
use rmcp::{ServerHandler, ServiceExt, schemars, tool, tool_handler, tool_router};

use crate::cli::serve::runtime;
use crate::cli::{Exit, Failure};

/// Nobody reads more than this in a demo.
const MOST_NOTES: usize = 1000;
/// Nor a longer one.
const LONGEST_NOTE: usize = 10_000;

#[derive(Debug, Clone)]
struct Notes {
    owner: String,
    notes: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct Note {
    /// What to remember.
    text: String,
}

#[tool_router]
impl Notes {
    #[tool(
        description = "Write a note down.",
        annotations(read_only_hint = false, destructive_hint = false)
    )]
    fn add_note(&self, Parameters(Note { text }): Parameters<Note>) -> CallToolResult {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() >= MOST_NOTES || text.len() > LONGEST_NOTE {
            return CallToolResult::error(vec![ContentBlock::text(
                "There is no room for this note.",
            )]);
        }
        notes.push(text);
        let said = format!("Noted. {} has {}.", self.owner, counted(notes.len()));
        CallToolResult::success(vec![ContentBlock::text(said)])
    }

    #[tool(description = "Read all notes.", annotations(read_only_hint = true))]
    fn list_notes(&self) -> String {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.is_empty() {
            return format!("{} has no notes.", self.owner);
        }
        let lines: Vec<String> = notes
            .iter()
            .enumerate()
            .map(|(at, note)| format!("{}. {note}", at + 1))
            .collect();
        format!(
            "{} has {}:\n{}",
            self.owner,
            counted(notes.len()),
            lines.join("\n")
        )
    }
}

fn counted(notes: usize) -> String {
    match notes {
        1 => "1 note".to_owned(),
        more => format!("{more} notes"),
    }
}

#[tool_handler(
    name = "janus-demo-notes",
    instructions = "Notes that are forgotten when the demo ends."
)]
impl ServerHandler for Notes {}

/// Serves until standard input ends.
pub(in crate::cli) fn serve(owner: &str) -> Result<Exit, Failure> {
    let runtime = runtime()?;
    let served: anyhow::Result<()> = runtime.block_on(async {
        let notes = Notes {
            owner: owner.to_owned(),
            notes: Arc::default(),
        };
        match notes.serve(stdio()).await {
            Ok(running) => {
                running.waiting().await?;
                Ok(())
            }
            // The client went away before it began.
            Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    });
    // Standard input is read by a thread that may still wait for a line; nobody waits for it.
    runtime.shutdown_background();
    served?;
    Ok(Exit::Done)
}
