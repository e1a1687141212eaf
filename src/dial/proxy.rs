//! Which proxy stands before a URL.

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::model::ProxySettings;

/// The proxy that stands before `url`, if one does.
pub fn through(url: &Uri, proxy: &ProxySettings) -> Result<Option<Intercept>, String> {
    let Some(address) = proxy.https.as_ref().filter(|url| !url.expose().is_empty()) else {
        return Ok(None);
    };
    let matcher = |no: &str| Matcher::builder().https(address.expose()).no(no).build();
    // The matcher takes what it cannot read for no proxy at all, and the call would go around it.
    let Some(usable) = matcher("").intercept(url) else {
        return Err("`HTTPS_PROXY` is not the URL of a proxy".to_owned());
    };
    if usable.raw_auth().is_some() || !is_http(usable.uri()) {
        return Err(
            "`HTTPS_PROXY` names a SOCKS proxy; Janus speaks to `http` and `https` ones".to_owned(),
        );
    }
    Ok(matcher(proxy.no_proxy.as_deref().unwrap_or_default()).intercept(url))
}

fn is_http(proxy: &Uri) -> bool {
    [Some("http"), Some("https")].contains(&proxy.scheme_str())
}
