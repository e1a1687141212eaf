//! Tokens of machine accounts: the client asks in its own name (RFC 6749, section 4.4).

use super::client_authentication::Form;
use super::granted::Source;
use super::login::Challenge;
use crate::model::OAuth;

/// The request, but for what proves the client. `scoped`: with the scopes, where there are some to ask for.
pub(super) fn form(
    settings: &OAuth,
    source: &Source,
    challenge: Option<&Challenge>,
    scoped: bool,
) -> Form {
    let mut form = Form::new("client_credentials");
    if scoped && let Some(scope) = scope(settings, challenge) {
        form = form.with("scope", &scope);
    }
    match &source.resource {
        Some(resource) => form.with("resource", resource),
        None => form,
    }
}

/// What is asked for: as configured, else what the server said that it wants.
fn scope(settings: &OAuth, challenge: Option<&Challenge>) -> Option<String> {
    let configured = settings.scopes.as_ref().map(|scopes| scopes.join(" "));
    let wanted = || {
        let wanted = challenge?.scope()?;
        let allowed = |scope: &&str| {
            let limit = settings.scopes_limit.as_ref();
            limit.is_none_or(|limit| limit.iter().any(|one| one == scope))
        };
        let words: Vec<&str> = wanted.split(' ').filter(allowed).collect();
        Some(words.join(" "))
    };
    configured.or_else(wanted).filter(|scope| !scope.is_empty())
}
