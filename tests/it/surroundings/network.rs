//! A link that goes down, comes back, and flaps, in a network of its own.

use std::time::{Duration, Instant};

use crate::secrets::state;
use crate::support::{Client, Era, Gate, Home, Janus, Network, until};

struct Rig {
    // Ends before the network does.
    janus: Janus,
    gate: Gate,
    network: Network,
}

impl Rig {
    /// Janus in one network, a server in another, and nobody who calls.
    fn start(test: &str) -> Option<Self> {
        let network = Network::new(test)?;
        let listener = tokio::net::TcpListener::from_std(network.listen()).unwrap();
        let gate = Gate::on(listener);
        let home = Home::new(&format!("s: {{ url: \"{}\", auth: none }}\n", gate.url()));
        let janus = Janus::start_in(home, |command| *command = network.enter(command));
        let rig = Self {
            janus,
            gate,
            network,
        };
        rig.until("ready");
        Some(rig)
    }

    fn until(&self, word: &str) {
        until(word, || state(self.janus.home(), "s/default") == word);
    }

    /// How often a conversation was begun.
    fn begun(&self) -> usize {
        let seen = self.gate.seen();
        let begins = |method: &str| ["initialize", "server/discover"].contains(&method);
        seen.iter().filter(|one| begins(&one.method)).count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_down_is_shown_and_when_it_is_up_nobody_need_call() {
    let name = "a_link_that_is_down_is_shown_and_when_it_is_up_nobody_need_call";
    let Some(rig) = Rig::start(name) else { return };
    for (down, up) in [
        ("ip link set near down", "ip link set near up"),
        (
            "ip addr del 192.0.2.1/24 dev near",
            "ip addr add 192.0.2.1/24 dev near",
        ),
    ] {
        rig.network.change(down);
        rig.until("backoff");
        rig.network.change(up);
        let began = Instant::now();
        rig.until("ready");
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "{up}: {:?}",
            began.elapsed()
        );
    }
    let mut client = Client::open(rig.janus.unix(), "/mcp", Era::Modern).await;
    let said = client.text("s__whoami", serde_json::json!({})).await;
    assert_eq!(said, "ana@example.org");
}

/// Between two changes of a kind.
const CHANGED: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_flaps_makes_no_storm() {
    let name = "a_link_that_flaps_makes_no_storm";
    let Some(rig) = Rig::start(name) else { return };
    rig.gate.forget();
    let began = Instant::now();
    for _ in 0..100 {
        rig.network
            .change("ip link set near down; ip link set near up");
    }
    rig.until("ready");
    // At each change that is told, one look at what stands, and a conversation where none does: two requests.
    let told = began.elapsed().as_secs() / CHANGED.as_secs() + 2;
    let most = usize::try_from(told * 4).unwrap();
    assert!(rig.begun() <= most, "{} of {most}", rig.begun());
    let pings = rig
        .gate
        .seen()
        .iter()
        .filter(|one| one.method == "ping")
        .count();
    assert!(pings <= most, "{pings} of {most}");
}
