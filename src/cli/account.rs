//! `janus account`: which identities there are.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that a JSON value does not have is null"
)]

use clap::Subcommand;

use super::control::Control;
use super::{Context, Exit, Failure, status};

#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum Verb {
    /// List every account of every server, and the profiles that reach it.
    #[command(alias = "ls")]
    List,
}

pub(super) fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    let Verb::List = verb;
    let listed = Control::new(context).get("/accounts")?;
    let shown = listed["accounts"].clone();
    context
        .output
        .document("account-list", listed, || status::accounts(&shown))?;
    Ok(Exit::Done)
}
