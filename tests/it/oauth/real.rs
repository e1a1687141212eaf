//! Nothing of our own but Janus: a real authorization server whose tokens live ten seconds, a real browser, a real MCP
//! server that checks the tokens itself.

use std::process::Command;

use serde_json::Value;

use super::rig::provider_link;
use crate::secrets::home;
use crate::support::{
    Client, Ended, Era, Fixture, Home, Janus, Output, Process, Tools, scale, within,
};

/// All of it.
struct World {
    tools: Tools,
    authority: Fixture,
    _server: Fixture,
    janus: Janus,
}

impl World {
    /// `None` where something is not installed.
    fn start(test: &str, options: &str) -> Option<Self> {
        Self::with_tokens_of(10, test, options)
    }

    /// The same with tokens that live so many seconds.
    fn with_tokens_of(seconds: u64, test: &str, options: &str) -> Option<Self> {
        let (tools, _) = Tools::browser(test, "nobody")?;
        let mut script = tools.script("servers/authorization_server.mjs");
        let script = script.arg(seconds.to_string());
        let authority = Fixture::run("authorization server", script);
        let mut script = tools.script("servers/fastmcp_protected.py");
        let server = Fixture::run("fastmcp", script.arg(authority.url()));
        let home = home(&format!("fast: {{ url: \"{}\"{options} }}", server.url()));
        let janus = Janus::start_in(home, |_| {});
        Some(Self {
            tools,
            authority,
            _server: server,
            janus,
        })
    }

    /// `janus login`, which starts the browser as its argument says.
    fn log_in(&self, test: &str, person: &str, more: &[&str]) -> Ended {
        let (_, words) = Tools::browser(test, person).unwrap();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let browser = shlex(&words);
        let mut command = self.command(&["login", "fast", "--yes", "--browser", &browser]);
        command
            .args(more)
            .env("JANUS_TEST_TOOLS", self.tools.root());
        Process::run("janus login", &mut command)
    }

    /// The same without a browser: the command waits for the address, and this is it.
    fn paste(&self, person: &str) -> (Process, String) {
        let mut login = Process::start(
            "janus login",
            &mut self.command(&["login", "fast", "--yes", "--paste", "--json"]),
        );
        let url = provider_link(&mut login);
        let mut hands = self.tools.script("clients/by_hand.py");
        let ended = Process::run("by hand", hands.args([&url, person]));
        assert!(ended.status.success(), "{}", ended.stderr);
        (login, ended.stdout.trim().to_owned())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let home: &Home = self.janus.home();
        let mut command = home.command(arguments);
        command.arg("--config").arg(home.config());
        command
    }

    /// What `janus status` says of the account.
    fn account(&self) -> Value {
        let ended = Process::run("janus status", &mut self.command(&["status", "--json"]));
        let mut status: Value = serde_json::from_str(&ended.stdout).unwrap();
        status["accounts"][0].take()
    }

    async fn who(&self) -> String {
        let mut client = Client::open(self.janus.http(), "/mcp/@fast", Era::Legacy).await;
        client.text("who", serde_json::json!({})).await
    }

    /// Waits until the authorization server has renewed a token so many times more.
    fn renewed(&mut self, times: usize) {
        for _ in 0..times {
            let said = |line: &str| (line == "refreshed").then_some(());
            self.authority.process.line(Output::Stdout, said);
        }
    }

    /// No refresh token came twice, and nothing else was wrong.
    fn assert_content(&mut self) {
        let said = self.authority.process.said();
        for word in ["refused", "revoked", "broken"] {
            assert!(!said.contains(&format!("{word} ")), "{said}");
            assert!(!said.contains(&format!("\n{word}\n")), "{said}");
        }
    }
}

