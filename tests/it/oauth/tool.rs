//! `janus_login`: what a model gets that asks for a login before a call needs it.

use serde_json::{Value, json};

use super::rig::{NO_BROWSER, Rig, call, called, home, link, text};
use crate::support::authorization::{
    AuthorizationServer, Behaviour, Endpoint, ProtectedServer, Protection, Registering,
};
use crate::support::{Client, Era, Janus};

async fn tool(client: &mut Client) -> Value {
    let list = client.result("tools/list", json!({})).await;
    let tools = list["tools"].as_array().unwrap().clone();
    let mut found = tools
        .into_iter()
        .filter(|tool| tool["name"] == "janus_login");
    found.next().unwrap_or(Value::Null)
}

async fn ask(client: &mut Client, account: &str) -> Value {
    let params = json!({ "name": "janus_login", "arguments": { "account": account } });
    let mut result = client.result("tools/call", params).await;
    let repeated: Value = serde_json::from_str(text(&result)).unwrap_or_default();
    let said = result["structuredContent"].take();
    if result["isError"] != true {
        assert_eq!(repeated, said);
    }
    said
}

#[tokio::test]
async fn the_tool_gives_the_link_at_once_and_says_when_none_is_needed() {
    let rig = Rig::start(
        Behaviour {
            openid: true,
            scopes: Some(vec!["openid"]),
            ..Behaviour::default()
        },
        Protection::default(),
        NO_BROWSER,
    )
    .await;
    let mut client = rig.client(Era::Modern).await;
    let listed = tool(&mut client).await;
    assert_eq!(
        listed["inputSchema"],
        json!({ "type": "object", "properties": { "account": { "type": "string", "enum": ["s/default"] } },
            "required": ["account"], "additionalProperties": false })
    );
    assert_eq!(listed["_meta"]["anthropic/alwaysLoad"], true);
    assert_eq!(
        listed["annotations"],
        json!({ "readOnlyHint": false, "destructiveHint": false, "openWorldHint": true })
    );
    assert!(listed["description"].as_str().unwrap().len() < 200);
    let said = ask(&mut client, "s/default").await;
    assert_eq!(
        (&said["state"], &said["account"], &said["reason"]),
        (&json!("waiting"), &json!("s/default"), &json!("never")),
        "{said}"
    );
    let url = said["url"].as_str().unwrap().to_owned();
    let told = said["instructions"].as_str().unwrap();
    assert!(
        told.contains(&url) && told.contains("janus login s/default"),
        "{told}"
    );
    assert!(said["expires_in"].as_u64().unwrap() > 500);
    // A call, and whoever asks for less of a name, gets the same one.
    assert_eq!(ask(&mut client, "s").await["url"], url.as_str());
    assert_eq!(link(&call(&mut client, "s__who").await), url);
    let before = tool(&mut client).await;
    rig.log_in(&url).await;
    called(&mut client, "s__who").await;
    let said = ask(&mut client, "default").await;
    assert_eq!(
        (&said["state"], &said["url"], &said["verified_as"]),
        (&json!("ready"), &Value::Null, &json!("ana@example.org")),
        "{said}"
    );
    // Who is logged in changes no list.
    assert_eq!(tool(&mut client).await, before);
}

#[tokio::test]
async fn the_tool_offers_the_accounts_in_scope_that_people_log_in_to() {
    let authority = AuthorizationServer::start(Behaviour::default()).await;
    let server = ProtectedServer::start(&authority, Protection::default()).await;
    let url = server.url();
    let servers = format!(
        concat!(
            "  plain: {{ command: [\"cat\"] }}\n",
            "  fixed: {{ url: \"{0}\", headers: {{ Authorization: env:NOTHING }} }}\n",
            "  none: {{ url: \"{0}\", auth: none }}\n",
            "  left: {{ url: \"{0}\" }}\n",
            "  machine: {{ url: \"{0}\", auth: {{ oauth: {{ grant: client_credentials, client_id: c, client_secret: vault:c }} }} }}\n",
            "  s: {{ url: \"{0}\", auth: oauth, accounts: {{ a: {{}}, b: {{}}, c: {{ auth: {{ bearer: vault:c }} }} }} }}\n",
        ),
        url
    );
    let sections = concat!(
        "default_profile: everything\nprofiles:\n",
        "  everything: { accounts: { plain: \"*\", fixed: \"*\", none: \"*\", left: \"*\", machine: \"*\", s: \"*\" } }\n",
        "  one: { accounts: { s: [b], plain: \"*\" } }\n",
        "  locked: { accounts: { s: [b, a] }, switching: off }\n",
        "  without: { accounts: { plain: \"*\", none: \"*\", fixed: \"*\", machine: \"*\" } }\n",
    );
    let janus = Janus::start_in(home(&servers, sections), |_| {});
    for (profile, expected) in [
        ("everything", json!(["left/default", "s/a", "s/b"])),
        ("one", json!(["s/b"])),
        ("locked", json!(["s/b"])),
        ("without", Value::Null),
    ] {
        let path = format!("/mcp/{profile}");
        let mut client = Client::open(janus.http(), &path, Era::Legacy).await;
        let listed = tool(&mut client).await;
        let offered = &listed["inputSchema"]["properties"]["account"]["enum"];
        assert_eq!(*offered, expected, "{profile}");
        // What is not listed cannot be called, and what is out of scope is not to be had.
        let params = json!({ "name": "janus_login", "arguments": { "account": "s/c" } });
        let response = client.request("tools/call", params).await.response;
        if expected.is_null() {
            assert_eq!(response["error"]["code"], -32602, "{profile}: {response}");
        } else {
            let result = &response["result"];
            assert_eq!(
                result["structuredContent"]["error"]["code"], "unknown_account",
                "{profile}: {response}"
            );
        }
    }
}

