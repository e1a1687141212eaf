//! The vault by its commands: with and without a daemon, several at once, killed at any moment.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Ended, Home, Janus, Process, scale, until};

use super::{document, home, piped, run, set, succeeded};

const SERVERS: &str = "s: { command: [cat], env: { A: vault:a } }\n";

fn names(home: &Home) -> Vec<String> {
    let listed = document(home, &["secret", "list"]);
    let secrets = listed["secrets"].as_array().unwrap().iter();
    secrets
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}

/// A secret as a process gets it: a child writes it into a file.
fn reveal(janus: &Janus) -> String {
    let file = janus.home().path().join("seen");
    until("a process with the secret", || {
        run(janus.home(), &["account", "verify", "s"]);
        fs::read_to_string(&file).is_ok_and(|seen| !seen.is_empty())
    });
    let seen = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    seen
}

/// Waits until a process is started with this value.
fn revealed(janus: &Janus, expected: &str) {
    until(expected, || reveal(janus) == expected);
}

/// A home whose one server writes the secret `a` down and ends.
fn writing() -> Home {
    let home = home("SERVER\n");
    let server = format!(
        "s: {{ command: [sh, -c, 'printf %s \"$A\" > {}; exit 1'], env: {{ A: vault:a }} }}",
        home.path().join("seen").display()
    );
    let text = fs::read_to_string(home.config()).unwrap();
    fs::write(home.config(), text.replace("SERVER", &server)).unwrap();
    home
}

