//! Fifty accounts of one provider, called through each other: no token and no caller's bearer goes where it does not
//! belong, while tokens end and are renewed.

use std::fmt::Write as _;

use futures_util::future::join_all;
use serde_json::json;

use super::rig::{home, link, text};
use crate::support::authorization::{
    Answer, AuthorizationServer, Behaviour, Endpoint, ProtectedServer, Protection,
};
use crate::support::{Client, Era, Janus, scale};

const SERVERS: usize = 5;
const ACCOUNTS: usize = 10;
/// Calls at full size.
const CALLS: usize = 40_000;
/// Calls at once.
const BURST: usize = 50;
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
    for number in 0..BURST {
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
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut rounds = 0;
    // A fast machine is through before the first token ends.
    while rounds < scale(CALLS) / BURST || authority.refreshes() < SERVERS * ACCOUNTS {
        rounds += 1;
        let calls = clients.iter_mut().map(|client| {
            let (server, account) = (random.below(SERVERS), random.below(ACCOUNTS));
            async move {
                let result = ask(client, server, account).await;
                let name = format!("s{server}-a{account}");
                assert_eq!(text(&result), name, "{result}");
                let identity = &result["_meta"]["dev.janus/identity"];
                assert_eq!(identity["account"], format!("a{account}"));
                assert_eq!(identity["verified_as"], format!("{name}@example.org"));
            }
        });
        join_all(calls).await;
    }
    for server in &servers {
        assert_eq!(server.violations(), [""; 0]);
        for seen in server.seen() {
            assert!(!format!("{:?}", seen.headers).contains(CANARY));
        }
    }
    assert_eq!(authority.violations(), [""; 0]);
    assert_eq!(authority.reuse(), 0);
}

async fn ask(client: &mut Client, server: usize, account: usize) -> serde_json::Value {
    let params = json!({ "name": format!("s{server}__who"), "arguments": { "janus_account": format!("a{account}") } });
    client.result("tools/call", params).await
}
