//! Who gives tokens for a server (RFC 9728, RFC 8414, OpenID Connect Discovery), by rmcp's walk over the places where
//! that is written; or by what a person gave by hand.
//!
//! Invariants:
//! - Nothing is invented: what nobody published is used only where somebody took that risk by its name.
//! - An authorization server that does not answer is not replaced by another one.
//! - Endpoints are looked at before anything is sent to them.

use std::sync::Arc;

use http::Uri;
use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationMetadata, AuthorizationMetadataResolution,
};
use url::Url;

use super::address::Allowed;
use super::failed::{LoginFailed, foreign};
use super::grant::Grant;
use super::granted::Source;
use super::login::Challenge;
use super::metadata::{ServerMetadata, is_same_issuer, resource_of};
use super::network::{Network, Policy};
use super::seam::{Seam, Step, Way};
use super::walk::{Walk, Wanted};
use crate::model::{GrantKind, OAuth, Resource};

/// So many authorization servers of a list are tried: nobody has more, and each costs a person's time.
const CANDIDATES: usize = 8;

/// What was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// The authorization server.
    pub(super) server: ServerMetadata,
    /// What `resource` says in each request; `None`: it is not sent.
    pub(super) resource: Option<String>,
    /// The scopes that the server asked for with its refusal.
    pub(super) challenged: Vec<String>,
    /// Those that its metadata lists.
    pub(super) listed: Vec<String>,
    /// Whether somebody published it.
    pub(super) published: bool,
}

/// For a machine account: from where its tokens come, and which scopes the server says that it wants.
///
/// # Errors
/// Why that cannot be found out.
pub(super) async fn discover(
    grant: &Grant,
    network: &Network,
) -> Result<(Source, Vec<String>), LoginFailed> {
    let way = Way {
        network: network.clone(),
        policy: grant.policy(),
    };
    let earlier = grant.earlier_issuer();
    let settings = grant.settings();
    let found = find(&way, &settings, grant.challenge(), earlier).await?;
    let found = found.1;
    let wanted = if found.challenged.is_empty() {
        &found.listed
    } else {
        &found.challenged
    };
    Ok((found.source(), wanted.clone()))
}

/// Finds the authorization server, and an rmcp that knows it.
pub(super) async fn find(
    way: &Way,
    settings: &OAuth,
    challenge: Option<Challenge>,
    earlier: Option<String>,
) -> Result<((AuthorizationManager, Seam), Found), LoginFailed> {
    let url = Url::parse(&way.policy.server.to_string())
        .map_err(|_| LoginFailed::Server("the server's URL cannot be read".to_owned()))?;
    let seam = Seam::new(way.clone());
    let described = by_hand(settings).map(|server| Found {
        server,
        resource: None,
        challenged: scopes_of(challenge.as_ref()),
        listed: Vec::new(),
        published: true,
    });
    let mut found = match described {
        Some(described) if !wants_challenges(settings) => described,
        described => {
            let wanted = Wanted {
                pinned: settings.issuer.clone(),
                earlier,
                resource: match &settings.resource {
                    Resource::Is(resource) => Some(resource.clone()),
                    Resource::Auto | Resource::Omit => None,
                },
            };
            let walk = Walk::new(url.clone(), challenge, wanted);
            let walked = Box::pin(walked(&seam, &url, walk, settings)).await;
            match (walked, described) {
                // Who cannot be reached cannot say whether it checks PKCE, and cannot log in anybody either.
                (Err(failed), Some(described)) if !failed.may_pass() => described,
                (walked, _) => walked?,
            }
        }
    };
    overlay(&mut found.server, settings);
    look_at(&found.server, settings, &way.policy)?;
    found.resource = match &settings.resource {
        Resource::Omit => None,
        Resource::Is(resource) => Some(resource.clone()),
        Resource::Auto => found.resource.or_else(|| Some(resource_of(&url))),
    };
    let mut manager = manager(&url, &seam).await?;
    manager.set_metadata(for_rmcp(&found.server));
    Ok(((manager, seam), found))
}

async fn manager(url: &Url, seam: &Seam) -> Result<AuthorizationManager, LoginFailed> {
    let client = Arc::new(seam.clone());
    let made = AuthorizationManager::new_with_oauth_http_client(url.as_str(), client).await;
    let mut manager = made.map_err(|error| defect(&error))?;
    // The issuer was compared before rmcp sees the document.
    manager.set_allow_missing_issuer(true);
    Ok(manager)
}

