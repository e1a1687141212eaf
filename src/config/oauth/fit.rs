//! Which keys of `auth.oauth` belong together, and what a login cannot be without.

use super::keys::{OAuth as Keys, Whoami};
use super::{Login, Where};
use crate::config::auth::in_the_clear;
use crate::config::choice::Word;
use crate::config::container::{At, Field};
use crate::config::problem::{Mistake, Place, Problems};
use crate::config::read::Section;
use crate::config::value::Switch;
use crate::config::warning::Warning;
use crate::model::{Ask, ClientAuthentication, GrantKind, OAuth, OWN_PARAMETERS, Origin};

/// Keys that only a person in a browser has a use for.
const OF_BROWSER: [&str; 5] = [
    "redirect_host",
    "callback_port",
    "redirect_path",
    "authorize_params",
    "allow_unadvertised_pkce",
];

/// Keys that only a person has a use for, wherever.
const OF_PERSON: [&str; 12] = [
    "login_hint",
    "expect",
    "whoami",
    "open_browser",
    "browser_command",
    "journal_url",
    "authorization_endpoint",
    "device_authorization_endpoint",
    "registration_scope",
    "client_name",
    "client_metadata_url",
    "allow_legacy_endpoints",
];

/// The named risks, each with what it means.
const RISKS: [(&str, &str); 3] = [
    (
        "allow_unadvertised_pkce",
        "a risk is taken here: a code that somebody steals on its way back could be used",
    ),
    (
        "allow_legacy_endpoints",
        "a risk is taken here: where nothing says where to log in, whatever answers at the server is believed",
    ),
    (
        "allow_private_addresses",
        "a risk is taken here: the server can make Janus send requests into your network",
    ),
];

/// Looks at one map by itself; `grant` is what counts for it.
pub(in crate::config) fn within(keys: &Keys, grant: GrantKind, problems: &mut Problems) {
    exclude(
        "scopes",
        keys.scopes.key.as_ref(),
        "scopes_limit",
        keys.scopes_limit.key.as_ref(),
        problems,
    );
    exclude(
        "client_secret",
        keys.client_secret.key.as_ref(),
        "private_key",
        keys.private_key.key.as_ref(),
        problems,
    );
    foreign(keys, grant, problems);
    parameters(keys, problems);
    if let Some(at) = &keys.whoami.value {
        whoami(&at.value, &at.place, problems);
    }
    if let Some(at) = &keys.browser_command.value
        && at
            .value
            .0
            .first()
            .is_none_or(|word| word.value.0.is_empty())
    {
        let mistake = Mistake::bad_value("a list that begins with the program");
        problems.add(&at.place, mistake);
    }
    let risks = [
        &keys.allow_unadvertised_pkce,
        &keys.allow_legacy_endpoints,
        &keys.allow_private_addresses,
    ];
    for ((_, told), field) in RISKS.iter().zip(risks) {
        if let Some(place) = is_on(field) {
            let help = "remove it as soon as the provider allows that";
            problems.warn(Warning::new(place, *told, help));
        }
    }
}

fn is_on(field: &Field<Switch>) -> Option<&Place> {
    let at = field.value.as_ref().filter(|at| at.value.0)?;
    field.key.as_ref().or(Some(&at.place))
}

fn exclude(
    one: &str,
    one_key: Option<&Place>,
    other: &str,
    other_key: Option<&Place>,
    problems: &mut Problems,
) {
    if let (Some(_), Some(place)) = (one_key, other_key) {
        let why = format!("there is `{one}` or `{other}`, not both");
        problems.add_with_help(place, Mistake::DoesNotFit { why }, "keep one of them");
    }
}

/// Keys that say nothing about this kind of grant.
fn foreign(keys: &Keys, grant: GrantKind, problems: &mut Problems) {
    let is_foreign = |key: &str| match grant {
        GrantKind::AuthorizationCode => false,
        GrantKind::DeviceCode => OF_BROWSER.contains(&key),
        GrantKind::ClientCredentials => OF_BROWSER.contains(&key) || OF_PERSON.contains(&key),
    };
    let why = match grant {
        GrantKind::ClientCredentials => "where nobody logs in",
        _ => "where a person logs in on another device",
    };
    for (key, place) in keys.keys().into_iter().filter(|(key, _)| is_foreign(key)) {
        let why = format!(
            "`{key}` has no meaning with `grant: {}`, {why}",
            grant.word()
        );
        problems.add_with_help(&place, Mistake::DoesNotFit { why }, "remove it");
    }
}

