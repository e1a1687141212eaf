//! The store from outside: what is acknowledged stays, what is not leaves nothing, and what is odd is said.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use super::*;
use crate::model::{AccountId, AccountName, ClientId, ProfileName, ServerName};

fn directory(path: &Path) -> StateDirectory {
    StateDirectory::open(path).unwrap()
}

/// Closes the store and reads again what is there.
async fn reopened(store: Store, directory: &StateDirectory) -> (Store, Kept) {
    store.close().await;
    Store::open(directory).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(seconds, 123_456_789)
}

fn client(name: &str) -> ClientId {
    ClientId::new(name).unwrap()
}

fn github() -> AccountId {
    AccountId::new(
        ServerName::new("github").unwrap(),
        AccountName::new("client_a").unwrap(),
    )
}

fn session(id: &str) -> SessionRecord {
    SessionRecord {
        id: id.into(),
        client: Some(client("claude-code")),
        facts: r#"{"a":1}"#.to_owned(),
        opened: at(10),
        used: at(20),
    }
}

fn key(number: u8, owner: &str) -> KeyRecord {
    KeyRecord {
        hash: [number; 32],
        id: format!("k{number}"),
        client: Some(client(owner)),
        kind: KeyKind::Access,
        made: at(u64::from(number)),
        used: None,
    }
}

fn chosen(holder: Holder, account: &str) -> Change {
    Change::Chosen {
        holder,
        profile: ProfileName::new("work").unwrap(),
        server: ServerName::new("github").unwrap(),
        account: AccountName::new(account).unwrap(),
    }
}

fn unchosen(holder: Holder) -> Change {
    Change::Unchosen {
        holder,
        profile: ProfileName::new("work").unwrap(),
        server: ServerName::new("github").unwrap(),
    }
}

fn accounts(kept: &Kept) -> Vec<(Holder, String)> {
    let choice = |choice: &ChoiceRecord| (choice.holder.clone(), choice.account.to_string());
    kept.choices.iter().map(choice).collect()
}

fn hashes(kept: &Kept) -> Vec<u8> {
    kept.keys.iter().map(|key| key.hash[0]).collect()
}

async fn write_all(store: &Store, changes: impl IntoIterator<Item = Change>) {
    for change in changes {
        store.write(change).await.unwrap();
    }
}

fn listing() -> ListingRecord {
    ListingRecord {
        account: github(),
        fingerprint: [1; 32],
        facts: r#"{"tools":[{"n":1.0e0}]}"#.to_owned(),
    }
}

fn legacy() -> EraRecord {
    EraRecord {
        account: github(),
        fingerprint: [2; 32],
        era: StoredEra::Legacy,
        since: at(30),
    }
}

/// Two sessions, one of them nobody's; three choices; two keys; a listing and an era.
async fn filled(state: &StateDirectory) -> Store {
    let (store, kept) = Store::open(state).unwrap();
    assert_eq!(kept, Kept::default());
    let changes = [
        Change::SessionOpened(session("a")),
        Change::SessionOpened(SessionRecord {
            client: None,
            ..session("b")
        }),
        chosen(Holder::Session("a".into()), "one"),
        chosen(Holder::Client(client("claude-code")), "two"),
        chosen(Holder::Everybody, "three"),
        Change::KeyMade(key(1, "claude-code")),
        Change::KeyMade(KeyRecord {
            kind: KeyKind::Connection,
            client: None,
            used: Some(at(9)),
            ..key(2, "x")
        }),
        Change::Listed(listing()),
        Change::EraFound(legacy()),
    ];
    write_all(&store, changes).await;
    store
}

