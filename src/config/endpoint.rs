//! Where a server is and how it is reached: what the server says, and an account's own keys over it.

use std::path::PathBuf;
use std::sync::Arc;

use super::auth::{self, Proof, Said, in_the_clear};
use super::container::{Field, List, Map};
use super::file;
use super::name::{HeaderName, VariableName};
use super::oauth::{self, Login, Where};
use super::problem::{Mistake, Problems};
use super::reference::{Supplied, refuse_in_arguments};
use super::settings::texts;
use super::template::Filled;
use super::value::Text;
use crate::model::{
    Auth, Authentication, Command, Endpoint, Format, Helper, HttpEndpoint, OAuth, OWNED_HEADERS,
    SecretValue,
};

type Headers = Vec<(http::HeaderName, SecretValue)>;

type Variables = Vec<(String, SecretValue)>;

/// What the server's own keys say.
pub(super) enum Base {
    Process {
        /// The program, and the rest of `command`, which no account replaces; `None`: the template says it.
        command: Option<(String, Vec<String>)>,
        args: Vec<String>,
        env: Variables,
        auth: Option<Said>,
    },
    Remote {
        /// `None`: the template says it.
        url: Option<http::Uri>,
        headers: Headers,
        ca: Option<PathBuf>,
        auth: Option<Said>,
    },
}

impl Base {
    /// `None` where a mistake was noted.
    pub(super) fn of(
        server: &mut file::Server,
        is_process: bool,
        problems: &mut Problems,
    ) -> Option<Self> {
        // All of it is checked, whatever else is wrong: every mistake is noted.
        let url = server.url.value.as_ref().map(|url| &url.value.0);
        let own = Own::of(
            std::mem::take(&mut server.args),
            std::mem::take(&mut server.env),
            std::mem::take(&mut server.headers),
            std::mem::take(&mut server.auth),
            (is_process, url),
            problems,
        );
        let tls = std::mem::take(&mut server.tls).or(file::Tls::default());
        if is_process {
            let command = std::mem::take(&mut server.command);
            let is_said = command.key.is_some();
            let command = program(command, problems);
            if is_said && command.is_none() {
                return None;
            }
            return Some(Self::Process {
                command,
                args: own.args.unwrap_or_default(),
                env: own.env,
                auth: own.auth,
            });
        }
        let url = std::mem::take(&mut server.url);
        if url.is_wrong() {
            return None;
        }
        Some(Self::Remote {
            url: url.into_value().map(|url| url.0),
            headers: own.headers,
            ca: tls.ca.into_value().map(|ca| ca.0),
            auth: own.auth,
        })
    }
}

/// What an account says itself.
#[derive(Default)]
pub(super) struct Own {
    args: Option<Vec<String>>,
    env: Variables,
    headers: Headers,
    auth: Option<Said>,
}

impl Own {
    pub(super) fn of(
        args: Field<List<Text>>,
        env: Field<Map<VariableName, Supplied>>,
        headers: Field<Map<HeaderName, Supplied>>,
        auth: Field<Proof>,
        (is_process, url): (bool, Option<&http::Uri>),
        problems: &mut Problems,
    ) -> Self {
        if let Some(args) = &args.value {
            refuse_in_arguments(&args.value, problems);
        }
        auth::check_fit(&auth, is_process, url, problems);
        let env = env.or(Map::default()).entries.into_iter();
        Self {
            args: args.into_value().map(texts),
            env: env
                .map(|(name, value)| (name.value.0, value.value.0))
                .collect(),
            headers: self::headers(headers.or(Map::default()), url, problems),
            auth: auth::read(auth, problems),
        }
    }

    /// The endpoint of an account: `args` instead of the server's, variables and headers beside the server's, and what a
    /// template fills in where neither says anything. `None` where nobody says where the server is, which was noted.
    pub(super) fn over(
        mut self,
        base: &Base,
        filled: Option<Filled>,
        facts: Option<&OAuth>,
        problems: &mut Problems,
    ) -> Option<(Endpoint, Authentication)> {
        let own = self.auth.take();
        let endpoint = self.endpoint_over(base, filled)?;
        let (Base::Process { auth, .. } | Base::Remote { auth, .. }) = base;
        let auth = proof(own.as_ref(), auth.as_ref(), facts, &endpoint, problems);
        let auth = asked_of(auth, &endpoint);
        Some((endpoint, auth))
    }