#[test]
fn secrets_are_set_listed_and_removed_without_a_daemon_and_with_one() {
    let home = home(SERVERS);
    succeeded(&set(&home, "a", "value-one"));
    assert_eq!(names(&home), ["a"]);
    for file in ["state/janus/janus.db", "home/vault.key"] {
        let mode = fs::metadata(home.path().join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let janus = Janus::start_in(home, |_| {});
    succeeded(&set(janus.home(), "b", "value-two"));
    let listed = run(janus.home(), &["secret", "list"]);
    assert!(listed.stdout.contains("s/default"), "{}", listed.stdout);
    assert!(!listed.stdout.contains("value"), "{}", listed.stdout);
    succeeded(&run(janus.home(), &["secret", "remove", "b"]));
    let gone = run(janus.home(), &["secret", "remove", "b"]);
    assert_eq!(gone.status.code(), Some(2), "{}", gone.stderr);
    let empty = set(janus.home(), "c", "");
    assert_eq!(empty.status.code(), Some(2), "{}", empty.stderr);
    for bad in ["A", "a b", "", "ghp_16c7e42f292c6912e7710c838347ae178b4a"] {
        assert_eq!(set(janus.home(), bad, "x").status.code(), Some(2), "{bad}");
    }
    let refused = run(janus.home(), &["secret", "reveal", "a"]);
    assert_eq!(refused.status.code(), Some(5), "{}", refused.stderr);
    assert!(!refused.stdout.contains("value-one"));
}

#[test]
fn an_export_opens_elsewhere_with_its_passphrase_alone() {
    let one = home(SERVERS);
    succeeded(&set(&one, "a", "value-one"));
    succeeded(&set(&one, "long", &"x".repeat(60_000)));
    let (file, pass, wrong) = (
        one.path().join("out.age"),
        one.path().join("pass"),
        one.path().join("wrong"),
    );
    fs::write(&pass, "correct horse\n").unwrap();
    fs::write(&wrong, "incorrect").unwrap();
    let (file, pass, wrong) = (
        file.to_str().unwrap(),
        pass.to_str().unwrap(),
        wrong.to_str().unwrap(),
    );
    succeeded(&run(
        &one,
        &["secret", "export", file, "--passphrase-file", pass],
    ));
    let bytes = fs::read(file).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1"));
    assert!(!bytes.windows(9).any(|window| window == b"value-one"));
    assert_eq!(
        fs::metadata(file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    fs::write(one.path().join("empty"), "\n").unwrap();
    let empty = one.path().join("empty");
    let other = one.path().join("other.age");
    let arguments = [
        "secret",
        "export",
        other.to_str().unwrap(),
        "--passphrase-file",
        empty.to_str().unwrap(),
    ];
    assert_eq!(run(&one, &arguments).status.code(), Some(2));
    assert!(!other.exists());
    let again = run(&one, &["secret", "export", file, "--passphrase-file", pass]);
    assert!(!again.status.success(), "a file is not written over");

    let other = writing();
    let refused = run(
        &other,
        &["secret", "import", file, "--passphrase-file", wrong],
    );
    assert_eq!(refused.status.code(), Some(2), "{}", refused.stderr);
    succeeded(&run(
        &other,
        &["secret", "import", file, "--passphrase-file", pass],
    ));
    succeeded(&set(&other, "a", "value-newer"));
    let kept = run(
        &other,
        &["secret", "import", file, "--passphrase-file", pass],
    );
    assert!(
        kept.stdout.contains("left as they are: a"),
        "{}",
        kept.stdout
    );
    let janus = Janus::start_in(other, |_| {});
    revealed(&janus, "value-newer");
    succeeded(&run(
        janus.home(),
        &[
            "secret",
            "import",
            file,
            "--replace",
            "--passphrase-file",
            pass,
        ],
    ));
    revealed(&janus, "value-one");
}

#[test]
fn a_new_key_opens_what_the_old_one_did_and_the_old_one_nothing() {
    let one = writing();
    let key = one.path().join("home/vault.key");
    succeeded(&set(&one, "a", "value-one"));
    let old = fs::read(&key).unwrap();
    succeeded(&run(&one, &["vault", "rekey"]));
    let new = fs::read(&key).unwrap();
    assert_ne!(old, new);
    let janus = Janus::start_in(one, |_| {});
    revealed(&janus, "value-one");
    succeeded(&run(janus.home(), &["vault", "rekey"]));
    let (ended, one) = janus.stop();
    assert!(ended.status.success());

    // The wrong key is told, and nothing is written over.
    let right = fs::read(&key).unwrap();
    fs::write(&key, &old).unwrap();
    let refused = set(&one, "b", "value-two");
    assert_eq!(refused.status.code(), Some(4), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("does not open this vault"),
        "{}",
        refused.stderr
    );
    // A crash between the commit and the renaming leaves the right one beside its place.
    fs::write(key.with_extension("key.new"), &right).unwrap();
    fs::set_permissions(
        key.with_extension("key.new"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    succeeded(&set(&one, "b", "value-two"));
    assert_eq!(fs::read(&key).unwrap(), right);
    // A key that others can read is none.
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = set(&one, "b", "value-three");
    assert!(refused.stderr.contains("chmod 600"), "{}", refused.stderr);
}

#[test]
fn a_systemd_credential_is_the_key_and_moves_to_a_file() {
    let one = Home::new("s: { command: [cat], env: { A: vault:a } }\n");
    let credentials = one.path().join("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::write(credentials.join("janus-vault-key"), [7_u8; 32]).unwrap();
    let janus = Janus::start_in(one, |command| {
        command.env("CREDENTIALS_DIRECTORY", &credentials);
    });
    succeeded(&set(janus.home(), "a", "value-one"));
    let status = document(janus.home(), &["vault", "status"]);
    assert_eq!(
        (status["state"].as_str(), status["key"].as_str()),
        (Some("open"), Some("credential"))
    );
    let rekeyed = run(janus.home(), &["vault", "rekey"]);
    assert!(
        rekeyed.stderr.contains("systemd gives it"),
        "{}",
        rekeyed.stderr
    );
    let key = janus.home().path().join("home/moved.key");
    let moved = run(
        janus.home(),
        &["vault", "move", "file", key.to_str().unwrap()],
    );
    assert!(
        succeeded(&moved).stdout.contains("janus config reload"),
        "{}",
        moved.stdout
    );
    assert_eq!(fs::read_to_string(&key).unwrap().trim(), "07".repeat(32));
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );

    // A place that has not the key is told at once, and no new key goes there.
    let config = janus.home().config();
    let text = fs::read_to_string(&config).unwrap();
    let with = |file: &str| {
        let key_file = janus.home().path().join(file);
        let vault = format!("vault: {{ key: file, key_file: {} }}", key_file.display());
        fs::write(&config, format!("{vault}\n{text}")).unwrap();
        run(janus.home(), &["config", "reload"])
    };
    let reloaded = with("home/mistyped.key");
    assert!(
        reloaded.stdout.contains("would be sealed"),
        "{}",
        reloaded.stdout
    );
    let status = run(janus.home(), &["vault", "status"]);
    assert!(
        status.stdout.contains("sealed after the next start"),
        "{}",
        status.stdout
    );
    assert_eq!(
        run(janus.home(), &["vault", "rekey"]).status.code(),
        Some(4)
    );
    assert!(!janus.home().path().join("home/mistyped.key").exists());

    // The place it was moved to counts after a reload, without the credential after a restart.
    let reloaded = with("home/moved.key");
    assert!(!reloaded.stdout.contains("sealed"), "{}", reloaded.stdout);
    let status = document(janus.home(), &["vault", "status"]);
    assert_eq!(status["key"], "file", "{status}");
    succeeded(&run(janus.home(), &["vault", "rekey"]));
    let (_, home) = janus.stop();
    let janus = Janus::start_in(home, |_| {});
    succeeded(&set(janus.home(), "b", "value-two"));
    assert_eq!(names(janus.home()), ["a", "b"]);
    succeeded(&run(janus.home(), &["secret", "check"]));
}

#[test]
fn without_a_place_for_its_key_no_vault_is_made_and_three_ways_are_shown() {
    let one = Home::new(SERVERS);
    let refused = set(&one, "a", "value-one");
    assert_eq!(refused.status.code(), Some(4), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("error[no_key]"),
        "{}",
        refused.stderr
    );
    assert_eq!(
        refused.stderr.matches("help:").count(),
        3,
        "{}",
        refused.stderr
    );
    let janus = Janus::start_in(one, |_| {});
    let refused = set(janus.home(), "a", "value-one");
    assert_eq!(refused.status.code(), Some(4), "{}", refused.stderr);
    assert!(names(janus.home()).is_empty());
}

#[test]
fn several_that_write_at_once_lose_nothing() {
    for with_daemon in [false, true] {
        let one = home(SERVERS);
        succeeded(&set(&one, "first", "value"));
        let (janus, one) = if with_daemon {
            (Some(Janus::start_in(one, |_| {})), None)
        } else {
            (None, Some(one))
        };
        let home = janus
            .as_ref()
            .map_or_else(|| one.as_ref().unwrap(), Janus::home);
        let mut expected = vec!["first".to_owned()];
        for round in 0..scale(20) {
            let running: Vec<Process> = (0..4)
                .map(|number| {
                    let name = format!("s{round}-{number}");
                    let mut process = piped(home, &["secret", "set", &name]);
                    process.say("value");
                    process.close_stdin();
                    expected.push(name);
                    process
                })
                .collect();
            for process in running {
                succeeded(&process.finish());
            }
        }
        expected.sort();
        assert_eq!(names(home), expected, "daemon: {with_daemon}");
    }
}

/// What was acknowledged is there after any number of kills, and what is there opens.
#[test]
fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let one = writing();
    succeeded(&set(&one, "a", "0"));
    let (mut acknowledged, mut killed, mut home) = (0_usize, 0_usize, one);
    let mut dice = 0x9E37_79B9_7F4A_7C15_u64;
    let mut roll = |below: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % below
    };
    let rounds = scale(1000);
    for round in 1..=rounds {
        // Without a daemon the command itself writes: it is killed somewhere in that.
        let rekeys = roll(10) == 0;
        let arguments: &[&str] = if rekeys {
            &["vault", "rekey"]
        } else {
            &["secret", "set", "a"]
        };
        let mut command = home.command(arguments);
        command.arg("--config").arg(home.config());
        command
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // One that did not read any more was not acknowledged either.
        stdin.write_all(round.to_string().as_bytes()).ok();
        drop(stdin);
        let end = std::time::Instant::now() + std::time::Duration::from_micros(roll(30_000));
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if std::time::Instant::now() >= end {
                child.kill().unwrap();
                killed += 1;
                break child.wait().unwrap();
            }
            std::thread::yield_now();
        };
        if status.success() && !rekeys {
            acknowledged = round;
        }
        if round % 25 == 0 || round == rounds {
            let janus = Janus::start_in(home, |_| {});
            let seen: usize = reveal(&janus)
                .parse()
                .unwrap_or_else(|_| panic!("round {round}: it does not open"));
            // A later one may have been written and not acknowledged any more.
            assert!(
                seen >= acknowledged && seen <= round,
                "{acknowledged} <= {seen} <= {round}"
            );
            // A daemon that is killed leaves as much.
            home = janus.kill();
        }
    }
    let status = document(&home, &["vault", "status"]);
    assert_eq!(status["state"], "open", "{status}");
    // Otherwise nothing was tried.
    assert!(killed > rounds / 10 && acknowledged > 0, "{killed} killed");
}

/// A terminal of its own for a command, what is typed there, and all that it shows.
const TERMINAL: &str = r#"
import os, pty, sys, time
typed = sys.argv[1].encode()
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
shown = b""
while True:
    try:
        data = os.read(terminal, 4096)
    except OSError:
        break
    if not data:
        break
    shown += data
    if typed and b"not shown" in shown:
        # The question comes before the echo is off: the answer waits for that.
        import termios
        while termios.tcgetattr(terminal)[3] & termios.ECHO:
            time.sleep(0.01)
        os.write(terminal, typed + b"\n")
        typed = b""
sys.stdout.write(shown.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

fn at_a_terminal(home: &Home, typed: &str, arguments: &[&str]) -> Ended {
    let inner = home.command(arguments);
    let mut command = std::process::Command::new("python3");
    command
        .args(["-c", TERMINAL, typed, env!("CARGO_BIN_EXE_janus")])
        .args(arguments)
        .arg("--config")
        .arg(home.config())
        .env_clear()
        .envs(
            inner
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    Process::run("a terminal", &mut command)
}

#[test]
fn a_terminal_shows_a_secret_only_when_it_is_asked_to() {
    let one = writing();
    let set = at_a_terminal(&one, "typed-valüe\u{8}\u{8}e!", &["secret", "set", "a"]);
    assert!(succeeded(&set).stdout.contains("`a` is in the vault"));
    assert!(!set.stdout.contains("typed"), "{}", set.stdout);
    let shown = at_a_terminal(&one, "", &["secret", "reveal", "a"]);
    assert!(
        succeeded(&shown).stdout.contains("typed-vale!"),
        "{}",
        shown.stdout
    );
    // Beside a daemon as well, which gives nothing out.
    let janus = Janus::start_in(one, |_| {});
    let shown = at_a_terminal(janus.home(), "", &["secret", "reveal", "a"]);
    assert!(
        succeeded(&shown).stdout.contains("typed-vale!"),
        "{}",
        shown.stdout
    );
    let missing = at_a_terminal(janus.home(), "", &["secret", "reveal", "b"]);
    assert_eq!(missing.status.code(), Some(4), "{}", missing.stdout);
    let interrupted = at_a_terminal(janus.home(), "half\u{3}", &["secret", "set", "a"]);
    assert_eq!(
        interrupted.status.code(),
        Some(130),
        "{}",
        interrupted.stdout
    );
}
