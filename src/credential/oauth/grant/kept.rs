//! What is kept of a grant beside its tokens, and back: a row of the store, or a file beside a store that fails.
//!
//! A row keeps its end by both clocks. After a start of the machine only the one on the wall is left, which may be wrong.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::LoginReason;
use crate::credential::clock::{Clock, Moment};
use crate::credential::oauth::granted::{
    Granted, Identity, Managed, Registration, RegistrationKind, Source,
};
use crate::credential::oauth::token_response::LONGEST_LIFE;
use crate::model::{ClientAuthentication, hex};

/// What is known of a grant, none of it secret. As JSON it ignores what it does not know, and fills in what is missing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Facts {
    /// Scheme, host and port of the MCP server that it is for.
    pub(super) server: String,
    pub(super) issuer: String,
    token_endpoint: String,
    revocation_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    resource: Option<String>,
    methods: Vec<String>,
    /// The client, where no registration is kept for it.
    pub(super) client: Option<Client>,
    /// `client_secret_basic` or `client_secret_post`, after the other one was refused.
    method: Option<String>,
    pub(super) scopes: Vec<String>,
    /// Who logged in the last time that this could be learnt.
    subject: Option<String>,
    workspace: Option<String>,
    /// That was an earlier login: whose the tokens are is not known.
    unverified: bool,
    /// The workspace of an earlier login of the same person, where this one's is not known.
    earlier_workspace: Option<String>,
    /// Which login it was, so that what is kept beside the disk of another one is not taken for it.
    pub(super) login: String,
    /// Why a person is needed.
    needs: Option<String>,
    /// When it came to stand as it does; milliseconds since 1970, like all times here.
    since: u64,
    /// When the tokens came.
    issued: u64,
    /// How long the access token lives, in milliseconds.
    life: Option<u64>,
    end: Option<End>,
}

/// A client that no registration is kept for: the configuration has it, or it is a metadata document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Client {
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) redirect_uri: String,
}

/// When a token ends, by both clocks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct End {
    wall: u64,
    start: Option<String>,
    since_start: u64,
}

/// What is known of an end that was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remembered {
    /// When it is; `None`: not known.
    pub(super) end: Option<Moment>,
    /// By the clock on the wall alone.
    pub(super) by_wall: bool,
    /// What was written down cannot be true, so that a newer token is wanted at once.
    pub(super) is_odd: bool,
}

/// One in 2¹²⁸; without randomness all are one, which costs no more than not telling them apart.
fn random() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok();
    hex(&bytes)
}

const PRE_REGISTERED: &str = "pre_registered";
const METADATA_DOCUMENT: &str = "metadata_document";

impl Facts {
    /// Of a login.
    pub(super) fn of(granted: &Granted) -> Self {
        let registration = &granted.registration;
        let known_as = granted.verified_as.as_ref().or(granted.known_as.as_ref());
        let client = |kind: &str| Client {
            kind: kind.to_owned(),
            id: registration.client_id.clone(),
            redirect_uri: registration.redirect_uri.clone(),
        };
        let mut facts = Self {
            server: granted.server.clone(),
            client: match registration.kind {
                RegistrationKind::Dynamic => None,
                RegistrationKind::PreRegistered => Some(client(PRE_REGISTERED)),
                RegistrationKind::MetadataDocument => Some(client(METADATA_DOCUMENT)),
            },
            scopes: granted.scopes.clone(),
            subject: known_as.map(|who| who.subject.clone()),
            workspace: known_as.and_then(|who| who.workspace.clone()),
            unverified: granted.verified_as.is_none(),
            earlier_workspace: granted
                .known_as
                .as_ref()
                .and_then(|who| who.workspace.clone()),
            login: random(),
            ..Self::default()
        };
        facts.set_source(&granted.source);
        facts
    }

    /// Where tokens come from, found anew.
    pub(super) fn set_source(&mut self, source: &Source) {
        self.issuer.clone_from(&source.issuer);
        self.token_endpoint.clone_from(&source.token_endpoint);
        self.revocation_endpoint
            .clone_from(&source.revocation_endpoint);
        self.userinfo_endpoint.clone_from(&source.userinfo_endpoint);
        self.resource.clone_from(&source.resource);
        let word = |method: &ClientAuthentication| method.word().to_owned();
        self.methods = source.methods.iter().map(word).collect();
    }

