//! Fifty accounts of one provider, called through each other: no token and no caller's bearer goes where it does not
//! belong, while tokens end and are renewed. A million calls at full size, a tenth of a tenth of them else.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use super::rig::{home, link, text};
use crate::support::authorization::{
    Answer, AuthorizationServer, Behaviour, Endpoint, ProtectedServer, Protection,
};
use crate::support::{Client, Era, Janus, scale, within};

const SERVERS: usize = 5;
const ACCOUNTS: usize = 10;
/// Calls at full size. A tenth of them would take a minute, which is more than every run has: a hundredth is made.
const CALLS: usize = 1_000_000;
/// Clients, each with a connection of its own on which one call follows the other.
const CLIENTS: usize = 50;
/// What no server may see.
const CANARY: &str = "bearer-of-a-client-0815";

struct Random(u64);

impl Random {
    /// A number below this (xorshift; nobody guesses here).
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most as u64).unwrap()
    }
}

#[tokio::test]
async fn no_call_of_fifty_accounts_is_answered_to_another_and_no_bearer_passes_through() {
    let behaviour = Behaviour {
        openid: true,
        scopes: Some(vec!["openid"]),
        ..Behaviour::default()
    };
    let authority = AuthorizationServer::start(behaviour).await;
    // So that they are renewed all the time, each at its own.
    let short = Answer::edited(|tokens| tokens["expires_in"] = json!(6));
    authority.always(Endpoint::Token, Some(short));
    let mut servers = Vec::new();
    let mut text_of_servers = String::new();
    for number in 0..SERVERS {
        let protection = Protection {
            modern: number % 2 == 1,
            never: Some(CANARY),
            ..Protection::default()
        };
        let server = ProtectedServer::start(&authority, protection).await;
        let accounts: Vec<String> = (0..ACCOUNTS)
            .map(|account| format!("a{account}: {{}}"))
            .collect();
        writeln!(
            text_of_servers,
            "  s{number}: {{ url: \"{}\", auth: {{ oauth: {{ open_browser: false }} }}, accounts: {{ {} }} }}",
            server.url(),
            accounts.join(", ")
        )
        .unwrap();
        servers.push(server);
    }
    let janus = Janus::start_in(home(&text_of_servers, ""), |_| {});
    let bearer = format!("Bearer {CANARY}");
    let headers = [("authorization", bearer.as_str())];
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let era = if number % 2 == 0 {
            Era::Legacy
        } else {
            Era::Modern
        };
        clients.push(Client::open_with(janus.http(), "/mcp", era, &headers).await);
    }
    for server in 0..SERVERS {
        for account in 0..ACCOUNTS {
            let name = format!("s{server}-a{account}");
            authority.log_in_as(&name);
            let result = ask(&mut clients[0], server, account).await;
            let back = authority.follow(&link(&result)).await;
            let (status, page) = crate::support::authorization::land(&back).await;
            assert_eq!(status, 200, "{page}");
            let result = ask(&mut clients[0], server, account).await;
            assert_eq!(text(&result), name);
        }
    }
    let calls = match scale(CALLS) {
        CALLS => CALLS,
        tenth => tenth / 10,
    };
    let host = janus.url("").replace("http://", "");
    let done = AtomicUsize::new(0);
    let callers = clients.into_iter().enumerate().map(|(number, client)| {
        let caller = Caller {
            client,
            random: Random(0x9e37_79b9_7f4a_7c15 + u64::try_from(number).unwrap()),
        };
        caller.call(&host, &authority, (&done, calls))
    });
    join_all(callers).await;
    assert!(done.into_inner() >= calls);
    for server in &servers {
        assert_eq!(server.violations(), [""; 0]);
    }
    assert_eq!(authority.violations(), [""; 0]);
    assert_eq!(authority.reuse(), 0);
}

/// One client, which calls as one account after the other.
struct Caller {
    client: Client,
    random: Random,
}

impl Caller {
    async fn call(
        mut self,
        host: &str,
        authority: &AuthorizationServer,
        (done, calls): (&AtomicUsize, usize),
    ) {
        let stream = TcpStream::connect(host).await.unwrap();
        let (mut line, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
        // A fast machine is through before the first token ends.
        while done.load(Ordering::Relaxed) < calls || authority.refreshes() < SERVERS * ACCOUNTS {
            let (server, account) = (self.random.below(SERVERS), self.random.below(ACCOUNTS));
            let mut request = self.client.prepared("tools/call", params(server, account));
            let headers = request.headers_mut();
            headers.insert(http::header::HOST, host.parse().unwrap());
            let request = request.map(|body| Full::new(Bytes::from(body)));
            let answer = within("an answer", async {
                let answer = line.send_request(request).await.unwrap();
                answer.into_body().collect().await.unwrap().to_bytes()
            });
            let answer = answer.await;
            // A million of them: they are searched, not parsed.
            let answer = std::str::from_utf8(&answer).unwrap();
            for said in [
                format!("\"text\":\"s{server}-a{account}\""),
                format!("\"verified_as\":\"s{server}-a{account}@example.org\""),
                format!("\"account\":\"a{account}\""),
            ] {
                assert!(answer.contains(&said), "no {said}: {answer}");
            }
            assert_eq!(answer.matches("@example.org").count(), 1, "{answer}");
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn params(server: usize, account: usize) -> serde_json::Value {
    json!({ "name": format!("s{server}__who"), "arguments": { "janus_account": format!("a{account}") } })
}

async fn ask(client: &mut Client, server: usize, account: usize) -> serde_json::Value {
    client.result("tools/call", params(server, account)).await
}
