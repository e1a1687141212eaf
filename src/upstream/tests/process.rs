//! Processes: small Python servers, each with one habit, that write down what they were asked.

use tokio::sync::broadcast::Receiver;

use super::*;
use crate::protocol::{Answer, Envelope};

const SERVER: &str = r#"
import json, os, sys
habit, log = sys.argv[1], sys.argv[2]
def send(message):
    sys.stdout.write(json.dumps(dict(jsonrpc="2.0", **message)) + "\n"); sys.stdout.flush()
def read():
    line = sys.stdin.readline()
    if not line: sys.exit(0)
    return json.loads(line)
def answer(request, result): send({"id": request["id"], "result": result})
def wrote(what):
    with open(log, "a") as file: file.write(what + "\n")
def changed(): send({"method": "notifications/tools/list_changed"})
tools = ["one"]
late = None
while True:
    m = read(); method = m.get("method")
    if method in ("server/discover", "initialize"): wrote(method)
    if method == "server/discover":
        if habit == "touchy": sys.exit(3)
        if habit == "modern": answer(m, {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {"listChanged": True}}})
        else: send({"id": m["id"], "error": {"code": -32602, "message": "what?"}})
    elif method == "initialize":
        answer(m, {"protocolVersion": "2025-06-18", "capabilities": {"tools": {"listChanged": True}}, "serverInfo": {"name": "py"}})
    elif method == "subscriptions/listen":
        wrote(method)
        meta = {"io.modelcontextprotocol/subscriptionId": m["id"]}
        send({"method": "notifications/subscriptions/acknowledged", "params": {"_meta": meta}})
    elif method == "tools/list":
        answer(m, {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in tools]})
    elif method == "tools/call":
        name = m["params"]["name"]
        if name == "die": sys.exit(4)
        if name == "grow": tools.append("two"); changed()
        if name == "same": changed()
        if name == "ask":
            send({"id": "q", "method": "elicitation/create", "params": {"message": "?"}})
            while read().get("id") != "q": pass
        answer(m, {"content": [], "pid": os.getpid()})
"#;

struct Process {
    rig: Rig,
    log: tempfile::NamedTempFile,
}

fn process(habit: &str, adapt: impl FnOnce(&mut Server)) -> Process {
    let log = tempfile::NamedTempFile::new().unwrap();
    let path = log.path().to_str().unwrap();
    let args = ["-ISc", SERVER, habit, path].map(str::to_owned).into();
    let mut server = server(Endpoint::Process(Command {
        program: "python3".to_owned(),
        args,
        env: Vec::new(),
    }));
    adapt(&mut server);
    Process {
        rig: Rig::new(server),
        log,
    }
}

