//! An authorization server that is away for an hour, in each of the ways there are: what calls get meanwhile, how often it
//! is asked, and how soon everything is as before when it is back.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::{FutureExt as _, poll};
use janus::credential::NoCredential;
use janus::credential::oauth::{Grant, GrantState};
use janus::model::Secret;
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::{HOUR, Life, Rig};
use crate::support::authorization::{Behaviour, Endpoint, Outage};
use crate::support::within;

const STEP: Duration = Duration::from_secs(5);
const WAYS: [Outage; 5] = [
    Outage::Refused,
    Outage::Dropped,
    Outage::BlackHole,
    Outage::Unavailable,
    Outage::TooMany(7),
];
/// Accounts of one authorization server for which calls wait.
const ACCOUNTS: usize = 10;
/// What a request may take in all.
const LIMIT: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_mins(1);

/// A server that is away, and how often it was asked before.
struct Away<'a> {
    rig: &'a Rig,
    life: &'a Life,
    way: Outage,
    asked: usize,
    came: usize,
    /// What was under way at the last step, and for how many steps nothing of it has changed.
    unchanged: Cell<((usize, usize), u32)>,
}

impl<'a> Away<'a> {
    async fn begin(rig: &'a Rig, life: &'a Life, way: Outage) -> Self {
        let away = Self {
            rig,
            life,
            way,
            asked: life.grants.asked().0,
            came: rig.authority.count(Endpoint::Token),
            unchanged: Cell::default(),
        };
        rig.authority.outage(way);
        if matches!(way, Outage::Refused | Outage::Dropped) {
            away.until_reached(false).await;
        }
        away
    }

    async fn until_reached(&self, wanted: bool) {
        let authority = self.rig.authority.issuer().parse::<http::Uri>().unwrap();
        let address = authority.authority().unwrap().as_str();
        let reached = async {
            // On this machine, who is let in is let in at once.
            let moment = Duration::from_millis(200);
            while matches!(
                timeout(moment, TcpStream::connect(address)).await,
                Ok(Ok(_))
            ) != wanted
            {}
        };
        within("the change", reached).await;
    }

    /// How often it was asked, whether that got through or not.
    fn asked(&self) -> usize {
        self.life.grants.asked().0 - self.asked
    }

    /// Time goes by, as soon as all that is due is begun.
    async fn pass(&self) {
        if !self.is_silent() {
            // What is asked now is answered now.
            self.life.grants.quiet().await;
        }
        self.life.grants.still().await;
        if self.way == Outage::BlackHole {
            // All of it is there, so that the time it may take has begun.
            let came = self.came + self.asked();
            self.rig.authority.came(Endpoint::Token, came).await;
        }
        self.limits_hold().await;
        self.rig.advance(STEP);
    }

    /// Whether requests get no answer at all, and end by their limits.
    fn is_silent(&self) -> bool {
        matches!(self.way, Outage::BlackHole | Outage::Dropped)
    }

    /// A limit that has passed takes effect when its task runs, which a busy machine puts off: time waits for it.
    async fn limits_hold(&self) {
        let now = self.life.grants.asked();
        let (before, steps) = self.unchanged.get();
        let steps = if now == before && now.1 > 0 {
            steps + 1
        } else {
            0
        };
        self.unchanged.set((now, steps));
        if STEP * steps > LIMIT {
            let over = async {
                while self.life.grants.asked() == now {
                    yield_now().await;
                }
            };
            within("the end of a request", over).await;
        }
    }

    /// The worst moment to come back: somebody just asked in vain.
    async fn until_asked(&self, calls: &mut Calls) {
        let before = self.asked();
        while self.asked() == before {
            calls.go_on().await;
            self.pass().await;
        }
    }

    /// It is back. How long it takes until all of these are fresh.
    async fn over(self, grants: &[Arc<Grant>], mut calls: Calls) -> Duration {
        self.rig.authority.outage(Outage::None);
        self.until_reached(true).await;
        let (asked, mut waiting) = self.life.grants.asked();
        let mut waited = Duration::ZERO;
        loop {
            calls.go_on().await;
            self.life.grants.still().await;
            // What was asked before it was back has no answer and must run into its limit; what is asked now has one.
            let now = self.life.grants.asked();
            waiting = waiting.min(now.1);
            if waiting == 0 || now.0 > asked || !self.is_silent() {
                self.life.grants.quiet().await;
            } else {
                self.limits_hold().await;
            }
            calls.go_on().await;
            let is_fresh = |grant: &Arc<Grant>| grant.status().state == GrantState::Fresh;
            if grants.iter().all(is_fresh) {
                return waited;
            }
            assert!(waited < HOUR, "{:?}", self.way);
            self.rig.advance(STEP);
            waited += STEP;
        }
    }
}

