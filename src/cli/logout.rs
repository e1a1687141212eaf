//! `janus logout`: ends what an account was granted, here and at the provider.

use clap::Args;
use serde_json::json;

use super::control::Control;
use super::table::text;
use super::{Context, Exit, Failure};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The account: SERVER/ACCOUNT, or what of it is enough.
    account: String,
    /// Only forget it here; the provider is not told.
    #[arg(long)]
    local: bool,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let wanted = json!({"account": arguments.account, "local": arguments.local});
    let out = Control::patient(context).post("/logout", &wanted)?;
    let account = text(&out, "account");
    let had = out.get("had").is_some_and(|had| had == true);
    let cancelled = out.get("cancelled").is_some_and(|it| it == true);
    let revoked = out.get("revoked").and_then(serde_json::Value::as_bool);
    context.output.document("logout", out, || match (had, revoked) {
        (false, _) if cancelled => {
            format!("{account} was not logged in; the login that waited is cancelled\n")
        }
        (false, _) => format!("{account} was not logged in; nothing changed\n"),
        (true, Some(true)) => format!("✔ logged out: {account}, here and at the provider\n"),
        (true, Some(false)) => format!(
            "✔ logged out here: {account}\n  the provider did not confirm that it ended the grant; end it there if that matters\n"
        ),
        (true, None) => format!("✔ forgotten here: {account}; the provider was not told\n"),
    })?;
    Ok(Exit::Done)
}