#[tokio::test]
async fn everything_comes_back_as_it_was_said() {
    let home = tempfile::tempdir().unwrap();
    let state = directory(home.path());
    let (_, kept) = reopened(filled(&state).await, &state).await;
    assert_eq!(kept.sessions.len(), 2);
    assert_eq!(kept.sessions[0], session("a"));
    assert_eq!(kept.sessions[1].client, None);
    let three = [
        (Holder::Everybody, "three".to_owned()),
        (Holder::Client(client("claude-code")), "two".to_owned()),
        (Holder::Session("a".into()), "one".to_owned()),
    ];
    assert_eq!(accounts(&kept), three);
    assert_eq!(kept.keys[0], key(1, "claude-code"));
    let second = &kept.keys[1];
    assert_eq!(
        (second.kind, second.used),
        (KeyKind::Connection, Some(at(9)))
    );
    assert_eq!(
        (kept.listings, kept.eras),
        (vec![listing()], vec![legacy()])
    );
}

#[tokio::test]
async fn what_is_said_anew_replaces_what_was_said_before() {
    let home = tempfile::tempdir().unwrap();
    let state = directory(home.path());
    let store = filled(&state).await;
    let newer = ListingRecord {
        facts: "{}".to_owned(),
        ..listing()
    };
    let modern = EraRecord {
        era: StoredEra::Modern,
        ..legacy()
    };
    let changes = [
        // A session that is told anew keeps its choices.
        Change::SessionOpened(SessionRecord {
            used: at(40),
            ..session("a")
        }),
        Change::SessionFacts {
            id: "b".into(),
            facts: "[]".to_owned(),
        },
        // Notes may overtake each other.
        Change::SessionsUsed(vec![("a".into(), at(35)), ("b".into(), at(50))]),
        Change::KeysUsed(vec![([1; 32], at(60)), ([2; 32], at(3))]),
        chosen(Holder::Client(client("claude-code")), "four"),
        unchosen(Holder::Everybody),
        Change::Listed(newer.clone()),
        Change::EraFound(modern.clone()),
    ];
    write_all(&store, changes).await;
    let (_, kept) = reopened(store, &state).await;
    let used: Vec<_> = kept.sessions.iter().map(|session| session.used).collect();
    assert_eq!(used, [at(40), at(50)]);
    assert_eq!(kept.sessions[1].facts, "[]");
    let two = [
        (Holder::Client(client("claude-code")), "four".to_owned()),
        (Holder::Session("a".into()), "one".to_owned()),
    ];
    assert_eq!(accounts(&kept), two);
    let used: Vec<_> = kept.keys.iter().map(|key| key.used).collect();
    assert_eq!(used, [Some(at(60)), Some(at(9))]);
    assert_eq!((kept.listings, kept.eras), (vec![newer], vec![modern]));
}

#[tokio::test]
async fn what_ends_is_gone_with_what_hung_on_it() {
    let home = tempfile::tempdir().unwrap();
    let state = directory(home.path());
    let store = filled(&state).await;
    let changes = [
        Change::SessionEnded("a".into()),
        Change::KeyEnded { hash: [2; 32] },
        Change::EraForgotten(github()),
    ];
    write_all(&store, changes).await;
    let (store, kept) = reopened(store, &state).await;
    assert_eq!(kept.sessions.len(), 1);
    let holders: Vec<_> = kept.choices.iter().map(|choice| &choice.holder).collect();
    let mine = Holder::Client(client("claude-code"));
    assert_eq!(holders, [&Holder::Everybody, &mine]);
    assert_eq!(hashes(&kept), [1]);
    assert_eq!((kept.listings.len(), kept.eras.len()), (1, 0));
    let changes = [Change::EraFound(legacy()), Change::AccountGone(github())];
    write_all(&store, changes).await;
    let (_, kept) = reopened(store, &state).await;
    assert_eq!((kept.listings, kept.eras), (vec![], vec![]));
}