#[tokio::test]
async fn a_transparent_view_has_no_tool_of_janus() {
    let protection = Protection {
        open: true,
        ..Protection::default()
    };
    let rig = Rig::start(Behaviour::default(), protection, "").await;
    let mut merged = rig.client(Era::Legacy).await;
    assert!(!tool(&mut merged).await.is_null());
    let mut client = Client::open(rig.janus.http(), "/mcp/@s", Era::Legacy).await;
    let names = client.names("tools/list", "name").await;
    assert_eq!(names, ["who", "whoami", "write"]);
}

#[tokio::test]
async fn a_server_without_an_authorization_server_says_what_to_do_instead() {
    let protection = Protection {
        names_metadata: false,
        metadata_at: Vec::new(),
        ..Protection::default()
    };
    let rig = Rig::start(Behaviour::default(), protection, "").await;
    let mut client = rig.client(Era::Legacy).await;
    let said = ask(&mut client, "s").await;
    assert_eq!(
        (&said["state"], &said["url"]),
        (&json!("failed"), &Value::Null),
        "{said}"
    );
    let result = call(&mut client, "s__who").await;
    assert_eq!(
        result["_meta"]["dev.janus/login"]["state"], "failed",
        "{result}"
    );
    assert!(text(&result).contains("None is under way: "), "{result}");
}

#[tokio::test]
async fn a_client_is_told_of_a_failure_for_a_while_and_a_person_is_not_held() {
    let behaviour = Behaviour {
        registration: Registering::Absent,
        ..Behaviour::default()
    };
    let rig = Rig::start(behaviour, Protection::default(), "").await;
    let mut client = rig.client(Era::Modern).await;
    let said = ask(&mut client, "s").await;
    assert_eq!(said["state"], "failed", "{said}");
    let asked = rig.authority.count(Endpoint::Metadata);
    let seen = rig.seen();
    assert_eq!(ask(&mut client, "s").await, said);
    assert_eq!(rig.authority.count(Endpoint::Metadata), asked);
    assert_eq!(rig.seen(), seen);
    rig.janus.home().run(&["login", "s"]);
    assert!(rig.authority.count(Endpoint::Metadata) > asked);
}

#[tokio::test]
async fn a_client_that_begins_everything_does_not_lock_a_person_out() {
    let authority = AuthorizationServer::start(Behaviour::default()).await;
    let server = ProtectedServer::start(&authority, Protection::default()).await;
    let accounts: Vec<String> = (0..22).map(|number| format!("a{number}: {{}}")).collect();
    let servers = format!(
        "  s:\n    url: \"{}\"\n    auth: oauth\n    accounts: {{ {} }}\n",
        server.url(),
        accounts.join(", ")
    );
    let janus = Janus::start_in(home(&servers, ""), |_| {});
    let mut client = Client::open(janus.http(), "/mcp", Era::Modern).await;
    for number in 0..20 {
        let said = ask(&mut client, &format!("s/a{number}")).await;
        assert_eq!(said["state"], "waiting", "{said}");
    }
    let said = ask(&mut client, "s/a20").await;
    assert_eq!(said["state"], "failed", "{said}");
    let wanted = json!({"account": "s/a21"});
    let begun = janus.control().post("/login", &[], &wanted).await;
    assert_eq!(begun.status, 200);
    drop(janus);
    drop((server, authority));
}
