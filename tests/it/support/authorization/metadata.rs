//! What the authorization server says of itself (RFC 8414, section 2).

use serde_json::{Value, json};

use super::behaviour::{Behaviour, Iss, MetadataAt, Registering, Said};
use super::{Shared, State};

impl Shared {
    /// The metadata, if this path is a place for it.
    pub(super) fn metadata(&self, state: &State, path: &str) -> Option<Said> {
        let own = &self.path;
        let places = &state.behaviour.metadata_at;
        let found = places.iter().any(|place| {
            path == match place {
                MetadataAt::Rfc8414 => format!("/.well-known/oauth-authorization-server{own}"),
                MetadataAt::OpenIdInserted => format!("/.well-known/openid-configuration{own}"),
                MetadataAt::OpenIdAppended => format!("{own}/.well-known/openid-configuration"),
            }
        });
        found.then(|| Said::json(200, &self.document(&state.behaviour, &self.issuer)))
    }

    pub(super) fn document(&self, behaviour: &Behaviour, issuer: &str) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        let mut document = json!({
            "issuer": issuer,
            "authorization_endpoint": at("/oauth/authorize"),
            "token_endpoint": at("/oauth/token"),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        });
        let mut set = |name: &str, value: Value| {
            document[name] = value;
        };
        if behaviour.registration != Registering::Absent {
            set("registration_endpoint", at("/oauth/register").into());
        }
        if behaviour.revocation {
            set("revocation_endpoint", at("/oauth/revoke").into());
        }
        if behaviour.device {
            set("device_authorization_endpoint", at("/oauth/device").into());
        }
        if behaviour.openid {
            set("userinfo_endpoint", at("/oauth/userinfo").into());
            set("jwks_uri", at("/oauth/keys").into());
            set("subject_types_supported", json!(["public"]));
            set("id_token_signing_alg_values_supported", json!(["RS256"]));
        }
        if let Some(methods) = &behaviour.pkce {
            set("code_challenge_methods_supported", json!(methods));
        }
        if let Some(scopes) = &behaviour.scopes {
            set("scopes_supported", json!(scopes));
        }
        if let Some(methods) = &behaviour.methods {
            set("token_endpoint_auth_methods_supported", json!(methods));
        }
        if behaviour.metadata_documents {
            set("client_id_metadata_document_supported", true.into());
        }
        if matches!(behaviour.iss, Iss::Sent | Iss::Missing | Iss::Wrong(_)) {
            set(
                "authorization_response_iss_parameter_supported",
                true.into(),
            );
        }
        over(&mut document, &behaviour.metadata);
        document
    }
}

/// Puts members over those that are there; null takes one away.
fn over(document: &mut Value, members: &Value) {
    let members = members.as_object().into_iter().flatten();
    for (name, value) in members {
        if value.is_null() {
            if let Some(document) = document.as_object_mut() {
                document.remove(name);
            }
        } else {
            document[name] = value.clone();
        }
    }
}
