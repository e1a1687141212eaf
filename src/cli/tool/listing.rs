//! The list of tools, and what is not in it: servers that are still starting are waited for, as long as `--timeout` says.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{Call, name};
use crate::cli::client::{Answer, Ask, Client};
use crate::cli::table::span;
use crate::cli::{Context, Exit, Failure};
use crate::protocol::{Edit, Json, Object, meta};

/// A list has one page; a gateway that never stops turning pages is not followed for ever.
const MOST_PAGES: usize = 100;
/// Without `--timeout`: longer than the attempt to start a server takes with the `timeout` that it has by default.
const PATIENCE: Duration = Duration::from_mins(2);
/// Before somebody is told what is waited for.
const AT_FIRST: Duration = Duration::from_secs(1);
/// For the answer itself, when the servers have had their time.
const ANSWER: Duration = Duration::from_secs(5);

/// The tools that are there, and the accounts that nothing is known of.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) tools: Vec<Object>,
    missing: Vec<Missing>,
    /// How long the missing ones were waited for, where somebody was told of that.
    waited: Option<Duration>,
}

/// An account that was never listed, in the gateway's words.
#[derive(Debug)]
struct Missing {
    account: String,
    said: String,
    help: String,
    retry_after: Option<u64>,
    /// Nothing is wrong with it yet.
    is_starting: bool,
}

/// What a list is asked for with.
struct Wait<'a> {
    within: Duration,
    server: Option<&'a str>,
    limit: Option<Duration>,
}

impl Listing {
    /// Every tool, once the servers are there, or this one; sooner when it has the tool to call, or the account to call it as
    /// is there.
    pub(super) async fn of(
        client: &Client,
        context: &Context,
        server: Option<&str>,
        call: Option<&Call>,
    ) -> Result<Self, Failure> {
        let account = call.and_then(|call| call.account.as_deref());
        let tool = call.map(|call| call.name.as_str());
        let patience = context.global.timeout;
        let begun = Instant::now();
        let first = Wait {
            within: patience.map_or(AT_FIRST, |patience| AT_FIRST.min(patience / 2)),
            server,
            limit: patience,
        };
        let listing = pages(client, Some(&first)).await?.meaning(account);
        let starting = listing.missing.iter().filter(|missing| missing.is_starting);
        let starting: Vec<&str> = starting.map(|missing| missing.account.as_str()).collect();
        if starting.is_empty() || tool.is_some_and(|tool| listing.tool(tool).is_some()) {
            return Ok(listing);
        }
        context
            .output
            .tell(&format!("waiting for {} to start", starting.join(", ")));
        let left = patience.unwrap_or(PATIENCE).saturating_sub(begun.elapsed());
        let then = Wait {
            within: left,
            server,
            limit: Some(left + ANSWER),
        };
        let listing = pages(client, Some(&then)).await?.meaning(account);
        let waited = Some(begun.elapsed());
        Ok(Self { waited, ..listing })
    }

    /// The same where one account is meant: no other one lacks anything.
    fn meaning(mut self, account: Option<&str>) -> Self {
        if let Some(account) = account {
            self.missing.retain(|missing| missing.is(account));
        }
        self
    }

    /// What is missing, one line each.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        self.missing.iter().map(|missing| missing.line(self.waited))
    }

    pub(super) fn tool(&self, wanted: &str) -> Option<&Object> {
        self.tools.iter().find(|tool| name(tool) == wanted)
    }

    /// Why a tool that is not there cannot be called, where waiting has shown that; what failed before is tried again by
    /// a call.
    pub(super) fn lacks(&self, tool: &str) -> Option<Failure> {
        let waited = self.waited?;
        // A starting one may have it.
        let starting = self.missing.iter().find(|missing| missing.is_starting);
        let missing = starting.or_else(|| self.missing.first())?;
        let failure = if missing.is_starting {
            let seconds = waited.as_secs();
            let said = format!(
                "`{tool}` is not there yet: {} is still starting after {seconds} s",
                missing.account
            );
            Failure::new(Exit::Failed, "timed_out", said).help("give it longer:  --timeout 5m")
        } else {
            let failure = Failure::new(Exit::Failed, "unavailable", missing.said.as_str());
            missing.next().into_iter().fold(failure, Failure::because)
        };
        let failure = failure.sent("nothing").place(missing.account.as_str());
        Some(failure.help(missing.help.as_str()))
    }
}

impl Missing {
    fn of(said: &Object) -> Option<Self> {
        let state = said.text("state")?;
        Some(Self {
            account: said.text("account")?,
            said: said.text("said")?,
            help: said.text("help")?,
            retry_after: said.get("retry_after").and_then(|seconds| seconds.read()),
            is_starting: matches!(state.as_str(), "idle" | "connecting" | "ready"),
        })
    }

    /// Whether it is meant by this name, whole or in part.
    fn is(&self, name: &str) -> bool {
        let (_, account) = self.account.split_once('/').unwrap_or_default();
        self.account == name || account == name
    }

    fn next(&self) -> Option<String> {
        let seconds = self.retry_after?;
        Some(format!("it is tried again in {}", span(seconds)))
    }

    /// One line for people.
    fn line(&self, waited: Option<Duration>) -> String {
        let after = waited
            .filter(|_| self.is_starting)
            .map(|waited| format!(" after {} s", waited.as_secs()));
        let next = self.next().map(|next| format!("; {next}"));
        let more = after.or(next).unwrap_or_default();
        format!("warning: {}{more}:  {}", self.said, self.help)
    }
}

/// Every tool that is there now, in the order of the gateway.
pub(in crate::cli) async fn tools(client: &Client) -> Result<Vec<Object>, Failure> {
    Ok(pages(client, None).await?.tools)
}

async fn pages(client: &Client, wait: Option<&Wait<'_>>) -> Result<Listing, Failure> {
    let (mut listing, mut cursor) = (Listing::default(), None::<Json>);
    for _ in 0..MOST_PAGES {
        let page = page(client, cursor, wait).await?;
        let listed = page.get("tools").and_then(|tools| tools.elements());
        let listed = listed
            .into_iter()
            .flatten()
            .filter_map(|tool| tool.object());
        listing.tools.extend(listed);
        let missing = page
            .object("_meta")
            .and_then(|said| said.get(meta::MISSING)?.elements());
        let missing = missing
            .into_iter()
            .flatten()
            .filter_map(|said| Missing::of(&said.object()?));
        listing.missing.extend(missing);
        cursor = page.get("nextCursor").filter(|cursor| !cursor.is_null());
        if cursor.is_none() {
            break;
        }
    }
    Ok(listing)
}

async fn page(
    client: &Client,
    cursor: Option<Json>,
    wait: Option<&Wait<'_>>,
) -> Result<Object, Failure> {
    let mut said = Vec::new();
    if let Some(wait) = wait {
        let within = u64::try_from(wait.within.as_millis()).unwrap_or(u64::MAX);
        said.push((meta::WAIT, json!(within)));
        said.extend(wait.server.map(|server| (meta::SERVER, json!(server))));
    }
    let cursor = cursor.into_iter();
    let ask = Ask {
        method: "tools/list",
        name: None,
        params: cursor.map(|cursor| Edit::Set("cursor", cursor)).collect(),
        headers: Vec::new(),
        said,
    };
    let asked = match wait {
        Some(wait) => client.ask_within(wait.limit, ask).await?,
        None => client.ask(ask).await?,
    };
    match asked {
        Answer::Result(page) => Ok(page),
        Answer::Refused(refused) => Err(super::refused(&refused, true)),
    }
}
