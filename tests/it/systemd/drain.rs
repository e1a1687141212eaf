//! A call that is in flight when the service is restarted ends with its answer.

use super::{enabled, main_process, status};
use crate::support::{Process, until};

/// A local server whose one call waits for a file, and that does not end for a signal.
const SLOW: &str = r#"
import json, os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
home = os.environ["HOME"]
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    method = asked["method"]
    if method == "initialize":
        result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "slow", "version": "1"}}
    elif method == "tools/list":
        result = {"tools": [{"name": "wait", "inputSchema": {"type": "object"}}]}
    elif method == "tools/call":
        open(home + "/begun", "w").write(str(os.getpid()))
        while not os.path.exists(home + "/go"):
            time.sleep(0.02)
        result = {"content": [{"type": "text", "text": "it was worth waiting"}]}
    else:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32601, "message": "no"}}), flush=True)
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"slow__wait","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"curl","version":"1"}}}}"#;

#[test]
fn a_call_in_flight_ends_with_its_answer_and_its_server_after_it() {
    let name = "a_call_in_flight_ends_with_its_answer_and_its_server_after_it";
    let config = "servers:\n  slow: { command: [python3, /home/tester/slow.py] }\n";
    let Some(machine) = enabled(name, config) else {
        return;
    };
    machine.write("~/slow.py", SLOW);
    let mut call = machine.command(&[
        "curl",
        "-q",
        "-sS",
        "-d",
        CALL,
        "-H",
        "content-type: application/json",
        "-H",
        "accept: application/json, text/event-stream",
        "-H",
        "mcp-protocol-version: 2026-07-28",
        "-H",
        "mcp-method: tools/call",
        "-H",
        "mcp-name: slow__wait",
        "http://127.0.0.1:7332/mcp",
    ]);
    let call = Process::start("curl", &mut call);
    let begun = machine.seen("~/begun");
    let server = || std::fs::read_to_string(&begun).unwrap_or_default();
    until("the call", || !server().is_empty());
    let process = main_process(&machine);
    machine.systemctl(&["restart", "--no-block", "janus.service"]);
    status(&machine, "the end", |line| {
        line == "stopping: calls in flight may finish"
    });
    assert_eq!(main_process(&machine), process);
    machine.write("~/go", "");
    let answer = call.finish();
    assert!(
        answer.stdout.contains("it was worth waiting"),
        "{answer:?}\n{}",
        machine.journal()
    );
    until("the next one", || {
        let now = main_process(&machine);
        now != process && machine.property("janus.service", "ActiveState") == "active"
    });
    assert!(
        !machine
            .root(&["test", "-e", &format!("/proc/{}", server())])
            .status
            .success()
    );
    assert_eq!(machine.property("janus.service", "NRestarts"), "0");
    assert_eq!(machine.property("janus.service", "Result"), "success");
}
