//! One login by a browser or another device, from the server's challenge to the tokens.
//!
//! Invariants:
//! - A state is good for one answer: whoever finishes a login has it no more.
//! - What is sent to the token endpoint, and what comes from there, rmcp does not see.

use std::fmt;
use std::time::Duration;

use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationRequest, AuthorizationSession,
};
use url::Url;

use super::authorization;
pub use super::callback::{Callback, Expected};
use super::device::Device;
use super::discovery::{Found, defect, find};
use super::exchange::{Client, Exchanging};
pub use super::failed::LoginFailed;
use super::failed::{foreign, host_of};
use super::grant::Grant;
use super::granted::{Granted, Identity, Source, Tokens};
use super::identity;
use super::network::Network;
use super::page::Page;
use super::registration::{For, client_of};
use super::scopes::{Asked, Known};
use super::seam::{PLACEHOLDER, Seam, Step, Way};
use crate::model::{GrantKind, OAuth};

/// What a server said when it refused: `WWW-Authenticate` (RFC 6750, section 3; RFC 9728, section 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// 401 or 403.
    pub status: u16,
    /// The header as it came; `None`: it said nothing.
    pub header: Option<String>,
}

/// What a person wants of a login.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Registers anew (`--fresh-client`).
    pub fresh_client: bool,
    /// By the device flow (`--device`).
    pub device: bool,
    /// Scopes beside those of the last grant that a person said yes to.
    pub more_scopes: Vec<String>,
    /// Somebody says who must log in (`--expect`), so that this must be learnt.
    pub identity: bool,
    /// In which workspace that is, where it is known.
    pub workspace: Option<String>,
}

/// A login under way. Dropping it ends it.
pub struct Flow {
    way: Way,
    settings: OAuth,
    client: Client,
    source: Source,
    asked: Asked,
    page: Page,
    is_foreign: bool,
    changed_from: Option<String>,
    kind: Kind,
}

/// What another device brought. Who that is is a question of its own: tokens that are there are never lost over it.
#[derive(Debug)]
pub struct Brought {
    /// Without who that is.
    pub granted: Granted,
    way: Way,
    settings: OAuth,
}

/// How the person gets to the provider.
enum Kind {
    Browser {
        session: Box<AuthorizationSession>,
        seam: Seam,
        state: String,
        /// The authorization server says that it names itself in its answers.
        names_issuer: bool,
    },
    Device(Device),
}

impl Flow {
    /// Finds the authorization server, registers where that is needed, and makes the URL. `redirect_uri` is where Janus
    /// listens.
    ///
    /// # Errors
    /// Why nobody can log in.
    pub async fn begin(
        grant: &Grant,
        network: &Network,
        redirect_uri: &str,
        options: &Options,
    ) -> Result<Self, LoginFailed> {
        let mut settings = OAuth::clone(&grant.settings());
        if options.device {
            settings.grant = GrantKind::DeviceCode;
        }
        let by_device = settings.grant == GrantKind::DeviceCode;
        let way = Way {
            network: network.clone(),
            policy: grant.policy(),
        };
        let earlier = grant.earlier_issuer();
        let finding = find(&way, &settings, grant.challenge(), earlier.clone());
        let ((mut manager, seam), found) = Box::pin(finding).await?;
        if !by_device {
            found.check_challenges(&settings)?;
        }
        let changed_from = found.changed_from(earlier.as_deref());
        if let Some(earlier) = &changed_from {
            tracing::warn!(
                account = %grant.account(),
                "the server has another authorization server now: {}, before it was {}; nothing of the earlier login goes there",
                host_of(&found.server.issuer),
                host_of(earlier)
            );
        }
        let granted = grant.status().scopes;
        let asked = Asked::of(
            &settings,
            Known {
                challenged: &found.challenged,
                listed: &found.listed,
                supported: found.server.scopes.as_deref(),
                granted: if changed_from.is_none() {
                    &granted
                } else {
                    &[]
                },
                agreed: &options.more_scopes,
                identity: options.identity,
            },
        );
        let wanted = For {
            settings: &settings,
            redirect_uri: if by_device { "" } else { redirect_uri },
            scopes: &asked.scopes,
            fresh: options.fresh_client,
        };
        let registration =
            Box::pin(client_of(grant, (&mut manager, &seam), &found, wanted)).await?;
        let key = grant.signing_key(&registration).await;
        let client = Client {
            registration,
            key: key.map_err(LoginFailed::of_client)?,
        };
        let source = found.source();
        let (kind, page) = if by_device {
            let endpoint = found.server.device.as_deref().unwrap_or_default();
            let device = Device::begin(&way, endpoint, &client, (&source, &asked.scopes)).await?;
            let page = device.page.clone();
            (Kind::Device(device), page)
        } else {
            let workspace = options.workspace.as_deref();
            let asking = (&settings, &client, &asked);
            begun(manager, seam, &found, asking, workspace).await?
        };
        let server = way.policy.server.host();
        let is_foreign = page.is_foreign(&source.issuer, server);
        Ok(Self {
            way,
            settings,
            client,
            source,
            asked,
            page,
            is_foreign,
            changed_from,
            kind,
        })
    }

