//! How a client proves itself, as the token endpoint sees it.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Request;
use serde_json::Value;

use crate::credential::oauth::client_authentication::{Form, NoProof, method_of, other};
use crate::credential::oauth::granted::{Registration, RegistrationKind};
use crate::model::{
    ClientAuthentication, PreRegistered, Reference, Secret, ServerName, SigningAlgorithm,
    SigningKey,
};

const NOW: u64 = 1_795_694_400;

fn client(id: &str, secret: Option<&str>, algorithm: Option<SigningAlgorithm>) -> Registration {
    Registration {
        id: "r".into(),
        issuer: "https://as.example/tenant".to_owned(),
        server: ServerName::new("s").unwrap(),
        account: None,
        kind: RegistrationKind::Dynamic,
        client_id: id.to_owned(),
        client_secret: secret.map(|secret| Arc::new(Secret::new(secret))),
        signing_key: algorithm.map(|algorithm| SigningKey {
            key: Reference::File("/nowhere".into()),
            id: Some("k1".to_owned()),
            algorithm,
        }),
        method: ClientAuthentication::None,
        secret_expires: None,
        managed: None,
        redirect_uri: String::new(),
        created: SystemTime::UNIX_EPOCH,
    }
}

fn sent(
    client: &Registration,
    method: ClientAuthentication,
    key: Option<&Secret>,
) -> Result<Request<Vec<u8>>, NoProof> {
    let token = Secret::new("r&=+ä");
    let form = Form::new("refresh_token").with_secret("refresh_token", &token);
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    form.proven("https://as.example/token", (client, method), key, wall)
}

fn fields(request: &Request<Vec<u8>>) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(request.body())
        .into_owned()
        .collect()
}

#[test]
fn each_method_sends_one_proof() {
    let client = client("an id:", Some("s %&+ä"), None);
    let none = sent(&client, ClientAuthentication::None, None).unwrap();
    let names = |request| fields(request).into_keys().collect::<Vec<_>>().join(" ");
    assert_eq!(names(&none), "client_id grant_type refresh_token");
    assert_eq!(fields(&none)["refresh_token"], "r&=+ä");
    assert!(!none.headers().contains_key("authorization"));

    let post = sent(&client, ClientAuthentication::SecretPost, None).unwrap();
    assert_eq!(
        names(&post),
        "client_id client_secret grant_type refresh_token"
    );
    assert_eq!(fields(&post)["client_secret"], "s %&+ä");
    assert!(!post.headers().contains_key("authorization"));

    let basic = sent(&client, ClientAuthentication::SecretBasic, None).unwrap();
    assert_eq!(names(&basic), "grant_type refresh_token");
    let value = &basic.headers()["authorization"];
    assert!(value.is_sensitive());
    let encoded = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
    let pair = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
    // Both are encoded as in a form, so that a colon in the id separates nothing.
    assert_eq!(pair, "an+id%3A:s+%25%26%2B%C3%A4");
}

#[test]
fn what_is_missing_is_named() {
    let client = client("id", None, None);
    let why = |method| sent(&client, method, None).unwrap_err().to_string();
    assert_eq!(
        why(ClientAuthentication::SecretBasic),
        "`client_secret_basic` needs a client secret, and there is none"
    );
    assert_eq!(
        why(ClientAuthentication::PrivateKeyJwt),
        "`private_key_jwt` needs `private_key`, and there is none"
    );
}

#[test]
fn the_method_is_the_configured_one_then_what_the_server_lists() {
    use ClientAuthentication::{None as Public, PrivateKeyJwt, SecretBasic, SecretPost};
    let secret = Reference::File("/s".into());
    let key = SigningKey {
        key: secret,
        id: None,
        algorithm: SigningAlgorithm::Es256,
    };
    let with = |secret: bool, signs: bool| PreRegistered {
        id: "i".to_owned(),
        secret: secret.then(|| Reference::File("/s".into())),
        key: signs.then(|| key.clone()),
    };
    for (client, configured, offered, expected) in [
        (
            with(true, false),
            Some(SecretPost),
            &[SecretBasic][..],
            SecretPost,
        ),
        (with(true, false), None, &[], SecretBasic),
        (
            with(true, false),
            None,
            &[SecretPost, SecretBasic],
            SecretPost,
        ),
        (with(true, false), None, &[Public, SecretPost], SecretPost),
        (
            with(true, false),
            None,
            &[PrivateKeyJwt, Public],
            SecretBasic,
        ),
        (with(false, true), None, &[SecretBasic], PrivateKeyJwt),
        (with(false, false), None, &[SecretBasic], Public),
    ] {
        assert_eq!(
            method_of(&client, configured, offered),
            expected,
            "{offered:?}"
        );
    }
    assert_eq!(other(SecretBasic), Some(SecretPost));
    assert_eq!(other(SecretPost), Some(SecretBasic));
    assert_eq!((other(Public), other(PrivateKeyJwt)), (None, None));
}

