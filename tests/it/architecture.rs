//! The module table of `src/lib.rs`, held against the `use` lines: a module uses only what its row names, a row names
//! only later rows, and every directory has a row. The guarantees rest on these arrows; a new one is a change to this
//! table in the same commit, with its reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module with the modules it may use, in the order a call meets them.
const TABLE: &[(&str, &[&str])] = &[
    // The command line talks to the daemon as a client does; `demo` and `connect --standalone` run one. Whether a vault
    // could have its key here, it asks without one.
    (
        "cli",
        &[
            "config",
            "daemon",
            "handover",
            "import",
            "model",
            "protocol",
            "store",
            "telemetry",
            "vault",
        ],
    ),
    // Text in, text out: the names of the result are checked as the configuration's are. `cli` has the result read by
    // `config` before it is written.
    ("import", &["model"]),
    // It raises the limit of open files, which the programs that `process` starts do not get. What the service manager is
    // told holds no secret.
    (
        "daemon",
        &[
            "account",
            "authn",
            "binding",
            "credential",
            "downstream",
            "gateway",
            "handover",
            "model",
            "process",
            "store",
            "telemetry",
            "upstream",
            "vault",
        ],
    ),
    // `Change` passes through: what happened behind Janus is told to sessions. The control API answers for people what
    // `account` and `binding` know, and hands out the keys of `authn`; sessions are kept in the store.
    (
        "downstream",
        &[
            "account",
            "authn",
            "binding",
            "credential",
            "gateway",
            "handover",
            "model",
            "protocol",
            "store",
            "telemetry",
            "upstream",
            "vault",
        ],
    ),
    // A choice that a tool makes has a holder, which is the store's word; how long a no counts, `credential`'s clock says.
    (
        "gateway",
        &[
            "account",
            "binding",
            "catalog",
            "credential",
            "model",
            "policy",
            "protocol",
            "store",
            "telemetry",
            "upstream",
        ],
    ),
    // What is chosen counts in a scope, and only the resolver says what that is; how accounts stand, `upstream` knows.
    // A login makes a grant of `credential`, and is told of like everything else; what could not be kept is the vault's
    // refusal.
    (
        "account",
        &[
            "binding",
            "credential",
            "model",
            "store",
            "telemetry",
            "upstream",
            "vault",
        ],
    ),
    // Two arrows for a type alone: a `Permitted<Route>` is what it forwards. What it learns of servers (their era, their
    // lists) outlives a restart; it alone knows what that means, so it keeps it itself.
    (
        "upstream",
        &[
            "binding",
            "credential",
            "dial",
            "handover",
            "model",
            "policy",
            "process",
            "protocol",
            "store",
            "telemetry",
        ],
    ),
    // One arrow for a type alone: a scope is made for a `Caller`.
    ("binding", &["authn", "model"]),
    // What it knows of access keys is kept.
    ("authn", &["model", "store"]),
    // Where a secret is, it asks the vault; commands that print one run as servers do.
    // What it was granted is kept in the store, sealed by the vault.
    (
        "credential",
        &["dial", "model", "process", "store", "telemetry", "vault"],
    ),
    // How a connection outward is made, to a server or to an authorization server.
    ("dial", &["model"]),
    ("vault", &["model", "store", "telemetry"]),
    ("catalog", &["model", "protocol"]),
    ("policy", &["model"]),
    ("store", &["model"]),
    ("telemetry", &["model"]),
    ("process", &["model"]),
    // What goes along to the next program of this process; each room says itself what that is.
    ("handover", &[]),
    ("config", &["model"]),
    ("protocol", &["model"]),
    ("model", &[]),
];

#[test]
fn a_row_names_only_later_rows() {
    for (at, (module, uses)) in TABLE.iter().enumerate() {
        for used in *uses {
            let row = TABLE.iter().position(|(name, _)| name == used);
            assert!(
                row.is_some_and(|row| row > at),
                "`{module}` names `{used}`, which is no later row"
            );
        }
    }
}

#[test]
fn every_directory_has_a_row() {
    let directories: BTreeSet<String> = fs::read_dir(src())
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    let rows: BTreeSet<String> = TABLE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(directories, rows);
}

