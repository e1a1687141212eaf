//! `resources/read`, `resources/subscribe`, `resources/unsubscribe` of a profile view.

use crate::binding::Scope;
use crate::catalog::Found;
use crate::model::{AccountId, Subject};
use crate::protocol::{Edit, Era, Events, Json, Object, Outcome, Request, RpcError, code};

use super::{Gateway, error};

impl Gateway {
    pub(super) async fn read_resource(
        &self,
        scope: &Scope,
        request: Request,
        events: &Events,
    ) -> Outcome {
        let (account, own, shown) = match self.resource(scope, &request).await {
            Ok(found) => found,
            Err(refused) => return refused,
        };
        let outcome = self
            .relay(
                scope,
                &account,
                Subject::Resource(own.clone()),
                request,
                events,
            )
            .await;
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
        let (account, own, _) = match self.resource(scope, &request).await {
            Ok(found) => found,
            Err(refused) => return refused,
        };
        if self.era_of(&account) == Some(Era::Modern) {
            return error::not_translated(
                request.method(),
                &account,
                "has subscriptions of its own kind",
            );
        }
        self.relay(scope, &account, Subject::Resource(own), request, events)
            .await
    }

    /// The account, its own URI, and the URI as the client wrote it.
    async fn resource(
        &self,
        scope: &Scope,
        request: &Request,
    ) -> Result<(AccountId, String, String), Outcome> {
        let Some(uri) = request.params().text("uri") else {
            return Err(error::invalid_params("`uri` is missing"));
        };
        let mut found = self.addresses(scope).find(&uri);
        if found == Found::Nowhere {
            self.settled(scope).await;
            found = self.addresses(scope).find(&uri);
        }
        match found {
            Found::At(account, own) => Ok((account, own, uri)),
            Found::Ambiguous(choices) => Err(error::invalid_params(format!(
                "several servers have this resource; read one of: {}",
                choices.join(", ")
            ))),
            Found::Nowhere => Err(Outcome::Error(
                RpcError::new(not_found_code(request), "no server here has this resource")
                    .with_data(&serde_json::json!({"uri": uri})),
            )),
        }
    }
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
