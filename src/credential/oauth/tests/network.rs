//! No connection to where nobody may go, and no more of an answer than is read.

use std::pin::pin;
use std::time::Duration;

use http::Request;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::{Said, Scripted, way};
use crate::credential::Clock;
use crate::credential::oauth::network::{Network, NetworkError};
use crate::credential::oauth::seam::Way;
use crate::model::ProxySettings;

async fn got(way: &Way, url: &str) -> Result<u16, NetworkError> {
    let request = Request::get(url).body(Vec::new()).unwrap();
    way.send(request)
        .await
        .map(|answer| answer.status().as_u16())
}

#[tokio::test]
async fn whoever_is_asked_for_a_server_on_the_internet_finds_nothing_on_this_machine() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let public = way("https://mcp.example.com/mcp");
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "127.255.255.254",
        "0x7f.1",
        "0x7f000001",
        "0x7f.0x0.0x0.0x1",
        "017700000001",
        "0177.0.0.1",
        "0177.0.0.01",
        "2130706433",
        "0",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "as.localhost",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[0:0:0:0:0:0:0:1]",
        "ip6-localhost",
    ] {
        for scheme in ["https", "http"] {
            let url = format!("{scheme}://{host}:{port}/token");
            let got = got(&public, &url).await;
            let is_refused = matches!(got, Err(NetworkError::Refused(_)));
            // What this machine has no name for is no way to it either.
            let is_unknown = matches!(got, Err(NetworkError::Unreachable { sent: false, .. }));
            assert!(is_refused || is_unknown, "{url}: {got:?}");
        }
    }
    for host in ["127.0.0.1", "localhost", "as.localhost", "[::1]"] {
        let url = format!("https://{host}:{port}/token");
        let got = got(&public, &url).await;
        assert!(
            matches!(got, Err(NetworkError::Refused(_))),
            "{url}: {got:?}"
        );
    }
    let nobody = Duration::ZERO;
    let came = timeout(nobody, listener.accept()).await;
    assert!(came.is_err(), "somebody connected");
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let (server, other) = (Scripted::start().await, Scripted::start().await);
    let away = format!("{}/token", other.origin);
    server.says("GET /a", Said::new(307, "").with("location", &away));
    let url = format!("{}/a", server.origin);
    assert_eq!(got(&server.way(), &url).await, Ok(307));
    assert_eq!(other.lines(), [""; 0]);
}

#[tokio::test]
async fn an_answer_is_read_up_to_a_megabyte_and_to_its_end() {
    let server = Scripted::start().await;
    server.says("GET /long", Said::new(200, &"x".repeat(1024 * 1024 + 1)));
    server.says(
        "GET /cut",
        Said::new(200, "{").with("content-length", "100"),
    );
    for path in ["/long", "/cut"] {
        let url = format!("{}{path}", server.origin);
        let got = got(&server.way(), &url).await;
        assert!(
            matches!(got, Err(NetworkError::BadAnswer(_))),
            "{path}: {got:?}"
        );
    }
}

#[tokio::test]
async fn whether_something_was_sent_is_known() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let url = format!("http://{address}/token");
    let got = got(&way(&format!("http://{address}/mcp")), &url).await;
    assert!(
        matches!(got, Err(NetworkError::Unreachable { sent: false, .. })),
        "{got:?}"
    );
}

#[tokio::test]
async fn a_connection_that_is_cut_may_have_been_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let way = way(&format!("http://{address}/mcp"));
    let url = format!("http://{address}/token");
    let (got, ()) = tokio::join!(got(&way, &url), async {
        let (stream, _) = listener.accept().await.unwrap();
        // It hears something, and says nothing.
        stream.readable().await.unwrap();
        drop(stream);
    });
    assert!(
        matches!(got, Err(NetworkError::Unreachable { sent: true, .. })),
        "{got:?}"
    );
}

#[tokio::test]
async fn a_connection_that_nobody_takes_is_given_up_after_ten_seconds() {
    // Its queue is full, so that the system lets who knocks knock.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    let moment = Duration::from_millis(200);
    while let Ok(connected) = timeout(moment, TcpStream::connect(address)).await {
        queue.push(connected.unwrap());
    }
    let clock = Clock::movable();
    let way = Way {
        network: Network::new(&ProxySettings::default(), clock.clone()),
        ..way(&format!("http://{address}/mcp"))
    };
    let url = format!("http://{address}/token");
    let mut asked = pin!(got(&way, &url));
    for seconds in [0, 9] {
        clock.advance(Duration::from_secs(seconds));
        for _ in 0..100 {
            tokio::select! {
                biased;
                got = &mut asked => panic!("after {seconds} s: {got:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    // Sooner than the whole of a request has to end.
    clock.advance(Duration::from_secs(2));
    let got = timeout(Duration::from_mins(1), asked).await.unwrap();
    let Err(NetworkError::Unreachable { why, sent: false }) = got else {
        panic!("{got:?}");
    };
    assert!(why.contains("no connection within 10 s"), "{why}");
}