/// Words as a shell would take them.
fn shlex(words: &[&str]) -> String {
    let quoted = words.iter().map(|word| format!("'{word}'"));
    quoted.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_login_by_a_real_browser_lasts_through_expiries_and_restarts() {
    const TEST: &str = "oauth::real";
    let Some(mut world) = World::start(TEST, "") else {
        return;
    };
    let ended = world.log_in(TEST, "alice", &[]);
    let janus = world.janus.stderr().to_owned();
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(ended.status.success(), "{said}\n{janus}");
    assert_eq!(world.who().await, "alice");
    world.renewed(2);
    assert_eq!(world.who().await, "alice");
    // Ended without a warning, and started again: nobody is asked.
    let home = world.janus.kill();
    world.janus = Janus::start_in(home, |_| {});
    assert_eq!(world.who().await, "alice");
    world.renewed(2);
    assert_eq!(world.who().await, "alice");
    world.assert_content();
    let account = world.account();
    assert_eq!(account["needs_login"], false, "{account}");
    assert!(
        account["grant"]["generation"].as_u64() >= Some(5),
        "{account}"
    );
    // And it ends there too: the grant, and the client that was registered for it.
    let ended = Process::run("janus logout", &mut world.command(&["logout", "fast"]));
    assert!(ended.status.success(), "{}", ended.stderr);
    for word in ["revoked", "unregistered"] {
        let said = |line: &str| (line == word).then_some(());
        world.authority.process.line(Output::Stdout, said);
    }
}

#[tokio::test]
async fn a_real_login_as_somebody_else_is_not_saved_and_names_both() {
    const TEST: &str = "oauth::real";
    // With `openid` the authorization server says who that is.
    let options = ", auth: { oauth: { scopes: [openid, \"mcp:read\"] } }";
    let Some(world) = World::start(TEST, options) else {
        return;
    };
    let ended = world.log_in(TEST, "alice", &[]);
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(world.account()["verified_as"], "alice");
    let ended = world.log_in(TEST, "mallory", &[]);
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!ended.status.success(), "{said}");
    assert!(said.contains("alice") && said.contains("mallory"), "{said}");
    assert_eq!(world.who().await, "alice");
    // Meant, it is another matter.
    let ended = world.log_in(TEST, "mallory", &["--replace"]);
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(world.who().await, "mallory");
    assert_eq!(world.account()["verified_as"], "mallory");
}

/// Ended the moment the provider has answered, which is the worst of all: it forgives nobody who shows a token again.
#[tokio::test]
async fn whoever_is_killed_as_the_provider_answers_keeps_the_login_or_says_that_it_is_lost() {
    let Some(mut world) = World::with_tokens_of(3, "oauth::real", "") else {
        return;
    };
    let mut lost = 0;
    for round in 0..scale(30) {
        if round == 0 || world.account()["needs_login"] == true {
            let (mut login, address) = world.paste("alice");
            login.say(&address);
            let ended = login.finish();
            assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
        }
        assert_eq!(world.who().await, "alice");
        world.renewed(1);
        let home = world.janus.kill();
        world.janus = Janus::start_in(home, |_| {});
        let mut client = Client::open(world.janus.http(), "/mcp/@fast", Era::Legacy).await;
        let call = serde_json::json!({"name": "who", "arguments": {}});
        let mut answer = client.request("tools/call", call.clone()).await.response;
        let account = world.account();
        if account["needs_login"] == true {
            lost += 1;
            // Its last token is used to the end.
            within("the word for it", async {
                while answer["result"]["isError"] != true {
                    assert_eq!(answer["result"]["content"][0]["text"], "alice", "{answer}");
                    answer = client.request("tools/call", call.clone()).await.response;
                }
            })
            .await;
            let said = answer.to_string();
            assert!(said.contains("janus login fast"), "{said}");
        } else {
            let text = &answer["result"]["content"][0]["text"];
            assert_eq!(text, "alice", "{answer}\n{account}");
        }
    }
    let said = world.authority.process.said();
    // A token that came twice ends the grant, so it may come so often only.
    assert!(said.matches("refused ").count() <= lost, "{lost}: {said}");
    assert!(!said.contains("broken "), "{said}");
}

#[tokio::test]
async fn no_code_is_sent_where_a_real_provider_seems_to_be_another_one() {
    let Some(mut world) = World::start("oauth::real", "") else {
        return;
    };
    let other = "http%3A%2F%2F127.0.0.1%3A9";
    let changes: [fn(&str, &str) -> String; 3] = [
        |address, _| {
            let kept = |part: &&str| !part.starts_with("iss=");
            address
                .split('&')
                .filter(kept)
                .collect::<Vec<_>>()
                .join("&")
        },
        |address, other| {
            let changed = |part: &str| match part.strip_prefix("iss=") {
                Some(_) => format!("iss={other}"),
                None => part.to_owned(),
            };
            address
                .split('&')
                .map(changed)
                .collect::<Vec<_>>()
                .join("&")
        },
        |address, other| {
            let (place, query) = address.split_once('?').unwrap();
            let state = query.split('&').find(|part| part.starts_with("state="));
            format!("{place}?error=access_denied&iss={other}&{}", state.unwrap())
        },
    ];
    for change in changes {
        let (mut login, address) = world.paste("alice");
        assert!(
            address.contains("code=") && address.contains("iss="),
            "{address}"
        );
        login.say(&change(&address, other));
        login.close_stdin();
        let ended = login.finish();
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!ended.status.success(), "{said}");
        assert_eq!(world.account()["needs_login"], true, "{said}");
    }
    let said = world.authority.process.said();
    assert!(
        !said.contains("granted") && !said.contains("refused "),
        "{said}"
    );
    let (mut login, address) = world.paste("alice");
    login.say(&address);
    let ended = login.finish();
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(world.who().await, "alice");
}
