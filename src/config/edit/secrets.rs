//! Secrets that are written out in the configuration, and references in their place.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::lines::Lines;
use super::{NotEdited, entries, members, read};
use crate::config::node::{Node, Value};
use crate::config::problem::{Path, Position};
use crate::config::reference::{is_literal_secret, misspelt};
use crate::config::tree;
use crate::model::{Secret, SecretName, points};

/// The keys of `auth` that hold a secret.
const OF_AUTH: [&str; 3] = ["bearer", "password", "value"];

/// Those of `auth.oauth`.
const OF_OAUTH: [&str; 2] = ["client_secret", "private_key"];

/// A secret that is written out. No `Debug` of its value.
#[derive(Debug)]
pub struct Literal {
    /// Where it begins.
    pub at: Position,
    /// The keys that lead there.
    pub path: String,
    /// What it may be called in the vault.
    pub name: String,
    /// What it is.
    pub value: Arc<Secret>,
    /// The variable that it stands for, where it is `${NAME}` and nothing else: then nothing has to be stored.
    pub variable: Option<String>,
}

/// The secrets that are written out in `auth`, `env` and `headers`, in the order of the file.
///
/// # Errors
/// The text is no YAML.
pub fn literals(text: &str) -> Result<Vec<Literal>, NotEdited> {
    let document = read(text)?;
    let mut found = Vec::new();
    let servers = entries(&document).ok_or(NotEdited::Broken)?;
    let servers = servers.iter().find(|(key, _)| key.text == "servers");
    for (server, node) in servers
        .and_then(|(_, node)| members(node))
        .unwrap_or_default()
    {
        let path = Path::default().key("servers").key(&server.text);
        of_holder(node, &path, &server.text, &mut found);
        let accounts = child(node, "accounts")
            .and_then(members)
            .unwrap_or_default();
        for (account, node) in accounts {
            let path = path.key("accounts").key(&account.text);
            of_holder(
                node,
                &path,
                &format!("{}_{}", server.text, account.text),
                &mut found,
            );
        }
    }
    found.sort_by_key(|literal| literal.at);
    // An alias leads to a place twice.
    found.dedup_by_key(|literal| literal.at);
    Ok(found)
}

fn of_holder(node: &Node, path: &Path, holder: &str, found: &mut Vec<Literal>) {
    let auth = child(node, "auth");
    let oauth = auth.and_then(|auth| child(auth, "oauth"));
    let path_of_auth = path.key("auth");
    of_auth(auth, &OF_AUTH, &path_of_auth, holder, found);
    of_auth(oauth, &OF_OAUTH, &path_of_auth.key("oauth"), holder, found);
    for section in ["env", "headers"] {
        let values = child(node, section).and_then(members).unwrap_or_default();
        for (key, node) in values {
            if let Value::Scalar { text, .. } = &node.value
                && is_literal_secret(&key.text, text)
            {
                let name = format!("{holder}_{}", key.text);
                found.push(literal(
                    node.at,
                    text,
                    &path.key(section).key(&key.text),
                    &name,
                ));
            }
        }
    }
}

/// What must be a reference there.
fn of_auth(
    node: Option<&Node>,
    keys: &[&str],
    path: &Path,
    holder: &str,
    found: &mut Vec<Literal>,
) {
    let entries = node.and_then(members).unwrap_or_default();
    for (key, node) in entries
        .iter()
        .filter(|(key, _)| keys.contains(&key.text.as_str()))
    {
        if let Value::Scalar { text, .. } = &node.value
            && !points(text)
            && misspelt(text).is_none()
            && !text.is_empty()
        {
            found.push(literal(node.at, text, &path.key(&key.text), holder));
        }
    }
}

fn literal(at: Position, text: &str, path: &Path, name: &str) -> Literal {
    let variable = text
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    let variable = variable.filter(|name| crate::config::expand::is_variable_name(name));
    // `$$` in the file is a dollar sign.
    Literal {
        at,
        path: path.at(at).path,
        name: legal(name),
        value: Arc::new(Secret::new(text.replace("$$", "$"))),
        variable: variable.map(str::to_owned),
    }
}

/// The nearest name that the vault takes.
fn legal(name: &str) -> String {
    let name: String = name.to_ascii_lowercase().chars().take(60).collect();
    let legal = |c: char| {
        if c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(legal).collect();
    if SecretName::new(&name).is_ok() {
        name
    } else {
        "secret".to_owned()
    }
}

fn child<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let (_, node) = members(node)?.iter().find(|(name, _)| name.text == key)?;
    Some(node)
}

