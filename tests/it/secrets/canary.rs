//! Secrets of every kind, in every encoding, looked for wherever Janus could have left them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderValue;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::{Client, Era, Gate, Home, Janus, until};

use super::{home, run, script, set, succeeded};

/// With characters that every encoding changes.
fn canary(kind: &str) -> String {
    format!("canary-{kind}+/=\"q\\u&%4-zz")
}

pub(crate) const KINDS: [&str; 10] = [
    "bearer", "basic", "header", "query", "file", "cmd", "helper", "child", "env", "stderr",
];

/// The forms to look for. Base64 at each of its three offsets, without the characters that neighbours have a part in.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let percent = |upper: bool| -> String {
        secret
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    char::from(byte).to_string()
                }
                other if upper => format!("%{other:02X}"),
                other => format!("%{other:02x}"),
            })
            .collect()
    };
    let json = json!(secret).to_string();
    let mut forms = vec![
        secret.to_owned(),
        percent(true),
        percent(false),
        json.get(1..json.len() - 1).unwrap().to_owned(),
    ];
    for offset in 0..3 {
        let text = format!("{}{secret}", "x".repeat(offset));
        for encoded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
            let encoded = encoded.trim_end_matches('=');
            let inner = encoded.get((offset * 8).div_ceil(6)..text.len() * 8 / 6);
            forms.push(inner.unwrap().to_owned());
        }
    }
    forms.into_iter().map(String::into_bytes).collect()
}

fn hits(place: &str, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for kind in KINDS {
        for form in forms(&canary(kind)) {
            if memchr::memmem::find(bytes, &form).is_some() {
                found.push(format!(
                    "{kind} in {place} as {}",
                    String::from_utf8_lossy(&form)
                ));
            }
        }
    }
    found
}

