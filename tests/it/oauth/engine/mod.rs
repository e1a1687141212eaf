//! The refresh engine against an authorization server that rotates and remembers what it was shown.

mod answers;
mod away;
mod clocks;
mod configured;
mod effects;
mod faults;
mod kills;
mod machines;
mod outages;
mod races;
mod soak;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use janus::config::{self, Environment};
use janus::credential::oauth::{
    Grant, GrantState, Granted, Grants, Identity, Policy, Registration, RegistrationKind, Source,
    Tokens,
};
use janus::credential::{Clock, Ground, NoCredential};
use janus::model::{AccountId, AccountName, ClientAuthentication, OAuth, Secret, ServerName};
use janus::store::{StateDirectory, Store};
use janus::vault::{OAuthRows, Vault};
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::book::{self, REDIRECT};
use crate::support::authorization::{AuthorizationServer, Behaviour, Proof};

const RESOURCE: &str = "http://127.0.0.1:1/mcp";
const AWAY: &str = "ALTER TABLE oauth_grant RENAME TO away";
const BACK: &str = "ALTER TABLE away RENAME TO oauth_grant";
const HOUR: Duration = Duration::from_hours(1);

/// An authorization server, and a state directory beside which engines live.
struct Rig {
    home: TempDir,
    authority: AuthorizationServer,
    clock: Clock,
}

/// One life of an engine, in a runtime of its own.
struct Life {
    runtime: Option<Runtime>,
    grants: Grants,
    grant: Arc<Grant>,
    vault: Vault,
    store: Store,
    stopping: CancellationToken,
    tasks: TaskTracker,
    policy: Policy,
    _state: StateDirectory,
}

impl Rig {
    async fn new(behaviour: Behaviour) -> Self {
        let authority = AuthorizationServer::start(behaviour).await;
        authority.preregister("janus", Proof::None, &[REDIRECT]);
        let home = TempDir::with_prefix("janus-engine-").unwrap();
        Self {
            home,
            authority,
            clock: Clock::movable(),
        }
    }

    /// One whose account has logged in.
    async fn logged_in(behaviour: Behaviour) -> (Self, Life) {
        let rig = Self::new(behaviour).await;
        let life = rig.life();
        life.begin(rig.granted().await).await.unwrap();
        (rig, life)
    }

    /// Another account of the same life, which has logged in.
    async fn another(&self, life: &Life, name: &str) -> Arc<Grant> {
        let grant = {
            let _entered = life.runtime().enter();
            let settings = Arc::new(OAuth::default());
            life.grants
                .of(&account(name), &settings, &life.policy, false)
        };
        let mut granted = self.granted().await;
        granted.registration.id = format!("registration-of-{name}").into();
        granted.registration.account = Some(AccountName::new(name).unwrap());
        let begun = Arc::clone(&grant);
        let begun = life
            .runtime()
            .spawn(async move { begun.begin(granted).await });
        begun.await.unwrap().unwrap();
        grant
    }

    fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// What Janus does when it is started.
    fn life(&self) -> Life {
        self.life_of(&account("one"), OAuth::default())
    }

    fn life_of(&self, account: &AccountId, settings: OAuth) -> Life {
        self.life_at(account, settings, self.policy())
    }

    fn life_at(&self, account: &AccountId, settings: OAuth, policy: Policy) -> Life {
        life(self.home.path(), &self.clock, (account, settings, policy))
    }

    /// Time goes by, here and there.
    fn advance(&self, by: Duration) {
        self.authority.advance(by);
        self.clock.advance(by);
    }

    /// What a login brings.
    async fn granted(&self) -> Granted {
        granted(self.authority.issuer(), &log_in(&self.authority).await)
    }

    fn policy(&self) -> Policy {
        policy(self.authority.issuer())
    }

    fn source(&self) -> Source {
        source(self.authority.issuer())
    }

    /// Whether the provider takes this token now.
    fn takes(&self, token: &Secret) -> bool {
        self.authority.owner(token.expose()).is_some()
    }
}

impl Life {
    /// The account is configured anew.
    fn configure(&self, settings: OAuth, policy: &Policy) {
        let _entered = self.runtime().enter();
        let account = self.grant.account();
        let grant = self.grants.of(account, &Arc::new(settings), policy, false);
        assert!(Arc::ptr_eq(&grant, &self.grant));
    }

    async fn token(&self) -> Result<Arc<Secret>, NoCredential> {
        self.grant.token().await.map(|token| token.unwrap())
    }

    async fn begin(&self, granted: Granted) -> Result<(), janus::vault::Refused> {
        let grant = Arc::clone(&self.grant);
        let begun = self
            .runtime()
            .spawn(async move { grant.begin(granted).await });
        begun.await.unwrap()
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().unwrap()
    }

    fn state(&self) -> GrantState {
        self.grant.status().state
    }

