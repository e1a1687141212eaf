//! What a command printed, as a token and its end.
//!
//! Nothing is ever "the first line": an output that is not exactly what its format says is an error, and the error names
//! what was found, never its value.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::model::{Format, Helper};

/// A header cannot be longer at most servers.
const LONGEST: usize = 16 * 1024;

/// A token, and what is known of its end.
pub(super) struct Printed {
    pub(super) token: Zeroizing<String>,
    pub(super) end: End,
}

/// When a token ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing says so: the configured `ttl` counts.
    Unknown,
    /// At this time.
    At(SystemTime),
    /// This long after it was printed.
    In(Duration),
    /// Not by itself.
    Never,
}

/// Reads the whole output. The reason, where it is not what the format says.
pub(super) fn read(output: &[u8], helper: &Helper) -> Result<Printed, String> {
    let text =
        std::str::from_utf8(output).map_err(|_| "its output is not UTF-8 text".to_owned())?;
    if text.trim().is_empty() {
        return Err("its output is empty".to_owned());
    }
    let printed = match helper.format {
        Format::Raw => raw(text),
        Format::Jwt => jwt(text),
        Format::Git => git(text),
        Format::Auto if !text.trim_start().starts_with('{') => {
            let token = line(text)?;
            if token.split('.').count() == 3 && token.starts_with("eyJ") {
                // What only looks like one is a token all the same.
                jwt(text).or_else(|_| raw(text))
            } else {
                raw(text)
            }
        }
        format => json(text, format, helper),
    }?;
    check(&printed.token)?;
    Ok(printed)
}

/// One line of visible ASCII.
fn line(text: &str) -> Result<&str, String> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.contains(['\n', '\r']) {
        return Err(format!(
            "its output has {} lines, where one is expected",
            line.lines().count()
        ));
    }
    Ok(line)
}

fn check(token: &str) -> Result<(), String> {
    if token.is_empty() {
        return Err("its token is empty".to_owned());
    }
    if token.len() > LONGEST {
        return Err("its token is longer than 16 KiB".to_owned());
    }
    if token.chars().any(|c| !c.is_ascii_graphic()) {
        return Err("its token has spaces, control characters or letters beyond ASCII".to_owned());
    }
    Ok(())
}

fn printed(token: &str, end: End) -> Printed {
    Printed {
        token: Zeroizing::new(token.to_owned()),
        end,
    }
}

fn raw(text: &str) -> Result<Printed, String> {
    Ok(printed(line(text)?, End::Unknown))
}

/// The one claim that matters. The signature is the server's business: this is a hint when to renew, nothing more.
#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
}

fn jwt(text: &str) -> Result<Printed, String> {
    let token = line(text)?;
    let claims = jsonwebtoken::dangerous::insecure_decode_claims::<Claims>(token);
    let claims = claims.map_err(|_| "its output is not a JWT".to_owned())?;
    let end = claims.exp.and_then(epoch).map_or(End::Unknown, End::At);
    Ok(printed(token, end))
}

/// `key=value` lines (`gitcredentials(7)`).
fn git(text: &str) -> Result<Printed, String> {
    let pairs: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    let value = |name: &str| {
        pairs
            .iter()
            .rev()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    };
    // `credential` comes with an `authtype`, whose word the prefix of the configuration stands for.
    let token = value("authtype")
        .and_then(|_| value("credential"))
        .or_else(|| value("password"));
    let token = token.ok_or("its output has no `password` and no `credential`")?;
    let end = match value("password_expiry_utc") {
        Some(text) => End::At(
            text.parse()
                .ok()
                .and_then(epoch)
                .ok_or("its `password_expiry_utc` is not a time")?,
        ),
        None => End::Unknown,
    };
    Ok(printed(token, end))
}

