//! Calls and lists: what they cost in processor time, how long they take, how many there can be.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::json;

use crate::{
    Amount,
    answers::Shape,
    ground::{Ground, Under, Way},
    load::{self, Job, Measured, Slice},
    process::Process,
    table::{Goal, Row, Spread, Table, Unit},
};

/// Calls of one slice. Today the time ends it first; a faster machine shall not fill the memory with latencies.
const MOST_CALLS: u64 = 100_000;
/// A call as agents make them.
pub(crate) const SMALL: usize = 1000;
/// Tools of the long list.
pub(crate) const MANY: usize = 1000;

/// The ways to one upstream, side by side.
struct Ways {
    janus: Option<Process>,
    before: Option<Process>,
    relay: Process,
    ground: Ground,
}

impl Ways {
    async fn open(tools: usize, amount: &Amount) -> anyhow::Result<Self> {
        let ground = Ground::with_tools(tools, amount).await?;
        let relay = ground.start(Way::Relay, Under::Nothing).await?;
        let mut builds = [None, None];
        for (build, (way, program)) in builds.iter_mut().zip(amount.builds()) {
            if program.is_some() {
                *build = Some(ground.start(way, Under::Nothing).await?);
            }
        }
        let [janus, before] = builds;
        Ok(Self {
            janus,
            before,
            relay,
            ground,
        })
    }

    fn process(&self, way: Way) -> Option<&Process> {
        match way {
            Way::Direct => Some(self.ground.upstream()),
            Way::Relay => Some(&self.relay),
            Way::Janus => self.janus.as_ref(),
            Way::Before => self.before.as_ref(),
        }
    }
}

/// Who takes turns, how often and for how long.
struct Turns {
    work: &'static str,
    order: &'static [Way],
    clients: usize,
    rounds: usize,
    time: Duration,
}

/// Rounds in which the ways took turns.
struct Series {
    work: &'static str,
    rounds: Vec<BTreeMap<Way, Measured>>,
}

const ALL: &[Way] = &[Way::Direct, Way::Relay, Way::Janus, Way::Before];
/// Where asking the server directly says nothing.
const BEHIND: &[Way] = &[Way::Relay, Way::Janus, Way::Before];

type Number = fn(&Measured) -> f64;

pub(crate) async fn measure(amount: &Amount, table: &mut Table) -> anyhow::Result<()> {
    let ways = Ways::open(5, amount).await?;
    small_calls(&ways, amount, table).await?;
    big_answers(&ways, amount, table).await?;
    distant_server(&ways, amount, table).await?;
    drop(ways);
    let ways = Ways::open(MANY, amount).await?;
    long_list(&ways, amount, table).await
}

async fn small_calls(ways: &Ways, amount: &Amount, table: &mut Table) -> anyhow::Result<()> {
    let job = |way| Job::echo(way, SMALL);
    let turns = Turns::of("1 KB call, 1 client", ALL, 1, amount);
    // A difference of two small times needs neighbours that are closer together.
    let turns = Turns {
        rounds: turns.rounds * 2,
        time: turns.time / 2,
        ..turns
    };
    let one = turns.take(ways, job, table).await?;
    let added = |round: &BTreeMap<Way, Measured>, way| {
        Some(p50(round.get(&way)?) - p50(round.get(&Way::Direct)?))
    };
    let ratios = one
        .rounds
        .iter()
        .filter_map(|round| Some(added(round, Way::Janus)? / added(round, Way::Relay)?));
    let values = BEHIND.iter().filter_map(|&way| {
        let of_way = one.rounds.iter().filter_map(|round| added(round, way));
        Some((way, Spread::of(of_way)?.median()))
    });
    table.add(Row {
        work: "1 KB call, 1 client: added p50".to_owned(),
        goal: Goal::AtMost(1.5),
        against: Some(Way::Relay),
        measured: Spread::of(ratios),
        unit: Unit::Micros,
        values: values.collect(),
        missing: None,
    });
    let turns = Turns::of("1 KB call, 8 clients", ALL, 8, amount);
    let few = turns.take(ways, job, table).await?;
    table.add(few.row(
        "processor time",
        Goal::AtMost(2.0),
        Way::Relay,
        Unit::Micros,
        processor,
    ));
    let turns = Turns::of("1 KB call, 64 clients", ALL, 64, amount);
    let many = turns.take(ways, job, table).await?;
    table.add(many.row(
        "processor time",
        Goal::AtMost(2.0),
        Way::Relay,
        Unit::Micros,
        processor,
    ));
    table.add(many.row(
        "throughput",
        Goal::AtLeast(0.6),
        Way::Relay,
        Unit::PerSecond,
        rate,
    ));
    Ok(())
}

async fn big_answers(ways: &Ways, amount: &Amount, table: &mut Table) -> anyhow::Result<()> {
    let goals = [
        ("1 MB of base64", 1.5),
        ("1 MB of escaped text", 2.5),
        ("1 MB of dense JSON", 6.0),
    ];
    for (shape, (work, most)) in Shape::ALL.into_iter().zip(goals) {
        let job = |way| Job::big(way, shape);
        let series = Turns::of(work, BEHIND, 4, amount)
            .take(ways, job, table)
            .await?;
        let goal = Goal::AtMost(most);
        table.add(series.row("processor time", goal, Way::Relay, Unit::Micros, processor));
    }
    Ok(())
}

