//! Where browsers come back to: whatever is no answer of a login that waits changes nothing and is told nothing.

use http::{Method, Request, StatusCode};
use serde_json::json;
use tokio::net::TcpStream;

use super::rig::{Rig, begun, home, status};
use crate::another_user;
use crate::support::authorization::{Behaviour, Endpoint, Protection, land};
use crate::support::{Http, Janus, Process, Reply};

const CANARY: &str = "canary-in-the-address";

struct Waiting {
    rig: Rig,
    id: String,
    url: String,
    /// `127.0.0.1:PORT`
    host: String,
    state: String,
}

/// A login that waits.
async fn waiting(auth: &str) -> Waiting {
    let rig = Rig::start(Behaviour::default(), Protection::default(), auth).await;
    let left = begun(&rig.janus);
    let text = |member: &str| left[member].as_str().unwrap().to_owned();
    let back = url::Url::parse(&text("redirect_uri")).unwrap();
    let page = url::Url::parse(&text("url")).unwrap();
    let state = page.query_pairs().find(|(name, _)| name == "state");
    Waiting {
        id: text("login"),
        url: text("url"),
        host: format!("127.0.0.1:{}", back.port().unwrap()),
        state: state.unwrap().1.into_owned(),
        rig,
    }
}

fn progress(janus: &Janus, id: &str) -> String {
    let status = status(janus);
    let login = status["logins"].as_array().unwrap().iter();
    let login = login.into_iter().find(|login| login["login"] == *id);
    login
        .map_or("gone", |login| login["state"].as_str().unwrap())
        .to_owned()
}

impl Waiting {
    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let http = Http::tcp(&format!("http://{}", self.host));
        http.send(request.body(String::new()).unwrap()).await
    }

    fn tokens(&self) -> usize {
        self.rig.authority.count(Endpoint::Token)
    }
}

/// It loads nothing, is not kept, says nowhere whence, and has nothing of what was sent.
async fn assert_static(reply: Reply, status: StatusCode, state: &str) {
    assert_eq!(reply.status, status);
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.header("referrer-policy"), "no-referrer");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert!(
        reply
            .header("content-security-policy")
            .starts_with("default-src 'none'; style-src 'sha256-"),
        "{}",
        reply.header("content-security-policy")
    );
    assert_eq!(reply.header("location"), "");
    let page = reply.text().await;
    assert!(page.starts_with("<!doctype html>"), "{page}");
    for absent in [CANARY, state, "http:", "https:", "<script", "<img", "<link"] {
        assert!(!page.contains(absent), "{absent}: {page}");
    }
}

#[tokio::test]
async fn nothing_but_the_answer_of_a_login_is_taken() {
    let login = waiting("auth: oauth").await;
    let (good, state) = (login.host.clone(), login.state.clone());
    let port = good.rsplit(':').next().unwrap().to_owned();
    let answer = format!("/callback?code={CANARY}&state={state}");
    let get = Method::GET;

    for host in [
        "localhost:PORT",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.2:PORT",
        "[::1]:PORT",
        "0.0.0.0:PORT",
        "127.0.0.1:PORT.evil.example",
        "evil.example",
        "evil.example:PORT",
        "127.0.0.1:PORT:PORT",
        "127.1:PORT",
        "2130706433:PORT",
        "127.0.0.1.:PORT",
        "user@127.0.0.1:PORT",
        "127.0.0.1:PORT/callback",
        " ",
    ] {
        let host = host.replace("PORT", &port);
        let reply = login.send(get.clone(), &answer, &[("host", &host)]).await;
        assert_static(reply, StatusCode::NOT_FOUND, &state).await;
    }
    for path in [
        "/",
        "/callback/",
        "/Callback",
        "/callback/x",
        "/x/../callback",
    ] {
        let reply = login
            .send(get.clone(), &answer.replace("/callback", path), &[])
            .await;
        assert_static(reply, StatusCode::NOT_FOUND, &state).await;
    }
    let evil = [("origin", "https://evil.example")];
    let reply = login.send(get.clone(), &answer, &evil).await;
    assert_static(reply, StatusCode::NOT_FOUND, &state).await;
    for method in [
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::PATCH,
    ] {
        let reply = login.send(method, &answer, &[]).await;
        assert_eq!(reply.header("allow"), "GET");
        assert_static(reply, StatusCode::METHOD_NOT_ALLOWED, &state).await;
    }
    for query in [
        format!("code={CANARY}&state=x{state}"),
        format!("code={CANARY}&state="),
        format!("code={CANARY}"),
        format!("code={CANARY}&state={}", state.to_uppercase() + "x"),
        format!("error={CANARY}&state=x"),
        String::new(),
        format!("{CANARY}<script>alert(1)</script>")
            .replace('<', "%3C")
            .replace('>', "%3E"),
    ] {
        let reply = login
            .send(get.clone(), &format!("/callback?{query}"), &[])
            .await;
        assert_static(reply, StatusCode::BAD_REQUEST, &state).await;
    }
    assert_eq!(login.tokens(), 0, "no code was sent");
    assert_eq!(
        progress(&login.rig.janus, &login.id),
        "waiting",
        "it goes on"
    );

    // The browser's own answer is taken once.
    let back = login.rig.authority.follow(&login.url).await;
    let (status, page) = land(&back).await;
    assert_eq!(status, 200, "{page}");
    assert!(!page.contains(&state) && !page.contains("http"), "{page}");
    assert_eq!(login.tokens(), 1);
    // Nobody is awaited any more: nothing listens.
    TcpStream::connect(&good).await.unwrap_err();
    login.rig.assert_clean();
}

