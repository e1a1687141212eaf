//! `janus use`: a choice from outside, for a session, a client or everybody.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that a JSON value does not have is null"
)]

use clap::Args;
use serde_json::json;

use super::control::Control;
use super::{Context, Exit, Failure};

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("holder").required(true))]
pub(super) struct Arguments {
    /// The account, as SERVER/ACCOUNT; with --clear the server is enough.
    account: String,
    /// For this session (janus session list).
    #[arg(long, value_name = "ID", group = "holder")]
    session: Option<String>,
    /// For everything this client does.
    #[arg(long, value_name = "NAME", group = "holder")]
    client: Option<String>,
    /// For everybody in the profile; needs `switching: global`.
    #[arg(long, group = "holder")]
    global: bool,
    /// Take the choice back instead.
    #[arg(long)]
    clear: bool,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let wanted = json!({
        "account": arguments.account,
        "session": arguments.session,
        "client": arguments.client,
        "global": arguments.global,
        "clear": arguments.clear,
        "profile": context.profile(),
    });
    let switched = Control::new(context).post("/use", &wanted)?;
    let named = |member: &str| switched[member].as_str().unwrap_or("none").to_owned();
    let text = format!(
        "profile {}: {} → {}",
        named("profile"),
        named("was"),
        named("active")
    );
    context.output.document("use", switched.clone(), || text)?;
    Ok(Exit::Done)
}
