//! What the demo does: wait until both servers are there, list their tools, call some, tell what happened.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use crate::cli::client::{Address, Answer, Client};
use crate::cli::tool::{self, blocks, failed, name};
use crate::cli::{Context, Exit, Failure};
use crate::protocol::{Json, Object};

/// All of it. Usually it takes less than a second.
const LIMIT: Duration = Duration::from_secs(15);
/// A server that failed once is asked about again after this.
const PAUSE: Duration = Duration::from_millis(100);

/// How each server is reached, for people.
const SERVERS: [(&str, &str); 2] = [
    (
        "notes",
        "a process that speaks on its standard input and output",
    ),
    ("dice", "a web server that speaks Streamable HTTP"),
];

const NOTE: &str = "Janus was here";

/// What happened.
#[derive(Debug)]
pub(super) struct Tour {
    url: String,
    /// Names and descriptions.
    tools: Vec<(String, String)>,
    calls: Vec<Called>,
}

#[derive(Debug)]
struct Called {
    tool: &'static str,
    arguments: Value,
    result: Json,
    said: String,
}

impl Tour {
    /// Plays it against the gateway that listens there.
    pub(super) async fn play(gateway: SocketAddr, context: &Context) -> Result<Self, Failure> {
        let limit = Instant::now() + context.global.timeout.unwrap_or(LIMIT);
        let client = Client::new(Address::Tcp(gateway), context);
        let tools = match timeout_at(limit, all_tools(&client)).await {
            Ok(tools) => tools?,
            Err(_) => return Err(missing(gateway, context).await),
        };
        let calls = timeout_at(limit, all_calls(&client, &tools));
        let calls = calls.await.unwrap_or_else(|_| {
            let said = "the servers of the demo took too long to answer";
            Err(Failure::new(Exit::Failed, "timed_out", said))
        })?;
        let described = |tool: &Object| {
            let description = tool.text("description").unwrap_or_default();
            (name(tool), description)
        };
        Ok(Self {
            url: format!("http://{gateway}/mcp"),
            tools: tools.iter().map(described).collect(),
            calls,
        })
    }

    fn connect(&self) -> String {
        format!(
            "claude mcp add --scope user --transport http janus {}",
            self.url
        )
    }

    pub(super) fn to_json(&self) -> Value {
        let servers = SERVERS.map(|(name, kind)| json!({"name": name, "kind": kind}));
        let names: Vec<&str> = self.tools.iter().map(|(name, _)| name.as_str()).collect();
        let calls: Vec<Value> = self.calls.iter().map(Called::to_json).collect();
        json!({
            "url": self.url,
            "servers": servers,
            "tools": names,
            "calls": calls,
            "connect": self.connect(),
        })
    }

    /// What happened, for people.
    pub(super) fn text(&self, check: bool) -> String {
        let servers = SERVERS
            .map(|(name, kind)| format!("  {name:<6} {kind}\n"))
            .concat();
        let widest = self
            .tools
            .iter()
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or_default();
        let tools: Vec<String> = self
            .tools
            .iter()
            .map(|(name, description)| format!("  {name:<widest$}  {description}\n"))
            .collect();
        let calls: Vec<String> = self.calls.iter().map(Called::text).collect();
        let (tools, calls) = (tools.concat(), calls.concat());
        let (url, count, connect) = (&self.url, self.tools.len(), self.connect());
        let end = if check {
            "ok: both servers answered through Janus".to_owned()
        } else {
            format!(
                "To use it in Claude Code, run this in another terminal:\n  {connect}\n\
                 To take it out again:\n  claude mcp remove --scope user janus\n\n\
                 Ctrl-C ends the demo and removes what it made. For servers of your own: janus help config"
            )
        };
        format!(
            "Janus listens on {url}, in front of two servers:\n{servers}\n\
             A client sees one list of {count} tools:\n{tools}\n\
             Calls through Janus:\n{calls}\n{end}"
        )
    }
}

impl Called {
    fn to_json(&self) -> Value {
        let result: Option<Value> = self.result.read();
        json!({"tool": self.tool, "arguments": self.arguments, "result": result})
    }

    fn text(&self) -> String {
        let given: Vec<String> = self
            .arguments
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| format!(" {key}={value}"))
            .collect();
        let said: Vec<String> = self
            .said
            .lines()
            .map(|line| format!("    {line}\n"))
            .collect();
        format!("  {}{}\n{}", self.tool, given.concat(), said.concat())
    }
}

/// The list, once every server is in it.
async fn all_tools(client: &Client) -> Result<Vec<Object>, Failure> {
    loop {
        let tools = tool::tools(client).await?;
        let listed = |server: &str| {
            let head = format!("{server}__");
            tools.iter().any(|tool| name(tool).starts_with(&head))
        };
        if SERVERS.iter().all(|(server, _)| listed(server)) {
            return Ok(tools);
        }
        sleep(PAUSE).await;
    }
}

/// Each server is called, and one of them twice, to see that it remembers.
async fn all_calls(client: &Client, tools: &[Object]) -> Result<Vec<Called>, Failure> {
    let calls = [
        ("notes__add_note", json!({"text": NOTE}), "note 1"),
        ("notes__list_notes", json!({}), NOTE),
        (
            "dice__roll",
            json!({"count": 2, "sides": 6, "seed": 7}),
            " + ",
        ),
    ];
    let mut called = Vec::new();
    for (tool, arguments, expected) in calls {
        let call = one_call(client, tools, tool, arguments).await?;
        if !call.said.contains(expected) {
            let said = format!("`{tool}` answered something else than it should");
            return Err(Failure::new(Exit::Failed, "failed", said).because(call.said));
        }
        called.push(call);
    }
    Ok(called)
}

async fn one_call(
    client: &Client,
    tools: &[Object],
    tool: &'static str,
    arguments: Value,
) -> Result<Called, Failure> {
    let listed = tools.iter().find(|listed| name(listed) == tool);
    let schema = listed
        .and_then(|tool| tool.object("inputSchema"))
        .unwrap_or_else(Object::empty);
    let given = Json::of(&arguments).object().unwrap_or_else(Object::empty);
    let result = match tool::call(client, tool, &schema, given).await? {
        Answer::Result(result) => result,
        Answer::Refused(refused) => return Err(tool::refused(&refused, listed.is_some())),
    };
    if let Some(failure) = failed(tool, &result) {
        return Err(failure);
    }
    Ok(Called {
        tool,
        arguments,
        said: blocks(&result).join("\n"),
        result: result.json().clone(),
    })
}

/// Why a server is not there: its own view says it.
async fn missing(gateway: SocketAddr, context: &Context) -> Failure {
    let mut failure = Failure::new(
        Exit::Failed,
        "unavailable",
        "the servers of the demo cannot be reached",
    );
    for (server, _) in SERVERS {
        let view = Client::new(Address::Tcp(gateway), context).at(format!("/mcp/@{server}"));
        let asked = timeout_at(Instant::now() + Duration::from_secs(3), tool::tools(&view));
        match asked.await {
            Ok(Ok(_)) => {}
            Ok(Err(why)) => failure = failure.because(why.parts().message.clone()),
            Err(_) => failure = failure.because(format!("`{server}` does not answer")),
        }
    }
    failure
}