#[tokio::test]
async fn a_new_key_ends_all_others_of_its_client_or_none() {
    let home = tempfile::tempdir().unwrap();
    let state = directory(home.path());
    let (store, _) = Store::open(&state).unwrap();
    let changes = [
        Change::KeyMade(key(1, "a")),
        Change::KeyMade(key(2, "a")),
        Change::KeyMade(key(3, "b")),
    ];
    write_all(&store, changes).await;
    // The digest is another client's: nothing ends.
    let replace = |key| Change::KeysReplaced {
        client: client("a"),
        key,
    };
    let refused = store.write(replace(key(3, "a"))).await;
    assert_eq!(refused, Err(NotSaved::Contradiction));
    let (store, kept) = reopened(store, &state).await;
    assert_eq!(hashes(&kept), [1, 2, 3]);
    write_all(&store, [replace(key(4, "a"))]).await;
    let (store, kept) = reopened(store, &state).await;
    assert_eq!(hashes(&kept), [3, 4]);
    let client = client("b");
    write_all(&store, [Change::KeysEnded { client }]).await;
    let (_, kept) = reopened(store, &state).await;
    assert_eq!(hashes(&kept), [4]);
}

#[tokio::test]
async fn what_contradicts_fails_alone_in_its_group() {
    let home = tempfile::tempdir().unwrap();
    let state = directory(home.path());
    let (store, _) = Store::open(&state).unwrap();
    let gone = Holder::Session("gone".into());
    // Polled together, so that they share a commit.
    let (one, two, three) = tokio::join!(
        store.write(Change::SessionOpened(session("a"))),
        store.write(chosen(gone, "one")),
        store.write(chosen(Holder::Session("a".into()), "two")),
    );
    assert_eq!((one, three), (Ok(()), Ok(())));
    assert_eq!(two, Err(NotSaved::Contradiction));
    let (_, kept) = reopened(store, &state).await;
    let mine = (Holder::Session("a".into()), "two".to_owned());
    assert_eq!(accounts(&kept), [mine]);
}

/// A store over a connection that refuses in a way of its own.
fn spoilt(path: &Path, how: &str) -> Store {
    let database = Connection::open(path).unwrap();
    database.pragma_update(None, "foreign_keys", true).unwrap();
    database.execute_batch(how).unwrap();
    let opened = Store::over((database, path.to_owned()));
    opened.unwrap().0
}

#[tokio::test]
async fn a_full_disk_is_said_and_leaves_nothing_half() {
    let home = tempfile::tempdir().unwrap();
    let state = directory(home.path());
    let path = home.path().join("janus.db");
    let (store, _) = Store::open(&state).unwrap();
    let changes = [Change::KeyMade(key(1, "a")), Change::KeyMade(key(2, "a"))];
    write_all(&store, changes).await;
    store.close().await;

    // SQLite's own limit gives its own error; the file may not grow beyond the pages it has.
    let full = spoilt(&path, "PRAGMA max_page_count = 1");
    let large = KeyRecord {
        id: "x".repeat(1_000_000),
        ..key(3, "a")
    };
    let replace = Change::KeysReplaced {
        client: client("a"),
        key: large,
    };
    let (small, large) = tokio::join!(
        full.write(Change::KeyMade(key(9, "b"))),
        full.write(replace),
    );
    let error = large.unwrap_err();
    let shown = path.display();
    assert_eq!(
        error.to_string(),
        format!("nothing can be saved: the disk of `{shown}` is full")
    );
    // Whether the small one shared the commit or went before it, it was told the truth.
    full.close().await;
    let (store, kept) = Store::open(&state).unwrap();
    let expected: &[u8] = if small.is_ok() { &[1, 2, 9] } else { &[1, 2] };
    assert_eq!(hashes(&kept), expected);
    write_all(&store, [Change::KeyMade(key(4, "b"))]).await;
}

