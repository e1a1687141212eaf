//! `janus tool`: what a client sees and does, by hand and in scripts. It is a client like any other and goes through
//! everything a call goes through.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that a JSON value does not have is null"
)]

mod answer;
mod arguments;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::client::{Address, Answer, Ask, Client, Identity};
use super::control::Control;
use super::serve::runtime;
use super::table::{text, texts};
use super::{Context, Exit, Failure, Output};
use crate::model::Secret;
use crate::protocol::{Edit, Json, Object, param_header};

pub(super) use answer::{blocks, refused};

/// A list has one page; a gateway that never stops turning pages is not followed for ever.
const MOST_PAGES: usize = 100;

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
            Verb::Call(call) => call.run(&client, context.output).await,
        }
    })
}

/// Where the daemon's clients connect. A mistake in the configuration concerns what the daemon reads next: the one that
/// runs says itself where it listens.
async fn socket(context: &Context) -> PathBuf {
    match context.settings() {
        Ok(settings) => return settings.listen.socket,
        Err(failure) => {
            let output = context.output;
            output.note(&format!(
                "warning: {}; the daemon that runs keeps the one it has:  janus config validate",
                failure.parts().message
            ));
        }
    }
    let control = Control::new(context);
    // Without an answer the connection itself says what is wrong.
    let status = control.ask(http::Method::GET, "/status", None).await;
    let listening = status.ok().map(|status| texts(&status["listening"]));
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
        let mut tools = tools(client).await?;
        if let Some(server) = &self.server {
            let head = format!("{server}__");
            tools.retain(|tool| name(tool).starts_with(&head));
        }
        match &self.server {
            Some(server) if tools.is_empty() => nothing_of(server, context).await?,
            None if tools.is_empty() => output.note("no server offers tools at the moment"),
            _ => {}
        }
        if output.is_json() {
            let tools: Vec<Json> = tools.iter().map(|tool| tool.json().clone()).collect();
            output.raw_document("tool-list", &[Edit::Set("tools", Json::array(&tools))])?;
        } else {
            let lines: String = tools.iter().map(|tool| self.lines(tool)).collect();
            output.foreign(&lines)?;
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
    let control = Control::new(context);
    let listed = control.ask(http::Method::GET, "/accounts", None).await;
    let names: Vec<String> = if let Ok(listed) = listed {
        let rows = listed["accounts"].as_array().into_iter().flatten();
        rows.map(|row| text(row, "server")).collect()
    } else {
        // What answered the list is no daemon that says more.
        let servers = context.settings().map(|settings| settings.servers);
        let servers = servers.into_iter().flatten();
        servers.map(|server| server.name.to_string()).collect()
    };
    let names = || names.iter().map(String::as_str);
    if names().any(|known| known == server) {
        context
            .output
            .note(&format!("`{server}` offers no tools at the moment"));
        return Ok(());
    }
    let failure = Failure::new(
        Exit::Usage,
        "unknown_server",
        format!("there is no server `{server}`"),
    );
    let near = names().find(|known| strsim::damerau_levenshtein(known, server) <= 2);
    Err(match near {
        Some(near) => failure.help(format!("did you mean `{near}`?")),
        None => failure.help("see which there are:  janus account list"),
    })
}

impl Call {
    async fn run(&self, client: &Client, output: Output) -> Result<Exit, Failure> {
        let given = arguments::Given::of(&self.arguments, self.args.as_deref())?;
        let tools = tools(client).await?;
        let tool = tools.iter().find(|tool| name(tool) == self.name);
        // A tool that is not listed may be one that a rule hides: the gateway says which rule.
        let schema = tool
            .and_then(|tool| tool.object("inputSchema"))
            .unwrap_or_else(Object::empty);
        let arguments = given.object(&schema)?;
        let result = match call(client, &self.name, &schema, arguments).await? {
            Answer::Result(result) => result,
            Answer::Refused(refused) => return Err(answer::refused(&refused, tool.is_some())),
        };
        answer::show(&self.name, &result, output)
    }
}

/// Every tool, in the order of the gateway.
pub(super) async fn tools(client: &Client) -> Result<Vec<Object>, Failure> {
    let (mut tools, mut cursor) = (Vec::new(), None::<Json>);
    for _ in 0..MOST_PAGES {
        let ask = Ask {
            method: "tools/list",
            name: None,
            params: cursor
                .into_iter()
                .map(|cursor| Edit::Set("cursor", cursor))
                .collect(),
            headers: Vec::new(),
        };
        let page = match client.ask(ask).await? {
            Answer::Result(page) => page,
            Answer::Refused(refused) => return Err(answer::refused(&refused, true)),
        };
        let listed = page.get("tools").and_then(|tools| tools.elements());
        tools.extend(
            listed
                .into_iter()
                .flatten()
                .filter_map(|tool| tool.object()),
        );
        cursor = page.get("nextCursor").filter(|cursor| !cursor.is_null());
        if cursor.is_none() {
            break;
        }
    }
    Ok(tools)
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
    };
    client.ask(ask).await
}

pub(super) fn name(tool: &Object) -> String {
    tool.text("name").unwrap_or_default()
}