/// The text with references at these places, and nothing else changed.
///
/// # Errors
/// A value is written in a way that is not understood here; the help says where.
pub fn with_references(
    text: &str,
    references: &BTreeMap<Position, String>,
) -> Result<String, NotEdited> {
    let before = read(text)?;
    let root = before.root.as_deref().ok_or(NotEdited::Broken)?;
    let mut edited = text.to_owned();
    for (at, reference) in references.iter().rev() {
        let by_hand = || NotEdited::ByHand {
            help: format!(
                "write `{reference}` in line {}, in place of what stands there",
                at.line
            ),
        };
        let node = scalar(root, *at).ok_or_else(by_hand)?;
        edited = replaced(&edited, *at, node, reference).ok_or_else(by_hand)?;
    }
    let after = tree::parse(&edited).map_err(|_| NotEdited::Broken)?;
    let after = after.root.ok_or(NotEdited::Broken)?;
    if same_but(root, &after, references) {
        return Ok(edited);
    }
    let lines: Vec<String> = references.keys().map(|at| at.line.to_string()).collect();
    Err(NotEdited::ByHand {
        help: format!(
            "write references in place of the secrets in the lines {}",
            lines.join(", ")
        ),
    })
}

fn scalar(node: &Node, at: Position) -> Option<&Node> {
    match &node.value {
        Value::Scalar { .. } => (node.at == at).then_some(node),
        Value::List(items) => items.iter().find_map(|item| scalar(item, at)),
        Value::Map(entries) => entries.iter().find_map(|(_, value)| scalar(value, at)),
    }
}

/// The text with another value in the place of a scalar that is written on one line.
fn replaced(text: &str, at: Position, node: &Node, with: &str) -> Option<String> {
    let Value::Scalar { text: value, .. } = &node.value else {
        return None;
    };
    let lines = Lines::of(text);
    let (before, rest) = lines.split(at)?;
    let length = match rest.chars().next()? {
        '"' => quoted(rest, '"')?,
        '\'' => quoted(rest, '\'')?,
        '&' | '|' | '>' | '!' => return None,
        _ => rest.starts_with(value.as_str()).then_some(value.len())?,
    };
    let after = rest.get(length..)?;
    Some(lines.replaced(at, &format!("{before}{with}{after}")))
}

/// How long a quoted text is with its quotes.
fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' if quote == '"' => {
                characters.next();
            }
            c if c == quote
                && quote == '\''
                && characters.peek().is_some_and(|(_, next)| *next == quote) =>
            {
                characters.next();
            }
            c if c == quote => return Some(at + c.len_utf8()),
            _ => {}
        }
    }
    None
}

fn same_but(one: &Node, other: &Node, references: &BTreeMap<Position, String>) -> bool {
    match (&one.value, &other.value) {
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|((key, value), (other_key, other_value))| {
                        key.text == other_key.text && same_but(value, other_value, references)
                    })
        }
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| same_but(one, other, references))
        }
        (
            Value::Scalar { text, plain },
            Value::Scalar {
                text: other,
                plain: other_plain,
            },
        ) => match references.get(&one.at) {
            Some(reference) => other == reference,
            None => text == other && plain == other_plain,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"# my servers
servers:
  github:   # the first
    url: https://api.example.com/mcp
    auth: { bearer: ghp_CANARY1, into: X }   # to be moved
    headers:
      X-Team: core
      Authorization: "Bearer sk-CANARY \"2\""  # quoted
  local:
    command: [npx]
    accounts:
      a:
        env: { API_TOKEN: 'it''s CANARY3', LOG: debug, FROM: "${HOME}" }
        auth:
          bearer: ${GITHUB_TOKEN}
"#;

    #[test]
    fn literals_become_references_and_the_rest_stays() {
        let found = literals(FILE).unwrap();
        let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "github",
                "github_authorization",
                "local_a_api_token",
                "local_a"
            ]
        );
        assert_eq!(found[1].value.expose(), "Bearer sk-CANARY \"2\"");
        assert_eq!(found[2].value.expose(), "it's CANARY3");
        assert_eq!(found[3].variable.as_deref(), Some("GITHUB_TOKEN"));
        let references = found.iter().map(|one| {
            let reference = match &one.variable {
                Some(name) => format!("env:{name}"),
                None => format!("vault:{}", one.name),
            };
            (one.at, reference)
        });
        let edited = with_references(FILE, &references.collect()).unwrap();
        assert_eq!(
            edited,
            FILE.replace("ghp_CANARY1", "vault:github")
                .replace(r#""Bearer sk-CANARY \"2\"""#, "vault:github_authorization")
                .replace("'it''s CANARY3'", "vault:local_a_api_token")
                .replace("${GITHUB_TOKEN}", "env:GITHUB_TOKEN")
        );
        assert!(literals(&edited).unwrap().is_empty());
        assert!(!format!("{found:?}").contains("CANARY"));
    }

    #[test]
    fn a_value_of_several_lines_is_left_to_a_person() {
        let text = "servers:\n  s:\n    url: https://a.example/mcp\n    auth:\n      bearer: |\n        CANARY\n        CANARY\n";
        let found = literals(text).unwrap();
        let references = BTreeMap::from([(found[0].at, "vault:s".to_owned())]);
        let refused = with_references(text, &references).unwrap_err();
        assert!(
            matches!(&refused, NotEdited::ByHand { help } if help.contains("line 6")),
            "{refused:?}"
        );
    }
}
