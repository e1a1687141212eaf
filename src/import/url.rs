//! URLs: what of one may be a secret becomes a variable, the rest stays.

use super::reference::Marked;
use super::variables::{Spot, Variables};
use super::words::{is_secret_name, text_looks_secret};

/// A URL as the configuration writes it.
pub(super) struct Settled {
    pub(super) url: String,
    /// `user:password`, which Janus takes in a header only.
    pub(super) user: Option<String>,
    /// Whether there was a fragment, which no server sees.
    pub(super) fragment: bool,
}

/// Takes a URL apart; `None` where it is none.
pub(super) fn settle(url: &str, spot: &Spot<'_>, variables: &mut Variables) -> Option<Settled> {
    let marked = variables.mark(url.trim());
    // A variable may stand for all of the beginning: `${BASE}/mcp`.
    let is_scheme = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric());
    let split = marked.text.split_once("://");
    let (scheme, rest) = split
        .filter(|(scheme, _)| is_scheme(scheme))
        .unwrap_or(("", marked.text.as_str()));
    let (rest, fragment) = rest
        .split_once('#')
        .map_or((rest, false), |(rest, _)| (rest, true));
    let (rest, query) = rest
        .split_once('?')
        .map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (authority, path) = rest
        .split_once('/')
        .map_or((rest, None), |(a, p)| (a, Some(p)));
    if authority.is_empty() || (scheme.is_empty() && !authority.starts_with('\0')) {
        return None;
    }
    let (user, host) = authority
        .rsplit_once('@')
        .map_or((None, authority), |(user, host)| (Some(user), host));
    let mut out = String::new();
    if !scheme.is_empty() {
        out.extend([scheme, "://"]);
    }
    out.push_str(&piece(host, "URL", spot, &marked, variables));
    for part in path.into_iter().flat_map(|path| path.split('/')) {
        out.push('/');
        out.push_str(&piece(part, "URL", spot, &marked, variables));
    }
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    for (at, pair) in pairs.enumerate() {
        out.push(if at == 0 { '?' } else { '&' });
        let Some((name, value)) = pair
            .split_once('=')
            .filter(|(name, _)| !text_looks_secret(name))
        else {
            out.push_str(&piece(pair, "URL", spot, &marked, variables));
            continue;
        };
        out.push_str(&variables.render(spot, &marked, name));
        out.push('=');
        let named = Marked::literal(name);
        if is_secret_name(&named) {
            let spot = Spot {
                name: &named,
                kind: "the parameter of the URL",
                secret: true,
                ..*spot
            };
            out.push_str(&secret(value, &spot, &marked, variables));
        } else {
            out.push_str(&piece(value, &named, spot, &marked, variables));
        }
    }
    let user = user.map(Marked::literal);
    Some(Settled {
        url: out,
        user,
        fragment,
    })
}

/// A piece that is a secret only if it looks like one.
fn piece(
    piece: &str,
    name: &str,
    spot: &Spot<'_>,
    marked: &Marked,
    variables: &mut Variables,
) -> String {
    if text_looks_secret(&Marked::literal(piece)) {
        let spot = Spot {
            name,
            kind: "the part of the URL",
            ..*spot
        };
        secret(piece, &spot, marked, variables)
    } else {
        variables.render(spot, marked, piece)
    }
}

/// A piece that is a secret, unless it consists of references.
fn secret(piece: &str, spot: &Spot<'_>, marked: &Marked, variables: &mut Variables) -> String {
    if Marked::literal(piece).is_empty() {
        variables.render(spot, marked, piece)
    } else {
        format!("${{{}}}", variables.secret(spot, piece, marked))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::import::Form;

    #[test]
    fn only_what_may_be_a_secret_becomes_a_variable() {
        let spot = Spot {
            server: "s",
            account: None,
            name: "url",
            kind: "the URL",
            secret: false,
        };
        let mut variables = Variables::new(Form::McpServers, BTreeSet::new());
        let mut settled =
            |url: &str| settle(url, &spot, &mut variables).map(|s| (s.url, s.user, s.fragment));
        let plain = |url: &str| Some((url.to_owned(), None, false));
        assert_eq!(
            settled("https://a.example:8/mcp?x=1"),
            plain("https://a.example:8/mcp?x=1")
        );
        assert_eq!(
            settled(
                "https://a.example/s/9f86d081884c7d659a2feaa0c55ad015/mcp?api_key=hunter2&y=$1"
            ),
            plain("https://a.example/s/${S_URL}/mcp?api_key=${S_API_KEY}&y=$$1")
        );
        assert_eq!(
            settled("${BASE}/mcp?token=${T}"),
            plain("${BASE}/mcp?token=${T}")
        );
        assert_eq!(
            settled("https://u:p@a.example/#top"),
            Some((
                "https://a.example/".to_owned(),
                Some("u:p".to_owned()),
                true
            ))
        );
        for none in ["", "a.example/mcp", "https://", "/mcp", "a${B}://c.example"] {
            assert_eq!(settled(none), None, "{none}");
        }
    }
}
