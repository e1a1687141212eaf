//! The transparent view: one account as if Janus were not there. Requests and answers pass with the server's own
//! names; only what belongs to a connection or an era is edited.

use crate::binding::Scope;
use crate::model::{AccountId, Sharing, Subject};
use crate::protocol::{
    Body, ClientFacts, Edit, Envelope, Era, Events, Json, ListKind, Object, Outcome, Relayed,
    Request,
};

use super::{Gateway, error, lifecycle};

impl Gateway {
    pub(super) async fn transparent(
        &self,
        scope: &Scope,
        account: &AccountId,
        request: Request,
        events: &Events,
    ) -> Outcome {
        let (chosen, request) = match self.choose(scope, account.server(), None, request) {
            Ok(chosen) => chosen,
            Err(refused) => return refused,
        };
        let params = request.params();
        let subject = match (request.method(), params.text("name"), params.text("uri")) {
            ("ping", ..) => return lifecycle::pong(&request),
            ("server/discover", ..) => return self.discover(scope, &request).await,
            ("logging/setLevel", ..) => return self.set_level(scope, request, events).await,
            ("subscriptions/listen", ..) => return self.listen(scope, request, events).await,
            ("tasks/get" | "tasks/update" | "tasks/cancel", ..)
                if request.client.era() == Era::Modern =>
            {
                return self.task(scope, request, events).await;
            }
            // Tasks of one era mean nothing in the other.
            (method, ..)
                if method.starts_with("tasks/")
                    && self
                        .era_of(account)
                        .is_some_and(|era| era != request.client.era()) =>
            {
                return Outcome::Error(error::method_not_found(method));
            }
            ("tools/call", Some(name), _) => Subject::Tool(name),
            ("prompts/get", Some(name), _) => Subject::Prompt(name),
            ("resources/read", _, Some(uri)) => Subject::Resource(uri),
            ("resources/subscribe" | "resources/unsubscribe", _, Some(_)) => {
                return self.subscribe_at(scope, account, request, events).await;
            }
            // On a shared connection one session would see another's tasks.
            ("tasks/list", ..) if !self.is_per_session(account) => {
                return Outcome::Error(error::method_not_found(request.method()));
            }
            (method, ..) => Subject::Method(method.to_owned()),
        };
        if let Subject::Tool(tool) = &subject
            && let Err(refused) = self.param_headers(scope, &request, account, tool).await
        {
            return refused;
        }
        let kind = ListKind::of_method(request.method());
        let era = request.client.era();
        match (
            self.relay(scope, chosen, subject, request, events).await,
            kind,
        ) {
            (Outcome::Relayed(relayed), Some(kind)) => {
                self.list_as_allowed(account, kind, era, relayed)
            }
            (other, _) => other,
        }
    }

    async fn subscribe_at(
        &self,
        scope: &Scope,
        account: &AccountId,
        request: Request,
        events: &Events,
    ) -> Outcome {
        if request.client.era() == Era::Modern {
            return Outcome::Error(error::method_not_found(request.method()));
        }
        let Some(uri) = request.params().text("uri") else {
            return error::invalid_params("`uri` is missing");
        };
        self.relay_to(scope, account, Subject::Resource(uri), request, events)
            .await
    }

    fn is_per_session(&self, account: &AccountId) -> bool {
        let known = self.known();
        let server = known.servers.get(account.server());
        server.is_some_and(|server| server.sharing == Sharing::PerSession)
    }

    /// The era of a server, once it was reached.
    pub(super) fn era_of(&self, account: &AccountId) -> Option<Era> {
        self.listing(account)
            .server
            .as_ref()
            .map(|server| server.revision.era())
    }

    /// A page of a list without what the rules hide and what the client's era cannot take. A page that needs no edit
    /// stays as it is.
    fn list_as_allowed(
        &self,
        account: &AccountId,
        kind: ListKind,
        era: Era,
        relayed: Relayed,
    ) -> Outcome {
        let other_era = relayed.era != era;
        if kind != ListKind::Tools || (!other_era && !self.known().policy.hides_tools(account)) {
            return Outcome::Relayed(relayed);
        }
        if matches!(relayed.body, Body::Stream(_)) {
            // A list too long to be held cannot be judged item by item as it passes; the snapshot has been.
            return self.snapshot(account, era);
        }
        self.edited(relayed, |gateway, result| {
            let tools = result.get(kind.member())?.elements()?;
            let kept: Vec<Json> = tools
                .into_iter()
                .filter_map(|tool| gateway.tool_as_allowed(account, era, tool))
                .collect();
            Some(result.edited(&[Edit::Set(kind.member(), Json::array(&kept))]))
        })
    }

    fn snapshot(&self, account: &AccountId, era: Era) -> Outcome {
        let listing = self.listing(account);
        let kept: Vec<Json> = listing
            .tools
            .iter()
            .filter_map(|tool| self.tool_as_allowed(account, era, tool.json.clone()))
            .collect();
        let result =
            Object::empty().edited(&[Edit::Set(ListKind::Tools.member(), Json::array(&kept))]);
        Outcome::Result {
            result,
            cache: Some(super::lists::LIST_TTL),
        }
    }

    fn tool_as_allowed(&self, account: &AccountId, era: Era, tool: Json) -> Option<Json> {
        let object = tool.object()?;
        let name = object.text("name")?;
        if self
            .known()
            .policy
            .against(account, &Subject::Tool(name))
            .is_some()
        {
            return None;
        }
        crate::catalog::for_era(tool, era)
    }

    /// A client's notification, passed on to the one server of a transparent view. In a merged view there is nobody
    /// whose business it surely is, except for changed roots, which concern all that may have asked.
    pub(super) async fn pass_notification(
        &self,
        scope: &Scope,
        client: &ClientFacts,
        message: &Envelope,
    ) {
        let roots = message.method() == "notifications/roots/list_changed";
        for account in scope.accounts() {
            if scope.accounts().len() > 1 && !roots {
                return;
            }
            let subject = Subject::Method(message.method().to_owned());
            let Some(route) = scope
                .member(account)
                .map(|chosen| chosen.route(subject.clone()))
            else {
                continue;
            };
            if let Ok(permitted) = self.known().policy.permit(account, &subject, route) {
                self.upstream.notify(permitted, message, client).await;
            }
        }
    }
}
