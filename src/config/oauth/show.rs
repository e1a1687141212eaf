//! `auth.oauth` in force, in the keys of the file: what is not as it would be without a word.

use serde_json::{Map, Value, json};

use crate::config::choice::Word;
use crate::model::{Ask, OAuth, OpenBrowser, Redirect, Resource, SigningAlgorithm, Whoami};

type Keys = Map<String, Value>;

/// The keys that say what is in force. Where a secret is is no secret.
pub(in crate::config) fn shown(oauth: &OAuth) -> Keys {
    let plain = OAuth::default();
    let mut keys = Keys::new();
    if oauth.grant != plain.grant {
        put(&mut keys, "grant", oauth.grant.word());
    }
    some(&mut keys, "scopes", oauth.scopes.as_ref());
    some(&mut keys, "scopes_limit", oauth.scopes_limit.as_ref());
    client(oauth, &mut keys);
    if oauth.registration_scope != plain.registration_scope {
        put(
            &mut keys,
            "registration_scope",
            oauth.registration_scope.word(),
        );
    }
    match &oauth.resource {
        Resource::Auto => {}
        Resource::Omit => put(&mut keys, "resource", "omit"),
        Resource::Is(uri) => put(&mut keys, "resource", uri.as_str()),
    }
    redirect(&oauth.redirect, &mut keys);
    some(&mut keys, "login_hint", oauth.login_hint.as_ref());
    some(&mut keys, "expect", oauth.expect.as_ref());
    if let Some(asked) = &oauth.whoami {
        put(&mut keys, "whoami", whoami(asked));
    }
    if !oauth.authorize_params.is_empty() {
        let params = oauth.authorize_params.iter();
        let params = params.map(|(name, value)| (name.clone(), value.as_str().into()));
        put(&mut keys, "authorize_params", params.collect::<Keys>());
    }
    match oauth.browser.open {
        OpenBrowser::Auto => {}
        OpenBrowser::Always => put(&mut keys, "open_browser", true),
        OpenBrowser::Never => put(&mut keys, "open_browser", false),
    }
    some(&mut keys, "browser_command", oauth.browser.command.as_ref());
    if oauth.browser.local_journal {
        put(&mut keys, "journal_url", "local");
    }
    provider(oauth, &mut keys);
    keys
}

fn client(oauth: &OAuth, keys: &mut Keys) {
    if let Some(client) = &oauth.client {
        put(keys, "client_id", client.id.as_str());
        if let Some(secret) = &client.secret {
            put(keys, "client_secret", secret.to_string());
        }
        if let Some(key) = &client.key {
            put(keys, "private_key", key.key.to_string());
            some(keys, "key_id", key.id.as_ref());
            if key.algorithm != SigningAlgorithm::Rs256 {
                put(keys, "alg", key.algorithm.word());
            }
        }
    }
    let method = oauth.token_auth_method.map(Word::word);
    some(keys, "token_auth_method", method.as_ref());
}

fn redirect(redirect: &Redirect, keys: &mut Keys) {
    let plain = Redirect::default();
    if redirect.host != plain.host {
        put(keys, "redirect_host", redirect.host.word());
    }
    if let Some(port) = redirect.port {
        put(keys, "callback_port", port);
    }
    if redirect.path != plain.path {
        put(keys, "redirect_path", redirect.path.as_str());
    }
}

fn whoami(whoami: &Whoami) -> Value {
    let mut keys = Keys::new();
    match &whoami.ask {
        Ask::Tool(tool) => put(&mut keys, "tool", tool.as_str()),
        Ask::Url(url) => put(&mut keys, "url", url.as_str()),
    }
    put(&mut keys, "subject", whoami.subject.as_str());
    some(&mut keys, "workspace", whoami.workspace.as_ref());
    keys.into()
}

fn provider(oauth: &OAuth, keys: &mut Keys) {
    some(keys, "issuer", oauth.issuer.as_ref());
    let endpoints = &oauth.endpoints;
    some(
        keys,
        "authorization_endpoint",
        endpoints.authorization.as_ref(),
    );
    some(keys, "token_endpoint", endpoints.token.as_ref());
    let device = endpoints.device_authorization.as_ref();
    some(keys, "device_authorization_endpoint", device);
    some(keys, "revocation_endpoint", endpoints.revocation.as_ref());
    if oauth.client_name != crate::model::CLIENT_NAME {
        put(keys, "client_name", oauth.client_name.as_str());
    }
    some(
        keys,
        "client_metadata_url",
        oauth.client_metadata_url.as_ref(),
    );
    for (key, taken) in [
        ("allow_unadvertised_pkce", oauth.risks.unadvertised_pkce),
        ("allow_legacy_endpoints", oauth.risks.legacy_endpoints),
        ("allow_private_addresses", oauth.risks.private_addresses),
    ] {
        if taken {
            put(keys, key, true);
        }
    }
}

fn put(keys: &mut Keys, key: &str, value: impl Into<Value>) {
    keys.insert(key.to_owned(), value.into());
}

fn some<T: serde::Serialize>(keys: &mut Keys, key: &str, value: Option<&T>) {
    if let Some(value) = value {
        put(keys, key, json!(value));
    }
}
