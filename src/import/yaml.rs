//! The result as the text of a configuration: readable, quoted where YAML could read something else, in one order.

use super::{Account, Auth, Imported, Profile, Reach, Said, Server};

/// Words that YAML, old or new, reads as something else than text.
const WORDS: [&str; 11] = [
    "true", "false", "yes", "no", "on", "off", "null", "y", "n", "none", "nan",
];

/// The configuration, as a file of its own.
pub fn document(imported: &Imported) -> String {
    let mut lines = Lines::default();
    lines.put(
        0,
        format!("# Made by `janus import` from {}.", imported.form),
    );
    lines.put(0, "version: 1".to_owned());
    for (name, section) in sections(imported) {
        lines.put(0, String::new());
        lines.put(0, format!("{name}:"));
        lines.0.extend(section.indented());
    }
    for line in scalars(imported) {
        lines.put(0, String::new());
        lines.0.extend(line);
    }
    lines.0.join("\n") + "\n"
}

/// The sections that hold entries by name, with lines that begin at the entries.
pub(super) fn sections(imported: &Imported) -> Vec<(&'static str, Lines)> {
    let mut sections = Vec::new();
    if !imported.servers.is_empty() {
        let mut lines = Lines::default();
        for server in &imported.servers {
            put_server(&mut lines, server);
        }
        sections.push(("servers", lines));
    }
    if !imported.profiles.is_empty() {
        let mut lines = Lines::default();
        for profile in &imported.profiles {
            put_profile(&mut lines, profile);
        }
        sections.push(("profiles", lines));
    }
    sections
}

/// What stands at the top beside the sections.
pub(super) fn scalars(imported: &Imported) -> Vec<Vec<String>> {
    let profile = imported
        .default_profile
        .as_ref()
        .map(|name| vec![format!("default_profile: {}", scalar(name.as_str()))]);
    let switching = imported.switching.map(|switching| {
        vec![
            "identity:".to_owned(),
            format!("  switching: {}", switching.word()),
        ]
    });
    profile.into_iter().chain(switching).collect()
}

/// Lines of YAML, each with its indentation.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(pub(super) Vec<String>);

impl Lines {
    fn put(&mut self, depth: usize, line: String) {
        self.0.push(if line.is_empty() {
            line
        } else {
            format!("{}{line}", "  ".repeat(depth))
        });
    }

    fn text(&mut self, depth: usize, key: &str, value: &str) {
        self.put(depth, format!("{}: {}", scalar(key), scalar(value)));
    }

    fn list(&mut self, depth: usize, key: &str, items: &[String]) {
        if !items.is_empty() {
            let items: Vec<String> = items.iter().map(|item| within_list(item)).collect();
            self.put(depth, format!("{key}: [{}]", items.join(", ")));
        }
    }

    fn map(&mut self, depth: usize, key: &str, entries: &[(String, String)]) {
        if !entries.is_empty() {
            self.put(depth, format!("{key}:"));
            for (name, value) in entries {
                self.text(depth + 1, name, value);
            }
        }
    }

    fn indented(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|line| format!("  {line}"))
    }
}

fn put_server(lines: &mut Lines, server: &Server) {
    lines.put(0, format!("{}:", scalar(server.name.as_str())));
    match &server.reach {
        Reach::Url { url, headers } => {
            lines.text(1, "url", url);
            lines.map(1, "headers", headers);
        }
        Reach::Command { command, env } => {
            lines.list(1, "command", command);
            lines.map(1, "env", env);
        }
    }
    if let Some(auth) = &server.auth {
        put_auth(lines, 1, auth);
    }
    if let Some(description) = &server.description {
        lines.text(1, "description", description);
    }
    if !server.include.is_empty() || !server.exclude.is_empty() {
        lines.put(1, "tools:".to_owned());
        lines.list(2, "include", &server.include);
        lines.list(2, "exclude", &server.exclude);
    }
    if !server.accounts.is_empty() {
        lines.put(1, "accounts:".to_owned());
        for account in &server.accounts {
            put_account(lines, account);
        }
    }
    if let Some(default) = &server.default {
        lines.text(1, "default", default.as_str());
    }
    if !server.enabled {
        lines.put(1, "enabled: false".to_owned());
    }
}

