//! Callers, from peers and headers, with keys in a real store.

use std::future::Future as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, SystemTime};

use super::*;
use crate::model::{Client, Identity, Written};
use crate::store::{Kept, KeyKind, StateDirectory, Store};

const IDLE: Duration = Duration::from_hours(24);
const KEY: [u8; 32] = [7; 32];

fn id(name: &str) -> ClientId {
    ClientId::new(name).unwrap()
}

/// A configuration with these clients.
fn clients(clients: &[(&str, Option<SystemTime>)]) -> Identity {
    let client = |(name, expires): &(&str, Option<SystemTime>)| Client {
        id: id(name),
        profiles: Vec::new(),
        expires: *expires,
        url_elicitation: false,
        written: Written::nowhere(),
    };
    Identity {
        clients: Some(clients.iter().map(client).collect()),
        ..Identity::plain([])
    }
}

fn without_clients() -> Identity {
    Identity::plain([])
}

fn authn(identity: &Identity) -> Authn {
    let (store, kept) = Store::in_memory().unwrap();
    Authn::new(&KEY, store, kept.keys, identity, IDLE)
}

fn open(home: &Path, identity: &Identity) -> (Authn, Store) {
    let (store, Kept { keys, .. }) = Store::open(&StateDirectory::open(home).unwrap()).unwrap();
    (Authn::new(&KEY, store.clone(), keys, identity, IDLE), store)
}

/// A peer without a directory, as one over TCP is.
fn tcp() -> Peer {
    Peer::over(Transport::Tcp, None)
}

/// The client that this header proves now.
fn ask(authn: &Authn, key: &str) -> Result<Option<ClientId>, NotAuthenticated> {
    ask_at(authn, key, SystemTime::now())
}

fn ask_at(authn: &Authn, key: &str, now: SystemTime) -> Result<Option<ClientId>, NotAuthenticated> {
    let header = format!("Bearer {key}");
    let caller = authn.caller_at(
        &tcp(),
        Header::Once(header.as_bytes()),
        Header::Missing,
        now,
    )?;
    Ok(caller.client().cloned())
}

fn is_refused(asked: &Result<Option<ClientId>, NotAuthenticated>) -> bool {
    matches!(asked, Err(NotAuthenticated::KeyRequired))
}

#[test]
fn roots_count_only_where_no_directory_is_known() {
    let roots = |path: &str| vec![PathBuf::from(path), PathBuf::from("relative")];
    let known = Peer::from_stdio(Some("/home/ana/a".into())).caller();
    assert_eq!(known.with_roots(roots("/home/ana/b")), known);
    let unknown = Peer::from_stdio(None).caller();
    assert_eq!(unknown.with_roots(vec!["relative".into()]), unknown);
    let first = unknown.with_roots(roots("/home/ana/b"));
    let directory = first.directory().unwrap();
    assert_eq!(directory.proof(), Proof::Roots);
    assert_eq!(
        directory.paths().collect::<Vec<_>>(),
        [Path::new("/home/ana/b")]
    );
    assert_eq!(first.with_roots(roots("/home/ana/c")), first);
}

#[test]
fn a_header_is_there_once_or_does_not_count() {
    assert_eq!(Header::of([]), Header::Missing);
    assert_eq!(Header::of([&b"a"[..]]), Header::Once(b"a"));
    assert_eq!(Header::of([&b"a"[..], b"a"]), Header::Repeated);
}

#[tokio::test]
async fn without_clients_no_key_is_asked_for_and_none_counts() {
    let authn = authn(&without_clients());
    assert!(!authn.requires_key());
    let key = authn.add_key(&id("ana")).await.unwrap().into_text();
    let good = format!("Bearer {key}");
    for header in [
        Header::Missing,
        Header::Once(b"Bearer nonsense"),
        Header::Once(good.as_bytes()),
        Header::Repeated,
    ] {
        let caller = authn.caller(&tcp(), header, Header::Missing).unwrap();
        assert_eq!(caller.client(), None, "{header:?}");
    }
    authn.configure(&clients(&[("ana", None)]), IDLE);
    assert!(authn.requires_key());
    assert_eq!(ask(&authn, &key).unwrap(), Some(id("ana")));
}

