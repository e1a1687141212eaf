//! The settings in force as a document: defaults filled in, values that may be secrets as `****`.
//!
//! Invariant: what is shown is itself a configuration.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::choice::Word;
use super::date::spelled_moment;
use super::fillings::Fillings;
use super::settings::Loaded;
use super::value::spelled;
use crate::model::{
    Account, AccountName, Auth, Authentication, Client, Command, Endpoint, Identity, Profile,
    ProfileName, SecretValue, Server, VaultSettings, Written, looks_secret,
};

/// What a value that may be a secret looks like.
const MASK: &str = "****";

type Keys = Map<String, Value>;

/// The settings in the keys of the file.
///
/// Of the environment, headers, queries of URLs and arguments only names are shown: tokens are written to all of them.
/// An account is shown with what it inherits.
pub fn effective(loaded: &Loaded) -> Value {
    let listen = &loaded.settings.listen;
    let enabled = loaded.settings.servers.iter().map(|s| (s, true));
    let disabled = loaded.disabled.iter().map(|s| (s, false));
    let servers: Keys = enabled
        .chain(disabled)
        .map(|(s, enabled)| {
            let fillings = loaded.templates.get(&s.name);
            (s.name.to_string(), server(s, fillings, enabled))
        })
        .collect();
    let mut document = Keys::new();
    document.insert("version".to_owned(), 1.into());
    document.insert("servers".to_owned(), servers.into());
    identity(&loaded.written, &mut document);
    let listen = json!({
        "http": listen.http.to_string(),
        "socket": listen.socket.to_string_lossy(),
        "session_idle": spelled(listen.session_idle),
        "question_timeout": spelled(listen.question_timeout),
        "upgrade_on_reload": listen.upgrade_on_reload,
        "allow_remote": false,
    });
    document.insert("listen".to_owned(), listen);
    document.insert("vault".to_owned(), vault(&loaded.settings.vault));
    document.into()
}

fn vault(vault: &VaultSettings) -> Value {
    let mut keys = Keys::new();
    put(&mut keys, "key", Word::word(vault.key));
    if let Some(file) = &vault.key_file {
        put(&mut keys, "key_file", file.to_string_lossy());
    }
    keys.into()
}

/// How an account proves who it is. Where its secret is is no secret.
fn auth(auth: &Authentication) -> Option<Value> {
    let mut keys = Keys::new();
    match &auth.how {
        Auth::Left => return None,
        Auth::None => return Some("none".into()),
        Auth::Bearer(value) => put(&mut keys, "bearer", value.to_string()),
        Auth::Basic { user, password } => {
            put(&mut keys, "basic", user.as_str());
            put(&mut keys, "password", password.to_string());
        }
        Auth::Header {
            name,
            value,
            prefix,
        } => {
            put(&mut keys, "header", name.as_str());
            put(&mut keys, "value", value.to_string());
            put(&mut keys, "prefix", prefix.as_str());
        }
        Auth::OAuth(oauth) => match super::oauth::shown(oauth) {
            keys if keys.is_empty() && auth.into.is_none() => return Some("oauth".into()),
            shown => put(&mut keys, "oauth", shown),
        },
        Auth::Query { name, value } => {
            put(&mut keys, "query", name.as_str());
            put(&mut keys, "value", value.to_string());
        }
        Auth::Helper {
            helper,
            header,
            prefix,
        } => {
            let shown = Command {
                program: String::new(),
                args: helper.argv.iter().skip(1).cloned().collect(),
                env: Vec::new(),
            };
            let program = helper.argv.first().cloned();
            let words = program.into_iter().chain(shown.shown().into_iter().skip(1));
            put(&mut keys, "command", words.collect::<Vec<_>>());
            put(&mut keys, "ttl", spelled(helper.ttl));
            put(&mut keys, "format", Word::word(helper.format));
            put(&mut keys, "timeout", spelled(helper.timeout));
            put(&mut keys, "header", header.as_str());
            put(&mut keys, "prefix", prefix.as_str());
            for (key, pointer) in [
                ("pointer", &helper.pointer),
                ("expiry_pointer", &helper.expiry_pointer),
            ] {
                if let Some(pointer) = pointer {
                    put(&mut keys, key, pointer.as_str());
                }
            }
            let passed: Vec<&str> = helper
                .pass_env
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            if !passed.is_empty() {
                put(&mut keys, "pass_env", passed);
            }
        }
    }
    if let Some(into) = &auth.into {
        put(&mut keys, "into", into.as_str());
    }
    Some(keys.into())
}