/// Runs `openssl`, which every machine with a build of this has.
fn openssl(arguments: &[&str], directory: &std::path::Path) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {said}");
    output.stdout
}

/// The two numbers as OpenSSL wants them: a sequence.
fn sequence(fixed: &[u8]) -> Vec<u8> {
    let mut both = Vec::new();
    for half in fixed.chunks(fixed.len() / 2) {
        let first = half.iter().position(|byte| *byte != 0).unwrap();
        let mut number = half[first..].to_vec();
        if number[0] & 0x80 != 0 {
            number.insert(0, 0);
        }
        both.extend([0x02, u8::try_from(number.len()).unwrap()]);
        both.extend(number);
    }
    let mut whole = vec![0x30, u8::try_from(both.len()).unwrap()];
    whole.extend(both);
    whole
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "a table of keys, and how each is made"
)]
fn an_assertion_is_signed_by_every_algorithm_and_in_every_form_of_key() {
    let home = tempfile::tempdir().unwrap();
    let at = home.path();
    openssl(&["genrsa", "-out", "rsa.pem", "2048"], at);
    openssl(
        &["rsa", "-in", "rsa.pem", "-traditional", "-out", "rsa1.pem"],
        at,
    );
    for curve in ["prime256v1", "secp384r1"] {
        let (sec1, pkcs8) = (format!("{curve}.pem"), format!("{curve}8.pem"));
        openssl(
            &[
                "ecparam", "-name", curve, "-genkey", "-noout", "-out", &sec1,
            ],
            at,
        );
        openssl(
            &["pkcs8", "-topk8", "-nocrypt", "-in", &sec1, "-out", &pkcs8],
            at,
        );
    }
    for (key, algorithm, name, digest, half) in [
        ("rsa.pem", SigningAlgorithm::Rs256, "RS256", "-sha256", 0),
        ("rsa1.pem", SigningAlgorithm::Rs384, "RS384", "-sha384", 0),
        ("rsa.pem", SigningAlgorithm::Rs512, "RS512", "-sha512", 0),
        (
            "prime256v1.pem",
            SigningAlgorithm::Es256,
            "ES256",
            "-sha256",
            32,
        ),
        (
            "prime256v18.pem",
            SigningAlgorithm::Es256,
            "ES256",
            "-sha256",
            32,
        ),
        (
            "secp384r1.pem",
            SigningAlgorithm::Es384,
            "ES384",
            "-sha384",
            48,
        ),
        (
            "secp384r18.pem",
            SigningAlgorithm::Es384,
            "ES384",
            "-sha384",
            48,
        ),
    ] {
        let client = client("machine", None, Some(algorithm));
        let pem = Secret::new(std::fs::read_to_string(at.join(key)).unwrap());
        // Half of all numbers begin with a one, some with zeros: each once is not enough.
        for _ in 0..if half == 0 { 1 } else { 20 } {
            let request = sent(&client, ClientAuthentication::PrivateKeyJwt, Some(&pem)).unwrap();
            let fields = fields(&request);
            assert_eq!(
                fields["client_assertion_type"],
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            );
            let (message, signature) = fields["client_assertion"].rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            let signature = if half == 0 {
                signature
            } else {
                assert_eq!(signature.len(), 2 * half);
                sequence(&signature)
            };
            std::fs::write(at.join("message"), message).unwrap();
            std::fs::write(at.join("signature"), signature).unwrap();
            let public = openssl(&["pkey", "-in", key, "-pubout"], at);
            std::fs::write(at.join("public"), public).unwrap();
            let verify = [
                "dgst",
                digest,
                "-verify",
                "public",
                "-signature",
                "signature",
                "message",
            ];
            openssl(&verify, at);

            let part = |part: &str| -> Value {
                serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
            };
            let (header, claims) = message.split_once('.').unwrap();
            let (header, claims) = (part(header), part(claims));
            assert_eq!(
                (header["alg"].as_str(), header["kid"].as_str()),
                (Some(name), Some("k1"))
            );
            assert_eq!(claims["iss"], "machine");
            assert_eq!(claims["sub"], "machine");
            assert_eq!(claims["aud"], "https://as.example/tenant");
            assert_eq!(claims["exp"].as_u64(), Some(NOW + 60));
            assert!(claims["jti"].as_str().unwrap().len() >= 20);
        }
    }
    let wrong = client("machine", None, Some(SigningAlgorithm::Es256));
    let rsa = Secret::new(std::fs::read_to_string(at.join("rsa.pem")).unwrap());
    let refused = |key: &Secret| {
        let sent = sent(&wrong, ClientAuthentication::PrivateKeyJwt, Some(key));
        sent.unwrap_err().to_string()
    };
    assert_eq!(
        refused(&rsa),
        "the private key cannot be used: it does not sign by the configured `alg`"
    );
    assert_eq!(
        refused(&Secret::new("no key")),
        "the private key cannot be used: it is not a private key in PEM"
    );
}