/// What rmcp says of itself is no text for people, and nothing of it is a provider's.
pub(super) fn defect(error: &AuthError) -> LoginFailed {
    LoginFailed::Janus(format!(
        "the login broke off: {}",
        foreign(&error.to_string())
    ))
}

async fn walked(
    seam: &Seam,
    url: &Url,
    mut walk: Walk,
    settings: &OAuth,
) -> Result<Found, LoginFailed> {
    let mut first = None;
    for _ in 0..CANDIDATES {
        let manager = manager(url, seam).await?;
        let header = walk
            .challenge()
            .and_then(|challenge| challenge.header.clone());
        seam.begin(Step::Finding(Box::new(walk))).await;
        let resolved = manager
            .resolve_metadata_from_challenge(header.as_deref())
            .await;
        let Step::Finding(done) = seam.end().await else {
            return Err(LoginFailed::Janus("the login lost its place".to_owned()));
        };
        walk = *done;
        match concluded(resolved, &mut walk, url, settings) {
            Ok(found) => return Ok(found),
            Err(failed) => {
                // Who gave the last grant and does not answer now is waited for.
                let stays = failed.may_pass() && walk.is_at_the_earlier();
                let more = walk.has_another();
                let first = first.get_or_insert(failed);
                if stays || !more {
                    return Err(first.clone());
                }
                walk = walk.next();
            }
        }
    }
    Err(first.unwrap_or_else(none))
}

fn none() -> LoginFailed {
    LoginFailed::Server(
        "the server does not say which authorization server gives tokens for it".to_owned(),
    )
}

fn concluded(
    resolved: Result<AuthorizationMetadataResolution, AuthError>,
    walk: &mut Walk,
    url: &Url,
    settings: &OAuth,
) -> Result<Found, LoginFailed> {
    let seen = &mut walk.seen;
    let failed =
        |seen: &mut super::walk::Seen| seen.failure.take().or_else(|| seen.mismatch.take());
    let resolution = resolved.map_err(|error| {
        failed(seen).unwrap_or_else(|| match error {
            AuthError::DiscoveryRequestFailed { .. } => LoginFailed::Server(
                "the way to the server's metadata leads to another place, which is not followed"
                    .to_owned(),
            ),
            AuthError::ProtectedResourceMetadataInvalid { .. } => LoginFailed::Server(
                "the server's resource metadata cannot be used".to_owned(),
            ),
            AuthError::AuthorizationServersUnavailable {
                authorization_servers,
                ..
            } => LoginFailed::Server(format!(
                "none of the authorization servers that the server names says how to get a token: {}",
                foreign(&authorization_servers.join(", "))
            )),
            other => defect(&other),
        })
    })?;
    // A document about something else is no proof that there is none about this server.
    if seen.resource.is_none()
        && let Some(mismatch) = seen.mismatch.take()
    {
        return Err(mismatch);
    }
    let resource = seen.resource.clone().unwrap_or_default();
    if resolution.source.is_discovered() {
        let server = seen.server.clone().ok_or_else(none)?;
        return Ok(Found {
            server,
            resource: resource.resource,
            challenged: scopes_of(walk.challenge()),
            listed: resource.scopes,
            published: true,
        });
    }
    if let Some(failure) = failed(seen) {
        return Err(failure);
    }
    if !settings.risks.legacy_endpoints {
        return Err(none());
    }
    // What servers had before there was metadata (MCP 2025-03-26): where somebody knows that this is one.
    Ok(Found {
        server: ServerMetadata {
            issuer: url.origin().ascii_serialization(),
            authorization: Some(resolution.metadata.authorization_endpoint),
            token: resolution.metadata.token_endpoint,
            registration: resolution.metadata.registration_endpoint,
            ..ServerMetadata::default()
        },
        resource: resource.resource,
        challenged: scopes_of(walk.challenge()),
        listed: resource.scopes,
        published: false,
    })
}

fn scopes_of(challenge: Option<&Challenge>) -> Vec<String> {
    let scopes = challenge.and_then(Challenge::scope).unwrap_or_default();
    scopes.split_whitespace().map(str::to_owned).collect()
}

/// The authorization server as a person described it, where that is enough for the grant that is wanted.
fn by_hand(settings: &OAuth) -> Option<ServerMetadata> {
    let given = &settings.endpoints;
    let token = given.token.clone()?;
    let is_enough = match settings.grant {
        GrantKind::AuthorizationCode => given.authorization.is_some(),
        GrantKind::ClientCredentials => true,
        GrantKind::DeviceCode => given.device_authorization.is_some(),
    };
    let origin = Url::parse(&token).ok()?.origin().ascii_serialization();
    is_enough.then(|| ServerMetadata {
        // Without a name of its own, it is known by where it is.
        issuer: settings.issuer.clone().unwrap_or(origin),
        token,
        ..ServerMetadata::default()
    })
}

