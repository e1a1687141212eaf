//! Lists and calls agree, and no call changes a list.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::actor::{Door, Way};
use super::model::{ACCOUNTS, Expected, SERVERS, full};
use super::ways::{TOOLS, WITH_KEYS, WITHOUT_KEYS};
use super::world::{Keys, World};
use crate::support::{Era, Home, Janus};

const CONTROL: [&str; 4] = [
    "janus_whoami",
    "janus_list_accounts",
    "janus_use_account",
    "janus_with_account",
];

/// The lists that could be changed.
const LISTS: [&str; 4] = [
    "tools/list",
    "resources/list",
    "resources/templates/list",
    "prompts/list",
];

#[tokio::test]
async fn a_tool_is_listed_exactly_if_it_can_be_called_and_no_call_changes_a_list() {
    for (keys, ways) in [
        (Keys::Required, &WITH_KEYS[..]),
        (Keys::None, &WITHOUT_KEYS[..]),
    ] {
        let world = World::start(5).await;
        let home = Home::with(&world.config(keys, &[]).to_string());
        let door = Door::open(Janus::start_in(home, |_| {}), keys).await;
        door.settle(&ways[0], TOOLS).await;
        let mut sessions = Vec::new();
        let mut before = Vec::new();
        for way in ways {
            let session = match way.era {
                Era::Legacy => Some(door.initialize(way).await),
                Era::Modern => None,
            };
            before.push(lists(&door, way, session.as_deref()).await);
            sessions.push(session);
        }
        for (way, session) in ways.iter().zip(&sessions) {
            agree(&door, way, session.as_deref()).await;
            choose(&door, way, session.as_deref()).await;
        }
        for ((way, session), before) in ways.iter().zip(&sessions).zip(&before) {
            let after = lists(&door, way, session.as_deref()).await;
            assert_eq!(after, *before, "{way:?}");
            // Nor does it matter which session asks.
            if way.era == Era::Legacy {
                let another = door.initialize(way).await;
                assert_eq!(lists(&door, way, Some(&another)).await, *before, "{way:?}");
            }
        }
        door.end().await;
        world.assert_no_crossing();
    }
}

/// All lists, byte for byte.
async fn lists(door: &Door, way: &Way, session: Option<&str>) -> Vec<String> {
    let mut lists = Vec::new();
    for method in LISTS {
        let heard = door.ask(way, session, method, json!({})).await;
        lists.push(heard.expect("an answer").text);
    }
    lists
}

/// Calls every tool that anybody could see here, and holds it against the list.
async fn agree(door: &Door, way: &Way, session: Option<&str>) {
    let heard = door
        .ask(way, session, "tools/list", json!({}))
        .await
        .expect("an answer");
    let tools = heard.message["result"]["tools"].as_array().cloned();
    let tools = tools.unwrap_or_else(|| panic!("{way:?}: {}", heard.message));
    let name = |tool: &Value| tool["name"].as_str().unwrap().to_owned();
    let listed: BTreeSet<String> = tools.iter().map(name).collect();
    assert_eq!(listed.len(), tools.len(), "{way:?}: a name is listed twice");
    let union = union(way);
    let strange: Vec<&String> = listed
        .difference(&union)
        .filter(|name| !name.ends_with("die"))
        .collect();
    assert!(strange.is_empty(), "{way:?}: {strange:?}");
    for name in union {
        let response = door.call(way, session, &name, json!({})).await;
        let is_callable = !(unknown(way, &response) || is_denied(&response));
        assert_eq!(
            listed.contains(&name),
            is_callable,
            "{way:?} {name}: {response}"
        );
        if name.ends_with("__who") && is_callable {
            // Answered, or refused for lack of a choice alone.
            let code = &response["result"]["_meta"]["dev.janus/error"]["code"];
            assert!(
                code.is_null() || code == "ambiguous_account",
                "{way:?} {name}: {response}"
            );
        }
    }
}

/// Every name that could be a tool; what would end a process is not called.
fn union(way: &Way) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = CONTROL.iter().map(|&name| name.to_owned()).collect();
    let own = |account: &&str| format!("of_{account}");
    let tools: Vec<String> = ["who", "hidden", "none"]
        .map(str::to_owned)
        .into_iter()
        .chain(ACCOUNTS.iter().map(own))
        .collect();
    for server in 0..SERVERS {
        names.extend(tools.iter().map(|tool| format!("s{server}__{tool}")));
    }
    if way.shown.is_some() {
        names.extend(tools);
    }
    names
}

/// Whether a name is refused as unknown: by Janus, or in a transparent view by the server itself.
fn unknown(way: &Way, response: &Value) -> bool {
    let message = response["error"]["message"].as_str().unwrap_or_default();
    message.starts_with("there is no tool")
        || way.shown.is_some() && message == "there is no such tool at this account"
}

fn is_denied(response: &Value) -> bool {
    response["result"]["_meta"]["dev.janus/error"]["code"] == "denied"
}

/// Makes every choice there is to make.
async fn choose(door: &Door, way: &Way, session: Option<&str>) {
    if way.shown.is_some() {
        return;
    }
    for server in 0..SERVERS {
        for scope in ["session", "client", "global"] {
            for account in ACCOUNTS {
                let arguments = json!({"account": full(server, account), "scope": scope});
                door.call(way, session, "janus_use_account", arguments)
                    .await;
            }
        }
        let arguments = json!({"expect": full(server, "bob"), "janus_account": "bob"});
        let name = format!("s{server}__who");
        let response = door.call(way, session, &name, arguments).await;
        let profile = super::model::PROFILES[way.profile];
        let expected = profile.expected(server, Some("bob"), super::model::Before::default());
        if matches!(expected, Expected::By(_)) {
            expected.judge(&response).unwrap();
        }
    }
}
