//! How an account gets tokens by OAuth: what the configuration and a template say of it.

use std::sync::Arc;

use super::Reference;

/// `auth.oauth` of an account over its server's, its template's and the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth {
    /// How tokens are got.
    pub grant: GrantKind,
    /// A client that a person registered at the provider.
    pub client: Option<PreRegistered>,
    /// How the client proves itself at the token endpoint; else by its registration, then the server's metadata.
    pub token_auth_method: Option<ClientAuthentication>,
    /// Exactly these scopes, whatever the server asks for.
    pub scopes: Option<Vec<String>>,
    /// Of what the server asks for, only these.
    pub scopes_limit: Option<Vec<String>>,
    /// Who shares one registration.
    pub registration_scope: RegistrationScope,
    /// What `resource` says (RFC 8707).
    pub resource: Resource,
    /// Where the browser comes back to.
    pub redirect: Redirect,
    /// Whom to ask for, shown and sent where the provider has a parameter for it.
    pub login_hint: Option<String>,
    /// A login as anybody else is refused.
    pub expect: Option<String>,
    /// How to learn who logged in.
    pub whoami: Option<Whoami>,
    /// More parameters of the authorization URL.
    pub authorize_params: Vec<(String, String)>,
    /// Those of them that make the provider ask which account.
    pub choose_account: Vec<(String, String)>,
    /// The parameter that takes `login_hint`.
    pub login_hint_param: Option<String>,
    /// The parameter that takes the workspace, where that is known.
    pub workspace_param: Option<String>,
    /// How a browser is opened.
    pub browser: Browser,
    /// Pins the issuer, where its string differs from the advertised one.
    pub issuer: Option<String>,
    /// Given by hand: what is here is not looked for.
    pub endpoints: Endpoints,
    /// What Janus calls itself when it registers.
    pub client_name: String,
    /// The URL of a client metadata document.
    pub client_metadata_url: Option<String>,
    /// Named risks that somebody took.
    pub risks: Risks,
    /// What is known of the provider.
    pub provider: Option<Arc<Provider>>,
}

/// How tokens are got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GrantKind {
    /// A person in a browser (RFC 6749, section 4.1).
    #[default]
    AuthorizationCode,
    /// The client itself (RFC 6749, section 4.4).
    ClientCredentials,
    /// A person on another device (RFC 8628).
    DeviceCode,
}

/// A client that a person registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreRegistered {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: Option<Reference>,
    /// The key that signs for it (RFC 7523).
    pub key: Option<SigningKey>,
}

/// A private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Where it is, as PEM.
    pub key: Reference,
    /// Its `kid`.
    pub id: Option<String>,
    /// How it signs.
    pub algorithm: SigningAlgorithm,
}

/// How a key signs (RFC 7518, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512
    Rs512,
    /// ECDSA with P-256 and SHA-256
    Es256,
    /// ECDSA with P-384 and SHA-384
    Es384,
}

/// How a client proves itself at a token endpoint (RFC 7591, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// `none`: a public client.
    None,
    /// `client_secret_basic`
    SecretBasic,
    /// `client_secret_post`
    SecretPost,
    /// `private_key_jwt`
    PrivateKeyJwt,
}

/// Who shares one registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RegistrationScope {
    /// Each account has its own: a login of one does not end another's.
    #[default]
    Account,
    /// All accounts of a server, where the provider limits registrations.
    Server,
}

/// What `resource` says (RFC 8707).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Resource {
    /// The string of the protected resource metadata, else the server's URL.
    #[default]
    Auto,
    /// It is not sent.
    Omit,
    /// This.
    Is(String),
}

/// Where the browser comes back to: `http://HOST:PORT/PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// `127.0.0.1` or `localhost`.
    pub host: RedirectHost,
    /// `None`: one port for the installation, chosen once and kept.
    pub port: Option<u16>,
    /// Begins with a slash.
    pub path: String,
}

/// How this machine is called in a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RedirectHost {
    /// `127.0.0.1`
    #[default]
    Address,
    /// `localhost`, where the provider insists.
    Localhost,
}

/// How to learn who logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whoami {
    /// What is asked.
    pub ask: Ask,
    /// Where the answer says who, as a JSON pointer.
    pub subject: String,
    /// Where it says in which workspace.
    pub workspace: Option<String>,
}

