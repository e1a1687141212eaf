//! `auth.oauth`: every key, once. The comments are what `janus config schema` says about them.

use super::value::{BrowserAt, Directory, Journal, Parameter, Pointer, Port, Scope, Sent, WebUrl};
use crate::config::container::{List, Map};
use crate::config::node::Node;
use crate::config::problem::Path;
use crate::config::read::{Form, Read, Reader, section};
use crate::config::reference::Referred;
use crate::config::value::{Switch, Text};
use crate::model::{
    CLIENT_NAME, ClientAuthentication, GrantKind, REDIRECT_PATH, RedirectHost, RegistrationScope,
    SigningAlgorithm,
};

section! {
    /// A login by OAuth 2.1. Without a value everything is found out, and a person logs in with `janus login`.
    OAuth {
        /// How tokens are got: by a person in a browser, by the client itself, or by a person on another device.
        #[schemars(extend("default" = "authorization_code"))]
        grant: GrantKind,
        /// Exactly these scopes, whatever the server asks for.
        scopes: List<Scope>,
        /// Of the scopes that the server asks for, only these.
        scopes_limit: List<Scope>,
        /// The id of a client that a person registered at the provider; without it Janus registers itself.
        client_id: Text,
        /// The secret of that client.
        client_secret: Referred,
        /// Instead of a secret, the key that signs for that client, as PEM.
        private_key: Referred,
        /// The `kid` of that key.
        key_id: Text,
        /// How that key signs.
        #[schemars(extend("default" = "RS256"))]
        alg: SigningAlgorithm,
        /// How the client proves itself at the token endpoint; without this as its registration says, then as the provider does.
        token_auth_method: ClientAuthentication,
        /// Who shares one registration: each account has its own, or all accounts of the server have one.
        #[schemars(extend("default" = "account"))]
        registration_scope: RegistrationScope,
        /// What the parameter `resource` says: `auto` is what the server publishes, else its URL; `omit` leaves it out.
        #[schemars(extend("default" = "auto"))]
        resource: Sent,
        /// How the address that the browser comes back to begins.
        #[schemars(extend("default" = RedirectHost::default().word()))]
        redirect_host: RedirectHost,
        /// The port of that address; 0 is one port for the installation, chosen once and kept.
        #[schemars(extend("default" = 0))]
        callback_port: Port,
        /// The path of that address.
        #[schemars(extend("default" = REDIRECT_PATH))]
        redirect_path: Directory,
        /// Whom to ask for, shown before a login and sent where the provider takes it.
        login_hint: Text,
        /// Who must log in: as anybody else, a login is not saved.
        expect: Text,
        /// How to learn who logged in.
        whoami: Whoami,
        /// More parameters of the page where a person says yes.
        authorize_params: Map<Parameter, Text>,
        /// Whether a browser is opened: `auto` is for a login that a person began in a graphical session.
        #[schemars(extend("default" = "auto"))]
        open_browser: BrowserAt,
        /// The command that opens a URL, as a list; the URL is appended. No shell is involved.
        browser_command: List<Text>,
        /// Whether the provider's link may be in the journal, or only a link of this machine.
        #[schemars(extend("default" = "full"))]
        journal_url: Journal,
        /// The authorization server, exactly as it writes itself, where that differs from what is advertised.
        issuer: WebUrl,
        /// Where a person says yes. Endpoints written here are not looked for.
        authorization_endpoint: WebUrl,
        /// Where tokens come from.
        token_endpoint: WebUrl,
        /// Where codes for another device come from.
        device_authorization_endpoint: WebUrl,
        /// Where tokens are ended.
        revocation_endpoint: WebUrl,
        /// What Janus calls itself when it registers.
        #[schemars(extend("default" = CLIENT_NAME))]
        client_name: Text,
        /// The URL of a client metadata document, for providers that take one instead of a registration.
        client_metadata_url: WebUrl,
        /// A risk: log in although the provider does not say that it checks PKCE.
        #[schemars(extend("default" = false))]
        allow_unadvertised_pkce: Switch,
        /// A risk: where nothing says where to log in, try `/authorize`, `/token` and `/register` at the server.
        #[schemars(extend("default" = false))]
        allow_legacy_endpoints: Switch,
        /// A risk: send logins and tokens to private addresses.
        #[schemars(extend("default" = false))]
        allow_private_addresses: Switch,
    }
}

section! {
    /// How to learn who logged in: by a tool of the server, or by a URL at its host.
    #[schemars(transform = super::value::one_ask)]
    Whoami {
        /// A tool that only reads and needs no argument.
        tool: Text,
        /// A URL, which gets the token.
        url: WebUrl,
        /// Where the answer says who, as a JSON pointer.
        subject: Pointer,
        /// Where it says in which workspace.
        workspace: Pointer,
    }
}