    pub(super) fn source(&self) -> Source {
        Source {
            issuer: self.issuer.clone(),
            token_endpoint: self.token_endpoint.clone(),
            revocation_endpoint: self.revocation_endpoint.clone(),
            userinfo_endpoint: self.userinfo_endpoint.clone(),
            resource: self.resource.clone(),
            methods: self
                .methods
                .iter()
                .filter_map(|word| ClientAuthentication::of_word(word))
                .collect(),
        }
    }

    /// Whose the tokens are.
    pub(super) fn verified_as(&self) -> Option<Identity> {
        let subject = self.subject.clone().filter(|_| !self.unverified)?;
        Some(Identity {
            subject,
            workspace: self.workspace.clone(),
        })
    }

    /// Whose the last tokens are of which that could be learnt.
    pub(super) fn known_as(&self) -> Option<Identity> {
        let workspace = self.workspace.clone();
        Some(Identity {
            subject: self.subject.clone()?,
            workspace: workspace.or_else(|| self.earlier_workspace.clone()),
        })
    }

    pub(super) fn method(&self) -> Option<ClientAuthentication> {
        ClientAuthentication::of_word(self.method.as_deref()?)
    }

    pub(super) fn set_method(&mut self, method: ClientAuthentication) {
        self.method = Some(method.word().to_owned());
    }

    pub(super) fn needs(&self) -> Option<LoginReason> {
        LoginReason::of_word(self.needs.as_deref()?)
    }

    pub(super) fn set_needs(&mut self, reason: Option<LoginReason>, clock: &Clock) {
        self.needs = reason.map(|reason| reason.word().to_owned());
        self.since = milliseconds(clock.wall());
    }

    pub(super) fn since(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.since)
    }

    /// Tokens came now, and are good for so long.
    pub(super) fn set_life(&mut self, life: Option<Duration>, clock: &Clock) {
        let (now, wall) = (clock.now(), milliseconds(clock.wall()));
        self.issued = wall;
        self.since = wall;
        self.life = life.map(whole_milliseconds);
        self.end = life.map(|life| End {
            wall: wall.saturating_add(whole_milliseconds(life)),
            start: clock.start().as_deref().map(str::to_owned),
            since_start: whole_milliseconds(now.after(life).since_start()),
        });
    }

    pub(super) fn life(&self) -> Option<Duration> {
        self.life.map(Duration::from_millis)
    }

    /// How long ago the tokens came, as far as the clock on the wall can tell.
    pub(super) fn age(&self, clock: &Clock) -> Duration {
        Duration::from_millis(milliseconds(clock.wall()).saturating_sub(self.issued))
    }

    /// When the access token ends. The clock since the start decides where it is the same start; else the one on the
    /// wall, and what that cannot mean is not believed.
    pub(super) fn end(&self, clock: &Clock) -> Remembered {
        let unknown = Remembered {
            end: None,
            by_wall: false,
            is_odd: false,
        };
        let Some(end) = &self.end else {
            return unknown;
        };
        let start = clock.start();
        if start.is_some() && start.as_deref() == end.start.as_deref() {
            let end = Moment::of_start(Duration::from_millis(end.since_start));
            return Remembered {
                end: Some(end),
                ..unknown
            };
        }
        let wall = milliseconds(clock.wall());
        let left = end.wall.saturating_sub(wall);
        let longest = self
            .life
            .unwrap_or_else(|| whole_milliseconds(LONGEST_LIFE));
        if self.issued > wall || left > longest {
            return Remembered {
                is_odd: true,
                by_wall: true,
                ..unknown
            };
        }
        Remembered {
            end: Some(clock.now().after(Duration::from_millis(left))),
            by_wall: true,
            is_odd: false,
        }
    }

    pub(super) fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

impl Client {
    pub(super) fn kind(&self) -> RegistrationKind {
        match self.kind.as_str() {
            METADATA_DOCUMENT => RegistrationKind::MetadataDocument,
            _ => RegistrationKind::PreRegistered,
        }
    }
}

/// What is known of a registration, none of it secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct RegistrationFacts {
    method: String,
    redirect_uri: String,
    secret_expires: Option<u64>,
    /// `registration_client_uri`
    managed_at: Option<String>,
    pub(super) created: u64,
}