fn json(text: &str, format: Format, helper: &Helper) -> Result<Printed, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        format!(
            "its output is not JSON (line {}, column {})",
            error.line(),
            error.column()
        )
    })?;
    let Value::Object(members) = &value else {
        return Err("its output is JSON, but no object".to_owned());
    };
    match format {
        Format::ExecCredential => exec_credential(&value),
        Format::OAuth => oauth(&value),
        Format::Az => az(&value),
        Format::Aws => aws(&value, helper),
        Format::Docker => Ok(printed(text_of(&value, "/Secret")?, End::Unknown)),
        Format::Json => pointed(&value, helper),
        _ if helper.pointer.is_some() => pointed(&value, helper),
        _ if value
            .get("kind")
            .is_some_and(|kind| kind == "ExecCredential") =>
        {
            exec_credential(&value)
        }
        _ if value.get("access_token").is_some() => oauth(&value),
        _ if value.get("accessToken").is_some() => az(&value),
        _ => {
            let keys: Vec<&str> = members
                .keys()
                .map(String::as_str)
                .filter(|key| is_plain(key))
                .take(12)
                .collect();
            Err(format!(
                "its output is JSON of no known form, with the keys {}; `format: json` and `pointer` say where the token is",
                keys.join(", ")
            ))
        }
    }
}

/// A key that may be shown.
fn is_plain(key: &str) -> bool {
    key.len() <= 40
        && !crate::model::looks_secret(key)
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

fn text_of<'v>(value: &'v Value, pointer: &str) -> Result<&'v str, String> {
    match value.pointer(pointer) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!(
            "its output has at `{pointer}` something other than text"
        )),
        None => Err(format!("its output has nothing at `{pointer}`")),
    }
}

/// <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#input-and-output-formats>
fn exec_credential(value: &Value) -> Result<Printed, String> {
    let version = text_of(value, "/apiVersion")?;
    let known = [
        "client.authentication.k8s.io/v1",
        "client.authentication.k8s.io/v1beta1",
    ];
    if !known.contains(&version)
        || value
            .get("kind")
            .is_none_or(|kind| kind != "ExecCredential")
    {
        return Err(format!(
            "its output is no ExecCredential of {}",
            known.join(" or ")
        ));
    }
    let end = match value.pointer("/status/expirationTimestamp") {
        Some(Value::String(text)) => {
            End::At(rfc3339(text).ok_or("its `expirationTimestamp` is not a time")?)
        }
        Some(Value::Null) | None => End::Unknown,
        Some(_) => return Err("its `expirationTimestamp` is not text".to_owned()),
    };
    Ok(printed(text_of(value, "/status/token")?, end))
}

