//! Where a server is and how it is reached: what the server says, and an account's own keys over it.

use std::path::PathBuf;

use super::container::{Field, List, Map};
use super::file;
use super::name::{HeaderName, VariableName};
use super::problem::{Mistake, Problems};
use super::settings::texts;
use super::value::Text;
use crate::model::{Command, Endpoint, HttpEndpoint, OWNED_HEADERS, Secret};

type Headers = Vec<(http::HeaderName, Secret)>;

type Variables = Vec<(String, Secret)>;

/// What the server's own keys say.
pub(super) enum Base {
    Process {
        program: String,
        /// The rest of `command`, which no account replaces.
        words: Vec<String>,
        args: Vec<String>,
        env: Variables,
    },
    Remote {
        url: http::Uri,
        headers: Headers,
        ca: Option<PathBuf>,
    },
}

impl Base {
    /// `None` where a mistake was noted.
    pub(super) fn of(server: &mut file::Server, problems: &mut Problems) -> Option<Self> {
        // All of it is checked, whatever else is wrong: every mistake is noted.
        let own = Own::of(
            std::mem::take(&mut server.args),
            std::mem::take(&mut server.env),
            std::mem::take(&mut server.headers),
            problems,
        );
        let tls = std::mem::take(&mut server.tls).or(file::Tls::default());
        if server.command.value.is_some() {
            let (program, words) = program(std::mem::take(&mut server.command), problems)?;
            return Some(Self::Process {
                program,
                words,
                args: own.args.unwrap_or_default(),
                env: own.env,
            });
        }
        let url = std::mem::take(&mut server.url).into_value()?;
        Some(Self::Remote {
            url: url.0,
            headers: own.headers,
            ca: tls.ca.into_value().map(|ca| ca.0),
        })
    }
}

/// What an account says itself.
#[derive(Default)]
pub(super) struct Own {
    args: Option<Vec<String>>,
    env: Variables,
    headers: Headers,
}

impl Own {
    pub(super) fn of(
        args: Field<List<Text>>,
        env: Field<Map<VariableName, Text>>,
        headers: Field<Map<HeaderName, Text>>,
        problems: &mut Problems,
    ) -> Self {
        let env = env.or(Map::default()).entries.into_iter();
        Self {
            args: args.into_value().map(texts),
            env: env
                .map(|(name, value)| (name.value.0, Secret::new(value.value.0)))
                .collect(),
            headers: self::headers(headers.or(Map::default()), problems),
        }
    }

    /// The endpoint of an account: `args` instead of the server's, variables and headers beside the server's.
    pub(super) fn over(self, base: &Base) -> Endpoint {
        match base {
            Base::Process {
                program,
                words,
                args,
                env,
            } => {
                let args = self.args.as_ref().unwrap_or(args);
                Endpoint::Process(Command {
                    program: program.clone(),
                    args: words.iter().chain(args).cloned().collect(),
                    env: merged(env, self.env),
                })
            }
            Base::Remote { url, headers, ca } => Endpoint::Http(HttpEndpoint {
                url: url.clone(),
                headers: merged(headers, self.headers),
                ca: ca.clone(),
            }),
        }
    }
}

/// Entries by name: an own one stands where the other stood, the rest follow.
fn merged<N: Clone + PartialEq>(base: &[(N, Secret)], own: Vec<(N, Secret)>) -> Vec<(N, Secret)> {
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

fn headers(headers: Map<HeaderName, Text>, problems: &mut Problems) -> Headers {
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
        } else if http::HeaderValue::from_str(&value.value.0).is_err() {
            problems.add(
                &value.place,
                Mistake::bad_value("visible ASCII characters, as in every HTTP header"),
            );
        } else {
            checked.push((header, Secret::new(value.value.0)));
        }
    }
    checked
}
