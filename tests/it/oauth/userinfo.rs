//! Who logged in, where the provider tells it at an address of its own (OpenID Connect Core, section 5.3).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::cli_login::log_in;
use super::rig::{Rig, known, status};
use crate::support::authorization::{Answer, Endpoint, Protection, Said};

/// The next tokens come with these claims of an `id_token` alone; `None`: without one.
fn tells(rig: &Rig, claims: Option<Value>) {
    let issuer = rig.authority.issuer().to_owned();
    rig.authority
        .next_token_response(Answer::edited(move |tokens| {
            let Some(mut claims) = claims.clone() else {
                tokens.as_object_mut().unwrap().remove("id_token");
                return;
            };
            let whole = tokens["id_token"].as_str().unwrap().to_owned();
            let mut parts = whole.split('.');
            let (header, payload) = (parts.next().unwrap(), parts.next().unwrap());
            let payload = URL_SAFE_NO_PAD.decode(payload).unwrap();
            let payload: Value = serde_json::from_slice(&payload).unwrap();
            claims["iss"] = issuer.clone().into();
            claims["aud"] = payload["aud"].clone();
            let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
            tokens["id_token"] = format!("{header}.{claims}.signature").into();
        }));
}

/// Logs in with this beside `auth: oauth`: who that is then, and how often the provider was asked.
async fn learnt(auth: &str, claims: Option<Value>, told: Option<Value>) -> (Value, usize) {
    let what = format!("{auth}, {claims:?}, {told:?}");
    let rig = Rig::start(known(), Protection::default(), auth).await;
    tells(&rig, claims);
    if let Some(told) = told {
        let told = Answer::Instead(Said::json(200, &told));
        rig.authority.next_answer(Endpoint::UserInfo, told);
    }
    let ended = log_in(&rig, &["login", "s"], "ana").await;
    assert!(ended.status.success(), "{what}: {}", ended.stderr);
    let requests = rig.authority.requests_to(Endpoint::UserInfo);
    for request in &requests {
        let shown = request.headers["authorization"].to_str().unwrap();
        let shown = shown.strip_prefix("Bearer ").unwrap();
        assert!(rig.authority.owner(shown).is_some(), "{what}");
    }
    rig.assert_clean();
    let verified_as = status(&rig.janus)["accounts"][0]["verified_as"].clone();
    (verified_as, requests.len())
}

#[tokio::test]
async fn who_that_is_is_learnt_at_userinfo_where_the_token_does_not_say() {
    const OPENID: &str = "auth: { oauth: { scopes: [openid, read] } }";
    // A subject so long is nobody's name.
    let long = "x".repeat(255);
    let as_told = |sub: &str| json!({ "sub": sub, "email": "ana@example.org" });
    for (claims, told, expected, asked) in [
        (None, None, json!("ana@example.org"), 1),
        // It is a name, if only to the provider.
        (
            Some(json!({ "sub": "id-of-ana" })),
            None,
            json!("id-of-ana"),
            0,
        ),
        (
            Some(json!({ "sub": long })),
            Some(as_told(&long)),
            json!("ana@example.org"),
            1,
        ),
        // Of somebody else, or of nobody: what it says is not used.
        (
            Some(json!({ "sub": long })),
            Some(as_told("id-of-ben")),
            Value::Null,
            1,
        ),
        (
            Some(json!({ "sub": long })),
            Some(json!({ "email": "ana@example.org" })),
            Value::Null,
            1,
        ),
        // An address that is nobody's yet.
        (
            None,
            Some(
                json!({ "sub": "id-of-ana", "email": "ben@example.org", "email_verified": false }),
            ),
            json!("id-of-ana"),
            1,
        ),
    ] {
        let what = format!("{claims:?}, {told:?}");
        let learnt = learnt(OPENID, claims, told).await;
        assert_eq!(learnt, (expected, asked), "{what}");
    }
    // A token that is not for that is not shown there.
    let learnt = learnt("auth: oauth", None, None).await;
    assert_eq!(learnt, (Value::Null, 0));
}