#[test]
fn a_module_uses_only_what_its_row_names() {
    let mut wrong = Vec::new();
    for (module, uses) in TABLE {
        for file in files(&src().join(module)) {
            let text = fs::read_to_string(&file).unwrap();
            for used in crates_modules(code(&text)) {
                if used != *module && !uses.contains(&used.as_str()) {
                    wrong.push(format!("{} uses `{used}`", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_modules_do_no_input_or_output() {
    for module in [
        "binding", "catalog", "import", "policy", "protocol", "model",
    ] {
        for file in files(&src().join(module)) {
            let text = fs::read_to_string(&file).unwrap();
            for word in [
                "std::fs",
                "std::net::Tcp",
                "std::process",
                "std::env",
                "tokio::net",
                "tokio::fs",
                "tokio::io",
                "tokio::process",
            ] {
                assert!(
                    !code(&text).contains(word),
                    "{} names {word}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn the_gateway_knows_no_http_and_every_file_says_what_it_is_for() {
    for file in files(&src().join("gateway")) {
        let text = fs::read_to_string(&file).unwrap();
        for word in ["http::", "hyper", "StatusCode"] {
            assert!(
                !code(&text).contains(word),
                "{} names {word}",
                file.display()
            );
        }
    }
    for file in files(&src()) {
        assert!(
            fs::read_to_string(&file).unwrap().starts_with("//!"),
            "{} has no head",
            file.display()
        );
    }
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            // Tests may use what they like.
            if !path.ends_with("tests") {
                found.extend(files(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Where the bytes of a secret are looked at, and what for. Whoever adds a place says so here.
const EXPOSED: &[(&str, &str)] = &[
    // What goes into a request, and how two values are compared.
    (
        "credential/helper/mod.rs",
        "whether a command printed the same token",
    ),
    (
        "credential/oauth/identity.rs",
        "the question who that is, and the claims",
    ),
    (
        "credential/outdated.rs",
        "what a process was given, for the next program of this process",
    ),
    ("credential/proof.rs", "the header or the parameter"),
    // What goes to an authorization server, and the digest of it that says what may be lost.
    (
        "credential/oauth/client_authentication.rs",
        "what proves the client, and the token in the form and the header",
    ),
    (
        "credential/oauth/grant/attempt.rs",
        "the digest of the token",
    ),
    (
        "credential/oauth/grant/kept.rs",
        "the client's id, which stands in every authorization URL",
    ),
    ("credential/resolve.rs", "what a header can have"),
    (
        "upstream/streamable_http/request.rs",
        "the parameter in the URL",
    ),
    ("dial/proxy.rs", "the proxy's own password"),
    // What a process gets.
    ("process/group.rs", "its environment"),
    // What is sealed.
    ("vault/export.rs", "the passphrase, and what it encrypts"),
    ("vault/oauth/columns.rs", "sealed"),
    ("vault/rekey.rs", "sealed anew"),
    ("vault/rows.rs", "sealed"),
    // What is kept out of texts.
    ("telemetry/known.rs", "its forms"),
    (
        "upstream/stdio/stderr.rs",
        "taken out of what its own child says",
    ),
    // What a person wrote, on its way to where it belongs.
    ("config/endpoint.rs", "whether a header can have it"),
    ("cli/migrate.rs", "from the file to the vault"),
    ("cli/secret.rs", "shown on a terminal, when asked to"),
    // Janus's own keys, which are no secrets of accounts.
    ("authn/key.rs", "shown once"),
    ("cli/client/mod.rs", "sent to Janus"),
    ("cli/connect/wire.rs", "sent to Janus"),
    ("cli/headers.rs", "sent to Janus"),
    ("cli/whoami.rs", "sent to Janus"),
    ("daemon/compose.rs", "the installation key"),
];

#[test]
fn a_secret_is_exposed_where_the_table_says_and_nowhere_else() {
    let exposing: BTreeSet<String> = files(&src())
        .into_iter()
        .filter(|file| code(&fs::read_to_string(file).unwrap()).contains(".expose()"))
        .map(|file| {
            let file = file.strip_prefix(src()).unwrap();
            file.to_str().unwrap().to_owned()
        })
        .collect();
    let table: BTreeSet<String> = EXPOSED.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(exposing, table);
}

/// The file without its tests, which may use what they like.
fn code(text: &str) -> &str {
    text.split_once("\n#[cfg(test)]")
        .map_or(text, |(code, _)| code)
}

/// The modules that `crate::` paths name.
fn crates_modules(code: &str) -> BTreeSet<String> {
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let mut found = BTreeSet::new();
    for line in lines {
        for part in line.split("crate::").skip(1) {
            match part.strip_prefix('{') {
                Some(group) => found.extend(group.split(',').filter_map(first_word)),
                None => found.extend(first_word(part)),
            }
        }
    }
    found
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text
        .trim()
        .chars()
        .take_while(|c| c.is_ascii_lowercase() || *c == '_')
        .collect();
    TABLE.iter().any(|(name, _)| *name == word).then_some(word)
}
