//! The service under a real systemd, as an ordinary user: what the units promise.

mod browser;
mod drain;
mod install;
mod journal;
mod life;
mod load;
mod node;
mod package;
mod promises;
mod reload;
mod start;
mod starts;
mod units;
mod upgrade;

use serde_json::{Value, json};

use crate::support::{Ended, Machine, until};

/// What a client of the modern era sends.
const LIST: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"curl","version":"1"}}}}"#;
const CONFIG: &str = "~/.config/janus/config.yaml";

/// One server that is built in, under this name.
fn notes(name: &str) -> String {
    format!("servers:\n  {name}: {{ command: [/usr/bin/janus, demo-server, ana] }}\n")
}

/// A box with the packaged units, the socket enabled and this configuration.
fn enabled(test: &str, config: &str) -> Option<Machine> {
    let machine = Machine::with_janus(test)?;
    machine.write(CONFIG, config);
    machine.systemctl(&["enable", "--now", "janus.socket"]);
    Some(machine)
}

/// What a test adds to the service's unit.
const DROP_IN: &str = "~/.config/systemd/user/janus.service.d/test.conf";

/// Adds to the service's unit.
fn drop_in(machine: &Machine, text: &str) {
    machine.write(DROP_IN, text);
    machine.systemctl(&["daemon-reload"]);
}

/// A request of an ordinary client in the box: the status and the body. Zero: there was no answer.
fn ask(machine: &Machine) -> (u16, Value) {
    post(machine, LIST, &["mcp-method: tools/list"])
}

/// The text that a tool answers.
fn call(machine: &Machine, tool: &str, arguments: &Value) -> String {
    let result = result(machine, tool, arguments);
    let text = result["content"][0]["text"].as_str();
    let text = text.filter(|_| result["isError"] != true);
    text.unwrap_or_else(|| panic!("{result}\n{}", machine.journal()))
        .to_owned()
}

/// What a call of a tool gives, error or not.
fn result(machine: &Machine, tool: &str, arguments: &Value) -> Value {
    let mut message: Value = serde_json::from_str(LIST).unwrap();
    message["method"] = json!("tools/call");
    message["params"]["name"] = json!(tool);
    message["params"]["arguments"] = arguments.clone();
    let name = format!("mcp-name: {tool}");
    let headers = ["mcp-method: tools/call", &name];
    let (status, mut body) = post(machine, &message.to_string(), &headers);
    assert_eq!(status, 200, "{body}\n{}", machine.journal());
    body["result"].take()
}

fn post(machine: &Machine, message: &str, headers: &[&str]) -> (u16, Value) {
    let mut words = vec!["curl", "-q", "-sS", "-w", "\n%{http_code}", "-d", message];
    let common = [
        "content-type: application/json",
        "accept: application/json, text/event-stream",
        "mcp-protocol-version: 2026-07-28",
    ];
    for header in common.iter().chain(headers) {
        words.extend(["-H", header]);
    }
    words.push("http://127.0.0.1:7332/mcp");
    let ended = machine.run(&words);
    let (body, status) = ended
        .stdout
        .trim_end()
        .rsplit_once('\n')
        .unwrap_or_default();
    let body =
        serde_json::from_str(body).unwrap_or_else(|_| format!("{body}{}", ended.stderr).into());
    (status.parse().unwrap_or_default(), body)
}

/// A request that is answered.
fn answered(machine: &Machine) {
    let (status, body) = ask(machine);
    assert_eq!(status, 200, "{body}\n{}", machine.journal());
    assert!(body["result"]["tools"].is_array(), "{body}");
}

fn janus(machine: &Machine, words: &[&str]) -> Ended {
    machine.run(&[&["janus"], words].concat())
}

/// Waits until the line that `systemctl status` shows is like this.
fn status(machine: &Machine, what: &str, is: impl Fn(&str) -> bool) -> String {
    let text = || machine.property("janus.service", "StatusText");
    until(what, || is(&text()));
    text()
}

fn main_process(machine: &Machine) -> String {
    machine.property("janus.service", "MainPID")
}