fn server(server: &Server, fillings: Option<&Fillings>, enabled: bool) -> Value {
    let mut keys = Keys::new();
    if let Some(fillings) = fillings {
        put(&mut keys, "template", fillings.template.as_str());
        params(&fillings.server, &mut keys);
    }
    endpoint(server, fillings, &mut keys);
    if let Some(description) = &server.description {
        put(&mut keys, "description", description.as_str());
    }
    put(&mut keys, "timeout", spelled(server.timeout));
    put(&mut keys, "sharing", server.sharing.word());
    put(&mut keys, "era", server.era.word());
    put(
        &mut keys,
        "tools",
        json!({ "include": server.tools.include, "exclude": server.tools.exclude }),
    );
    put(&mut keys, "enabled", enabled);
    keys.into()
}

fn put(keys: &mut Keys, key: &str, value: impl Into<Value>) {
    keys.insert(key.to_owned(), value.into());
}

/// What a template leaves open. What looks like a secret is none that belongs there, and is not shown.
fn params(params: &[(String, String)], keys: &mut Keys) {
    if params.is_empty() {
        return;
    }
    let shown = params.iter().map(|(name, value)| {
        let hidden = looks_secret(value);
        (name.clone(), if hidden { MASK } else { value }.into())
    });
    put(keys, "params", shown.collect::<Keys>());
}

/// Where the server is, unless its template says so, and its accounts, unless it has only the one that it has without any.
fn endpoint(server: &Server, fillings: Option<&Fillings>, keys: &mut Keys) {
    let Some(first) = server.accounts.first() else {
        return;
    };
    let of_template = fillings.and_then(|fillings| fillings.target);
    let shared = of_template.unwrap_or_else(|| shared_arguments(server));
    match &first.endpoint {
        Endpoint::Process(command) => {
            if of_template.is_none() {
                let words: Vec<String> = command.shown().into_iter().take(1 + shared).collect();
                put(keys, "command", words);
            }
            put(keys, "idle", spelled(server.idle.unwrap_or(Duration::ZERO)));
        }
        Endpoint::Http(remote) => {
            if of_template.is_none() {
                put(keys, "url", remote.shown());
            }
            put(keys, "transport", server.transport.word());
            if let Some(ca) = &remote.ca {
                put(keys, "tls", json!({ "ca": ca.to_string_lossy() }));
            }
        }
    }
    let plain = first.name == AccountName::default_account()
        && first.label.is_none()
        && first.color.is_none();
    if plain && server.accounts.len() == 1 {
        own(first, of_template, keys);
        return;
    }
    let accounts: Keys = server
        .accounts
        .iter()
        .map(|account| {
            let params = fillings.and_then(|fillings| fillings.accounts.get(&account.name));
            let mut shown = self::account(account, shared);
            self::params(params.map_or(&[], Vec::as_slice), &mut shown);
            (account.name.to_string(), shown.into())
        })
        .collect();
    put(keys, "accounts", accounts);
    if let Some((name, _)) = &server.default {
        put(keys, "default", name.as_str());
    }
}

/// How many arguments all accounts begin with: the command's own, and what they do not change.
fn shared_arguments(server: &Server) -> usize {
    let mut lists = server
        .accounts
        .iter()
        .map(|account| match &account.endpoint {
            Endpoint::Process(Command { args, .. }) => args.as_slice(),
            Endpoint::Http(_) => &[],
        });
    let first = lists.next().unwrap_or_default();
    lists.fold(first.len(), |shared, list| {
        let pairs = first.iter().zip(list).take(shared);
        pairs.take_while(|(one, other)| one == other).count()
    })
}

