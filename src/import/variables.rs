//! The variables of the result: one for each secret, with the name of its account, and those the source refers to.
//!
//! Invariant: one variable stands for one value. A name that the source or the configuration refers to already, or that a
//! secret of the vault has, is never given to a secret: it may be set, to something else.

use std::collections::{BTreeMap, BTreeSet};

use super::reference::{Kind, Marked, Part, Reference};
use super::words::{is_path, is_secret_name, names_a_file, shown, text_looks_secret};
use super::{Form, ToSet};

/// Every process has these.
const EVERYWHERE: [&str; 6] = ["HOME", "PATH", "USER", "LOGNAME", "LANG", "TMPDIR"];

/// What stands before the secret in an `Authorization` header.
const SCHEMES: [&str; 6] = ["Bearer ", "bearer ", "Basic ", "basic ", "Token ", "token "];

/// Where a value stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot<'s> {
    pub(super) server: &'s str,
    /// `None` where the value is that of all accounts.
    pub(super) account: Option<&'s str>,
    /// What the value is called there: a header, a variable, a parameter.
    pub(super) name: &'s str,
    /// What kind of name that is, for people.
    pub(super) kind: &'static str,
    /// Whether the place makes it a secret, whatever its name.
    pub(super) secret: bool,
}

impl Spot<'_> {
    fn owner(&self) -> String {
        let account = self.account.map(|account| format!("/{account}"));
        format!("{}{}", self.server, account.unwrap_or_default())
    }

    fn what(&self) -> String {
        match self.name {
            // One without a flag before it has no name.
            "argument" => "an argument".to_owned(),
            name => format!("{} `{}`", self.kind, shown(name)),
        }
    }
}

/// The variables so far.
#[derive(Debug)]
pub(super) struct Variables {
    form: Form,
    taken: BTreeSet<String>,
    /// By owner and secret, so that one secret in two places is set once.
    secrets: BTreeMap<(String, String), String>,
    elsewhere: BTreeMap<(Kind, String), String>,
    to_set: Vec<ToSet>,
    notes: Vec<String>,
}

