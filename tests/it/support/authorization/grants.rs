//! What the authorization server gave, and to whom: families of tokens, each of one login.
//!
//! Every token names its family and its number and has a seal, so that one that was used long ago is known without being
//! kept: a month of refreshes takes no more memory than an hour.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::behaviour::{Grace, Person, Rotation};

/// In every secret the server makes, and in nothing else.
pub(crate) const CANARY: &str = "cAnArY";

/// All families.
#[derive(Debug, Default)]
pub(super) struct Families {
    key: [u8; 16],
    known: BTreeMap<u64, Family>,
    next: u64,
    /// How often a refresh token came again that had been used, and the family ended of it.
    pub(super) reuse: usize,
    /// How often that was forgiven.
    pub(super) forgiven: usize,
}

/// The tokens of one login.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) person: Person,
    pub(super) client: String,
    pub(super) scopes: Vec<String>,
    pub(super) resource: Option<String>,
    pub(super) alive: bool,
    /// The number of the refresh token that is good; `None`: there is none.
    refresh: Option<u64>,
    refresh_ends: Option<Duration>,
    /// How often the one before it is good still.
    grace: u32,
    /// Numbers and ends of access tokens.
    access: Vec<(u64, Duration)>,
    next: u64,
}

/// A token that was made, or is shown again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Access,
    Refresh,
}

/// What a refresh token is worth.
pub(super) enum Shown {
    /// Its family may have new tokens.
    Good(u64),
    /// There is nothing to be had for it.
    Dead,
}

impl Families {
    pub(super) fn new() -> Self {
        let mut key = [0; 16];
        getrandom::fill(&mut key).unwrap();
        Self {
            key,
            ..Self::default()
        }
    }

    /// A new login.
    pub(super) fn begin(
        &mut self,
        person: Person,
        client: &str,
        scopes: Vec<String>,
        resource: Option<String>,
    ) -> u64 {
        self.next += 1;
        let family = Family {
            person,
            client: client.to_owned(),
            scopes,
            resource,
            alive: true,
            refresh: None,
            refresh_ends: None,
            grace: 0,
            access: Vec::new(),
            next: 0,
        };
        self.known.insert(self.next, family);
        self.next
    }

    pub(super) fn get(&self, id: u64) -> Option<&Family> {
        self.known.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Family> {
        self.known.get_mut(&id)
    }

    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut Family> {
        self.known.values_mut()
    }

    /// A new access token.
    pub(super) fn access(&mut self, id: u64, now: Duration, life: Duration, alone: bool) -> String {
        let family = self.known.get_mut(&id).unwrap();
        if alone {
            family.access.clear();
        }
        family.access.retain(|(_, ends)| *ends > now);
        family.next += 1;
        let number = family.next;
        family.access.push((number, now + life));
        self.sealed(Kind::Access, id, number)
    }

    /// A new refresh token, which takes the place of the last.
    pub(super) fn refresh(&mut self, id: u64, now: Duration, life: Option<Duration>) -> String {
        let family = self.known.get_mut(&id).unwrap();
        family.next += 1;
        let number = family.next;
        family.refresh = Some(number);
        family.refresh_ends = life.map(|life| now + life);
        self.sealed(Kind::Refresh, id, number)
    }

    /// The refresh token that is good now.
    pub(super) fn current_refresh(&self, id: u64) -> Option<String> {
        let number = self.known.get(&id)?.refresh?;
        Some(self.sealed(Kind::Refresh, id, number))
    }

    /// What a refresh token is worth that somebody shows, and what becomes of its family.
    pub(super) fn show(
        &mut self,
        token: &str,
        client: &str,
        now: Duration,
        rotation: Rotation,
        grace: Grace,
    ) -> Shown {
        let Some((id, number)) = self.opened(Kind::Refresh, token) else {
            return Shown::Dead;
        };
        let Some(family) = self.known.get_mut(&id) else {
            return Shown::Dead;
        };
        let over = family.refresh_ends.is_some_and(|ends| ends <= now);
        if !family.alive || family.client != client || over {
            return Shown::Dead;
        }
        if family.refresh == Some(number) {
            family.grace = match grace {
                Grace::None => 0,
                Grace::Times(times) => times,
                Grace::UntilUsed => u32::MAX,
            };
            return Shown::Good(id);
        }
        let forgiven = rotation == Rotation::Rotates && family.grace > 0 && family.is_last(number);
        if forgiven {
            family.grace = family.grace.saturating_sub(1);
            self.forgiven += 1;
            return Shown::Good(id);
        }
        family.alive = false;
        self.reuse += 1;
        Shown::Dead
    }

    /// The family of an access token that is good now.
    pub(super) fn valid(&self, token: &str, now: Duration) -> Option<&Family> {
        let (id, number) = self.opened(Kind::Access, token)?;
        let family = self.known.get(&id).filter(|family| family.alive)?;
        let mut access = family.access.iter();
        let good = access.any(|(known, ends)| *known == number && *ends > now);
        good.then_some(family)
    }

    /// Whether it is one that was made here, whatever became of it.
    pub(super) fn is_own(&self, token: &str) -> bool {
        self.opened(Kind::Access, token).is_some()
    }

    /// Ends what belongs to a token (RFC 7009, section 2.1).
    pub(super) fn revoke(&mut self, token: &str) {
        if let Some((id, _)) = self.opened(Kind::Refresh, token) {
            if let Some(family) = self.known.get_mut(&id) {
                family.alive = false;
            }
        } else if let Some((id, number)) = self.opened(Kind::Access, token)
            && let Some(family) = self.known.get_mut(&id)
        {
            family.access.retain(|(known, _)| *known != number);
        }
    }

    fn sealed(&self, kind: Kind, id: u64, number: u64) -> String {
        let word = kind.word();
        let seal = self.seal(kind, id, number);
        // Characters that look otherwise in a URL and in a form.
        format!("{CANARY}-{word}.{id}.{number}.{seal}.~+/=")
    }

    fn opened(&self, kind: Kind, token: &str) -> Option<(u64, u64)> {
        let mut parts = token.strip_prefix(CANARY)?.split('.');
        let word = parts.next()?.strip_prefix('-')?;
        let (id, number) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let good = word == kind.word() && parts.next()? == self.seal(kind, id, number);
        (good && parts.next() == Some("~+/=")).then_some((id, number))
    }

    fn seal(&self, kind: Kind, id: u64, number: u64) -> String {
        let mut digest = Sha256::new_with_prefix(self.key);
        digest.update(kind.word());
        digest.update(id.to_be_bytes());
        digest.update(number.to_be_bytes());
        let digest = URL_SAFE_NO_PAD.encode(digest.finalize());
        digest.chars().take(16).collect()
    }
}

impl Family {
    /// Ends every access token.
    pub(super) fn end_access(&mut self) {
        self.access.clear();
    }

    /// Whether it is the refresh token before the current one: between the two lie access tokens alone.
    fn is_last(&self, number: u64) -> bool {
        // Each refresh makes an access token and then a refresh token.
        self.refresh.is_some_and(|now| now == number + 2)
    }
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
        }
    }
}
