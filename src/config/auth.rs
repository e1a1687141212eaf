//! `auth`: a word or a map with exactly one key that says the kind.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::container::{At, Field};
use super::file::Auth;
use super::node::{Node, Value};
use super::oauth::{self, Login, OAuth};
use super::problem::{Mistake, Path, Place, Problems};
use super::read::{Form, Read, Reader, Section};
use super::settings::texts;
use super::value::Text;
use super::warning::Warning;
use super::words::list;
use crate::model::{self, Authentication, Format, Helper, OWNED_HEADERS, Secret, is_loopback};

/// Long enough that a busy session runs the tool seldom, short enough that a token that was taken back is noticed.
const TTL: Duration = Duration::from_mins(5);
/// A tool that asks its own server, with a slow network.
const TIMEOUT: Duration = Duration::from_secs(30);
/// What people may set.
const TIMEOUTS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_mins(10);

/// Each kind with the keys that belong to it; `into` belongs to all.
const KINDS: [(&str, &[&str]); 6] = [
    ("oauth", &[]),
    ("bearer", &[]),
    ("basic", &["password"]),
    ("header", &["value", "prefix"]),
    ("query", &["value"]),
    (
        "command",
        &[
            "ttl",
            "format",
            "pointer",
            "expiry_pointer",
            "header",
            "prefix",
            "timeout",
            "pass_env",
        ],
    ),
];

/// `auth` as the file has it.
pub(super) enum Proof {
    /// `none`
    None,
    /// `oauth`
    OAuth,
    /// A map.
    Of(Box<Auth>),
}

/// What `auth` of a server or an account says.
pub(super) enum Said {
    /// All there is to say.
    Plain(Authentication),
    /// A login, whose keys an account and its server share.
    Login(Box<Login>),
}

impl Read for Proof {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar { text, .. } if text == "none" => Some(Self::None),
            Value::Scalar { text, .. } if text == "oauth" => Some(Self::OAuth),
            Value::Map(_) => Auth::read(node, path, reader).map(|auth| Self::Of(Box::new(auth))),
            Value::Scalar { .. } if node.found() == "text" => {
                // Whatever stands there may be a secret.
                let help = "write `auth: { bearer: vault:NAME }`, then:  janus secret set NAME";
                let place = path.at(node.at);
                let mistake = Mistake::bad_value(
                    "`none`, `oauth`, or a map such as `{ bearer: vault:NAME }`",
                );
                reader.problems.add_with_help(&place, mistake, help);
                None
            }
            _ => {
                reader.wrong_type(node, path, Form::of("`none`, `oauth` or a map"));
                None
            }
        }
    }
}

impl JsonSchema for Proof {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Authentication".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let map = generator.subschema_for::<Auth>();
        json_schema!({ "anyOf": [{ "enum": ["none", "oauth"] }, map] })
    }
}

/// Exactly one kind, with its own keys.
pub(super) fn one_auth(schema: &mut Schema) {
    let all = KINDS
        .iter()
        .flat_map(|(kind, keys)| std::iter::once(kind).chain(*keys));
    let all: Vec<&str> = all.copied().collect();
    let kinds = KINDS.iter().map(|(kind, keys)| {
        let foreign = all.iter().filter(|key| *key != kind && !keys.contains(key));
        let without: serde_json::Map<String, serde_json::Value> = foreign
            .map(|key| ((*key).to_owned(), serde_json::json!(false)))
            .collect();
        let mut required = vec![*kind];
        required.extend(needed(kind));
        serde_json::json!({ "required": required, "properties": without })
    });
    schema.insert("oneOf".to_owned(), kinds.collect());
    schema.insert("type".to_owned(), serde_json::json!("object"));
}

/// What a kind cannot be without.
fn needed(kind: &str) -> Option<&'static str> {
    match kind {
        "basic" => Some("password"),
        "header" | "query" => Some("value"),
        _ => None,
    }
}

