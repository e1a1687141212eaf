//! What an error of a connection says, for people.

use std::error::Error as StdError;

/// What an error and its causes say, each thing once. A certificate that was not accepted says how to mend it.
pub fn said(error: &(dyn StdError + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next.map(unwrapped) {
        if let Some(why) = certificate(error) {
            return why;
        }
        let text = error.to_string();
        if !parts.last().is_some_and(|last| last.contains(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    parts.join(": ")
}

fn certificate(error: &(dyn StdError + 'static)) -> Option<String> {
    match error.downcast_ref()? {
        rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer) => Some(
            "its certificate is not accepted: no known authority signed it (`tls.ca` names one of your own)"
                .to_owned(),
        ),
        rustls::Error::InvalidCertificate(why) => {
            Some(format!("its certificate is not accepted: {why}"))
        }
        other => Some(format!("TLS failed: {other}")),
    }
}

/// An `io::Error` names the causes of what it wraps as its own, and so hides what it wraps.
fn unwrapped<'e>(mut error: &'e (dyn StdError + 'static)) -> &'e (dyn StdError + 'static) {
    while let Some(inner) = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
    {
        error = inner;
    }
    error
}

/// Whether the certificate or the handshake is what went wrong.
pub fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next.map(unwrapped) {
        if error.is::<rustls::Error>() {
            return true;
        }
        next = error.source();
    }
    false
}
