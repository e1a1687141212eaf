//! From what the file says to what Janus does: how the keys fit together, and the defaults.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::Environment;
use super::container::{Field, List, Map};
use super::file::{self, Document, HeaderName, VariableName};
use super::problem::{ConfigError, Mistake, Place, Problems};
use super::value::Text;
use crate::model::{
    Command, Endpoint, HttpEndpoint, Listen, Secret, Server, ServerName, Settings, ToolFilter,
};

/// What counts without a key.
pub(super) mod defaults {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::time::Duration;

    /// Loopback: whoever reaches it can use every account.
    pub(crate) const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7332);
    /// Longer than tools usually think, shorter than people usually wait.
    pub(crate) const TIMEOUT: Duration = Duration::from_mins(1);
    /// Long enough that a working session does not start its servers again and again.
    pub(crate) const IDLE: Duration = Duration::from_mins(10);
    /// A client that was left open over night goes on in the morning.
    pub(crate) const SESSION_IDLE: Duration = Duration::from_hours(24);
}

/// The keys of a local process.
pub(super) const PROCESS_KEYS: [&str; 4] = ["command", "args", "env", "idle"];

/// The keys of a remote server.
pub(super) const REMOTE_KEYS: [&str; 3] = ["url", "headers", "tls"];

/// `sun_path` of a socket address has 108 bytes, the last of them zero.
const LONGEST_SOCKET: usize = 107;

/// The headers that belong to the transport. A fixed value would break it.
const OWNED_HEADERS: [&str; 14] = [
    "accept",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "last-event-id",
    "mcp-protocol-version",
    "mcp-session-id",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A configuration that was read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// What Janus runs with.
    pub settings: Settings,
    /// The servers with `enabled: false`, in the order of the file.
    pub disabled: Vec<Arc<Server>>,
}

/// Fills in the defaults, and notes what does not fit together. What is wrong is left out of the result.
pub(super) fn check(
    document: Document,
    environment: &Environment,
    problems: &mut Problems,
) -> Result<Loaded, ConfigError> {
    let state_directory = environment.state_directory().ok_or(ConfigError::NoHome)?;
    let listen = listen(
        document.listen.or(file::Listen::default()),
        environment,
        problems,
    );
    let (mut servers, mut disabled) = (Vec::new(), Vec::new());
    for (name, server) in document.servers.or(Map::default()).0 {
        let enabled = server
            .value
            .enabled
            .value
            .as_ref()
            .is_none_or(|at| at.value.0);
        let list = if enabled { &mut servers } else { &mut disabled };
        list.extend(self::server(name.value, server.value, &name.place, problems).map(Arc::new));
    }
    Ok(Loaded {
        settings: Settings {
            identity: crate::model::Identity::plain(servers.iter().map(|server| {
                let accounts = server.accounts.iter().map(|one| one.name.clone());
                (&server.name, accounts.collect())
            })),
            file: None,
            listen,
            state_directory,
            servers,
            child_environment: environment.child_environment(),
            proxy: environment.proxy(),
        },
        disabled,
    })
}

fn listen(listen: file::Listen, environment: &Environment, problems: &mut Problems) -> Listen {
    let allow_remote = listen.allow_remote.value.is_some_and(|at| at.value.0);
    if let Some(at) = &listen.http.value {
        refuse_remote(at.value.0, &at.place, allow_remote, problems);
    }
    if let Some(at) = &listen.socket.value
        && at.value.0.as_os_str().len() > LONGEST_SOCKET
    {
        let expected =
            format!("a path of at most {LONGEST_SOCKET} bytes, the limit of unix sockets");
        problems.add(&at.place, Mistake::BadValue { expected });
    }
    Listen {
        control: control_socket(environment),
        http: listen
            .http
            .into_value()
            .map_or(defaults::HTTP, |address| address.0),
        socket: listen
            .socket
            .into_value()
            .map_or_else(|| default_socket(environment), |path| path.0),
        session_idle: listen
            .session_idle
            .into_value()
            .map_or(defaults::SESSION_IDLE, |wait| wait.0),
    }
}

/// Without client keys and TLS, an address that others reach would give them every account.
fn refuse_remote(address: SocketAddr, place: &Place, allowed: bool, problems: &mut Problems) {
    if address.ip().is_loopback() {
        return;
    }
    let why = if allowed {
        "not a loopback address, and `allow_remote` cannot help: client keys and TLS do not exist yet"
    } else {
        "not a loopback address: whoever reached it could use every account"
    };
    let help = "use 127.0.0.1 or [::1], and ssh -L from other machines";
    problems.add_with_help(place, Mistake::does_not_fit(why), help);
}

/// Beside the MCP socket's usual place. Which file is read must not change where the running daemon is found.
fn control_socket(environment: &Environment) -> PathBuf {
    let directory = environment.runtime_directory();
    std::path::absolute(&directory)
        .unwrap_or(directory)
        .join("control.sock")
}

fn default_socket(environment: &Environment) -> PathBuf {
    let directory = environment.runtime_directory();
    std::path::absolute(&directory)
        .unwrap_or(directory)
        .join("mcp.sock")
}

