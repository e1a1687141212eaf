//! Providers that have a parameter for the workspace: a template names it, and a login fills it in where it is known.

use std::fs;

use super::cli_login::begin;
use super::rig::{Rig, home, provider_link, status};
use crate::support::Janus;
use crate::support::authorization::{
    AuthorizationServer, Behaviour, Endpoint, Person, ProtectedServer, Protection, land,
};

/// Janus, whose server `s` comes from a person's own template; `more` is beside it.
async fn rig(more: &str) -> Rig {
    let behaviour = Behaviour {
        more_authorize_params: vec!["team"],
        person: Person::at("ana", "T 1"),
        ..Behaviour::default()
    };
    let authority = AuthorizationServer::start(behaviour).await;
    let server = ProtectedServer::start(&authority, Protection::default()).await;
    let home = home(&format!("  s: {{ template: chat, {more} }}\n"), "");
    let templates = home.config().with_file_name("templates");
    fs::create_dir(&templates).unwrap();
    let text = format!(
        concat!(
            "version: 1\ntemplates:\n  chat:\n    title: Chat of the company\n    url: {}\n",
            "    extra_authorize_params: {{ workspace_param: team }}\n",
            "    whoami: {{ tool: whoami, subject: /login, workspace: /workspace }}\n",
        ),
        server.url()
    );
    fs::write(templates.join("chat.yaml"), text).unwrap();
    Rig {
        janus: Janus::start_in(home, |_| {}),
        authority,
        server,
    }
}

/// Logs in as somebody of a workspace, who is `expected` then. What the provider's page was told of it.
async fn logged_in(
    rig: &Rig,
    arguments: &[&str],
    who: (&str, &str),
    expected: &str,
) -> Option<String> {
    let person = Person::at(who.0, who.1);
    rig.authority.behave(|behaviour| behaviour.person = person);
    let arguments = [&["login", "s", "--again"], arguments].concat();
    let mut login = begin(&rig.janus, &arguments);
    let url = provider_link(&mut login);
    land(&rig.authority.follow(&url).await).await;
    let ended = login.finish();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(status(&rig.janus)["accounts"][0]["verified_as"], expected);
    let asked = rig.authority.requests_to(Endpoint::Authorize);
    asked.last().unwrap().query.get("team").map(str::to_owned)
}

#[tokio::test]
async fn a_login_says_in_which_workspace_where_that_is_known() {
    let rig = rig("auth: oauth").await;
    let in_first = ("ana", "T 1");
    let told = logged_in(&rig, &[], in_first, "ana, workspace T 1").await;
    assert_eq!(told, None, "nobody knows it yet");
    let rig = rig.restarted();
    let told = logged_in(&rig, &[], in_first, "ana, workspace T 1").await;
    assert_eq!(told.as_deref(), Some("T 1"));
    // Whoever wants somebody else chooses, or says it.
    let replaced = logged_in(&rig, &["--replace"], ("ben", "T2"), "ben, workspace T2").await;
    assert_eq!(replaced, None);
    let expect = ["--replace", "--expect", "ana, workspace T 1"];
    let expected = logged_in(&rig, &expect, in_first, "ana, workspace T 1").await;
    assert_eq!(expected.as_deref(), Some("T 1"));
    rig.assert_clean();
}

#[tokio::test]
async fn a_workspace_of_the_configuration_is_named_at_the_first_login() {
    for (written, expected) in [
        ("expect: \"ana, workspace T 1\"", Some("T 1")),
        ("expect: ana", None),
        // What a person wrote for the page stands.
        (
            "expect: \"ana, workspace T 1\", authorize_params: { team: T9 }",
            Some("T9"),
        ),
    ] {
        let rig = rig(&format!("auth: {{ oauth: {{ {written} }} }}")).await;
        let told = logged_in(&rig, &[], ("ana", "T 1"), "ana, workspace T 1").await;
        assert_eq!(told.as_deref(), expected, "{written}");
        rig.assert_clean();
    }
}
