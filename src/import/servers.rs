//! The lists of MCP clients: `mcpServers` and its cousins, in all the spellings of their keys.

use serde_json::{Map, Value};

use super::NotImported;
use super::entry::{Entry, Field, Found, Section, Target, listed, text, wrong};
use super::login::{Login, says_who};
use super::mcp_remote;
use super::words::shown;

/// Where clients keep their servers.
const LISTS: [&str; 7] = [
    "mcpServers",
    "servers",
    "mcp",
    "context_servers",
    "extensions",
    "mcp_servers",
    "amp.mcpServers",
];

/// Keys beside the servers that say nothing about them.
const SILENT: [&str; 3] = ["$schema", "inputs", "version"];

const URLS: [&str; 5] = ["url", "serverUrl", "httpUrl", "uri", "endpoint"];
const COMMANDS: [&str; 2] = ["command", "cmd"];

/// Keys that ask for a login.
const LOGINS: [&str; 4] = ["oauth", "auth", "authorization", "authProviderType"];

/// Keys that name a program which gives a token or headers.
const HELPERS: [&str; 2] = ["headersHelper", "http_headers_helper"];

/// Keys of clients for what Janus decides by itself, or leaves to the client.
const TRANSPORTS: [&str; 3] = ["type", "transport", "source"];

pub(super) fn read(root: &Map<String, Value>) -> Result<Found, NotImported> {
    let mut found = Found::default();
    let mut others = Vec::new();
    let mut lists = 0;
    for (key, value) in root {
        match (key.as_str(), value) {
            ("mcp", Value::Object(within)) if is_wrapper(within) => {
                for (inner, value) in within {
                    if matches!(inner.as_str(), "servers" | "mcpServers") {
                        lists += 1;
                        list(&format!("mcp.{inner}"), value, &mut found)?;
                    }
                }
            }
            (key, value) if LISTS.contains(&key) && !value.is_null() => {
                lists += 1;
                list(key, value, &mut found)?;
            }
            ("projects", Value::Object(projects)) => tell_projects(projects, &mut found.notes),
            (key, _) if SILENT.contains(&key) => {}
            (key, _) => others.push(key),
        }
    }
    if lists == 0 && !root.is_empty() && root.values().all(is_server) {
        list("the file", &Value::Object(root.clone()), &mut found)?;
        others.clear();
        lists = 1;
    }
    if let Some(keys) = listed(others) {
        found
            .notes
            .push(format!("not about servers, and left behind: {keys}"));
    }
    if lists == 0 || (found.entries.is_empty() && found.notes.is_empty()) {
        return Err(NotImported::NoServers {
            expected: "a map below `mcpServers`, `servers`, `mcp`, `context_servers` or `extensions`",
        });
    }
    Ok(found)
}

/// VS Code's settings keep `servers` below `mcp`, where opencode has the servers themselves.
fn is_wrapper(within: &Map<String, Value>) -> bool {
    ["servers", "mcpServers"].iter().any(|key| {
        within
            .get(*key)
            .is_some_and(|value| value.is_object() && !is_server(value))
    })
}

fn is_server(value: &Value) -> bool {
    let keys = || URLS.iter().chain(&COMMANDS);
    value
        .as_object()
        .is_some_and(|map| keys().any(|key| map.contains_key(*key)))
}

fn tell_projects(projects: &Map<String, Value>, notes: &mut Vec<String>) {
    for (directory, project) in projects {
        let servers = project.get("mcpServers").and_then(Value::as_object);
        if let Some(names) = servers.and_then(|map| listed(map.keys().map(String::as_str))) {
            notes.push(format!(
                "`projects.{}.mcpServers` is of one directory, and left behind: {names}",
                shown(directory)
            ));
        }
    }
}

