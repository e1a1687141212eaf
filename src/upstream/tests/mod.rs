//! The whole of it against real processes and real HTTP servers.

mod logout;
mod process;
mod remote;
mod restart;
pub(super) mod scripted;
mod surroundings;

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Change, Failure, State, Upstream};

use crate::binding::Binding;
use crate::credential::{self, Clock};
use crate::model::{
    AccountId, Command, Endpoint, EraChoice, HttpEndpoint, Identity, Listen, ProxySettings, Server,
    ServerName, Settings, Sharing, Subject, ToolFilter, VaultSettings,
};
use crate::policy::Policy;
use crate::protocol::{
    Body, ClientFacts, Envelope, Event, EventQueue, Events, Json, ListKind, Relayed, Request,
    Revision,
};
use crate::store::{Kept, Store};
use crate::vault::Vault;

/// No test waits for it to pass.
const PATIENT: Duration = Duration::from_mins(1);

/// Janus's upstream side with one server behind it.
struct Rig {
    upstream: Upstream,
    account: AccountId,
    server: Server,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

fn server(endpoint: Endpoint) -> Server {
    Server {
        name: ServerName::new("s").unwrap(),
        accounts: vec![crate::model::Account::only(endpoint)],
        default: None,
        description: None,
        timeout: PATIENT,
        idle: None,
        sharing: Sharing::Auto,
        era: EraChoice::Auto,
        transport: crate::model::Transport::Auto,
        tools: ToolFilter::default(),
    }
}

fn client(session: Option<&str>) -> Arc<ClientFacts> {
    let capabilities = Json::parse(r#"{"elicitation":{}}"#.into()).unwrap();
    Arc::new(ClientFacts {
        revision: Revision::V2025_11_25,
        capabilities: capabilities.object().unwrap(),
        info: None,
        session: session.map(Arc::from),
    })
}

impl Rig {
    fn new(server: Server) -> Self {
        Self::over(server, Store::in_memory().unwrap())
    }

    /// With what the store has kept.
    fn over(server: Server, (store, kept): (Store, Kept)) -> Self {
        let settings = Settings {
            file: None,
            listen: Listen {
                http: ([127, 0, 0, 1], 0).into(),
                socket: "/nowhere".into(),
                http_is_configured: false,
                socket_is_configured: false,
                control: "/nowhere".into(),
                session_idle: PATIENT,
                question_timeout: PATIENT,
                upgrade_on_reload: false,
            },
            state_directory: "/nowhere".into(),
            servers: vec![Arc::new(server.clone())],
            identity: Identity::plain([]),
            child_environment: vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".into())],
            proxy: ProxySettings::default(),
            vault: VaultSettings::default(),
        };
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        Self {
            upstream: Upstream::new(
                &settings,
                &store,
                kept.listings,
                kept.eras,
                credential::Ground::new(
                    &settings,
                    Vault::new(&store, &settings.vault, kept.vault, kept.secrets),
                    Clock::default(),
                    (tasks.clone(), shutdown.clone()),
                ),
                shutdown.clone(),
            ),
            account: AccountId::default_of(&server.name),
            server,
            tasks,
            shutdown,
        }
    }

    /// Begins, and waits for the lists.
    async fn start(&self) {
        self.upstream.start();
        self.upstream.settled(&self.account, PATIENT).await;
    }

    async fn call(&self, session: &str, tool: &str) -> Result<Relayed, Failure> {
        self.call_with(session, tool, &Events::channel().0).await
    }

    async fn call_with(
        &self,
        session: &str,
        tool: &str,
        events: &Events,
    ) -> Result<Relayed, Failure> {
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{{"name":"{tool}","arguments":{{"region":"north"}}}}}}"#
        );
        let request = Request {
            message: Envelope::parse(message.into()).unwrap(),
            client: client(Some(session)),
            param_headers: Vec::new(),
            over_http: true,
            log_level: None,
            holder: None,
        };
        let subject = Subject::Tool(tool.to_owned());
        let scope = Binding::everything([&self.server.name]);
        let route = scope.member(&self.account).unwrap().route(subject.clone());
        let permitted = Policy::new([&self.server])
            .permit(&self.account, &subject, route)
            .unwrap();
        let identity = Json::of(&serde_json::json!({"account": "a"}));
        self.upstream
            .forward(&permitted, &request, Some(&identity), events)
            .await
    }

    fn tools(&self) -> Vec<String> {
        let listing = self.upstream.listing(&self.account);
        let tools = listing.of(ListKind::Tools).iter();
        tools.map(|tool| tool.key.clone()).collect()
    }

    async fn state(&self, wanted: impl FnMut(&State) -> bool) -> State {
        let mut state = self.upstream.state(&self.account);
        state.wait_for(wanted).await.unwrap().clone()
    }

    /// Ends it, and sees that no task is left.
    async fn end(self) {
        self.upstream.shutdown().await;
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn value(relayed: Result<Relayed, Failure>) -> serde_json::Value {
    match relayed.unwrap().body {
        Body::Whole(json) => json.read().unwrap(),
        Body::Stream(_) => panic!("a short answer is whole"),
    }
}

async fn next(queue: &EventQueue) -> Event {
    poll_fn(|cx| queue.poll_next(cx)).await
}
