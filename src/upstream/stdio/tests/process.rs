//! The process itself: how it starts, what it sees, and how it ends.

use tokio::io::AsyncReadExt as _;
use tokio::net::{UnixListener, UnixStream};

use crate::model::SecretValue;

use super::*;

#[tokio::test]
async fn a_program_that_does_not_exist_is_explained() {
    let command = Command {
        program: "no-such-server".to_owned(),
        args: Vec::new(),
        env: vec![("PATH".to_owned(), SecretValue::literal("/nowhere"))],
    };
    let failure = start(&command, PATIENT).err().unwrap();
    assert_eq!(
        failure.to_string(),
        "s/default cannot be reached: `no-such-server` was not found on PATH (/nowhere); give `command` an absolute path (`command -v no-such-server` in a shell shows it) or extend the PATH of the service"
    );
    let command = Command {
        program: "/".to_owned(),
        args: Vec::new(),
        env: Vec::new(),
    };
    let failure = start(&command, PATIENT).err().unwrap();
    assert!(
        failure
            .to_string()
            .ends_with("`/` is a directory, not a program")
    );
}

#[tokio::test]
async fn a_child_sees_only_what_it_was_given() {
    let mut command = python("answer(read(), dict(os.environ))");
    command.env = vec![
        ("TOKEN".to_owned(), SecretValue::literal("first")),
        ("TOKEN".to_owned(), SecretValue::literal("canary")),
    ];
    let rig = start(&command, PATIENT).unwrap();
    let answer: serde_json::Value = serde_json::from_str(&text(rig.call("x").await)).unwrap();
    let mut seen = answer["result"].clone();
    // Python's own.
    seen.as_object_mut().unwrap().remove("LC_CTYPE");
    assert_eq!(
        seen,
        serde_json::json!({"PATH": "/usr/local/bin:/usr/bin:/bin", "TOKEN": "canary"})
    );
}

#[tokio::test]
async fn a_child_that_dies_ends_its_calls_and_says_why() {
    let mut command = python(
        r#"
a, b = read(), read()
sys.stderr.write("Traceback:\n\x1b[31mno config at canary-token\x1b[0m\n")
answer(a, {})
sys.exit(3)
"#,
    );
    command.env = vec![("TOKEN".to_owned(), SecretValue::literal("canary-token"))];
    let rig = start(&command, PATIENT).unwrap();
    let closed = rig.leg.duplex().closed();
    let (a, b) = tokio::join!(rig.call("a"), rig.call("b"));
    // What it said before its end counts.
    a.unwrap();
    let reason =
        "the process ended (exit status: 3); it last wrote: Traceback: | no config at ****";
    let Err(Failure::Interrupted { reason: said, .. }) = b else {
        panic!("it was sent");
    };
    assert_eq!(said, reason);
    assert_eq!(closed.await, reason);
    let Err(Failure::Unreachable { reason: said, .. }) = rig.call("later").await else {
        panic!("it was not sent");
    };
    assert_eq!(said, reason);
    assert!(rig.leg.duplex().send(json("{}")).await.is_err());
    rig.end().await;
}

#[tokio::test]
async fn a_child_that_ends_at_once_says_why() {
    let rig = start(
        &Command {
            program: "sh".to_owned(),
            args: vec![
                "-c".to_owned(),
                "echo 'usage: me' >&2; kill -9 $$".to_owned(),
            ],
            env: Vec::new(),
        },
        PATIENT,
    )
    .unwrap();
    assert_eq!(
        rig.leg.duplex().closed().await,
        "the process ended (signal: 9 (SIGKILL)); it last wrote: usage: me"
    );
    assert!(!rig.call("x").await.unwrap_err().sent());
}

#[tokio::test]
async fn an_output_that_is_closed_ends_the_process() {
    let rig = serve(
        r"
read()
os.close(1)
signal.pause()
",
    );
    // Nobody waits for the seconds the process is given, and this request has no timeout.
    tokio::time::pause();
    let failure = rig.call("subscriptions/listen").await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Interrupted { reason, .. } if reason == "the process closed its standard output and went on running"),
        "{failure}"
    );
    rig.end().await;
}

#[tokio::test]
async fn a_flood_of_stderr_holds_nothing_up() {
    let rig = serve(
        r#"
m = read()
for n in range(20000):
    sys.stderr.write("x" * 500 + "\n")
sys.stderr.write("y" * 1000000)
answer(m, {})
read()
"#,
    );
    rig.call("x").await.unwrap();
    rig.end().await;
}

/// Answers when its grandchild is up, which holds a socket open for as long as it lives and outlives its parent.
const GRANDCHILD: &str = r#"
held = "import signal,socket,sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); signal.pause()"
while True:
    m = read()
    subprocess.Popen([sys.executable, "-ISc", held, m["params"]["socket"]], stdout=None if m["params"]["share"] else subprocess.DEVNULL)
    answer(m, {})
"#;

async fn with_grandchild(share: bool) -> (Rig, UnixStream, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let rig = serve(GRANDCHILD);
    let arguments = serde_json::json!({"socket": socket, "share": share}).to_string();
    let outgoing = request(&rig.leg, "spawn", &arguments);
    let (events, _queue) = Events::channel();
    rig.leg
        .duplex()
        .exchange(&outgoing, None, Era::Legacy, &events)
        .await
        .unwrap();
    let (grandchild, _) = listener.accept().await.unwrap();
    (rig, grandchild, directory)
}

#[tokio::test]
async fn no_grandchild_survives_the_handle() {
    let (rig, mut grandchild, _directory) = with_grandchild(true).await;
    let closed = rig.leg.duplex().closed();
    drop(rig.leg);
    assert_eq!(grandchild.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(closed.await, "Janus stopped the process");
    rig.tasks.close();
    rig.tasks.wait().await;
}

#[tokio::test]
async fn no_grandchild_survives_a_gentle_stop() {
    let (rig, mut grandchild, _directory) = with_grandchild(false).await;
    rig.leg.duplex().stop().await;
    assert_eq!(grandchild.read(&mut [0]).await.unwrap(), 0);
    assert!(!rig.call("x").await.unwrap_err().sent());
    rig.end().await;
}

#[tokio::test]
async fn no_grandchild_survives_the_death_of_its_parent() {
    let (rig, mut grandchild, _directory) = with_grandchild(false).await;
    // Its script ends by an exception.
    rig.leg
        .duplex()
        .send(json(r#"{"params":{"socket":1}}"#))
        .await
        .unwrap();
    assert!(rig.leg.duplex().closed().await.contains("exit status: 1"));
    assert_eq!(grandchild.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_server_that_wants_to_end_is_given_the_time() {
    let mut rig = serve(
        r#"
m = read()
while sys.stdin.readline(): pass
answer(m, {})
note("bye")
"#,
    );
    let (answer, ()) = tokio::join!(rig.call("x"), rig.leg.duplex().stop());
    answer.unwrap();
    assert_eq!(rig.inbox.recv().await.unwrap().method(), "bye");
}

#[tokio::test]
async fn a_server_that_does_not_want_to_end_is_killed() {
    let rig = serve(
        r#"
signal.signal(signal.SIGTERM, lambda *_: note("no"))
answer(read(), {})
while True: signal.pause()
"#,
    );
    rig.call("x").await.unwrap();
    // Nobody waits for the seconds it is given.
    tokio::time::pause();
    rig.end().await;
}
