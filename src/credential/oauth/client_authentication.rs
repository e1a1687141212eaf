//! How Janus proves at a token endpoint which client it is (RFC 6749, section 2.3; RFC 7523, section 2.2).
//!
//! Invariant: a request has one proof, and it is for the authorization server that the client belongs to.

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use jsonwebtoken::{Algorithm, Header};
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use super::granted::{Registration, Source};
use crate::model::{ClientAuthentication, PreRegistered, Secret, SigningAlgorithm};

/// An assertion is used at once.
const ASSERTION: Duration = Duration::from_mins(1);
/// What `client_assertion` is (RFC 7523, section 2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A token as a header has it (RFC 6750, section 2.1); `None`: no header can.
pub(super) fn bearer(token: &Secret) -> Option<HeaderValue> {
    let text = Zeroizing::new(format!("Bearer {}", token.expose()));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The body of a request to a token endpoint, while it is written.
#[derive(Default)]
pub(super) struct Form {
    body: Zeroizing<String>,
    authorization: Option<HeaderValue>,
}

/// Why a client cannot prove itself: the configuration must be mended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoProof {
    /// It has no secret.
    #[error("`{}` needs a client secret, and there is none", .0.word())]
    NoSecret(ClientAuthentication),
    /// It has no key.
    #[error("`private_key_jwt` needs `private_key`, and there is none")]
    NoKey,
    /// The key is none, or not one that signs like this.
    #[error("the private key cannot be used: {0}")]
    BadKey(&'static str),
    /// The system has no random numbers.
    #[error("the system has no random numbers")]
    NoRandomness,
    /// The address is none.
    #[error("the token endpoint is no URL")]
    NoUrl,
}

impl Form {
    /// A request of this `grant_type`.
    pub(super) fn new(grant_type: &str) -> Self {
        Self::default().with("grant_type", grant_type)
    }

    /// A request that ends a token (RFC 7009, section 2.1).
    pub(super) fn revocation(token: &Secret, hint: &str) -> Self {
        let form = Self::default().with_secret("token", token);
        form.with("token_type_hint", hint)
    }

    /// With one more parameter.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.add(name, value);
        self
    }

    /// With a parameter that is a secret.
    #[must_use]
    pub(super) fn with_secret(self, name: &str, value: &Secret) -> Self {
        self.with(name, value.expose())
    }

    fn add(&mut self, name: &str, value: &str) {
        let mut body = std::mem::take(&mut *self.body);
        if !body.is_empty() {
            body.push('&');
        }
        body.extend(byte_serialize(name.as_bytes()));
        body.push('=');
        body.extend(byte_serialize(value.as_bytes()));
        self.body = Zeroizing::new(body);
    }

    /// With the `resource` of this grant, if it has one (RFC 8707, section 2.2).
    pub(super) fn with_resource(self, source: &Source) -> Self {
        match &source.resource {
            Some(resource) => self.with("resource", resource),
            None => self,
        }
    }

    /// The request to an endpoint where the client proves itself like this; `wall`: what time it is.
    pub(super) fn proven(
        mut self,
        endpoint: &str,
        (client, method): (&Registration, ClientAuthentication),
        key: Option<&Secret>,
        wall: SystemTime,
    ) -> Result<Request<Vec<u8>>, NoProof> {
        self.prove(client, method, key, wall)?;
        self.request(endpoint)
    }

    /// Adds what proves the client by this method. `key` is the text of its private key, where it signs.
    fn prove(
        &mut self,
        client: &Registration,
        method: ClientAuthentication,
        key: Option<&Secret>,
        wall: SystemTime,
    ) -> Result<(), NoProof> {
        let secret = || {
            let secret = client.client_secret.as_ref();
            secret.ok_or(NoProof::NoSecret(method))
        };
        match method {
            ClientAuthentication::None => self.add("client_id", &client.client_id),
            ClientAuthentication::SecretPost => {
                let secret = secret()?;
                self.add("client_id", &client.client_id);
                self.add("client_secret", secret.expose());
            }
            ClientAuthentication::SecretBasic => {
                self.authorization = Some(basic(&client.client_id, secret()?)?);
            }
            ClientAuthentication::PrivateKeyJwt => {
                let algorithm = client.signing_key.as_ref().ok_or(NoProof::NoKey)?;
                let key = key.ok_or(NoProof::NoKey)?;
                let assertion = assertion(
                    (&client.client_id, &client.issuer),
                    (key, algorithm.id.as_deref(), algorithm.algorithm),
                    wall,
                )?;
                self.add("client_id", &client.client_id);
                self.add("client_assertion_type", JWT_BEARER);
                self.add("client_assertion", &assertion);
            }
        }
        Ok(())
    }

    /// The request.
    fn request(self, endpoint: &str) -> Result<Request<Vec<u8>>, NoProof> {
        let mut request = Request::new(self.body.as_bytes().to_vec());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = endpoint.parse().map_err(|_| NoProof::NoUrl)?;
        let headers = request.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(authorization) = self.authorization {
            headers.insert(AUTHORIZATION, authorization);
        }
        Ok(request)
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// The method of a client that a person registered: as configured, else what it has a key or a secret for, in the order
/// of the server.
pub(super) fn method_of(
    client: &PreRegistered,
    configured: Option<ClientAuthentication>,
    offered: &[ClientAuthentication],
) -> ClientAuthentication {
    if let Some(configured) = configured {
        return configured;
    }
    if client.key.is_some() {
        return ClientAuthentication::PrivateKeyJwt;
    }
    if client.secret.is_none() {
        return ClientAuthentication::None;
    }
    let by_secret = |method: &&ClientAuthentication| {
        matches!(
            method,
            ClientAuthentication::SecretBasic | ClientAuthentication::SecretPost
        )
    };
    //= https://www.rfc-editor.org/rfc/rfc8414#section-2
    //# If omitted, the default is "client_secret_basic"
    offered
        .iter()
        .find(by_secret)
        .copied()
        .unwrap_or(ClientAuthentication::SecretBasic)
}

/// The other of the two ways to send a secret: servers take one of them, and metadata does not always say which.
pub(super) fn other(method: ClientAuthentication) -> Option<ClientAuthentication> {
    match method {
        ClientAuthentication::SecretBasic => Some(ClientAuthentication::SecretPost),
        ClientAuthentication::SecretPost => Some(ClientAuthentication::SecretBasic),
        ClientAuthentication::None | ClientAuthentication::PrivateKeyJwt => None,
    }
}

//= https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
//# The client identifier is encoded using the
//# "application/x-www-form-urlencoded" encoding algorithm per
//# Appendix B, and the encoded value is used as the username; the client
//# password is encoded using the same algorithm and used as the
//# password.
fn basic(id: &str, secret: &Secret) -> Result<HeaderValue, NoProof> {
    let mut pair = Zeroizing::new(String::new());
    pair.extend(byte_serialize(id.as_bytes()));
    pair.push(':');
    pair.extend(byte_serialize(secret.expose().as_bytes()));
    let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    let text = Zeroizing::new(format!("Basic {}", *encoded));
    // base64 is what a header can have.
    let mut value = HeaderValue::from_str(&text).map_err(|_| NoProof::NoUrl)?;
    value.set_sensitive(true);
    Ok(value)
}

/// A statement of who the client is, signed (RFC 7523, section 3).
fn assertion(
    (client, issuer): (&str, &str),
    (key, id, algorithm): (&Secret, Option<&str>, SigningAlgorithm),
    wall: SystemTime,
) -> Result<Zeroizing<String>, NoProof> {
    let now = wall
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| NoProof::NoRandomness)?;
    let claims = json!({
        "iss": client,
        "sub": client,
        "aud": issuer,
        "iat": now,
        "exp": now + ASSERTION.as_secs(),
        "jti": URL_SAFE_NO_PAD.encode(random),
    });
    let (name, scheme) = scheme(algorithm);
    let mut header = Header::new(name);
    header.kid = id.map(str::to_owned);
    let header = serde_json::to_string(&header).unwrap_or_default();
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = sign(key, scheme, message.as_bytes())?;
    let signature = match fixed_length(algorithm) {
        Some(length) => fixed(&signature, length).ok_or(NoProof::BadKey("its signature is odd"))?,
        None => signature,
    };
    Ok(Zeroizing::new(format!(
        "{message}.{}",
        URL_SAFE_NO_PAD.encode(signature)
    )))
}

fn sign(key: &Secret, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, NoProof> {
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
        .map_err(|_| NoProof::BadKey("it is not a private key in PEM"))?;
    let key = any_supported_type(&key)
        .map_err(|_| NoProof::BadKey("it is neither an RSA key nor one of P-256 or P-384"))?;
    let signer = key
        .choose_scheme(&[scheme])
        .ok_or(NoProof::BadKey("it does not sign by the configured `alg`"))?;
    signer
        .sign(message)
        .map_err(|_| NoProof::BadKey("it does not sign"))
}

fn scheme(algorithm: SigningAlgorithm) -> (Algorithm, SignatureScheme) {
    match algorithm {
        SigningAlgorithm::Rs256 => (Algorithm::RS256, SignatureScheme::RSA_PKCS1_SHA256),
        SigningAlgorithm::Rs384 => (Algorithm::RS384, SignatureScheme::RSA_PKCS1_SHA384),
        SigningAlgorithm::Rs512 => (Algorithm::RS512, SignatureScheme::RSA_PKCS1_SHA512),
        SigningAlgorithm::Es256 => (Algorithm::ES256, SignatureScheme::ECDSA_NISTP256_SHA256),
        SigningAlgorithm::Es384 => (Algorithm::ES384, SignatureScheme::ECDSA_NISTP384_SHA384),
    }
}

/// How long each half of a signature is in a JWT.
fn fixed_length(algorithm: SigningAlgorithm) -> Option<usize> {
    match algorithm {
        SigningAlgorithm::Es256 => Some(32),
        SigningAlgorithm::Es384 => Some(48),
        SigningAlgorithm::Rs256 | SigningAlgorithm::Rs384 | SigningAlgorithm::Rs512 => None,
    }
}

/// The two numbers of an ECDSA signature, side by side (RFC 7518, section 3.4), out of the sequence that TLS has them in.
fn fixed(sequence: &[u8], length: usize) -> Option<Vec<u8>> {
    let (numbers, rest) = element(sequence, 0x30)?;
    let (r, after) = element(numbers, 0x02)?;
    let (s, end) = element(after, 0x02)?;
    let mut both = Vec::with_capacity(2 * length);
    for number in [r, s] {
        // A leading zero keeps a number from being negative.
        let first = number.iter().position(|byte| *byte != 0)?;
        let number = number.get(first..)?;
        let zeros = length.checked_sub(number.len())?;
        both.resize(both.len() + zeros, 0);
        both.extend_from_slice(number);
    }
    (rest.is_empty() && end.is_empty()).then_some(both)
}

/// One element of DER with this tag, and what follows it. Signatures are short, so that their lengths are one byte.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(2)?;
    let (&found, &length) = (head.first()?, head.get(1)?);
    (found == tag && length < 0x80).then(|| rest.split_at_checked(usize::from(length)))?
}