/// What `auth` of a server or an account says; `None` where it is absent, or wrong, which was noted.
pub(super) fn read(auth: Field<Proof>, problems: &mut Problems) -> Option<Said> {
    let At { place, value } = auth.value?;
    let auth = match value {
        Proof::None => {
            return Some(Said::Plain(Authentication {
                how: model::Auth::None,
                into: None,
            }));
        }
        Proof::OAuth => return Some(login(OAuth::default(), None, place)),
        Proof::Of(auth) => *auth,
    };
    let kind = kind(&auth, &place, problems)?;
    if kind == "oauth" {
        let keys = auth.oauth.into_value()?;
        let grant = keys.grant.value.as_ref().map(|at| at.value);
        oauth::within(&keys, grant.unwrap_or_default(), problems);
        let into = auth.into.value.map(|at| At {
            place: at.place,
            value: at.value.0,
        });
        return Some(login(keys, into, place));
    }
    let into = auth.into.value.as_ref().map(|at| at.value.0.clone());
    let how = match kind {
        "bearer" => model::Auth::Bearer(auth.bearer.into_value()?.0),
        "basic" => {
            let password = needs(auth.password, "password", &place, problems);
            let user = auth.basic.value?;
            if user.value.0.contains(':') {
                // RFC 7617, section 2: the first colon ends the user's name.
                problems.add(&user.place, Mistake::bad_value("a user without a colon"));
            }
            model::Auth::Basic {
                user: user.value.0,
                password: password?.0,
            }
        }
        "header" => {
            let value = needs(auth.value, "value", &place, problems);
            model::Auth::Header {
                name: header(auth.header, problems)?,
                value: value?.0,
                prefix: prefix(auth.prefix, "", problems)?,
            }
        }
        "query" => {
            let value = needs(auth.value, "value", &place, problems);
            let message = "a secret in the query of a URL: URLs end in other people's logs";
            let help = "use `header` or `bearer`, if the server takes one of them";
            problems.warn(Warning::new(&place, message, help));
            model::Auth::Query {
                name: auth.query.into_value()?.0,
                value: value?.0,
            }
        }
        _ => helper(auth, problems)?,
    };
    Some(Said::Plain(Authentication { how, into }))
}

fn login(keys: OAuth, into: Option<At<String>>, place: Place) -> Said {
    Said::Login(Box::new(Login { place, keys, into }))
}

/// The one key that says the kind, with no key of another one beside it.
fn kind(auth: &Auth, place: &Place, problems: &mut Problems) -> Option<&'static str> {
    let there = auth.keys();
    let at = |key: &str| {
        there
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, place)| place)
    };
    // `header` is also where a command's token goes.
    let kind = ["oauth", "command", "bearer", "basic", "query", "header"]
        .into_iter()
        .find(|kind| at(kind).is_some());
    let Some((kind, own)) = kind.and_then(|kind| KINDS.into_iter().find(|(name, _)| *name == kind))
    else {
        let names: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
        let what = format!("a key that says the kind: {}", list(&names, "or"));
        problems.add(place, Mistake::Missing { what });
        return None;
    };
    let foreign = there
        .iter()
        .filter(|(key, _)| *key != kind && *key != "into" && !own.contains(key));
    let mut alone = true;
    for (key, place) in foreign {
        let why = format!("`{key}` does not belong to `{kind}`");
        let help = if own.is_empty() {
            "remove it".to_owned()
        } else {
            format!(
                "beside `{kind}` there may be {} and `into`",
                list(own, "and")
            )
        };
        problems.add_with_help(place, Mistake::DoesNotFit { why }, help);
        alone = false;
    }
    alone.then_some(kind)
}

fn needs<T>(field: Field<T>, name: &str, place: &Place, problems: &mut Problems) -> Option<T> {
    if field.key.is_none() {
        let what = format!("`{name}`");
        problems.add(place, Mistake::Missing { what });
    }
    field.into_value()
}

fn header(
    field: Field<super::name::HeaderText>,
    problems: &mut Problems,
) -> Option<http::HeaderName> {
    let At { place, value } = field.value?;
    if OWNED_HEADERS.contains(&value.0.as_str()) {
        let why = format!("Janus sets the header `{}` itself", value.0);
        problems.add_with_help(&place, Mistake::DoesNotFit { why }, "name another one");
        return None;
    }
    Some(value.0)
}

