//! Whom a server's certificate may be signed by: the system's authorities, and those of `tls.ca`.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Reading and parsing the system's authorities takes milliseconds and gives the same for every account; whoever has
/// no `https` server never pays for it.
static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();

/// A configuration of its own for each account, so that no TLS session is resumed by another one.
pub fn config(ca: Option<&Path>) -> Result<ClientConfig, String> {
    // The provider is passed and not installed: a process-wide default is for `main` to choose, and tests have none.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots(ca)?)
        .with_no_client_auth())
}

fn roots(ca: Option<&Path>) -> Result<Arc<RootCertStore>, String> {
    let system = system();
    let Some(file) = ca else {
        return if system.is_empty() {
            Err(
                "this system has no certificate authorities; install them or name one as `tls.ca`"
                    .to_owned(),
            )
        } else {
            Ok(system)
        };
    };
    let mut roots = RootCertStore::clone(&system);
    add(&mut roots, file).map_err(|why| format!("`tls.ca` {}: {why}", file.display()))?;
    Ok(Arc::new(roots))
}

fn add(roots: &mut RootCertStore, file: &Path) -> Result<(), String> {
    let text = std::fs::read(file).map_err(|e| e.to_string())?;
    let mut found = false;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|e| format!("not PEM: {e}"))?;
        roots
            .add(certificate)
            .map_err(|e| format!("a certificate in it cannot be used: {e}"))?;
        found = true;
    }
    if found {
        Ok(())
    } else {
        Err("there is no certificate in it".to_owned())
    }
}

fn system() -> Arc<RootCertStore> {
    let roots = SYSTEM.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!(%error, "a certificate authority of the system cannot be read");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        Arc::new(roots)
    });
    Arc::clone(roots)
}