/// RFC 6749, section 5.1, and what tools add to it.
fn oauth(value: &Value) -> Result<Printed, String> {
    let token = text_of(value, "/access_token")?;
    let absolute = ["expires_at", "expires_on"]
        .into_iter()
        .find_map(|key| value.get(key));
    let end = match (
        absolute.filter(|end| !end.is_null()),
        value.get("expires_in"),
    ) {
        (Some(end), _) => {
            End::At(time(end).ok_or("its `expires_at` or `expires_on` is not a time")?)
        }
        (None, Some(Value::Null) | None) => End::Unknown,
        (None, Some(left)) => {
            let seconds = number(left).filter(|seconds| *seconds >= 0.0);
            let seconds = seconds.ok_or("its `expires_in` is not a number of seconds")?;
            End::In(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
        }
    };
    Ok(printed(token, end))
}

/// `expires_on` is exact; `expiresOn` is the local time of who ran it, and older versions have only that.
fn az(value: &Value) -> Result<Printed, String> {
    let token = text_of(value, "/accessToken")?;
    let end = match (value.get("expires_on"), value.get("expiresOn")) {
        (Some(end), _) if !end.is_null() => {
            End::At(time(end).ok_or("its `expires_on` is not a time")?)
        }
        (_, Some(Value::String(text))) => {
            End::At(local(text).ok_or("its `expiresOn` is not a time")?)
        }
        _ => End::Unknown,
    };
    Ok(printed(token, end))
}

/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>
fn aws(value: &Value, helper: &Helper) -> Result<Printed, String> {
    if value.get("Version").and_then(Value::as_u64) != Some(1) {
        return Err("its output has no `Version: 1`".to_owned());
    }
    let pointer = helper
        .pointer
        .as_deref()
        .ok_or("`pointer` does not say which of its fields is meant")?;
    let end = match value.get("Expiration") {
        Some(Value::String(text)) => {
            End::At(rfc3339(text).ok_or("its `Expiration` is not a time")?)
        }
        _ => End::Never,
    };
    Ok(printed(text_of(value, pointer)?, end))
}

fn pointed(value: &Value, helper: &Helper) -> Result<Printed, String> {
    let pointer = helper
        .pointer
        .as_deref()
        .ok_or("`pointer` does not say where the token is")?;
    let token = text_of(value, pointer)?;
    let end = match helper.expiry_pointer.as_deref() {
        None => End::Unknown,
        Some(pointer) => {
            let end = value
                .pointer(pointer)
                .ok_or_else(|| format!("its output has nothing at `{pointer}`"))?;
            End::At(
                time(end)
                    .ok_or_else(|| format!("what its output has at `{pointer}` is not a time"))?,
            )
        }
    };
    Ok(printed(token, end))
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
    .filter(|number: &f64| number.is_finite())
}

/// Seconds since 1970, or RFC 3339.
fn time(value: &Value) -> Option<SystemTime> {
    number(value)
        .and_then(epoch)
        .or_else(|| rfc3339(value.as_str()?))
}

fn epoch(seconds: f64) -> Option<SystemTime> {
    // Some tools count milliseconds; as seconds that would be the year 5000 and later.
    let seconds = if seconds > 1e11 {
        seconds / 1000.0
    } else {
        seconds
    };
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}

fn rfc3339(text: &str) -> Option<SystemTime> {
    text.trim().parse::<jiff::Timestamp>().ok()?.try_into().ok()
}

fn local(text: &str) -> Option<SystemTime> {
    let local: jiff::civil::DateTime = text.trim().parse().ok()?;
    let zoned = local.to_zoned_datetime(jiff::tz::TimeZone::system()).ok()?;
    zoned.timestamp().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn helper(format: Format, pointer: Option<&str>, expiry: Option<&str>) -> Helper {
        Helper {
            argv: vec!["x".to_owned()],
            format,
            ttl: Duration::from_mins(5),
            pointer: pointer.map(str::to_owned),
            expiry_pointer: expiry.map(str::to_owned),
            timeout: Duration::from_secs(30),
            pass_env: Vec::new(),
            input: String::new(),
        }
    }

    fn of(output: &str, format: Format) -> Result<(String, End), String> {
        with(output, format, None, None)
    }

    fn with(
        output: &str,
        format: Format,
        pointer: Option<&str>,
        expiry: Option<&str>,
    ) -> Result<(String, End), String> {
        read(output.as_bytes(), &helper(format, pointer, expiry))
            .map(|printed| (printed.token.to_string(), printed.end))
    }

    fn at(seconds: u64) -> End {
        End::At(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is compared with a result")]
    fn said(token: &str, end: End) -> Result<(String, End), String> {
        Ok((token.to_owned(), end))
    }

    /// `{"alg":"none"}`, `{"exp":1900000000}`
    const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjE5MDAwMDAwMDB9.c2ln";

    #[test]
    fn every_format_reads_what_its_tool_prints() {
        let exec = r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"t","expirationTimestamp":"2030-03-17T17:46:40Z"}}"#;
        assert_eq!(of("tok\n", Format::Raw), said("tok", End::Unknown));
        assert_eq!(of("tok\r\n", Format::Auto), said("tok", End::Unknown));
        assert_eq!(of(JWT, Format::Jwt), said(JWT, at(1_900_000_000)));
        assert_eq!(of(JWT, Format::Auto), said(JWT, at(1_900_000_000)));
        assert_eq!(of("a.b.c", Format::Auto), said("a.b.c", End::Unknown));
        for format in [Format::ExecCredential, Format::Auto] {
            assert_eq!(of(exec, format), said("t", at(1_900_000_000)));
        }
        for format in [Format::OAuth, Format::Auto] {
            for left in ["3600", "\"3600\""] {
                let text = format!(r#"{{"access_token":"t","expires_in":{left}}}"#);
                assert_eq!(
                    of(&text, format),
                    said("t", End::In(Duration::from_hours(1)))
                );
            }
            let text = r#"{"access_token":"t","expires_at":"2030-03-17T17:46:40Z","expires_in":1}"#;
            assert_eq!(of(text, format), said("t", at(1_900_000_000)));
        }
        let az = r#"{"accessToken":"t","expires_on":1900000000,"expiresOn":"1999-01-01 00:00:00.000000"}"#;
        assert_eq!(of(az, Format::Az), said("t", at(1_900_000_000)));
        assert_eq!(of(az, Format::Auto), said("t", at(1_900_000_000)));
        let older = r#"{"accessToken":"t","expiresOn":"2030-03-17 17:46:40.000000"}"#;
        let (_, End::At(end)) = of(older, Format::Az).unwrap() else {
            panic!("no time")
        };
        let off = end
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
            .abs_diff(1_900_000_000);
        assert!(off <= 14 * 3600, "{off}");
        let aws = r#"{"Version":1,"AccessKeyId":"a","SecretAccessKey":"s","SessionToken":"t","Expiration":"2030-03-17T17:46:40+00:00"}"#;
        assert_eq!(
            with(aws, Format::Aws, Some("/SessionToken"), None),
            said("t", at(1_900_000_000))
        );
        let forever = r#"{"Version":1,"SessionToken":"t"}"#;
        assert_eq!(
            with(forever, Format::Aws, Some("/SessionToken"), None),
            said("t", End::Never)
        );
        let git = "protocol=https\nusername=u\npassword=p=q\npassword_expiry_utc=1900000000\n";
        assert_eq!(of(git, Format::Git), said("p=q", at(1_900_000_000)));
        assert_eq!(
            of("authtype=Bearer\ncredential=c\n", Format::Git),
            said("c", End::Unknown)
        );
        assert_eq!(
            of(
                r#"{"ServerURL":"u","Username":"n","Secret":"s"}"#,
                Format::Docker
            ),
            said("s", End::Unknown)
        );
        let json = r#"{"a":{"b":"t"},"e":1900000000000}"#;
        assert_eq!(
            with(json, Format::Json, Some("/a/b"), Some("/e")),
            said("t", at(1_900_000_000))
        );
        assert_eq!(
            with(json, Format::Auto, Some("/a/b"), None),
            said("t", End::Unknown)
        );
    }

    #[test]
    fn what_is_not_exactly_the_format_is_an_error_without_its_value() {
        let long = "x".repeat(LONGEST + 1);
        for (output, format) in [
            ("", Format::Raw),
            ("\n", Format::Auto),
            ("CANARY\nCANARY", Format::Raw),
            ("CANARY\n\n", Format::Auto),
            ("CANARY b", Format::Raw),
            ("CAN\u{7}ARY", Format::Raw),
            ("CANARYé", Format::Raw),
            (long.as_str(), Format::Raw),
            ("CANARY", Format::Jwt),
            ("CANARY.CANARY.CANARY", Format::Jwt),
            ("CANARY", Format::OAuth),
            ("[\"CANARY\"]", Format::Json),
            ("{\"token\":\"CANARY\"}", Format::Auto),
            ("{\"access_token\":\"CANARY\"", Format::Auto),
            ("{\"access_token\":7}", Format::OAuth),
            ("{\"access_token\":\"\"}", Format::OAuth),
            (
                "{\"access_token\":\"CANARY\",\"expires_in\":\"soon\"}",
                Format::OAuth,
            ),
            (
                "{\"access_token\":\"CANARY\",\"expires_at\":\"never\"}",
                Format::OAuth,
            ),
            (
                "{\"accessToken\":\"CANARY\",\"expiresOn\":\"later\"}",
                Format::Az,
            ),
            (
                "{\"kind\":\"ExecCredential\",\"apiVersion\":\"v9\",\"status\":{\"token\":\"CANARY\"}}",
                Format::Auto,
            ),
            (
                "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\"}",
                Format::ExecCredential,
            ),
            ("{\"Version\":2,\"SessionToken\":\"CANARY\"}", Format::Aws),
            ("username=CANARY\n", Format::Git),
            ("password=CANARY\npassword_expiry_utc=soon\n", Format::Git),
            ("{\"Password\":\"CANARY\"}", Format::Docker),
        ] {
            let why = with(output, format, None, None).expect_err(output);
            assert!(!why.contains("CANARY"), "{why}");
        }
        let why = with("{\"a\":1}", Format::Json, Some("/b"), None).unwrap_err();
        assert!(why.contains("`/b`"), "{why}");
        assert!(read(b"\xff\xfe", &helper(Format::Auto, None, None)).is_err());
    }
}
