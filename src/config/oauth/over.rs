//! Layers of keys become what Janus logs in with.

use super::Login;
use super::keys::{OAuth as Keys, Whoami as WhoamiKeys};
use super::value::Journal;
use crate::config::container::{Field, List};
use crate::config::value::Text;
use crate::model::{
    Ask, GrantKind, OAuth, OpenBrowser, PreRegistered, Reference, SigningAlgorithm, SigningKey,
    Whoami,
};

/// The template's facts, then the server's keys, then the account's.
pub(super) fn over(own: Option<&Login>, base: Option<&Login>, facts: Option<&OAuth>) -> OAuth {
    let mut layers = Layers {
        oauth: facts.cloned().unwrap_or_default(),
        client: Client::default(),
    };
    for login in [base, own].into_iter().flatten() {
        layers.put(&login.keys);
    }
    let Layers { mut oauth, client } = layers;
    oauth.client = client.whole().or(oauth.client);
    // What a person wrote stands instead of what would ask for the account.
    let params = &oauth.authorize_params;
    oauth
        .choose_account
        .retain(|(name, _)| params.iter().all(|(other, _)| other != name));
    forget_what_has_no_meaning(&mut oauth);
    oauth
}

/// What a server says for those of its accounts where a person comes with a browser is nothing to the others.
fn forget_what_has_no_meaning(oauth: &mut OAuth) {
    if oauth.grant == GrantKind::AuthorizationCode {
        return;
    }
    let plain = OAuth::default();
    oauth.redirect = plain.redirect;
    oauth.authorize_params = plain.authorize_params;
    oauth.choose_account = plain.choose_account;
    oauth.risks.unadvertised_pkce = false;
    if oauth.grant == GrantKind::ClientCredentials {
        oauth.login_hint = None;
        oauth.login_hint_param = None;
        oauth.workspace_param = None;
        oauth.browser = plain.browser;
        oauth.endpoints.authorization = None;
        oauth.endpoints.device_authorization = None;
        oauth.registration_scope = plain.registration_scope;
        oauth.client_name = plain.client_name;
        oauth.client_metadata_url = None;
        oauth.risks.legacy_endpoints = false;
    }
}

struct Layers {
    oauth: OAuth,
    client: Client,
}

/// The parts of a pre-registered client.
#[derive(Default)]
struct Client {
    id: Option<String>,
    secret: Option<Reference>,
    key: Option<Reference>,
    key_id: Option<String>,
    algorithm: Option<SigningAlgorithm>,
}

impl Client {
    fn put(&mut self, keys: &Keys) {
        if let Some(id) = text(&keys.client_id) {
            if self.id.is_some() {
                // Another client has another secret.
                *self = Self::default();
            }
            self.id = Some(id);
        }
        if let Some(at) = &keys.client_secret.value {
            self.secret = Some(at.value.0.clone());
            self.key = None;
        }
        if let Some(at) = &keys.private_key.value {
            self.key = Some(at.value.0.clone());
            self.secret = None;
        }
        if let Some(id) = text(&keys.key_id) {
            self.key_id = Some(id);
        }
        if let Some(at) = &keys.alg.value {
            self.algorithm = Some(at.value);
        }
    }

    fn whole(self) -> Option<PreRegistered> {
        let (id, algorithm) = (self.key_id, self.algorithm);
        Some(PreRegistered {
            id: self.id?,
            secret: self.secret,
            key: self.key.map(|key| SigningKey {
                key,
                id,
                algorithm: algorithm.unwrap_or(SigningAlgorithm::Rs256),
            }),
        })
    }
}

impl Layers {
    fn put(&mut self, keys: &Keys) {
        self.client.put(keys);
        self.put_request(keys);
        self.put_redirect(keys);
        self.put_provider(keys);
        let oauth = &mut self.oauth;
        set(
            &mut oauth.grant,
            keys.grant.value.as_ref().map(|at| at.value),
        );
        some(
            &mut oauth.token_auth_method,
            keys.token_auth_method.value.as_ref().map(|at| at.value),
        );
        let scope = keys.registration_scope.value.as_ref();
        set(&mut oauth.registration_scope, scope.map(|at| at.value));
        some(&mut oauth.login_hint, text(&keys.login_hint));
        some(&mut oauth.expect, text(&keys.expect));
        some(
            &mut oauth.whoami,
            keys.whoami.value.as_ref().and_then(|at| whoami(&at.value)),
        );
        let risk =
            |field: &Field<crate::config::value::Switch>| field.value.as_ref().map(|at| at.value.0);
        set(
            &mut oauth.risks.unadvertised_pkce,
            risk(&keys.allow_unadvertised_pkce),
        );
        set(
            &mut oauth.risks.legacy_endpoints,
            risk(&keys.allow_legacy_endpoints),
        );
        set(
            &mut oauth.risks.private_addresses,
            risk(&keys.allow_private_addresses),
        );
    }

