//! Groups of entries become servers: names that Janus can carry, texts that its configuration can hold.

use std::collections::BTreeSet;

use super::argument::{Argument, argument};
use super::entry::{Entry, Field, Target};
use super::group::{Group, Member};
use super::login::may_log_in;
use super::url;
use super::usable;
use super::variables::{Spot, Variables, has_password};
use super::words::{free, is_secret_name, legal, shown, text_looks_secret};
use super::{Account, Auth, Reach, Server};
use crate::model::{AccountName, ServerName};

/// The account of a server that names none, in the names of variables.
const ONLY: &str = "default";

/// Where an entry of the source came to.
pub(super) struct Placed {
    pub(super) entry: String,
    pub(super) server: ServerName,
    pub(super) account: Option<AccountName>,
}

pub(super) fn servers(
    groups: Vec<Group>,
    variables: &mut Variables,
    notes: &mut Vec<String>,
) -> (Vec<Server>, Vec<Placed>) {
    let mut taken = BTreeSet::new();
    let (mut servers, mut placed) = (Vec::new(), Vec::new());
    for group in groups {
        let name = renamed(&group.server, "server", &mut taken, notes);
        let Ok(name) = ServerName::new(&name) else {
            continue;
        };
        let accounts = account_names(&group, notes);
        let mut settling = Settling {
            server: name.as_str(),
            variables,
            notes,
        };
        let Some((reach, parts)) = settling.reach(&group.members, &accounts) else {
            continue;
        };
        let description = settling.description(&group.members);
        let first = group.members.first().map(|member| &member.entry);
        let tools = |tools: fn(&Entry) -> &Vec<String>| -> Vec<String> {
            first
                .map(|entry| tools(entry).iter().map(|tool| doubled(tool)).collect())
                .unwrap_or_default()
        };
        let (include, exclude) = (tools(|entry| &entry.include), tools(|entry| &entry.exclude));
        let labels: Vec<Option<String>> = group
            .members
            .iter()
            .map(|member| settling.label(&member.entry))
            .collect();
        for (at, member) in group.members.iter().enumerate() {
            placed.push(Placed {
                entry: member.entry.name.clone(),
                server: name.clone(),
                account: accounts.get(at).cloned(),
            });
        }
        let mut logins = settling.logins(&group.members, &accounts, &reach);
        let auth = if accounts.is_empty() {
            logins.pop().flatten()
        } else {
            None
        };
        let accounts = accounts
            .into_iter()
            .zip(parts)
            .zip(labels.into_iter().zip(logins));
        servers.push(Server {
            reach,
            auth,
            description,
            include,
            exclude,
            enabled: first.is_none_or(|entry| entry.enabled),
            accounts: accounts
                .map(|((name, part), (label, auth))| Account {
                    auth,
                    name,
                    label,
                    args: part.args,
                    env: part.env,
                    headers: part.headers,
                })
                .collect(),
            default: None,
            name,
        });
    }
    (servers, placed)
}

/// A name that Janus can carry and nothing else has, told if it is another.
pub(super) fn renamed(
    name: &str,
    kind: &str,
    taken: &mut BTreeSet<String>,
    notes: &mut Vec<String>,
) -> String {
    let new = free(&legal(name, kind), taken);
    if new != name {
        notes.push(format!(
            "the {kind} `{}` is called `{new}` here",
            shown(name)
        ));
    }
    new
}

/// Empty where the server has one account without a name.
fn account_names(group: &Group, notes: &mut Vec<String>) -> Vec<AccountName> {
    if !group.named && group.members.len() == 1 {
        return Vec::new();
    }
    let mut taken = BTreeSet::new();
    let name = |member: &Member| match member.account.as_str() {
        "" => free(ONLY, &mut taken),
        name => renamed(name, "account", &mut taken, notes),
    };
    let names: Vec<String> = group.members.iter().map(name).collect();
    names
        .iter()
        .filter_map(|name| AccountName::new(name).ok())
        .collect()
}

/// The text with every dollar sign doubled, which is how the configuration writes one.
fn doubled(text: &str) -> String {
    text.replace('$', "$$")
}

/// Names and values, as the configuration writes them.
type Pairs = Vec<(String, String)>;

/// What an account has of its own.
#[derive(Default)]
struct Part {
    args: Vec<String>,
    env: Pairs,
    headers: Pairs,
}

struct Settling<'s> {
    server: &'s str,
    variables: &'s mut Variables,
    notes: &'s mut Vec<String>,
}