#[tokio::test]
async fn a_replayed_and_a_late_answer_are_strangers() {
    let login = waiting("auth: oauth").await;
    let back = login.rig.authority.follow(&login.url).await;
    let (_, page) = land(&back).await;
    assert!(page.contains("Logged in"), "{page}");
    // Another login keeps the door open.
    let next = begun(&login.rig.janus);
    assert_ne!(next["login"], json!(login.id));
    let tokens = login.tokens();
    let reply = land(&back).await;
    assert_eq!(reply.0, StatusCode::BAD_REQUEST, "{}", reply.1);
    assert_eq!(login.tokens(), tokens);

    // Late: the login was given up before the browser came back.
    let late = login
        .rig
        .authority
        .follow(next["url"].as_str().unwrap())
        .await;
    let control = login.rig.janus.control();
    let cancel = json!({"login": next["login"]});
    let said = control
        .post("/login/cancel", &[], &cancel)
        .await
        .json()
        .await;
    assert_eq!(said["cancelled"], true);
    let third = begun(&login.rig.janus);
    let reply = land(&late).await;
    assert_eq!(reply.0, StatusCode::BAD_REQUEST, "{}", reply.1);
    assert_eq!(login.tokens(), tokens);
    assert_eq!(
        progress(&login.rig.janus, third["login"].as_str().unwrap()),
        "waiting"
    );
    login.rig.assert_clean();
}

#[tokio::test]
async fn two_answers_at_once_are_one_login() {
    let login = waiting("auth: oauth").await;
    let back = login.rig.authority.follow(&login.url).await;
    let landed = futures_util::future::join_all((0..8).map(|_| async {
        // Who comes after the door was closed is refused by the system.
        let back = back.clone();
        tokio::spawn(async move { land(&back).await }).await.ok()
    }))
    .await;
    let taken = landed.iter().flatten().filter(|(status, _)| *status == 200);
    assert_eq!(taken.count(), 1, "{landed:?}");
    assert_eq!(login.tokens(), 1);
    login.rig.assert_clean();
}

#[tokio::test]
async fn the_port_and_the_name_of_the_configuration_are_kept() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    let auth = format!(
        "auth: {{ oauth: {{ redirect_host: localhost, callback_port: {port}, redirect_path: /back }} }}"
    );
    let rig = Rig::start(Behaviour::default(), Protection::default(), &auth).await;
    // Taken: the error names the port, and nothing else is tried.
    let ended = rig.janus.home().run(&["login", "s", "--no-wait", "--json"]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(&port.to_string()), "{}", ended.stderr);
    assert_eq!(rig.authority.count(Endpoint::Register), 0);
    drop(free);
    let left = begun(&rig.janus);
    assert_eq!(
        left["redirect_uri"],
        format!("http://localhost:{port}/back")
    );
    let back = rig.authority.follow(left["url"].as_str().unwrap()).await;
    assert!(
        back.starts_with(&format!("http://localhost:{port}/back?")),
        "{back}"
    );
    let (status, page) = land(&back).await;
    assert_eq!(status, 200, "{page}");
    rig.assert_clean();
}

