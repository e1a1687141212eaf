//! Janus in front of a server that wants logins, and people who log in.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use crate::secrets::document;
use crate::support::authorization::{
    AuthorizationServer, Behaviour, ProtectedServer, Protection, land,
};
use crate::support::{Client, Era, Home, Http, Janus, Output, Process};

/// What `auth` says where the provider's own link is shown.
pub(crate) const NO_BROWSER: &str = "auth: { oauth: { open_browser: false } }";

/// Janus, a server `s` that wants tokens, and whoever gives them.
pub(crate) struct Rig {
    // Before the servers: it ends first.
    pub(crate) janus: Janus,
    pub(crate) authority: AuthorizationServer,
    pub(crate) server: ProtectedServer,
}

impl Rig {
    /// With `more` beside the URL of the server.
    pub(crate) async fn start(behaviour: Behaviour, protection: Protection, more: &str) -> Self {
        Self::with(behaviour, protection, more, "").await
    }

    /// The same, with more sections of the configuration.
    pub(crate) async fn with(
        behaviour: Behaviour,
        protection: Protection,
        more: &str,
        sections: &str,
    ) -> Self {
        let authority = AuthorizationServer::start(behaviour).await;
        let server = ProtectedServer::start(&authority, protection).await;
        let servers = format!("  s: {{ url: \"{}\", {more} }}\n", server.url());
        let home = home(&servers, sections);
        Self {
            janus: Janus::start_in(home, |_| {}),
            authority,
            server,
        }
    }

    /// With two accounts of the server, where who logs in can be learnt.
    pub(crate) async fn two_accounts() -> Self {
        let authority = AuthorizationServer::start(known()).await;
        let server = ProtectedServer::start(&authority, Protection::default()).await;
        let servers = format!(
            "  s:\n    url: \"{}\"\n    auth: oauth\n    accounts: {{ one: {{}}, two: {{}} }}\n",
            server.url()
        );
        Self {
            janus: Janus::start_in(home(&servers, ""), |_| {}),
            authority,
            server,
        }
    }

    /// The same after Janus was killed and started again.
    pub(crate) fn restarted(self) -> Self {
        Self {
            janus: Janus::start_in(self.janus.kill(), |_| {}),
            ..self
        }
    }

    /// A client of the merged view.
    pub(crate) async fn client(&self, era: Era) -> Client {
        Client::open(self.janus.http(), "/mcp", era).await
    }

    /// A person opens a link of Janus's or the provider's, says yes, and comes back.
    pub(crate) async fn log_in(&self, link: &str) {
        let (status, page) = self.say(link).await;
        assert_eq!(status, 200, "{page}");
    }

    /// The same, whatever comes of it.
    pub(crate) async fn say(&self, link: &str) -> (http::StatusCode, String) {
        let there = if link.starts_with(&self.janus.url("")) {
            clicked(link).await
        } else {
            link.to_owned()
        };
        let back = self.authority.follow(&there).await;
        land(&back).await
    }

    /// Calls a tool, which is no error.
    pub(crate) async fn called(&self, client: &mut Client, tool: &str) -> Value {
        called(client, tool).await
    }

    /// The requests of MCP that the server saw.
    pub(crate) fn seen(&self) -> usize {
        self.server.seen().len()
    }

    /// Nothing went where it should not.
    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.server.violations(), [""; 0]);
        assert_eq!(self.authority.violations(), [""; 0]);
    }
}

/// A home with a vault, whose servers are these lines below `servers:`.
pub(crate) fn home(servers: &str, sections: &str) -> Home {
    let home = Home::new("");
    let key = home.path().join("home/vault.key");
    let text = format!(
        "listen: {{ http: \"127.0.0.1:0\" }}\nvault: {{ key: file, key_file: {} }}\nservers:\n{servers}{sections}",
        key.display()
    );
    fs::write(home.config(), text).unwrap();
    private(&home.config());
    home
}

