//! Odd files: what is added and removed, what stays, and what is left to a person.

use proptest::prelude::*;

use super::*;

fn client(name: &str) -> ClientId {
    ClientId::new(name).unwrap()
}

fn added(text: &str) -> String {
    let profiles = [ProfileName::new("p").unwrap()];
    add_client(text, &client("ci"), &profiles, None).unwrap_or_else(|error| error.to_string())
}

fn removed(text: &str) -> String {
    remove_client(text, &client("ci")).unwrap_or_else(|error| error.to_string())
}

const BY_HAND: &str = "`clients` is written in a way that only a person can change";

#[test]
fn an_entry_becomes_the_last_of_its_section() {
    for (text, expected) in [
        (
            "clients:\n  a: {}\n",
            "clients:\n  a: {}\n  ci: { profile: p }\n",
        ),
        (
            "clients:\n    a: {}   # why\n\n# next\nlisten:\n",
            "clients:\n    a: {}   # why\n    ci: { profile: p }\n\n# next\nlisten:\n",
        ),
        (
            "clients:\n  a:\n    profiles: [p]\n  # b: {}\n\nservers: {}\n",
            "clients:\n  a:\n    profiles: [p]\n  # b: {}\n  ci: { profile: p }\n\nservers: {}\n",
        ),
        (
            "clients:   # none yet\n  # a: {}\n",
            "clients:   # none yet\n  # a: {}\n  ci: { profile: p }\n",
        ),
        (
            "clients:\r\n  a: {}\r\n\r\nlisten:\r\n",
            "clients:\r\n  a: {}\r\n  ci: { profile: p }\r\n\r\nlisten:\r\n",
        ),
        (
            "clients:\n  a: {}",
            "clients:\n  a: {}\n  ci: { profile: p }",
        ),
        ("clients:", "clients:\n  ci: { profile: p }"),
        (
            "\u{feff}clients:\n  é: {}\n",
            "\u{feff}clients:\n  é: {}\n  ci: { profile: p }\n",
        ),
        (
            "---\nclients:\n  a: {}\n...\n",
            "---\nclients:\n  a: {}\n  ci: { profile: p }\n...\n",
        ),
    ] {
        assert_eq!(added(text), expected, "{text:?}");
        assert_eq!(removed(expected), text, "{expected:?}");
    }
}

#[test]
fn a_section_is_made_at_the_end() {
    for (text, expected) in [
        ("", "clients:\n  ci: { profile: p }\n"),
        (
            "# only this\n",
            "# only this\n\nclients:\n  ci: { profile: p }\n",
        ),
        (
            "version: 1\n\n",
            "version: 1\n\nclients:\n  ci: { profile: p }\n",
        ),
        ("version: 1", "version: 1\n\nclients:\n  ci: { profile: p }"),
        (
            "version: 1\r\n# end\r\n",
            "version: 1\r\n# end\r\n\r\nclients:\r\n  ci: { profile: p }\r\n",
        ),
        (
            "  version: 1\n",
            "  version: 1\n\n  clients:\n    ci: { profile: p }\n",
        ),
        (
            "version: 1\n...\n# after\n",
            "version: 1\n\nclients:\n  ci: { profile: p }\n...\n# after\n",
        ),
    ] {
        assert_eq!(added(text), expected, "{text:?}");
    }
}

#[test]
fn braces_are_kept() {
    for (text, expected) in [
        (
            "clients: { a: {} }  # x\n",
            "clients: { ci: { profile: p }, a: {} }  # x\n",
        ),
        ("clients: {}\n", "clients: { ci: { profile: p } }\n"),
        (
            "clients: {a: {},\n  b: {}}\n",
            "clients: { ci: { profile: p }, a: {},\n  b: {}}\n",
        ),
    ] {
        assert_eq!(added(text), expected, "{text:?}");
    }
    for (text, expected) in [
        ("clients: { ci: {}, a: {} }\n", "clients: { a: {} }\n"),
        (
            "clients: { a: {}, ci: { profiles: [p, q] } }  # x\n",
            "clients: { a: {} }  # x\n",
        ),
        (
            "clients: { a: {}, \"ci\": { profile: \"p\" }, b: {} }\n",
            "clients: { a: {}, b: {} }\n",
        ),
        ("clients: { ci: {} }\n", "clients: { }\n"),
    ] {
        assert_eq!(removed(text), expected, "{text:?}");
    }
}

