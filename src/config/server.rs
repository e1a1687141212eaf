//! Servers and their accounts: which keys belong together, and what an account inherits.

use std::sync::Arc;

use super::container::{Field, Map};
use super::endpoint::{Base, Own};
use super::file;
use super::fillings::{Fillings, From, Reading, params, says_nothing, taken};
use super::names::{Names, Places};
use super::problem::{Mistake, Place, Problems};
use super::settings::{defaults, texts};
use super::template::{Given, Taken, Target};
use crate::model::{Account, AccountName, Server, ServerName, ToolFilter, Transport, Written};

/// The keys of a local process.
pub(super) const PROCESS_KEYS: [&str; 4] = ["command", "args", "env", "idle"];

/// The keys of a remote server.
pub(super) const REMOTE_KEYS: [&str; 4] = ["url", "headers", "tls", "transport"];

/// The keys of an account of a local process alone.
pub(super) const OWN_PROCESS_KEYS: [&str; 2] = ["args", "env"];

/// The keys of an account of a remote server alone.
pub(super) const OWN_REMOTE_KEYS: [&str; 1] = ["headers"];

/// The servers that the file names, right or wrong.
pub(super) struct Servers {
    /// In the order of the file.
    pub(super) list: Vec<Known>,
    /// Whether no name was left out.
    pub(super) complete: bool,
}

/// A server that others may name.
pub(super) struct Known {
    pub(super) name: ServerName,
    /// Never empty, unless a name was left out.
    pub(super) accounts: Vec<AccountName>,
    /// Whether no account was left out.
    pub(super) complete: bool,
    pub(super) enabled: bool,
    /// The server itself, if nothing is wrong with it.
    pub(super) server: Option<Arc<Server>>,
}

impl Servers {
    pub(super) fn of(
        servers: Field<Map<ServerName, file::Server>>,
        reading: &mut Reading<'_>,
        places: &mut Places,
        problems: &mut Problems,
    ) -> Self {
        let wrong = servers.is_wrong();
        let servers = servers.or(Map::default());
        Self {
            complete: servers.complete && !wrong,
            list: servers
                .entries
                .into_iter()
                .map(|(name, server)| {
                    let place = &name.place;
                    known(name.value, server.value, place, reading, places, problems)
                })
                .collect(),
        }
    }

    pub(super) fn names(&self) -> Names<'_> {
        Names {
            what: "server".to_owned(),
            kind: "servers".to_owned(),
            words: self.list.iter().map(|one| one.name.as_str()).collect(),
            complete: self.complete,
        }
    }

    pub(super) fn find(&self, name: &ServerName) -> Option<&Known> {
        self.list.iter().find(|known| known.name == *name)
    }
}

impl Known {
    pub(super) fn names(&self) -> Names<'_> {
        Names {
            what: format!("account of `{}`", self.name),
            kind: format!("accounts of `{}`", self.name),
            words: self.accounts.iter().map(AccountName::as_str).collect(),
            complete: self.complete,
        }
    }
}

fn known(
    name: ServerName,
    mut server: file::Server,
    place: &Place,
    reading: &mut Reading<'_>,
    places: &mut Places,
    problems: &mut Problems,
) -> Known {
    let taken = taken(&server, reading.catalog, problems);
    refuse_mixed(&server, taken.as_ref(), place, problems);
    let kind = Kind::of(&server, taken.as_ref());
    let of_server = places.note(place);
    let listed = std::mem::take(&mut server.accounts);
    let wrong = listed.is_wrong();
    let listed = listed.or(Map::default());
    let enabled = server.enabled.value.as_ref();
    let accounts = listed.entries.iter();
    let mut known = Known {
        accounts: accounts.map(|(name, _)| name.value.clone()).collect(),
        complete: listed.complete && !wrong,
        enabled: enabled.is_none_or(|enabled| enabled.value.0),
        server: None,
        name,
    };
    let default = default(&server, &known, places, problems);
    let params = params(
        std::mem::take(&mut server.params),
        &server,
        taken.as_ref(),
        problems,
    );
    let mut fillings = taken
        .as_ref()
        .map(|taken| Fillings::of(taken, &server, &params));
    let from = From {
        taken: taken.as_ref().filter(|_| says_nothing(&server)),
        facts: taken
            .as_ref()
            .and_then(|taken| taken.template.facts.as_ref()),
        params,
        environment: reading.environment,
    };
    let url = server.url.value.as_ref().map(|url| url.value.0.clone());
    let is_process = kind == Kind::Process;
    let base = Base::of(&mut server, is_process, problems);
    let mut accounts = Vec::new();
    for (name, account) in listed.entries {
        refuse_misfits(&account.value, kind, problems);
        let written = places.note(&name.place);
        let mut keys = account.value;
        let given = self::params(
            std::mem::take(&mut keys.params),
            &server,
            taken.as_ref(),
            problems,
        );
        if let Some(fillings) = &mut fillings {
            fillings.put(&name.value, &given);
        }
        let filled = from.filled(&given, &name.value, problems);
        let url = filled
            .as_ref()
            .and_then(|filled| filled.url.as_ref())
            .or(url.as_ref());
        let own = Own::of(
            keys.args,
            keys.env,
            keys.headers,
            keys.auth,
            (is_process, url),
            problems,
        );
        let made = base
            .as_ref()
            .and_then(|base| own.over(base, filled, from.facts, problems));
        accounts.extend(made.map(|(endpoint, auth)| Account {
            name: name.value,
            endpoint,
            auth,
            label: keys.label.into_value().map(|text| text.0),
            color: keys.color.into_value(),
            written,
        }));
    }
    if known.accounts.is_empty() && known.complete {
        let name = AccountName::default_account();
        let filled = from.filled(&Given::default(), &name, problems);
        let own = Own::default();
        let made = base.and_then(|base| own.over(&base, filled, from.facts, problems));
        accounts.extend(made.map(|(endpoint, auth)| Account {
            written: of_server,
            auth,
            ..Account::only(endpoint)
        }));
        known.accounts.push(name);
    }
    let transport = taken.as_ref().and_then(|taken| taken.template.transport);
    if !accounts.is_empty() {
        let mut server = checked(&known.name, accounts, default, server);
        if let Some(transport) = transport.filter(|_| server.transport == Transport::Auto) {
            server.transport = transport;
        }
        known.server = Some(Arc::new(server));
    }
    if let Some(fillings) = fillings {
        reading.templates.insert(known.name.clone(), fillings);
    }
    known
}

