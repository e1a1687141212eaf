//! What the demo does: wait until both servers are there, list their tools, call the same tool as two people, switch,
//! try a crossing, tell what happened.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use crate::cli::client::{Address, Answer, Client};
use crate::cli::tool::{self, blocks, name};
use crate::cli::{Context, Exit, Failure};
use crate::protocol::{Json, Object};

/// All of it. Usually it takes less than a second.
const LIMIT: Duration = Duration::from_secs(15);
/// A server that failed once is asked about again after this.
const PAUSE: Duration = Duration::from_millis(100);

/// What stands behind Janus, for people.
const BEHIND: [(&str, &str); 3] = [
    (
        "notes/alice",
        "a process of her own, on its standard input and output",
    ),
    ("notes/bob", "another process of the same program"),
    ("dice", "a web server that speaks Streamable HTTP"),
];

const NOTE: &str = "call Carol";

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
    /// What it shows.
    title: &'static str,
    tool: &'static str,
    arguments: Value,
    refused: bool,
    result: Json,
    said: String,
}

impl Tour {
    /// Plays it against the gateway that listens there.
    pub(super) async fn play(gateway: SocketAddr, context: &Context) -> Result<Self, Failure> {
        let limit = Instant::now() + context.global.timeout.unwrap_or(LIMIT);
        let client = Client::new(Address::Tcp(gateway), context)
            .in_session()
            .await?;
        let bob = Client::new(Address::Tcp(gateway), context).at("/mcp/bob");
        let tools = match timeout_at(limit, all_tools(&client)).await {
            Ok(tools) => tools?,
            Err(_) => return Err(missing(gateway, context).await),
        };
        let calls = timeout_at(limit, all_calls(&client, &bob, &tools));
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
        let behind = BEHIND.map(|(name, kind)| json!({"name": name, "kind": kind}));
        let names: Vec<&str> = self.tools.iter().map(|(name, _)| name.as_str()).collect();
        let calls: Vec<Value> = self.calls.iter().map(Called::to_json).collect();
        json!({
            "url": self.url,
            "behind": behind,
            "tools": names,
            "calls": calls,
            "connect": self.connect(),
        })
    }

    /// What happened, for people.
    pub(super) fn text(&self, check: bool) -> String {
        let behind = BEHIND
            .map(|(name, kind)| format!("  {name:<12} {kind}\n"))
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
            "ok: one endpoint, two identities of one server, and nobody was mistaken for the other"
                .to_owned()
        } else {
            format!(
                "To use it in Claude Code, run this in another terminal:\n  {connect}\n\
                 To take it out again:\n  claude mcp remove --scope user janus\n\n\
                 Ctrl-C ends the demo and removes what it made. For servers of your own: janus help config"
            )
        };
        format!(
            "Janus listens on {url}. Behind it:\n{behind}\n\
             A client sees one list of {count} tools, whatever the number of accounts:\n{tools}\n\
             What it does with them, in one session:\n{calls}\n{end}"
        )
    }
}

impl Called {
    fn to_json(&self) -> Value {
        let result: Option<Value> = self.result.read();
        json!({
            "title": self.title,
            "tool": self.tool,
            "arguments": self.arguments,
            "refused": self.refused,
            "result": result,
        })
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
        format!(
            "  {}\n    $ {}{}\n{}",
            self.title,
            self.tool,
            given.concat(),
            said.concat()
        )
    }
}

/// The list, once every server is in it.
async fn all_tools(client: &Client) -> Result<Vec<Object>, Failure> {
    loop {
        let tools = tool::tools(client).await?;
        let listed = |server| {
            let head = format!("{server}__");
            tools.iter().any(|tool| name(tool).starts_with(&head))
        };
        if ["notes", "dice"].into_iter().all(listed) {
            return Ok(tools);
        }
        sleep(PAUSE).await;
    }
}

/// One step of the tour: what it shows, the call, and what the answer must say.
type Step = (&'static str, &'static str, Value, &'static str);

/// The same tool as each account, a choice for the session, and a crossing that is refused.
async fn all_calls(
    client: &Client,
    bob: &Client,
    tools: &[Object],
) -> Result<Vec<Called>, Failure> {
    let steps: [Step; 6] = [
        (
            "as Alice: the call says whom it means",
            "notes__add_note",
            json!({"text": NOTE, "janus_account": "alice"}),
            "alice has 1 note",
        ),
        (
            "the same tool as Bob, who has a process and notes of his own",
            "notes__list_notes",
            json!({"janus_account": "bob"}),
            "bob has no notes",
        ),
        (
            "without a word nothing is guessed",
            "notes__list_notes",
            json!({}),
            "several accounts",
        ),
        (
            "a switch: this session is Alice from now on",
            "janus_use_account",
            json!({"account": "notes/alice"}),
            "alice",
        ),
        (
            "so the call needs no word any more",
            "notes__list_notes",
            json!({}),
            NOTE,
        ),
        (
            "a server with one account is simply used",
            "dice__roll",
            json!({"count": 2, "sides": 6, "seed": 7}),
            " + ",
        ),
    ];
    let mut called = Vec::new();
    for step in steps {
        called.push(one_call(client, tools, step).await?);
    }
    // Another client, in the profile that has Bob alone.
    let crossing: Step = (
        "a crossing: another client, at /mcp/bob, asks to be Alice",
        "notes__list_notes",
        json!({"janus_account": "alice"}),
        "no account \"alice\" here",
    );
    called.push(one_call(bob, tools, crossing).await?);
    Ok(called)
}

/// Calls, and holds the answer to what it must say.
async fn one_call(client: &Client, tools: &[Object], step: Step) -> Result<Called, Failure> {
    let (title, tool, arguments, expected) = step;
    let listed = tools.iter().find(|listed| name(listed) == tool);
    let schema = listed
        .and_then(|tool| tool.object("inputSchema"))
        .unwrap_or_else(Object::empty);
    let given = Json::of(&arguments).object().unwrap_or_else(Object::empty);
    let result = match tool::call(client, tool, &schema, given).await? {
        Answer::Result(result) => result,
        Answer::Refused(refused) => return Err(tool::refused(&refused, listed.is_some())),
    };
    let said = blocks(&result).join("\n");
    if !said.contains(expected) {
        let failure = format!("`{tool}` answered something else than it should");
        return Err(Failure::new(Exit::Failed, "failed", failure).because(said));
    }
    Ok(Called {
        title,
        tool,
        arguments,
        refused: result
            .get("isError")
            .is_some_and(|is| is.as_str() == "true"),
        said,
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
    for server in ["notes/alice", "notes/bob", "dice"] {
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
