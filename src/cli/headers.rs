//! `janus headers`: what a client that runs a header helper sends with each request.
//!
//! The daemon reads the working directory from this very process and signs it: nobody can claim another one. On a failure
//! nothing is printed, and the exit code is 3.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that a JSON value does not have is null"
)]

use clap::Args;
use serde_json::json;

use super::control::Control;
use super::{Context, Exit, Failure};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The client whose key is sent, where keys are in use.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let mut headers =
        Control::new(context).post("/headers", &json!({"client": arguments.client}))?;
    let mut headers = headers["headers"].take();
    // A key of its own wins over one that is made for this connection.
    if let (Some(key), Some(members)) = (context.environment.access_key(), headers.as_object_mut())
    {
        members.insert(
            "Authorization".to_owned(),
            format!("Bearer {}", key.expose()).into(),
        );
    }
    if let (Some(profile), Some(members)) = (context.profile(), headers.as_object_mut()) {
        members.insert("Janus-Profile".to_owned(), profile.into());
    }
    context.output.data(&headers.to_string())?;
    Ok(Exit::Done)
}
