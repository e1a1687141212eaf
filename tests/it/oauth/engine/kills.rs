//! Processes that are killed at every marked point of a login, a renewal, a rescue and a logout, and those that are started
//! after them.
//!
//! Each death is that of a process (SIGKILL), which the test's own program is in: it has the engine, the vault and the
//! database of Janus. What the next one finds is what its start would find.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use janus::credential::oauth::{LoginReason, Point};
use janus::credential::{Clock, NoCredential};
use janus::model::{OAuth, Secret};
use serde_json::{Value, json};

use super::{AWAY, BACK, HOUR, Rig, account, database, granted, life, log_in, policy};
use crate::support::authorization::{Behaviour, Grace};
use crate::support::{PATIENCE, env, scale};

/// What the process is told.
const TASK: &str = "JANUS_TEST_KILLED";
/// A lane is one account, with an authorization server of its own, whose processes die one after the other.
const LANES: usize = 4;
/// Longer than the first pause before the disk is tried again.
const SOON: Duration = Duration::from_secs(2);

/// One account, and what is known of it between two processes.
struct Lane {
    rig: Rig,
    /// How far the clock of the last process was ahead.
    ahead: Duration,
    /// What the next process is to find.
    next: Next,
    deaths: BTreeMap<Point, usize>,
    lost: usize,
    forgiven: usize,
}

