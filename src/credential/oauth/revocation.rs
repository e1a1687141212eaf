//! The end of tokens at the provider (RFC 7009), and of a client there (RFC 7592): best effort, since the tokens are forgotten
//! here whatever it says.

use std::time::{Duration, SystemTime};

use http::header::AUTHORIZATION;
use http::{Method, Request};

use super::client_authentication::{Form, bearer};
use super::grant::Grant;
use super::granted::{Managed, Registration, Source, Tokens};
use super::network::{Network, Policy};
use crate::model::Secret;

/// A person waits, and what they wanted is done already.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends the refresh token, then the access token. Whether the provider said yes to what would be used again: an access
/// token that it checks by itself (a JWT) cannot be taken back, and ends soon.
pub async fn revoke(
    network: &Network,
    grant: &Grant,
    registration: &Registration,
    source: &Source,
    tokens: &Tokens,
) -> bool {
    let Some(endpoint) = &source.revocation_endpoint else {
        return false;
    };
    // Whoever cannot sign is refused by the provider, which is told of.
    let key = grant.signing_key(registration).await.ok().flatten();
    let (client, policy) = ((registration, key.as_deref()), grant.policy());
    let mut ended = None;
    // A provider that ends the whole grant with the first says yes to the second too (section 2.2).
    let refresh = tokens.refresh.iter().map(|token| ("refresh_token", token));
    for (hint, token) in refresh.chain([("access_token", &tokens.access)]) {
        let ending = one(network, &policy, (client, endpoint), (hint, token));
        let Ok(said) = tokio::time::timeout(PATIENCE, ending).await else {
            // Who does not answer to the one does not to the other.
            break;
        };
        ended = ended.or(Some(said));
    }
    ended.unwrap_or(false)
}

/// Removes a client that registered itself (RFC 7592, section 2.3). Whether the provider did.
pub async fn remove(network: &Network, grant: &Grant, registration: &Registration) -> bool {
    let Some(managed) = &registration.managed else {
        return false;
    };
    let Some(request) = removal(managed) else {
        return false;
    };
    let policy = grant.policy();
    let answer = tokio::time::timeout(PATIENCE, network.send(request, &policy)).await;
    matches!(answer, Ok(Ok(answer)) if answer.status().is_success())
}

fn removal(managed: &Managed) -> Option<Request<Vec<u8>>> {
    let mut request = Request::new(Vec::new());
    *request.method_mut() = Method::DELETE;
    *request.uri_mut() = managed.uri.parse().ok()?;
    let bearer = bearer(&managed.token)?;
    request.headers_mut().insert(AUTHORIZATION, bearer);
    Some(request)
}

async fn one(
    network: &Network,
    policy: &Policy,
    ((registration, key), endpoint): ((&Registration, Option<&Secret>), &str),
    (hint, token): (&str, &Secret),
) -> bool {
    let form = Form::revocation(token, hint);
    let client = (registration, registration.method);
    let Ok(request) = form.proven(endpoint, client, key, SystemTime::now()) else {
        return false;
    };
    let answer = network.send(request, policy).await;
    answer.is_ok_and(|answer| answer.status().is_success())
}
