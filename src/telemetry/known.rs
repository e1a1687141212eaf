//! Every secret that is alive, and the texts that it is taken out of.
//!
//! One automaton finds all forms of all secrets in one pass. It is made anew when a secret comes or goes, not when a
//! text is written.
//!
//! Invariant: forms that overlap are all taken out, not the first alone.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock, RwLockReadGuard};

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, BuildError, MatchKind};

use super::forms::{Form, forms};
use crate::model::Secret;

/// Shorter values are words and switches (`1`, `true`, `debug`): taking them out would spoil every text.
pub const SHORTEST: usize = 8;

/// What stands in the place of a secret.
const MASK: &str = "****";

/// The end of a text that was cut is taken out when this much of it begins a secret.
const SHORTEST_HEAD: usize = 4;

static KNOWN: LazyLock<RwLock<Secrets>> = LazyLock::new(RwLock::default);

/// The secrets, and what finds them.
#[derive(Default)]
struct Secrets {
    next: u64,
    alive: BTreeMap<u64, Vec<Form>>,
    finder: Option<Finder>,
}

struct Finder {
    automaton: AhoCorasick,
    /// The same forms, for what is cut.
    forms: Vec<Form>,
}

/// A secret is known as long as this lives.
#[derive(Debug)]
pub struct Known(u64);

/// Has a secret taken out of every text from now on. One that is too short is not.
pub fn learn(secret: &Arc<Secret>) -> Known {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    known.next += 1;
    let number = known.next;
    let mut problem = None;
    if secret.expose().len() >= SHORTEST {
        known.alive.insert(number, forms(secret.expose()));
        problem = known.rebuild().err();
    }
    // Who writes the log asks for the same lock.
    drop(known);
    if let Some(error) = problem {
        tracing::error!("not every secret can be kept out of the log: {error}");
    }
    Known(number)
}

impl Drop for Known {
    fn drop(&mut self) {
        let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
        if known.alive.remove(&self.0).is_some() {
            // With fewer forms than before it cannot fail.
            known.rebuild().ok();
        }
    }
}

/// A secret in use. It is kept out of every text as long as this lives, and so is the one before it: servers and
/// processes may still speak of that.
#[derive(Debug)]
pub struct Live {
    secret: Arc<Secret>,
    known: Known,
    #[expect(dead_code, reason = "it is held for what its end does")]
    before: Option<Known>,
}

impl Live {
    /// Known from now on.
    pub fn new(secret: Arc<Secret>) -> Self {
        let known = learn(&secret);
        Self {
            secret,
            known,
            before: None,
        }
    }

    /// In the place of another.
    #[must_use]
    pub fn after(self, before: Option<Self>) -> Self {
        Self {
            before: before.map(|before| before.known),
            ..self
        }
    }

    /// The secret itself.
    pub fn secret(&self) -> &Arc<Secret> {
        &self.secret
    }
}

impl Secrets {
    /// Fails where there are more forms than an automaton can number; what it knew it goes on finding.
    fn rebuild(&mut self) -> Result<(), BuildError> {
        let mut forms: Vec<Form> = self.alive.values().flatten().cloned().collect();
        forms.sort_by(|one, other| one.as_slice().cmp(other));
        forms.dedup();
        if forms.is_empty() {
            self.finder = None;
            return Ok(());
        }
        let mut builder = AhoCorasickBuilder::new();
        let automaton = builder
            .match_kind(MatchKind::Standard)
            // A table of a long secret would be a thousand times as large.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&forms)?;
        self.finder = Some(Finder { automaton, forms });
        Ok(())
    }
}

fn known() -> RwLockReadGuard<'static, Secrets> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner)
}

/// The text without the secrets that are alive.
pub fn redact(text: &str) -> Cow<'_, str> {
    let known = known();
    let Some(finder) = &known.finder else {
        return Cow::Borrowed(text);
    };
    match finder.spots(text.as_bytes()).as_slice() {
        [] => Cow::Borrowed(text),
        spots => Cow::Owned(masked(text, spots)),
    }
}