fn private(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Who logs in can be learnt.
pub(crate) fn known() -> Behaviour {
    Behaviour {
        openid: true,
        scopes: Some(vec!["openid", "read", "write"]),
        ..Behaviour::default()
    }
}

/// What `janus status` has for programs.
pub(crate) fn status(janus: &Janus) -> Value {
    document(janus.home(), &["status"])
}

/// A login of `s` that waits, as `janus login` leaves it.
pub(crate) fn begun(janus: &Janus) -> Value {
    document(janus.home(), &["login", "s", "--no-wait", "--again"])
}

/// The provider's link among what `janus login` says to people, or in the document for programs.
pub(crate) fn provider_link(login: &mut Process) -> String {
    login.line(Output::Stderr, |line| {
        let line = line.trim();
        let document = serde_json::from_str::<Value>(line).ok();
        let url = document.and_then(|document| Some(document["url"].as_str()?.to_owned()));
        url.or_else(|| line.starts_with("http").then(|| line.to_owned()))
    })
}

/// A word, and base64 of it at each of its three offsets, without the characters that its neighbours have a part in.
pub(crate) fn forms(word: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![word.to_owned()];
    for offset in 0..3 {
        let text = format!("{}{word}", "x".repeat(offset));
        let encoded = STANDARD.encode(&text);
        let inner = encoded.get((offset * 8).div_ceil(6)..text.len() * 8 / 6);
        forms.push(inner.unwrap().to_owned());
    }
    forms.into_iter().map(String::into_bytes).collect()
}

/// What a call of a tool without arguments gives, error or not.
pub(crate) async fn call(client: &mut Client, tool: &str) -> Value {
    let params = json!({ "name": tool, "arguments": {} });
    client.result("tools/call", params).await
}

/// The same, which is no error.
pub(crate) async fn called(client: &mut Client, tool: &str) -> Value {
    let result = call(client, tool).await;
    assert_ne!(result["isError"], true, "{result}");
    result
}

/// The text of a result.
pub(crate) fn text(result: &Value) -> &str {
    let text = result["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("no text: {result}"))
}

/// The error and the login that a result tells of.
pub(crate) fn told(result: &Value) -> (&Value, &Value) {
    assert_eq!(result["isError"], true, "{result}");
    let meta = &result["_meta"];
    (&meta["dev.janus/error"], &meta["dev.janus/login"])
}

/// The link of a result that tells of a login.
pub(crate) fn link(result: &Value) -> String {
    let (error, login) = told(result);
    assert_eq!(error["code"], "needs_login", "{result}");
    let url = login["url"].as_str();
    url.unwrap_or_else(|| panic!("no link: {result}"))
        .to_owned()
}

/// Opens a page of Janus as a browser, clicks its one button, and gives where that leads.
pub(crate) async fn clicked(link: &str) -> String {
    let http = Http::tcp(link);
    let path = link.splitn(4, '/').nth(3).map(|path| format!("/{path}"));
    let path = path.unwrap();
    let get = http::Request::builder().method(Method::GET).uri(&path);
    let page = http.send(get.body(String::new()).unwrap()).await;
    assert_eq!(page.status, 200);
    let page = page.text().await;
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for input in page
        .split("<input")
        .skip(1)
        .chain(page.split("<button").skip(1))
    {
        let input = input.split('>').next().unwrap();
        let attribute = |name: &str| {
            let rest = input.split_once(&format!("{name}=\""))?.1;
            rest.split('"').next()
        };
        if let Some(name) = attribute("name") {
            form.append_pair(name, attribute("value").unwrap_or_default());
        }
    }
    let origin = link.strip_suffix(&path).unwrap();
    let post = http::Request::builder()
        .method(Method::POST)
        .uri(&path)
        .header("origin", origin)
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = http.send(post.body(form.finish()).unwrap()).await;
    let there = answer.header("location").to_owned();
    let status = answer.status;
    let said = answer.text().await;
    assert!(
        status.is_redirection() && !there.is_empty(),
        "{status}: {said}"
    );
    there
}
