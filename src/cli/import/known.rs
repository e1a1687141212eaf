//! The secrets that the vault has already: a name of theirs is given to no new one.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::cli::control::Control;
use crate::cli::table::text;
use crate::cli::{Context, Exit};
use crate::daemon;

/// The variables that their names come from: what the daemon says that runs, or else the state itself.
///
/// # Errors
/// What to know where they are not known.
pub(super) fn secrets(context: &Context) -> Result<BTreeSet<String>, String> {
    let names: Vec<String> = match Control::new(context).get("/secrets") {
        Ok(listed) => listed
            .get("secrets")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|secret| text(secret, "name"))
            .collect(),
        Err(failure) if failure.exit() == Exit::NoDaemon => kept(context)?,
        Err(failure) => return Err(unknown(&failure.parts().message)),
    };
    let variables = names.iter().map(|name| name.to_ascii_uppercase());
    Ok(variables.collect())
}

/// Those of the state directory. Without a home there is none, and the configuration's reader says so.
fn kept(context: &Context) -> Result<Vec<String>, String> {
    let Some(state) = context.environment.state_directory() else {
        return Ok(Vec::new());
    };
    let names = daemon::secret_names(&state).map_err(|why| unknown(&why.to_string()))?;
    Ok(names.iter().map(|name| name.as_str().to_owned()).collect())
}

fn unknown(why: &str) -> String {
    format!(
        "which secrets are set already is not known ({why}): one of a name above would be used as it is; see  janus secret list"
    )
}