fn files(directory: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            files(&path, found);
        } else if kind.is_file() {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

type Said = Vec<(String, Vec<u8>)>;

/// A home with an account of every kind.
fn every_kind(url: &str) -> Home {
    let home = home(&format!(
        "bearer: {{ url: \"{url}\", auth: {{ bearer: vault:bearer }} }}
basic: {{ url: \"{url}\", auth: {{ basic: ana, password: vault:basic }} }}
header: {{ url: \"{url}\", auth: {{ header: X-Key, value: vault:header }} }}
query: {{ url: \"{url}\", auth: {{ query: key, value: vault:query }} }}
file: {{ url: \"{url}\", auth: {{ bearer: file:~/secrets/token }} }}
cmd: {{ url: \"{url}\", auth: {{ bearer: \"cmd:cat ~/secrets/cmd\" }} }}
helper: {{ url: \"{url}\", auth: {{ command: [cat, SECRETS/helper], ttl: 0 }} }}
env: {{ url: \"{url}\", auth: {{ bearer: env:CANARY }} }}
child: {{ command: [sh, -c, 'echo told $TOKEN >&2; printf \"%s\" \"$TOKEN\" | base64 -w0 >&2; exit 1'], env: {{ TOKEN: vault:child }} }}
sleeper: {{ command: [sleep, \"300\"], env: {{ TOKEN: vault:child }} }}
stderr: {{ url: \"{url}\", auth: {{ command: [SECRETS/tells] }} }}
"
    ));
    let secrets = home.path().join("home/secrets");
    fs::create_dir(&secrets).unwrap();
    for (name, kind) in [("token", "file"), ("cmd", "cmd"), ("helper", "helper")] {
        fs::write(secrets.join(name), canary(kind)).unwrap();
        fs::set_permissions(secrets.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::write(secrets.join("told"), canary("bearer")).unwrap();
    // It prints on its standard error what another account has.
    script(
        &secrets,
        "tells",
        "#!/bin/sh\ncat \"$HOME/secrets/told\" >&2\nexit 1\n",
    );
    let config = fs::read_to_string(home.config()).unwrap();
    let config = config
        .replace("SECRETS", secrets.to_str().unwrap())
        .replace("~/secrets/cmd", secrets.join("cmd").to_str().unwrap());
    fs::write(home.config(), config).unwrap();
    home
}

/// Calls with every account, let in and refused.
async fn calls(janus: &Janus, gate: &Gate, said: &mut Said) {
    let mut clients = [
        Client::open(janus.http(), "/mcp", Era::Legacy).await,
        Client::open(janus.http(), "/mcp", Era::Modern).await,
    ];
    for round in 0..3 {
        match round {
            0 => gate.accept(|_, _| 200),
            1 => gate.accept(|_, _| 401),
            _ => gate.accept(|_, _| 500),
        }
        for server in [
            "bearer", "basic", "header", "query", "file", "cmd", "helper", "env", "child", "stderr",
        ] {
            for client in &mut clients {
                let name = format!("{server}__whoami");
                let answer = client
                    .request("tools/call", json!({"name": name, "arguments": {}}))
                    .await;
                said.push((
                    format!("a call of {name}"),
                    answer.response.to_string().into_bytes(),
                ));
            }
        }
        for tool in ["janus_whoami", "janus_list_accounts"] {
            let answer = clients[0]
                .request("tools/call", json!({"name": tool, "arguments": {}}))
                .await;
            said.push((tool.to_owned(), answer.response.to_string().into_bytes()));
        }
    }
}

/// Each canary was used: otherwise nothing would be shown.
fn assert_sent(gate: &Gate) {
    let seen = gate.seen();
    let with = |header: &str, value: &str| {
        seen.iter().any(|one| {
            let given = one.headers.get(header).map(HeaderValue::as_bytes);
            given == Some(value.as_bytes())
        })
    };
    for kind in ["bearer", "file", "cmd", "helper", "env"] {
        assert!(
            with("authorization", &format!("Bearer {}", canary(kind))),
            "{kind}"
        );
    }
    let basic = STANDARD.encode(format!("ana:{}", canary("basic")));
    assert!(with("authorization", &format!("Basic {basic}")));
    assert!(with("x-key", &canary("header")));
    let query = String::from_utf8(forms(&canary("query"))[1].clone()).unwrap();
    assert!(seen.iter().any(|one| one.query == format!("key={query}")));
}

fn commands(janus: &Janus, said: &mut Said) {
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["account", "list"],
        &["account", "verify", "bearer"],
        &["account", "verify", "stderr", "--json"],
        &["secret", "list", "--json"],
        &["secret", "check"],
        &["vault", "status"],
        &["config", "show"],
        &["config", "validate"],
    ] {
        let ended = run(janus.home(), arguments);
        said.push((
            arguments.join(" "),
            format!("{}{}", ended.stdout, ended.stderr).into_bytes(),
        ));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_left_anywhere() {
    let gate = Gate::start().await;
    let home = every_kind(&gate.url());
    let mut said: Said = Vec::new();
    for name in ["bearer", "basic", "header", "query", "child"] {
        let ended = set(&home, name, &canary(name));
        succeeded(&ended);
        said.push((
            format!("secret set {name}"),
            format!("{}{}", ended.stdout, ended.stderr).into_bytes(),
        ));
    }
    let mut janus = Janus::start_in(home, |command| {
        command
            .env("JANUS_LOG", "trace")
            .env("CANARY", canary("env"));
    });
    calls(&janus, &gate, &mut said).await;
    assert_sent(&gate);
    commands(&janus, &mut said);
    let id = janus.id();
    said.push((
        "its arguments".to_owned(),
        fs::read(format!("/proc/{id}/cmdline")).unwrap(),
    ));
    for child in children(id) {
        said.push((
            "a child's arguments".to_owned(),
            fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default(),
        ));
    }
    let limits = fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    others_cannot_look(id);
    let mut kept = Vec::new();
    for directory in ["state", "run", "config"] {
        files(&janus.home().path().join(directory), &mut kept);
    }
    assert!(kept.iter().any(|(name, _)| name.ends_with("janus.db")));
    said.extend(kept);
    // A crash writes no file.
    kill_process(
        Pid::from_raw(i32::try_from(id).unwrap()).unwrap(),
        Signal::ABORT,
    )
    .unwrap();
    until("its end", || {
        !Path::new(&format!("/proc/{id}/exe")).exists()
            || fs::read_link(format!("/proc/{id}/exe")).is_err()
    });
    let log = janus.stderr().to_owned();
    assert!(log.contains("****"), "something was masked: {log}");
    said.push(("the log".to_owned(), log.into_bytes()));
    let home = janus.home().path().to_owned();
    assert!(
        fs::read_dir(&home)
            .unwrap()
            .flatten()
            .all(|entry| !entry.file_name().to_string_lossy().starts_with("core"))
    );
    let found: Vec<String> = said
        .iter()
        .flat_map(|(place, bytes)| hits(place, bytes))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

fn children(id: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|child| child.parse().ok())
        .collect()
}

/// Another process of the same user reads neither memory nor environment. Root can, so that root becomes somebody.
fn others_cannot_look(id: u32) {
    if rustix::process::geteuid().is_root() {
        return;
    }
    for file in ["environ", "maps", "mem"] {
        assert!(
            fs::File::open(format!("/proc/{id}/{file}")).is_err(),
            "{file} can be read"
        );
    }
}

/// The same as an ordinary user, with the memory that root could read.
#[test]
fn another_process_of_the_same_user_sees_neither_memory_nor_environment() {
    if !rustix::process::geteuid().is_root() {
        let janus = Janus::start("s: { command: [cat] }\n");
        others_cannot_look(janus.id());
        return;
    }
    let directory = tempfile::TempDir::with_prefix("janus-nobody-").unwrap();
    let path = directory.path();
    for name in ["state", "run"] {
        fs::create_dir(path.join(name)).unwrap();
    }
    fs::copy(env!("CARGO_BIN_EXE_janus"), path.join("janus")).unwrap();
    fs::write(
        path.join("config.yaml"),
        "listen: { http: \"127.0.0.1:0\" }\nservers: {}\n",
    )
    .unwrap();
    let script = format!(
        "export XDG_STATE_HOME={0}/state XDG_RUNTIME_DIR={0}/run HOME={0} CANARY=canary\n\
        {0}/janus serve --config {0}/config.yaml 2>{0}/run/log & P=$!\n\
        until grep -q ready {0}/run/log 2>/dev/null; do kill -0 $P || exit 9; sleep 0.05; done\n\
        for f in environ maps mem; do cat /proc/$P/$f >/dev/null 2>&1 && echo \"$f can be read\"; done\n\
        ls /proc/$P/fd >/dev/null 2>&1 && echo \"fd can be read\"\n\
        kill -ABRT $P; wait $P; echo \"ended $?\"; ls {0}",
        path.display()
    );
    let chown = Command::new("chown")
        .args(["-R", "65534:65534"])
        .arg(path)
        .status()
        .unwrap();
    assert!(chown.success());
    let ran = Command::new("setpriv")
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "sh",
            "-c",
            &script,
        ])
        .current_dir(path)
        .output();
    let Ok(ran) = ran else {
        crate::support::skip("another process of the same user", "setpriv is missing");
        return;
    };
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success() && !ran.status.core_dumped(),
        "{said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    assert!(
        said.contains("ended 134") && !said.contains("can be read") && !said.contains("core"),
        "{said}"
    );
}
