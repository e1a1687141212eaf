//! `janus status`: the daemon, its accounts, and what this directory gets.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that a JSON value does not have is null"
)]

use serde_json::Value;

use super::control::Control;
use super::table::{ago, clock, day, span, table, text, texts};
use super::{Context, Exit, Failure};

pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let status = Control::new(context).get("/status")?;
    let shown = status.clone();
    context.output.document("status", status, || page(&shown))?;
    Ok(Exit::Done)
}

fn page(status: &Value) -> String {
    let started = status["started"].as_u64().unwrap_or_default();
    let config = match status["config"].as_str() {
        Some(file) => format!("{file} ({})", in_force(status)),
        None => "no file".to_owned(),
    };
    let directory = status["directory"]
        .as_str()
        .unwrap_or("an unknown directory");
    let here = match status["here"]["profile"].as_str() {
        Some(profile) => format!("profile {profile}   (why: janus whoami --explain)"),
        None => text(&status["here"], "refused"),
    };
    let keys = if status["keys_required"] == true {
        "keys       every client needs one   (janus client list)\n"
    } else {
        ""
    };
    let held = if status["held_by_systemd"] == true {
        "   (sockets held by systemd)"
    } else {
        ""
    };
    format!(
        "janus {}   started {}   config {config}\n\
         listening  {}{held}\n\
         here       {directory} → {here}\n\
         {keys}sessions   {}   (janus session list)\n\n{}{}",
        text(status, "version"),
        ago(started),
        texts(&status["listening"]).join("   "),
        status["sessions"],
        accounts_but_for_what_waits(&status["accounts"]),
        waiting(status),
    )
}

/// Since when the configuration is in force, and whether it is what the file says.
fn in_force(status: &Value) -> String {
    let read = match status["config_read"].as_u64() {
        Some(read) => format!("read {}", clock(read)),
        // The daemon is one of before, which does not say.
        None => "read".to_owned(),
    };
    if texts(&status["config_refused"]).is_empty() {
        read
    } else {
        format!("{read}; what it says now is refused")
    }
}

