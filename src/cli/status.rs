//! `janus status`: the daemon, its accounts, and what this directory gets.

use serde_json::Value;

use super::control::Control;
use super::table::{ago, table, text, texts};
use super::{Context, Exit, Failure};

pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let status = Control::new(context).get("/status")?;
    let shown = status.clone();
    context.output.document("status", status, || page(&shown))?;
    Ok(Exit::Done)
}

fn page(status: &Value) -> String {
    let started = status["started"].as_u64().unwrap_or_default();
    let config = status["config"].as_str().unwrap_or("no file");
    let mut page = format!(
        "janus {}   started {}   config {config}\nlistening  {}\n",
        text(status, "version"),
        ago(started),
        texts(&status["listening"]).join("   "),
    );
    let directory = status["directory"]
        .as_str()
        .unwrap_or("an unknown directory");
    match status["here"]["profile"].as_str() {
        Some(profile) => page.push_str(&format!(
            "here       {directory} → profile {profile}   (why: janus whoami --explain)\n"
        )),
        None => page.push_str(&format!(
            "here       {directory} → {}\n",
            text(&status["here"], "refused")
        )),
    }
    if status["keys_required"] == true {
        page.push_str("keys       every client needs one   (janus client list)\n");
    }
    page.push_str(&format!(
        "sessions   {}   (janus session list)\n\n",
        status["sessions"]
    ));
    page.push_str(&accounts(&status["accounts"]));
    page
}

/// The accounts as a table, with the reason below each that does not work.
pub(super) fn accounts(listed: &Value) -> String {
    let listed = listed.as_array().map(Vec::as_slice).unwrap_or_default();
    if listed.is_empty() {
        return "no servers yet: `janus config path` names the file to write\n".to_owned();
    }
    let head = ["ACCOUNT", "STATE", "WHO", "TOOLS", "PROFILES", "LABEL"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut reasons = String::new();
    for account in listed {
        let state = text(&account["state"], "word");
        rows.push(vec![
            text(account, "id"),
            format!("{} {state}", symbol(&state)),
            account["verified_as"]
                .as_str()
                .unwrap_or("unverified")
                .to_owned(),
            account["tools"].to_string(),
            texts(&account["profiles"]).join(" "),
            text(account, "label"),
        ]);
        if let Some(reason) = account["state"]["because"].as_str() {
            reasons.push_str(&format!("  {}: {reason}\n", text(account, "id")));
        }
    }
    format!("{}{reasons}", table(&rows))
}

/// A sign beside the word, never instead of it.
fn symbol(state: &str) -> &'static str {
    match state {
        "ready" => "✔",
        "failed" => "✘",
        "needs_login" | "backoff" => "!",
        _ => "·",
    }
}