#[tokio::test]
async fn a_database_that_may_not_be_written_is_said_to_everybody() {
    let home = tempfile::tempdir().unwrap();
    let state = directory(home.path());
    let path = home.path().join("janus.db");
    Store::open(&state).unwrap().0.close().await;
    let store = spoilt(&path, "PRAGMA query_only = ON");
    let (one, two) = tokio::join!(
        store.write(Change::SessionOpened(session("a"))),
        store.write(Change::SessionOpened(session("b"))),
    );
    assert!(matches!(one, Err(NotSaved::ReadOnly(_))), "{one:?}");
    assert_eq!(two, one);
    // A new start would not help.
    assert_eq!(store.turn().await, Turn::Done);
    store.note(Change::SessionOpened(session("c")));
    let (_, kept) = reopened(store, &state).await;
    assert_eq!(kept.sessions, []);
}

#[tokio::test]
async fn closing_saves_what_waits_and_refuses_the_rest() {
    let home = tempfile::tempdir().unwrap();
    let state = directory(home.path());
    let (store, _) = Store::open(&state).unwrap();
    for number in 0..100 {
        store.note(Change::SessionOpened(session(&format!("{number:03}"))));
    }
    tokio::join!(store.close(), store.close());
    let late = store.write(Change::SessionOpened(session("late"))).await;
    assert_eq!(late, Err(NotSaved::Stopping));
    store.note(Change::SessionOpened(session("later")));
    let (_, kept) = Store::open(&state).unwrap();
    assert_eq!(kept.sessions.len(), 100);
    assert_eq!(&*kept.sessions[99].id, "099");
}

#[tokio::test]
async fn the_files_are_ours_alone() {
    let home = tempfile::tempdir().unwrap();
    let state = directory(home.path());
    let (store, _) = Store::open(&state).unwrap();
    write_all(&store, [Change::SessionOpened(session("a"))]).await;
    let path = home.path().join("janus.db");
    for name in ["janus.db", "janus.db-wal", "janus.db-shm"] {
        let metadata = fs::metadata(home.path().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
    store.close().await;
    // What is closed in order is one file.
    assert!(!home.path().join("janus.db-wal").exists());

    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(Store::open(&state), Err(Unusable::NotOurs { .. })));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let elsewhere = home.path().join("elsewhere");
    symlink(&elsewhere, home.path().join("janus.db-wal")).unwrap();
    let text = Store::open(&state).unwrap_err().to_string();
    assert!(text.ends_with("janus.db-wal` is a symbolic link"), "{text}");
    fs::remove_file(home.path().join("janus.db-wal")).unwrap();
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    let text = Store::open(&state).unwrap_err().to_string();
    assert!(text.ends_with("janus.db` is a symbolic link"), "{text}");
}

#[tokio::test]
async fn a_directory_behind_a_link_is_as_good() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("real")).unwrap();
    symlink(home.path().join("real"), home.path().join("link")).unwrap();
    let state = directory(&home.path().join("link/janus"));
    let (store, _) = Store::open(&state).unwrap();
    write_all(&store, [Change::SessionOpened(session("a"))]).await;
    let (_, kept) = reopened(store, &state).await;
    assert_eq!(kept.sessions.len(), 1);
}

#[tokio::test]
async fn the_log_of_a_database_that_is_gone_is_not_taken_for_its_own() {
    let home = tempfile::tempdir().unwrap();
    let (first, second) = (home.path().join("one"), home.path().join("two"));
    let state = directory(&first);
    let (store, _) = Store::open(&state).unwrap();
    write_all(&store, [Change::SessionOpened(session("a"))]).await;
    let new = directory(&second);
    // As a crash and `rm janus.db` leave it.
    fs::copy(first.join("janus.db-wal"), second.join("janus.db-wal")).unwrap();
    let (new_store, kept) = Store::open(&new).unwrap();
    assert_eq!(kept, Kept::default());
    new_store.close().await;
    // With its database, the log counts.
    let third = directory(&home.path().join("three"));
    for name in ["janus.db", "janus.db-wal"] {
        fs::copy(first.join(name), third.path().join(name)).unwrap();
    }
    let (_, kept) = Store::open(&third).unwrap();
    assert_eq!(kept.sessions, [session("a")]);
}