    /// Waits until it stands like this.
    async fn stands(&self, wanted: impl Fn(&GrantState) -> bool) {
        let mut changes = self.grant.watch();
        let waited = async {
            loop {
                changes.mark_unchanged();
                if wanted(&self.state()) {
                    return;
                }
                changes.changed().await.unwrap();
            }
        };
        let patience = crate::support::PATIENCE / 2;
        assert!(
            tokio::time::timeout(patience, waited).await.is_ok(),
            "it stands as {:?}",
            self.grant.status()
        );
    }

    /// The process is killed: nothing that runs goes on, and nobody cleans up.
    fn kill(mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// It is stopped in order.
    async fn stop(mut self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.store.close().await;
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What Janus does when it is started, with its state below `home`.
fn life(
    home: &Path,
    clock: &Clock,
    (account, settings, policy): (&AccountId, OAuth, Policy),
) -> Life {
    let state = StateDirectory::open(&home.join("state")).unwrap();
    let (store, mut kept) = Store::open(&state).unwrap();
    let key = home.join("vault.key");
    let text = format!("vault: {{ key: file, key_file: {} }}\n", key.display());
    let run = home.join("run");
    let variables = [
        ("HOME", home.to_str().unwrap()),
        ("XDG_RUNTIME_DIR", run.to_str().unwrap()),
    ];
    let environment = Environment::new(variables, 0);
    let loaded = config::parse(&text, Path::new("/nowhere"), &environment).unwrap();
    let oauth = OAuthRows::of(&mut kept);
    let vault = Vault::new(&store, &loaded.settings.vault, kept.vault, kept.secrets);
    let vault = vault.with_oauth(oauth);
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let entered = runtime.enter();
    tasks.spawn(vault.clone().watch(stopping.clone()));
    let ground = Ground::new(
        &loaded.settings,
        vault.clone(),
        clock.clone(),
        (tasks.clone(), stopping.clone()),
    );
    let grant = ground
        .grants
        .of(account, &Arc::new(settings), &policy, false);
    drop(entered);
    Life {
        runtime: Some(runtime),
        grants: ground.grants,
        grant,
        vault,
        store,
        stopping,
        tasks,
        policy,
        _state: state,
    }
}

fn account(name: &str) -> AccountId {
    AccountId::new(
        ServerName::new("s").unwrap(),
        AccountName::new(name).unwrap(),
    )
}

/// The server is where the authorization server is.
fn policy(issuer: &str) -> Policy {
    Policy {
        server: issuer.parse().unwrap(),
        private: false,
        ca: None,
    }
}

fn source(issuer: &str) -> Source {
    Source {
        issuer: issuer.to_owned(),
        token_endpoint: format!("{issuer}/oauth/token"),
        revocation_endpoint: Some(format!("{issuer}/oauth/revoke")),
        userinfo_endpoint: None,
        resource: Some(RESOURCE.to_owned()),
        methods: Vec::new(),
    }
}

/// What these tokens of a login are.
fn granted(issuer: &str, tokens: &Value) -> Granted {
    Granted {
        registration: registration(issuer),
        server: policy(issuer).origin(),
        source: source(issuer),
        scopes: vec!["read".to_owned()],
        tokens: read(tokens),
        verified_as: Some(Identity {
            subject: "ana".to_owned(),
            workspace: None,
        }),
        known_as: None,
    }
}

fn registration(issuer: &str) -> Registration {
    Registration {
        id: "registration".into(),
        issuer: issuer.to_owned(),
        server: ServerName::new("s").unwrap(),
        account: Some(AccountName::new("one").unwrap()),
        kind: RegistrationKind::Dynamic,
        client_id: "janus".to_owned(),
        client_secret: None,
        signing_key: None,
        method: ClientAuthentication::None,
        secret_expires: None,
        managed: None,
        redirect_uri: REDIRECT.to_owned(),
        created: SystemTime::now(),
    }
}

fn read(tokens: &Value) -> Tokens {
    let secret = |name: &str| {
        tokens[name]
            .as_str()
            .map(|token| Arc::new(Secret::new(token)))
    };
    Tokens {
        access: secret("access_token").unwrap_or_else(|| panic!("no token: {tokens}")),
        refresh: secret("refresh_token"),
        life: tokens["expires_in"].as_u64().map(Duration::from_secs),
        scopes: None,
        id_token: None,
    }
}

/// A login by the book.
async fn log_in(authority: &AuthorizationServer) -> Value {
    book::log_in(authority, "janus", RESOURCE).await
}

/// What another hand does to the database: [`AWAY`], it refuses every change of a grant; [`BACK`], it is well again.
fn database(home: &Path, statement: &str) {
    let database = Connection::open(home.join("state/janus.db")).unwrap();
    database.execute_batch(statement).unwrap();
}
