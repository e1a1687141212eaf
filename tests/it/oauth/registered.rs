//! What Janus is to a provider: a client that is registered once, anew when that is over, or described by a document.

use std::time::{Duration, SystemTime};

use serde_json::json;

use super::rig::{NO_BROWSER, Rig, call, called, link, status, text, told};
use crate::support::authorization::{
    Answer, Behaviour, Endpoint, Proof, Protection, ResourceRule, Said,
};
use crate::support::{Client, Era};

const DAY: Duration = Duration::from_hours(24);

/// Clients have a secret, and it lives so long.
fn secrets(life: Option<Duration>) -> Behaviour {
    Behaviour {
        methods: Some(vec!["client_secret_post"]),
        registered_method: Some("client_secret_post"),
        secret_life: life,
        ..Behaviour::default()
    }
}

async fn logged_in(rig: &Rig) -> Client {
    let mut client = rig.client(Era::Legacy).await;
    rig.log_in(&link(&call(&mut client, "s__who").await)).await;
    assert_eq!(text(&called(&mut client, "s__who").await), "ana");
    client
}

/// When the client's secret ends, where that is soon; and whether a person is shown it.
fn secret_ends(rig: &Rig) -> (Option<u64>, bool) {
    let shown = rig.janus.home().run(&["status"]).stdout;
    (
        status(&rig.janus)["accounts"][0]["grant"]["client_secret_expires"].as_u64(),
        shown.contains("client secret ends "),
    )
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_secs()
}

#[tokio::test]
async fn a_secret_that_ends_within_seven_days_is_shown() {
    for (life, shown) in [(Some(DAY * 6), true), (Some(DAY * 8), false), (None, false)] {
        let rig = Rig::start(secrets(life), Protection::default(), NO_BROWSER).await;
        logged_in(&rig).await;
        let (ends, told) = secret_ends(&rig);
        assert_eq!((ends.is_some(), told), (shown, shown), "{life:?}");
        if let (Some(ends), Some(life)) = (ends, life) {
            let left = ends - now();
            assert!(left <= life.as_secs() && left > life.as_secs() - 120);
        }
        rig.assert_clean();
    }
}

#[tokio::test]
async fn a_client_whose_secret_has_ended_is_registered_anew_at_the_next_login() {
    let rig = Rig::start(secrets(None), Protection::default(), NO_BROWSER).await;
    // What Janus is told ends at once; the provider takes it for the first login still.
    let ended = Answer::shaped(|mut client| {
        client["client_secret_expires_at"] = (now() - 1).into();
        Said::json(201, &client)
    });
    rig.authority.next_answer(Endpoint::Register, ended);
    logged_in(&rig).await;
    for _ in 0..2 {
        rig.authority.revoke_all();
        let ended = rig.janus.home().run(&["logout", "s"]);
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        logged_in(&rig).await;
        // The one that does not end serves the logins after it.
        assert_eq!(rig.authority.count(Endpoint::Register), 2);
    }
    rig.assert_clean();
}

#[tokio::test]
async fn a_client_that_the_provider_takes_no_more_is_registered_anew_by_one_login() {
    for forgotten in [false, true] {
        let rig = Rig::start(secrets(Some(DAY)), Protection::default(), NO_BROWSER).await;
        drop(logged_in(&rig).await);
        if forgotten {
            rig.authority.forget_clients();
            rig.authority.expire_all();
        } else {
            // By the provider's clock the secret has ended, and the token.
            rig.authority.advance(DAY * 2);
        }
        // A token that came a moment ago is not renewed for a refusal.
        let rig = rig.restarted();
        let mut client = rig.client(Era::Legacy).await;
        let result = call(&mut client, "s__who").await;
        assert_eq!(told(&result).1["reason"], "registration", "{result}");
        rig.log_in(&link(&result)).await;
        assert_eq!(text(&called(&mut client, "s__who").await), "ana");
        assert_eq!(rig.authority.count(Endpoint::Register), 2, "{forgotten}");
        rig.assert_clean();
    }
}

