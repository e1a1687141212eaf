//! A template for people: what is known, what is not, and the lines to copy.

use std::path::PathBuf;

use serde_json::{Map, Value as Json};

use super::facts::{Without, registration, without_login};
use super::keys;
use super::value::{Ports, Registration, Spot, UNKNOWN, Verified, fact};
use super::{REGION, Target, Template};
use crate::config::choice::Word;
use crate::config::node::{Node, Value};
use crate::config::read::Section;
use crate::model::{OAuth, Redirect};

/// Of a server with a login, people want to know that nobody knows these.
const WANTED: [&str; 11] = [
    "registration",
    "redirect",
    "token_auth_method",
    "scopes",
    "extra_authorize_params",
    "header_auth",
    "client_credentials",
    "device_code",
    "whoami",
    "expected_access_ttl",
    "refresh",
];

/// The port that the lines suggest: where the provider compares it, it must be one that was registered.
const PORT: u16 = 7334;

/// A template of the catalogue.
#[derive(Debug, Clone)]
pub struct CatalogEntry {
    /// Its name.
    pub name: String,
    /// What people call the service.
    pub title: String,
    /// Where it is, with `{NAME}` for what is filled in; `None` for a local process, and where it is not said.
    pub url: Option<String>,
    /// A person's own file; `None`: it is built in.
    pub file: Option<PathBuf>,
    /// How its accounts prove who they are.
    pub ways: Ways,
    /// Who has tried it.
    pub verified: &'static str,
    /// All that is known of it, in the keys of a template.
    pub about: Json,
    /// The lines of a configuration that takes it.
    pub lines: String,
}

/// How accounts of a template prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ways {
    /// By a login: `automatic`, `register an application first`, `for approved clients only`, `unknown`; `None`: there is none.
    pub login: Option<&'static str>,
    /// By a secret that a person makes there.
    pub key: bool,
    /// By a tool that holds a login.
    pub helper: bool,
}

/// What people see of a template; `whole` is all that its file and those it extends say.
pub(super) fn entry(
    template: &Template,
    keys: &keys::Template,
    whole: &Node,
    file: Option<PathBuf>,
) -> CatalogEntry {
    let verified = keys.verified.value.as_ref();
    let verified = verified.map_or(Verified::Reported, |at| at.value);
    let ways = ways(keys);
    CatalogEntry {
        name: template.name.clone(),
        title: template.title.clone(),
        url: match &template.target {
            Target::Url(url) => Some(url.clone()),
            Target::Command(_) | Target::Open => None,
        },
        file,
        ways,
        verified: verified.word(),
        about: about(whole, ways, verified),
        lines: lines(template, keys, ways),
    }
}

fn ways(keys: &keys::Template) -> Ways {
    let approval = fact(&keys.requires_vendor_approval).is_some_and(|on| on.0);
    let login = match registration(keys) {
        None => Some(UNKNOWN),
        Some(ways) if ways.contains(&Registration::None) => None,
        Some(_) if approval => Some("for approved clients only"),
        Some(ways) if ways.contains(&Registration::Dynamic) => Some("automatic"),
        Some(_) => Some("register an application first"),
    };
    Ways {
        login,
        key: fact(&keys.header_auth).is_some_and(|list| !list.0.is_empty()),
        helper: fact(&keys.helper).is_some(),
    }
}

/// Every key in the order of their definition, `unknown` where people want to know.
fn about(whole: &Node, ways: Ways, verified: Verified) -> Json {
    let Value::Map(entries) = &whole.value else {
        return Json::Null;
    };
    let mut about = Map::new();
    for key in keys::Template::KEYS.iter().filter(|key| **key != "extends") {
        let said = entries.iter().find(|(other, _)| other.text == *key);
        if let Some((_, node)) = said {
            about.insert((*key).to_owned(), json(node));
        } else if WANTED.contains(key) && ways.login.is_some() && verified != Verified::BuiltIn {
            about.insert((*key).to_owned(), UNKNOWN.into());
        }
    }
    about.into()
}

