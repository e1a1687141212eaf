//! Nothing of our own but Janus: a real authorization server whose tokens live ten seconds, a real browser, a real MCP
//! server that checks the tokens itself.

use std::process::Command;

use serde_json::Value;

use crate::secrets::home;
use crate::support::{Client, Ended, Era, Fixture, Home, Janus, Output, Process, Tools};

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
        let (tools, _) = Tools::browser(test, "nobody")?;
        let mut script = tools.script("servers/authorization_server.mjs");
        let authority = Fixture::run("authorization server", &mut script);
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
