//! `janus account`: which identities there are.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that a JSON value does not have is null"
)]

use clap::Subcommand;
use serde_json::json;

use super::control::Control;
use super::table::{count, text};
use super::{Context, Exit, Failure, status};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List every account of every server, and the profiles that reach it.
    #[command(alias = "ls")]
    List,
    /// Connect an account and ask its server who that is.
    Verify {
        /// The account: SERVER/ACCOUNT, or what of it is enough.
        account: String,
    },
}

pub(super) fn run(verb: &Verb, context: &Context) -> Result<Exit, Failure> {
    if let Verb::Verify { account } = verb {
        verify(account, context)?;
        return Ok(Exit::Done);
    }
    let listed = Control::new(context).get("/accounts")?;
    let shown = listed["accounts"].clone();
    context
        .output
        .document("account-list", listed, || status::accounts(&shown))?;
    Ok(Exit::Done)
}

fn verify(account: &str, context: &Context) -> Result<(), Failure> {
    let control = Control::patient(context);
    let verified = control.post("/account/verify", &json!({"account": account}))?;
    let shown = verified.clone();
    context.output.document("account-verify", verified, || {
        let who = match (shown["who"].as_str(), shown["who_from"].as_str()) {
            (Some(who), Some(url)) if url.contains("://") => format!("{who}   (by {url})"),
            (Some(who), Some(tool)) => format!("{who}   (by its tool `{tool}`)"),
            _ if shown["who_because"].is_string() => "not known".to_owned(),
            _ => "not known: the server lists no tool that says".to_owned(),
        };
        let who = match shown["who_because"].as_str() {
            Some(why) => format!("{who}\nwhoami      what `auth.oauth.whoami` names does not say: {why}"),
            None => who,
        };
        let server = shown["server"].as_str().unwrap_or("a server without a name");
        let version = text(&shown, "version");
        let credential = status::granted(&shown["grant"])
            .unwrap_or_else(|| status::credential(&shown["credential"]));
        let who = match shown["verified_as"].as_str() {
            Some(known) => format!("{who}\nlogged in   {known}"),
            None if shown["hint"].is_string() => {
                format!("{who}\nlogged in   unverified; {}", text(&shown, "hint"))
            }
            None => who,
        };
        format!(
            "✔ {}\nserver      {server} {version}   ({}, {})\ncredential  {credential}\nwho         {who}\n",
            text(&shown, "account"),
            text(&shown, "revision"),
            count(shown["tools"].as_u64().unwrap_or_default(), "tool"),
        )
    })
}
