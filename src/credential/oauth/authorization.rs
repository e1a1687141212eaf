//! The URL at which a person says yes (RFC 6749, section 4.1.1; RFC 7636; RFC 8707): what rmcp made, with what the
//! configuration and the provider want in it.

use url::Url;

use super::failed::{LoginFailed, foreign};
use super::page::Page;
use super::scopes::OFFLINE;
use crate::model::{OAuth, OWN_PARAMETERS};

/// What rmcp made of the endpoint, with what it does not know.
pub(super) fn page(
    made: &str,
    endpoint: &str,
    settings: &OAuth,
    (scopes, resource): (&[String], Option<&str>),
    workspace: Option<&str>,
) -> Result<Page, LoginFailed> {
    // What the server wrote, before anything made it presentable.
    Page::new(endpoint)?;
    let mut url = Url::parse(made)
        .map_err(|_| LoginFailed::Janus("the URL of the login cannot be read".to_owned()))?;
    let mut query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    query.retain(|(name, _)| !["scope", "resource"].contains(&name.as_str()));
    let mut set = |name: &str, value: String| {
        query.retain(|(known, _)| known != name);
        query.push((name.to_owned(), value));
    };
    if !scopes.is_empty() {
        set("scope", scopes.join(" "));
    }
    //= https://www.rfc-editor.org/rfc/rfc8707#section-2
    //# Its value MUST be an absolute URI
    if let Some(resource) = resource {
        set("resource", resource.to_owned());
    }
    // What asks for a refresh token has an effect only where the person is asked for it (OpenID Connect Core, section
    // 11), which a provider that lists it may insist on.
    if scopes.iter().any(|scope| scope == OFFLINE) {
        set("prompt", "consent".to_owned());
    }
    let given = settings.authorize_params.iter();
    for (name, value) in given.chain(&settings.choose_account) {
        if !OWN_PARAMETERS.contains(&name.as_str()) {
            set(name, value.clone());
        }
    }
    if let (Some(name), Some(hint)) = (&settings.login_hint_param, &settings.login_hint)
        && !OWN_PARAMETERS.contains(&name.as_str())
    {
        set(name, hint.clone());
    }
    if let (Some(name), Some(workspace)) = (&settings.workspace_param, workspace)
        && !OWN_PARAMETERS.contains(&name.as_str())
        // What a person wrote stands instead.
        && settings.authorize_params.iter().all(|(given, _)| given != name)
    {
        set(name, workspace.to_owned());
    }
    let mut encoded = url::form_urlencoded::Serializer::new(String::new());
    let encoded = encoded.extend_pairs(query).finish();
    // The encoding of forms leaves this one as it is.
    url.set_query(Some(&encoded.replace('*', "%2A")));
    let page = Page::new(url.as_str())?;
    if let Some(wrong) = page.url.find(|c: char| !c.is_ascii()) {
        return Err(LoginFailed::Janus(format!(
            "the URL of the login has a character that no URL has at {wrong}: {}",
            foreign(&page.host)
        )));
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(settings: &OAuth, scopes: &[&str], resource: Option<&str>) -> Vec<(String, String)> {
        made_in(None, settings, scopes, resource)
    }

    fn made_in(
        workspace: Option<&str>,
        settings: &OAuth,
        scopes: &[&str],
        resource: Option<&str>,
    ) -> Vec<(String, String)> {
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let rmcp = "https://as.example/authorize?tenant=1&response_type=code&client_id=c&state=s\
                    &code_challenge=x&code_challenge_method=S256&redirect_uri=http%3A%2F%2F127.0.0.1%2F\
                    &resource=https%3A%2F%2Frmcp.example%2F&scope=everything";
        let page = page(
            rmcp,
            "https://as.example/authorize?tenant=1",
            settings,
            (&scopes, resource),
            workspace,
        );
        let url = Url::parse(&page.unwrap().url).unwrap();
        url.query_pairs().into_owned().collect()
    }

    fn value<'q>(query: &'q [(String, String)], name: &str) -> Option<&'q str> {
        let mut found = query.iter().filter(|(known, _)| known == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert_eq!(found.next(), None, "{name} twice");
        value
    }

    #[test]
    fn scope_and_resource_are_what_janus_says() {
        let query = made(&OAuth::default(), &["a", "b"], Some("https://mcp.example"));
        assert_eq!(value(&query, "scope"), Some("a b"));
        assert_eq!(value(&query, "resource"), Some("https://mcp.example"));
        assert_eq!(value(&query, "tenant"), Some("1"));
        assert_eq!(value(&query, "state"), Some("s"));
        assert_eq!(value(&query, "prompt"), None);
        let query = made(&OAuth::default(), &[], None);
        assert_eq!(value(&query, "scope"), None);
        assert_eq!(value(&query, "resource"), None);
    }

    #[test]
    fn the_workspace_is_named_where_it_is_known_and_the_provider_has_a_name_for_it() {
        let made = |workspace, settings: &OAuth| {
            let query = made_in(workspace, settings, &[], None);
            value(&query, "team").map(str::to_owned)
        };
        let slack = OAuth {
            workspace_param: Some("team".to_owned()),
            ..OAuth::default()
        };
        assert_eq!(made(Some("T 1&state=x"), &slack).unwrap(), "T 1&state=x");
        assert_eq!(made(None, &slack), None);
        assert_eq!(made(Some("T1"), &OAuth::default()), None);
        let written = OAuth {
            authorize_params: vec![("team".to_owned(), "T2".to_owned())],
            ..slack.clone()
        };
        assert_eq!(made(Some("T1"), &written).unwrap(), "T2");
        let evil = OAuth {
            workspace_param: Some("state".to_owned()),
            ..slack
        };
        let query = made_in(Some("T1"), &evil, &[], None);
        assert_eq!(value(&query, "state"), Some("s"));
    }

    #[test]
    fn the_person_is_asked_who_they_are() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let settings = OAuth {
            login_hint: Some("me@a.example".to_owned()),
            login_hint_param: Some("login".to_owned()),
            authorize_params: vec![
                pair("access_type", "offline"),
                pair("state", "mine"),
                pair("redirect_uri", "https://evil.example"),
                pair("code_challenge_method", "plain"),
            ],
            choose_account: vec![pair("prompt", "select_account consent")],
            ..OAuth::default()
        };
        let query = made(&settings, &["a", OFFLINE], None);
        assert_eq!(value(&query, "login"), Some("me@a.example"));
        assert_eq!(value(&query, "access_type"), Some("offline"));
        assert_eq!(value(&query, "prompt"), Some("select_account consent"));
        assert_eq!(value(&query, "state"), Some("s"));
        assert_eq!(value(&query, "redirect_uri"), Some("http://127.0.0.1/"));
        assert_eq!(value(&query, "code_challenge_method"), Some("S256"));
        assert_eq!(
            value(&made(&OAuth::default(), &[OFFLINE], None), "prompt"),
            Some("consent")
        );
    }
}
