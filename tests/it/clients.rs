//! Clients that people use, as scripts: first at the servers alone, so that a script which is wrong shows itself, then at
//! Janus.

use serde_json::{Value, json};

use crate::support::{Era, Fixture, Janus, Process, Tools};

/// A script below `tests/clients`, and the revision it speaks where it may choose.
struct Client {
    script: &'static str,
    revision: &'static str,
}

const PYTHON: Client = Client {
    script: "clients/mcp_client.py",
    revision: "2026-07-28",
};
const FASTMCP: Client = Client {
    script: "clients/fastmcp_client.py",
    revision: "2026-07-28",
};
const TYPESCRIPT: Client = Client {
    script: "clients/typescript_client.mjs",
    revision: "2025-11-25",
};

#[test]
fn the_clients_agree_about_the_server_alone() {
    let Some(tools) = Tools::all("clients") else {
        return;
    };
    let server = fastmcp(&tools);
    for client in [PYTHON, FASTMCP, TYPESCRIPT] {
        let report = client.run(&tools, server.url(), &Names::of_fastmcp(""));
        client.assert_worked_with_fastmcp(&report);
        // FastMCP answers a call of no tool with a result that says so.
        assert_eq!(report["error"], Value::Null, "{report}");
    }
}

#[test]
fn the_python_client_works_through_janus() {
    works_through_janus(&PYTHON);
}

#[test]
fn the_fastmcp_client_works_through_janus() {
    works_through_janus(&FASTMCP);
}

#[test]
fn the_typescript_client_works_through_janus() {
    works_through_janus(&TYPESCRIPT);
}

fn works_through_janus(client: &Client) {
    let Some(tools) = Tools::all("clients") else {
        return;
    };
    let (fast, conf) = (fastmcp(&tools), Fixture::start(Era::Legacy));
    let janus = Janus::start(&format!(
        "fast: {{ url: \"{}\" }}\nconf: {{ url: \"{}\" }}",
        fast.url(),
        conf.url()
    ));

    let merged = client.run(&tools, &janus.url("/mcp"), &Names::of_fastmcp("fast__"));
    client.assert_worked_with_fastmcp(&merged);
    assert_eq!(merged["error"], -32602, "{merged}");
    let tools_of = |report: &Value| report["tools"].as_array().unwrap().clone();
    for name in ["fast__echo", "conf__test_simple_text"] {
        assert!(tools_of(&merged).contains(&json!(name)), "{merged}");
    }

    let own = client.run(&tools, &janus.url("/mcp/@conf"), &Names::of_conf());
    assert_eq!(own["revision"], client.revision, "{own}");
    assert_eq!(own["result"], "This is a simple text response for testing.");
    assert_eq!(own["notified"], "Progress test completed");
    let steps = [0.0, 50.0, 100.0].map(|step| (step, 100.0));
    assert_eq!(pairs(&own["progress"]), steps, "{own}");
    assert_eq!(own["error"], -32602, "{own}");
    assert_eq!(tools_of(&own)[0], "test_simple_text");
}

fn fastmcp(tools: &Tools) -> Fixture {
    Fixture::run("fastmcp", &mut tools.script("servers/fastmcp_server.py"))
}

/// What a client is to call: the `call`, `notifying` and `unknown` of its plan.
struct Names {
    call: Value,
    notifying: Value,
    unknown: String,
}

impl Names {
    fn of_fastmcp(prefix: &str) -> Self {
        Self {
            call: json!({ "name": format!("{prefix}echo"), "arguments": { "message": "grüße" } }),
            notifying: json!({ "name": format!("{prefix}progress"), "arguments": { "steps": 3 } }),
            unknown: format!("{prefix}nope"),
        }
    }

    fn of_conf() -> Self {
        Self {
            call: json!({ "name": "test_simple_text", "arguments": {} }),
            notifying: json!({ "name": "test_tool_with_progress", "arguments": {} }),
            unknown: "nope".to_owned(),
        }
    }
}

impl Client {
    /// Runs it and gives its report.
    fn run(&self, tools: &Tools, url: &str, names: &Names) -> Value {
        let plan = json!({
            "url": url,
            "call": names.call,
            "notifying": names.notifying,
            "unknown": names.unknown,
        });
        let mut command = tools.script(self.script);
        let ended = Process::run(self.script, command.arg(plan.to_string()));
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| {
            let script = self.script;
            panic!("{script}: {error}: {}\n{}", ended.stdout, ended.stderr)
        })
    }

    /// All but the answer to the unknown tool, which is the server's own or Janus's.
    fn assert_worked_with_fastmcp(&self, report: &Value) {
        assert_eq!(report["revision"], self.revision, "{report}");
        assert_eq!(report["result"], "grüße", "{report}");
        assert_eq!(report["notified"], "3 steps", "{report}");
        let steps = [1.0, 2.0, 3.0].map(|step| (step, 3.0));
        assert_eq!(pairs(&report["progress"]), steps, "{report}");
        let logs = report["logs"].as_array().unwrap();
        let logs: Vec<_> = logs.iter().map(|log| log["msg"].clone()).collect();
        assert_eq!(logs, ["did 1", "did 2", "did 3"], "{report}");
    }
}

fn pairs(list: &Value) -> Vec<(f64, f64)> {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let list = list.as_array().unwrap();
    list.iter()
        .map(|pair| (number(&pair[0]), number(&pair[1])))
        .collect()
}