/// The rest of a server, with the defaults filled in.
fn checked(
    name: &ServerName,
    accounts: Vec<Account>,
    default: Option<(AccountName, Written)>,
    server: file::Server,
) -> Server {
    let tools = server.tools.or(file::Tools::default());
    Server {
        name: name.clone(),
        accounts,
        default,
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
        transport: server.transport.into_value().unwrap_or_default(),
        tools: ToolFilter {
            include: tools
                .include
                .into_value()
                .map_or_else(|| ToolFilter::default().include, texts),
            exclude: tools.exclude.into_value().map_or_else(Vec::new, texts),
        },
    }
}

/// The account that is meant where nothing else decides: one of those that the server lists.
fn default(
    server: &file::Server,
    known: &Known,
    places: &mut Places,
    problems: &mut Problems,
) -> Option<(AccountName, Written)> {
    let (key, at) = (server.default.key.as_ref()?, server.default.value.as_ref()?);
    if known.accounts.is_empty() && known.complete {
        let why = "`default` is one of several accounts, and this server lists none";
        let help = "list them under `accounts`, or remove `default`";
        problems.add_with_help(key, Mistake::does_not_fit(why), help);
        return None;
    }
    let names = known.names();
    names
        .check(at.value.as_str(), &at.place, problems)
        .then(|| (at.value.clone(), places.note(key)))
}

/// What a server's keys say it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Process,
    Remote,
    /// Both or neither, which was noted.
    Unclear,
}

impl Kind {
    fn of(server: &file::Server, taken: Option<&Taken<'_>>) -> Self {
        match (&server.url.key, &server.command.key) {
            (Some(_), None) => Self::Remote,
            (None, Some(_)) => Self::Process,
            (None, None) => match taken.map(|taken| &taken.template.target) {
                Some(Target::Url(_)) => Self::Remote,
                Some(Target::Command(_)) => Self::Process,
                Some(Target::Open) | None => Self::Unclear,
            },
            (Some(_), Some(_)) => Self::Unclear,
        }
    }
}

/// A server is remote or local, and has the keys of one kind.
fn refuse_mixed(
    server: &file::Server,
    taken: Option<&Taken<'_>>,
    place: &Place,
    problems: &mut Problems,
) {
    if let (Some(_), Some(command)) = (&server.url.key, &server.command.key) {
        let why = "a server has `url` or `command`, not both";
        let help = "make two servers of it";
        problems.add_with_help(command, Mistake::does_not_fit(why), help);
        return;
    }
    let target = taken.map(|taken| &taken.template.target);
    let another = match (&server.url.key, &server.command.key, target) {
        (Some(key), _, Some(Target::Command(_))) => Some((key, "a local process")),
        (_, Some(key), Some(Target::Url(_))) => Some((key, "a remote server")),
        _ => None,
    };
    if let Some((key, kind)) = another {
        let why = format!("the template of this server is of {kind}");
        problems.add_with_help(key, Mistake::DoesNotFit { why }, "remove one of them");
        return;
    }
    match Kind::of(server, taken) {
        // An unknown template was noted, and says nothing.
        Kind::Unclear if server.template.key.is_some() && taken.is_none() => {}
        Kind::Unclear => {
            let what = "`url` or `command`".to_owned();
            let help = "write `url: https://…` for a remote server, `command: [program, argument]` for a local process";
            problems.add_with_help(place, Mistake::Missing { what }, help);
        }
        Kind::Remote => {
            misfit("args", server.args.key.as_ref(), problems);
            misfit("env", server.env.key.as_ref(), problems);
            misfit("idle", server.idle.key.as_ref(), problems);
        }
        Kind::Process => {
            misfit("headers", server.headers.key.as_ref(), problems);
            misfit("tls", server.tls.key.as_ref(), problems);
            misfit("transport", server.transport.key.as_ref(), problems);
        }
    }
}

/// An account has the keys of its server's kind.
fn refuse_misfits(account: &file::Account, kind: Kind, problems: &mut Problems) {
    match kind {
        Kind::Remote => {
            misfit("args", account.args.key.as_ref(), problems);
            misfit("env", account.env.key.as_ref(), problems);
        }
        Kind::Process => misfit("headers", account.headers.key.as_ref(), problems),
        Kind::Unclear => {}
    }
}

fn misfit(name: &str, key: Option<&Place>, problems: &mut Problems) {
    let Some(place) = key else { return };
    let (owner, kind) = if PROCESS_KEYS.contains(&name) {
        ("a local process", "url")
    } else {
        ("a remote server", "command")
    };
    let help = match name {
        "env" => "fixed values go to a remote server in `headers`",
        "headers" => "values go to a process in `env`",
        _ => "remove it",
    };
    let why = format!("`{name}` belongs to {owner}, and this server has `{kind}`");
    problems.add_with_help(place, Mistake::DoesNotFit { why }, help);
}
