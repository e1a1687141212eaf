//! How soon a Janus that a connection starts is there, whatever the number of its servers: the socket is open and the
//! request waits in it before the process begins, as under systemd.
//!
//! The time counts from before the process is made to the answer of `initialize` and to the one after it, so that it
//! holds the shell that hands the socket over, about a millisecond.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use crate::{
    Amount,
    ground::{Ground, Way},
    load::Client,
    table::{Goal, Row, Spread, Table, Unit},
};

/// How many servers the configuration has.
const SERVERS: [usize; 3] = [1, 100, 1000];
/// In the process, for any of them.
const MOST: f64 = 20.0;

pub(crate) async fn measure(amount: &Amount, table: &mut Table) -> anyhow::Result<()> {
    eprintln!("cold start …");
    let ground = Ground::with_tools(5, amount).await?;
    let mut times: BTreeMap<(usize, Way), Vec<f64>> = BTreeMap::new();
    for _ in 0..amount.starts {
        for servers in SERVERS {
            for (way, program) in amount.builds() {
                if program.is_some() {
                    let took = start(&ground, way, servers).await?;
                    let millis = took.as_secs_f64() * 1e3;
                    times.entry((servers, way)).or_default().push(millis);
                }
            }
        }
    }
    for servers in SERVERS {
        let of = |way| times.get(&(servers, way)).cloned().unwrap_or_default();
        let medians = [Way::Janus, Way::Before]
            .into_iter()
            .filter_map(|way| Some((way, Spread::of(of(way))?.median())));
        table.add(Row {
            work: format!("started by a connection to first answer, {servers} servers"),
            goal: Goal::AtMost(MOST),
            against: None,
            measured: Spread::of(of(Way::Janus)),
            unit: Unit::Millis,
            values: medians.collect(),
            missing: None,
        });
    }
    Ok(())
}

async fn start(ground: &Ground, way: Way, servers: usize) -> anyhow::Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let began = Instant::now();
    let asked = async {
        let client = Client::open(address).await?;
        Ok((client, began.elapsed()))
    };
    let started = ground.activated(way, OwnedFd::from(listener), servers);
    let ((client, took), process) = tokio::try_join!(asked, started)?;
    client.close().await?;
    process.stop().await?;
    Ok(took)
}