fn prefix(field: Field<Text>, default: &str, problems: &mut Problems) -> Option<String> {
    let Some(At { place, value }) = field.value else {
        return Some(default.to_owned());
    };
    if http::HeaderValue::from_str(&value.0).is_err() {
        problems.add(
            &place,
            Mistake::bad_value("visible ASCII characters, as in every HTTP header"),
        );
        return None;
    }
    Some(value.0)
}

fn helper(auth: Auth, problems: &mut Problems) -> Option<model::Auth> {
    let At { place, value } = auth.command.value?;
    super::reference::refuse_in_arguments(&value, problems);
    let argv = texts(value);
    if argv.first().is_none_or(String::is_empty) {
        problems.add(
            &place,
            Mistake::bad_value("a list that begins with the program"),
        );
        return None;
    }
    let format = auth.format.or(Format::Auto);
    let pointed = pointer(auth.pointer, problems);
    if pointed.is_none() && matches!(format, Format::Json | Format::Aws) {
        let what = format!("`pointer`, which `format: {}` needs", format.word());
        problems.add_with_help(
            &place,
            Mistake::Missing { what },
            "write where the token is: `pointer: /token`",
        );
    }
    let timeout = match auth.timeout.value {
        Some(at) if !TIMEOUTS.contains(&at.value.0) => {
            problems.add(
                &at.place,
                Mistake::bad_value("a duration from `1s` to `10m`"),
            );
            return None;
        }
        Some(at) => at.value.0,
        None => TIMEOUT,
    };
    let header = if auth.header.key.is_some() {
        header(auth.header, problems)?
    } else {
        http::header::AUTHORIZATION
    };
    // What is no `Authorization` has no scheme either, unless it is written.
    let scheme = if header == http::header::AUTHORIZATION {
        "Bearer "
    } else {
        ""
    };
    let pass_env = auth
        .pass_env
        .or(super::container::List::default())
        .into_values();
    Some(model::Auth::Helper {
        prefix: prefix(auth.prefix, scheme, problems)?,
        header,
        helper: Arc::new(Helper {
            argv,
            format,
            ttl: auth.ttl.into_value().map_or(TTL, |ttl| ttl.0),
            pointer: pointed,
            expiry_pointer: pointer(auth.expiry_pointer, problems),
            timeout,
            pass_env: pass_env
                .filter_map(|passed| Some((passed.name, passed.value?)))
                .collect::<Vec<(String, Arc<Secret>)>>(),
            input: String::new(),
        }),
    })
}

/// A JSON pointer (RFC 6901).
fn pointer(field: Field<Text>, problems: &mut Problems) -> Option<String> {
    let At { place, value } = field.value?;
    if !value.0.starts_with('/') {
        problems.add(
            &place,
            Mistake::bad_value("a JSON pointer such as `/token`"),
        );
        return None;
    }
    Some(value.0)
}

/// Holds a kind against what it is for: a process gets a variable, a remote server a part of the request, and a secret
/// never goes over the network in the clear.
///
/// A login is held against that where the keys of account and server are put together.
pub(super) fn check_fit(
    auth: &Field<Proof>,
    is_process: bool,
    url: Option<&http::Uri>,
    problems: &mut Problems,
) {
    let Some(At {
        place,
        value: Proof::Of(map),
    }) = &auth.value
    else {
        return;
    };
    if map.oauth.key.is_some() {
        return;
    }
    if is_process {
        if map.into.key.is_none() {
            let what = "`into`: the variable of the process that gets the value".to_owned();
            problems.add_with_help(place, Mistake::Missing { what }, "write `into: NAME`");
        }
        return;
    }
    if let Some(into) = &map.into.key {
        let why = "`into` belongs to a local process, and this server has `url`";
        problems.add_with_help(into, Mistake::does_not_fit(why), "remove it");
    }
    if url.is_some_and(in_the_clear) {
        let why = "a secret for a server that is reached by plain `http`: everybody on the way could read it";
        let help = "write `https://` in its `url`";
        problems.add_with_help(place, Mistake::does_not_fit(why), help);
    }
}

/// Whether what goes there can be read on the way: plain `http`, and not within this machine.
pub(super) fn in_the_clear(url: &http::Uri) -> bool {
    url.scheme_str() != Some("https") && !url.host().is_some_and(is_loopback)
}