/// Whether what the authorization server publishes is looked at although its endpoints are given: that it checks PKCE is
/// written there, and nobody took the risk that it does not.
fn wants_challenges(settings: &OAuth) -> bool {
    settings.grant == GrantKind::AuthorizationCode
        && settings.issuer.is_some()
        && !settings.risks.unadvertised_pkce
}

/// Whether a person said which authorization server is meant, so that the server cannot choose it.
pub(super) fn is_described(settings: &OAuth) -> bool {
    settings.issuer.is_some() || by_hand(settings).is_some()
}

/// What is given by hand counts more than what was found.
fn overlay(server: &mut ServerMetadata, settings: &OAuth) {
    let given = &settings.endpoints;
    if let Some(token) = &given.token {
        server.token.clone_from(token);
    }
    for (found, given) in [
        (&mut server.authorization, &given.authorization),
        (&mut server.device, &given.device_authorization),
        (&mut server.revocation, &given.revocation),
    ] {
        if given.is_some() {
            found.clone_from(given);
        }
    }
}

/// The endpoints that this kind of grant needs may be asked.
fn look_at(server: &ServerMetadata, settings: &OAuth, policy: &Policy) -> Result<(), LoginFailed> {
    let mut needed = vec![("token endpoint", Some(&server.token))];
    match settings.grant {
        GrantKind::AuthorizationCode => {
            needed.push(("authorization endpoint", server.authorization.as_ref()));
        }
        GrantKind::DeviceCode => {
            needed.push(("device authorization endpoint", server.device.as_ref()));
        }
        GrantKind::ClientCredentials => {}
    }
    for (what, endpoint) in needed {
        let Some(endpoint) = endpoint else {
            return Err(LoginFailed::Server(format!(
                "the authorization server {} has no {what}",
                foreign(&server.issuer)
            )));
        };
        let refused = |why: &str| {
            LoginFailed::Server(format!(
                "the {what} of {} cannot be used: {why}",
                foreign(&server.issuer)
            ))
        };
        let url: Uri = endpoint.parse().map_err(|_| refused("it is no URL"))?;
        Allowed::of(&url, policy)
            .url(&url)
            .map_err(|why| refused(&why))?;
    }
    Ok(())
}

fn for_rmcp(server: &ServerMetadata) -> AuthorizationMetadata {
    let mut metadata = AuthorizationMetadata::default();
    let authorization = server.authorization.as_ref().unwrap_or(&server.token);
    metadata.authorization_endpoint.clone_from(authorization);
    metadata.token_endpoint.clone_from(&server.token);
    metadata
        .registration_endpoint
        .clone_from(&server.registration);
    metadata.issuer = Some(server.issuer.clone());
    metadata
        .response_types_supported
        .clone_from(&server.response_types);
    metadata
        .code_challenge_methods_supported
        .clone_from(&server.challenges);
    metadata
}

impl Found {
    /// What a grant keeps of it.
    pub(super) fn source(&self) -> Source {
        Source {
            issuer: self.server.issuer.clone(),
            token_endpoint: self.server.token.clone(),
            revocation_endpoint: self.server.revocation.clone(),
            userinfo_endpoint: self.server.userinfo.clone(),
            resource: self.resource.clone(),
            methods: self.server.methods.clone(),
        }
    }

    /// PKCE with SHA-256 is not known to be checked there (RFC 7636; OAuth 2.1, section 7.5).
    pub(super) fn check_challenges(&self, settings: &OAuth) -> Result<(), LoginFailed> {
        match &self.server.challenges {
            Some(known) if known.iter().any(|known| known == "S256") => Ok(()),
            None if settings.risks.unadvertised_pkce || !self.published => Ok(()),
            Some(_) => Err(LoginFailed::Server(format!(
                "the authorization server {} does not do PKCE with SHA-256",
                foreign(&self.server.issuer)
            ))),
            None => Err(LoginFailed::Risk {
                why: format!(
                    "the authorization server {} does not say that it checks PKCE, without which a code can be stolen",
                    foreign(&self.server.issuer)
                ),
                key: "allow_unadvertised_pkce",
            }),
        }
    }

    /// Who gave the last grant, if that is somebody else.
    pub(super) fn changed_from(&self, earlier: Option<&str>) -> Option<String> {
        earlier
            .filter(|earlier| !is_same_issuer(earlier, &self.server.issuer))
            .map(str::to_owned)
    }
}
