//! `server__tool`: how tools and prompts of many servers share one list.

use sha2::{Digest, Sha256};

use crate::model::{ServerName, hex};

/// What every client can take: Claude Code shows `mcp__janus__NAME`, 12 characters more, to an API that refuses
/// names over 64.
pub const NAME_LIMIT: usize = 52;

/// Hexadecimal digits that keep shortened names apart.
const SUFFIX: usize = 6;

/// The name under which a server's tool or prompt is shown. Longer than the limit, it is cut and ends with a hash
/// of the whole name, so that it is the same in every list and on every start.
pub fn exposed_name(server: &ServerName, name: &str) -> String {
    let full = format!("{server}__{name}");
    if full.chars().count() <= NAME_LIMIT {
        return full;
    }
    let digest = Sha256::digest(full.as_bytes());
    let head: String = full.chars().take(NAME_LIMIT - SUFFIX - 1).collect();
    let suffix = hex(digest.get(..SUFFIX / 2).unwrap_or_default());
    format!("{head}_{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_to_the_limit_and_stays_apart_from_its_neighbour() {
        let server = ServerName::new("github").unwrap();
        assert_eq!(exposed_name(&server, "list_issues"), "github__list_issues");
        let exact = "x".repeat(NAME_LIMIT - "github__".len());
        assert_eq!(exposed_name(&server, &exact), format!("github__{exact}"));
        let (a, b) = (
            exposed_name(&server, &format!("{exact}a")),
            exposed_name(&server, &format!("{exact}b")),
        );
        assert_eq!(
            (a.chars().count(), b.chars().count()),
            (NAME_LIMIT, NAME_LIMIT)
        );
        assert_ne!(a, b);
        assert_eq!(a, exposed_name(&server, &format!("{exact}a")));
    }

    proptest::proptest! {
        #[test]
        fn two_tools_never_share_a_name(a in "[a-z_]{1,70}", b in "[a-z_]{1,70}", s in "[a-c]", t in "[a-c]") {
            let exposed = |server: &str, tool: &str| exposed_name(&ServerName::new(server).unwrap(), tool);
            proptest::prop_assert_eq!(exposed(&s, &a) == exposed(&t, &b), (s, a) == (t, b));
        }
    }
}
