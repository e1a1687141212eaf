//! `${NAME}` in a string is the environment variable NAME, and `$$` is a dollar sign.
//!
//! It acts on strings that were parsed, never on the text of the file: a variable cannot add keys.

use super::Environment;
use super::problem::Mistake;

/// Puts the variables in. A `$` that begins neither form stays as it is.
pub(super) fn expand(text: &str, environment: &Environment) -> Result<String, Mistake> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some(reference) = after.strip_prefix('{') {
            let (name, after) = reference
                .split_once('}')
                .filter(|(name, _)| is_variable_name(name))
                .ok_or(Mistake::BadReference)?;
            expanded.push_str(&variable(name, environment)?);
            rest = after;
        } else {
            expanded.push('$');
            rest = after;
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn variable(name: &str, environment: &Environment) -> Result<String, Mistake> {
    let name = || name.to_owned();
    let value = environment
        .variable(&name())
        .ok_or_else(|| Mistake::UnsetVariable { name: name() })?;
    value
        .to_str()
        .map(str::to_owned)
        .ok_or_else(|| Mistake::VariableNotText { name: name() })
}

/// Whether this may be the name of an environment variable: letters, digits and `_`, no digit first.
pub(super) fn is_variable_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn variables_dollars_and_what_is_neither() {
        let environment =
            Environment::new([("NAME", "ana"), ("EMPTY", ""), ("NESTED", "${NAME}")], 0);
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("${NAME}", "ana"),
            ("a-${NAME}-${EMPTY}-z", "a-ana--z"),
            ("$$", "$"),
            ("$${NAME}", "${NAME}"),
            ("$$$NAME", "$$NAME"),
            ("cost: $5 $", "cost: $5 $"),
            ("${NESTED}", "${NAME}"),
        ] {
            assert_eq!(
                expand(text, &environment).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
        for text in ["${", "${}", "${NAME", "${a-b}", "${1}", "${NAME:-x}"] {
            assert_eq!(
                expand(text, &environment),
                Err(Mistake::BadReference),
                "{text}"
            );
        }
        let latin1: OsString = OsStringExt::from_vec(b"caf\xe9".to_vec());
        let environment = Environment::new([("NAME", latin1)], 0);
        let name = "NAME".to_owned();
        assert_eq!(
            expand("${NAME}", &environment),
            Err(Mistake::VariableNotText { name })
        );
        let unset = Mistake::UnsetVariable {
            name: "ABSENT".to_owned(),
        };
        assert_eq!(expand("x${ABSENT}", &environment), Err(unset));
    }
}
