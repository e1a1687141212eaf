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

/// More calls than any slice can hold on today's machines: here it is the time that ends a slice.
const UNBOUNDED: u64 = 1_000_000;
/// A call as agents make them.
pub(crate) const SMALL: usize = 1000;
/// Tools of the long list.
pub(crate) const MANY: usize = 1000;

/// The ways to one upstream, side by side.
struct Ways {
    ground: Ground,
    relay: Process,
    janus: Option<Process>,
}

impl Ways {
    async fn open(tools: usize, amount: &Amount, table: &mut Table) -> anyhow::Result<Self> {
        let ground = Ground::with_tools(tools).await?;
        let relay = ground.start(Way::Relay, Under::Nothing).await?;
        let janus = if amount.janus {
            let started = ground.start(Way::Janus, Under::Nothing).await;
            started
                .map_err(|error| table.fail(format!("{error:#}")))
                .ok()
        } else {
            None
        };
        Ok(Self {
            ground,
            relay,
            janus,
        })
    }

    fn process(&self, way: Way) -> Option<&Process> {
        match way {
            Way::Direct => Some(self.ground.upstream()),
            Way::Relay => Some(&self.relay),
            Way::Janus => self.janus.as_ref(),
        }
    }
}

/// Rounds in which the ways took turns.
struct Series {
    work: &'static str,
    rounds: Vec<BTreeMap<Way, Measured>>,
}

type Number = fn(&Measured) -> f64;

pub(crate) async fn measure(amount: &Amount, table: &mut Table) -> anyhow::Result<()> {
    let ways = Ways::open(5, amount, table).await?;
    small_calls(&ways, amount, table).await?;
    big_answers(&ways, amount, table).await?;
    distant_server(&ways, amount, table).await?;
    let ways = Ways::open(MANY, amount, table).await?;
    long_list(&ways, amount, table).await
}

async fn small_calls(ways: &Ways, amount: &Amount, table: &mut Table) -> anyhow::Result<()> {
    let job = |way| Job::echo(way, SMALL);
    let all = [Way::Direct, Way::Relay, Way::Janus];
    let one = take_turns("1 KB call, 1 client", ways, &all, 1, job, amount, table).await?;
    let added = |round: &BTreeMap<Way, Measured>, way| {
        Some(p50(round.get(&way)?) - p50(round.get(&Way::Direct)?))
    };
    let ratios = one
        .rounds
        .iter()
        .filter_map(|round| Some(added(round, Way::Janus)? / added(round, Way::Relay)?));
    let values = [Way::Relay, Way::Janus].into_iter().filter_map(|way| {
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
    let few = take_turns("1 KB call, 8 clients", ways, &all, 8, job, amount, table).await?;
    table.add(few.row(
        "processor time",
        Goal::AtMost(2.0),
        Way::Relay,
        Unit::Micros,
        processor,
    ));
    let many = take_turns("1 KB call, 64 clients", ways, &all, 64, job, amount, table).await?;
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
    let both = [Way::Relay, Way::Janus];
    let goals = [
        ("1 MB of base64", 1.5),
        ("1 MB of escaped text", 2.5),
        ("1 MB of dense JSON", 6.0),
    ];
    for (shape, (work, most)) in Shape::ALL.into_iter().zip(goals) {
        let job = |way| Job::big(way, shape);
        let series = take_turns(work, ways, &both, 4, job, amount, table).await?;
        let goal = Goal::AtMost(most);
        table.add(series.row("processor time", goal, Way::Relay, Unit::Micros, processor));
    }
    Ok(())
}

/// A distant server hides what a gateway costs and shows what it holds up.
async fn distant_server(ways: &Ways, amount: &Amount, table: &mut Table) -> anyhow::Result<()> {
    let all = [Way::Direct, Way::Relay, Way::Janus];
    let amount = Amount {
        rounds: amount.rounds.div_ceil(2),
        ..*amount
    };
    let work = "50 ms server, 64 clients";
    let series = take_turns(work, ways, &all, 64, Job::slow, &amount, table).await?;
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
    let all = [Way::Direct, Way::Relay, Way::Janus];
    let job = |way| Job::list(way, MANY);
    let work = "`tools/list` of 1000 tools, 1 client";
    let series = take_turns(work, ways, &all, 1, job, amount, table).await?;
    table.add(series.row("p50", Goal::AtMost(1.1), Way::Direct, Unit::Micros, p50));
    Ok(())
}

/// Measures the ways one after the other, again and again. Where Janus fails it is out, and the rest goes on.
async fn take_turns(
    work: &'static str,
    ways: &Ways,
    order: &[Way],
    clients: usize,
    job: impl Fn(Way) -> Job,
    amount: &Amount,
    table: &mut Table,
) -> anyhow::Result<Series> {
    let slice = Slice {
        clients,
        calls: UNBOUNDED,
        time: amount.slice,
    };
    let mut jobs: BTreeMap<Way, Arc<Job>> =
        order.iter().map(|&way| (way, Arc::new(job(way)))).collect();
    let mut rounds = Vec::with_capacity(amount.rounds);
    for number in 0..amount.rounds {
        let mut round = BTreeMap::new();
        for &way in order {
            let (Some(process), Some(job)) = (ways.process(way), jobs.get(&way)) else {
                continue;
            };
            match load::run(process, job, slice).await {
                Ok(measured) => {
                    table.detail(detail(work, number, way, clients, &measured));
                    round.insert(way, measured);
                }
                Err(error) if way == Way::Janus => {
                    table.fail(format!("{work}: {way}: {error:#}"));
                    jobs.remove(&way);
                }
                Err(error) => return Err(error.context(format!("{work}: {way}"))),
            }
        }
        rounds.push(round);
    }
    Ok(Series { work, rounds })
}

impl Series {
    /// Janus's number over that of `against`, round by round.
    fn row(&self, what: &str, goal: Goal, against: Way, unit: Unit, number: Number) -> Row {
        let ratios = self.rounds.iter().filter_map(|round| {
            Some(number(round.get(&Way::Janus)?) / number(round.get(&against)?))
        });
        let values = [Way::Direct, Way::Relay, Way::Janus]
            .into_iter()
            .filter_map(|way| {
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

fn detail(work: &str, round: usize, way: Way, clients: usize, of: &Measured) -> serde_json::Value {
    json!({
        "work": work,
        "round": round,
        "way": way.to_string(),
        "clients": clients,
        "calls": of.calls,
        "seconds": of.elapsed.as_secs_f64(),
        "calls_per_second": rate(of),
        "processor_us_per_call": processor(of),
        "p50_us": percentile(of, 50),
        "p90_us": percentile(of, 90),
        "p99_us": percentile(of, 99),
    })
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