#[tokio::test]
async fn whatever_is_wrong_with_a_key_the_answer_is_the_same() {
    let soon = SystemTime::now() + Duration::from_hours(1);
    let authn = authn(&clients(&[("ana", None), ("bob", Some(soon))]));
    let ana = authn.add_key(&id("ana")).await.unwrap().into_text();
    let bob = authn.add_key(&id("bob")).await.unwrap().into_text();
    let gone = authn.add_key(&id("gone")).await.unwrap().into_text();
    assert_eq!(ask(&authn, &ana).unwrap(), Some(id("ana")));
    assert_eq!(ask(&authn, &bob).unwrap(), Some(id("bob")));

    let good = format!("Bearer {ana}");
    let (gone, bobs) = (format!("Bearer {gone}"), format!("Bearer {bob}"));
    let basic = format!("Basic {ana}");
    let (short, long) = (good.as_bytes().split_last().unwrap().1, format!("{good}A"));
    let now = SystemTime::now();
    let mut texts = Vec::new();
    for (header, at) in [
        (Header::Missing, now),
        (Header::Repeated, now),
        (Header::Once(b""), now),
        (Header::Once(b"Bearer "), now),
        (Header::Once(b"Bearer janus_k_"), now),
        (Header::Once(basic.as_bytes()), now),
        (Header::Once(short), now),
        (Header::Once(long.as_bytes()), now),
        (Header::Once(gone.as_bytes()), now),
        (Header::Once(bobs.as_bytes()), soon),
    ] {
        for transport in [Transport::Tcp, Transport::Unix] {
            let peer = Peer::over(transport, None);
            let refused = authn
                .caller_at(&peer, header, Header::Missing, at)
                .unwrap_err();
            assert_eq!(refused.code(), "key_required");
            texts.push(format!("{refused} {refused:?}"));
        }
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");

    // The process that started us needs none, but a wrong one is wrong there too.
    let parent = Peer::from_stdio(None);
    let silent = authn.caller(&parent, Header::Missing, Header::Missing);
    assert_eq!(silent.unwrap().client(), None);
    let proved = authn.caller(&parent, Header::Once(good.as_bytes()), Header::Missing);
    assert_eq!(proved.unwrap().client(), Some(&id("ana")));
    let wrong = authn.caller(&parent, Header::Once(b"Bearer x"), Header::Missing);
    assert_eq!(wrong.unwrap_err().code(), "key_required");

    authn.configure(&clients(&[("bob", None)]), IDLE);
    assert!(is_refused(&ask(&authn, &ana)));
    assert_eq!(ask_at(&authn, &bob, soon).unwrap(), Some(id("bob")));
}

#[tokio::test]
async fn rotation_ends_all_keys_of_one_client_and_no_other() {
    let authn = authn(&clients(&[("ana", None), ("bob", None)]));
    let bob = authn.add_key(&id("bob")).await.unwrap().into_text();
    let first = authn.add_key(&id("ana")).await.unwrap().into_text();
    let second = authn.add_key(&id("ana")).await.unwrap().into_text();
    let connection = authn.connection_key(Some(&id("ana"))).await.unwrap();
    let connection = connection.into_text();
    let local = authn.connection_key(None).await.unwrap().into_text();
    assert_eq!(ask(&authn, &first).unwrap(), Some(id("ana")));
    assert_eq!(ask(&authn, &second).unwrap(), Some(id("ana")));
    assert_eq!(ask(&authn, &connection).unwrap(), Some(id("ana")));
    assert_eq!(ask(&authn, &local).unwrap(), None);

    let third = authn.rotate_keys(&id("ana")).await.unwrap().into_text();
    for ended in [&first, &second, &connection] {
        assert!(is_refused(&ask(&authn, ended)));
    }
    assert_eq!(ask(&authn, &third).unwrap(), Some(id("ana")));
    assert_eq!(ask(&authn, &bob).unwrap(), Some(id("bob")));
    assert_eq!(ask(&authn, &local).unwrap(), None);
    assert_eq!(authn.end_keys(&id("ana")).await.unwrap(), 1);
    assert_eq!(authn.end_keys(&id("ana")).await.unwrap(), 0);
    assert!(is_refused(&ask(&authn, &third)));
    assert_eq!(authn.keys().len(), 2);
}

#[tokio::test]
async fn keys_and_their_ends_survive_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let identity = clients(&[("ana", None), ("bob", None)]);
    let (authn, store) = open(home.path(), &identity);
    let old = authn.add_key(&id("ana")).await.unwrap().into_text();
    let new = authn.rotate_keys(&id("ana")).await.unwrap();
    let (new_id, new) = (new.id().to_owned(), new.into_text());
    let connection = authn.connection_key(Some(&id("bob"))).await.unwrap();
    let connection = connection.into_text();
    store.close().await;
    for file in std::fs::read_dir(home.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("janus_k_"), "a key lies in the directory");
    }
    drop((authn, store));

    let (authn, _store) = open(home.path(), &identity);
    assert!(is_refused(&ask(&authn, &old)));
    assert_eq!(ask(&authn, &new).unwrap(), Some(id("ana")));
    assert_eq!(ask(&authn, &connection).unwrap(), Some(id("bob")));
    let keys: Vec<_> = authn
        .keys()
        .into_iter()
        .map(|key| (key.client, key.kind))
        .collect();
    assert_eq!(
        keys,
        [
            (Some(id("ana")), KeyKind::Access),
            (Some(id("bob")), KeyKind::Connection)
        ]
    );
    assert_eq!(authn.keys()[0].id, new_id);
}

#[tokio::test]
async fn what_was_not_saved_did_not_happen() {
    let home = tempfile::tempdir().unwrap();
    let (authn, store) = open(home.path(), &clients(&[("ana", None)]));
    let key = authn.add_key(&id("ana")).await.unwrap().into_text();
    let before = authn.keys();
    store.close().await;
    authn.add_key(&id("ana")).await.unwrap_err();
    authn.rotate_keys(&id("ana")).await.unwrap_err();
    authn.end_keys(&id("ana")).await.unwrap_err();
    authn.connection_key(None).await.unwrap_err();
    assert_eq!(authn.keys(), before);
    assert_eq!(ask(&authn, &key).unwrap(), Some(id("ana")));
}