type Call = Pin<Box<dyn Future<Output = Result<Option<Arc<Secret>>, NoCredential>> + Send>>;

/// For each of these accounts a call that wants a token, and then the next one.
struct Calls(Vec<(Arc<Grant>, Call)>);

impl Calls {
    fn of(grants: &[Arc<Grant>]) -> Self {
        let calls = grants.iter();
        Self(
            calls
                .map(|grant| (Arc::clone(grant), call(grant)))
                .collect(),
        )
    }

    /// Those that have their answer make way. How many of them had a token.
    async fn go_on(&mut self) -> usize {
        let mut had = 0;
        for (grant, waiting) in &mut self.0 {
            // The next one waits at once.
            for _ in 0..2 {
                if let Poll::Ready(answer) = poll!(waiting.as_mut()) {
                    had += usize::from(answer.is_ok());
                    *waiting = call(grant);
                }
            }
        }
        had
    }
}

fn call(grant: &Arc<Grant>) -> Call {
    let grant = Arc::clone(grant);
    Box::pin(async move { grant.token().await })
}

/// The token that a call has without waiting, which is good.
fn at_once(rig: &Rig, grant: &Arc<Grant>) {
    let answer = call(grant).now_or_never().expect("it waits");
    assert!(rig.takes(&answer.unwrap().unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_away_costs_no_valid_token_and_few_requests() {
    for way in WAYS {
        let (rig, life) = Rig::logged_in(Behaviour {
            access_life: HOUR * 3,
            ..Behaviour::default()
        })
        .await;
        life.token().await.unwrap();
        rig.advance((HOUR * 3).checked_sub(MINUTE * 4).unwrap());
        let away = Away::begin(&rig, &life, way).await;
        // Four minutes of it the token is valid, and every call has it.
        for _ in 0..47 {
            away.pass().await;
            at_once(&rig, &life.grant);
        }
        let before = away.asked();
        assert!(before >= 3, "{way:?}: {before}");
        for _ in 0..720 {
            away.pass().await;
        }
        let asked = away.asked() - before;
        assert!((5..=30).contains(&asked), "{way:?}: {asked}");
        assert_eq!(life.state(), GrantState::Expired, "{way:?}");
        let (why, _) = life.grant.status().backoff.unwrap();
        assert!(!why.is_empty());
        let mut nobody = Calls::of(&[]);
        away.until_asked(&mut nobody).await;
        let waited = away.over(&[Arc::clone(&life.grant)], nobody).await;
        assert!(waited <= MINUTE * 6, "{way:?}: {waited:?}");
        assert_eq!(rig.authority.reuse(), 0);
        life.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_calls_of_ten_accounts_wait_it_is_asked_a_hundred_times_an_hour_at_most() {
    for way in WAYS {
        let rig = Rig::new(Behaviour::default()).await;
        let life = rig.life();
        let mut grants = Vec::new();
        for number in 0..ACCOUNTS {
            grants.push(rig.another(&life, &format!("a{number}")).await);
        }
        rig.authority
            .behave(|behaviour| behaviour.access_life = HOUR * 4);
        let valid = rig.another(&life, "valid").await;
        let away = Away::begin(&rig, &life, way).await;
        rig.advance(HOUR);
        let mut calls = Calls::of(&grants);
        for _ in 0..720 {
            assert_eq!(calls.go_on().await, 0, "{way:?}");
            at_once(&rig, &valid);
            away.pass().await;
        }
        let asked = away.asked();
        assert!((50..=100).contains(&asked), "{way:?}: {asked}");
        away.until_asked(&mut calls).await;
        let waited = away.over(&grants, calls).await;
        assert!(waited <= MINUTE, "{way:?}: {waited:?}");
        for grant in grants.iter().chain([&valid]) {
            at_once(&rig, grant);
        }
        assert_eq!(rig.authority.reuse(), 0);
        life.stop().await;
    }
}
