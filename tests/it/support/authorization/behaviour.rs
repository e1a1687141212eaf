//! How the authorization server behaves: by the book, unless a test says otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

/// What a test may change, before the start or in the middle (`AuthorizationServer::behave`).
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Behaviour {
    /// The path of the issuer: empty, or `/tenant`. It counts at the start only.
    pub(crate) path: String,
    /// Where its metadata is.
    pub(crate) metadata_at: Vec<MetadataAt>,
    /// Members over those of the metadata; null takes one away. Hostile endpoints go here.
    pub(crate) metadata: Value,
    /// `code_challenge_methods_supported`; `None`: it does not say.
    pub(crate) pkce: Option<Vec<&'static str>>,
    /// `scopes_supported`; `None`: it does not say.
    pub(crate) scopes: Option<Vec<&'static str>>,
    /// `token_endpoint_auth_methods_supported`, in its order; `None`: it does not say.
    pub(crate) methods: Option<Vec<&'static str>>,
    /// Dynamic registration.
    pub(crate) registration: Registering,
    /// What a registration is given, whatever it asked for.
    pub(crate) registered_method: Option<&'static str>,
    /// The only way that clients may prove themselves at the token endpoint, whatever they were registered with.
    pub(crate) insists_on: Option<&'static str>,
    /// Redirects to these hosts are `invalid_redirect_uri`.
    pub(crate) refused_redirect_hosts: Vec<&'static str>,
    /// How long a client's secret lives; `None`: it never ends.
    pub(crate) secret_life: Option<Duration>,
    /// Registrations can be changed and removed (RFC 7592).
    pub(crate) management: bool,
    /// `client_id_metadata_document_supported`
    pub(crate) metadata_documents: bool,
    /// `iss` in its redirects (RFC 9207).
    pub(crate) iss: Iss,
    /// What the person does with the page.
    pub(crate) consent: Consent,
    /// Who that is.
    pub(crate) person: Person,
    /// What the person grants; `None`: what was asked for.
    pub(crate) granted_scopes: Option<Vec<&'static str>>,
    /// An `id_token` and a place that says who somebody is.
    pub(crate) openid: bool,
    /// RFC 7009.
    pub(crate) revocation: bool,
    /// RFC 8628.
    pub(crate) device: bool,
    /// What must be said of `resource`.
    pub(crate) resource: ResourceRule,
    /// Parameters of the authorization URL beside those of the RFCs.
    pub(crate) more_authorize_params: Vec<&'static str>,
    /// How long an access token lives.
    pub(crate) access_life: Duration,
    /// How long a refresh token lives; `None`: it never ends.
    pub(crate) refresh_life: Option<Duration>,
    /// Whether there is a refresh token at all.
    pub(crate) refresh_tokens: bool,
    /// What happens to it when it is used.
    pub(crate) rotation: Rotation,
    /// What becomes of one that was used before.
    pub(crate) grace: Grace,
    /// A refresh ends the access tokens before it.
    pub(crate) refresh_ends_access: bool,
    /// A new login of a person by the same client ends the grants before it.
    pub(crate) login_ends_others: bool,
}

/// Where metadata is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MetadataAt {
    /// `/.well-known/oauth-authorization-server` before the path (RFC 8414, section 3).
    Rfc8414,
    /// `/.well-known/openid-configuration` before the path.
    OpenIdInserted,
    /// `/.well-known/openid-configuration` after the path (OpenID Connect Discovery, section 4).
    OpenIdAppended,
}

/// Dynamic registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Registering {
    /// For everybody.
    Open,
    /// There is none.
    Absent,
}

/// `iss` in redirects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Iss {
    /// Announced and sent.
    Sent,
    /// Sent without a word.
    Unannounced,
    /// Announced and not sent.
    Missing,
    /// Neither.
    Absent,
    /// Announced, and another one is sent.
    Wrong(String),
}

/// What a person does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Consent {
    /// Says yes.
    Given,
    /// The redirect has this error.
    Refused(&'static str),
}

/// Who logs in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Person {
    /// A word.
    pub(crate) name: String,
    /// Where.
    pub(crate) workspace: Option<String>,
}

/// What must be said of `resource` (RFC 8707).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResourceRule {
    /// In each request, and the same.
    Required,
    /// Nothing: it is `invalid_target`.
    Refused,
}

/// What happens to a refresh token when it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// Another one takes its place.
    Rotates,
    /// It stays, and is in each response.
    Repeated,
    /// It stays, and the response does not have it.
    Kept,
}