fn list(at: &str, value: &Value, found: &mut Found) -> Result<(), NotImported> {
    let named: Vec<(String, String, &Value)> = match value {
        Value::Object(map) => {
            let place = |name: &str| format!("{at}.{}", shown(name));
            map.iter()
                .map(|(name, value)| (place(name), name.clone(), value))
                .collect()
        }
        // Some clients write a list, with the names inside.
        Value::Array(items) => {
            let name = |item: &Value| Some(item.get("name")?.as_str()?.to_owned());
            let named = items.iter().enumerate();
            named
                .map(|(index, item)| {
                    (
                        format!("{at}[{index}]"),
                        name(item).unwrap_or_default(),
                        item,
                    )
                })
                .collect()
        }
        other => return Err(wrong(at, "a map", other)),
    };
    for (at, name, value) in named {
        let section = Section::new(at, value)?;
        found
            .entries
            .extend(entry(section, &name, &mut found.notes)?);
    }
    Ok(())
}

fn entry(
    mut section: Section,
    name: &str,
    notes: &mut Vec<String>,
) -> Result<Option<Entry>, NotImported> {
    let at = section.at.clone();
    // Goose and lists repeat the name inside.
    if let Some(inner) = section.text(&["name"])?
        && inner != name
    {
        notes.push(format!("`{at}`: no counterpart for `name`"));
    }
    tell_transport(&mut section, notes)?;
    let mut login = login(&mut section, notes)?;
    let Some(target) = target(&mut section, notes)? else {
        notes.push(format!(
            "`{at}`: has neither a URL nor a command, and is left out"
        ));
        return Ok(None);
    };
    if is_janus(&target) {
        notes.push(format!("`{at}`: is Janus itself, and is left out"));
        return Ok(None);
    }
    let (target, remote_excludes, of_remote) = mcp_remote::unwrapped(&at, target, notes);
    login = login.or(of_remote);
    match &target {
        Target::Remote { headers, .. } => {
            let proof = headers.iter().find(|field| says_who(&field.name));
            if let (Some(_), Some(field)) = (&login, proof) {
                notes.push(format!(
                    "`{at}`: has the header `{}`, and its login is left out",
                    shown(&field.name)
                ));
                login = None;
            }
        }
        Target::Process { .. } if login.is_some() => {
            notes.push(format!(
                "`{at}`: a login is of no use to a process, and is left out"
            ));
            login = None;
        }
        Target::Process { .. } => {}
    }
    let mut entry = Entry::new(at, name, target);
    entry.login = login;
    entry.description = section.text(&["description"])?;
    entry.enabled = section.switch(&["enabled"]).unwrap_or(true)
        && !section.switch(&["disabled"]).unwrap_or(false);
    entry.include = tools(
        &mut section,
        &["includeTools", "enabled_tools", "available_tools", "tools"],
    )?;
    entry.exclude = tools(
        &mut section,
        &["excludeTools", "disabledTools", "disabled_tools"],
    )?;
    entry.exclude.extend(remote_excludes);
    section.tell_left(notes);
    Ok(Some(entry))
}

/// Names of tools; `*` alone is all, which needs no word.
fn tools(section: &mut Section, keys: &[&str]) -> Result<Vec<String>, NotImported> {
    let tools = section.texts(keys)?;
    Ok(if tools.iter().any(|tool| tool == "*") {
        Vec::new()
    } else {
        tools
    })
}

fn tell_transport(section: &mut Section, notes: &mut Vec<String>) -> Result<(), NotImported> {
    for key in TRANSPORTS {
        let Some(kind) = section.text(&[key])? else {
            continue;
        };
        match kind.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
            "sse" => notes.push(format!(
                "`{}`: the old HTTP+SSE transport, which Janus does not speak; it is written as Streamable HTTP",
                section.at
            )),
            "ws" | "websocket" => notes.push(format!(
                "`{}`: WebSocket, which Janus does not speak; it is written as Streamable HTTP",
                section.at
            )),
            _ => {}
        }
    }
    Ok(())
}