#[tokio::test]
async fn a_document_takes_the_place_of_a_registration_where_the_provider_reads_it() {
    const DOCUMENT: &str = "https://me.example/client.json";
    for read in [true, false] {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let behaviour = Behaviour {
            metadata_documents: read,
            ..Behaviour::default()
        };
        let more = format!(
            "auth: {{ oauth: {{ open_browser: false, client_metadata_url: \"{DOCUMENT}\", callback_port: {port} }} }}"
        );
        let rig = Rig::start(behaviour, Protection::default(), &more).await;
        let redirects = json!([format!("http://127.0.0.1:{port}/callback")]);
        let document = json!({ "client_id": DOCUMENT, "redirect_uris": redirects });
        rig.authority.metadata_document(DOCUMENT, document);
        drop(logged_in(&rig).await);
        // A renewal is by the same client, also after a restart.
        rig.authority.expire_all();
        let rig = rig.restarted();
        let mut client = rig.client(Era::Legacy).await;
        assert_eq!(text(&called(&mut client, "s__who").await), "ana");
        assert_eq!(rig.authority.refreshes(), 1);
        let registered = rig.authority.count(Endpoint::Register);
        assert_eq!(registered, usize::from(!read));
        let asked = rig.authority.requests_to(Endpoint::Token);
        assert_eq!(asked.len(), 2);
        for asked in asked {
            assert_eq!(asked.form.get("client_id") == Some(DOCUMENT), read);
        }
        rig.assert_clean();
    }
}

#[tokio::test]
async fn a_provider_that_takes_no_resource_is_told_none_where_that_is_configured() {
    let behaviour = Behaviour {
        resource: ResourceRule::Refused,
        ..Behaviour::default()
    };
    let more = "auth: { oauth: { open_browser: false, resource: omit } }";
    let rig = Rig::start(behaviour, Protection::default(), more).await;
    drop(logged_in(&rig).await);
    rig.authority.expire_all();
    let rig = rig.restarted();
    let mut client = rig.client(Era::Legacy).await;
    assert_eq!(text(&called(&mut client, "s__who").await), "ana");
    assert_eq!(rig.authority.refreshes(), 1);
    rig.assert_clean();
}

#[tokio::test]
async fn a_client_that_a_person_registered_goes_before_a_document() {
    const DOCUMENT: &str = "https://me.example/client.json";
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let behaviour = Behaviour {
        metadata_documents: true,
        ..Behaviour::default()
    };
    let more = format!(
        "auth: {{ oauth: {{ open_browser: false, client_id: mine, client_metadata_url: \"{DOCUMENT}\", callback_port: {port} }} }}"
    );
    let rig = Rig::start(behaviour, Protection::default(), &more).await;
    let redirect = format!("http://127.0.0.1:{port}/callback");
    let document = json!({ "client_id": DOCUMENT, "redirect_uris": [redirect] });
    rig.authority.metadata_document(DOCUMENT, document);
    rig.authority.preregister("mine", Proof::None, &[&redirect]);
    drop(logged_in(&rig).await);
    rig.authority.expire_all();
    let rig = rig.restarted();
    let mut client = rig.client(Era::Legacy).await;
    assert_eq!(text(&called(&mut client, "s__who").await), "ana");
    assert_eq!(rig.authority.refreshes(), 1);
    assert_eq!(rig.authority.count(Endpoint::Register), 0);
    let asked = rig.authority.requests_to(Endpoint::Authorize);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].query.get("client_id"), Some("mine"));
    let asked = rig.authority.requests_to(Endpoint::Token);
    assert_eq!(asked.len(), 2);
    for asked in asked {
        assert_eq!(asked.form.get("client_id"), Some("mine"));
    }
    rig.assert_clean();
}
