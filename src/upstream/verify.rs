//! Who an account is, asked of its server: for a person who wants to know before anything is done in a name.
//!
//! Invariant: what is called for this is what `auth.oauth.whoami` names, or a tool that says of itself that it only reads,
//! and needs no argument.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use super::Failure;
use super::account::Account;
use super::connection::Use;
use super::key::Key;
use super::wire::Outgoing;
use crate::credential;
use crate::credential::oauth::Identity;
use crate::model::{Ask, Secret};
use crate::protocol::{Body, Envelope, Era, Events, Json, ListKind, Listing};
use crate::telemetry::redact;

/// How servers call the tool that tells who is logged in, the likeliest first.
const TOOLS: [&str; 8] = [
    "whoami",
    "who_am_i",
    "get_me",
    "me",
    "get_current_user",
    "get_authenticated_user",
    "current_user",
    "get_user",
];
/// For the lists of a server that was never seen.
const LISTS: Duration = Duration::from_secs(10);
/// A name and an address fit; a page does not.
const LONGEST: usize = 300;

/// An account that works.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The name that the server gives itself.
    pub server: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The revision that is spoken with it.
    pub revision: &'static str,
    /// How many tools it lists.
    pub tools: usize,
    /// Whom it takes the account for; `None` where it has no way to say.
    pub who: Option<Who>,
    /// Why what `auth.oauth.whoami` names does not say that, where it is configured.
    pub not_told: Option<String>,
}

/// What a server says of who is asking.
#[derive(Debug, Clone)]
pub struct Who {
    /// Its words, shortened.
    pub said: String,
    /// The tool that said them, or the URL.
    pub from: String,
}

impl Account {
    /// Connects, and asks the server who it thinks this is.
    pub(super) async fn verify(self: &Arc<Self>) -> Result<Verified, Failure> {
        // A person asks, so that what was refused a moment ago is tried.
        self.dial.credential.forget_refusal();
        let slot = self.shared();
        let used = self.wait(&slot).await?;
        let mut listed = self.listing.subscribe();
        let read = listed.wait_for(|listing| listing.server.is_some());
        // What is listed by then counts.
        timeout(LISTS, read).await.ok();
        let listing = Arc::clone(&self.listing.borrow());
        let (mut who, not_told) = match self.told(&used).await? {
            Some(Ok(who)) => (Some(who), None),
            Some(Err(why)) => {
                tracing::warn!(account = %self.id(), "`auth.oauth.whoami` does not say who that is: {why}");
                (None, Some(why))
            }
            None => (None, None),
        };
        if who.is_none() {
            if let Some(tool) = reader(&listing) {
                who = self.asked(&used, &tool).await?;
            } else {
                self.greeted(&used).await?;
            }
        }
        let info = used.facts.info.as_ref().and_then(Json::object);
        let text = |member: &str| {
            let said = info.as_ref().and_then(|info| info.text(member))?;
            Some(redact(&said).into_owned())
        };
        Ok(Verified {
            server: text("name"),
            version: text("version"),
            revision: used.facts.revision.as_str(),
            tools: listing.of(ListKind::Tools).len(),
            who,
            not_told,
        })
    }

    /// Calls a tool with a token that this account does not have yet, which is for the server at an origin. Nothing else of the account is used or changed.
    pub(super) async fn asked_with(
        &self,
        token: (&Arc<Secret>, &str),
        tool: &str,
        ground: &credential::Ground,
    ) -> Result<serde_json::Value, Failure> {
        let dial = self.dial.with_token(token, ground)?;
        let (dialled, _) = Box::pin(dial.connect(&Key::Shared)).await?;
        let params = Json::of(&json!({"name": tool, "arguments": {}}));
        let revision = dialled.facts.revision;
        let id = dialled.leg.next_id();
        let mut outgoing = Outgoing::own("tools/call", Some(&params), id, revision);
        outgoing.name = Some(tool.to_owned());
        let (events, _nobody) = Events::channel();
        let relayed = dialled
            .leg
            .exchange(&outgoing, None, revision.era(), &events);
        let answer = relayed.await;
        dialled.leg.end().await;
        let bad = |reason: &str| Failure::BadAnswer {
            account: self.id().clone(),
            reason: reason.to_owned(),
        };
        let Body::Whole(json) = answer?.body else {
            return Err(bad("it is too long"));
        };
        let envelope = Envelope::of(&json).map_err(|refused| bad(&refused.error.message))?;
        let result = envelope.result().ok_or_else(|| bad("it is an error"))?;
        serde_json::from_str(result.as_str()).map_err(|_| bad("it is no JSON"))
    }

