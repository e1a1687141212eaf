//! Secrets: where they rest, how they reach servers and processes, and where they never show.

pub(crate) mod canary;
mod children;
mod faults;
mod helpers;
mod keyring;
mod kinds;
mod migrate;
mod vault;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Client, Ended, Era, Home, Janus, Process};

/// A home whose vault has its key in a file.
pub(crate) fn home(servers: &str) -> Home {
    let home = Home::new(servers);
    let text = fs::read_to_string(home.config()).unwrap();
    let key = home.path().join("home/vault.key");
    let text = format!(
        "vault: {{ key: file, key_file: {} }}\n{text}",
        key.display()
    );
    fs::write(home.config(), text).unwrap();
    home
}

/// `janus secret set NAME`, with the value piped in.
pub(crate) fn set(home: &Home, name: &str, value: &str) -> Ended {
    let mut process = piped(home, &["secret", "set", name]);
    process.offer(value);
    process.close_stdin();
    process.finish()
}

/// A command of this home's configuration.
pub(crate) fn run(home: &Home, arguments: &[&str]) -> Ended {
    let mut process = piped(home, arguments);
    process.close_stdin();
    process.finish()
}

pub(crate) fn piped(home: &Home, arguments: &[&str]) -> Process {
    let mut command = home.command(arguments);
    Process::start("janus", command.arg("--config").arg(home.config()))
}

/// Runs it and reads its document.
pub(crate) fn document(home: &Home, arguments: &[&str]) -> Value {
    let ended = run(home, &[arguments, &["--json"]].concat());
    serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|_| panic!("{}{}", ended.stdout, ended.stderr))
}

pub(crate) fn succeeded(ended: &Ended) -> &Ended {
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    ended
}

/// The state of an account, from `janus status`.
pub(crate) fn state(home: &Home, account: &str) -> String {
    let status = document(home, &["status"]);
    let row = status["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["id"] == account);
    row.unwrap_or_else(|| panic!("{status}"))["state"]["word"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// One call of `whoami` through the merged view: its result.
pub(crate) async fn call(janus: &Janus, tool: &str) -> Value {
    let mut client = Client::open(janus.http(), "/mcp", Era::Legacy).await;
    client
        .result("tools/call", json!({"name": tool, "arguments": {}}))
        .await
}

/// An executable script in a home.
pub(crate) fn script(home: &Path, name: &str, text: &str) -> PathBuf {
    let path = home.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}