/// A distant server hides what a gateway costs and shows what it holds up.
async fn distant_server(ways: &Ways, amount: &Amount, table: &mut Table) -> anyhow::Result<()> {
    let turns = Turns::of("50 ms server, 64 clients", ALL, 64, amount);
    // Each client gets a few calls into a slice, and one more or less should not count.
    let turns = Turns {
        rounds: turns.rounds.div_ceil(2),
        time: turns.time * 2,
        ..turns
    };
    let series = turns.take(ways, Job::slow, table).await?;
    table.add(series.row(
        "throughput",
        Goal::AtLeast(0.95),
        Way::Direct,
        Unit::PerSecond,
        rate,
    ));
    Ok(())
}

async fn long_list(ways: &Ways, amount: &Amount, table: &mut Table) -> anyhow::Result<()> {
    let job = |way| Job::list(way, MANY);
    let work = "`tools/list` of 1000 tools, 1 client";
    let series = Turns::of(work, ALL, 1, amount)
        .take(ways, job, table)
        .await?;
    table.add(series.row("p50", Goal::AtMost(1.1), Way::Direct, Unit::Micros, p50));
    Ok(())
}

impl Turns {
    fn of(work: &'static str, order: &'static [Way], clients: usize, amount: &Amount) -> Self {
        Self {
            work,
            order,
            clients,
            rounds: amount.rounds,
            time: amount.slice,
        }
    }

    /// Measures the ways one after the other, again and again, after a short round that does not count. Where Janus
    /// fails it is out, and the rest goes on.
    async fn take(
        &self,
        ways: &Ways,
        job: impl Fn(Way) -> Job,
        table: &mut Table,
    ) -> anyhow::Result<Series> {
        eprintln!("{} …", self.work);
        let mut jobs: BTreeMap<Way, Arc<Job>> = self
            .order
            .iter()
            .map(|&way| (way, Arc::new(job(way))))
            .collect();
        let mut rounds = Vec::with_capacity(self.rounds);
        for number in 0..=self.rounds {
            let time = if number == 0 {
                self.time / 4
            } else {
                self.time
            };
            let slice = Slice {
                clients: self.clients,
                calls: MOST_CALLS,
                time,
            };
            let mut round = BTreeMap::new();
            for &way in self.order {
                let (Some(process), Some(job)) = (ways.process(way), jobs.get(&way)) else {
                    continue;
                };
                match load::run(process, job, slice).await {
                    Ok(measured) => drop(round.insert(way, measured)),
                    Err(error) if matches!(way, Way::Janus | Way::Before) => {
                        table.fail(format!("{}: {way}: {error:#}", self.work));
                        jobs.remove(&way);
                    }
                    Err(error) => return Err(error.context(format!("{}: {way}", self.work))),
                }
            }
            if number > 0 {
                for (way, measured) in &round {
                    table.detail(self.detail(number, *way, measured));
                }
                rounds.push(round);
            }
        }
        Ok(Series {
            work: self.work,
            rounds,
        })
    }

    fn detail(&self, round: usize, way: Way, of: &Measured) -> serde_json::Value {
        json!({
            "work": self.work,
            "round": round,
            "way": way.to_string(),
            "clients": self.clients,
            "calls": of.calls,
            "seconds": of.elapsed.as_secs_f64(),
            "calls_per_second": rate(of),
            "processor_us_per_call": processor(of),
            "p50_us": percentile(of, 50),
            "p90_us": percentile(of, 90),
            "p99_us": percentile(of, 99),
        })
    }
}

impl Series {
    /// Janus's number over that of `against`, round by round.
    fn row(&self, what: &str, goal: Goal, against: Way, unit: Unit, number: Number) -> Row {
        let ratios = self.rounds.iter().filter_map(|round| {
            Some(number(round.get(&Way::Janus)?) / number(round.get(&against)?))
        });
        let values = ALL.iter().filter_map(|&way| {
            let numbers = self
                .rounds
                .iter()
                .filter_map(|round| Some(number(round.get(&way)?)));
            Some((way, Spread::of(numbers)?.median()))
        });
        Row {
            work: format!("{}: {what}", self.work),
            goal,
            against: Some(against),
            measured: Spread::of(ratios),
            unit,
            values: values.collect(),
            missing: None,
        }
    }
}

fn processor(of: &Measured) -> f64 {
    micros(of.processor) / of.calls as f64
}

fn rate(of: &Measured) -> f64 {
    of.calls as f64 / of.elapsed.as_secs_f64()
}

fn p50(of: &Measured) -> f64 {
    percentile(of, 50)
}

fn percentile(of: &Measured, percent: usize) -> f64 {
    let at = of.latencies.len().saturating_sub(1) * percent / 100;
    of.latencies
        .get(at)
        .map_or(f64::NAN, |latency| micros(*latency))
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
