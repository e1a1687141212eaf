//! What token endpoints answer, and what each answer means.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::credential::oauth::granted::Tokens;
use crate::credential::oauth::token_response::{Answer, LONGEST_LIFE, read};

/// 2026-11-26 12:00:00 UTC
const NOW: u64 = 1_795_694_400;

fn wall() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

/// The outcome in words.
fn outcome(status: u16, headers: &[(&str, &str)], body: &[u8]) -> String {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect();
    let status = StatusCode::from_u16(status).unwrap();
    match read(status, &headers, body, wall()) {
        Answer::Tokens(tokens) => told(&tokens),
        Answer::Dead(said) => format!("dead {}", said.code.unwrap_or_default()),
        Answer::ClientGone(said) => format!("client {}", said.code.unwrap_or_default()),
        Answer::PersonNeeded(said) => format!("person {}", said.code.unwrap_or_default()),
        Answer::Scope(_) => "scope".to_owned(),
        Answer::Target(_) => "target".to_owned(),
        Answer::Pending(_) => "pending".to_owned(),
        Answer::SlowDown(_) => "slow".to_owned(),
        Answer::Denied(_) => "denied".to_owned(),
        Answer::Configuration(said) => format!("configuration {}", said.text),
        Answer::Stale(said) => format!("stale {}", said.text),
        Answer::Passing(_, wish) => match wish {
            Some(wish) => format!("passing {}", wish.as_secs()),
            None => "passing".to_owned(),
        },
        Answer::Unclear(said) => format!("unclear {}", said.text),
    }
}

fn told(tokens: &Tokens) -> String {
    let mut told = format!("token {}", tokens.access.expose());
    if let Some(refresh) = &tokens.refresh {
        write!(told, " refresh {}", refresh.expose()).unwrap();
    }
    if let Some(life) = tokens.life {
        write!(told, " life {}", life.as_secs()).unwrap();
    }
    if let Some(scopes) = &tokens.scopes {
        write!(told, " scopes {}", scopes.join("+")).unwrap();
    }
    if tokens.id_token.is_some() {
        told += " id";
    }
    told
}

