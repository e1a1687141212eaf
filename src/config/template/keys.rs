//! A template as a file has it: every key, once.

use crate::config::container::{List, Map};
use crate::config::name::{TemplateName, VariableName};
use crate::config::node::Node;
use crate::config::oauth::{Directory, Parameter, Scope, Sent, WebUrl, Whoami};
use crate::config::problem::Path;
use crate::config::read::{Form, Read, Reader, section};
use crate::config::value::{Switch, Text, Version};
use crate::model::{ClientAuthentication, Format, RedirectHost, Transport};

use super::value::{Count, Encoding, Known, Param, Registration, Spot, Verified};

section! {
    /// A file of templates.
    Templates {
        /// The version of this format; there is one.
        version: Version,
        /// What is known of servers.
        templates: Map<TemplateName, Template>,
    }
}

section! {
    /// What is known of one server. `unknown` is what nobody has found out, and counts as absent.
    Template {
        /// What people call it.
        title: Known<Text>,
        /// The URL of a remote server. `{NAME}` stands for a parameter.
        url: Known<Text>,
        /// The program of a local one and its arguments. `{NAME}` stands for a parameter.
        command: Known<List<Text>>,
        /// Variables of that program; `{account}` is the account's name, for `vault:` references.
        env: Map<VariableName, Text>,
        /// How a remote server is spoken to.
        transport: Known<Transport>,
        /// What `params` of a server or account fills in.
        params: Known<Map<Param, Parameterized>>,
        /// Other URLs of the same service, chosen with `params: { region: NAME }`.
        region_variants: Known<Map<Param, Text>>,
        /// How finished the service is.
        status: Known<Text>,
        /// Another template, whose keys count where this one has none.
        extends: TemplateName,
        /// How Janus becomes a client there, the best way first.
        registration: Known<List<Registration>>,
        /// Where a person registers an application.
        register_at: Known<Text>,
        /// Whether only clients that the provider approved come in.
        requires_vendor_approval: Known<Switch>,
        /// The authorization server, where it must be pinned.
        issuer: Known<WebUrl>,
        /// Endpoints that are not found out.
        endpoints: Known<Endpoints>,
        /// Where the browser may come back to.
        redirect: Known<Redirect>,
        /// How a client proves itself at the token endpoint.
        token_auth_method: Known<ClientAuthentication>,
        /// What the parameter `resource` says.
        resource: Known<Sent>,
        /// The scopes to ask for.
        scopes: Known<List<Scope>>,
        /// A risk: the provider does not say that it checks PKCE.
        allow_unadvertised_pkce: Known<Switch>,
        /// More of the page where a person says yes.
        extra_authorize_params: Known<Extra>,
        /// Ways without a login: secrets that a person makes at the provider.
        header_auth: Known<List<Fixed>>,
        /// A tool that holds a login and prints a token.
        helper: Known<Tool>,
        /// Whether machine accounts work.
        client_credentials: Known<Switch>,
        /// Whether a login on another device works.
        device_code: Known<Switch>,
        /// How to learn who logged in.
        whoami: Known<Whoami>,
        /// How long an access token usually lives.
        expected_access_ttl: Known<Text>,
        /// What is known of renewals.
        refresh: Known<Refresh>,
        /// What one login is bound to.
        account_is: Known<Text>,
        /// What else is worth knowing, a sentence each.
        notes: List<Text>,
        /// Who has tried it.
        verified: Verified,
        /// When.
        verified_on: Known<Text>,
        /// Where the facts come from.
        sources: List<Text>,
    }
}

section! {
    /// A part of a template that a server or an account fills in.
    Parameterized {
        /// Where it goes.
        r#in: Spot,
        /// Whether it must be there.
        required: Switch,
        /// What it is.
        meaning: Text,
        /// How it is written, with `{value}` in it.
        write: Text,
        /// The parameter that it needs before it.
        after: Param,
    }
}

section! {
    /// Endpoints of an authorization server.
    Endpoints {
        /// Where a person says yes.
        authorization: Known<WebUrl>,
        /// Where tokens come from.
        token: Known<WebUrl>,
        /// Where codes for another device come from.
        device_authorization: Known<WebUrl>,
        /// Where tokens are ended.
        revocation: Known<WebUrl>,
    }
}

section! {
    /// Where the browser may come back to.
    Redirect {
        /// How the address begins.
        host: Known<RedirectHost>,
        /// Whether the port is compared, or any port of this machine will do.
        port: Known<super::value::Ports>,
        /// Its path.
        path: Known<Directory>,
    }
}

section! {
    /// Parameters of the page where a person says yes.
    Extra {
        /// Always sent.
        add: Known<Map<Parameter, Text>>,
        /// What makes the provider ask which account.
        choose_account: Known<Map<Parameter, Text>>,
        /// The parameter that takes `login_hint`.
        login_hint_param: Known<Text>,
        /// The parameter that takes a workspace.
        workspace_param: Known<Text>,
    }
}

section! {
    /// A secret that takes the place of a login.
    Fixed {
        /// The header.
        name: Text,
        /// What stands before the secret.
        scheme: Text,
        /// How the secret is written into it.
        encode: Encoding,
        /// What it is and where a person gets it.
        secret: Text,
        /// What to mind.
        note: Text,
    }
}

section! {
    /// A tool that prints a token.
    Tool {
        /// The command.
        command: List<Text>,
        /// How its output is read.
        format: Format,
    }
}

section! {
    /// What is known of renewals.
    Refresh {
        /// Whether each renewal brings a new refresh token.
        rotates: Known<Switch>,
        /// How many seconds the old one still works.
        grace_s: Known<Count>,
        /// Whether the one before works once more.
        retry_previous_once: Known<Switch>,
        /// After how many days without use a login is gone.
        max_idle_days: Known<Count>,
        /// Whether a renewal ends the access token before.
        ends_old_access_token: Known<Switch>,
    }
}
