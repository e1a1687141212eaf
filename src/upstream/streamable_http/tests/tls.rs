//! TLS with an authority of one's own, and the proxy before it.

use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};

use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::model::Secret;
use crate::protocol::Era;
use crate::upstream::tests::scripted::{Server, serve};

const RESULT: &str = r#"{"jsonrpc":"2.0","id":9,"result":{}}"#;

static AUTHORITIES: AtomicU32 = AtomicU32::new(0);

/// A server for `localhost` with a certificate of an authority made here, which is written to a file.
async fn secure(protocols: &[&str]) -> (Server, tempfile::NamedTempFile) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    // Two authorities of the same name would be taken for each other until their signatures differ.
    let name = format!("authority {}", AUTHORITIES.fetch_add(1, Ordering::Relaxed));
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(authority.pem().as_bytes()).unwrap();

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(leaf.der().to_vec())],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, arrivals) = mpsc::channel(64);
    let tasks = TaskTracker::new();
    let connections = tasks.clone();
    tasks.spawn(async move {
        let mut number = 0;
        while let Ok((socket, _)) = listener.accept().await {
            number += 1;
            let (acceptor, sender) = (acceptor.clone(), sender.clone());
            connections.spawn(async move {
                // A client that does not trust us hangs up.
                if let Ok(stream) = acceptor.accept(socket).await {
                    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    serve(TokioIo::new(stream), number, h2, sender).await;
                }
            });
        }
    });
    let url = format!("https://localhost:{port}/mcp");
    (Server::of(url, arrivals, tasks), file)
}

/// A proxy that tells each CONNECT it gets, head and all, and connects it.
async fn proxy() -> (String, mpsc::Receiver<String>, TaskTracker) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, seen) = mpsc::channel(8);
    let tasks = TaskTracker::new();
    let tunnels = tasks.clone();
    tasks.spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let sender = sender.clone();
            tunnels.spawn(async move {
                let mut socket = BufReader::new(socket);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    socket.read_line(&mut head).await.unwrap();
                }
                let target = head.split(' ').nth(1).unwrap().to_owned();
                let mut server = TcpStream::connect(target).await.unwrap();
                sender.send(head).await.unwrap();
                socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                drop(tokio::io::copy_bidirectional(&mut socket, &mut server).await);
            });
        }
    });
    (address.to_string(), seen, tasks)
}

async fn answered(rig: &Rig, server: &mut Server) -> ::http::Version {
    let outgoing = call("tools/call");
    let (answer, version) = tokio::join!(
        rig.leg.exchange(&outgoing, None, Era::Modern, &rig.events),
        async {
            let arrival = server.next().await;
            assert_eq!(arrival.header("authorization"), Some("Bearer canary"));
            let version = arrival.head.version;
            arrival.json(RESULT);
            version
        }
    );
    answer.unwrap();
    version
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_and_the_server_chooses_the_protocol() {
    for (protocols, version) in [
        (&["h2", "http/1.1"][..], ::http::Version::HTTP_2),
        (&["http/1.1"], ::http::Version::HTTP_11),
    ] {
        let (mut server, ca) = secure(protocols).await;
        let mut endpoint = endpoint(&server.url);
        endpoint.ca = Some(ca.path().to_owned());
        let rig = rig_of(endpoint, &ProxySettings::default(), LONG).unwrap();
        assert_eq!(answered(&rig, &mut server).await, version);
    }
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_named_as_the_reason() {
    let (server, _ca) = secure(&["h2"]).await;
    let (_other, unrelated) = secure(&["h2"]).await;
    let mut endpoint = endpoint(&server.url);
    endpoint.ca = Some(unrelated.path().to_owned());
    let rig = rig_of(endpoint, &ProxySettings::default(), LONG).unwrap();
    let outgoing = call("tools/call");
    let failed = failure(
        rig.leg
            .exchange(&outgoing, None, Era::Modern, &rig.events)
            .await,
    );
    assert!(matches!(failed, Failure::Unreachable { .. }));
    let said = failed.to_string();
    assert!(said.contains("certificate is not accepted"), "{said}");
    assert!(said.contains("tls.ca"), "{said}");
}

#[tokio::test]
async fn a_file_that_holds_no_certificate_is_named() {
    let mut empty = tempfile::NamedTempFile::new().unwrap();
    empty.write_all(b"nothing\n").unwrap();
    let missing = std::path::PathBuf::from("/nonexistent/ca.pem");
    for (path, why) in [
        (empty.path().to_owned(), "no certificate"),
        (missing, "No such file"),
    ] {
        let mut endpoint = endpoint("https://localhost/mcp");
        endpoint.ca = Some(path.clone());
        let failed = rig_of(endpoint, &ProxySettings::default(), LONG)
            .err()
            .unwrap();
        let said = failed.to_string();
        assert!(said.contains(&path.display().to_string()), "{said}");
        assert!(said.contains(why), "{said}");
    }
}

#[tokio::test]
async fn a_proxy_is_used_for_https_and_only_where_it_should_be() {
    let (mut server, ca) = secure(&["h2"]).await;
    let (address, mut seen, _tunnels) = proxy().await;
    let settings = |no: Option<&str>| ProxySettings {
        https: Some(Arc::new(Secret::new(format!(
            "http://user:p%40ss@{address}"
        )))),
        no_proxy: no.map(str::to_owned),
    };
    let secured = |url: &str| {
        let mut endpoint = endpoint(url);
        endpoint.ca = Some(ca.path().to_owned());
        endpoint
    };

    let through = rig_of(secured(&server.url), &settings(None), LONG).unwrap();
    assert_eq!(
        answered(&through, &mut server).await,
        ::http::Version::HTTP_2
    );
    let head = seen.recv().await.unwrap();
    let port = server.url.split([':', '/']).nth(4).unwrap();
    assert!(
        head.starts_with(&format!("CONNECT localhost:{port} ")),
        "{head}"
    );
    assert!(
        head.contains("Proxy-Authorization: Basic dXNlcjpwQHNz"),
        "{head}"
    );
    assert!(!head.contains("canary"), "{head}");

    let around = rig_of(
        secured(&server.url),
        &settings(Some("example.com,localhost")),
        LONG,
    );
    answered(&around.unwrap(), &mut server).await;
    let mut plain = Server::start().await;
    let rig = rig_of(endpoint(&plain.url), &settings(None), LONG).unwrap();
    answered(&rig, &mut plain).await;
    assert!(seen.try_recv().is_err());
}

#[test]
fn a_proxy_that_cannot_be_used_is_never_gone_around() {
    for address in ["not a url", "ftp://proxy", "socks5://user:secret@proxy"] {
        let settings = ProxySettings {
            https: Some(Arc::new(Secret::new(address))),
            no_proxy: None,
        };
        let failed = rig_of(endpoint("https://localhost/mcp"), &settings, LONG)
            .err()
            .unwrap();
        let said = failed.to_string();
        assert!(
            said.contains("HTTPS_PROXY") && !said.contains("secret"),
            "{said}"
        );
    }
}
