//! `janus tool`, mostly against a daemon that says what the test wants: what is sent, what is printed, the exit code.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Era, Fixture, Janus};

/// What the program did: exit code, standard output, standard error.
type Done = (Option<i32>, String, String);

fn janus(home: &Path, arguments: &[&str], input: &str) -> Done {
    let mut child = Command::new(env!("CARGO_BIN_EXE_janus"))
        .env_clear()
        .env("HOME", home)
        .env("JANUS_RUNTIME_DIR", home)
        .current_dir(home)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that reads no input may be gone already.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// One request: its headers in lower case, and its message.
struct Asked {
    head: String,
    message: Value,
}

/// A daemon on `mcp.sock` that answers `tools/list` with these tools and `tools/call` with this text.
fn daemon(home: &Path, tools: &Value, kind: &'static str, body: String) -> Receiver<Asked> {
    let listener = UnixListener::bind(home.join("mcp.sock")).unwrap();
    let list =
        json!({"jsonrpc": "2.0", "id": "1", "result": {"resultType": "complete", "tools": tools}});
    let (seen, asked) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = read(&stream);
            let method = request.message["method"].as_str().unwrap().to_owned();
            let (kind, body) = match method.as_str() {
                "tools/list" => ("application/json", list.to_string()),
                _ => (kind, body.clone()),
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).unwrap();
            if seen.send(request).is_err() {
                return;
            }
        }
    });
    asked
}

fn read(stream: &UnixStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        let line = line.to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Asked {
        head,
        message: serde_json::from_slice(&body).unwrap(),
    }
}

fn tools() -> Value {
    json!([
        {"name": "notes__add", "description": "Adds.\nMore.", "x-unknown": 1.0, "inputSchema": {"type": "object", "properties": {
            "text": {"type": "string"}, "times": {"type": "integer"}}}},
        {"name": "dice__roll", "inputSchema": {"type": "object"}},
    ])
}

/// The text of a response with this result.
fn result(result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"1","result":{result}}}"#)
}

/// A home with a daemon that answers every call with this result.
fn answering(text: &str) -> (TempDir, Receiver<Asked>) {
    let home = TempDir::new().unwrap();
    let asked = daemon(home.path(), &tools(), "application/json", result(text));
    (home, asked)
}

