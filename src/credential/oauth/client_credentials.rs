//! Tokens of machine accounts: the client asks in its own name (RFC 6749, section 4.4).

use super::client_authentication::Form;
use super::granted::Source;
use crate::model::OAuth;

/// The request, but for what proves the client. `scoped`: with the scopes, where there are some to ask for.
pub(super) fn form(settings: &OAuth, source: &Source, wanted: &[String], scoped: bool) -> Form {
    let mut form = Form::new("client_credentials");
    if scoped && let Some(scope) = scope(settings, wanted) {
        form = form.with("scope", &scope);
    }
    form.with_resource(source)
}

/// What is asked for: as configured, else what the server says that it wants.
fn scope(settings: &OAuth, wanted: &[String]) -> Option<String> {
    let scopes = if let Some(exactly) = &settings.scopes {
        exactly.clone()
    } else {
        let limit = settings.scopes_limit.as_ref();
        let allowed = |scope: &&String| limit.is_none_or(|limit| limit.contains(scope));
        wanted.iter().filter(allowed).cloned().collect()
    };
    (!scopes.is_empty()).then(|| scopes.join(" "))
}