fn account(account: &Account, shared: usize) -> Keys {
    let mut keys = Keys::new();
    own(account, Some(shared), &mut keys);
    if let Some(label) = &account.label {
        put(&mut keys, "label", label.as_str());
    }
    if let Some(color) = account.color {
        put(&mut keys, "color", color.word());
    }
    keys
}

/// What differs between accounts; the arguments after the shared ones, where there are accounts.
fn own(account: &Account, shared: Option<usize>, keys: &mut Keys) {
    if let Some(auth) = auth(&account.auth) {
        put(keys, "auth", auth);
    }
    match &account.endpoint {
        Endpoint::Process(command) => {
            if let Some(shared) = shared {
                let args: Vec<String> = command.shown().into_iter().skip(1 + shared).collect();
                put(keys, "args", args);
            }
            put(
                keys,
                "env",
                masked(
                    command
                        .env
                        .iter()
                        .map(|(name, value)| (name.as_str(), value)),
                ),
            );
        }
        Endpoint::Http(remote) => {
            let headers = remote.headers.iter();
            put(
                keys,
                "headers",
                masked(headers.map(|(name, value)| (name.as_str(), value))),
            );
        }
    }
}

/// The sections beside the servers. The one profile that counts without any is shown if it reaches something.
fn identity(identity: &Identity, document: &mut Keys) {
    let shown =
        |profile: &&Profile| profile.written != Written::nowhere() || !profile.reach.is_empty();
    let profiles: Keys = identity
        .profiles
        .iter()
        .filter(shown)
        .map(|one| (one.name.to_string(), profile(one)))
        .collect();
    if !profiles.is_empty() {
        put(document, "profiles", profiles);
    }
    if let Some((name, _)) = &identity.default_profile {
        put(document, "default_profile", name.as_str());
    }
    let bindings = identity.bindings.iter().map(|rule| {
        let mut keys = Keys::new();
        if let Some(directory) = &rule.directory {
            put(&mut keys, "directory", directory.to_string_lossy());
        }
        if let Some(client) = &rule.client {
            put(&mut keys, "client", client.as_str());
        }
        put(&mut keys, "profile", rule.profile.as_str());
        Value::from(keys)
    });
    put(document, "bindings", bindings.collect::<Vec<_>>());
    put(
        document,
        "identity",
        json!({ "switching": identity.switching.word() }),
    );
    if let Some(clients) = &identity.clients {
        let clients = clients.iter().map(|one| (one.id.to_string(), client(one)));
        put(document, "clients", clients.collect::<Keys>());
    }
}

fn profile(profile: &Profile) -> Value {
    let (mut accounts, mut servers) = (Keys::new(), Vec::new());
    for reach in &profile.reach {
        let names: Vec<&str> = reach.accounts.iter().map(AccountName::as_str).collect();
        let value = match &names[..] {
            _ if !reach.ordered => {
                servers.push(reach.server.as_str());
                continue;
            }
            [only] => Value::from(*only),
            several => several.into(),
        };
        accounts.insert(reach.server.to_string(), value);
    }
    json!({
        "accounts": accounts,
        "servers": servers,
        "guarded": profile.guarded,
        "switching": profile.switching.word(),
    })
}

fn client(client: &Client) -> Value {
    let mut keys = Keys::new();
    match &client.profiles[..] {
        [] => {}
        [only] => put(&mut keys, "profile", only.as_str()),
        several => {
            let names: Vec<&str> = several.iter().map(ProfileName::as_str).collect();
            put(&mut keys, "profiles", names);
        }
    }
    if let Some(expires) = client.expires {
        put(&mut keys, "expires", spelled_moment(expires));
    }
    if client.url_elicitation {
        put(&mut keys, "url_elicitation", true);
    }
    keys.into()
}

fn masked<'a>(entries: impl Iterator<Item = (&'a str, &'a SecretValue)>) -> Value {
    let shown = |value: &SecretValue| {
        value
            .reference()
            .map_or_else(|| MASK.to_owned(), ToString::to_string)
    };
    entries
        .map(|(name, value)| (name.to_owned(), shown(value).into()))
        .collect::<Keys>()
        .into()
}