#[tokio::test]
async fn a_rotation_happens_though_whoever_asked_is_gone() {
    let authn = authn(&clients(&[("ana", None), ("bob", None)]));
    let key = authn.add_key(&id("ana")).await.unwrap().into_text();
    {
        let ana = id("ana");
        let mut rotation = pin!(authn.rotate_keys(&ana));
        let polled = rotation
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    // The next change waits for the one before.
    authn.add_key(&id("bob")).await.unwrap();
    assert!(is_refused(&ask(&authn, &key)));
    assert_eq!(authn.keys().len(), 2);
}

#[tokio::test]
async fn a_connection_key_ends_without_use_and_lives_with_it() {
    let home = tempfile::tempdir().unwrap();
    let identity = clients(&[("ana", None)]);
    let (authn, store) = open(home.path(), &identity);
    let access = authn.add_key(&id("ana")).await.unwrap().into_text();
    let local = authn.connection_key(None).await.unwrap().into_text();
    let unused = authn.connection_key(Some(&id("ana"))).await.unwrap();
    let unused = unused.into_text();
    let begin = SystemTime::now();
    let nearly = Duration::from_hours(23);
    for day in 1..4 {
        let now = begin + nearly * day;
        assert_eq!(ask_at(&authn, &local, now).unwrap(), None, "day {day}");
    }
    let now = begin + nearly * 3;
    assert!(is_refused(&ask_at(&authn, &unused, now)));
    let client = |key: KeyInfo| (key.client, key.kind);
    let live: Vec<_> = authn.keys_at(now).into_iter().map(client).collect();
    assert_eq!(
        live,
        [
            (None, KeyKind::Connection),
            (Some(id("ana")), KeyKind::Access)
        ]
    );
    // A key of a client does not end by itself.
    let late = begin + IDLE * 400;
    assert!(is_refused(&ask_at(&authn, &local, late)));
    assert_eq!(ask_at(&authn, &access, late).unwrap(), Some(id("ana")));

    // After a shorter limit the next one clears away what ended.
    authn.configure(&identity, Duration::ZERO);
    authn.connection_key(None).await.unwrap();
    store.close().await;
    drop((authn, store));
    let (_, kept) = Store::open(&StateDirectory::open(home.path()).unwrap()).unwrap();
    assert_eq!(kept.keys.len(), 3, "{:?}", kept.keys);
}

#[tokio::test]
async fn the_last_use_is_told_to_the_store_once_a_minute() {
    let home = tempfile::tempdir().unwrap();
    let identity = clients(&[("ana", None)]);
    let begin = SystemTime::now();
    let at = |seconds| begin + Duration::from_secs(seconds);
    for (uses, noted) in [(&[1, 2, 59][..], 1), (&[50, 70, 131, 140][..], 131)] {
        let (authn, store) = open(home.path(), &identity);
        let key = authn.rotate_keys(&id("ana")).await.unwrap().into_text();
        for seconds in uses {
            ask_at(&authn, &key, at(*seconds)).unwrap();
        }
        let last = *uses.last().unwrap();
        assert_eq!(authn.keys()[0].used, Some(at(last)));
        store.close().await;
        drop((authn, store));
        let (_, kept) = Store::open(&StateDirectory::open(home.path()).unwrap()).unwrap();
        assert_eq!(kept.keys[0].used, Some(at(noted)));
    }
}

#[test]
fn the_peers_own_directory_is_stronger_than_a_signed_one() {
    let authn = authn(&without_clients());
    let signed = authn.sign(Path::new("/home/ana/signed"));
    let signed = Header::Once(signed.as_bytes());
    let own = Directory::one("/home/ana/own".into(), Proof::Peer);
    let unix = Peer::over(Transport::Unix, Some(own.clone()));
    let caller = |peer: &Peer, header| authn.caller(peer, Header::Missing, header);

    assert_eq!(caller(&unix, signed).unwrap().directory(), Some(&own));
    assert_eq!(
        caller(&tcp(), signed).unwrap().directory(),
        Some(&Directory::one("/home/ana/signed".into(), Proof::Signed))
    );
    assert_eq!(caller(&tcp(), Header::Missing).unwrap().directory(), None);
    for forged in [
        Header::Once(b"required"),
        Header::Once(b"/home/ana/own"),
        Header::Repeated,
    ] {
        for peer in [&unix, &tcp()] {
            let refused = caller(peer, forged).unwrap_err();
            assert_eq!(refused.code(), "profile_refused", "{forged:?}");
        }
    }
}

#[tokio::test]
async fn a_key_is_asked_for_before_a_directory_is_looked_at() {
    let authn = authn(&clients(&[("ana", None)]));
    let refused = authn.caller(&tcp(), Header::Missing, Header::Once(b"required"));
    assert_eq!(refused.unwrap_err().code(), "key_required");
}
