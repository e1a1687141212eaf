//! User instructions per call, counted by valgrind: the one number without noise, hence the one to compare across
//! runs and to hold a change to.
//!
//! A process is run with some calls and again with more of them; the difference is what the calls cost, without start,
//! sessions and end.

use std::{collections::BTreeMap, process::Stdio};

use anyhow::Context as _;
use futures_util::future::join_all;
use tokio::process::Command;

use crate::{
    Amount,
    against::Growth,
    calls::SMALL,
    ground::{Ground, Under, Way},
    load::{self, Client, Job},
    process::Process,
    table::{Goal, Row, Spread, Table, Unit},
};

/// A call with a file in it.
const LARGE: usize = 100_000;

/// Thousands of instructions per call.
#[derive(Debug, Clone, Copy)]
struct PerCall {
    small: f64,
    large: f64,
    /// A small one in the modern era; the relay knows none.
    modern: Option<f64>,
}

pub(crate) async fn measure(amount: &Amount, table: &mut Table) -> anyhow::Result<()> {
    let mut counted = BTreeMap::new();
    let present = is_present().await;
    if present {
        eprintln!("instructions …");
        let ground = Ground::with_tools(5, amount).await?;
        let modern = Ground::with_tools(5, amount).await?.modern();
        let relay = per_call(&ground, Way::Relay, amount.counted);
        let builds = amount.builds().map(|(way, program)| {
            let grounds = (&ground, &modern);
            async move {
                program?;
                Some((way, in_both_eras(grounds, way, amount.counted).await))
            }
        });
        // At once: how fast they run does not change what they count.
        let (relay, builds) = tokio::join!(relay, join_all(builds));
        counted.insert(Way::Relay, relay.context("relay under callgrind")?);
        for (way, of_build) in builds.into_iter().flatten() {
            match of_build {
                Ok(of_build) => drop(counted.insert(way, of_build)),
                Err(error) => table.fail(format!("callgrind: {way}: {error:#}")),
            }
        }
    }
    let small: Number = |of| Some(of.small);
    let large: Number = |of| Some(of.large);
    let modern: Number = |of| of.modern;
    for (work, most, number) in [
        ("user instructions per 1 KB call", 110.0, small),
        ("user instructions per 100 KB call", 1500.0, large),
        ("user instructions per 1 KB call, modern era", 110.0, modern),
    ] {
        let of = |way| number(counted.get(&way)?);
        table.add(Row {
            work: work.to_owned(),
            goal: Goal::AtMost(most),
            against: None,
            measured: Spread::of(of(Way::Janus)),
            unit: Unit::Kiloinstructions,
            values: counted
                .keys()
                .filter_map(|&way| Some((way, of(way)?)))
                .collect(),
            missing: (!present).then(|| "no valgrind".to_owned()),
        });
        if let (Some(now), Some(before)) = (of(Way::Janus), of(Way::Before)) {
            let growth = Growth::of(now, before);
            println!("{work}: {growth}");
            if !growth.is_allowed() {
                table.fail(format!("{work}: {growth}"));
            }
        } else if amount.before.is_some() {
            table.fail(format!("{work}: not compared"));
        }
    }
    Ok(())
}

type Number = fn(&PerCall) -> Option<f64>;

async fn in_both_eras(
    (legacy, modern): (&Ground, &Ground),
    way: Way,
    calls: u64,
) -> anyhow::Result<PerCall> {
    let counted = per_call(legacy, way, calls).await?;
    let base = modern_instructions(modern, way, calls).await?;
    let twice = modern_instructions(modern, way, 2 * calls).await?;
    Ok(PerCall {
        modern: Some((twice - base) / calls as f64 / 1e3),
        ..counted
    })
}

/// What a whole run with so many small calls of the modern era comes to.
async fn modern_instructions(ground: &Ground, way: Way, calls: u64) -> anyhow::Result<f64> {
    let process = ground.start(way, Under::Callgrind).await?;
    let mut client = Client::connect(process.address()).await?;
    let job = Job::modern_echo(SMALL)?;
    for _ in 0..calls {
        client.ask(&job).await?;
    }
    client.close().await?;
    collected(process).await
}

async fn is_present() -> bool {
    let version = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .await;
    version.is_ok_and(|status| status.success())
}

async fn per_call(ground: &Ground, way: Way, calls: u64) -> anyhow::Result<PerCall> {
    // A large call costs more, so fewer of them are as exact.
    let few = calls.div_ceil(5);
    let base = instructions(ground, way, calls, 0).await?;
    let twice = instructions(ground, way, 2 * calls, 0).await?;
    let with_few = instructions(ground, way, calls, few).await?;
    let with_more = instructions(ground, way, calls, 2 * few).await?;
    Ok(PerCall {
        small: (twice - base) / calls as f64 / 1e3,
        large: (with_more - with_few) / few as f64 / 1e3,
        modern: None,
    })
}

/// What a whole run with so many small and large calls comes to.
async fn instructions(ground: &Ground, way: Way, small: u64, large: u64) -> anyhow::Result<f64> {
    let process = ground.start(way, Under::Callgrind).await?;
    let mut clients = load::open(&process, None, 1).await?;
    for (calls, size) in [(small, SMALL), (large, LARGE)] {
        let job = Job::echo(way, size);
        for client in &mut clients {
            for _ in 0..calls {
                client.ask(&job).await?;
            }
        }
    }
    load::close(clients).await?;
    collected(process).await
}

/// Ends a process and reads what was counted.
async fn collected(process: Process) -> anyhow::Result<f64> {
    let said = process.stop().await?;
    // `==PID== Collected : 123456`
    let sum = said.iter().find_map(|line| line.split_once("Collected : "));
    let (_, sum) = sum.with_context(|| format!("no sum from callgrind: {}", said.join(" | ")))?;
    sum.trim().parse().context("the sum is not a number")
}
