//! What a URL path names.

use super::Refused;

/// A path below `/mcp`, taken apart. Whether the names exist is not known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// `/mcp`
    Unnamed,
    /// `/mcp/PROFILE`
    Profile(&'a str),
    /// `/mcp/@SERVER` and `/mcp/@SERVER/ACCOUNT`
    Account {
        server: &'a str,
        account: Option<&'a str>,
    },
}

impl<'a> Target<'a> {
    /// Takes a path apart. One slash at its end means nothing.
    pub(super) fn of(path: &'a str) -> Result<Self, Refused> {
        let rest = path.strip_prefix("/mcp").ok_or(Refused::UnknownPath)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() {
            return Ok(Self::Unnamed);
        }
        let named = rest.strip_prefix('/').ok_or(Refused::UnknownPath)?;
        let Some(account) = named.strip_prefix('@') else {
            return if named.is_empty() || named.contains('/') {
                Err(Refused::UnknownPath)
            } else {
                Ok(Self::Profile(named))
            };
        };
        let (server, account) = match account.split_once('/') {
            Some((server, account)) => (server, Some(account)),
            None => (account, None),
        };
        let deeper = account.is_some_and(|account| account.is_empty() || account.contains('/'));
        if server.is_empty() || deeper {
            return Err(Refused::UnknownPath);
        }
        Ok(Self::Account { server, account })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_what_it_names_and_nothing_else() {
        let account = |server, account| Ok(Target::Account { server, account });
        for (path, expected) in [
            ("/mcp", Ok(Target::Unnamed)),
            ("/mcp/", Ok(Target::Unnamed)),
            ("/mcp/p", Ok(Target::Profile("p"))),
            ("/mcp/p/", Ok(Target::Profile("p"))),
            ("/mcp/@s", account("s", None)),
            ("/mcp/@s/", account("s", None)),
            ("/mcp/@s/a", account("s", Some("a"))),
            ("/mcp/@s/a/", account("s", Some("a"))),
        ] {
            assert_eq!(Target::of(path), expected, "{path}");
        }
        for path in [
            "",
            "/",
            "/mcpx",
            "/mcp//",
            "/mcp/@",
            "/mcp/@/a",
            "/mcp/p/q",
            "/mcp/@s//",
            "/mcp/@s/a/x",
            "/other",
        ] {
            assert_eq!(Target::of(path), Err(Refused::UnknownPath), "{path}");
        }
    }
}