impl RegistrationFacts {
    pub(super) fn of(registration: &Registration) -> Self {
        Self {
            method: registration.method.word().to_owned(),
            redirect_uri: registration.redirect_uri.clone(),
            secret_expires: registration.secret_expires.map(milliseconds),
            managed_at: registration.managed.as_ref().map(|at| at.uri.clone()),
            created: milliseconds(registration.created),
        }
    }

    pub(super) fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn secret_expires(&self) -> Option<SystemTime> {
        let at = self.secret_expires?;
        Some(UNIX_EPOCH + Duration::from_millis(at))
    }

    /// All of it, with what was sealed.
    pub(super) fn registration(
        self,
        record: &crate::store::RegistrationRecord,
        secrets: &crate::vault::RegistrationSecrets,
    ) -> Registration {
        Registration {
            id: Arc::clone(&record.id),
            issuer: record.issuer.clone(),
            server: record.server.clone(),
            account: record.account.clone(),
            kind: RegistrationKind::Dynamic,
            // Public by its nature: it stands in every authorization URL.
            client_id: secrets.id.expose().to_owned(),
            client_secret: secrets.secret.clone(),
            signing_key: None,
            method: ClientAuthentication::of_word(&self.method)
                .unwrap_or(ClientAuthentication::None),
            secret_expires: self.secret_expires(),
            managed: self
                .managed_at
                .zip(secrets.managing.clone())
                .map(|(uri, token)| Managed { uri, token }),
            redirect_uri: self.redirect_uri,
            created: UNIX_EPOCH + Duration::from_millis(self.created),
        }
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    whole_milliseconds(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn whole_milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    /// In whole minutes, however long the test takes.
    fn left(facts: &Facts, clock: &Clock) -> Option<u64> {
        let end = facts.end(clock).end?;
        let half = Duration::from_secs(30);
        Some((end.from(clock.now()) + half).as_secs() / 60)
    }

    fn granted(clock: &Clock) -> Facts {
        let mut facts = Facts::default();
        facts.set_life(Some(HOUR), clock);
        Facts::read(&facts.write()).unwrap()
    }

    #[test]
    fn a_workspace_that_was_not_learnt_is_the_one_before_for_the_next_login_alone() {
        let facts = Facts {
            subject: Some("ana".to_owned()),
            earlier_workspace: Some("A".to_owned()),
            ..Facts::default()
        };
        let who = |workspace: Option<&str>| {
            Some(Identity {
                subject: "ana".to_owned(),
                workspace: workspace.map(str::to_owned),
            })
        };
        assert_eq!(facts.verified_as(), who(None));
        assert_eq!(facts.known_as(), who(Some("A")));
    }

    #[test]
    fn the_clock_on_the_wall_says_nothing_within_one_start_of_the_machine() {
        let clock = Clock::movable();
        let facts = granted(&clock);
        clock.set_forward(HOUR * 720);
        assert_eq!(left(&facts, &clock), Some(60));
        clock.set_back(HOUR * 1440);
        assert_eq!(left(&facts, &clock), Some(60));
        clock.suspend(HOUR / 2);
        assert_eq!(left(&facts, &clock), Some(30));
        clock.suspend(HOUR);
        assert_eq!(left(&facts, &clock), Some(0));
    }

    #[test]
    fn after_a_start_of_the_machine_the_wall_counts_as_far_as_it_can_be_true() {
        let clock = Clock::movable();
        let facts = granted(&clock);
        clock.restart_machine("another");
        clock.suspend(HOUR / 2);
        assert_eq!(left(&facts, &clock), Some(30));
        assert!(facts.end(&clock).by_wall && !facts.end(&clock).is_odd);
        clock.suspend(HOUR);
        assert_eq!(left(&facts, &clock), Some(0));
        // Before it was issued: the clock is wrong, so that nobody knows.
        clock.set_back(HOUR * 48);
        let odd = facts.end(&clock);
        assert_eq!((odd.end, odd.is_odd), (None, true));
    }

    #[test]
    fn facts_of_another_version_are_read_as_far_as_they_are_known() {
        let read = Facts::read(r#"{"issuer":"https://as.example","later":[1]}"#).unwrap();
        assert_eq!(read.issuer, "https://as.example");
        assert_eq!((read.needs(), read.life()), (None, None));
        assert!(Facts::read("7").is_none());
    }
}