    /// The page of the provider: checked, and safe to be opened.
    pub fn url(&self) -> &str {
        &self.page.url
    }

    /// The host a person sees, in ASCII.
    pub fn host(&self) -> &str {
        &self.page.host
    }

    /// Whether that host belongs neither to the issuer nor to the server: a person confirms it first.
    pub fn is_foreign(&self) -> bool {
        self.is_foreign
    }

    /// The authorization server now and that of the last grant, as people read them, where it is not the same.
    pub fn moved(&self) -> Option<(String, String)> {
        let (now, before) = (&self.source.issuer, self.changed_from.as_ref()?);
        let hosts = (host_of(now), host_of(before));
        if hosts.0 == hosts.1 {
            return Some((foreign(now), foreign(before)));
        }
        Some(hosts)
    }

    /// Where the browser comes back to: as it was given, or under the other name of this machine, where the provider
    /// wanted that. Empty for the device flow.
    pub fn redirect_uri(&self) -> &str {
        &self.client.registration.redirect_uri
    }

    /// The authorization server.
    pub fn issuer(&self) -> &str {
        &self.source.issuer
    }

    /// What the callback of this login is held against; `None`: the device flow has none.
    pub fn expected(&self) -> Option<Expected> {
        match &self.kind {
            Kind::Browser {
                state,
                names_issuer,
                ..
            } => Some(Expected {
                state: state.clone(),
                issuer: self.source.issuer.clone(),
                names_issuer: *names_issuer,
            }),
            Kind::Device(_) => None,
        }
    }

    /// What is asked for.
    pub fn scopes(&self) -> &[String] {
        &self.asked.scopes
    }

    /// Those of them that are neither configured nor were granted before.
    pub fn new_scopes(&self) -> &[String] {
        &self.asked.new
    }

    /// The code and the address of the device flow, and how long they are good for.
    pub fn device(&self) -> Option<(&str, &str, Duration)> {
        match &self.kind {
            Kind::Browser { .. } => None,
            Kind::Device(device) => Some((&device.user_code, &device.address.url, device.life)),
        }
    }

    /// The code for tokens, and who that is. Runs to its end wherever it is awaited: spawn it.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn finish(mut self, callback: Callback) -> Result<Granted, LoginFailed> {
        let (
            Some(expected),
            Kind::Browser {
                session,
                seam,
                state,
                ..
            },
        ) = (self.expected(), self.kind)
        else {
            return Err(LoginFailed::NotTheAnswer(
                "this login waits for another device".to_owned(),
            ));
        };
        let code = callback.code(&expected)?;
        let exchanging = Exchanging {
            client: self.client.clone(),
            source: self.source.clone(),
            code,
            outcome: None,
        };
        seam.begin(Step::Exchanging(Box::new(exchanging))).await;
        // The code stays here: rmcp writes the one it is given into its log.
        let issuer = Some(self.source.issuer.as_str());
        let exchanged = session
            .handle_callback_with_issuer(PLACEHOLDER, &state, issuer)
            .await;
        let Step::Exchanging(done) = seam.end().await else {
            return Err(LoginFailed::Janus("the login lost its place".to_owned()));
        };
        self.client = done.client;
        let tokens = match (done.outcome, exchanged) {
            // What came is not lost over what rmcp thinks of its placeholder.
            (Some(outcome), _) => outcome?,
            (None, Err(error)) => return Err(defect(&error)),
            (None, Ok(_)) => {
                return Err(LoginFailed::Janus("nothing was exchanged".to_owned()));
            }
        };
        let login = (self.way, self.settings, self.asked);
        let mut brought = brought(login, self.client, self.source, tokens);
        brought.granted.verified_as = brought.identity().await;
        Ok(brought.granted)
    }

    /// Waits until the person is done on the other device. Who that is is asked afterwards ([`Brought::identity`]). Where it
    /// is dropped, tokens that are under way are lost: spawn it, and have `gone` resolve when nobody waits any more.
    ///
    /// # Errors
    /// Why there are no tokens.
    pub async fn poll(mut self, gone: impl Future<Output = ()>) -> Result<Brought, LoginFailed> {
        let Kind::Device(device) = self.kind else {
            return Err(LoginFailed::NotTheAnswer(
                "this login waits for a browser".to_owned(),
            ));
        };
        let tokens = device
            .poll(gone, &self.way, &mut self.client, &self.source)
            .await?;
        let login = (self.way, self.settings, self.asked);
        Ok(brought(login, self.client, self.source, tokens))
    }
}

