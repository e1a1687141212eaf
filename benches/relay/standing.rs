//! What a gateway takes while nobody uses it, and how soon it is there: memory, and the time from its start to its
//! first answer and its first call.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Amount,
    calls::{MANY, SMALL},
    ground::{Ground, Under, Way},
    load::{self, Client, Job},
    table::{Goal, Row, Spread, Table, Unit},
};

/// Sessions that are open at the same time, each on a connection of its own.
const SESSIONS: usize = 1000;

/// What a process holds when its memory is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holding {
    Nothing,
    Tools,
    Sessions,
}

pub(crate) async fn measure(amount: &Amount, table: &mut Table) -> anyhow::Result<()> {
    eprintln!("start and memory …");
    let ground = Ground::with_tools(5, amount).await?;
    starts(&ground, amount, table).await?;
    let works = [
        ("resident memory, idle", Holding::Nothing, 12.0),
        ("resident memory, 1000 tools", Holding::Tools, 16.0),
        (
            "resident memory, 1000 open sessions",
            Holding::Sessions,
            50.0,
        ),
    ];
    let many = Ground::with_tools(MANY, amount).await?;
    for (work, holding, most) in works {
        let ground = if holding == Holding::Tools {
            &many
        } else {
            &ground
        };
        let mut values = BTreeMap::new();
        for way in ways(amount) {
            match resident(ground, way, holding).await {
                Ok(megabytes) => drop(values.insert(way, megabytes)),
                Err(error) => failed(work, way, error, table)?,
            }
        }
        table.add(row(
            work,
            most,
            Unit::Megabytes,
            values.get(&Way::Janus).copied(),
            values,
        ));
    }
    Ok(())
}

async fn resident(ground: &Ground, way: Way, holding: Holding) -> anyhow::Result<f64> {
    let process = ground.start(way, Under::Nothing).await?;
    let (job, clients) = match holding {
        Holding::Nothing => (None, 1),
        Holding::Tools => (Some(Job::list(way, MANY)), 1),
        Holding::Sessions => (Some(Job::echo(way, SMALL)), SESSIONS),
    };
    let job = job.map(Arc::new);
    let mut clients = load::open(&process, job.as_ref(), clients).await?;
    if holding == Holding::Nothing {
        // What its first client made it read and allocate counts as idle, the client does not.
        load::close(std::mem::take(&mut clients)).await?;
    }
    let megabytes = process.resident()?;
    load::close(clients).await?;
    process.stop().await?;
    Ok(megabytes)
}

async fn starts(ground: &Ground, amount: &Amount, table: &mut Table) -> anyhow::Result<()> {
    let mut answers: BTreeMap<Way, Vec<f64>> = BTreeMap::new();
    let mut calls: BTreeMap<Way, Vec<f64>> = BTreeMap::new();
    let mut ways = ways(amount);
    for _ in 0..amount.starts {
        for way in ways.clone() {
            match start(ground, way).await {
                Ok((answer, call)) => {
                    answers.entry(way).or_default().push(millis(answer));
                    calls.entry(way).or_default().push(millis(call));
                }
                Err(error) => {
                    failed("start", way, error, table)?;
                    ways.retain(|&other| other != way);
                }
            }
        }
    }
    for (work, most, times) in [
        ("start to first answer", 20.0, answers),
        ("start to first call", 30.0, calls),
    ] {
        let janus = times.get(&Way::Janus).cloned().unwrap_or_default();
        let values = times
            .into_iter()
            .filter_map(|(way, times)| Some((way, Spread::of(times)?.median())))
            .collect();
        table.add(row(work, most, Unit::Millis, janus, values));
    }
    Ok(())
}

/// The times from the start of the process to the answer to `initialize`, and to that to a call.
async fn start(ground: &Ground, way: Way) -> anyhow::Result<(Duration, Duration)> {
    let job = Job::echo(way, SMALL);
    let start = Instant::now();
    let process = ground.start(way, Under::Nothing).await?;
    let mut client = Client::open(process.address()).await?;
    let answer = start.elapsed();
    client.ask(&job).await?;
    let call = start.elapsed();
    client.close().await?;
    process.stop().await?;
    Ok((answer, call))
}

fn ways(amount: &Amount) -> Vec<Way> {
    let builds = amount.builds().into_iter();
    let builds = builds.filter_map(|(way, program)| program.map(|_| way));
    [Way::Relay].into_iter().chain(builds).collect()
}

/// Notes that Janus failed; what else fails ends the run.
fn failed(work: &str, way: Way, error: anyhow::Error, table: &mut Table) -> anyhow::Result<()> {
    if way == Way::Relay {
        return Err(error.context(format!("{work}: {way}")));
    }
    table.fail(format!("{work}: {way}: {error:#}"));
    Ok(())
}

fn row(
    work: &str,
    most: f64,
    unit: Unit,
    janus: impl IntoIterator<Item = f64>,
    values: BTreeMap<Way, f64>,
) -> Row {
    Row {
        work: work.to_owned(),
        goal: Goal::AtMost(most),
        against: None,
        measured: Spread::of(janus),
        unit,
        values,
        missing: None,
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