impl Variables {
    pub(super) fn new(form: Form, taken: BTreeSet<String>) -> Self {
        Self {
            form,
            taken,
            secrets: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
            to_set: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// What must be set, and what was noted on the way.
    pub(super) fn finish(self) -> (Vec<ToSet>, Vec<String>) {
        (self.to_set, self.notes)
    }

    /// The variables that stand for a secret of the source.
    pub(super) fn secrets(&self) -> BTreeSet<String> {
        self.secrets.values().cloned().collect()
    }

    pub(super) fn mark(&self, text: &str) -> Marked {
        Marked::new(text, self.form)
    }

    /// A value as the configuration writes it: references as `${NAME}`, a secret as one too.
    pub(super) fn settle(&mut self, spot: &Spot<'_>, value: &str) -> String {
        let marked = self.mark(value);
        let (scheme, rest) = scheme(spot, &marked.text);
        if is_secret(spot, rest) {
            let variable = self.secret(spot, rest, &marked);
            format!("{scheme}${{{variable}}}")
        } else {
            self.render(spot, &marked, &marked.text)
        }
    }

    /// A piece of a marked text that is no secret.
    pub(super) fn render(&mut self, spot: &Spot<'_>, marked: &Marked, piece: &str) -> String {
        let mut text = String::new();
        for part in marked.parts(piece) {
            match part {
                Part::Character('$') => text.push_str("$$"),
                Part::Character(c) => text.push(c),
                Part::Reference(reference) => {
                    let name = self.refer(spot, reference);
                    text.extend(["${", &name, "}"]);
                }
            }
        }
        text
    }

    /// The variable for a secret.
    pub(super) fn secret(&mut self, spot: &Spot<'_>, secret: &str, marked: &Marked) -> String {
        let key = (spot.owner(), secret.to_owned());
        if let Some(variable) = self.secrets.get(&key) {
            return variable.clone();
        }
        let variable = self.free(&name(spot));
        let what = spot.what();
        if marked
            .parts(secret)
            .iter()
            .any(|part| matches!(part, Part::Reference(_)))
        {
            self.notes.push(format!(
                "{}: {what} holds a secret beside references; all of it belongs in `{variable}`",
                spot.owner()
            ));
        }
        self.add(&variable, spot, what, false);
        self.secrets.insert(key, variable.clone());
        variable
    }

    fn refer(&mut self, spot: &Spot<'_>, reference: &Reference) -> String {
        match reference {
            Reference::Variable { name, default } => {
                if let Some(default) = default {
                    self.notes.push(told_default(spot, name, default));
                }
                let listed = self.to_set.iter().any(|set| set.variable == *name);
                if !listed && !EVERYWHERE.contains(&name.as_str()) {
                    let what = format!("{} refers to it", spot.what());
                    self.add(name, spot, what, true);
                }
                name.clone()
            }
            Reference::Elsewhere { kind, id } => {
                let key = (*kind, id.clone());
                if let Some(variable) = self.elsewhere.get(&key) {
                    return variable.clone();
                }
                let named = if text_looks_secret(id) || id.is_empty() {
                    name(spot)
                } else {
                    upper(&[kind.head(), id])
                };
                let variable = self.free(&named);
                let what = format!("{} `{}`", kind.what(), shown(id));
                self.add(&variable, spot, what, false);
                self.elsewhere.insert(key, variable.clone());
                variable
            }
        }
    }

    fn add(&mut self, variable: &str, spot: &Spot<'_>, what: String, known: bool) {
        self.to_set.push(ToSet {
            variable: variable.to_owned(),
            owner: spot.owner(),
            what,
            known,
            in_vault: false,
        });
    }

    fn free(&mut self, name: &str) -> String {
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let free = std::iter::once(name.to_owned())
            .chain(numbered)
            .find(|name| !self.taken.contains(name))
            .unwrap_or_default();
        self.taken.insert(free.clone());
        free
    }
}

/// The scheme of an `Authorization` header, which is no secret, and the rest.
fn scheme<'t>(spot: &Spot<'_>, text: &'t str) -> (&'static str, &'t str) {
    if !spot.name.to_ascii_lowercase().contains("authorization") {
        return ("", text);
    }
    let found = SCHEMES
        .iter()
        .find_map(|scheme| Some((*scheme, text.strip_prefix(scheme)?)));
    found.unwrap_or(("", text))
}

/// Whether a value is a secret, by its place or by how it looks. References alone are none.
fn is_secret(spot: &Spot<'_>, text: &str) -> bool {
    let literal = Marked::literal(text);
    let referring = literal.len() < text.len();
    let says = |c: char| c.is_alphanumeric() || !(c.is_whitespace() || ":-/._@+,;=".contains(c));
    let says_something = if referring {
        literal.chars().any(says)
    } else {
        !literal.is_empty()
    };
    says_something
        && (is_secret_place(spot, &literal)
            || text_looks_secret(&literal)
            || has_password(&literal))
}

fn is_secret_place(spot: &Spot<'_>, literal: &str) -> bool {
    if spot.secret {
        return true;
    }
    let switch = matches!(literal, "true" | "false");
    let file = names_a_file(spot.name) && is_path(literal);
    is_secret_name(spot.name) && !switch && !file
}

/// Whether a text holds a URL with a password: `postgres://user:password@host`.
pub(super) fn has_password(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or_default();
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        user.is_some_and(|user| user.contains(':') || text_looks_secret(user))
    })
}