impl Brought {
    /// Who that is; `None`: it cannot be learnt here. A provider that does not answer is asked again for a while.
    pub async fn identity(&self) -> Option<Identity> {
        identity::of(&self.way, &self.settings, &self.granted).await
    }
}

/// The URL, by rmcp: its state, and its PKCE challenge, whose verifier it keeps.
async fn begun(
    manager: AuthorizationManager,
    seam: Seam,
    found: &Found,
    (settings, client, asked): (&OAuth, &Client, &Asked),
    workspace: Option<&str>,
) -> Result<(Kind, Page), LoginFailed> {
    let registration = &client.registration;
    let request = AuthorizationRequest::new(&registration.redirect_uri)
        .with_preregistered_client(&registration.client_id);
    // Without either of them it would ask for all that the authorization server has.
    let request = if asked.scopes.is_empty() {
        request.with_initial_scope_selection()
    } else {
        request.with_scopes(asked.scopes.iter().map(String::as_str))
    };
    let session = AuthorizationSession::new(manager, request).await;
    let session = session.map_err(|(_, error)| match error {
        AuthError::InvalidScope(_) => LoginFailed::Server(format!(
            "the authorization server {} gives no codes",
            host_of(&found.server.issuer)
        )),
        other => defect(&other),
    })?;
    let made = session.get_authorization_url();
    let endpoint = found.server.authorization.as_deref().unwrap_or_default();
    let resource = found.resource.as_deref();
    let asked = (asked.scopes.as_slice(), resource);
    let page = authorization::page(made, endpoint, settings, asked, workspace)?;
    let state = Url::parse(&page.url).ok().and_then(|url| {
        let mut query = url.query_pairs();
        let found = query.find(|(name, _)| name == "state")?;
        Some(found.1.into_owned())
    });
    let state = state.ok_or_else(|| LoginFailed::Janus("the login has no state".to_owned()))?;
    let kind = Kind::Browser {
        session: Box::new(session),
        seam,
        state,
        names_issuer: found.server.names_issuer,
    };
    Ok((kind, page))
}

/// What a login brought.
fn brought(
    (way, settings, asked): (Way, OAuth, Asked),
    client: Client,
    source: Source,
    tokens: Tokens,
) -> Brought {
    //= https://www.rfc-editor.org/rfc/rfc6749#section-5.1
    //# OPTIONAL, if identical to the scope requested by the client
    let scopes = tokens.scopes.clone().unwrap_or(asked.scopes);
    Brought {
        granted: Granted {
            registration: client.registration,
            server: way.policy.origin(),
            source,
            scopes,
            tokens,
            verified_as: None,
            known_as: None,
        },
        way,
        settings,
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("host", &self.page.host)
            .field("issuer", &self.source.issuer)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_send<T: Send>(_: &T) {}

    #[test]
    fn a_login_can_be_finished_by_a_task() {
        // Not called: that it compiles is the test.
        let finish = |flow: Flow, callback: Callback| is_send(&flow.finish(callback));
        let poll = |flow: Flow| is_send(&flow.poll(std::future::pending()));
        let identity = |brought: &Brought| is_send(&brought.identity());
        let _ = (finish, poll, identity);
    }
}