    fn endpoint_over(self, base: &Base, filled: Option<Filled>) -> Option<Endpoint> {
        let (url_of, command_of, env_of) = match filled {
            Some(filled) => (filled.url, filled.command, filled.env),
            None => (None, None, Vec::new()),
        };
        Some(match base {
            Base::Process {
                command, args, env, ..
            } => {
                let (program, words) = command.clone().or(command_of)?;
                let args = self.args.as_ref().unwrap_or(args);
                Endpoint::Process(Command {
                    program,
                    args: words.into_iter().chain(args.iter().cloned()).collect(),
                    env: merged(&merged(&env_of, env.clone()), self.env),
                })
            }
            Base::Remote {
                url, headers, ca, ..
            } => Endpoint::Http(HttpEndpoint {
                url: url.clone().or(url_of)?,
                headers: merged(headers, self.headers),
                ca: ca.clone(),
            }),
        })
    }
}

/// What proves an account: what it says itself, else what its server says; of a login both, key by key.
fn proof(
    own: Option<&Said>,
    base: Option<&Said>,
    facts: Option<&OAuth>,
    endpoint: &Endpoint,
    problems: &mut Problems,
) -> Authentication {
    let at = match endpoint {
        Endpoint::Process(_) => Where::Process,
        Endpoint::Http(http) => Where::Remote(&http.url),
    };
    match (own, base) {
        (Some(Said::Plain(plain)), _) | (None, Some(Said::Plain(plain))) => plain.clone(),
        // Without a word, a template that knows of a login means it; a process would have to say what gets the token.
        (None, None) if facts.is_none() || matches!(at, Where::Process) => {
            Authentication::default()
        }
        (own, base) => oauth::settled(login(own), login(base), facts, at, problems),
    }
}

fn login(said: Option<&Said>) -> Option<&Login> {
    match said {
        Some(Said::Login(login)) => Some(login),
        _ => None,
    }
}

/// Entries by name: an own one stands where the other stood, the rest follow.
fn merged<N: Clone + PartialEq>(
    base: &[(N, SecretValue)],
    own: Vec<(N, SecretValue)>,
) -> Vec<(N, SecretValue)> {
    let mut merged = base.to_vec();
    for (name, value) in own {
        match merged.iter_mut().find(|(other, _)| *other == name) {
            Some((_, other)) => *other = value,
            None => merged.push((name, value)),
        }
    }
    merged
}

fn program(command: Field<List<Text>>, problems: &mut Problems) -> Option<(String, Vec<String>)> {
    let command = command.value?;
    refuse_in_arguments(&command.value, problems);
    let mut words = texts(command.value).into_iter();
    let program = words.next().filter(|program| !program.is_empty());
    let Some(program) = program else {
        problems.add(
            &command.place,
            Mistake::bad_value("a list that begins with the program"),
        );
        return None;
    };
    Some((program, words.collect()))
}

/// A credential helper of Docker is asked for a server.
fn asked_of(mut auth: Authentication, endpoint: &Endpoint) -> Authentication {
    if let (Auth::Helper { helper, .. }, Endpoint::Http(http)) = (&mut auth.how, endpoint)
        && helper.format == Format::Docker
    {
        let mut asked = Helper::clone(helper);
        asked.input = format!("{}\n", http.url);
        *helper = Arc::new(asked);
    }
    auth
}

fn headers(
    headers: Map<HeaderName, Supplied>,
    url: Option<&http::Uri>,
    problems: &mut Problems,
) -> Headers {
    let mut checked: Headers = Vec::new();
    for (name, value) in headers.entries {
        let header = name.value.0;
        if OWNED_HEADERS.contains(&header.as_str()) {
            let why = format!("Janus sets the header `{header}` itself");
            problems.add_with_help(&name.place, Mistake::DoesNotFit { why }, "remove it");
        } else if checked.iter().any(|(other, _)| *other == header) {
            let why =
                format!("the header `{header}` is there twice; upper and lower case are the same");
            problems.add_with_help(&name.place, Mistake::DoesNotFit { why }, "keep one of them");
        } else if value.value.0.reference().is_some() && url.is_some_and(in_the_clear) {
            let why = "a secret for a server that is reached by plain `http`: everybody on the way could read it";
            let help = "write `https://` in its `url`";
            problems.add_with_help(&value.place, Mistake::does_not_fit(why), help);
        } else if !is_header_value(&value.value.0) {
            problems.add(
                &value.place,
                Mistake::bad_value("visible ASCII characters, as in every HTTP header"),
            );
        } else {
            checked.push((header, value.value.0));
        }
    }
    checked
}

fn is_header_value(value: &SecretValue) -> bool {
    match value {
        SecretValue::Literal(text) => http::HeaderValue::from_str(text.expose()).is_ok(),
        // Known when it is resolved.
        SecretValue::Reference(_) => true,
    }
}
