//! `npx mcp-remote URL …`: a program that makes a remote server look like a local one. Janus needs it not.

use super::entry::{Field, Target};
use super::words::SHORT_FLAGS_OF_HEADERS;

/// Flags of mcp-remote with a value that Janus has no use for.
const VALUES: [&str; 6] = [
    "--host",
    "--transport",
    "--resource",
    "--auth-timeout",
    "--static-oauth-client-info",
    "--static-oauth-client-metadata",
];

/// The remote server behind it, and the tools it hides; any other target stays what it is.
pub(super) fn unwrapped(
    at: &str,
    target: Target,
    notes: &mut Vec<String>,
) -> (Target, Vec<String>) {
    let Target::Process { command, env } = &target else {
        return (target, Vec::new());
    };
    let is_it = |word: &String| {
        let name = word.rsplit('/').next().unwrap_or_default();
        name == "mcp-remote" || name.starts_with("mcp-remote@")
    };
    let Some(position) = command.iter().position(is_it) else {
        return (target, Vec::new());
    };
    let (mut url, mut headers, mut excluded, mut dropped) =
        (None, Vec::new(), Vec::new(), Vec::new());
    let mut words = command.iter().skip(position + 1);
    while let Some(word) = words.next() {
        let (flag, inline) = word
            .split_once('=')
            .filter(|_| word.starts_with('-'))
            .map_or((word.as_str(), None), |(f, v)| (f, Some(v.to_owned())));
        if SHORT_FLAGS_OF_HEADERS.contains(&flag) {
            let value = inline.or_else(|| words.next().cloned()).unwrap_or_default();
            headers.extend(header(&value, env));
        } else if flag == "--ignore-tool" {
            excluded.extend(inline.or_else(|| words.next().cloned()));
        } else if VALUES.contains(&flag) {
            if inline.is_none() {
                words.next();
            }
            dropped.push(format!("`{flag}`"));
        } else if flag.starts_with('-') {
            // Unknown flags may hold anything: only known ones are named.
            let known = matches!(
                flag,
                "--allow-http" | "--debug" | "--silent" | "--enable-proxy"
            );
            dropped.push(if known {
                format!("`{flag}`")
            } else {
                "a flag".to_owned()
            });
        } else if url.is_none() {
            url = Some(word.clone());
        } else {
            dropped.push("the port of its login".to_owned());
        }
    }
    let Some(url) = url else {
        return (target, Vec::new());
    };
    notes.push(format!(
        "`{at}`: Janus speaks to the remote server itself; mcp-remote is not needed"
    ));
    let used = |field: &&Field| {
        let reference = format!("${{{}}}", field.name);
        command.iter().any(|word| word.contains(&reference))
    };
    if env.iter().any(|field| !used(&field)) {
        dropped.push("its variables".to_owned());
    }
    if !dropped.is_empty() {
        notes.push(format!(
            "`{at}`: no counterpart for {} of mcp-remote",
            dropped.join(", ")
        ));
    }
    if headers.is_empty() {
        notes.push(format!(
            "`{at}`: a login with mcp-remote is not taken over, and Janus cannot log in yet"
        ));
    }
    (Target::Remote { url, headers }, excluded)
}

/// `K:V`, with the variables that the entry itself sets.
fn header(text: &str, env: &[Field]) -> Option<Field> {
    let (name, value) = text.split_once(':')?;
    let mut value = value.trim().to_owned();
    let mut secret = false;
    for field in env {
        let reference = format!("${{{}}}", field.name);
        if value.contains(&reference) {
            value = value.replace(&reference, &field.value);
            secret |= super::words::is_secret_name(&field.name);
        }
    }
    let name = name.trim();
    let mut field = Field::new(name, value);
    field.secret = secret;
    Some(field)
}