fn jwt(claims: &str) -> String {
    format!(
        "{}.{}.c2ln",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#),
        URL_SAFE_NO_PAD.encode(claims)
    )
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_success_is_one_however_it_is_dressed() {
    for (status, body, expected) in [
        (
            200,
            r#"{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"r","scope":"x y"}"#,
            "token a refresh r life 3600 scopes x+y",
        ),
        (201, r#"{"access_token":"a"}"#, "token a"),
        (
            203,
            r#"{"access_token":"a","expires_in":60}"#,
            "token a life 60",
        ),
        (
            200,
            r#"{"access_token":"a","expires_in":"3600"}"#,
            "token a life 3600",
        ),
        (
            200,
            r#"{"access_token":"a","expires_in":" 60 "}"#,
            "token a life 60",
        ),
        (
            200,
            r#"{"access_token":"a","expires_in":3599.9}"#,
            "token a life 3599",
        ),
        (
            200,
            r#"{"access_token":"a","expires_in":"3599.5"}"#,
            "token a life 3599",
        ),
        (200, r#"{"access_token":"a","expires_in":-1}"#, "token a"),
        (200, r#"{"access_token":"a","expires_in":0}"#, "token a"),
        (200, r#"{"access_token":"a","expires_in":null}"#, "token a"),
        (
            200,
            r#"{"access_token":"a","expires_in":"never"}"#,
            "token a",
        ),
        (200, r#"{"access_token":"a","expires_in":[60]}"#, "token a"),
        (
            200,
            r#"{"access_token":"a","expires_in":1}"#,
            "token a life 1",
        ),
        (
            200,
            r#"{"access_token":"a","expires_in":1e300}"#,
            "token a life 7776000",
        ),
        (
            200,
            r#"{"access_token":"a","expires_in":315360000}"#,
            "token a life 7776000",
        ),
        (200, r#"{"access_token":"a","refresh_token":""}"#, "token a"),
        (
            200,
            r#"{"access_token":"a","refresh_token":null}"#,
            "token a",
        ),
        (200, r#"{"access_token":"a","refresh_token":7}"#, "token a"),
        (
            200,
            r#"{"access_token":"a","scope":["x","y z"]}"#,
            "token a scopes x+y+z",
        ),
        (
            200,
            r#"{"access_token":"a","scope":"repo,gist"}"#,
            "token a scopes repo+gist",
        ),
        (200, r#"{"access_token":"a","scope":""}"#, "token a scopes "),
        (200, r#"{"access_token":"a","scope":{"x":1}}"#, "token a"),
        (
            200,
            r#"{"access_token":"a","token_type":"bot","ok":true}"#,
            "token a",
        ),
        (
            200,
            r#"{"access_token":"a","error":null,"error_description":""}"#,
            "token a",
        ),
        (200, r#"{"access_token":"a","error":""}"#, "token a"),
        (
            200,
            r#"{"access_token":"a","id_token":"e.y.j"}"#,
            "token a id",
        ),
        (200, "\u{feff}{\"access_token\":\" a\\n\"}\r\n", "token a"),
        (
            200,
            "access_token=a&expires_in=28800&refresh_token=r&scope=&token_type=bearer",
            "token a refresh r life 28800 scopes ",
        ),
        (
            200,
            "access_token=a%2Bb&scope=x%20y",
            "token a+b scopes x+y",
        ),
    ] {
        assert_eq!(outcome(status, &[], body.as_bytes()), expected, "{body}");
        // Whatever it says it is.
        for kind in ["text/html", "application/x-www-form-urlencoded", "nonsense"] {
            let headers = [("content-type", kind)];
            assert_eq!(outcome(status, &headers, body.as_bytes()), expected);
        }
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_refusal_has_its_class() {
    let refused = |code: &str| format!(r#"{{"error":"{code}","error_description":"d"}}"#);
    for (code, class) in [
        ("invalid_grant", "dead"),
        ("bad_refresh_token", "dead"),
        ("invalid_refresh_token", "dead"),
        ("token_revoked", "dead"),
        ("token_expired", "dead"),
        ("expired_token", "dead"),
        ("invalid_client", "client"),
        ("unauthorized_client", "client"),
        ("invalid_client_id", "client"),
        ("bad_client_secret", "client"),
        ("incorrect_client_credentials", "client"),
        ("interaction_required", "person"),
        ("login_required", "person"),
        ("consent_required", "person"),
        ("account_selection_required", "person"),
    ] {
        // GitHub and Slack refuse with 200; a gateway may make anything of it.
        for status in [200, 400, 401, 403, 500] {
            let body = refused(code);
            assert_eq!(
                outcome(status, &[], body.as_bytes()),
                format!("{class} {code}"),
                "{status}"
            );
        }
    }
    for (status, body, expected) in [
        (400, refused("invalid_scope"), "scope"),
        (400, refused("invalid_target"), "target"),
        (400, refused("invalid_resource"), "target"),
        (400, refused("authorization_pending"), "pending"),
        (400, refused("slow_down"), "slow"),
        (400, refused("access_denied"), "denied"),
        (400, refused("server_error"), "passing"),
        (400, refused("temporarily_unavailable"), "passing"),
        (
            400,
            refused("invalid_request"),
            "configuration invalid_request: d",
        ),
        (
            400,
            refused("unsupported_grant_type"),
            "configuration unsupported_grant_type: d",
        ),
        (400, refused("of_its_own"), "configuration of_its_own: d"),
        (500, refused("of_its_own"), "passing"),
        (404, refused("of_its_own"), "stale of_its_own: d"),
        (
            200,
            r#"{"ok":false,"error":"invalid_refresh_token"}"#.to_owned(),
            "dead invalid_refresh_token",
        ),
        (
            200,
            r#"{"ok":false}"#.to_owned(),
            "configuration it refused without a reason",
        ),
        (
            200,
            r#"{"error":"invalid_grant","access_token":"a"}"#.to_owned(),
            "dead invalid_grant",
        ),
        (
            200,
            "error=bad_refresh_token&error_description=x".to_owned(),
            "dead bad_refresh_token",
        ),
        (
            400,
            r#"{"error":{"code":"invalid_grant"}}"#.to_owned(),
            "dead invalid_grant",
        ),
        (
            400,
            r#"{"error":{"code":400}}"#.to_owned(),
            "configuration it refused without a reason",
        ),
        (401, String::new(), "configuration it answered HTTP 401"),
        (
            403,
            "<html>".to_owned(),
            "configuration it answered HTTP 403",
        ),
        (
            422,
            r#"{"detail":"Unrecognized client_id"}"#.to_owned(),
            "client ",
        ),
        (422, "Unrecognized client_id".to_owned(), "client "),
        (422, "no".to_owned(), "configuration it answered HTTP 422"),
        (404, "not found".to_owned(), "stale it answered HTTP 404"),
        (410, String::new(), "stale it answered HTTP 410"),
        (302, String::new(), "stale it answered HTTP 302"),
        (408, String::new(), "passing"),
        (425, String::new(), "passing"),
        (500, "<h1>oops</h1>".to_owned(), "passing"),
        (502, String::new(), "passing"),
        (504, String::new(), "passing"),
    ] {
        assert_eq!(
            outcome(status, &[], body.as_bytes()),
            expected,
            "{status} {body}"
        );
    }
}

#[test]
fn what_is_neither_is_unclear_and_shows_no_value() {
    let canary = "canary-4711-canary";
    for (status, body) in [
        (
            200,
            format!(
                r#"{{"acces_token":"{canary}","n":1,"o":{{}},"l":[],"e":"","b":true,"z":null}}"#
            ),
        ),
        (200, format!(r#"["{canary}"]"#)),
        (200, format!("<html>{canary}=</html>")),
        (200, format!(r#"{{"access_token":"{canary}"#)),
        (200, format!("\"{canary}\"")),
        (200, String::new()),
        (204, String::new()),
        (200, format!("{canary}={canary}")),
        (200, format!(r#"{{"access_token":["{canary}"]}}"#)),
        (
            200,
            format!(r#"{{"access_token":"","{}":"{canary}"}}"#, "x".repeat(100)),
        ),
        (
            200,
            format!(r#"{{"access_token":"{canary} with a space"}}"#),
        ),
        (200, format!(r#"{{"access_token":"{canary}\u00e4"}}"#)),
        (
            200,
            format!(r#"{{"access_token":"{}"}}"#, canary.repeat(1000)),
        ),
        (
            200,
            format!(r#"{{"access_token":"{canary}","token_type":"DPoP"}}"#),
        ),
    ] {
        let told = outcome(status, &[("content-type", "text/x")], body.as_bytes());
        assert!(told.starts_with("unclear "), "{body}: {told}");
        assert!(!told.contains("canary") && told.len() < 800, "{told}");
    }
    assert_eq!(
        outcome(
            200,
            &[],
            br#"{"a":"s","n":1,"o":{},"l":[],"e":"","b":true,"z":null}"#
        ),
        "unclear it answered HTTP 200 without a token and without an error: an object of {a: string, n: number, \
         o: object, l: list, e: empty string, b: boolean, z: null}"
    );
    let invalid = [0xff, 0xfe, b'='];
    assert!(outcome(200, &[], &invalid).starts_with("unclear"));
}

#[test]
fn a_wish_for_a_pause_is_seconds_or_a_date_and_counts_when_busy() {
    let after = |status, headers: &[(&str, &str)]| outcome(status, headers, b"");
    assert_eq!(after(429, &[("retry-after", "120")]), "passing 120");
    assert_eq!(after(503, &[("retry-after", " 7 ")]), "passing 7");
    let date = ("retry-after", "Thu, 26 Nov 2026 12:02:00 GMT");
    assert_eq!(after(503, &[date]), "passing 120");
    // By the server's own clock, where it says what time it has.
    let its = ("date", "Thu, 26 Nov 2026 12:01:30 GMT");
    assert_eq!(after(503, &[date, its]), "passing 30");
    let past = ("retry-after", "Thu, 26 Nov 2020 12:00:00 GMT");
    assert_eq!(after(429, &[past]), "passing 0");
    assert_eq!(after(429, &[("retry-after", "soon")]), "passing");
    assert_eq!(after(500, &[("retry-after", "120")]), "passing");
    let body = br#"{"error":"slow_down_please"}"#;
    assert_eq!(outcome(429, &[("retry-after", "9")], body), "passing 9");
}

#[test]
fn a_token_that_says_when_it_ends_is_asked_where_the_answer_is_silent() {
    let life = |claims: &str, more: &str| {
        let body = format!(r#"{{"access_token":"{}"{more}}}"#, jwt(claims));
        let told = outcome(200, &[], body.as_bytes());
        told.split_once(" life ")
            .map(|(_, life)| life.parse::<u64>().unwrap())
    };
    let exp = |offset: i64| i64::try_from(NOW).unwrap() + offset;
    assert_eq!(life(&format!(r#"{{"exp":{}}}"#, exp(600)), ""), Some(600));
    assert_eq!(life(&format!(r#"{{"exp":{}}}"#, exp(-600)), ""), None);
    assert_eq!(
        life(&format!(r#"{{"exp":{}}}"#, exp(600)), r#","expires_in":60"#),
        Some(60)
    );
    // A clock that is wrong does not matter where the token says when it began.
    let both = format!(r#"{{"iat":{},"exp":{}}}"#, exp(-86_400), exp(-86_100));
    assert_eq!(life(&both, ""), Some(300));
    assert_eq!(life(r#"{"exp":"x"}"#, ""), None);
    assert_eq!(life(r#"{"exp":1e40}"#, ""), Some(LONGEST_LIFE.as_secs()));
}

#[test]
fn what_a_provider_writes_is_cut_and_cleaned() {
    let long = format!(
        r#"{{"error":"odd\nerror","error_description":"{}\u0007\tend"}}"#,
        "x".repeat(5000)
    );
    let told = outcome(400, &[], long.as_bytes());
    assert!(told.starts_with("configuration odd error: xxx"), "{told}");
    assert!(
        told.len() < 300 && !told.contains('\u{7}') && !told.contains('\n'),
        "{told}"
    );
}