fn put_account(lines: &mut Lines, account: &Account) {
    let name = scalar(account.name.as_str());
    let before = lines.0.len();
    lines.put(2, format!("{name}:"));
    if let Some(label) = &account.label {
        lines.text(3, "label", label);
    }
    lines.list(3, "args", &account.args);
    lines.map(3, "env", &account.env);
    lines.map(3, "headers", &account.headers);
    if let Some(auth) = &account.auth {
        put_auth(lines, 3, auth);
    }
    if lines.0.len() == before + 1 {
        lines.0.pop();
        lines.put(2, format!("{name}: {{}}"));
    }
}

fn put_auth(lines: &mut Lines, depth: usize, auth: &Auth) {
    let (keys, into) = match auth {
        Auth::Bearer(name) => {
            lines.put(depth, "auth:".to_owned());
            lines.text(depth + 1, "bearer", &format!("vault:{name}"));
            return;
        }
        Auth::OAuth { keys, into } => (keys, into),
    };
    if keys.is_empty() && into.is_none() {
        lines.put(depth, "auth: oauth".to_owned());
        return;
    }
    lines.put(depth, "auth:".to_owned());
    lines.put(depth + 1, "oauth:".to_owned());
    for (key, value) in keys {
        match value {
            Said::Text(text) => lines.text(depth + 2, key, text),
            Said::List(items) => lines.list(depth + 2, key, items),
            Said::Number(number) => lines.put(depth + 2, format!("{key}: {number}")),
        }
    }
    if let Some(into) = into {
        lines.text(depth + 1, "into", into);
    }
}

fn put_profile(lines: &mut Lines, profile: &Profile) {
    lines.put(0, format!("{}:", scalar(profile.name.as_str())));
    if !profile.accounts.is_empty() {
        lines.put(1, "accounts:".to_owned());
        for (server, accounts) in &profile.accounts {
            let server = scalar(server.as_str());
            match accounts.as_slice() {
                [account] => lines.put(2, format!("{server}: {}", scalar(account.as_str()))),
                accounts => {
                    let names: Vec<String> = accounts
                        .iter()
                        .map(|name| name.as_str().to_owned())
                        .collect();
                    lines.list(2, &server, &names);
                }
            }
        }
    }
    let servers: Vec<String> = profile
        .servers
        .iter()
        .map(|name| name.as_str().to_owned())
        .collect();
    lines.list(1, "servers", &servers);
}

/// A text as a key or as the value of a key.
pub(super) fn scalar(text: &str) -> String {
    let url = text.starts_with("https://") || text.starts_with("http://");
    let plain =
        |c: char| is_plain(c) || (url && matches!(c, ':' | '?' | '&' | '~' | '+' | '@' | '%'));
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    if begins && text.chars().all(plain) && !text.ends_with(':') && !is_word(text) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// A text in `[…]`.
fn within_list(text: &str) -> String {
    let begins = text
        .trim_start_matches('-')
        .starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let dashes = !text.starts_with("---");
    if begins && dashes && text.chars().all(is_plain) && !is_word(text) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '=')
}

fn is_word(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    WORDS.contains(&text.as_str())
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if is_unseen(c) => quoted.extend(["\\U", &format!("{:08X}", u32::from(c))]),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Characters that YAML does not take as they are, or that a terminal and an editor would not show.
fn is_unseen(c: char) -> bool {
    let code = u32::from(c);
    c.is_control()
        || matches!(code, 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xFFFE | 0xFFFF)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_quoted_only_where_it_is_needed() {
        for (text, expected) in [
            ("npx", "npx"),
            ("https://a.example:8/mcp?x=1", "https://a.example:8/mcp?x=1"),
            ("no", "\"no\""),
            ("1.0", "\"1.0\""),
            ("", "\"\""),
            ("Bearer ${X}", "\"Bearer ${X}\""),
            ("a: b", "\"a: b\""),
            ("\u{1b}[31m", "\"\\U0000001B[31m\""),
        ] {
            assert_eq!(scalar(text), expected);
        }
        assert_eq!(within_list("--project-ref=A"), "--project-ref=A");
        assert_eq!(within_list("-"), "\"-\"");
    }

    proptest! {
        #[test]
        fn every_text_is_read_as_it_was(text in any::<String>(), wild in "[-:#&*!|>%@`{}\\[\\],?\"'a0 ~.=/y\\\\]{0,6}") {
            for text in [text, wild] {
                let block: serde_json::Value = serde_yaml::from_str(&format!("k: {}", scalar(&text))).unwrap();
                prop_assert_eq!(block["k"].as_str(), Some(text.as_str()));
                let flow: serde_json::Value = serde_yaml::from_str(&format!("[{}]", within_list(&text))).unwrap();
                prop_assert_eq!(flow[0].as_str(), Some(text.as_str()));
            }
        }
    }
}