#[test]
fn an_entry_goes_with_what_belongs_to_it() {
    for (text, expected) in [
        (
            "clients:\n  ci:\n    profile: p\n    # deep\n  # of b\n  b: {}\n",
            "clients:\n  # of b\n  b: {}\n",
        ),
        (
            "clients:\n  a: {}\n  ci: {}   # gone\n\n# kept\nlisten:\n",
            "clients:\n  a: {}\n\n# kept\nlisten:\n",
        ),
        ("clients:\n  ci: {}\nlisten:\n", "clients:\nlisten:\n"),
    ] {
        assert_eq!(removed(text), expected, "{text:?}");
    }
}

#[test]
fn what_is_not_understood_is_left_to_a_person() {
    for text in [
        "{ version: 1 }\n",
        "{ version: 1, clients: { } }\n",
        "clients: ~\n",
        "a: &a { x: {} }\nclients: *a\n",
        "clients: { # nothing\n }\n",
        "? clients\n: a: {}\n",
        "clients:\n  a:\n    label: |\n      text\n      # text\n\n\nlast: |+\n  kept\n\n\n",
    ] {
        let result = added(text);
        let read = tree::parse(&result).is_ok_and(|document| document.root.is_some());
        assert!(result == BY_HAND || read, "{text:?}: {result}");
    }
    let error = add_client("{ version: 1 }\n", &client("ci"), &[], Some("2027-03-01"));
    let help = "clients:\n  ci: { expires: 2027-03-01 }".to_owned();
    assert_eq!(error, Err(NotEdited::ByHand { help }));
    assert_eq!(
        remove_client("clients: { # one\n  ci: {} # two\n}\n", &client("ci")),
        Err(NotEdited::ByHand {
            help: "remove `ci` in line 2".to_owned()
        })
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    let ci = client("ci");
    assert_eq!(
        add_client("clients: { ci: {} }", &ci, &[], None),
        Err(NotEdited::Exists(ci.clone()))
    );
    assert_eq!(
        remove_client("clients:\n", &ci),
        Err(NotEdited::Absent(ci.clone()))
    );
    assert_eq!(
        remove_client("version: 1\n", &ci),
        Err(NotEdited::Absent(ci.clone()))
    );
    for broken in ["a: [", "a: 1\na: 2\n", "just text", "- a"] {
        assert_eq!(add_client(broken, &ci, &[], None), Err(NotEdited::Broken));
    }
    assert_eq!(
        add_client("", &ci, &[], Some("tomorrow")),
        Err(NotEdited::NoDate)
    );
}

#[test]
fn names_that_look_like_something_else_are_quoted() {
    let profiles = ["1", "true", "off"].map(|name| ProfileName::new(name).unwrap());
    assert_eq!(
        add_client("", &client("7"), &profiles, Some("2027-03-01T18:00:00Z")).unwrap(),
        "clients:\n  \"7\": { profiles: [\"1\", \"true\", off], expires: 2027-03-01T18:00:00Z }\n"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is changed, it is one line more and no other byte.
    #[test]
    fn every_old_line_stays(
        words in proptest::collection::vec(
            prop_oneof![
                Just("clients:"), Just("clients: "), Just("version: 1"), Just("a: {}"), Just("\n"), Just("\n  "),
                Just("\n    "), Just("{"), Just("}"), Just(", "), Just("# c"), Just(" # c"), Just("\r\n"), Just("|"),
                Just("x"), Just("..."), Just("---\n"), Just("'"), Just("b: "), Just("&a "), Just("*a"), Just("\t"),
            ],
            0..16,
        )
    ) {
        let text = words.concat();
        if let Ok(edited) = add_client(&text, &client("ci"), &[], None) {
            let mut rest = edited.chars();
            for c in text.chars() {
                prop_assert!(rest.any(|other| other == c), "{edited:?} lost something of {text:?}");
            }
            let restored = remove_client(&edited, &client("ci"));
            prop_assert!(restored.is_ok() || matches!(restored, Err(NotEdited::ByHand { .. })), "{edited:?}");
        }
    }
}
