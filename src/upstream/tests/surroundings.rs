//! The machine slept, or its network changed: what stands is looked at, what waits is tried.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use serde_json::json;
use tokio::net::TcpListener;

use super::remote::{http, ok};
use super::scripted::{Arrival, Server as Scripted, Writer};
use super::*;
use crate::model::Surroundings;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A legacy server, whose stream says nothing.
struct Peer {
    scripted: Scripted,
    streams: Vec<Writer>,
}

impl Peer {
    async fn start() -> Self {
        Self {
            scripted: Scripted::start().await,
            streams: Vec::new(),
        }
    }

    /// The next request that is none of the handshake.
    async fn next(&mut self) -> Arrival {
        loop {
            let arrival = self.scripted.next().await;
            match arrival.body["method"].as_str().unwrap_or("GET") {
                "server/discover" => arrival.reply(404, &[], ""),
                "GET" => self.streams.push(arrival.events()),
                "notifications/initialized" | "notifications/cancelled" => {
                    arrival.reply(202, &[], "");
                }
                "initialize" => ok(
                    arrival,
                    &json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {}}),
                ),
                _ => return arrival,
            }
        }
    }

    /// The same, which is a call.
    async fn call(&mut self) -> Arrival {
        let arrival = self.next().await;
        assert_eq!(arrival.body["method"], "tools/call");
        arrival
    }

    /// The same, which is a look of Janus's own.
    async fn ping(&mut self) -> Arrival {
        let arrival = self.next().await;
        assert_eq!(arrival.body["method"], "ping");
        arrival
    }
}

async fn is_ready(rig: &Rig) {
    rig.state(|state| matches!(state, State::Ready { .. }))
        .await;
}

#[tokio::test]
async fn after_a_sleep_calls_in_flight_go_on_and_later_ones_take_no_connection_of_before() {
    let mut peer = Peer::start().await;
    let rig = Rig::new(http(&peer.scripted.url));
    let script = async {
        let in_flight = peer.call().await;
        rig.upstream.heed(&Surroundings::Slept);
        let looked = peer.ping().await;
        let before = in_flight.connection;
        assert!(looked.connection > before);
        ok(looked, &json!({}));
        ok(in_flight, &json!({"content": []}));
        before
    };
    let (called, before) = tokio::join!(rig.call("a", "t"), script);
    assert_eq!(value(called)["id"], "x");
    let script = async {
        let later = peer.call().await;
        assert!(later.connection > before);
        ok(later, &json!({"content": []}));
    };
    let (called, ()) = tokio::join!(rig.call("a", "t"), script);
    value(called);
    drop(peer);
    rig.end().await;
}

#[tokio::test]
async fn a_connection_whose_address_is_gone_ends_at_once_and_no_other_does() {
    let mut peer = Peer::start().await;
    let rig = Rig::new(http(&peer.scripted.url));
    let script = async {
        let in_flight = peer.call().await;
        let another = IpAddr::from([192, 0, 2, 1]);
        rig.upstream.heed(&Surroundings::Lost(vec![another]));
        // Whether the server is there is asked, and nothing ends for that.
        ok(peer.ping().await, &json!({}));
        rig.upstream.heed(&Surroundings::Lost(vec![HERE, another]));
        in_flight
    };
    let (called, in_flight) = tokio::join!(rig.call("a", "t"), script);
    let Err(Failure::Interrupted { reason, .. }) = called else {
        panic!("{called:?}");
    };
    assert!(
        reason.contains("the network it went over is gone"),
        "{reason}"
    );
    drop(in_flight);
    let end = async {
        is_ready(&rig).await;
        rig.end().await;
    };
    tokio::select! {
        () = end => {}
        arrival = peer.next() => panic!("{}", arrival.body),
    }
}

#[tokio::test]
async fn a_server_that_is_out_of_reach_is_known_to_be_before_anybody_calls() {
    let mut peer = Peer::start().await;
    let rig = Rig::new(http(&peer.scripted.url));
    let (called, ()) = tokio::join!(rig.call("a", "t"), async {
        ok(peer.call().await, &json!({"content": []}));
    });
    value(called);
    // It is gone.
    drop(peer);
    rig.upstream.heed(&Surroundings::Lost(vec![HERE]));
    rig.state(|state| matches!(state, State::Backoff { .. }))
        .await;
    rig.end().await;
}

/// How long it waits, in whole seconds, where it does.
fn pause(state: &State) -> Option<u64> {
    let State::Backoff { next, .. } = state else {
        return None;
    };
    let left = next
        .as_ref()?
        .saturating_duration_since(tokio::time::Instant::now());
    Some(left.as_secs())
}

#[tokio::test]
async fn what_waits_is_tried_at_once_in_another_network_and_begins_to_count_anew() {
    let reserved = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let rig = Rig::new(http(&format!("http://{address}/mcp")));
    rig.upstream.start();
    let long = |state: &State| pause(state).is_some_and(|pause| pause >= 3);
    rig.state(long).await;
    rig.upstream.heed(&Surroundings::Reachable);
    let short = |state: &State| pause(state).is_some_and(|pause| pause < 2);
    rig.state(short).await;
    // Somebody who wishes to be left alone was reached, and is.
    let listener = TcpListener::bind(address).await.unwrap();
    let mut scripted = Scripted::on(listener);
    scripted
        .next()
        .await
        .reply(503, &[("retry-after", "9")], "");
    let wished = |state: &State| pause(state).is_some_and(|pause| pause >= 8);
    rig.state(wished).await;
    let began = Instant::now();
    rig.upstream.heed(&Surroundings::Reachable);
    scripted.next().await.reply(404, &[], "");
    assert!(began.elapsed().as_secs() >= 5, "{:?}", began.elapsed());
    rig.end().await;
}
