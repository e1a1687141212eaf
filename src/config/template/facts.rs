//! What a login gets from a template.

use std::sync::Arc;

use super::keys;
use super::value::{Encoding, Registration, fact};
use crate::config::container::Map;
use crate::config::oauth::{Parameter, whoami};
use crate::config::value::Text;
use crate::model::{Endpoints, OAuth, Provider};

/// `None` where a template has no login, or does not say that there is one.
pub(super) fn facts(name: &str, keys: &keys::Template) -> Option<OAuth> {
    let ways: Option<Vec<Registration>> = registration(keys);
    let knows_of_one = ways.is_some() || speaks_of_a_login(keys);
    if !knows_of_one
        || ways
            .as_ref()
            .is_some_and(|ways| ways.contains(&Registration::None))
    {
        return None;
    }
    let mut oauth = OAuth {
        token_auth_method: fact(&keys.token_auth_method).copied(),
        issuer: fact(&keys.issuer).map(|url| url.0.clone()),
        whoami: fact(&keys.whoami).and_then(whoami),
        scopes: fact(&keys.scopes).map(|scopes| {
            let scopes = scopes.0.iter().map(|scope| scope.value.0.clone());
            scopes.collect()
        }),
        provider: Some(Arc::new(provider(name, keys, ways.as_deref()))),
        ..OAuth::default()
    };
    if let Some(resource) = fact(&keys.resource) {
        oauth.resource = resource.0.clone();
    }
    if let Some(endpoints) = fact(&keys.endpoints) {
        let url = |field| fact(field).map(|url: &crate::config::oauth::WebUrl| url.0.clone());
        oauth.endpoints = Endpoints {
            authorization: url(&endpoints.authorization),
            token: url(&endpoints.token),
            device_authorization: url(&endpoints.device_authorization),
            revocation: url(&endpoints.revocation),
        };
    }
    if let Some(redirect) = fact(&keys.redirect) {
        if let Some(host) = fact(&redirect.host) {
            oauth.redirect.host = *host;
        }
        if let Some(path) = fact(&redirect.path) {
            oauth.redirect.path.clone_from(&path.0);
        }
    }
    if let Some(extra) = fact(&keys.extra_authorize_params) {
        oauth.authorize_params = pairs(fact(&extra.add));
        oauth.choose_account = pairs(fact(&extra.choose_account));
        oauth.login_hint_param = fact(&extra.login_hint_param).map(|text| text.0.clone());
        oauth.workspace_param = fact(&extra.workspace_param).map(|text| text.0.clone());
    }
    oauth.risks.unadvertised_pkce = fact(&keys.allow_unadvertised_pkce).is_some_and(|on| on.0);
    Some(oauth)
}

/// How Janus becomes a client, as far as that is known.
pub(super) fn registration(keys: &keys::Template) -> Option<Vec<Registration>> {
    let ways = fact(&keys.registration)?;
    Some(ways.0.iter().map(|way| way.value).collect())
}

/// Whether there is a login, where a template does not say how Janus becomes a client for it.
fn speaks_of_a_login(keys: &keys::Template) -> bool {
    fact(&keys.whoami).is_some()
        || fact(&keys.scopes).is_some()
        || fact(&keys.issuer).is_some()
        || fact(&keys.endpoints).is_some()
        || fact(&keys.extra_authorize_params).is_some()
}

fn provider(name: &str, keys: &keys::Template, ways: Option<&[Registration]>) -> Provider {
    let idle = fact(&keys.refresh).and_then(|refresh| fact(&refresh.max_idle_days));
    Provider {
        template: name.to_owned(),
        title: fact(&keys.title).map_or_else(|| name.to_owned(), |title| title.0.clone()),
        register_at: fact(&keys.register_at).map(|text| text.0.clone()),
        dynamic_registration: ways.map(|ways| ways.contains(&Registration::Dynamic)),
        approval: fact(&keys.requires_vendor_approval).is_some_and(|on| on.0),
        max_idle_days: idle.map(|days| days.0),
        device_code: fact(&keys.device_code).map(|on| on.0),
        account_is: fact(&keys.account_is).map(|text| text.0.clone()),
        without_login: without_login(keys, "NAME")
            .into_iter()
            .map(|way| format!("{}: {}", way.what, way.line))
            .collect(),
    }
}

/// A way without a login.
pub(super) struct Without {
    /// What it is.
    pub(super) what: String,
    /// What to mind.
    pub(super) note: Option<String>,
    /// The line of the configuration.
    pub(super) line: String,
}

/// The ways without a login; `secret` is what the vault calls the secret.
pub(super) fn without_login(keys: &keys::Template, secret: &str) -> Vec<Without> {
    let text = |field: &crate::config::container::Field<Text>| {
        field.value.as_ref().map(|at| at.value.0.clone())
    };
    let fixed = fact(&keys.header_auth).into_iter().flat_map(|list| &list.0);
    let fixed = fixed.map(|at| {
        let keys = &at.value;
        let name = text(&keys.name).unwrap_or_else(|| "Authorization".to_owned());
        let scheme = text(&keys.scheme);
        let encoding = keys.encode.value.as_ref().map(|at| at.value);
        let authorization = name.eq_ignore_ascii_case("authorization");
        let line = match (encoding, scheme.as_deref()) {
            (Some(Encoding::Basic), _) => {
                format!("auth: {{ basic: YOU@EXAMPLE.ORG, password: vault:{secret} }}")
            }
            (_, Some("Bearer")) if authorization => format!("auth: {{ bearer: vault:{secret} }}"),
            (_, None) => format!("auth: {{ header: {name}, value: vault:{secret} }}"),
            (_, Some(scheme)) => {
                format!("auth: {{ header: {name}, value: vault:{secret}, prefix: \"{scheme} \" }}")
            }
        };
        Without {
            what: text(&keys.secret).unwrap_or_else(|| "a secret".to_owned()),
            note: text(&keys.note),
            line,
        }
    });
    let helper = fact(&keys.helper).map(|tool| {
        let words = tool.command.value.iter().flat_map(|at| &at.value.0);
        let words: Vec<&str> = words.map(|word| word.value.0.as_str()).collect();
        let format = tool.format.value.as_ref();
        let format = format.map_or(String::new(), |at| format!(", format: {}", at.value.word()));
        Without {
            what: format!("what `{}` prints", words.first().unwrap_or(&"a tool")),
            note: None,
            line: format!("auth: {{ command: [{}]{format} }}", words.join(", ")),
        }
    });
    fixed.chain(helper).collect()
}

fn pairs(map: Option<&Map<Parameter, Text>>) -> Vec<(String, String)> {
    map.into_iter()
        .flat_map(|map| &map.entries)
        .map(|(name, value)| (name.value.0.clone(), value.value.0.clone()))
        .collect()
}
