//! Endpoints that metadata names and that no authorization server has: nobody connects to them.
//!
//! Each leads to an address that is nobody's (RFC 1122, section 3.2.1.3) and at which this machine answers all the same, or
//! to its own in the network around it, so that a request that were sent would be seen.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};

use serde_json::{Value, json};

use super::cli_login::{log_in, run};
use super::rig::{Rig, known, status};
use crate::support::authorization::{Answer, Behaviour, Endpoint, Protection};

/// Somewhere nobody should go, and the ways to write it.
struct Trap(Vec<(TcpListener, Vec<String>)>);

impl Trap {
    fn new() -> Self {
        let nobodys = [
            "https://0.0.0.0",
            "https://[::ffff:0.0.0.0]",
            "http://0.0.0.0",
        ];
        let mut traps = vec![Self::at("127.0.0.1", &nobodys)];
        // In the network of whoever runs this, where there is one.
        if let Some(own) = own_address() {
            let own = own.to_string();
            traps.push(Self::at(&own, &[&format!("https://{own}")]));
        }
        Self(traps)
    }

    fn at(address: &str, origins: &[&str]) -> (TcpListener, Vec<String>) {
        let listener = TcpListener::bind((address, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let origins = origins.iter().map(|origin| format!("{origin}:{port}"));
        let origins = origins.collect();
        (listener, origins)
    }

    fn urls(&self, path: &str) -> Vec<String> {
        let origins = self.0.iter().flat_map(|(_, origins)| origins);
        origins.map(|origin| format!("{origin}{path}")).collect()
    }

    fn assert_untouched(&self, what: &str) {
        for (listener, _) in &self.0 {
            let came = listener.accept();
            let nobody = came
                .as_ref()
                .is_err_and(|why| why.kind() == ErrorKind::WouldBlock);
            assert!(nobody, "{what}: {came:?}");
        }
    }
}

/// The address of this machine in a network of somebody's own.
fn own_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    // Nothing is sent by that: it asks the system for the way.
    socket.connect("1.1.1.1:9").ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(own) if own.is_private() || own.is_documentation() => Some(own),
        _ => None,
    }
}

/// Metadata with this member.
fn with(member: &str, value: &str, behaviour: Behaviour) -> Behaviour {
    Behaviour {
        metadata: json!({ member: value }),
        ..behaviour
    }
}

/// Who is logged in, as far as is known.
fn verified_as(rig: &Rig) -> Value {
    status(&rig.janus)["accounts"][0]["verified_as"].clone()
}

#[tokio::test]
async fn an_endpoint_that_a_login_begins_with_is_not_connected_to() {
    let trap = Trap::new();
    let device = Behaviour {
        device: true,
        ..Behaviour::default()
    };
    let ways: [(&str, &[&str], Behaviour); 2] = [
        (
            "registration_endpoint",
            &["login", "s"],
            Behaviour::default(),
        ),
        (
            "device_authorization_endpoint",
            &["login", "s", "--device"],
            device,
        ),
    ];
    for (member, arguments, behaviour) in ways {
        for url in trap.urls("/here") {
            let behaviour = with(member, &url, behaviour.clone());
            let rig = Rig::start(behaviour, Protection::default(), "auth: oauth").await;
            let ended = run(&rig.janus, arguments);
            assert!(!ended.status.success(), "{member}: {url}");
            let said = ["no public address", "not asked without TLS"];
            assert!(
                said.iter().any(|said| ended.stderr.contains(said)),
                "{member}: {url}: {}",
                ended.stderr
            );
            trap.assert_untouched(&url);
            for endpoint in [Endpoint::Authorize, Endpoint::Token] {
                assert_eq!(rig.authority.count(endpoint), 0, "{member}: {url}");
            }
            rig.assert_clean();
        }
    }
}

#[tokio::test]
async fn resource_metadata_and_authorization_servers_that_lead_elsewhere_are_not_connected_to() {
    let trap = Trap::new();
    let place = "/.well-known/oauth-protected-resource/mcp";
    let metadata = trap.urls(place).into_iter().map(|url| Protection {
        metadata_url: Some(url),
        metadata_at: Vec::new(),
        ..Protection::default()
    });
    let servers = trap.urls("").into_iter().map(|url| Protection {
        authorization_servers: Some(vec![url]),
        ..Protection::default()
    });
    for protection in metadata.chain(servers) {
        let what = format!("{protection:?}");
        let rig = Rig::start(Behaviour::default(), protection, "auth: oauth").await;
        let ended = run(&rig.janus, &["login", "s"]);
        assert!(!ended.status.success(), "{what}");
        trap.assert_untouched(&what);
        assert_eq!(rig.authority.count(Endpoint::Register), 0, "{what}");
        assert_eq!(rig.authority.count(Endpoint::Authorize), 0, "{what}");
        rig.assert_clean();
    }
}

#[tokio::test]
async fn where_tokens_would_be_ended_or_shown_is_looked_at_as_well() {
    let trap = Trap::new();
    for url in trap.urls("/here") {
        let behaviour = with("revocation_endpoint", &url, known());
        let rig = Rig::start(behaviour, Protection::default(), "auth: oauth").await;
        let ended = log_in(&rig, &["login", "s"], "ana").await;
        assert!(ended.status.success(), "{}", ended.stderr);
        let ended = run(&rig.janus, &["logout", "s"]);
        assert!(
            ended.stdout.contains("the provider did not confirm"),
            "{}",
            ended.stdout
        );
        trap.assert_untouched(&url);

        let behaviour = with("userinfo_endpoint", &url, known());
        let auth = "auth: { oauth: { scopes: [openid, read] } }";
        let rig = Rig::start(behaviour, Protection::default(), auth).await;
        rig.authority.next_token_response(Answer::edited(|tokens| {
            tokens.as_object_mut().unwrap().remove("id_token");
        }));
        let ended = log_in(&rig, &["login", "s"], "ana").await;
        assert!(ended.status.success(), "{}", ended.stderr);
        assert_eq!(verified_as(&rig), Value::Null);
        trap.assert_untouched(&url);
        rig.assert_clean();
    }
}