#[tokio::test]
async fn a_taken_port_of_the_installation_is_another_port_and_another_registration() {
    let login = waiting("auth: oauth").await;
    land(&login.rig.authority.follow(&login.url).await).await;
    let registered = login.rig.authority.count(Endpoint::Register);
    let kept = begun(&login.rig.janus);
    assert_eq!(
        login.rig.authority.count(Endpoint::Register),
        registered,
        "the same port is the same registration"
    );
    let control = login.rig.janus.control();
    let cancel = json!({"login": kept["login"]});
    control
        .post("/login/cancel", &[], &cancel)
        .await
        .json()
        .await;
    let other = crate::support::until_bound(&login.host).await;
    let moved = begun(&login.rig.janus);
    assert_ne!(moved["redirect_uri"], kept["redirect_uri"]);
    assert_eq!(
        login.rig.authority.count(Endpoint::Register),
        registered + 1
    );
    drop(other);
    let (status, page) = land(
        &login
            .rig
            .authority
            .follow(moved["url"].as_str().unwrap())
            .await,
    )
    .await;
    assert_eq!(status, 200, "{page}");
    login.rig.assert_clean();
}

#[tokio::test]
async fn twenty_wait_and_no_more() {
    let authority =
        crate::support::authorization::AuthorizationServer::start(Behaviour::default()).await;
    let server =
        crate::support::authorization::ProtectedServer::start(&authority, Protection::default())
            .await;
    let accounts: Vec<String> = (0..21).map(|number| format!("a{number}: {{}}")).collect();
    let servers = format!(
        "  s:\n    url: \"{}\"\n    auth: oauth\n    accounts: {{ {} }}\n",
        server.url(),
        accounts.join(", ")
    );
    let janus = Janus::start_in(home(&servers, ""), |_| {});
    let control = janus.control();
    for number in 0..20 {
        let wanted = json!({"account": format!("s/a{number}")});
        let said = control.post("/login", &[], &wanted).await;
        assert_eq!(said.status, 200, "{number}");
    }
    let refused = control
        .post("/login", &[], &json!({"account": "s/a20"}))
        .await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let said = refused.json().await;
    assert_eq!(said["error"]["code"], "unavailable", "{said}");
    // One that is joined is no more.
    let joined = control
        .post("/login", &[], &json!({"account": "s/a7"}))
        .await;
    assert_eq!(joined.status, 200);
    drop(janus);
    drop((server, authority));
}

#[tokio::test]
async fn an_answer_that_a_page_sends_is_not_taken_whatever_its_origin() {
    let login = waiting("auth: oauth").await;
    let back = login.rig.authority.follow(&login.url).await;
    let path = back
        .strip_prefix(&format!("http://{}", login.host))
        .unwrap();
    let (host, issuer) = (&login.host, login.rig.authority.issuer());
    let port = host.rsplit(':').next().unwrap();
    for origin in [
        "null",
        "",
        "file://",
        "https://evil.example",
        "moz-extension://0b1d2c3e-0000-4000-8000-000000000000",
        issuer,
        &login.rig.server.url().replace("/mcp", ""),
        &login.rig.janus.url(""),
        // Not even one that looks like the place itself: nobody navigates with one.
        &format!("http://{host}"),
        &format!("http://localhost:{port}"),
        &format!("https://{host}"),
    ] {
        let reply = login.send(Method::GET, path, &[("origin", origin)]).await;
        assert_static(reply, StatusCode::NOT_FOUND, &login.state).await;
        assert_eq!(login.tokens(), 0, "{origin}");
    }
    assert_eq!(progress(&login.rig.janus, &login.id), "waiting");
    // The same without one is the browser.
    let (status, page) = land(&back).await;
    assert_eq!(status, 200, "{page}");
    assert_eq!(login.tokens(), 1);
    login.rig.assert_clean();
}

#[tokio::test]
async fn an_answer_that_another_user_of_the_machine_brings_is_not_taken() {
    if !another_user::possible("an_answer_that_another_user_of_the_machine_brings_is_not_taken") {
        return;
    }
    let login = waiting("auth: oauth").await;
    let back = login.rig.authority.follow(&login.url).await;
    for there in [&back, &format!("http://{}/", login.host)] {
        let mut curl = another_user::command("curl");
        curl.args(["-q", "-s", "-i", there]);
        let ended = Process::run("curl", &mut curl);
        let said = &ended.stdout;
        assert!(said.starts_with("HTTP/1.1 403 "), "{ended:?}");
        assert!(said.contains("another user of this machine"), "{said}");
        assert!(!said.contains(&login.state), "{said}");
    }
    assert_eq!(login.tokens(), 0);
    assert_eq!(progress(&login.rig.janus, &login.id), "waiting");
    // The very same is taken of who began it.
    let (status, page) = land(&back).await;
    assert_eq!(status, 200, "{page}");
    assert_eq!(login.tokens(), 1);
    login.rig.assert_clean();
}