/// What is asked for the identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A tool of the server, which only reads and needs no argument.
    Tool(String),
    /// A URL at the server's host, or one that the template names.
    Url(String),
}

/// How a browser is opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Browser {
    /// Whether.
    pub open: OpenBrowser,
    /// With this, to which the URL is appended; else with the desktop's own.
    pub command: Option<Vec<String>>,
    /// The provider's link stays out of the journal.
    pub local_journal: bool,
}

/// Whether a browser is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OpenBrowser {
    /// For a login that a person began in a graphical session.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never: the link is shown instead.
    Never,
}

/// Endpoints given by hand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Endpoints {
    /// Where a person says yes.
    pub authorization: Option<String>,
    /// Where tokens come from.
    pub token: Option<String>,
    /// Where device codes come from.
    pub device_authorization: Option<String>,
    /// Where tokens end.
    pub revocation: Option<String>,
}

/// Risks that somebody took by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Risks {
    /// `allow_unadvertised_pkce`
    pub unadvertised_pkce: bool,
    /// `allow_legacy_endpoints`
    pub legacy_endpoints: bool,
    /// `allow_private_addresses`
    pub private_addresses: bool,
}

/// What a template says of a provider, beside what it fills in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provider {
    /// The template's name.
    pub template: String,
    /// What people call it.
    pub title: String,
    /// Where a person registers an application, if that is the only way.
    pub register_at: Option<String>,
    /// Whether it has dynamic registration; `None`: not known.
    pub dynamic_registration: Option<bool>,
    /// Only clients that it approved come in.
    pub approval: bool,
    /// A login that was not used for so many days is gone.
    pub max_idle_days: Option<u32>,
    /// Whether the device flow works.
    pub device_code: Option<bool>,
    /// What one login is bound to, in words.
    pub account_is: Option<String>,
    /// Ways without a login, in words.
    pub without_login: Vec<String>,
}

/// Where the browser comes back to, unless something else is said.
pub const REDIRECT_PATH: &str = "/callback";
/// What Janus calls itself.
pub const CLIENT_NAME: &str = "Janus";

/// What the flow itself sets in an authorization URL: another value would break its checks (RFC 6749, section 4.1.1;
/// RFC 7636, section 4.3; RFC 8707, section 2).
pub const OWN_PARAMETERS: [&str; 9] = [
    "client_id",
    "response_type",
    "response_mode",
    "redirect_uri",
    "state",
    "code_challenge",
    "code_challenge_method",
    "resource",
    "scope",
];

impl Default for OAuth {
    fn default() -> Self {
        Self {
            grant: GrantKind::default(),
            client: None,
            token_auth_method: None,
            scopes: None,
            scopes_limit: None,
            registration_scope: RegistrationScope::default(),
            resource: Resource::default(),
            redirect: Redirect::default(),
            login_hint: None,
            expect: None,
            whoami: None,
            authorize_params: Vec::new(),
            choose_account: Vec::new(),
            login_hint_param: None,
            workspace_param: None,
            browser: Browser::default(),
            issuer: None,
            endpoints: Endpoints::default(),
            client_name: CLIENT_NAME.to_owned(),
            client_metadata_url: None,
            risks: Risks::default(),
            provider: None,
        }
    }
}

impl PreRegistered {
    /// Where its secret or its key is.
    pub fn reference(&self) -> Option<&Reference> {
        let key = self.key.as_ref().map(|key| &key.key);
        self.secret.as_ref().or(key)
    }
}

impl Default for Redirect {
    fn default() -> Self {
        Self {
            host: RedirectHost::default(),
            port: None,
            path: REDIRECT_PATH.to_owned(),
        }
    }
}

impl RedirectHost {
    /// As it stands in the URI.
    pub fn word(self) -> &'static str {
        match self {
            Self::Address => "127.0.0.1",
            Self::Localhost => "localhost",
        }
    }
}

impl ClientAuthentication {
    /// As metadata and registrations write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SecretBasic => "client_secret_basic",
            Self::SecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// The method of this word.
    pub fn of_word(word: &str) -> Option<Self> {
        [
            Self::None,
            Self::SecretBasic,
            Self::SecretPost,
            Self::PrivateKeyJwt,
        ]
        .into_iter()
        .find(|method| method.word() == word)
    }
}
