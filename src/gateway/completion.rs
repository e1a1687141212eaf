//! `completion/complete` of a profile view: its `ref` names a prompt or a template as this view shows it.

use crate::binding::Scope;
use crate::catalog::Found;
use crate::model::Subject;
use crate::protocol::{Events, ListKind, Outcome, Request};

use super::{Gateway, error, noted};

impl Gateway {
    pub(super) async fn complete(
        &self,
        scope: &Scope,
        request: Request,
        events: &Events,
    ) -> Outcome {
        let Some(reference) = request.params().object("ref") else {
            return error::invalid_params("`ref` is missing");
        };
        let (chosen, subject, request) = match (
            reference.text("type").as_deref(),
            reference.text("name"),
            reference.text("uri"),
        ) {
            (Some("ref/prompt"), Some(name), _) => {
                let (merged, failure) = self
                    .list_with(scope, ListKind::Prompts, &request, &name)
                    .await;
                let Some(entry) = merged.find(&name) else {
                    return match failure {
                        Some(failure) => {
                            let subject = Subject::PromptCompletion(name);
                            noted::failed(scope, &subject, request.method(), &failure)
                        }
                        None => error::unknown("prompt", &name, merged.names()),
                    };
                };
                match self.choose(scope, &entry.server, None, request) {
                    Ok((chosen, request)) => (
                        chosen,
                        Subject::PromptCompletion(entry.key.clone()),
                        request,
                    ),
                    Err(refused) => return refused,
                }
            }
            (Some("ref/resource"), _, Some(uri)) => {
                self.settled(scope).await;
                match self.addresses(scope).find(&uri) {
                    Found::At(account, own) => match scope.member(&account) {
                        Some(chosen) => match self.agreed(scope, &account, None, request) {
                            Ok(request) => (chosen, Subject::ResourceCompletion(own), request),
                            Err(refused) => return refused,
                        },
                        None => return error::invalid_params("no server here has this template"),
                    },
                    Found::Choice(server, own) => {
                        match self.choose(scope, &server, None, request) {
                            Ok((chosen, request)) => {
                                (chosen, Subject::ResourceCompletion(own), request)
                            }
                            Err(refused) => return refused,
                        }
                    }
                    Found::Ambiguous(choices) => {
                        return error::invalid_params(format!(
                            "several servers have this template; name one of: {}",
                            choices.join(", ")
                        ));
                    }
                    Found::Nowhere => {
                        return error::invalid_params("no server here has this template");
                    }
                }
            }
            _ => {
                return error::invalid_params(
                    "`ref` is a `ref/prompt` with a `name` or a `ref/resource` with a `uri`",
                );
            }
        };
        self.relay(scope, chosen, subject, request, events).await
    }
}