impl Process {
    fn asked(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.log.path()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    async fn pid(&self, session: &str) -> u64 {
        pid(self.rig.call(session, "one").await)
    }
}

fn pid(relayed: Result<Relayed, Failure>) -> u64 {
    value(relayed)["result"]["pid"].as_u64().unwrap()
}

#[tokio::test]
async fn callers_who_come_together_share_one_connection() {
    let server = process("plain", |_| {});
    let pids = futures_util::future::join_all(["a", "b", "c", "d"].map(|s| server.pid(s))).await;
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    assert_eq!(server.asked(), ["server/discover", "initialize"]);
    server.rig.end().await;
}

#[tokio::test]
async fn a_process_that_died_comes_back_and_its_era_is_remembered() {
    let server = process("plain", |_| {});
    let first = server.pid("a").await;
    let mut state = server.rig.upstream.state(&server.rig.account);
    state.mark_unchanged();
    let died = server.rig.call("a", "die").await.unwrap_err();
    assert!(matches!(died, Failure::Interrupted { .. }), "{died}");
    state.changed().await.unwrap();
    server
        .rig
        .state(|state| matches!(state, State::Ready { .. }))
        .await;
    assert_ne!(server.pid("a").await, first);
    assert_eq!(
        server.asked(),
        ["server/discover", "initialize", "initialize"]
    );
    server.rig.end().await;
}

#[tokio::test]
async fn a_process_that_ends_at_a_word_it_does_not_know_is_taken_for_legacy() {
    let server = process("touchy", |_| {});
    server.pid("a").await;
    assert_eq!(server.asked(), ["server/discover", "initialize"]);
    server.rig.end().await;
}

#[tokio::test]
async fn a_modern_process_gets_no_initialize() {
    let server = process("modern", |_| {});
    server.rig.start().await;
    assert_eq!(server.rig.tools(), ["one"]);
    server.pid("a").await;
    assert!(!server.asked().contains(&"initialize".to_owned()));
    server.rig.end().await;
}

#[tokio::test]
async fn a_change_is_told_when_the_listing_holds_it() {
    let server = process("plain", |_| {});
    let mut changes = server.rig.upstream.changes();
    server.rig.start().await;
    assert_eq!(server.rig.tools(), ["one"]);
    assert_eq!(listed(&mut changes).await, (ListKind::Tools, false));
    server.rig.call("a", "grow").await.unwrap();
    assert_eq!(listed(&mut changes).await, (ListKind::Tools, false));
    assert_eq!(server.rig.tools(), ["one", "two"]);
    server.rig.call("a", "same").await.unwrap();
    assert_eq!(listed(&mut changes).await, (ListKind::Tools, true));
    server.rig.end().await;
}

async fn listed(changes: &mut Receiver<Change>) -> (ListKind, bool) {
    match changes.recv().await.unwrap() {
        Change::Listed {
            kind, identical, ..
        } => (kind, identical),
        Change::Notification { message, .. } => panic!("{}", message.method()),
    }
}

fn empty_answer() -> Answer {
    let text = r#"{"jsonrpc":"2.0","id":0,"result":{}}"#;
    Answer::Response(Envelope::parse(text.into()).unwrap())
}

#[tokio::test]
async fn sessions_part_at_the_first_question_and_who_was_asked_stays() {
    let server = process("plain", |_| {});
    let shared = server.pid("a").await;
    assert_eq!(server.pid("b").await, shared);
    let (events, queue) = Events::channel();
    let answering = async {
        let Event::Ask(_, answer) = next(&queue).await else {
            panic!("a question comes first");
        };
        answer.answer(empty_answer());
    };
    let (asked, ()) = tokio::join!(server.rig.call_with("a", "ask", &events), answering);
    assert_eq!(pid(asked), shared);
    assert_eq!(server.pid("a").await, shared);
    let own = server.pid("b").await;
    assert_ne!(own, shared);
    assert_eq!(server.pid("b").await, own);
    server.rig.upstream.release(&Arc::from("b"));
    let next = server.pid("b").await;
    assert!(next != own && next != shared);
    server.rig.end().await;
}

#[tokio::test]
async fn a_process_nobody_uses_is_stopped_and_started_again_on_need() {
    let server = process("plain", |server| {
        server.idle = Some(Duration::from_millis(50));
    });
    server.rig.start().await;
    let first = server.pid("a").await;
    server.rig.state(|state| *state == State::Idle).await;
    assert_eq!(server.rig.tools(), ["one"]);
    assert_ne!(server.pid("a").await, first);
    server.rig.end().await;
}

#[tokio::test]
async fn a_stream_of_changes_keeps_no_process_running() {
    let server = process("modern", |server| {
        server.idle = Some(Duration::from_millis(100));
    });
    server.rig.start().await;
    // The pipe is read in order: once this is answered, the stream was asked for.
    server.pid("a").await;
    server.rig.state(|state| *state == State::Idle).await;
    assert!(server.asked().contains(&"subscriptions/listen".to_owned()));
    server.rig.end().await;
}

#[tokio::test]
async fn a_call_in_flight_outlives_the_word_to_stop() {
    let server = process("plain", |_| {});
    server.rig.start().await;
    let (events, queue) = Events::channel();
    let answering = async {
        let Event::Ask(_, answer) = next(&queue).await else {
            panic!("a question comes first");
        };
        server.rig.shutdown.cancel();
        // Whoever would cut the call off has its chance.
        tokio::task::yield_now().await;
        answer.answer(empty_answer());
    };
    let (asked, ()) = tokio::join!(server.rig.call_with("a", "ask", &events), answering);
    assert!(pid(asked) > 0);
    server.rig.end().await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_at_once() {
    let server = process("plain", |server| {
        let Endpoint::Process(command) = &mut server.accounts[0].endpoint else {
            unreachable!()
        };
        "/nowhere/at-all".clone_into(&mut command.program);
    });
    let first = server.rig.call("a", "one").await.unwrap_err();
    assert!(!first.sent());
    let second = server.rig.call("a", "one").await.unwrap_err();
    assert!(
        matches!(
            second,
            Failure::Unreachable {
                retry_in: Some(_),
                ..
            }
        ),
        "{second}"
    );
    server
        .rig
        .state(|state| matches!(state, State::Backoff { .. }))
        .await;
    server.rig.end().await;
}

#[tokio::test]
async fn after_the_shutdown_nothing_is_started() {
    let server = process("plain", |_| {});
    server.pid("a").await;
    server.rig.upstream.shutdown().await;
    let late = server.rig.call("b", "one").await.unwrap_err();
    assert!(matches!(late, Failure::Stopping { .. }), "{late}");
    server.rig.end().await;
}