fn server(
    name: ServerName,
    server: file::Server,
    place: &Place,
    problems: &mut Problems,
) -> Option<Server> {
    refuse_mixed(&server, place, problems);
    let command = server.command.value.is_some();
    let process = command.then(|| process(server.command, server.args, server.env, problems));
    // Checked even if the URL is wrong: every mistake is noted.
    let headers = headers(server.headers.or(Map::default()), problems);
    let tls = server.tls.or(file::Tls::default());
    let remote = server.url.into_value().map(|url| HttpEndpoint {
        url: url.0,
        headers,
        ca: tls.ca.into_value().map(|ca| ca.0),
    });
    let endpoint = match (process, remote) {
        (Some(process), _) => Endpoint::Process(process?),
        (None, remote) => Endpoint::Http(remote?),
    };
    let tools = server.tools.or(file::Tools::default());
    Some(Server {
        name,
        accounts: vec![crate::model::Account::only(endpoint)],
        default: None,
        description: server.description.into_value().map(|text| text.0),
        timeout: server
            .timeout
            .into_value()
            .map_or(defaults::TIMEOUT, |wait| wait.0),
        idle: server
            .idle
            .into_value()
            .map_or(Some(defaults::IDLE), |wait| wait.0),
        sharing: server.sharing.into_value().unwrap_or_default(),
        era: server.era.into_value().unwrap_or_default(),
        tools: ToolFilter {
            include: tools
                .include
                .into_value()
                .map_or_else(|| ToolFilter::default().include, texts),
            exclude: tools.exclude.into_value().map_or_else(Vec::new, texts),
        },
    })
}

/// A server is remote or local, and has the keys of one kind.
fn refuse_mixed(server: &file::Server, place: &Place, problems: &mut Problems) {
    match (&server.url.key, &server.command.key) {
        (None, None) => {
            let what = "`url` or `command`".to_owned();
            let help = "write `url: https://…` for a remote server, `command: [program, argument]` for a local process";
            problems.add_with_help(place, Mistake::Missing { what }, help);
        }
        (Some(_), Some(command)) => {
            let why = "a server has `url` or `command`, not both";
            problems.add_with_help(
                command,
                Mistake::does_not_fit(why),
                "make two servers of it",
            );
        }
        (Some(_), None) => {
            for (name, key) in [
                ("args", &server.args.key),
                ("env", &server.env.key),
                ("idle", &server.idle.key),
            ] {
                let help = match name {
                    "env" => "fixed values go to a remote server in `headers`",
                    _ => "remove it",
                };
                misfit(name, key.as_ref(), "a local process", "url", help, problems);
            }
        }
        (None, Some(_)) => {
            for (name, key) in [("headers", &server.headers.key), ("tls", &server.tls.key)] {
                let help = match name {
                    "headers" => "values go to a process in `env`",
                    _ => "remove it",
                };
                misfit(
                    name,
                    key.as_ref(),
                    "a remote server",
                    "command",
                    help,
                    problems,
                );
            }
        }
    }
}

fn misfit(
    name: &str,
    key: Option<&Place>,
    owner: &str,
    kind: &str,
    help: &str,
    problems: &mut Problems,
) {
    if let Some(place) = key {
        let why = format!("`{name}` belongs to {owner}, and this server has `{kind}`");
        problems.add_with_help(place, Mistake::DoesNotFit { why }, help);
    }
}

fn process(
    command: Field<List<Text>>,
    args: Field<List<Text>>,
    env: Field<Map<VariableName, Text>>,
    problems: &mut Problems,
) -> Option<Command> {
    let command = command.value?;
    let mut words = texts(command.value).into_iter();
    let program = words.next().filter(|program| !program.is_empty());
    let Some(program) = program else {
        problems.add(
            &command.place,
            Mistake::bad_value("a list that begins with the program"),
        );
        return None;
    };
    Some(Command {
        program,
        args: words
            .chain(args.into_value().map_or_else(Vec::new, texts))
            .collect(),
        env: env
            .or(Map::default())
            .0
            .into_iter()
            .map(|(name, value)| (name.value.0, Secret::new(value.value.0)))
            .collect(),
    })
}

fn headers(
    headers: Map<HeaderName, Text>,
    problems: &mut Problems,
) -> Vec<(http::HeaderName, Secret)> {
    let mut checked: Vec<(http::HeaderName, Secret)> = Vec::new();
    for (name, value) in headers.0 {
        let header = name.value.0;
        if OWNED_HEADERS.contains(&header.as_str()) {
            let why = format!("Janus sets the header `{header}` itself");
            problems.add_with_help(&name.place, Mistake::DoesNotFit { why }, "remove it");
        } else if checked.iter().any(|(other, _)| *other == header) {
            let why =
                format!("the header `{header}` is there twice; upper and lower case are the same");
            problems.add_with_help(&name.place, Mistake::DoesNotFit { why }, "keep one of them");
        } else if http::HeaderValue::from_str(&value.value.0).is_err() {
            problems.add(
                &value.place,
                Mistake::bad_value("visible ASCII characters, as in every HTTP header"),
            );
        } else {
            checked.push((header, Secret::new(value.value.0)));
        }
    }
    checked
}

fn texts(list: List<Text>) -> Vec<String> {
    list.0.into_iter().map(|at| at.value.0).collect()
}