fn parameters(keys: &Keys, problems: &mut Problems) {
    let entries = keys.authorize_params.value.iter();
    for (name, _) in entries.flat_map(|at| &at.value.entries) {
        let parameter = name.value.0.as_str();
        if !OWN_PARAMETERS.contains(&parameter) {
            continue;
        }
        let why = format!("Janus sets the parameter `{parameter}` itself");
        let help = match parameter {
            "client_id" => "write `client_id` beside `authorize_params`",
            "scope" => "write `scopes` beside `authorize_params`",
            "resource" => "write `resource` beside `authorize_params`",
            "redirect_uri" => "see `redirect_host`, `callback_port` and `redirect_path`",
            _ => "remove it",
        };
        problems.add_with_help(&name.place, Mistake::DoesNotFit { why }, help);
    }
}

/// One of two ways to ask, and where the answer is.
pub(in crate::config) fn whoami(whoami: &Whoami, place: &Place, problems: &mut Problems) {
    match (&whoami.tool.key, &whoami.url.key) {
        (None, None) => {
            let what = "`tool` or `url`: what is asked".to_owned();
            problems.add(place, Mistake::Missing { what });
        }
        (Some(_), Some(url)) => {
            let why = "there is `tool` or `url`, not both";
            problems.add_with_help(url, Mistake::does_not_fit(why), "keep one of them");
        }
        _ => {}
    }
    if whoami.subject.key.is_none() {
        let what = "`subject`: where the answer says who, as a JSON pointer".to_owned();
        problems.add(place, Mistake::Missing { what });
    }
}

/// Looks at what all layers come to. `login` is the nearest of them.
pub(super) fn whole(
    login: &Login,
    base: Option<&Login>,
    oauth: &OAuth,
    into: Option<&At<String>>,
    at: Where<'_>,
    problems: &mut Problems,
) {
    let layers = Layers {
        own: &login.keys,
        base: base.map(|base| &base.keys),
    };
    if oauth.grant != GrantKind::AuthorizationCode && login.keys.grant.key.is_none() {
        // The grant comes from the server: the account's own keys were not held against it yet.
        foreign(&login.keys, oauth.grant, problems);
    }
    client(&layers, oauth, &login.place, problems);
    match at {
        Where::Process => process(login, oauth, into, problems),
        Where::Remote(url) => remote(login, oauth, into, url, problems),
    }
}

struct Layers<'l> {
    own: &'l Keys,
    base: Option<&'l Keys>,
}

impl<'l> Layers<'l> {
    /// Where a key is, in the nearest layer that has it.
    fn place(&self, key: impl Fn(&'l Keys) -> &'l Option<Place>) -> Option<&'l Place> {
        let own = key(self.own).as_ref();
        own.or_else(|| self.base.and_then(|base| key(base).as_ref()))
    }
}

