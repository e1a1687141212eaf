//! `janus tool`: what a client sees and does, by hand and in scripts. It is a client like any other and goes through
//! everything a call goes through.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that a JSON value does not have is null"
)]

mod answer;
mod arguments;
mod listing;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::client::{Address, Answer, Ask, Client, Identity};
use super::control::Control;
use super::known::Known;
use super::serve::runtime;
use super::table::texts;
use super::{Context, Exit, Failure};
use crate::model::Secret;
use crate::protocol::{Edit, Json, Object, param_header};

pub(super) use answer::{blocks, refused};
use listing::Listing;
pub(super) use listing::tools;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the tools that clients see.
    #[command(alias = "ls")]
    List(List),
    /// Call a tool.
    #[command(after_help = "Examples:
  janus tool call notes__add_note text='buy milk'
  janus tool call github__list_issues owner=acme labels:='[\"bug\"]'
  echo '{\"text\": \"buy milk\"}' | janus tool call notes__add_note --args -

KEY=TEXT becomes what the tool takes: text as it is, a number, true or false, or JSON for lists and objects.
KEY:=JSON is JSON whatever the tool takes.")]
    Call(Call),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Show the first line of each description.
    #[arg(short, long)]
    descriptions: bool,
    /// Only the tools of this server.
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Call {
    /// The name, as `janus tool list` prints it.
    name: String,
    /// Arguments: KEY=TEXT, or KEY:=JSON.
    #[arg(value_name = "KEY=TEXT")]
    arguments: Vec<String>,
    /// The account to call it as, where several are in scope: NAME or SERVER/NAME.
    #[arg(short, long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// All arguments as one JSON object, the file that holds it, or - for standard input.
    #[arg(long, value_name = "JSON")]
    args: Option<String>,
}

pub(super) fn run(verb: &Verb, context: &Context) -> Result<Exit, Failure> {
    let account = match verb {
        Verb::List(_) => None,
        Verb::Call(call) => call.account.clone(),
    };
    runtime()?.block_on(async {
        let client = Client::new(Address::Unix(socket(context).await), context);
        let identity = Identity {
            key: key(context).await,
            profile: context.profile(),
            account,
        };
        let client = client.acting(identity);
        match verb {
            Verb::List(list) => list.run(&client, context).await,
            Verb::Call(call) => call.run(&client, context).await,
        }
    })
}

/// Where the daemon's clients connect. A mistake in the configuration concerns what the daemon reads next: the one that
/// runs says itself where it listens.
async fn socket(context: &Context) -> PathBuf {
    let failure = match context.settings() {
        Ok(settings) => return settings.listen.socket,
        Err(failure) => failure,
    };
    let control = Control::new(context);
    // Without an answer the connection itself says what is wrong.
    let status = control.ask(http::Method::GET, "/status", None).await.ok();
    let keeps = match status {
        Some(_) => "; the daemon that runs keeps the one it has",
        None => "",
    };
    let wrong = &failure.parts().message;
    context
        .output
        .note(&format!("warning: {wrong}{keeps}:  janus config validate"));
    let listening = status.map(|status| texts(&status["listening"]));
    let mut listening = listening.into_iter().flatten();
    let unix = listening.find_map(|place| place.strip_prefix("unix:").map(PathBuf::from));
    unix.unwrap_or_else(|| context.environment.socket())
}

/// `JANUS_KEY`, else a key for this command alone, where the daemon asks for one.
async fn key(context: &Context) -> Option<Secret> {
    if let Some(key) = context.environment.access_key() {
        return Some(key);
    }
    let asked = Control::new(context);
    let own = serde_json::json!({"own": true});
    // Without an answer the request itself says what is wrong.
    let answer = asked
        .ask(http::Method::POST, "/connection", Some(&own))
        .await
        .ok()?;
    answer.get("key")?.as_str().map(Secret::new)
}

impl List {
    async fn run(&self, client: &Client, context: &Context) -> Result<Exit, Failure> {
        let output = context.output;
        let server = self.server.as_deref();
        let mut listing = Listing::of(client, context, server, None).await?;
        let mut tools = std::mem::take(&mut listing.tools);
        if let Some(server) = &self.server {
            let head = format!("{server}__");
            tools.retain(|tool| name(tool).starts_with(&head));
        }
        let warnings: Vec<String> = listing.warnings().collect();
        if tools.is_empty() && warnings.is_empty() {
            match server {
                Some(server) => nothing_of(server, context).await?,
                None => output.note("no server offers tools at the moment"),
            }
        }
        if output.is_json() {
            let tools: Vec<Json> = tools.iter().map(|tool| tool.json().clone()).collect();
            output.raw_document("tool-list", &[Edit::Set("tools", Json::array(&tools))])?;
        } else {
            let lines: String = tools.iter().map(|tool| self.lines(tool)).collect();
            output.foreign(&lines)?;
        }
        for warning in warnings {
            output.note(&warning);
        }
        Ok(Exit::Done)
    }

    fn lines(&self, tool: &Object) -> String {
        let description = tool.text("description").unwrap_or_default();
        match description.trim().lines().next() {
            Some(first) if self.descriptions => format!("{}\n    {first}\n", name(tool)),
            _ => format!("{}\n", name(tool)),
        }
    }
}

/// An empty list is right for a server that is configured, and a slip for one that is not.
async fn nothing_of(server: &str, context: &Context) -> Result<(), Failure> {
    let known = Known::of(context).await;
    if let Some(failure) = known.and_then(|known| known.no_server(server)) {
        return Err(failure);
    }
    let said = format!("`{server}` offers no tools at the moment");
    context.output.note(&said);
    Ok(())
}

impl Call {
    async fn run(&self, client: &Client, context: &Context) -> Result<Exit, Failure> {
        let given = arguments::Given::of(&self.arguments, self.args.as_deref())?;
        // Only its server is waited for; a name without one is Janus's own, or nobody's.
        let (server, _) = self.name.split_once("__").unwrap_or_default();
        let listing = Listing::of(client, context, Some(server), Some(self)).await?;
        let tool = listing.tool(&self.name);
        if tool.is_none()
            && let Some(failure) = listing.lacks(&self.name)
        {
            return Err(failure);
        }
        // A tool that is not listed may be one that a rule hides: the gateway says which rule.
        let schema = tool
            .and_then(|tool| tool.object("inputSchema"))
            .unwrap_or_else(Object::empty);
        let arguments = given.object(&schema)?;
        let result = match call(client, &self.name, &schema, arguments).await? {
            Answer::Result(result) => result,
            Answer::Refused(refused) => return Err(answer::refused(&refused, tool.is_some())),
        };
        answer::show(&self.name, &result, context.output)
    }
}

/// Calls a tool. Its schema says which arguments are repeated in headers.
pub(super) async fn call(
    client: &Client,
    name: &str,
    schema: &Object,
    arguments: Object,
) -> Result<Answer, Failure> {
    let ask = Ask {
        method: "tools/call",
        name: Some(name),
        params: vec![
            Edit::Set("name", Json::string(name)),
            Edit::Set("arguments", arguments.json().clone()),
        ],
        headers: param_header::headers(schema.json(), arguments.json()),
        said: Vec::new(),
    };
    client.ask(ask).await
}

pub(super) fn name(tool: &Object) -> String {
    tool.text("name").unwrap_or_default()
}