#[tokio::test]
async fn a_damaged_newer_or_foreign_database_is_named_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let state = directory(home.path());
    let path = home.path().join("janus.db");
    let (store, _) = Store::open(&state).unwrap();
    for number in 0..200 {
        store.note(Change::SessionOpened(session(&format!("{number}"))));
    }
    store.close().await;
    let whole = fs::read(&path).unwrap();
    let shown = path.display().to_string();

    let mut holed = whole.clone();
    holed[8192..12288].fill(0xAA);
    let garbage = b"no database at all, but long enough to be looked at".repeat(100);
    for bytes in [holed, garbage] {
        fs::write(&path, &bytes).unwrap();
        let error = Store::open(&state).unwrap_err();
        assert!(matches!(error, Unusable::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains(&shown), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }

    fs::write(&path, &whole).unwrap();
    let change = |sql: &str| {
        let database = Connection::open(&path).unwrap();
        database.execute_batch(sql).unwrap();
    };
    change("PRAGMA user_version = 99");
    let error = Store::open(&state).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`{shown}` was written by a later Janus (format 99; this one knows 4)")
    );
    change("PRAGMA user_version = 1; PRAGMA application_id = 7");
    let error = Store::open(&state).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`{shown}` is the database of another program")
    );
    fs::write(&path, &whole).unwrap();
    let (_, kept) = Store::open(&state).unwrap();
    assert_eq!(kept.sessions.len(), 200);
}

#[tokio::test]
async fn a_row_that_makes_no_sense_costs_only_itself() {
    let home = tempfile::tempdir().unwrap();
    let state = directory(home.path());
    let (store, _) = Store::open(&state).unwrap();
    let changes = [
        Change::SessionOpened(session("a")),
        Change::KeyMade(key(1, "a")),
        chosen(Holder::Everybody, "one"),
    ];
    write_all(&store, changes).await;
    store.close().await;
    let database = Connection::open(home.path().join("janus.db")).unwrap();
    let rows = "
        INSERT INTO session VALUES ('b', 'Not A Name', '{}', 1, 1);
        INSERT INTO access_key VALUES (randomblob(32), 'k', NULL, 'later kind', 1, NULL);
        INSERT INTO choice VALUES (NULL, NULL, 'work', 'a__b', 'one');
        INSERT INTO listing VALUES ('s', 'a', x'00', '{}');
        INSERT INTO era VALUES ('s', 'a', zeroblob(32), 'other', 1);
    ";
    database.execute_batch(rows).unwrap();
    drop(database);
    let (_, kept) = Store::open(&state).unwrap();
    assert_eq!(kept.sessions, [session("a")]);
    assert_eq!(hashes(&kept), [1]);
    assert_eq!(kept.choices.len(), 1);
    assert_eq!((kept.listings, kept.eras), (vec![], vec![]));
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    const ENOUGH: usize = 40;
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("store::tests::writes_until_it_is_killed")
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged: Vec<String> = Vec::new();
    // After the kill, the pipe still holds what was acknowledged in between.
    for line in said.map_while(Result::ok) {
        if let Some(id) = line.strip_prefix("saved ") {
            acknowledged.push(id.to_owned());
            if acknowledged.len() == ENOUGH {
                child.kill().unwrap();
            }
        }
    }
    assert!(!child.wait().unwrap().success());
    assert!(acknowledged.len() >= ENOUGH);
    let (_, kept) = Store::open(&directory(home.path())).unwrap();
    let there: Vec<&str> = kept.sessions.iter().map(|session| &*session.id).collect();
    for id in &acknowledged {
        assert!(there.contains(&id.as_str()), "{id} is lost");
    }
    // A session and its choice are one after the other: a choice without its session is half a change.
    assert!(kept.choices.len() <= kept.sessions.len());
}

