//! Names whose addresses change, or are of several kinds: a name is looked up for each connection, and what is connected to
//! is what was looked at.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use serde_json::json;
use tokio::net::TcpListener;

use super::{Said, Scripted, way};
use crate::credential::Clock;
use crate::credential::oauth::discovery::find;
use crate::credential::oauth::login::Challenge;
use crate::credential::oauth::network::{Network, NetworkError};
use crate::credential::oauth::seam::Way;
use crate::model::{OAuth, ProxySettings};

/// In no network that anybody has: nobody answers there, and most machines have no way to it.
const PUBLIC: &str = "2d00::1";
const PUBLIC_SERVER: &str = "https://mcp.example.com/mcp";

/// A way to this server, where every name has one list of addresses after the other, and the last one from then on. How
/// often one was looked up is counted.
fn told(server: &str, answers: &[&[&str]], clock: Clock) -> (Way, Arc<AtomicUsize>) {
    let looked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looked);
    let answers: Vec<Vec<IpAddr>> = answers
        .iter()
        .map(|answer| answer.iter().map(|ip| ip.parse().unwrap()).collect())
        .collect();
    let network = Network::new(&ProxySettings::default(), clock).with_names(move |_| {
        let at = counted.fetch_add(1, Ordering::Relaxed);
        answers[at.min(answers.len() - 1)].clone()
    });
    let way = Way {
        network,
        ..way(server)
    };
    (way, looked)
}

/// Asks, and does not wait for who does not answer.
async fn asked(way: &Way, clock: &Clock, url: &str) -> NetworkError {
    let request = Request::get(url).body(Vec::new()).unwrap();
    let mut asked = Box::pin(way.send(request));
    loop {
        tokio::select! {
            biased;
            answer = &mut asked => return answer.unwrap_err(),
            () = tokio::task::yield_now() => clock.advance(Duration::from_millis(10)),
        }
    }
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// How many connections wait to be taken.
async fn came(listener: &TcpListener) -> usize {
    let mut came = 0;
    while let Ok(accepted) = tokio::time::timeout(Duration::ZERO, listener.accept()).await {
        drop(accepted.unwrap());
        came += 1;
    }
    came
}

#[tokio::test]
async fn a_name_that_is_public_at_first_leads_nowhere_else_later() {
    for inside in [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
    ] {
        let (listener, port) = listener().await;
        let clock = Clock::movable();
        let (way, looked) = told(PUBLIC_SERVER, &[&[PUBLIC], &[inside]], clock.clone());
        let url = format!("https://as.example.com:{port}/token");
        let first = asked(&way, &clock, &url).await;
        assert!(
            matches!(first, NetworkError::Unreachable { sent: false, .. }),
            "{inside}: {first}"
        );
        assert_eq!(looked.load(Ordering::Relaxed), 1, "it is looked up once");
        for _ in 0..2 {
            let later = asked(&way, &clock, &url).await;
            let not_allowed = "as.example.com is no public address".to_owned();
            assert_eq!(later, NetworkError::Refused(not_allowed), "{inside}");
        }
        assert_eq!(looked.load(Ordering::Relaxed), 3);
        assert_eq!(came(&listener).await, 0, "{inside}");
    }
}

#[tokio::test]
async fn of_several_addresses_only_those_that_are_allowed_are_tried() {
    let mixed: &[&str] = &[
        "127.0.0.1",
        "::ffff:127.0.0.1",
        PUBLIC,
        "0.0.0.0",
        "10.0.0.1",
    ];
    let (listener, port) = listener().await;
    let url = format!("https://as.example.com:{port}/token");
    let clock = Clock::movable();
    let (way, _) = told(PUBLIC_SERVER, &[mixed], clock.clone());
    let tried = asked(&way, &clock, &url).await;
    assert!(
        matches!(tried, NetworkError::Unreachable { sent: false, .. }),
        "{tried}"
    );
    assert_eq!(came(&listener).await, 0);
    // For a server on this machine the same name leads there.
    let (way, _) = told("http://127.0.0.1:1/mcp", &[mixed], clock.clone());
    asked(&way, &clock, &url).await;
    assert_eq!(came(&listener).await, 1);
}

#[tokio::test]
async fn a_redirect_is_looked_up_anew() {
    let place = "/.well-known/oauth-authorization-server";
    for (second, is_followed) in [("127.0.0.1", true), ("0.0.0.0", false), ("::", false)] {
        let authority = Scripted::start().await;
        let port = authority.origin.rsplit(':').next().unwrap();
        let issuer = format!("http://as.localhost:{port}");
        let away = format!("{issuer}/elsewhere");
        let redirect = Said::new(307, "").with("location", &away);
        authority.says(&format!("GET {place}"), redirect).json(
            "GET /elsewhere",
            &json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"),
                "code_challenge_methods_supported": ["S256"],
            }),
        );
        let server = Scripted::start().await;
        server.json(
            "GET /.well-known/oauth-protected-resource/mcp",
            &json!({"resource": "ORIGIN/mcp", "authorization_servers": [issuer]}),
        );
        let url = format!("{}/mcp", server.origin);
        let answers: [&[&str]; 2] = [&["127.0.0.1"], &[second]];
        let (way, looked) = told(&url, &answers, Clock::default());
        let challenge = Challenge {
            status: 401,
            header: Some("Bearer".to_owned()),
        };
        let found = Box::pin(find(&way, &OAuth::default(), Some(challenge), None)).await;
        assert_eq!(found.is_ok(), is_followed, "{second}");
        assert!(looked.load(Ordering::Relaxed) >= 2);
        let mut expected = vec![format!("GET {place}")];
        if is_followed {
            expected.push("GET /elsewhere".to_owned());
        }
        assert_eq!(authority.lines(), expected, "{second}");
    }
}
