//! What people look for in the journal: a fixed word, and the id under which the catalogue explains it.
//!
//! Invariant: an id means the same for ever (`systemd.journal-fields(7)`, `MESSAGE_ID=`). A new meaning is a new id.

/// Something that happened, by the word that the log has in `event`.
#[derive(Debug)]
pub struct Happening {
    /// The word.
    pub word: &'static str,
    /// Its `MESSAGE_ID`.
    pub id: &'static str,
}

/// All of them. `systemd/janus.catalog` explains each, which a test holds.
pub const HAPPENINGS: [Happening; 10] = [
    Happening {
        word: "ready",
        id: "e26d9b20457e425d94626e58438f1905",
    },
    Happening {
        word: "login_needed",
        id: "37dff62c57424717ab94f66148ab322b",
    },
    Happening {
        word: "grant_ended",
        id: "9699b5e70d5e67301f8c1030f1fbd4be",
    },
    Happening {
        word: "logged_in",
        id: "7f26ff48c30943398c2796e8a7b58a8b",
    },
    Happening {
        word: "logged_out",
        id: "ed939d30e2ad6c7f6bd212a5cb5c3be3",
    },
    Happening {
        word: "wrong_identity",
        id: "878782c9e2c946d493d0c3d832d65b84",
    },
    Happening {
        word: "configuration_refused",
        id: "0323ff90b2b745029167f20cfbbb0d74",
    },
    Happening {
        word: "vault_sealed",
        id: "1992ff957fc98696cbf637474ffa2f21",
    },
    Happening {
        word: "went_on",
        id: "734e8bb4a52f42d6a5e24f5fa12f187e",
    },
    Happening {
        word: "not_replaced",
        id: "127990944ec54978b3b845ab733f09b7",
    },
];

/// The `MESSAGE_ID` of a word.
pub(super) fn id_of(word: &str) -> Option<&'static str> {
    let known = HAPPENINGS.iter().find(|known| known.word == word)?;
    Some(known.id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const CATALOG: &str = include_str!("../../systemd/janus.catalog");

    #[test]
    fn the_catalogue_explains_each_and_nothing_else() {
        let explained: BTreeSet<&str> = CATALOG
            .lines()
            .filter_map(|line| line.strip_prefix("-- "))
            .collect();
        let known: BTreeSet<&str> = HAPPENINGS.iter().map(|known| known.id).collect();
        assert_eq!(explained, known);
        assert_eq!(known.len(), HAPPENINGS.len(), "an id stands twice");
    }
}
