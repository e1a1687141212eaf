//! `prompts/get` of a profile view.

use crate::binding::Scope;
use crate::model::Subject;
use crate::protocol::{Events, ListKind, Outcome, Request};

use super::{Gateway, error, noted};

impl Gateway {
    pub(super) async fn get_prompt(
        &self,
        scope: &Scope,
        request: Request,
        events: &Events,
    ) -> Outcome {
        let Some(name) = request.params().text("name") else {
            return error::invalid_params("`name` is missing");
        };
        let (merged, failure) = self
            .list_with(scope, ListKind::Prompts, &request, &name)
            .await;
        let Some(entry) = merged.find(&name) else {
            return match failure {
                Some(failure) => {
                    noted::failed(scope, &Subject::Prompt(name), request.method(), &failure)
                }
                None => error::unknown("prompt", &name, merged.names()),
            };
        };
        match self.choose(scope, &entry.server, entry.argument, request) {
            Ok((chosen, request)) => {
                let subject = Subject::Prompt(entry.key.clone());
                self.relay(scope, chosen, subject, request, events).await
            }
            Err(refused) => refused,
        }
    }
}
