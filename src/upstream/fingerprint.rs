//! What an account talks to, as a digest: what was learnt of something else does not count.
//!
//! Invariants:
//! - Of the environment and the headers only the names go in: a new token is the same server.
//! - Arguments and URLs may hold secrets, so what is kept is a digest.

use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::model::Endpoint;

/// The digest of an endpoint, with the age of its executable where it is named by its path.
pub(super) fn fingerprint(endpoint: &Endpoint) -> [u8; 32] {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    let mut add = |part: &str| parts.push(part.as_bytes().to_vec());
    match endpoint {
        Endpoint::Process(command) => {
            add("process");
            add(&command.program);
            command.args.iter().for_each(|argument| add(argument));
            add("environment");
            command.env.iter().for_each(|(name, _)| add(name));
        }
        Endpoint::Http(http) => {
            add("http");
            add(&http.url.to_string());
            add("headers");
            http.headers.iter().for_each(|(name, _)| add(name.as_str()));
        }
    }
    if let Some(changed) = executable(endpoint) {
        let since = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
        parts.push(since.as_nanos().to_le_bytes().to_vec());
    }
    // Each part with its length: `a b` and `ab` are not the same.
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// When the executable was changed, where it is named by its path. One look at an inode.
pub(super) fn executable(endpoint: &Endpoint) -> Option<SystemTime> {
    match endpoint {
        Endpoint::Process(command) if command.program.contains('/') => {
            std::fs::metadata(&command.program).ok()?.modified().ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::{Command, HttpEndpoint, SecretValue};

    fn process(program: &str, args: &[&str], env: &[(&str, &str)]) -> Endpoint {
        Endpoint::Process(Command {
            program: program.to_owned(),
            args: args.iter().map(|&argument| argument.to_owned()).collect(),
            env: env
                .iter()
                .map(|&(name, value)| (name.to_owned(), SecretValue::literal(value)))
                .collect(),
        })
    }

    fn http(url: &str, header: &str) -> Endpoint {
        Endpoint::Http(HttpEndpoint {
            url: url.parse().unwrap(),
            headers: vec![(
                ::http::HeaderName::from_static("x-token"),
                SecretValue::literal(header),
            )],
            ca: None,
        })
    }

    #[test]
    fn everything_but_a_secret_makes_another_server() {
        let all = [
            process("npx", &["a", "b"], &[]),
            process("npx", &["ab"], &[]),
            process("npx", &["a", "b"], &[("TOKEN", "1")]),
            process("npx", &["a", "b", "environment", "TOKEN"], &[]),
            process("node", &["a", "b"], &[]),
            http("http://127.0.0.1:1/mcp", "1"),
            http("http://127.0.0.1:2/mcp", "1"),
        ];
        let digests: BTreeSet<_> = all.iter().map(fingerprint).collect();
        assert_eq!(digests.len(), all.len());
        let renewed = process("npx", &["a", "b"], &[("TOKEN", "2")]);
        assert_eq!(fingerprint(&renewed), fingerprint(&all[2]));
        let renewed = http("http://127.0.0.1:1/mcp", "2");
        assert_eq!(fingerprint(&renewed), fingerprint(&all[5]));
    }

    #[test]
    fn another_executable_under_the_same_path_is_another_server() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let endpoint = process(file.path().to_str().unwrap(), &[], &[]);
        let before = fingerprint(&endpoint);
        assert_eq!(fingerprint(&endpoint), before);
        file.as_file().set_modified(UNIX_EPOCH).unwrap();
        assert_ne!(fingerprint(&endpoint), before);
    }
}