fn json(node: &Node) -> Json {
    match &node.value {
        Value::List(items) => items.iter().map(|item| json(item)).collect(),
        Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, node)| (key.text.clone(), json(node)));
            entries.collect::<Map<_, _>>().into()
        }
        Value::Scalar { text, .. } => match node.found() {
            "nothing" => Json::Null,
            "a boolean" => text.eq_ignore_ascii_case("true").into(),
            "a number" => text
                .parse::<i64>()
                .map_or_else(|_| text.as_str().into(), Json::from),
            _ => text.as_str().into(),
        },
    }
}

/// A server that takes the template: what must be written, and in comments what may be.
fn lines(template: &Template, keys: &keys::Template, ways: Ways) -> String {
    let name = &template.name;
    let mut lines = Lines(format!("servers:\n  {name}:\n    template: {name}\n"));
    if matches!(template.target, Target::Open) {
        lines.put(match template.facts {
            Some(_) => "    url: https://mcp.example.com/mcp",
            None => "    command: [program, argument]",
        });
    }
    params(template, &mut lines);
    let secret = name.replace('-', "_");
    match (&template.facts, ways.login) {
        (Some(facts), Some("register an application first")) => {
            application(facts, keys, &secret, &mut lines);
        }
        (Some(_), _) => lines.put(&format!(
            "    auth: oauth                # then:  janus login {name}"
        )),
        (None, _) => {}
    }
    for Without { what, note, line } in without_login(keys, &secret) {
        let note = note.map_or_else(String::new, |note| format!("; {note}"));
        let head = if template.facts.is_some() {
            "instead, without a login: "
        } else {
            ""
        };
        lines.put(&format!("    # {head}{what}{note}"));
        lines.put(&format!("    # {line}"));
    }
    lines.0
}

fn params(template: &Template, lines: &mut Lines) {
    let required: Vec<String> = template
        .params
        .iter()
        .filter(|param| param.required)
        .map(|param| format!("{}: NAME", param.name))
        .collect();
    if !required.is_empty() {
        lines.put(&format!("    params: {{ {} }}", required.join(", ")));
    }
    for param in &template.params {
        let may = if param.required {
            ""
        } else {
            ", may be left out"
        };
        lines.put(&format!(
            "    # params: {}: {}{may}",
            param.name, param.meaning
        ));
    }
    if !template.regions.is_empty() {
        let names: Vec<&str> = template
            .regions
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        lines.put(&format!(
            "    # params: {REGION}: {}, may be left out",
            names.join(" | ")
        ));
    }
}

/// What a person fills in after registering an application.
fn application(facts: &OAuth, keys: &keys::Template, secret: &str, lines: &mut Lines) {
    let Redirect { host, path, .. } = &facts.redirect;
    let at = fact(&keys.register_at).map_or("the provider", |text| text.0.as_str());
    lines.put(&format!("    # Register an application at {at}"));
    lines.put(&format!(
        "    # with the redirect URI http://{}:{PORT}{path}",
        host.word()
    ));
    lines.put("    auth:");
    lines.put("      oauth:");
    lines.put("        client_id: CLIENT_ID");
    lines.put(&format!(
        "        client_secret: vault:{secret}_client    # then:  janus secret set {secret}_client"
    ));
    let fixed = fact(&keys.redirect).and_then(|redirect| fact(&redirect.port).copied());
    if fixed != Some(Ports::Ephemeral) {
        lines.put(&format!("        callback_port: {PORT}"));
    }
}

struct Lines(String);

impl Lines {
    fn put(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }
}

impl Template {
    /// Whether a URL is one of this template's, for the hint that it exists.
    pub(in crate::config) fn is_at(&self, url: &http::Uri) -> bool {
        let Target::Url(own) = &self.target else {
            return false;
        };
        // A template with a part of the host to fill in is nobody's host.
        if self.params.iter().any(|param| param.spot == Spot::Host) {
            return false;
        }
        let all = self.regions.iter().map(|(_, url)| url).chain([own]);
        let mut all = all.filter_map(|own| own.parse::<http::Uri>().ok());
        all.any(|own| {
            let within = own.path().trim_end_matches('/');
            let below = url.path().strip_prefix(within);
            let host = |url: &http::Uri| url.host().map(str::to_ascii_lowercase);
            host(&own) == host(url)
                && own.port_u16() == url.port_u16()
                && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}
