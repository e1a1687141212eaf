//! The single values of a configuration: how each is written, and its part of the JSON Schema.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::node::{Node, Value};
use super::problem::{Mistake, Path};
use super::read::{Form, Read, Reader};
use super::reference::within;

/// Deadlines are added to the clock, which must not overflow; nobody waits longer than a year.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// The units, the largest first.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

const DURATION: Form<'_> = Form {
    what: "a duration such as `500ms`, `60s`, `10m` or `24h`",
    unquoted: Some("write the unit too"),
};

/// A duration that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {}", DURATION.what)]
pub struct BadDuration;

/// Reads `500ms`, `60s`, `10m`, `24h`.
pub fn duration(text: &str) -> Result<Duration, BadDuration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(digits).unwrap_or_default();
    let (_, milliseconds) = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or(BadDuration)?;
    if !digits.chars().all(|c| c.is_ascii_digit()) {
        return Err(BadDuration);
    }
    let number: u64 = digits.parse().map_err(|_| BadDuration)?;
    let duration = number.checked_mul(*milliseconds).map(Duration::from_millis);
    duration
        .filter(|duration| *duration <= LONGEST)
        .ok_or(BadDuration)
}

/// Writes a duration as [`duration`] reads it, in the largest unit that fits.
pub(super) fn spelled(duration: Duration) -> String {
    let total = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    // One minute is written as 60s: people compare it with other seconds.
    let fits = |(unit, size): &&(&str, u64)| {
        total > 0 && total.is_multiple_of(*size) && !(*unit == "m" && total == *size)
    };
    match UNITS.iter().find(fits) {
        Some((unit, size)) => format!("{}{unit}", total / size),
        None => "0".to_owned(),
    }
}

/// A pattern that also allows a variable, whose value the schema cannot know.
pub(super) fn or_variable(pattern: &str) -> String {
    format!(r"^({pattern}|.*\$\{{[A-Za-z_][A-Za-z0-9_]*\}}.*)$")
}

/// The schema of a type is written in place, without a name of its own.
macro_rules! inline_schema {
    ($type:ty, $name:expr, $($schema:tt)+) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($($schema)+)
            }
        }
    };
}

pub(super) use inline_schema;

/// `version: 1`.
pub(super) struct Version;

impl Read for Version {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        if node.plain() == Some("1") {
            return Some(Self);
        }
        let help = "this Janus reads version 1 of the format";
        let mistake = Mistake::bad_value("`1`");
        reader
            .problems
            .add_with_help(&path.at(node.at), mistake, help);
        None
    }
}
inline_schema!(Version, "Version", { "type": "integer", "const": 1 });

/// `true` or `false`.
pub(super) struct Switch(pub(super) bool);

impl Read for Switch {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        match node.plain() {
            Some("true" | "True" | "TRUE") => Some(Self(true)),
            Some("false" | "False" | "FALSE") => Some(Self(false)),
            _ => {
                reader.wrong_type(node, path, Form::of("`true` or `false`"));
                None
            }
        }
    }
}
inline_schema!(Switch, "Switch", { "type": "boolean" });

/// Text, which may be a secret: no `Debug`.
pub(super) struct Text(pub(super) String);

impl Read for Text {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        const TEXT: Form<'_> = Form {
            what: "text",
            unquoted: Some("put it in quotes"),
        };
        reader.scalar(node, path, TEXT, |text| {
            // The system takes neither programs, arguments nor variables with it.
            if text.contains('\0') {
                Err("text without a NUL character".to_owned())
            } else {
                Ok(Self(text.to_owned()))
            }
        })
    }
}
inline_schema!(Text, "Text", { "type": "string" });

/// A duration longer than zero.
pub(super) struct Wait(pub(super) Duration);

impl Read for Wait {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        reader.scalar(node, path, DURATION, |text| match duration(text) {
            Ok(Duration::ZERO) => Err("a duration longer than zero".to_owned()),
            Ok(duration) => Ok(Self(duration)),
            Err(BadDuration) => Err(DURATION.what.to_owned()),
        })
    }
}
inline_schema!(Wait, "Duration", {
    "type": "string", "pattern": or_variable(r"0*[1-9][0-9]*(ms|s|m|h)")
});

/// A duration, or `0` for never.
pub(super) struct WaitOrNever(pub(super) Option<Duration>);

impl Read for WaitOrNever {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        const EXPECTED: &str = "a duration such as `10m`, or `0` for never";
        let form = Form {
            what: EXPECTED,
            ..DURATION
        };
        if node.plain() == Some("0") {
            return Some(Self(None));
        }
        reader.scalar(node, path, form, |text| match duration(text) {
            Ok(duration) => Ok(Self(Some(duration).filter(|d| !d.is_zero()))),
            Err(BadDuration) if text == "0" => Ok(Self(None)),
            Err(BadDuration) => Err(EXPECTED.to_owned()),
        })
    }
}
inline_schema!(WaitOrNever, "Duration or 0", {
    "anyOf": [
        { "type": "integer", "const": 0 },
        { "type": "string", "pattern": or_variable("0|[0-9]+(ms|s|m|h)") }
    ]
});

