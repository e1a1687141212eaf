//! `resources/read`, `resources/subscribe`, `resources/unsubscribe` of a profile view.

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde_json::json;

use crate::binding::{Chosen, Scope};
use crate::catalog::{Found, told_apart};
use crate::model::{AccountId, ServerName, Subject};
use crate::protocol::{Edit, Era, Events, Json, Object, Outcome, Request, RpcError, code};

use super::{Gateway, error};
use crate::upstream::{Failure, State};

impl Gateway {
    pub(super) async fn read_resource(
        &self,
        scope: &Scope,
        request: Request,
        events: &Events,
    ) -> Outcome {
        let Some(shown) = request.params().text("uri") else {
            return error::invalid_params("`uri` is missing");
        };
        let (chosen, own, request) = match self.addressed(scope, &shown, request).await {
            Ok(found) => found,
            Err(refused) => return refused,
        };
        let subject = Subject::Resource(own.clone());
        let outcome = self.relay(scope, chosen, subject, request, events).await;
        match outcome {
            Outcome::Relayed(relayed) if own != shown => {
                self.edited(relayed, |_, result| with_shown_uri(result, &own, &shown))
            }
            other => other,
        }
    }

    pub(super) async fn subscribe(
        &self,
        scope: &Scope,
        request: Request,
        events: &Events,
    ) -> Outcome {
        if request.client.era() == Era::Modern {
            return Outcome::Error(error::method_not_found(request.method()));
        }
        let Some(uri) = request.params().text("uri") else {
            return error::invalid_params("`uri` is missing");
        };
        let (account, own) = match self.resource(scope, &uri).await {
            Ok(Found::At(account, own)) => (account, own),
            // What is chosen may change before it is let go.
            Ok(Found::Choice(server, own)) => return several(scope, &server, &own),
            Ok(Found::Ambiguous(choices)) => return ambiguous(&choices),
            Ok(Found::Nowhere) => return nowhere(&request, &uri, &[]),
            Err(not_up) => return nowhere(&request, &uri, &not_up),
        };
        let request = match self.agreed(scope, &account, None, request) {
            Ok(request) => request,
            Err(refused) => return refused,
        };
        self.relay_to(scope, &account, Subject::Resource(own), request, events)
            .await
    }

    /// The account that a read goes to, its own URI, and the request without the word that chose the account.
    async fn addressed(
        &self,
        scope: &Scope,
        uri: &str,
        request: Request,
    ) -> Result<(Chosen, String, Request), Outcome> {
        match self.resource(scope, uri).await {
            Ok(Found::At(account, own)) => match scope.member(&account) {
                Some(chosen) => Ok((chosen, own, self.agreed(scope, &account, None, request)?)),
                None => Err(nowhere(&request, uri, &[])),
            },
            Ok(Found::Choice(server, own)) => {
                let (chosen, request) = self.choose(scope, &server, None, request)?;
                Ok((chosen, own, request))
            }
            Ok(Found::Ambiguous(choices)) => Err(ambiguous(&choices)),
            Ok(Found::Nowhere) => Err(nowhere(&request, uri, &[])),
            Err(not_up) => Err(nowhere(&request, uri, &not_up)),
        }
    }

    /// Where a resource is, waited for if nobody has it yet: a URI names no server, so that every one that is still starting
    /// may have it. What failed before is not tried again for it.
    ///
    /// # Errors
    /// Nobody has it, and these servers, any of which may, did not come up.
    async fn resource(&self, scope: &Scope, uri: &str) -> Result<Found, Vec<Failure>> {
        let find = || Some(self.addresses(scope).find(uri)).filter(|it| *it != Found::Nowhere);
        if let Some(found) = find() {
            return Ok(found);
        }
        let is_starting = |account: &&AccountId| {
            let state = self.upstream().state(account);
            let may_come = matches!(
                *state.borrow(),
                State::Idle | State::Connecting | State::Ready { .. }
            );
            may_come && self.listing(account).server.is_none()
        };
        let starting = scope.accounts().iter().filter(is_starting);
        let mut waited: FuturesUnordered<_> = starting
            .map(|account| self.upstream().listed(account))
            .collect();
        let mut not_up = Vec::new();
        while let Some(listed) = waited.next().await {
            if let Some(found) = find() {
                return Ok(found);
            }
            not_up.extend(listed.err());
        }
        if not_up.is_empty() {
            return Ok(Found::Nowhere);
        }
        not_up.sort_by(|one, other| one.account().cmp(other.account()));
        Err(not_up)
    }
}

fn several(scope: &Scope, server: &ServerName, uri: &str) -> Outcome {
    let accounts = scope
        .accounts()
        .iter()
        .filter(|account| account.server() == server);
    let choices: Vec<String> = accounts.map(|account| told_apart(account, uri)).collect();
    ambiguous(&choices)
}

fn ambiguous(choices: &[String]) -> Outcome {
    error::invalid_params(format!(
        "several accounts have this resource; name one of: {}",
        choices.join(", ")
    ))
}

/// Nobody has it. Whose lists are not known is said beside that: most often it has nothing to do with them.
fn nowhere(request: &Request, uri: &str, not_up: &[Failure]) -> Outcome {
    let mut message = "no server here has this resource".to_owned();
    let mut data = json!({"uri": uri});
    if !not_up.is_empty() {
        let accounts = not_up.iter().map(|failure| failure.account().to_string());
        let accounts: Vec<String> = accounts.collect();
        message.push_str("; not looked into, as not reached: ");
        message.push_str(&accounts.join(", "));
        data = json!({"uri": uri, "not_up": error::not_up(not_up)});
    }
    let error = RpcError::new(not_found_code(request), message);
    Outcome::Error(error.with_data(&data))
}

fn not_found_code(request: &Request) -> i64 {
    match request.client.era() {
        Era::Legacy => code::RESOURCE_NOT_FOUND,
        Era::Modern => code::INVALID_PARAMS,
    }
}

/// The contents under the URI the client asked for.
fn with_shown_uri(result: &Object, own: &str, shown: &str) -> Option<Json> {
    let contents = result.get("contents")?.elements()?;
    let renamed = contents.into_iter().map(|content| match content.object() {
        Some(object) if object.text("uri").as_deref() == Some(own) => {
            object.edited(&[Edit::Set("uri", Json::string(shown))])
        }
        _ => content,
    });
    Some(result.edited(&[Edit::Set(
        "contents",
        Json::array(&renamed.collect::<Vec<_>>()),
    )]))
}
