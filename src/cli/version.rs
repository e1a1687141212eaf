//! `janus version`.

use serde_json::json;

use super::{Context, Exit, Failure};

pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let fields = json!({ "version": version });
    context
        .output
        .document("version", fields, || format!("janus {version}"))?;
    Ok(Exit::Done)
}