/// How long a token is used; `0` is once.
pub(super) struct Ttl(pub(super) Duration);

impl Read for Ttl {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        const EXPECTED: &str = "a duration such as `5m`, or `0` for once";
        if node.plain() == Some("0") {
            return Some(Self(Duration::ZERO));
        }
        reader.scalar(node, path, Form::of(EXPECTED), |text| {
            duration(text)
                .map(Self)
                .map_err(|BadDuration| EXPECTED.to_owned())
        })
    }
}
inline_schema!(Ttl, "Duration or 0", {
    "anyOf": [
        { "type": "integer", "const": 0 },
        { "type": "string", "pattern": or_variable("[0-9]+(ms|s|m|h)") }
    ]
});

/// An absolute URL of a server.
pub(super) struct Url(pub(super) http::Uri);

impl Read for Url {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        if matches!(&node.value, Value::Scalar { text, .. } if within(text)) {
            let place = path.at(node.at);
            let why = "a reference within a URL would be sent as it is written";
            let help = "write `auth: { query: NAME, value: vault:NAME }`, or better a header";
            reader
                .problems
                .add_with_help(&place, Mistake::does_not_fit(why), help);
            return None;
        }
        reader.scalar(node, path, Form::of(URL), |text| url(text).map(Self))
    }
}
inline_schema!(Url, "URL", {
    "type": "string", "pattern": or_variable("[Hh][Tt][Tt][Pp][Ss]?://[^@#/?]+([/?][^#]*)?")
});

/// What a URL is, in messages.
const URL: &str = "an absolute URL such as `https://mcp.example.com/mcp`";

/// What an absolute URL of a server is; else what it should be.
pub(super) fn url(text: &str) -> Result<http::Uri, String> {
    let (_, after_scheme) = text.split_once("://").ok_or(URL)?;
    let authority = after_scheme
        .split(['/', '?', '#'])
        .next()
        .unwrap_or_default();
    if authority.contains('@') {
        return Err("a URL without a user name or password; send them in `headers`".to_owned());
    }
    // The parser below would drop it silently.
    if text.contains('#') {
        return Err("a URL without a fragment (`#…`)".to_owned());
    }
    let url: http::Uri = text.parse().map_err(|_| URL)?;
    let web = matches!(url.scheme_str(), Some("http" | "https"));
    let host = url.host().is_some_and(|host| !host.is_empty());
    if web && host {
        Ok(url)
    } else {
        Err(URL.to_owned())
    }
}

/// An absolute path; `~/` is the home directory.
pub(super) struct FilePath(pub(super) PathBuf);

impl Read for FilePath {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        const EXPECTED: &str = "an absolute path, or one that begins with `~/`";
        let home = reader.environment.home();
        reader.scalar(node, path, Form::of(EXPECTED), |text| {
            let path = match (text.strip_prefix("~/"), home) {
                (Some(rest), Some(home)) => home.join(rest),
                (Some(_), None) => {
                    return Err("an absolute path, because `HOME` is not set".to_owned());
                }
                (None, _) => PathBuf::from(text),
            };
            let usable = path.is_absolute() && !text.contains('\0');
            if usable {
                Ok(Self(path))
            } else {
                Err(EXPECTED.to_owned())
            }
        })
    }
}
inline_schema!(FilePath, "Path", { "type": "string", "pattern": or_variable("(/|~/).*") });

/// An address and port to listen on.
pub(super) struct Address(pub(super) SocketAddr);

impl Read for Address {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        const EXPECTED: &str = "an address and port such as `127.0.0.1:7332` or `[::1]:7332`";
        reader.scalar(node, path, Form::of(EXPECTED), |text| {
            text.parse().map(Self).map_err(|_| EXPECTED.to_owned())
        })
    }
}
inline_schema!(Address, "Address", { "type": "string", "pattern": or_variable(r"[0-9a-fA-F.:\[\]%]+:[0-9]+") });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_alike() {
        for (text, milliseconds, canonical) in [
            ("500ms", 500, "500ms"),
            ("1m", 60_000, "60s"),
            ("90s", 90_000, "90s"),
            ("24h", 86_400_000, "24h"),
            ("0s", 0, "0"),
        ] {
            let read = duration(text).unwrap();
            assert_eq!(read, Duration::from_millis(milliseconds), "{text}");
            assert_eq!(spelled(read), canonical);
        }
        for text in [
            "",
            "60",
            "s",
            "1d",
            "-1s",
            "1.5s",
            "1h30m",
            " 1s",
            "99999999999999999999s",
            "9000h",
            "١s",
        ] {
            assert_eq!(duration(text), Err(BadDuration), "{text}");
        }
    }
}