/// What becomes of a refresh token that was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grace {
    /// The whole grant ends.
    None,
    /// The one before the current one is good so many times more.
    Times(u32),
    /// The one before is good until the current one is used.
    UntilUsed,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            path: String::new(),
            metadata_at: vec![MetadataAt::Rfc8414],
            metadata: json!({}),
            pkce: Some(vec!["S256"]),
            scopes: None,
            methods: None,
            registration: Registering::Open,
            registered_method: None,
            insists_on: None,
            refused_redirect_hosts: Vec::new(),
            secret_life: None,
            management: false,
            metadata_documents: false,
            iss: Iss::Sent,
            consent: Consent::Given,
            person: Person::of("ana"),
            granted_scopes: None,
            openid: false,
            revocation: true,
            device: false,
            resource: ResourceRule::Required,
            more_authorize_params: Vec::new(),
            access_life: Duration::from_hours(1),
            refresh_life: None,
            refresh_tokens: true,
            rotation: Rotation::Rotates,
            grace: Grace::None,
            refresh_ends_access: false,
            login_ends_others: false,
        }
    }
}

impl Person {
    /// Somebody of no workspace.
    pub(crate) fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            workspace: None,
        }
    }

    /// Somebody of a workspace.
    pub(crate) fn at(name: &str, workspace: &str) -> Self {
        Self {
            workspace: Some(workspace.to_owned()),
            ..Self::of(name)
        }
    }
}

/// What is said to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What becomes of one request, otherwise than by the book.
#[derive(Clone)]
pub(crate) enum Answer {
    /// This, and the request has no effect.
    Instead(Said),
    /// The request has its effect, and this is made of what would have been said: the tokens, where there are some.
    Shaped(Arc<dyn Fn(Value) -> Said + Send + Sync>),
    /// The request has its effect, and the connection is cut before anything is said.
    Lost,
    /// The request has its effect, and the connection is cut in the middle of the body.
    Torn,
    /// The connection is cut, and the request has no effect.
    Cut,
}

/// Where requests go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    Metadata,
    Register,
    /// RFC 7592.
    Manage,
    Authorize,
    Token,
    Revoke,
    UserInfo,
    Device,
    /// There is no such place.
    Unknown,
}

/// Which requests wait until they are released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Before they have an effect.
    Before,
    /// After it, with their answer ready.
    After,
}

/// How a whole server is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outage {
    /// It is there.
    None,
    /// Nobody listens.
    Refused,
    /// Connections are accepted, and nothing is ever said there, not even when it is over.
    BlackHole,
    /// Nobody takes a connection, and nobody refuses it.
    Dropped,
    /// Every request is answered when it is over.
    Slow,
    /// Every request is answered 503.
    Unavailable,
    /// Every request is answered 429, with so many seconds in `Retry-After`.
    TooMany(u64),
}

impl Said {
    /// JSON.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", &body.to_string())
    }

    /// Anything.
    pub(crate) fn text(status: u16, content_type: &str, body: &str) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.as_bytes().to_vec(),
        }
    }

    /// Nothing but the status.
    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// An error as the RFCs have it.
    pub(crate) fn error(status: u16, error: &str) -> Self {
        let body = json!({ "error": error, "error_description": format!("this is {error}") });
        Self::json(status, &body)
    }

    /// With a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Answer {
    /// An error, and the request has no effect.
    pub(crate) fn error(status: u16, error: &str) -> Self {
        Self::Instead(Said::error(status, error))
    }

    /// The request has its effect; the JSON of the answer is changed.
    pub(crate) fn edited(edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::shaped(move |mut value| {
            edit(&mut value);
            Said::json(200, &value)
        })
    }

    /// The request has its effect; the answer is made of its JSON.
    pub(crate) fn shaped(shape: impl Fn(Value) -> Said + Send + Sync + 'static) -> Self {
        Self::Shaped(Arc::new(shape))
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Instead(_) => "Instead",
            Self::Shaped(_) => "Shaped",
            Self::Lost => "Lost",
            Self::Torn => "Torn",
            Self::Cut => "Cut",
        })
    }
}

/// Parameters by name, in the order they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params(pub(crate) Vec<(String, String)>);

impl Params {
    pub(super) fn read(text: &str) -> Self {
        let pairs = url::form_urlencoded::parse(text.as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// The value of this name, if it came once or more.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut named = self.0.iter().filter(|(known, _)| known == name);
        named.next().map(|(_, value)| value.as_str())
    }

    /// The same, or nothing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    pub(super) fn repeated(&self) -> Option<&str> {
        let mut seen = BTreeMap::new();
        self.0.iter().find_map(|(name, _)| {
            let count = seen.entry(name.as_str()).or_insert(0);
            *count += 1;
            (*count > 1).then_some(name.as_str())
        })
    }

    pub(super) fn other_than(&self, known: &[&str]) -> Option<&str> {
        let mut names = self.0.iter().map(|(name, _)| name.as_str());
        names.find(|name| !known.contains(name))
    }
}
