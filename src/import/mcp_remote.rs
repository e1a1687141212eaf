//! `npx mcp-remote URL …`: a program that makes a remote server look like a local one. Janus needs it not.

use super::entry::{Field, Section, Target};
use super::login::{Login, json, uri};
use super::words::SHORT_FLAGS_OF_HEADERS;

/// Flags of mcp-remote with a value that Janus has no use for.
const VALUES: [&str; 3] = ["--host", "--transport", "--auth-timeout"];

/// Flags of mcp-remote about its login, each with a value.
const LOGIN: [&str; 3] = [
    "--resource",
    "--static-oauth-client-info",
    "--static-oauth-client-metadata",
];

/// The remote server behind it, and the tools it hides; any other target stays what it is.
pub(super) fn unwrapped(
    at: &str,
    target: Target,
    notes: &mut Vec<String>,
) -> (Target, Vec<String>, Option<Login>) {
    let Target::Process { command, env } = &target else {
        return (target, Vec::new(), None);
    };
    let is_it = |word: &String| {
        let name = word.rsplit('/').next().unwrap_or_default();
        name == "mcp-remote" || name.starts_with("mcp-remote@")
    };
    let Some(position) = command.iter().position(is_it) else {
        return (target, Vec::new(), None);
    };
    let mut login = Login::default();
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
        } else if LOGIN.contains(&flag) {
            let value = inline.or_else(|| words.next().cloned()).unwrap_or_default();
            let value = with_variables(&value, env);
            if put(&mut login, flag, &value).is_none() {
                dropped.push(format!("`{flag}`"));
            }
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
        return (target, Vec::new(), None);
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
    // What it would find out by itself, Janus does too: nothing has to be written.
    let login = Some(login).filter(|login| headers.is_empty() && *login != Login::default());
    if headers.is_empty() && login.is_none() {
        notes.push(format!(
            "`{at}`: a login with mcp-remote is not taken over; if the server wants one, Janus asks for it"
        ));
    }
    (Target::Remote { url, headers }, excluded, login)
}

/// What a flag says of the login; `None` where it cannot be read.
fn put(login: &mut Login, flag: &str, value: &str) -> Option<()> {
    if flag == "--resource" {
        login.resource = Some(uri(value)?);
        return Some(());
    }
    let mut section = Section::new(String::new(), &json(value).into()).ok()?;
    let said = Login::of(&mut section).ok()?;
    if said == Login::default() {
        return None;
    }
    login.client_id = said.client_id.or_else(|| login.client_id.take());
    login.client_secret = said.client_secret.or_else(|| login.client_secret.take());
    if !said.scopes.is_empty() {
        login.scopes = said.scopes;
    }
    Some(())
}

/// A value with the variables that the entry itself sets.
fn with_variables(value: &str, env: &[Field]) -> String {
    env.iter().fold(value.to_owned(), |value, field| {
        value.replace(&format!("${{{}}}", field.name), &field.value)
    })
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