/// The same of a text whose end was cut off, perhaps within a secret.
pub fn redact_cut(text: &str) -> Cow<'_, str> {
    let known = known();
    let Some(finder) = &known.finder else {
        return Cow::Borrowed(text);
    };
    let mut spots = finder.spots(text.as_bytes());
    if let Some(head) = finder.head_at_the_end(text.as_bytes()) {
        spots.push((text.len() - head, text.len()));
        spots = merged(spots);
    }
    match spots.as_slice() {
        [] => Cow::Borrowed(text),
        spots => Cow::Owned(masked(text, spots)),
    }
}

impl Finder {
    /// Where secrets are, in order and apart from each other.
    fn spots(&self, text: &[u8]) -> Vec<(usize, usize)> {
        let found = self.automaton.find_overlapping_iter(text);
        merged(found.map(|found| (found.start(), found.end())).collect())
    }

    /// How much of the end of a text begins a secret.
    fn head_at_the_end(&self, text: &[u8]) -> Option<usize> {
        let heads = self.forms.iter().filter_map(|form| {
            let longest = form.len().saturating_sub(1).min(text.len());
            (SHORTEST_HEAD..=longest)
                .rev()
                .find(|&length| text.get(text.len() - length..) == form.get(..length))
        });
        heads.max()
    }
}

fn merged(mut spots: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    spots.sort_unstable();
    let mut apart: Vec<(usize, usize)> = Vec::with_capacity(spots.len());
    for (start, end) in spots {
        match apart.last_mut() {
            Some((_, last)) if start <= *last => *last = end.max(*last),
            _ => apart.push((start, end)),
        }
    }
    apart
}

/// Spots lie between characters, because forms are whole texts.
fn masked(text: &str, spots: &[(usize, usize)]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for (start, end) in spots {
        shown.push_str(text.get(from..*start).unwrap_or_default());
        shown.push_str(MASK);
        from = *end;
    }
    shown.push_str(text.get(from..).unwrap_or_default());
    shown
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn secret(text: &str) -> (Arc<Secret>, Known) {
        let secret = Arc::new(Secret::new(text));
        let known = learn(&secret);
        (secret, known)
    }

    #[test]
    fn a_secret_is_known_as_long_as_somebody_holds_it() {
        let text = "a forgotten-canary-1 b";
        let (_secret, known) = secret("forgotten-canary-1");
        assert_eq!(redact(text), "a **** b");
        drop(known);
        assert_eq!(redact(text), text);
        let (_short, _known) = secret("short");
        assert_eq!(redact("a short text"), "a short text");
    }

    #[test]
    fn secrets_that_overlap_are_both_taken_out() {
        let (_one, _first) = secret("overlap-abcdefgh");
        let (_two, _second) = secret("abcdefgh-overlap");
        assert_eq!(redact("x overlap-abcdefgh-overlap y"), "x **** y");
    }

    #[test]
    fn the_end_of_a_cut_text_shows_no_half_of_a_secret() {
        let (_secret, _known) = secret("cut-canary-0123456789");
        for length in SHORTEST_HEAD..21 {
            let text = format!("x {}", "cut-canary-0123456789".get(..length).unwrap());
            assert_eq!(redact_cut(&text), "x ****", "{length}");
        }
        assert_eq!(redact_cut("x cut"), "x cut");
    }

    proptest! {
        #[test]
        fn planted_at_any_offset_in_any_form_nothing_is_left(
            text in "[ -~äé€]{8,40}",
            before in "[ -~ü\n]{0,60}",
            after in "[ -~ü\n]{0,60}",
            form in 0_usize..6,
        ) {
            let (_kept, _known) = secret(&text);
            let planted = match form {
                0 => text.clone(),
                1 => percent(&text),
                2 => STANDARD.encode(&text),
                3 => STANDARD.encode(format!("user:{text}")),
                4 => serde_json::Value::from(text.as_str()).to_string(),
                _ => format!("{text:?}"),
            };
            let whole = format!("{before}{planted}{after}");
            let shown = redact(&whole).into_owned();
            // A mask may stand beside the same characters that surrounded the secret.
            prop_assert!(shown.contains(MASK), "{shown}");
            prop_assert!(!shown.contains(&text) || MASK.contains(&text), "{shown}");
            if form < 3 {
                prop_assert!(!shown.contains(&planted), "{shown}");
            }
        }
    }

    fn percent(text: &str) -> String {
        let one = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        };
        text.bytes().map(one).collect()
    }
}