    /// What is asked for.
    fn put_request(&mut self, keys: &Keys) {
        let oauth = &mut self.oauth;
        if let Some(at) = &keys.scopes.value {
            let scopes = at.value.0.iter().map(|scope| scope.value.0.clone());
            oauth.scopes = Some(scopes.collect());
            oauth.scopes_limit = None;
        }
        if let Some(at) = &keys.scopes_limit.value {
            let scopes = at.value.0.iter().map(|scope| scope.value.0.clone());
            oauth.scopes_limit = Some(scopes.collect());
            oauth.scopes = None;
        }
        set(
            &mut oauth.resource,
            keys.resource.value.as_ref().map(|at| at.value.0.clone()),
        );
        for (name, value) in keys
            .authorize_params
            .value
            .iter()
            .flat_map(|at| &at.value.entries)
        {
            let value = value.value.0.clone();
            let params = &mut oauth.authorize_params;
            match params.iter_mut().find(|(other, _)| *other == name.value.0) {
                Some((_, other)) => *other = value,
                None => params.push((name.value.0.clone(), value)),
            }
        }
    }

    /// Where the browser goes and comes back to.
    fn put_redirect(&mut self, keys: &Keys) {
        let redirect = &mut self.oauth.redirect;
        set(
            &mut redirect.host,
            keys.redirect_host.value.as_ref().map(|at| at.value),
        );
        set(
            &mut redirect.port,
            keys.callback_port.value.as_ref().map(|at| at.value.0),
        );
        set(
            &mut redirect.path,
            keys.redirect_path
                .value
                .as_ref()
                .map(|at| at.value.0.clone()),
        );
        let browser = &mut self.oauth.browser;
        let open: Option<OpenBrowser> = keys.open_browser.value.as_ref().map(|at| at.value.0);
        set(&mut browser.open, open);
        some(
            &mut browser.command,
            keys.browser_command
                .value
                .as_ref()
                .map(|at| words(&at.value)),
        );
        let journal = keys.journal_url.value.as_ref();
        set(
            &mut browser.local_journal,
            journal.map(|at| at.value == Journal::Local),
        );
    }

    /// Who the authorization server is, and who Janus is to it.
    fn put_provider(&mut self, keys: &Keys) {
        let oauth = &mut self.oauth;
        let url =
            |field: &Field<super::value::WebUrl>| field.value.as_ref().map(|at| at.value.0.clone());
        let issuer = url(&keys.issuer);
        if issuer.is_some() && issuer != oauth.issuer {
            // The endpoints of another issuer are not this one's.
            oauth.endpoints = crate::model::Endpoints::default();
        }
        some(&mut oauth.issuer, issuer);
        let endpoints = &mut oauth.endpoints;
        some(
            &mut endpoints.authorization,
            url(&keys.authorization_endpoint),
        );
        some(&mut endpoints.token, url(&keys.token_endpoint));
        some(
            &mut endpoints.device_authorization,
            url(&keys.device_authorization_endpoint),
        );
        some(&mut endpoints.revocation, url(&keys.revocation_endpoint));
        set(&mut oauth.client_name, text(&keys.client_name));
        some(
            &mut oauth.client_metadata_url,
            url(&keys.client_metadata_url),
        );
    }
}

/// How to learn who somebody is; `None` where something is missing, which was noted.
pub(in crate::config) fn whoami(keys: &WhoamiKeys) -> Option<Whoami> {
    let tool = text(&keys.tool).map(Ask::Tool);
    let url = keys
        .url
        .value
        .as_ref()
        .map(|at| Ask::Url(at.value.0.clone()));
    Some(Whoami {
        ask: tool.or(url)?,
        subject: keys.subject.value.as_ref()?.value.0.clone(),
        workspace: keys.workspace.value.as_ref().map(|at| at.value.0.clone()),
    })
}

fn set<T>(to: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *to = value;
    }
}

fn some<T>(to: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *to = value;
    }
}

fn text(field: &Field<Text>) -> Option<String> {
    field.value.as_ref().map(|at| at.value.0.clone())
}

fn words(list: &List<Text>) -> Vec<String> {
    list.0.iter().map(|word| word.value.0.clone()).collect()
}