/// A login that the entry asks for, in the words of its client.
fn login(section: &mut Section, notes: &mut Vec<String>) -> Result<Option<Login>, NotImported> {
    let mut login = None;
    for key in LOGINS {
        let at = format!("{}.{key}", section.at);
        match section.take(&[key]) {
            None | Some(Value::Bool(false)) => {}
            Some(map @ Value::Object(_)) => {
                let mut keys = Section::new(at, &map)?;
                keys.take(&["enabled"]);
                keys.take(&["type"]);
                let said = Login::of(&mut keys)?;
                keys.tell_left(notes);
                login.get_or_insert(said);
            }
            Some(_) => {
                login.get_or_insert_with(Login::default);
            }
        }
    }
    if let Some(resource) = section.text(&["oauth_resource"])? {
        login.get_or_insert_with(Login::default).resource = super::login::uri(&resource);
    }
    for key in HELPERS {
        if section.take(&[key]).is_some() {
            notes.push(format!(
                "`{}.{key}` runs a program that gives headers; it is left out, write it as `auth: {{ command: [program, argument] }}` if it prints a token",
                section.at
            ));
        }
    }
    Ok(login)
}

fn target(section: &mut Section, notes: &mut Vec<String>) -> Result<Option<Target>, NotImported> {
    let at = section.at.clone();
    if let Some(url) = section.text(&URLS)? {
        let mut headers = section.fields(&["headers", "http_headers"])?;
        for field in section.fields(&["env_http_headers"])? {
            headers.push(Field::new(&field.name, format!("${{{}}}", field.value)));
        }
        if let Some(variable) = section.text(&["bearer_token_env_var"])? {
            headers.push(Field::new(
                "Authorization",
                format!("Bearer ${{{variable}}}"),
            ));
        }
        return Ok(Some(Target::Remote { url, headers }));
    }
    let Some(command) = section.take(&COMMANDS) else {
        return Ok(None);
    };
    let mut inner = Vec::new();
    let mut words = match command {
        Value::Array(words) => {
            let at = format!("{at}.command");
            words
                .iter()
                .map(|word| text(&at, word))
                .collect::<Result<_, _>>()?
        }
        // Zed's older form: the command is a map of its own.
        Value::Object(_) => {
            let mut within = Section::new(format!("{at}.command"), &command)?;
            let mut words: Vec<String> = within.text(&["path", "command"])?.into_iter().collect();
            words.extend(within.texts(&["args"])?);
            inner = within.fields(&["env"])?;
            within.tell_left(notes);
            words
        }
        other => vec![text(&format!("{at}.command"), &other)?],
    };
    let args = section.texts(&["args"])?;
    if let [line] = words.as_slice()
        && args.is_empty()
        && is_line(line)
    {
        notes.push(format!(
            "`{at}`: the command was one text, and is taken apart at its spaces"
        ));
        words = line.split_whitespace().map(str::to_owned).collect();
    }
    words.extend(args);
    if words.first().is_none_or(String::is_empty) {
        return Ok(None);
    }
    let mut env = section.fields(&["env", "environment", "envs"])?;
    env.extend(inner);
    // Names whose values are in the client's own keyring or environment.
    for name in section.texts(&["env_keys", "env_vars"])? {
        if !env.iter().any(|field| field.name == name) {
            env.push(Field::new(&name, format!("${{{name}}}")));
        }
    }
    if section.take(&["envFile"]).is_some() {
        notes.push(format!(
            "`{at}`: `envFile` is not read; its variables belong in `env` of the result"
        ));
    }
    Ok(Some(Target::Process {
        command: words,
        env,
    }))
}

/// Whether a command is a whole line for a shell: a path may hold spaces, and quotes need a shell.
fn is_line(command: &str) -> bool {
    command.contains(' ')
        && !command.starts_with(['/', '~', '.', '"', '\''])
        && !command.contains(['"', '\'', '\\'])
}

fn is_janus(target: &Target) -> bool {
    match target {
        Target::Process { command, .. } => {
            let program = command
                .first()
                .and_then(|program| program.rsplit('/').next());
            program == Some("janus") && command.get(1).is_some_and(|verb| verb == "connect")
        }
        Target::Remote { url, .. } => ["http://127.0.0.1:7332/mcp", "http://localhost:7332/mcp"]
            .iter()
            .any(|own| url.starts_with(own)),
    }
}