/// What a client that a person registered must have.
fn client(layers: &Layers<'_>, oauth: &OAuth, place: &Place, problems: &mut Problems) {
    let secret = layers.place(|keys| &keys.client_secret.key);
    let key = layers.place(|keys| &keys.private_key.key);
    let id = layers.place(|keys| &keys.client_id.key);
    if oauth.grant == GrantKind::ClientCredentials {
        if id.is_none() {
            let what = "`client_id`, which `grant: client_credentials` needs".to_owned();
            problems.add(place, Mistake::Missing { what });
        }
        if secret.is_none() && key.is_none() {
            let what = "`client_secret` or `private_key`, which `grant: client_credentials` needs";
            let what = what.to_owned();
            let help = "write `client_secret: vault:NAME`, then:  janus secret set NAME";
            problems.add_with_help(place, Mistake::Missing { what }, help);
        }
    } else if id.is_none() {
        for (name, place) in [("client_secret", secret), ("private_key", key)] {
            if let Some(place) = place {
                let what = format!("`client_id`: `{name}` belongs to a client");
                problems.add(place, Mistake::Missing { what });
            }
        }
    }
    if key.is_none() {
        let of_key = [
            ("key_id", layers.place(|keys| &keys.key_id.key)),
            ("alg", layers.place(|keys| &keys.alg.key)),
        ];
        for (name, place) in of_key {
            if let Some(place) = place {
                let what = format!("`private_key`, which `{name}` belongs to");
                problems.add(place, Mistake::Missing { what });
            }
        }
    }
    let method = layers.place(|keys| &keys.token_auth_method.key);
    if let (Some(method), Some(place)) = (oauth.token_auth_method, method) {
        let (held, needed) = match method {
            ClientAuthentication::PrivateKeyJwt => (key.is_some(), "`private_key`"),
            // A registration may bring the secret.
            ClientAuthentication::SecretBasic | ClientAuthentication::SecretPost => {
                (secret.is_some() || id.is_none(), "`client_secret`")
            }
            ClientAuthentication::None => (true, ""),
        };
        if !held {
            let what = format!(
                "{needed}, which `token_auth_method: {}` needs",
                method.word()
            );
            problems.add(place, Mistake::Missing { what });
        }
    }
}

/// A process is given a token, and has no address at which anything could be found out.
fn process(login: &Login, oauth: &OAuth, into: Option<&At<String>>, problems: &mut Problems) {
    if into.is_none() {
        let what = "`into`: the variable of the process that gets the token".to_owned();
        let help = "write `into: NAME` beside `oauth`";
        problems.add_with_help(&login.place, Mistake::Missing { what }, help);
    }
    let endpoints = &oauth.endpoints;
    let (beside, needed) = match oauth.grant {
        GrantKind::AuthorizationCode => (
            &endpoints.authorization,
            "`authorization_endpoint` and `token_endpoint`",
        ),
        GrantKind::DeviceCode => (
            &endpoints.device_authorization,
            "`device_authorization_endpoint` and `token_endpoint`",
        ),
        GrantKind::ClientCredentials => (&endpoints.token, "`token_endpoint`"),
    };
    if beside.is_none() || endpoints.token.is_none() {
        let what = format!("{needed}: a local process has no URL at which they are found");
        let help = "write them under `oauth`, or name a `template` that has them";
        problems.add_with_help(&login.place, Mistake::Missing { what }, help);
    }
    if let Some(Ask::Url(_)) = oauth.whoami.as_ref().map(|whoami| &whoami.ask)
        && let Some(at) = &login.keys.whoami.value
    {
        let why = "a URL gets the token, and a local process has no host that it could be at";
        problems.add_with_help(
            &at.place,
            Mistake::does_not_fit(why),
            "name a `tool` of the process",
        );
    }
}

fn remote(
    login: &Login,
    oauth: &OAuth,
    into: Option<&At<String>>,
    url: &http::Uri,
    problems: &mut Problems,
) {
    if let Some(into) = into {
        let why = "`into` belongs to a local process, and this server has `url`";
        problems.add_with_help(&into.place, Mistake::does_not_fit(why), "remove it");
    }
    if in_the_clear(url) {
        let why = "a token for a server that is reached by plain `http`: everybody on the way could read it";
        let help = "write `https://` in its `url`";
        problems.add_with_help(&login.place, Mistake::does_not_fit(why), help);
    }
    // The token goes there, and it is the server's.
    if let Some(Ask::Url(asked)) = oauth.whoami.as_ref().map(|whoami| &whoami.ask)
        && let Some(at) = &login.keys.whoami.value
        && asked
            .parse::<http::Uri>()
            .is_ok_and(|asked| !Origin::is_shared(&asked, url))
    {
        let why = "this URL gets the token, and is at another host than the server";
        let help = "name a `tool`, or write a template of your own: it may name the provider's other hosts";
        problems.add_with_help(&at.place, Mistake::does_not_fit(why), help);
    }
}
