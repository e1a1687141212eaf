//! A daemon whose machine sleeps: the whole of it, in the test's process, by a clock that the test moves.

use std::time::Duration;

use janus::config::{Environment, Location, Named, load};
use janus::credential::Clock;
use janus::daemon::{Handed, run};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{Client, Era, Gate, Home, Http, within};

const NIGHT: Duration = Duration::from_hours(8);
/// After it the daemon has looked at its clocks once more.
const LOOK: Duration = Duration::from_secs(15);

/// A way to a server, which goes dead as one does while a laptop sleeps: what was connected stays so, and nothing comes
/// any more. What is connected later is served.
struct Way {
    address: String,
    dead: watch::Sender<()>,
    _tasks: JoinSet<()>,
}

impl Way {
    async fn to(gate: &Gate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/mcp", listener.local_addr().unwrap());
        let there = gate.url();
        let there = there.strip_prefix("http://").unwrap();
        let there = there.strip_suffix("/mcp").unwrap().to_owned();
        let dead = watch::Sender::new(());
        let deaths = dead.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut far = TcpStream::connect(&there).await.unwrap();
                let mut dead = deaths.subscribe();
                connections.spawn(async move {
                    tokio::select! {
                        copied = tokio::io::copy_bidirectional(&mut near, &mut far) => drop(copied),
                        died = dead.changed() => {
                            died.unwrap();
                            std::future::pending::<()>().await;
                        }
                    }
                });
            }
        });
        Self {
            address,
            dead,
            _tasks: tasks,
        }
    }
}

#[tokio::test]
async fn after_a_night_no_call_waits_for_a_connection_that_died() {
    let gate = Gate::start().await;
    let way = Way::to(&gate).await;
    let home = Home::new(&format!("s: {{ url: \"{}\", auth: none }}\n", way.address));
    let variables = [
        ("HOME", home.path().join("home")),
        ("XDG_STATE_HOME", home.path().join("state")),
        ("XDG_RUNTIME_DIR", home.path().join("run")),
    ];
    let environment = Environment::new(variables, rustix::process::geteuid().as_raw());
    let location = Location {
        path: home.config(),
        named: Named::Flag,
    };
    let settings = load(&location, &environment).unwrap().settings;
    let (clock, stop) = (Clock::movable(), CancellationToken::new());
    let (announce, ready) = oneshot::channel();
    let handed = Handed {
        clock: clock.clone(),
        ..Handed::default()
    };
    let daemon = run(
        settings,
        None,
        handed,
        |ready| announce.send(ready.http.unwrap()).unwrap(),
        stop.clone(),
    );
    let test = async {
        let address = ready.await.unwrap();
        let http = Http::tcp(&format!("http://{address}"));
        let mut client = Client::open(http, "/mcp", Era::Modern).await;
        client.text("s__whoami", json!({})).await;

        way.dead.send(()).unwrap();
        gate.forget();
        clock.suspend(NIGHT);
        clock.advance(LOOK);
        let looked = async {
            while gate.seen().iter().all(|one| one.method != "ping") {
                tokio::task::yield_now().await;
            }
        };
        within("a look at the server", looked).await;
        let call = client.text("s__whoami", json!({}));
        assert_eq!(within("the call", call).await, "ana@example.org");
        drop(client);
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(Box::pin(daemon), Box::pin(test));
    ended.unwrap();
}