/// What waits for a person: logins that have a link, then accounts that need one, a secret, or a correction.
fn waiting(status: &Value) -> String {
    let (logins, accounts) = (&status["logins"], &status["accounts"]);
    let logins = logins.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut lines = Vec::new();
    if let Some(first) = texts(&status["config_refused"]).first() {
        lines.push(format!(
            "  janus config validate   # the earlier configuration stays in force: {first}\n"
        ));
    }
    if let Some(why) = status["vault"]["because"].as_str() {
        let ways = texts(&status["vault"]["help"]);
        let ways: Vec<String> = ways.iter().map(|way| format!("      {way}\n")).collect();
        let ways = ways.concat();
        lines.push(format!(
            "  janus help headless   # first: nothing can be kept, because the vault has no place for its key: {why}\n{ways}"
        ));
    }
    for login in logins {
        let (account, link) = (text(login, "account"), text(login, "link"));
        let who = login["expected"].as_str();
        let who = who.map_or_else(String::new, |who| format!(" as {who}"));
        let left = span(login["expires_in"].as_u64().unwrap_or_default());
        let mut rows = accounts.as_array().into_iter().flatten();
        let row = rows.find(|row| row["id"] == account.as_str());
        let why = row.and_then(wanted);
        let why = why.map_or_else(String::new, |(_, why)| format!(": {why}"));
        lines.push(format!(
            "  janus login --wait {}   # {account}{who}, {left} left{why}\n      {link}\n",
            text(login, "login")
        ));
    }
    for account in accounts.as_array().into_iter().flatten() {
        let id = text(account, "id");
        if logins.iter().any(|login| text(login, "account") == id) {
            continue;
        }
        if let Some((command, why)) = wanted(account) {
            lines.push(format!("  {command}   # {why}\n"));
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    format!("\nwaiting for you ({})\n{}", lines.len(), lines.concat())
}

/// What a person runs for an account, and why; `None`: it waits for nobody.
fn wanted(account: &Value) -> Option<(String, String)> {
    let (id, grant, state) = (text(account, "id"), &account["grant"], &account["state"]);
    if account["needs_login"] == true {
        let why = grant["because"].as_str().unwrap_or("the server wants one");
        let since = grant["since"].as_u64().filter(|_| grant["generation"] != 0);
        let since = since.map_or_else(String::new, |since| format!(", {}", ago(since)));
        return Some((format!("janus login {id}"), format!("{why}{since}")));
    }
    if let Some(why) = state["help"].as_str().filter(|_| asks(state)) {
        return Some((why.to_owned(), format!("{id}: {}", text(state, "because"))));
    }
    let why = grant["retry_because"].as_str()?;
    let stuck = (grant["stuck"] == true).then_some(why)?;
    Some((
        format!("janus account verify {id}"),
        format!("after: {stuck}"),
    ))
}

/// Whether only a person goes on from there.
fn asks(state: &Value) -> bool {
    matches!(
        state["word"].as_str(),
        Some("needs_login" | "needs_secret" | "bad_secret" | "sealed" | "rejected")
    )
}

/// The accounts as a table, with the reason below each that does not work.
pub(super) fn accounts(listed: &Value) -> String {
    rows(listed, |_| true)
}

/// The same, with the reasons of those alone that wait for nobody: what a person must do is told of in one place.
fn accounts_but_for_what_waits(listed: &Value) -> String {
    rows(listed, |account| wanted(account).is_none())
}

fn rows(listed: &Value, explained: impl Fn(&Value) -> bool) -> String {
    let listed = listed.as_array().map(Vec::as_slice).unwrap_or_default();
    if listed.is_empty() {
        return "no servers yet: `janus config path` names the file to write\n".to_owned();
    }
    let head = [
        "ACCOUNT",
        "STATE",
        "CREDENTIAL",
        "WHO",
        "TOOLS",
        "PROFILES",
        "LABEL",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut reasons = Vec::new();
    for account in listed {
        let state = &account["state"];
        let word = text(state, "word");
        rows.push(vec![
            text(account, "id"),
            format!("{} {word}", symbol(&word)),
            proof(account),
            account["verified_as"]
                .as_str()
                .unwrap_or("unverified")
                .to_owned(),
            account["tools"].to_string(),
            texts(&account["profiles"]).join(" "),
            text(account, "label"),
        ]);
        let because = state["because"].as_str();
        if let Some(because) = because.filter(|_| explained(account)) {
            let help = state["help"].as_str();
            let help = help.map_or_else(String::new, |help| format!("; {help}"));
            let next = match state["next_try_in"].as_u64() {
                Some(0) => "; it is tried again now".to_owned(),
                Some(seconds) => format!("; next try in {}", span(seconds)),
                None => String::new(),
            };
            reasons.push(format!(
                "  {}: {because}{help}{next}\n",
                text(account, "id")
            ));
        }
    }
    format!("{}{}", table(&rows), reasons.concat())
}

/// What proves an account, as its row has it: the state beside it says already that a login is needed.
fn proof(account: &Value) -> String {
    let grant = &account["grant"];
    if grant["state"] == "needs_login" && grant["reason"] != "rejected" {
        return text(&account["credential"], "kind");
    }
    granted(grant).unwrap_or_else(|| credential(&account["credential"]))
}

/// How a grant stands; `None` where there is none and none is needed.
pub(super) fn granted(grant: &Value) -> Option<String> {
    let state = grant["state"].as_str()?;
    let since = grant["since"].as_u64().unwrap_or_default();
    let left = grant["expires_in"].as_u64();
    let mut said = match (state, left) {
        ("fresh" | "due", _) if grant["renews_in"].is_u64() => {
            match grant["renews_in"].as_u64().unwrap_or_default() {
                0 => "is being renewed".to_owned(),
                lead => format!("renews in {}", span(lead)),
            }
        }
        ("fresh" | "due", Some(left)) => format!("ends in {}", span(left)),
        ("fresh" | "due", None) => "valid".to_owned(),
        ("expired", _) if grant["retry_in"].is_u64() => "expired".to_owned(),
        ("expired", _) => "expired, being renewed".to_owned(),
        ("needs_login", _) if grant["reason"] == "rejected" => format!("refused {}", clock(since)),
        ("needs_login", _) if grant["reason"] == "never" => "no login yet".to_owned(),
        ("needs_login", _) => text(grant, "reason").replace('_', " "),
        ("sealed", _) => "sealed".to_owned(),
        _ => "no login yet".to_owned(),
    };
    if let Some(retry) = grant["retry_in"].as_u64() {
        said = format!("{said}; tried again in {}", span(retry));
    }
    if grant["unpersisted"] == true {
        said.push_str("; degraded: unpersisted");
    }
    if let Some(ends) = grant["client_secret_expires"].as_u64() {
        said = format!("{said}; client secret ends {}", day(ends));
    }
    Some(said)
}

/// Where a credential comes from, and how long it is good.
pub(super) fn credential(value: &Value) -> String {
    let from = texts(&value["from"]).join(" ");
    let from = if from.is_empty() {
        text(value, "kind")
    } else {
        from
    };
    match (value["problem"].as_str(), value["expires_in"].as_u64()) {
        (Some(problem), _) => format!("{from}: {problem}"),
        (None, Some(0)) => format!("{from}: expired"),
        (None, Some(left)) => format!("{from}: {} left", span(left)),
        (None, None) => from,
    }
}

/// A sign beside the word, never instead of it.
fn symbol(state: &str) -> &'static str {
    match state {
        "ready" => "✔",
        "failed" => "✘",
        "needs_login" | "needs_secret" | "bad_secret" | "rejected" | "sealed" | "backoff" => "!",
        _ => "·",
    }
}