#[test]
fn without_a_daemon_the_exit_code_is_3_and_the_help_starts_one() {
    let home = TempDir::new().unwrap();
    for arguments in [&["tool", "ls"] as &[&str], &["tool", "call", "a__b", "x=1"]] {
        let (code, stdout, stderr) = janus(home.path(), arguments, "");
        assert_eq!((code, stdout.as_str()), (Some(3), ""));
        insta::allow_duplicates! {
            insta::assert_snapshot!(stderr.replace(home.path().to_str().unwrap(), "HOME"), @"
            error[no_daemon]: there is no daemon to talk to
              sent:  nothing
              where: HOME/mcp.sock
              because: No such file or directory (os error 2)
              help:  start it in another terminal:  janus serve
              help:  or have it started whenever it is asked for:  janus service install
              help:  or name the directory of its sockets:  --runtime-dir DIR
            ");
        }
    }
    drop(UnixListener::bind(home.path().join("mcp.sock")).unwrap());
    let (code, _, stderr) = janus(home.path(), &["tool", "list", "--json"], "");
    let error: Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!(
        (code, &error["error"]["code"]),
        (Some(3), &"no_daemon".into())
    );
}

#[test]
fn the_list_is_names_descriptions_or_what_the_servers_wrote() {
    let (home, asked) = answering("{}");
    let home = home.path();
    let printed = |arguments: &[&str]| janus(home, arguments, "");
    assert_eq!(printed(&["tool", "list"]).1, "notes__add\ndice__roll\n");
    assert_eq!(
        printed(&["tool", "ls", "-d"]).1,
        "notes__add\n    Adds.\ndice__roll\n"
    );
    assert_eq!(
        printed(&["tool", "ls", "--server", "dice"]).1,
        "dice__roll\n"
    );
    let document: Value = serde_json::from_str(&printed(&["tool", "ls", "--json"]).1).unwrap();
    assert_eq!(
        document,
        json!({"schema": "janus/tool-list/1", "tools": tools()})
    );

    fs::create_dir_all(home.join(".config/janus")).unwrap();
    let config = "servers: { slow: { command: [x] } }";
    fs::write(home.join(".config/janus/config.yaml"), config).unwrap();
    let slow = printed(&["tool", "ls", "--server", "slow"]);
    assert_eq!((slow.0, slow.1.as_str()), (Some(0), ""));
    assert_eq!(slow.2, "`slow` offers no tools at the moment\n");
    let (code, _, stderr) = printed(&["tool", "ls", "--server", "slo"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("did you mean `slow`?"), "{stderr}");

    let first = asked.recv().unwrap();
    assert!(
        first.head.starts_with("post /mcp http/1.1"),
        "{}",
        first.head
    );
    for header in [
        "host: localhost",
        "mcp-protocol-version: 2026-07-28",
        "mcp-method: tools/list",
    ] {
        assert!(first.head.contains(header), "{}", first.head);
    }
    let meta = &first.message["params"]["_meta"];
    assert_eq!(
        meta["io.modelcontextprotocol/protocolVersion"],
        "2026-07-28"
    );
    assert_eq!(
        meta["io.modelcontextprotocol/clientCapabilities"],
        json!({})
    );
}

#[test]
fn a_call_sends_what_was_meant_and_prints_the_text() {
    let text = r#"{"resultType":"complete","content":[{"type":"text","text":"a\n\u001bb"},{"type":"image","mimeType":"image/png","data":"AAAA"}],"structuredContent":{"a":1},"x":1.50}"#;
    let (home, asked) = answering(text);
    let call = [
        "tool",
        "call",
        "notes__add",
        "text=5",
        "times=5",
        "extra:=[1.0]",
    ];
    let (code, stdout, stderr) = janus(home.path(), &call, "");
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    // Standard output is no terminal here, so that nothing is replaced.
    assert_eq!(stdout, "a\n\u{1b}b\n[image image/png, 3 bytes]\n");
    let call = asked.iter().nth(1).unwrap();
    assert_eq!(
        call.message["params"]["arguments"],
        json!({"text": "5", "times": 5, "extra": [1.0]})
    );
    assert!(call.head.contains("mcp-name: notes__add"), "{}", call.head);

    let (_, stdout, _) = janus(home.path(), &["--json", "tool", "call", "notes__add"], "");
    assert_eq!(
        stdout,
        format!("{{\"schema\":\"janus/tool-call/1\",\"result\":{text}}}\n")
    );
    asked.iter().take(2).for_each(drop);

    let whole = ["tool", "call", "notes__add", "--args", "-", "times=2"];
    janus(home.path(), &whole, r#"{"text": "from stdin", "times": 1}"#);
    assert_eq!(
        asked.iter().nth(1).unwrap().message["params"]["arguments"],
        json!({"text": "from stdin", "times": 2})
    );
}

#[test]
fn structured_content_is_printed_where_there_is_no_text() {
    let (home, _asked) = answering(r#"{"content":[],"structuredContent":{"sum":8,"all":[3,5]}}"#);
    let (code, stdout, _) = janus(home.path(), &["tool", "call", "dice__roll"], "");
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(stdout, @r#"
    {
      "sum": 8,
      "all": [
        3,
        5
      ]
    }
    "#);
}

#[test]
fn a_stream_of_events_is_read_to_its_answer_and_shown_on_request() {
    let events = [
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1,"total":2,"message":"half"}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","logger":"dice","data":"rolling"}}"#,
        r#"{"jsonrpc":"2.0","id":"1","result":{"content":[{"type":"text","text":"8"}]}}"#,
    ];
    let body = events
        .map(|event| format!(": keep-alive\n\nevent: message\ndata: {event}\n\n"))
        .concat();
    let home = TempDir::new().unwrap();
    let asked = daemon(home.path(), &tools(), "text/event-stream", body);
    let call = ["tool", "call", "dice__roll"];
    assert_eq!(
        janus(home.path(), &call, ""),
        (Some(0), "8\n".to_owned(), String::new())
    );
    let (code, stdout, stderr) = janus(home.path(), &[&call as &[&str], &["-v"]].concat(), "");
    assert_eq!((code, stdout.as_str()), (Some(0), "8\n"));
    assert_eq!(stderr, "progress 1 of 2: half\ninfo: dice: rolling\n");
    let level = &asked.iter().nth(3).unwrap().message["params"]["_meta"];
    assert_eq!(level["io.modelcontextprotocol/logLevel"], "info");
}

#[test]
fn a_failed_result_goes_to_standard_error_with_the_exit_code_of_its_cause() {
    for (cause, expected) in [
        ("rejected", 4),
        ("needs_login", 4),
        ("denied", 5),
        ("ambiguous_account", 2),
        ("unavailable", 1),
        ("brand_new", 1),
    ] {
        let (home, _asked) = answering(&format!(
            r#"{{"content":[{{"type":"text","text":"It did not work."}}],"isError":true,
                "_meta":{{"dev.janus/error":{{"code":"{cause}","account":"dice/default","sent":false}}}}}}"#
        ));
        let (code, stdout, stderr) = janus(home.path(), &["tool", "call", "dice__roll"], "");
        assert_eq!((code, stdout.as_str()), (Some(expected), ""), "{cause}");
        assert!(
            stderr.contains("It did not work.\n  sent:  nothing\n  where: dice/default\n"),
            "{stderr}"
        );
    }
    let (home, _asked) =
        answering(r#"{"content":[{"type":"text","text":"no\n\nwhy"}],"isError":true}"#);
    let (code, stdout, stderr) = janus(home.path(), &["tool", "call", "dice__roll"], "");
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    insta::assert_snapshot!(stderr, @"
    error[tool_error]: no
      because: why
    ");
    let (code, stdout, stderr) = janus(home.path(), &["tool", "call", "dice__roll", "--json"], "");
    assert_eq!(code, Some(1));
    let (document, error): (Value, Value) = (
        serde_json::from_str(&stdout).unwrap(),
        serde_json::from_str(&stderr).unwrap(),
    );
    assert_eq!(document["result"]["isError"], true);
    assert_eq!(error["error"]["code"], "tool_error");
}

#[test]
fn an_unknown_tool_is_exit_code_2_with_what_was_meant() {
    let home = TempDir::new().unwrap();
    let body = r#"{"jsonrpc":"2.0","id":"1","error":{"code":-32602,"message":"there is no tool `dice__rol` here; did you mean `dice__roll`?"}}"#;
    let _asked = daemon(home.path(), &tools(), "application/json", body.to_owned());
    let (code, stdout, stderr) = janus(home.path(), &["tool", "call", "dice__rol"], "");
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    insta::assert_snapshot!(stderr, @"
    error[unknown_tool]: there is no tool `dice__rol` here
      sent:  nothing
      help:  did you mean `dice__roll`?
    ");
}

#[test]
fn a_wrong_argument_is_exit_code_2_and_nothing_is_called() {
    let (home, asked) = answering("{}");
    let (code, _, stderr) = janus(
        home.path(),
        &["tool", "call", "notes__add", "times=often"],
        "",
    );
    assert_eq!(code, Some(2));
    insta::assert_snapshot!(stderr, @"
    error[usage]: `times` must be an integer
      sent:  nothing
      help:  such as  times=7
    ");
    assert_eq!(asked.recv().unwrap().message["method"], "tools/list");
    assert!(asked.try_recv().is_err());
    for wrong in [
        &["x"] as &[&str],
        &["x:={"],
        &["x=1", "x=2"],
        &["--args", "[]"],
    ] {
        let line = [&["tool", "call", "notes__add"], wrong].concat();
        assert_eq!(janus(home.path(), &line, "").0, Some(2), "{wrong:?}");
        assert!(asked.try_recv().is_err());
    }
}

#[test]
fn a_daemon_that_does_not_answer_is_given_up() {
    let home = TempDir::new().unwrap();
    let _listener = UnixListener::bind(home.path().join("mcp.sock")).unwrap();
    let (code, _, stderr) = janus(home.path(), &["tool", "list", "--timeout", "50ms"], "");
    assert_eq!(code, Some(1));
    assert!(
        stderr.starts_with("error[timed_out]: no answer within 0.05 s\n"),
        "{stderr}"
    );

    let home = TempDir::new().unwrap();
    let _asked = daemon(
        home.path(),
        &tools(),
        "text/event-stream",
        ": closing\n\n".to_owned(),
    );
    let (code, _, stderr) = janus(home.path(), &["tool", "call", "dice__roll"], "");
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("error[outcome_unknown]: "), "{stderr}");
}

#[test]
fn a_daemon_that_runs_is_called_as_any_client_calls_it() {
    let fixture = Fixture::start(Era::Modern);
    let janus = Janus::start(&format!("conf: {{ url: \"{}\" }}", fixture.url()));
    let config = janus.home().config();
    let run = |arguments: &[&str]| {
        let config = ["--config", config.to_str().unwrap()];
        let ended = janus.home().run(&[&config, arguments].concat());
        (ended.status.code(), ended.stdout, ended.stderr)
    };
    let (code, stdout, stderr) = run(&["tool", "list", "--server", "conf"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.contains("conf__test_simple_text\n"), "{stdout}");
    assert_eq!(
        run(&["tool", "call", "conf__test_simple_text"]).1,
        "This is a simple text response for testing.\n"
    );
    let (code, stdout, stderr) = run(&["tool", "call", "conf__test_error_handling"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.starts_with("error[tool_error]: "), "{stderr}");
    let (code, _, stderr) = run(&["tool", "call", "conf__test_simple_tex"]);
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("did you mean `conf__test_simple_text`?"),
        "{stderr}"
    );
    let (code, _, stderr) = run(&["-v", "tool", "call", "conf__test_tool_with_progress"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("progress 50"), "{stderr}");
    assert_eq!(run(&["tool", "call", "conf__test_elicitation"]).0, Some(1));
}
