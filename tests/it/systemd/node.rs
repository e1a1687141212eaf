//! A local server that compiles at run time, under everything that the unit restricts.

use std::path::Path;

use serde_json::json;

use super::{call, enabled, main_process};
use crate::support::Tools;

/// Machine code is made of a loop that runs often and of a WebAssembly module; links are asked for by netlink.
const SERVER: &str = r#"
import os from "node:os";
import readline from "node:readline";
const add = new WebAssembly.Module(Uint8Array.from(
  "0061736d0100000001070160027f7f017f030201000707010361646400000a09010700200020016a0b".match(/../g), (byte) => parseInt(byte, 16)));
function work() {
  const sum = new WebAssembly.Instance(add).exports.add;
  let all = 0;
  for (let at = 0; at < 3_000_000; at++) all = sum(all, at % 7) | 0;
  return `${all} on ${Object.keys(os.networkInterfaces()).length >= 0}`;
}
const answers = {
  initialize: () => ({ protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo: { name: "node", version: "1" } }),
  "tools/list": () => ({ tools: [{ name: "work", inputSchema: { type: "object" } }] }),
  "tools/call": () => ({ content: [{ type: "text", text: work() }] }),
};
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { id, method } = JSON.parse(line);
  if (id === undefined) continue;
  const result = answers[method]?.();
  const outcome = result ? { result } : { error: { code: -32601, message: "no" } };
  console.log(JSON.stringify({ jsonrpc: "2.0", id, ...outcome }));
}
"#;

#[test]
fn a_server_in_node_works_under_the_unit_as_it_is_shipped() {
    let name = "a_server_in_node_works_under_the_unit_as_it_is_shipped";
    let Some(tools) = Tools::npm(name) else {
        return;
    };
    let config =
        "servers:\n  js: { command: [/usr/lib/node-of-the-test, /home/tester/server.mjs] }\n";
    let Some(machine) = enabled(name, config) else {
        return;
    };
    let [node, _] = tools.package("");
    machine.put(Path::new(&node), "/usr/lib/node-of-the-test");
    machine.write("~/server.mjs", SERVER);
    assert_eq!(call(&machine, "js__work", &json!({})), "8999994 on true");
    // It is a child of the service, and has what the service has.
    let words = ["pgrep", "-P", &main_process(&machine), "-f", "server.mjs"];
    let child = machine.done(&words);
    let status = machine.done(&["cat", &format!("/proc/{}/status", child.trim())]);
    for restricted in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(restricted), "{status}");
    }
}
