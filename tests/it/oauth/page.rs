//! The page of a login: what it shows, and that only a click on it leads on.

use http::{Method, Request, StatusCode};
use serde_json::json;

use super::rig::{Rig, begun, clicked, known, status};
use crate::support::authorization::{Endpoint, Protection, land};
use crate::support::{Janus, Reply};

async fn rig(auth: &str) -> Rig {
    Rig::start(known(), Protection::default(), auth).await
}

async fn send(
    janus: &Janus,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    janus
        .http()
        .send(request.body(body.to_owned()).unwrap())
        .await
}

fn token_of(page: &str) -> &str {
    let (_, rest) = page.split_once("name=\"token\" value=\"").unwrap();
    rest.split('"').next().unwrap()
}

#[tokio::test]
async fn a_page_says_whose_login_it_is_and_a_click_leads_to_the_provider() {
    let rig = rig("auth: { oauth: { login_hint: \"<b>ana</b>@example.org\" } }, accounts: { default: { label: \"A & B\" } }").await;
    let left = begun(&rig.janus);
    let page = left["page"].as_str().unwrap();
    let path = page.strip_prefix(&rig.janus.url("")).unwrap();
    assert_eq!(path, format!("/login/{}", left["login"].as_str().unwrap()));
    let shown = send(&rig.janus, Method::GET, path, &[], "").await;
    assert_eq!(shown.status, 200);
    assert_eq!(shown.header("cache-control"), "no-store");
    assert_eq!(shown.header("x-frame-options"), "DENY");
    assert!(
        shown
            .header("content-security-policy")
            .contains("frame-ancestors 'none'")
    );
    let text = shown.text().await;
    for there in [
        "s/default",
        "&lt;b&gt;ana&lt;/b&gt;@example.org",
        "Continue to 127.0.0.1",
        "(A &amp; B)",
    ] {
        assert!(text.contains(there), "{there}: {text}");
    }
    for absent in ["<b>ana", "<script", "src=", "state=", "code_challenge"] {
        assert!(!text.contains(absent), "{absent}: {text}");
    }
    // Looking changes nothing.
    send(&rig.janus, Method::GET, path, &[], "").await;
    assert_eq!(rig.authority.count(Endpoint::Authorize), 0);

    let there = clicked(page).await;
    assert_eq!(there, left["url"].as_str().unwrap());
    land(&rig.authority.follow(&there).await).await;
    let after = send(&rig.janus, Method::GET, path, &[], "")
        .await
        .text()
        .await;
    assert!(
        after.contains("Logged in") && after.contains("ana"),
        "{after}"
    );
    let late = send(
        &rig.janus,
        Method::POST,
        path,
        &[("origin", &rig.janus.url(""))],
        &format!("token={}", token_of(&text)),
    )
    .await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    rig.assert_clean();
}

#[tokio::test]
async fn only_the_form_of_the_page_leads_on() {
    let rig = rig("auth: oauth").await;
    let left = begun(&rig.janus);
    let page = left["page"].as_str().unwrap();
    let own = rig.janus.url("");
    let path = page.strip_prefix(&own).unwrap();
    let shown = send(&rig.janus, Method::GET, path, &[], "")
        .await
        .text()
        .await;
    let good = format!("token={}", token_of(&shown));

    let refused = StatusCode::FORBIDDEN;
    for (what, headers, body) in [
        ("no origin", &[][..], good.as_str()),
        (
            "a foreign origin",
            &[("origin", "https://evil.example")],
            &good,
        ),
        ("an opaque origin", &[("origin", "null")], &good),
        (
            "a port of ours with another scheme",
            &[("origin", "https://127.0.0.1")],
            &good,
        ),
        ("no token", &[("origin", own.as_str())], ""),
        (
            "another token",
            &[("origin", own.as_str())],
            "token=AAAAAAAAAAAAAAAAAAAAAA",
        ),
        (
            "more than a token",
            &[("origin", own.as_str())],
            &format!("{good}&x=y"),
        ),
        (
            "a foreign host",
            &[("host", "evil.example"), ("origin", "http://evil.example")],
            &good,
        ),
    ] {
        let answer = send(&rig.janus, Method::POST, path, headers, body).await;
        assert_eq!(answer.status, refused, "{what}");
        assert_eq!(answer.header("location"), "", "{what}");
    }
    for host in [
        "evil.example",
        "evil.example:7332",
        "127.0.0.1.evil.example",
    ] {
        let answer = send(&rig.janus, Method::GET, path, &[("host", host)], "").await;
        assert_eq!(answer.status, refused, "{host}");
        assert!(!answer.text().await.contains("s/default"), "{host}");
    }
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let answer = send(&rig.janus, method, path, &[], "").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    }
    for path in ["/login/", "/login/aaaaaa", "/login/<b>", "/login/x/y"] {
        let path = path.replace('<', "%3C").replace('>', "%3E");
        let answer = send(&rig.janus, Method::GET, &path, &[], "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    let answer = send(&rig.janus, Method::POST, path, &[("origin", &own)], &good).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.header("location"), left["url"].as_str().unwrap());
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    rig.assert_clean();
}

#[tokio::test]
async fn the_page_tells_why_nobody_is_logged_in() {
    let rig = rig("auth: { oauth: { expect: ana } }").await;
    let left = begun(&rig.janus);
    rig.authority.log_in_as("ben");
    let (_, said) = land(&rig.authority.follow(left["url"].as_str().unwrap()).await).await;
    assert!(
        said.contains("Not logged in") && !said.contains("ben"),
        "{said}"
    );
    let path = format!("/login/{}", left["login"].as_str().unwrap());
    let page = send(&rig.janus, Method::GET, &path, &[], "")
        .await
        .text()
        .await;
    assert!(
        page.contains("you logged in as ben@example.org, s/default is ana"),
        "{page}"
    );
    let account = &status(&rig.janus)["accounts"][0];
    assert_eq!(account["verified_as"], json!(null));
    rig.assert_clean();
}
