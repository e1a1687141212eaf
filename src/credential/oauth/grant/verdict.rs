//! What an answer of the authorization server means, or that none came. Pure: what is done about it is the attempt's.

use std::time::Duration;

use super::LoginReason;
use super::attempt::Subject;
use super::client::NoClient;
use super::schedule::Failed;
use crate::credential::NoCredential;
use crate::credential::oauth::granted::{Registration, RegistrationKind, Tokens};
use crate::credential::oauth::network::NetworkError;
use crate::credential::oauth::token_response::{Answer, Said};
use crate::model::PreRegistered;

/// After so many refusals that only a person can do something about, it is asked less often.
pub(super) const SETTLED: u32 = 3;

/// What became of it.
pub(super) enum Outcome {
    /// With the client that asked, where it is one that a person's login was given to.
    Renewed(Tokens, Option<Box<Registration>>),
    /// The grant is another one by now, or none: what was found out concerns nobody.
    Replaced,
    /// A person must act.
    Needs {
        reason: LoginReason,
        wipe: bool,
        said: String,
    },
    Failed(Failure),
}

pub(super) struct Failure {
    pub(super) failed: Failed,
    pub(super) why: String,
    pub(super) wish: Option<Duration>,
    /// The authorization server may have taken the token.
    pub(super) unclear: bool,
    /// Whether it says something of the authorization server.
    pub(super) of: About,
    /// What proves the client is not to be had: who sets it is told that, and nothing was asked.
    pub(super) lacks: Option<NoCredential>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// It answered, if only to refuse.
    Answered,
    /// It did not.
    Silent,
    /// Nothing was asked.
    Nobody,
}

/// What an answer means for a grant that a person got.
pub(super) fn refused(answer: Answer, subject: &Subject, client: &Registration) -> Outcome {
    let needs = |reason, wipe, said: Said| Outcome::Needs {
        reason,
        wipe,
        said: said.text,
    };
    match answer {
        Answer::Dead(said) if subject.interrupted => needs(LoginReason::Lost, true, said),
        Answer::Dead(said) => needs(LoginReason::Rejected, true, said),
        Answer::ClientGone(said) => match client.kind {
            RegistrationKind::PreRegistered => settled_now(format!(
                "{}; correct `auth.oauth.client_id` or `client_secret`",
                said.text
            )),
            RegistrationKind::Dynamic | RegistrationKind::MetadataDocument => {
                needs(LoginReason::Registration, true, said)
            }
        },
        Answer::PersonNeeded(said) | Answer::Scope(said) | Answer::Denied(said) => {
            needs(LoginReason::Interaction, false, said)
        }
        Answer::Target(said) => settled_now(format!("{}; see `auth.oauth.resource`", said.text)),
        Answer::Unclear(said) => Outcome::Failed(Failure {
            failed: Failed::Passing,
            why: said.text,
            wish: None,
            unclear: true,
            of: About::Silent,
            lacks: None,
        }),
        Answer::Passing(said, wish) => passing(said, wish),
        Answer::SlowDown(said) | Answer::Pending(said) => passing(said, None),
        Answer::Configuration(said) | Answer::Stale(said) => settled(said.text, subject.attempt),
        // It is no refusal.
        Answer::Tokens(_) => settled_now("it answered twice".to_owned()),
    }
}

/// The same for a machine account: no person can log in for it, and somebody must mend the configuration.
pub(super) fn machine_refused(answer: Answer, client: &PreRegistered, attempt: u32) -> Outcome {
    match answer {
        Answer::Passing(said, wish) => passing(said, wish),
        Answer::SlowDown(said) | Answer::Pending(said) => passing(said, None),
        Answer::ClientGone(said) => settled_now(format!("{}; {}", said.text, correct(client))),
        Answer::Target(said) => settled_now(format!("{}; see `auth.oauth.resource`", said.text)),
        Answer::Scope(said) => settled_now(format!("{}; see `auth.oauth.scopes`", said.text)),
        Answer::Dead(said)
        | Answer::PersonNeeded(said)
        | Answer::Denied(said)
        | Answer::Configuration(said)
        | Answer::Stale(said)
        | Answer::Unclear(said) => settled(said.text, attempt),
        Answer::Tokens(_) => settled_now("it answered twice".to_owned()),
    }
}

/// Which keys to correct where the client is refused.
fn correct(client: &PreRegistered) -> String {
    let (secret, key) = (client.secret.as_ref(), client.key.as_ref());
    let proof = secret.map(|reference| ("client_secret", reference));
    match proof.or_else(|| key.map(|key| ("private_key", &key.key))) {
        Some((key, reference)) => {
            format!("correct `auth.oauth.client_id` or `auth.oauth.{key}` ({reference})")
        }
        None => "correct `auth.oauth.client_id`".to_owned(),
    }
}

fn passing(said: Said, wish: Option<Duration>) -> Outcome {
    Outcome::Failed(Failure {
        failed: Failed::Passing,
        why: said.text,
        wish,
        // Whoever says that it is busy has done nothing; who failed may have.
        unclear: false,
        of: About::Silent,
        lacks: None,
    })
}

/// It will be refused again, until somebody changes something: that is found out after a few times.
pub(super) fn settled(why: String, attempt: u32) -> Outcome {
    if attempt >= SETTLED {
        return settled_now(why);
    }
    Outcome::Failed(Failure {
        failed: Failed::Passing,
        why,
        wish: None,
        unclear: false,
        of: About::Answered,
        lacks: None,
    })
}

fn settled_now(why: String) -> Outcome {
    Outcome::Failed(Failure {
        failed: Failed::Settled,
        why,
        wish: None,
        unclear: false,
        of: About::Answered,
        lacks: None,
    })
}

pub(super) fn unreachable(why: &NetworkError) -> Failure {
    let (failed, unclear) = match why {
        NetworkError::Refused(_) => (Failed::Settled, false),
        NetworkError::Unreachable { sent, .. } => (Failed::Passing, *sent),
        NetworkError::Tls(_) => (Failed::Certificate, false),
        NetworkError::BadAnswer(_) => (Failed::Passing, true),
    };
    Failure {
        failed,
        why: why.to_string(),
        wish: None,
        unclear,
        of: match why {
            NetworkError::Refused(_) => About::Nobody,
            _ => About::Silent,
        },
        lacks: None,
    }
}

pub(super) fn no_client(why: NoClient, subject: &Subject) -> Outcome {
    match why {
        NoClient::Gone(said) if subject.refresh.is_some() => Outcome::Needs {
            reason: LoginReason::Registration,
            wipe: false,
            said: said.to_owned(),
        },
        other => Outcome::Failed(nobody(other)),
    }
}

pub(super) fn nobody(why: NoClient) -> Failure {
    let lacks = match &why {
        NoClient::NoProof(why) => Some(why.clone()),
        _ => None,
    };
    let (failed, why) = match why {
        NoClient::Configuration { why, .. } => (Failed::Settled, why),
        NoClient::Gone(why) => (Failed::Passing, why.to_owned()),
        NoClient::NoProof(why) => (Failed::Passing, why.to_string()),
        NoClient::Closed(why) => (Failed::Passing, why),
    };
    Failure {
        failed,
        why,
        wish: None,
        unclear: false,
        of: About::Nobody,
        lacks,
    }
}