/// What a start after a death finds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    /// A token that is good, whichever.
    Good,
    /// This one.
    This(String),
    /// There never was a login.
    Nothing,
    /// The provider answered into a dead process.
    Lost,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_is_lost_only_where_the_provider_answered_into_a_dead_process() {
    die(Grace::None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_where_the_provider_forgives_once() {
    die(Grace::Times(1)).await;
}

/// Every point is where so many processes die: together, the two tests are a thousand for each point.
async fn die(grace: Grace) {
    let rounds = scale(500 / LANES);
    let lanes = (0..LANES).map(|_| async move {
        let mut lane = Lane::new(grace).await;
        for _ in 0..rounds {
            for point in Point::ALL {
                lane.dies_at(point, grace).await;
            }
        }
        let deaths = lane.lives().await;
        assert_eq!(deaths, Point::ALL.map(|point| (point, rounds)).into());
    });
    futures_util::future::join_all(lanes).await;
}

impl Lane {
    async fn new(grace: Grace) -> Self {
        let behaviour = Behaviour {
            grace,
            ..Behaviour::default()
        };
        Self {
            rig: Rig::new(behaviour).await,
            ahead: Duration::ZERO,
            next: Next::Nothing,
            deaths: BTreeMap::new(),
            lost: 0,
            forgiven: 0,
        }
    }

    /// One process, from its start to its death at `point`.
    async fn dies_at(&mut self, point: Point, grace: Grace) {
        let logs_in = matches!(self.next, Next::Nothing | Next::Lost);
        let comes = matches!(point, Point::LoginTaken | Point::LoginSaved);
        let logins = [(logs_in, "first"), (comes, "second")];
        let mut task = json!({
            "issuer": self.rig.authority.issuer(),
            "ahead": self.ahead.as_secs(),
            "point": point as usize,
        });
        for (wanted, name) in logins {
            if wanted {
                task[name] = log_in(&self.rig.authority).await;
            }
        }
        let second = task["second"]["access_token"].as_str().map(str::to_owned);
        let home = self.rig.home.path().to_owned();
        let said = tokio::task::spawn_blocking(move || run(&home, &task));
        let said = said.await.unwrap();
        *self.deaths.entry(point).or_default() += 1;
        self.ahead += match point {
            Point::LoginTaken | Point::LoginSaved | Point::LogoutBegins | Point::LogoutSaved => {
                Duration::ZERO
            }
            Point::RescueNotSaved | Point::RescueSaved => SOON,
            _ => HOUR,
        };
        if matches!(point, Point::RescueNotWritten | Point::RescueWritten) {
            database(self.rig.home.path(), BACK);
        }
        self.found(&said[0], point);
        let used = said[1].clone();
        self.next = match point {
            // The disk is what it was before.
            Point::LoginTaken | Point::LogoutBegins => Next::This(used),
            Point::LoginSaved => Next::This(second.unwrap()),
            Point::LogoutSaved => Next::Nothing,
            Point::AnswerCame | Point::RenewalTaken | Point::RescueNotWritten => {
                if grace == Grace::None {
                    self.lost += 1;
                    Next::Lost
                } else {
                    self.forgiven += 1;
                    Next::Good
                }
            }
            _ => Next::Good,
        };
    }

    /// What a start found is what the death before it left.
    fn found(&self, said: &str, point: Point) {
        let good = |token: &str| self.rig.authority.owner(token).is_some();
        let fits = match &self.next {
            Next::Good => said.strip_prefix("token ").is_some_and(good),
            Next::This(token) => said.strip_prefix("token ") == Some(token) && good(token),
            Next::Nothing => said == format!("login {}", LoginReason::Never.told()),
            Next::Lost => said == format!("login {}", LoginReason::Lost.told()),
        };
        assert!(
            fits,
            "before {point:?}: {said:?} instead of {:?}",
            self.next
        );
        assert_eq!(self.rig.authority.reuse(), self.lost, "before {point:?}");
        assert_eq!(self.rig.authority.forgiven(), self.forgiven, "{point:?}");
    }

    /// The last one lives, and can do all that it could before.
    async fn lives(mut self) -> BTreeMap<Point, usize> {
        self.rig.clock.advance(self.ahead);
        let life = self.rig.life();
        let said = told(life.token().await);
        self.found(&said, Point::LogoutSaved);
        life.begin(self.rig.granted().await).await.unwrap();
        self.rig.advance(HOUR);
        assert!(self.rig.takes(&life.token().await.unwrap()));
        assert!(life.vault.status().sealed.is_none());
        life.stop().await;
        let rescue = self.rig.home.path().join("run/janus/rescue");
        let beside = std::fs::read_dir(rescue).map_or(0, Iterator::count);
        assert_eq!(beside, 0, "something is left beside the disk");
        assert_eq!(self.rig.authority.violations(), [""; 0]);
        std::mem::take(&mut self.deaths)
    }
}

fn told(token: Result<Arc<Secret>, NoCredential>) -> String {
    match token {
        Ok(token) => format!("token {}", token.expose()),
        Err(NoCredential::NeedsLogin { reason }) => format!("login {}", reason.told()),
        Err(why) => format!("nothing: {why}"),
    }
}

/// Starts the process, and waits for its death: what it said before.
fn run(home: &Path, task: &Value) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("oauth::engine::kills::lives_until_it_is_killed")
        .env(TASK, task.to_string())
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines();
    let said: Vec<String> = said
        .map_while(Result::ok)
        .filter_map(|line| Some(line.split_once("said: ")?.1.to_owned()))
        .collect();
    let ended = child.wait().unwrap();
    assert_eq!(ended.signal(), Some(9), "{task}: {said:?}: {ended}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "the process that the tests here kill; its state is below the working directory"]
async fn lives_until_it_is_killed() {
    let task: Value = serde_json::from_str(&env(TASK).expect(TASK)).unwrap();
    let point = usize::try_from(task["point"].as_u64().unwrap()).unwrap();
    let point = Point::ALL[point];
    let issuer = task["issuer"].as_str().unwrap();
    let clock = Clock::movable();
    clock.advance(Duration::from_secs(task["ahead"].as_u64().unwrap()));
    let is_rescue = matches!(point, Point::RescueNotSaved | Point::RescueSaved);
    let home = Path::new(".");
    let home = home.canonicalize().unwrap();
    let what = (&account("one"), OAuth::default(), policy(issuer));
    let life = life(&home, &clock, what);
    println!("\nsaid: {}", told(life.token().await));
    if task["first"].is_object() {
        life.begin(granted(issuer, &task["first"])).await.unwrap();
    }
    println!("\nsaid: {}", life.token().await.unwrap().expose());

    life.grants.die_at(point);
    match point {
        Point::LoginTaken | Point::LoginSaved => {
            let second = granted(issuer, &task["second"]);
            life.begin(second).await.unwrap();
        }
        Point::LogoutBegins | Point::LogoutSaved => drop(life.grant.end().await),
        _ if is_rescue => clock.advance(SOON),
        _ => {
            if matches!(point, Point::RescueNotWritten | Point::RescueWritten) {
                // The database refuses every change of a grant.
                database(&home, AWAY);
            }
            clock.advance(HOUR);
            life.token().await.unwrap();
        }
    }
    tokio::time::sleep(PATIENCE).await;
}