impl Settling<'_> {
    /// Where the server is, and the parts of its accounts; `None` where that cannot be written, which is told.
    fn reach(
        &mut self,
        members: &[Member],
        accounts: &[AccountName],
    ) -> Option<(Reach, Vec<Part>)> {
        let single = accounts.is_empty();
        let first = &members.first()?.entry;
        let mut parts: Vec<Part> = accounts.iter().map(|_| Part::default()).collect();
        match &first.target {
            Target::Remote { url, .. } => {
                let (url, user) = self.url(first, url)?;
                let lists: Vec<Vec<Field>> = members
                    .iter()
                    .map(|member| usable::headers(&member.entry, self.notes))
                    .collect();
                let (mut headers, own) = self.fields(&lists, accounts, "the header");
                if let Some(user) = user
                    && !lists
                        .iter()
                        .flatten()
                        .any(|field| field.name.eq_ignore_ascii_case("authorization"))
                {
                    headers.push(("Authorization".to_owned(), self.basic(&user)));
                }
                headers.retain(|header| self.sendable(header));
                for (part, mut headers) in parts.iter_mut().zip(own) {
                    headers.retain(|header| self.sendable(header));
                    part.headers = headers;
                }
                Some((Reach::Url { url, headers }, parts))
            }
            Target::Process { command, .. } => {
                let lists: Vec<Vec<Field>> = members
                    .iter()
                    .map(|member| usable::env(&member.entry, self.notes))
                    .collect();
                let (env, own) = self.fields(&lists, accounts, "the variable");
                let head = if single {
                    command.len()
                } else {
                    common_head(members)
                };
                let only = accounts.first().map_or(ONLY, AccountName::as_str);
                let words = (0..head).map(|at| self.word(first, command, at, only));
                let words: Vec<String> = words.collect();
                for ((part, env), (member, account)) in
                    parts.iter_mut().zip(own).zip(members.iter().zip(accounts))
                {
                    part.env = env;
                    if let Target::Process { command, .. } = &member.entry.target {
                        let rest = (head..command.len())
                            .map(|at| self.word(&member.entry, command, at, account.as_str()));
                        part.args = rest.collect();
                    }
                }
                Some((
                    Reach::Command {
                        command: words,
                        env,
                    },
                    parts,
                ))
            }
        }
    }

    /// How the members log in, each.
    fn logins(
        &mut self,
        members: &[Member],
        accounts: &[AccountName],
        reach: &Reach,
    ) -> Vec<Option<Auth>> {
        let mut logins = Vec::new();
        for (at, member) in members.iter().enumerate() {
            let Some(login) = &member.entry.login else {
                logins.push(None);
                continue;
            };
            if matches!(reach, Reach::Url { url, .. } if !may_log_in(url)) {
                self.notes.push(format!(
                    "`{}`: the login is left out: a token would go over plain http, where everybody can read it",
                    member.entry.at
                ));
                logins.push(None);
                continue;
            }
            let account = accounts.get(at).map_or(ONLY, AccountName::as_str);
            let auth = login.settled(self.server, Some(account), self.variables);
            logins.push(Some(auth));
        }
        logins
    }

    /// The URL, and `user:password` of it.
    fn url(&mut self, entry: &Entry, url: &str) -> Option<(String, Option<String>)> {
        let spot = Spot {
            server: self.server,
            account: None,
            name: "url",
            kind: "the key",
            secret: false,
        };
        let Some(settled) =
            url::settle(url, &spot, self.variables).filter(|settled| usable::is_url(&settled.url))
        else {
            self.notes.push(format!(
                "`{}`: its URL is no http or https URL, and the server is left out",
                entry.at
            ));
            return None;
        };
        if settled.fragment {
            self.notes.push(format!(
                "`{}`: the `#…` of the URL is left out, as no server gets it",
                entry.at
            ));
        }
        if settled.user.is_some() {
            self.notes.push(format!(
                "`{}`: the user of the URL is left out; Janus sends one in a header",
                entry.at
            ));
        }
        Some((settled.url, settled.user))
    }

    fn basic(&mut self, user: &str) -> String {
        let spot = Spot {
            server: self.server,
            account: None,
            name: "Authorization",
            kind: "`user:password` of the URL, encoded in base64, for the header",
            secret: true,
        };
        let marked = self.variables.mark("");
        let variable = self.variables.secret(&spot, user, &marked);
        format!("Basic ${{{variable}}}")
    }

    /// The fields of all accounts, and those that each has of its own. Secrets are always an account's.
    fn fields(
        &mut self,
        lists: &[Vec<Field>],
        accounts: &[AccountName],
        kind: &'static str,
    ) -> (Pairs, Vec<Pairs>) {
        let first = lists.first().map(Vec::as_slice).unwrap_or_default();
        if accounts.is_empty() {
            return (self.settled(first, Some(ONLY), kind), Vec::new());
        }
        let shared =
            |field: &&Field| lists.iter().all(|list| list.contains(field)) && !is_credential(field);
        let common: Vec<Field> = first.iter().filter(shared).cloned().collect();
        let settled = self.settled(&common, None, kind);
        let own = lists.iter().zip(accounts).map(|(list, account)| {
            let own: Vec<Field> = list
                .iter()
                .filter(|field| !common.contains(field))
                .cloned()
                .collect();
            self.settled(&own, Some(account.as_str()), kind)
        });
        (settled, own.collect())
    }

    fn settled(&mut self, fields: &[Field], account: Option<&str>, kind: &'static str) -> Pairs {
        let settled = fields.iter().map(|field| {
            let spot = Spot {
                server: self.server,
                account,
                name: &field.name,
                kind,
                secret: field.secret,
            };
            (
                field.name.clone(),
                self.variables.settle(&spot, &field.value),
            )
        });
        settled.collect()
    }

    /// Whether a header's value can be sent. A variable's value is not known here.
    fn sendable(&mut self, (name, value): &(String, String)) -> bool {
        let sendable = http::HeaderValue::from_str(value).is_ok();
        if !sendable {
            self.notes.push(format!(
                "`{}`: the header `{}` is left out: its value is not visible ASCII",
                self.server,
                shown(name)
            ));
        }
        sendable
    }

    /// A word of a command.
    fn word(&mut self, entry: &Entry, command: &[String], at: usize, account: &str) -> String {
        let text = command.get(at).map(String::as_str).unwrap_or_default();
        let spot = Spot {
            server: self.server,
            account: Some(account),
            name: "argument",
            kind: "the argument",
            secret: false,
        };
        // A path to the program may look like anything; it is no secret.
        let what = if at == 0 {
            Argument::Plain
        } else {
            argument(command, at)
        };
        let settled = match what {
            Argument::Plain => {
                let marked = self.variables.mark(text);
                return self.variables.render(&spot, &marked, &marked.text);
            }
            Argument::Url => {
                let settled = url::settle(text, &spot, self.variables);
                settled.map_or_else(
                    || {
                        self.variables.settle(
                            &Spot {
                                secret: true,
                                ..spot
                            },
                            text,
                        )
                    },
                    |settled| settled.url,
                )
            }
            Argument::Secret { prefix, name } => {
                let (head, secret) = text.split_at_checked(prefix).unwrap_or(("", text));
                let spot = Spot {
                    name: &name,
                    secret: true,
                    ..spot
                };
                format!("{}{}", doubled(head), self.variables.settle(&spot, secret))
            }
        };
        if settled.contains("${") {
            self.notes.push(format!(
                "`{}`: an argument takes a variable; if that is a secret, mind that arguments are public: process lists show them",
                entry.at
            ));
        }
        settled
    }

    /// The first description; another one of another account is told.
    fn description(&mut self, members: &[Member]) -> Option<String> {
        let mut said = members
            .iter()
            .filter_map(|member| Some((&member.entry, member.entry.description.as_deref()?)));
        let (entry, text) = said.next()?;
        if said.any(|(_, other)| other != text) {
            self.notes.push(format!(
                "`{}`: the descriptions differ; the first is kept",
                self.server
            ));
        }
        self.public(entry, "description", text)
    }

    fn label(&mut self, entry: &Entry) -> Option<String> {
        self.public(entry, "label", entry.label.as_deref()?)
    }

    /// A text that is shown: left out if something in it looks like a secret.
    fn public(&mut self, entry: &Entry, key: &str, text: &str) -> Option<String> {
        let secret = text_looks_secret(text) || has_password(text);
        if secret {
            self.notes.push(format!(
                "`{}.{key}` is left out: something in it looks like a secret",
                entry.at
            ));
        }
        if secret {
            return None;
        }
        let marked = self.variables.mark(text);
        let spot = Spot {
            server: self.server,
            account: None,
            name: key,
            kind: "the key",
            secret: false,
        };
        Some(self.variables.render(&spot, &marked, &marked.text))
    }
}

/// Whether a header or variable says who one is.
fn is_credential(field: &Field) -> bool {
    field.secret
        || is_secret_name(&field.name)
        || text_looks_secret(&field.value)
        || has_password(&field.value)
}

/// How many words all commands have in common, without secrets; at least the program.
fn common_head(members: &[Member]) -> usize {
    let commands: Vec<&Vec<String>> = members
        .iter()
        .filter_map(|member| match &member.entry.target {
            Target::Process { command, .. } => Some(command),
            Target::Remote { .. } => None,
        })
        .collect();
    let Some(first) = commands.first() else {
        return 0;
    };
    let shared = |at: &usize| {
        let same = commands
            .iter()
            .all(|command| command.get(*at) == first.get(*at));
        same && (*at == 0 || argument(first, *at) == Argument::Plain)
    };
    let head = (0..first.len()).take_while(shared).count();
    // A flag stays with its value.
    let flag = |word: &String| word.starts_with('-') && !word.contains('=');
    let follows = commands
        .iter()
        .any(|command| command.get(head).is_some_and(|next| !next.starts_with('-')));
    let ends_with_flag = head > 1 && first.get(head - 1).is_some_and(flag);
    if ends_with_flag && follows {
        head - 1
    } else {
        head
    }
}
