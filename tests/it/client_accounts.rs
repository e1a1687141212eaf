//! Clients that people use, with several accounts behind one endpoint: sessions that switch, and stateless calls that
//! name their account, each at servers of both eras.

use serde_json::{Value, json};

use crate::support::{Home, Janus, Process, Tools, WhoServer};

const ACCOUNTS: [&str; 3] = ["ana", "bob", "cem"];

/// A server of each era with three accounts, and Janus in front.
async fn world() -> (Janus, [WhoServer; 2]) {
    let servers = [
        WhoServer::start("old", false, &ACCOUNTS).await,
        WhoServer::start("new", true, &ACCOUNTS).await,
    ];
    let entry = |name: &str, server: &WhoServer| {
        let accounts: Vec<String> = ACCOUNTS
            .iter()
            .map(|account| format!("{account}: {{ headers: {{ Authorization: \"Bearer cred-{name}-{account}\" }} }}"))
            .collect();
        format!(
            "{name}: {{ url: \"{}\", accounts: {{ {} }} }}",
            server.url(),
            accounts.join(", ")
        )
    };
    let text = format!(
        "{}\n{}",
        entry("old", &servers[0]),
        entry("new", &servers[1])
    );
    (Janus::start_in(Home::new(&text), |_| {}), servers)
}

/// Runs a script with its plan, beside the servers of this test's own runtime, and gives its report.
async fn run(tools: &Tools, script: &str, janus: &Janus, server: &str) -> Value {
    let accounts = ACCOUNTS.map(|account| format!("{server}/{account}"));
    let plan =
        json!({"url": janus.url("/mcp"), "tool": format!("{server}__who"), "accounts": accounts});
    let mut command = tools.script(script);
    command.arg(plan.to_string());
    let ended = tokio::task::spawn_blocking(move || Process::run("client", &mut command));
    let ended = ended.await.unwrap();
    serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|error| panic!("{script}: {error}: {}\n{}", ended.stdout, ended.stderr))
}

#[tokio::test]
async fn typescript_sessions_switch_each_for_itself() {
    let Some(tools) = Tools::all("client_accounts") else {
        return;
    };
    let (janus, servers) = world().await;
    for (server, who) in ["old", "new"].into_iter().zip(&servers) {
        let report = run(&tools, "clients/typescript_accounts.mjs", &janus, server).await;
        let named = |account: &str| format!("{server}/{account}");
        assert_eq!(report["unchosen"], json!([true, true, true]), "{report}");
        let switched = ACCOUNTS.map(|account| json!({ server: account }));
        assert_eq!(report["switched"], json!(switched), "{report}");
        let chosen: Vec<String> = ACCOUNTS
            .iter()
            .flat_map(|account| vec![named(account); 3])
            .collect();
        assert_eq!(report["chosen"], json!(chosen), "{report}");
        assert_eq!(report["named"], named("cem"), "{report}");
        assert_eq!(report["identity"], "cem", "{report}");
        assert_eq!(report["after"], named("ana"), "{report}");
        assert_eq!(report["same"], true, "a switch changes no list: {report}");
        assert_eq!(who.violations(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn stateless_python_calls_name_their_account() {
    let Some(tools) = Tools::all("client_accounts") else {
        return;
    };
    let (janus, servers) = world().await;
    for (server, who) in ["old", "new"].into_iter().zip(&servers) {
        let report = run(&tools, "clients/mcp_accounts.py", &janus, server).await;
        assert_eq!(report["revision"], "2026-07-28", "{report}");
        assert_eq!(report["unchosen"], true, "{report}");
        let chosen: Vec<String> = ACCOUNTS
            .iter()
            .cycle()
            .take(9)
            .map(|account| format!("{server}/{account}"))
            .collect();
        assert_eq!(report["chosen"], json!(chosen), "{report}");
        let identities: Vec<&str> = ACCOUNTS.iter().cycle().take(9).copied().collect();
        assert_eq!(report["identities"], json!(identities), "{report}");
        assert_eq!(
            report["switched"]["pass"],
            json!({"janus_account": "ana"}),
            "{report}"
        );
        assert_eq!(report["after"], true, "nothing is remembered: {report}");
        assert_eq!(report["passed"], format!("{server}/ana"), "{report}");
        assert_eq!(report["same"], true, "{report}");
        assert_eq!(who.violations(), Vec::<String>::new());
    }
}
