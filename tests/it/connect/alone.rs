//! `janus connect --standalone`: what helps there is no command, since those speak to the daemon.

use serde_json::json;

use super::{Client, Era};
use crate::oauth::rig::{home, known};
use crate::support::authorization::{AuthorizationServer, ProtectedServer, Protection};

#[tokio::test]
async fn what_helps_a_gateway_that_stands_alone_is_no_command_of_the_daemon() {
    let authority = AuthorizationServer::start(known()).await;
    let server = ProtectedServer::start(&authority, Protection::default()).await;
    let url = server.url();
    let servers = format!(
        concat!(
            "  login: {{ url: \"{0}\" }}\n",
            "  secret: {{ url: \"{0}\", auth: {{ bearer: vault:token }} }}\n",
            "  away: {{ command: [sh, -c, \"exit 3\"] }}\n",
        ),
        url
    );
    let home = home(&servers, "");
    let mut client = Client {
        shim: home.standalone(),
        era: Era::Legacy,
        last_id: 0,
        told: Vec::new(),
    };
    client.greet();
    for (tool, helps) in [
        ("login__who", "janus connect, without --standalone"),
        ("secret__who", "write env:NAME, file:PATH or cmd:COMMAND"),
        ("away__who", "Its standard error says more"),
    ] {
        let params = json!({"name": tool, "arguments": {}});
        let answer = client.request("tools/call", params).to_string();
        assert!(answer.contains(helps), "{tool}: {answer}");
        for command in [
            "janus login",
            "janus secret",
            "janus logs",
            "janus account",
            "janus vault",
        ] {
            assert!(!answer.contains(command), "{tool}: {answer}");
        }
    }
    client.leave();
}
