//! The way of one request to one account: route, permission, forward, and what must be sealed on the way back.

use std::borrow::Cow;

use crate::binding::{Chosen, Scope, View};
use crate::model::{AccountId, Subject};
use crate::protocol::{
    Body, Completion, Edit, Envelope, Era, Events, Json, Outcome, Relayed, Request,
};

use super::login::Asked;
use super::{Gateway, bridge, error, noted, sealed};

impl Gateway {
    /// Sends a request to an account that an address or a seal of ours names, or that is one of all that are meant.
    pub(super) async fn relay_to(
        &self,
        scope: &Scope,
        account: &AccountId,
        subject: Subject,
        request: Request,
        events: &Events,
    ) -> Outcome {
        match scope.member(account) {
            Some(chosen) => self.relay(scope, chosen, subject, request, events).await,
            None => error::invalid_params("the account is not in reach here"),
        }
    }

    /// Sends a request to the account that was chosen and gives back its answer.
    pub(super) async fn relay(
        &self,
        scope: &Scope,
        chosen: Chosen,
        subject: Subject,
        request: Request,
        events: &Events,
    ) -> Outcome {
        let route = chosen.route(subject);
        let (account, subject) = (route.account().clone(), route.subject().clone());
        let known = self.known();
        let voice = known.voice(scope, &route, &self.upstream);
        let permitted = match known.policy.permit(&account, &subject, route) {
            Ok(permitted) => permitted,
            Err(denied) => return noted::denied(scope, request.method(), &denied),
        };
        let request = match self.opened(scope, &account, &request) {
            Ok(request) => request,
            Err(refused) => return refused,
        };
        let (identity, speaker) = voice.map_or((None, None), |voice| {
            // Where there is one account only, its client knows whom it asked.
            let named = scope.view() == &View::Profile;
            (Some(voice.identity), named.then_some(voice.speaker))
        });
        events.speak_for(speaker);
        let forward = || {
            self.upstream
                .forward(&permitted, &request, identity.as_ref(), events)
        };
        let mut forwarded = forward().await;
        if let Err(failure) = &forwarded
            && failure.needs_login().is_some()
        {
            // Boxed, as what follows: no other call carries them.
            match Box::pin(self.login_wanted(scope, &subject, &request, failure, events)).await {
                Asked::LoggedIn => forwarded = Box::pin(forward()).await,
                Asked::Told(outcome) => return outcome,
            }
        }
        match forwarded {
            Ok(relayed) if bridge::is_asked(&relayed, &request) => {
                let asked = bridge::Asked {
                    gateway: self,
                    scope,
                    permitted: &permitted,
                    request: &request,
                    identity: identity.as_ref(),
                    events,
                };
                Box::pin(asked.answered(relayed)).await
            }
            Ok(relayed) => self.returned(scope, &account, &request, relayed, events),
            Err(failure) => Box::pin(self.failed(scope, &subject, &request, &failure)).await,
        }
    }

    /// The request with the server's own `requestState` in place of the sealed one.
    fn opened<'r>(
        &self,
        scope: &Scope,
        account: &AccountId,
        request: &'r Request,
    ) -> Result<Cow<'r, Request>, Outcome> {
        let params = request.params();
        let given = params.get("requestState");
        let Some(state) = given.filter(|state| !state.is_null()) else {
            return Ok(Cow::Borrowed(request));
        };
        let state = state
            .as_text()
            .and_then(|state| self.open_state(&sealed::context(scope, account, request), &state));
        let Some(state) = state else {
            return Err(error::invalid_params(
                "`requestState` was not made for this request, or its time is over: call again without it",
            ));
        };
        let text = request
            .message
            .with_params(params.edited(&[Edit::Set("requestState", Json::string(&state))]));
        let message = Envelope::of(&text).map_err(|refused| Outcome::Error(refused.error))?;
        Ok(Cow::Owned(Request {
            message,
            ..request.clone()
        }))
    }

    /// The answer as it may leave: what a server wants carried is sealed, what the client's era lacks is said.
    pub(super) fn returned(
        &self,
        scope: &Scope,
        account: &AccountId,
        request: &Request,
        relayed: Relayed,
        events: &Events,
    ) -> Outcome {
        match (relayed.completion, relayed.era, request.client.era()) {
            (Completion::Extension, Era::Modern, Era::Legacy) => {
                error::not_translated(request.method(), account, "answers with a task")
            }
            (Completion::InputRequired, ..) => self.edited(relayed, |gateway, result| {
                let mut edits = Vec::new();
                if let (Some(speaker), Some(asked)) =
                    (events.speaker(), result.object("inputRequests"))
                {
                    edits.push(Edit::Set("inputRequests", bridge::spoken(&asked, &speaker)));
                }
                if let Some(state) = result.text("requestState") {
                    let context = sealed::context(scope, account, request);
                    let sealed = gateway.seal_state(&context, &state);
                    edits.push(Edit::Set("requestState", Json::string(&sealed)));
                }
                (!edits.is_empty()).then(|| result.edited(&edits))
            }),
            (Completion::Extension, ..) => self.edited(relayed, |gateway, result| {
                let task = result.text("taskId")?;
                Some(result.edited(&[Edit::Set(
                    "taskId",
                    Json::string(&gateway.seal_task(scope, account, &task)),
                )]))
            }),
            _ => Outcome::Relayed(relayed),
        }
    }

    /// The answer with its result edited; as it is where there is nothing to edit.
    pub(super) fn edited(
        &self,
        mut relayed: Relayed,
        edit: impl FnOnce(&Self, &crate::protocol::Object) -> Option<Json>,
    ) -> Outcome {
        if let Body::Whole(text) = &relayed.body
            && let Some(message) = text.object()
            && let Some(result) = message.object("result")
            && let Some(edited) = edit(self, &result)
        {
            relayed.body = Body::Whole(message.edited(&[Edit::Set("result", edited)]));
        }
        Outcome::Relayed(relayed)
    }
}