fn told_default(spot: &Spot<'_>, name: &str, default: &str) -> String {
    let hidden = spot.secret
        || is_secret_name(spot.name)
        || text_looks_secret(default)
        || has_password(default);
    let plain = !hidden && !default.chars().any(char::is_control);
    let default = match default {
        "" => "empty".to_owned(),
        default if plain => format!("`{default}`"),
        _ => "not shown here".to_owned(),
    };
    format!(
        "{}: `${{{name}}}` had a default, which is {default}; Janus needs the variable itself",
        spot.owner()
    )
}

/// `SERVER_ACCOUNT_NAME`, without the server's or account's name a second time.
fn name(spot: &Spot<'_>) -> String {
    let server = upper(&[spot.server]);
    let account = spot.account.map(|account| upper(&[account]));
    let plain = match spot.name.to_ascii_lowercase().as_str() {
        "authorization" | "proxy-authorization" => "TOKEN".to_owned(),
        // A name that may be a secret itself does not become part of another.
        _ if text_looks_secret(spot.name) => "SECRET".to_owned(),
        other => upper(&[other.strip_prefix("x-").unwrap_or(other)]),
    };
    let without = |name: &str, head: &str| {
        let rest = name
            .strip_prefix(head)
            .and_then(|rest| rest.strip_prefix('_'));
        rest.filter(|rest| !rest.is_empty())
            .unwrap_or(name)
            .to_owned()
    };
    let plain = without(&plain, &server);
    let plain = account
        .as_deref()
        .map_or_else(|| plain.clone(), |account| without(&plain, account));
    let parts = [
        Some(server.as_str()),
        account.as_deref(),
        Some(plain.as_str()),
    ];
    upper(&parts.into_iter().flatten().collect::<Vec<_>>())
}

/// The parts as the name of a variable.
fn upper(parts: &[&str]) -> String {
    let mut name = String::new();
    for c in parts.join("_").chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_uppercase());
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    let name = name.trim_end_matches('_');
    match name.chars().next() {
        None => "SECRET".to_owned(),
        Some(c) if c.is_ascii_digit() => format!("_{name}"),
        Some(_) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot<'s>(account: Option<&'s str>, name: &'s str) -> Spot<'s> {
        Spot {
            server: "github",
            account,
            name,
            kind: "the header",
            secret: false,
        }
    }

    #[test]
    fn values_become_texts_of_the_configuration() {
        let mut variables = Variables::new(
            Form::McpServers,
            BTreeSet::from(["GITHUB_A_KEY".to_owned()]),
        );
        for (name, value, expected) in [
            (
                "Authorization",
                "Bearer hunter2",
                "Bearer ${GITHUB_A_TOKEN}",
            ),
            ("Authorization", "Bearer ${GH}", "Bearer ${GH}"),
            ("X-Key", "hunter3", "${GITHUB_A_KEY_2}"),
            ("GITHUB_TOKEN", "hunter2", "${GITHUB_A_TOKEN}"),
            ("GITHUB_TOKEN", "hunter4", "${GITHUB_A_TOKEN_2}"),
            ("X-Basic-Auth", "${USER}:${PASS}", "${USER}:${PASS}"),
            ("PASSWORD", "${USER}hunter", "${GITHUB_A_PASSWORD}"),
            ("REGION", "eu $5 ${env:ZONE}", "eu $$5 ${ZONE}"),
            ("DEBUG_TOKENS", "true", "true"),
            ("URL", "postgres://u:p@h/db", "${GITHUB_A_URL}"),
            ("SOME_KEY_FILE", "/etc/key.pem", "/etc/key.pem"),
            ("EMPTY_TOKEN", "", ""),
        ] {
            assert_eq!(
                variables.settle(&spot(Some("a"), name), value),
                expected,
                "{name}"
            );
        }
        let (to_set, notes) = variables.finish();
        let names: Vec<&str> = to_set.iter().map(|set| set.variable.as_str()).collect();
        assert!(names.contains(&"ZONE") && names.contains(&"PASS") && !names.contains(&"USER"));
        assert!(!format!("{to_set:?}{notes:?}").contains("hunter"));
    }
}