    /// What `auth.oauth.whoami` of the account says, or why it does not; `None`: it is not configured.
    async fn told(&self, used: &Use) -> Result<Option<Result<Who, String>>, Failure> {
        let Some(grant) = self.dial.credential.grant() else {
            return Ok(None);
        };
        let settings = grant.settings();
        let Some(whoami) = &settings.whoami else {
            return Ok(None);
        };
        let (from, told) = match &whoami.ask {
            Ask::Tool(tool) => {
                let answer = self.called(used, tool).await?;
                let result = answer.as_ref().and_then(Envelope::result);
                let result = result.and_then(|result| serde_json::from_str(result.as_str()).ok());
                let told = result.map_or_else(
                    || Err("it answers with an error".to_owned()),
                    |result| Identity::of_result(&result, whoami),
                );
                (tool, told.map_err(|why| format!("tool `{tool}`: {why}")))
            }
            Ask::Url(url) => (url, grant.asked_at(url, whoami).await),
        };
        let told = told.map(|identity| Who {
            said: identity.to_string(),
            from: from.clone(),
        });
        Ok(Some(told.map_err(|why| redact(&why).into_owned())))
    }

    /// Calls the tool that tells.
    async fn asked(&self, used: &Use, tool: &str) -> Result<Option<Who>, Failure> {
        let said = self.called(used, tool).await?.as_ref().and_then(said);
        Ok(said.map(|said| Who {
            said,
            from: tool.to_owned(),
        }))
    }

    /// Calls a tool that needs no argument; `None`: its answer is no message, or too long.
    async fn called(&self, used: &Use, tool: &str) -> Result<Option<Envelope>, Failure> {
        let params = Json::of(&json!({"name": tool, "arguments": {}}));
        let revision = used.facts.revision;
        let mut outgoing = Outgoing::own("tools/call", Some(&params), used.leg.next_id(), revision);
        outgoing.name = Some(tool.to_owned());
        let (events, _nobody) = Events::channel();
        let relayed = used
            .leg
            .exchange(&outgoing, None, revision.era(), &events)
            .await?;
        let Body::Whole(json) = relayed.body else {
            return Ok(None);
        };
        Ok(Envelope::of(&json).ok())
    }

    /// A request that every server answers, so that the credential was used.
    async fn greeted(&self, used: &Use) -> Result<(), Failure> {
        let revision = used.facts.revision;
        let method = match revision.era() {
            Era::Legacy => "ping",
            Era::Modern => "server/discover",
        };
        used.leg
            .own(self.id(), method, None, revision)
            .await
            .map(drop)
    }
}

/// The tool that tells who is asking, if there is one that is safe to call.
fn reader(listing: &Listing) -> Option<String> {
    let tools = listing.of(ListKind::Tools);
    let known = |name: &&str| {
        let tool = tools.iter().find(|tool| tool.key == **name);
        tool.and_then(|tool| tool.json.object())
            .is_some_and(|tool| {
                let reads = tool.object("annotations").is_some_and(|hints| {
                    hints
                        .get("readOnlyHint")
                        .is_some_and(|hint| hint.as_str() == "true")
                });
                let schema = tool.object("inputSchema");
                let required = schema.and_then(|schema| schema.get("required"));
                reads && required.is_none_or(|required| required.as_str().trim() == "[]")
            })
    };
    TOOLS
        .iter()
        .find(|name| known(&&***name))
        .map(|name| (*name).to_owned())
}

/// The text of a result that is no error, on one line.
fn said(answer: &Envelope) -> Option<String> {
    let result: serde_json::Value = serde_json::from_str(answer.result()?.as_str()).ok()?;
    if result.get("isError").is_some_and(|is| is == true) {
        return None;
    }
    let texts = result.get("content")?.as_array()?.iter();
    let texts: Vec<&str> = texts.filter_map(|one| one.get("text")?.as_str()).collect();
    let text = texts.join(" ");
    let text: String = text
        .chars()
        .filter(|c| c.is_whitespace() || !c.is_control())
        .collect();
    // After that: a control character within a secret hides it from nobody else.
    let text = redact(&text);
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().take(LONGEST).collect();
    (!line.is_empty()).then_some(line)
}