#[tokio::test]
#[ignore = "the process that the test before kills; its state directory is the working directory"]
async fn writes_until_it_is_killed() {
    let here = PathBuf::from(".");
    let (store, _) = Store::open(&directory(&here)).unwrap();
    let (lines, said) = std::sync::mpsc::channel::<String>();
    let printer = std::thread::spawn(move || {
        let mut out = std::io::stdout();
        for line in said {
            if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
                return;
            }
        }
    });
    let mut writers = tokio::task::JoinSet::new();
    // Several at once, so that commits are groups. Bounded, so that an orphan ends.
    for writer in 0..4 {
        let (store, lines) = (store.clone(), lines.clone());
        writers.spawn(async move {
            for number in 0..5000 {
                let id: Arc<str> = format!("{writer}-{number}").into();
                let saved = store.write(Change::SessionOpened(session(&id))).await;
                assert_eq!(saved, Ok(()));
                let chosen = chosen(Holder::Session(Arc::clone(&id)), "one");
                assert_eq!(store.write(chosen).await, Ok(()));
                if lines.send(format!("saved {id}")).is_err() {
                    return;
                }
            }
        });
    }
    drop(lines);
    while writers.join_next().await.is_some() {}
    printer.join().unwrap();
}

fn grant(generation: u64) -> GrantRecord {
    GrantRecord {
        account: github(),
        issuer: "https://as.example".to_owned(),
        registration: Some("r".into()),
        generation,
        facts: "{}".to_owned(),
        access_token: Some(vec![1]),
        refresh_token: Some(vec![2]),
    }
}

fn intent() -> IntentRecord {
    IntentRecord {
        account: github(),
        generation: 1,
        attempt: 2,
        token_hash: [3; 32],
        began: at(5),
    }
}

#[tokio::test]
async fn a_grant_is_changed_only_by_who_names_the_generation_that_is_there() {
    let home = tempfile::tempdir().unwrap();
    let state = directory(home.path());
    let (store, _) = Store::open(&state).unwrap();
    let registration = RegistrationRecord {
        id: "r".into(),
        issuer: "https://as.example".to_owned(),
        server: ServerName::new("github").unwrap(),
        account: None,
        generation: 1,
        facts: "{}".to_owned(),
        client_id: vec![7],
        client_secret: Some(vec![8]),
        registration_access_token: Some(vec![9]),
    };
    let changes = [
        Change::RegistrationKept(registration.clone()),
        Change::GrantBegun(grant(1)),
        Change::RefreshIntended(intent()),
    ];
    write_all(&store, changes).await;
    let (store, kept) = reopened(store, &state).await;
    assert_eq!(kept.registrations, [registration]);
    assert_eq!(
        (kept.grants, kept.intents),
        (vec![grant(1)], vec![intent()])
    );

    let changed = |was, grant| Change::GrantChanged { was, grant };
    let refused = store.write(changed(2, grant(3))).await;
    assert_eq!(refused, Err(NotSaved::Contradiction));
    let (store, kept) = reopened(store, &state).await;
    // Nothing of it happened, the end of the renewal included.
    assert_eq!(
        (kept.grants, kept.intents),
        (vec![grant(1)], vec![intent()])
    );
    store.write(changed(1, grant(2))).await.unwrap();
    let (store, kept) = reopened(store, &state).await;
    assert_eq!((kept.grants, kept.intents.len()), (vec![grant(2)], 0));

    let changes = [
        Change::RefreshIntended(intent()),
        Change::GrantEnded(github()),
        Change::RegistrationsGone(vec!["r".into()]),
    ];
    write_all(&store, changes).await;
    let gone = store.write(changed(2, grant(3))).await;
    assert_eq!(gone, Err(NotSaved::Contradiction));
    let (_, kept) = reopened(store, &state).await;
    assert_eq!(kept, Kept::default());
}
