//! What a person reads while logging in.

use std::io::{self, IsTerminal as _};

use serde_json::Value;

use crate::cli::Context;
use crate::cli::table::{count, texts};

use super::picture::picture;

/// The text of a member; empty where there is none.
pub(super) fn text(value: &Value, member: &str) -> String {
    value
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// The number of a member.
pub(super) fn number(value: &Value, member: &str) -> Option<u64> {
    value.get(member)?.as_u64()
}

fn list(value: &Value, member: &str) -> Vec<String> {
    texts(value.get(member).unwrap_or(&Value::Null))
}

/// `log in linear/default at mcp.linear.app as ana@example.org          (login 7f3k9q, valid 10 min)`
pub(super) fn head(pending: &Value) -> String {
    let who = text(pending, "expected");
    let who = if who.is_empty() {
        who
    } else {
        format!(" as {who}")
    };
    let minutes = number(pending, "expires_in")
        .unwrap_or_default()
        .div_ceil(60);
    let scopes = list(pending, "scopes");
    let scopes = if scopes.is_empty() {
        String::new()
    } else {
        format!("\nit will be asked for: {}", scopes.join(" "))
    };
    format!(
        "log in {} at {}{who}          (login {}, valid {minutes} min){scopes}",
        text(pending, "account"),
        text(pending, "host"),
        text(pending, "login"),
    )
}

/// The lines that say what to do now.
pub(super) fn what_to_do(
    pending: &Value,
    opened: bool,
    takes_lines: bool,
    context: &Context,
) -> Vec<String> {
    let url = text(pending, "url");
    if let Some(code) = pending.get("code").and_then(Value::as_str) {
        let picture = io::stderr().is_terminal().then(|| picture(&url)).flatten();
        let mut lines = vec![
            format!("  1  open on any device:  {}", text(pending, "code_at")),
            format!("  2  type there:          {code}"),
        ];
        lines.extend(
            picture.map(|picture| {
                format!("or point its camera here, and compare the code:\n{picture}")
            }),
        );
        lines.push("waiting for the other device".to_owned());
        return lines;
    }
    let back = text(pending, "redirect_uri");
    if opened {
        let waits = if takes_lines {
            "waiting for the browser, or the address on which it ended:"
        } else {
            "waiting for the browser"
        };
        return vec![waits.to_owned()];
    }
    let mut lines = vec![format!("  1  open on any machine:\n     {url}")];
    lines.push(format!(
        "  2  the browser ends on a page that does not load ({back}?…). That is expected:"
    ));
    lines.push(if takes_lines {
        "     copy its whole address and paste it here.".to_owned()
    } else {
        format!(
            "     copy its whole address and pipe it into:  janus login --paste --wait {}",
            text(pending, "login")
        )
    });
    if let Some(port) = number(pending, "port") {
        lines.push(format!(
            "  or let it load; on your own machine first run:  {}",
            forward(port, &text(pending, "machine"), context)
        ));
    }
    lines.push(if takes_lines {
        "waiting for the browser or a pasted address:".to_owned()
    } else {
        "waiting for the browser".to_owned()
    });
    lines
}

/// The line that lets a browser elsewhere reach the port here: by the address that led here, or by the name.
fn forward(port: u64, machine: &str, context: &Context) -> String {
    let environment = &context.environment;
    let user = environment.user_name();
    let user = user.map_or_else(String::new, |user| format!("{user}@"));
    let (at, host) = match environment.reached_at() {
        Some((host, 22)) => (String::new(), host),
        Some((host, other)) => (format!("-p {other} "), host),
        None if machine.is_empty() => (String::new(), "HOST".to_owned()),
        None => (String::new(), machine.to_owned()),
    };
    format!("ssh -N -L {port}:127.0.0.1:{port} {at}{user}{host}")
}

/// What a person must say yes to.
pub(super) fn question(pending: &Value) -> Option<String> {
    let account = text(pending, "account");
    let mut said = Vec::new();
    if pending.get("needs_yes").is_some_and(|needs| needs == true) {
        let new = list(pending, "new_scopes").join(" ");
        said.push(format!(
            "{account} will be asked for more than before: {new}"
        ));
    }
    if pending
        .get("foreign")
        .is_some_and(|foreign| foreign == true)
    {
        let host = text(pending, "host");
        said.push(format!(
            "{host} is neither the server of {account} nor its authorization server"
        ));
    }
    if let Some(moved) = pending.get("moved").filter(|moved| moved.is_object()) {
        let (now, before) = (text(moved, "now"), text(moved, "before"));
        said.push(format!(
            "the server of {account} has another authorization server now: {now}, before it was {before}"
        ));
    }
    (!said.is_empty()).then(|| format!("{}.", said.join("; ")))
}

/// For `--no-wait`: what a person, or a script, takes elsewhere.
pub(super) fn link(pending: &Value) -> String {
    let id = text(pending, "login");
    let open = match pending.get("code").and_then(Value::as_str) {
        Some(code) => format!("open  {}\ntype  {code}", text(pending, "code_at")),
        None => format!("open  {}", text(pending, "url")),
    };
    format!("{}\n{open}\nthen  janus login --wait {id}\n", head(pending))
}

/// The same on a line, for the links of several.
pub(super) fn link_of_one(pending: &Value) -> String {
    let (account, id) = (text(pending, "account"), text(pending, "login"));
    let open = match pending.get("code").and_then(Value::as_str) {
        Some(code) => format!("{}   type {code}", text(pending, "code_at")),
        None => text(pending, "url"),
    };
    format!("{account}   {open}   # janus login --wait {id}\n")
}

/// What became of a login that a person ended.
pub(super) fn cancelled(ended: &Value) -> String {
    let (account, id) = (text(ended, "account"), text(ended, "login"));
    if ended.get("cancelled").is_some_and(|it| it == true) {
        format!("✔ the login {id} of {account} is cancelled\n")
    } else {
        format!("the login {id} of {account} had ended already; nothing changed\n")
    }
}

/// Who is logged in, and what that means.
pub(super) fn logged_in(done: &Value) -> String {
    let account = text(done, "account");
    let who = match done.get("verified_as").and_then(Value::as_str) {
        Some(who) => format!("✔ logged in as {who}"),
        None => "✔ logged in; who that is could not be learnt: this login is unverified".to_owned(),
    };
    let mut facts = vec![format!("saved for {account}")];
    match list(done, "profiles").as_slice() {
        [] => facts.push("used by no profile".to_owned()),
        [only] => facts.push(format!("used by profile {only}")),
        several => facts.push(format!("used by profiles {}", several.join(", "))),
    }
    if done
        .get("connected")
        .is_some_and(|connected| connected == true)
    {
        let tools = number(done, "tools").unwrap_or_default();
        facts.push(count(tools, "tool"));
    } else {
        facts.push("not connected yet (janus status)".to_owned());
    }
    let hint = text(done, "hint");
    let hint = if hint.is_empty() {
        hint
    } else {
        format!("  {hint}\n")
    };
    format!("{who}\n  {}\n{hint}", facts.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_login_is_told_in_a_line_and_its_result_in_two() {
        let pending = json!({
            "account": "linear/default", "host": "mcp.linear.app", "login": "7f3k9q",
            "expected": "ana@example.org", "expires_in": 600, "scopes": [],
        });
        assert_eq!(
            head(&pending),
            "log in linear/default at mcp.linear.app as ana@example.org          (login 7f3k9q, valid 10 min)"
        );
        let done = json!({
            "account": "linear/default", "verified_as": "ana@example.org, workspace Client A",
            "profiles": ["personal"], "tools": 22, "connected": true,
        });
        assert_eq!(
            logged_in(&done),
            "✔ logged in as ana@example.org, workspace Client A\n  saved for linear/default; used by profile personal; 22 tools\n"
        );
    }

    #[test]
    fn only_what_is_new_and_what_is_foreign_is_asked() {
        let plain =
            json!({"account": "a/b", "needs_yes": false, "foreign": false, "new_scopes": ["x"]});
        assert_eq!(question(&plain), None);
        let new = json!({"account": "a/b", "needs_yes": true, "new_scopes": ["write", "admin"]});
        assert_eq!(
            question(&new).unwrap(),
            "a/b will be asked for more than before: write admin."
        );
        let moved = json!({"account": "a/b", "moved": {"now": "b.example", "before": "a.example"}});
        assert_eq!(
            question(&moved).unwrap(),
            "the server of a/b has another authorization server now: b.example, before it was a.example."
        );
        let foreign = json!({"account": "a/b", "foreign": true, "host": "login.example"});
        assert!(
            question(&foreign)
                .unwrap()
                .starts_with("login.example is neither")
        );
    }
}
