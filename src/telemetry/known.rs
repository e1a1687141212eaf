//! Every secret that is alive, and the texts that it is taken out of.
//!
//! One automaton finds how all forms of all secrets begin, in one pass; from there a form is followed as far as it goes,
//! so that the beginning of a secret is no better shown than all of it. The automaton is made anew when a text is written
//! after a secret came or went, not before.
//!
//! Invariants:
//! - A secret is known as long as anybody holds it, and for a while longer by its traces: a server may still speak of it,
//!   and it is not here any more.
//! - However many come and go, and whether a text is written or not, their number is bounded.
//! - Forms that overlap are all taken out, not the first alone.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::{Duration, Instant};

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};

use super::forms::{Form, forms};
use super::traces::{Trace, Traces};
use crate::model::Secret;

/// Shorter values are words and switches (`1`, `true`, `debug`): taking them out would spoil every text.
pub const SHORTEST: usize = 8;
/// So much of a secret is one: who sees it knows the most of many.
const HEAD: usize = 16;
/// The end of a text that was cut is taken out when this much of it begins a secret.
const SHORTEST_HEAD: usize = 4;
/// For how long a secret is known that nobody holds any more: longer than any call takes.
const GRACE: Duration = Duration::from_mins(10);
/// Of those, the latest so many are known: more than fifty accounts have in that time. A helper that gives another value for
/// each call fills no memory.
const GONE: usize = 2_000;
/// How often it is looked whether one is to be forgotten.
const LOOK: Duration = Duration::from_mins(1);

/// What stands in the place of a secret.
const MASK: &str = "****";

static KNOWN: LazyLock<RwLock<Secrets>> = LazyLock::new(|| RwLock::new(Secrets::new()));

/// The secrets, and what finds them.
struct Secrets {
    entries: Vec<Entry>,
    /// `None`: it is to be made anew.
    finder: Option<Finder>,
    looked: Instant,
    /// It is looked again when there are so many.
    crowded: usize,
}

struct Entry {
    secret: Weak<Secret>,
    /// Of one that somebody holds.
    forms: Vec<Form>,
    /// Of one that nobody holds, and since when that is so.
    gone: Option<(Vec<Trace>, Instant)>,
}

struct Finder {
    /// How the forms begin, in their order; `None` where that is more than an automaton can number.
    heads: Option<AhoCorasick>,
    /// Which forms begin with these bytes.
    begins: BTreeMap<[u8; SHORTEST_HEAD], Vec<usize>>,
    forms: Vec<Form>,
    traces: Traces,
}

/// Has a secret taken out of every text from now on, for as long as somebody holds it. One that is too short is not.
pub fn learn(secret: &Arc<Secret>) {
    changing().learn(secret);
}

/// Keeps the traces alone of what nobody holds any more, now and not when something is written the next time.
pub fn let_go() {
    let mut known = changing();
    known.forget(Instant::now());
    // It has the forms of what went.
    known.finder = None;
}

/// The text without the secrets that are alive.
pub fn redact(text: &str) -> Cow<'_, str> {
    with_finder(|finder| finder.redact(text))
}

/// The same of a text whose end was cut off, perhaps within a secret.
pub fn redact_cut(text: &str) -> Cow<'_, str> {
    with_finder(|finder| finder.redact_cut(text))
}

fn with_finder<T>(find: impl Fn(&Finder) -> T) -> T {
    {
        let known = known();
        if let Some(finder) = known
            .finder
            .as_ref()
            .filter(|_| known.looked.elapsed() < LOOK)
        {
            return find(finder);
        }
    }
    find(changing().finder(Instant::now()))
}

fn known() -> RwLockReadGuard<'static, Secrets> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner)
}

fn changing() -> RwLockWriteGuard<'static, Secrets> {
    KNOWN.write().unwrap_or_else(PoisonError::into_inner)
}

impl Secrets {
    fn new() -> Self {
        Self {
            entries: Vec::new(),
            finder: None,
            looked: Instant::now(),
            crowded: GONE,
        }
    }

    fn learn(&mut self, secret: &Arc<Secret>) {
        let mut entries = self.entries.iter();
        let is_known = entries.any(|entry| entry.secret.as_ptr() == Arc::as_ptr(secret));
        // A line end at its end is no part of any form.
        let value = secret.expose().trim_end_matches(['\n', '\r']);
        if value.len() < SHORTEST || is_known {
            return;
        }
        self.entries.push(Entry {
            secret: Arc::downgrade(secret),
            forms: forms(secret.expose()),
            gone: None,
        });
        self.finder = None;
        // Where no text is written, nobody else looks.
        if self.looked.elapsed() >= LOOK || self.entries.len() >= self.crowded {
            self.forget(Instant::now());
        }
    }

    /// What finds those that are known now.
    fn finder(&mut self, now: Instant) -> &Finder {
        self.forget(now);
        self.finder.insert(Finder::new(&self.entries))
    }

    /// Lets go what nobody has held for long enough, and of what is too much what went first.
    fn forget(&mut self, now: Instant) {
        self.looked = now;
        self.entries.retain_mut(|entry| {
            // A count of none never grows again.
            if entry.secret.strong_count() > 0 {
                return true;
            }
            let forms = std::mem::take(&mut entry.forms);
            let (_, since) = entry.gone.get_or_insert_with(|| {
                let traces = forms
                    .iter()
                    .map(|form| Trace::of(form, &(SHORTEST_HEAD..HEAD)));
                (traces.collect(), now)
            });
            now.duration_since(*since) < GRACE
        });
        // What is held was learnt at any time: of the others those are too much that went the longest ago.
        self.entries
            .sort_by_key(|entry| entry.gone.as_ref().map(|(_, since)| *since));
        let gone = self.entries.iter().filter(|entry| entry.gone.is_some());
        let mut surplus = gone.count().saturating_sub(GONE);
        self.entries.retain(|entry| {
            let goes = surplus > 0 && entry.gone.is_some();
            surplus -= usize::from(goes);
            !goes
        });
        self.crowded = self.entries.len() + GONE / 2;
    }
}

impl Finder {
    fn new(entries: &[Entry]) -> Self {
        let forms: Vec<Form> = entries
            .iter()
            .flat_map(|entry| entry.forms.iter().cloned())
            .collect();
        let heads = forms.iter().map(|form| form.get(..HEAD).unwrap_or(form));
        let mut builder = AhoCorasickBuilder::new();
        // A table would be a hundred times as large, for texts that are short.
        builder
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA));
        let heads = builder.build(heads).ok();
        let mut begins: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (number, form) in forms.iter().enumerate() {
            if let Some(begin) = form.first_chunk() {
                begins.entry(*begin).or_default().push(number);
            }
        }
        let gone = entries.iter().filter_map(|entry| entry.gone.as_ref());
        Self {
            heads,
            begins,
            forms,
            traces: Traces::new(gone.flat_map(|(traces, _)| traces)),
        }
    }

    fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        masked(text, &self.spots(text.as_bytes()))
    }

    fn redact_cut<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut spots = self.spots(text.as_bytes());
        if let Some(head) = self.head_at_the_end(text.as_bytes()) {
            spots.push((text.len() - head, text.len()));
        }
        masked(text, &apart(spots))
    }

    /// Where secrets are, in order and apart from each other.
    fn spots(&self, text: &[u8]) -> Vec<(usize, usize)> {
        let Some(heads) = &self.heads else {
            // Rather nothing is shown than what may be one.
            return vec![(0, text.len())];
        };
        let found = heads.find_overlapping_iter(text).map(|found| {
            let form = self
                .forms
                .get(found.pattern().as_usize())
                .map_or(&[][..], |form| form.as_slice());
            let rest = text.get(found.start()..).unwrap_or_default();
            let same = form
                .iter()
                .zip(rest)
                .take_while(|(one, other)| one == other)
                .count();
            (found.start(), found.start() + same)
        });
        apart(found.chain(self.traces.spots(text)).collect())
    }

    /// How much of the end of a text begins a secret.
    fn head_at_the_end(&self, text: &[u8]) -> Option<usize> {
        // From the longest: what is as long as a head was found as one.
        let lengths = (SHORTEST_HEAD..HEAD)
            .rev()
            .filter(|length| *length <= text.len());
        lengths.into_iter().find(|length| {
            let end = text.get(text.len() - length..).unwrap_or_default();
            let begin = end.first_chunk().and_then(|begin| self.begins.get(begin));
            let mut forms = begin
                .into_iter()
                .flatten()
                .filter_map(|at| self.forms.get(*at));
            forms.any(|form| form.starts_with(end)) || self.traces.begin_with(end)
        })
    }
}

fn apart(mut spots: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
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

fn masked<'t>(text: &'t str, spots: &[(usize, usize)]) -> Cow<'t, str> {
    if spots.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for (start, end) in spots {
        // A form may be followed into the middle of a character, which is shown no more than what is before it.
        let end = (*end..=text.len())
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(text.len());
        shown.push_str(text.get(from..*start).unwrap_or_default());
        shown.push_str(MASK);
        from = end;
    }
    shown.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;
    use crate::model::percent;

    /// What finds these, in a world of its own; they are held meanwhile.
    fn world(secrets: &[&str]) -> (Secrets, Vec<Arc<Secret>>) {
        let held: Vec<_> = secrets
            .iter()
            .map(|text| Arc::new(Secret::new(*text)))
            .collect();
        let mut world = Secrets::new();
        for secret in &held {
            world.learn(secret);
        }
        (world, held)
    }

    fn redacted(secrets: &[&str], text: &str) -> String {
        let (mut world, _held) = world(secrets);
        world.finder(Instant::now()).redact(text).into_owned()
    }

    #[test]
    fn a_secret_is_known_while_somebody_holds_it_and_for_a_while() {
        let (mut world, mut held) = world(&["held-canary-1", "gone-canary-1"]);
        held.pop();
        let now = Instant::now();
        let text = "held-canary-1 gone-canary-1";
        for (after, shown) in [
            (Duration::ZERO, "**** ****"),
            (GRACE / 2, "**** ****"),
            (GRACE, "**** gone-canary-1"),
            (GRACE * 10, "**** gone-canary-1"),
        ] {
            assert_eq!(world.finder(now + after).redact(text), shown, "{after:?}");
        }
    }

    #[test]
    fn however_many_come_and_go_the_latest_are_known_and_those_that_are_held() {
        let (mut world, _held) = world(&["held-canary-1"]);
        let name = |number: usize| format!("gone-canary-{number:06}");
        for number in 0..GONE * 4 {
            world.learn(&Arc::new(Secret::new(name(number))));
            assert!(world.entries.len() <= GONE * 3, "{number}");
        }
        let finder = world.finder(Instant::now());
        let shown = |text: &str| finder.redact(text).into_owned();
        assert_eq!(shown("held-canary-1"), "****");
        for number in GONE * 3..GONE * 4 {
            assert_eq!(shown(&name(number)), "****", "{number}");
        }
        assert_eq!(world.entries.len(), GONE + 1);
    }

    #[test]
    fn of_what_nobody_holds_no_form_is_kept_and_all_of_it_is_taken_out() {
        let long = format!("long-canary-{}", "0123456789".repeat(20));
        let (mut world, held) = world(&[&long, "short-one"]);
        drop(held);
        world.finder(Instant::now());
        assert!(world.entries.iter().all(|entry| entry.forms.is_empty()));
        let finder = world.finder(Instant::now());
        assert!(finder.forms.is_empty());
        let encoded = STANDARD.encode(format!("x{long}"));
        for (text, shown) in [
            (format!("a {long} b"), "a **** b"),
            ("a short-one b".to_owned(), "a **** b"),
            // Where it was cut, what follows cannot be told from it.
            (format!("a {}", long.get(..HEAD).unwrap()), "a ****"),
        ] {
            assert_eq!(finder.redact(&text), shown, "{text}");
        }
        assert!(
            !finder
                .redact(&encoded)
                .contains(encoded.get(4..40).unwrap())
        );
        assert_eq!(finder.redact("nothing of it"), "nothing of it");
    }

    #[test]
    fn what_begins_like_one_that_went_leaves_the_record_whole() {
        let head = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ";
        let renewed = format!("{head}zdWIiOiJhbmEifQ.{}", "s".repeat(400));
        let other = format!("{head}{}", "t".repeat(90));
        let long = format!("Authorization failed: {}", "x y ".repeat(1_800));
        let (mut world, held) = world(&[&renewed, &other, &long]);
        drop(held);
        let finder = world.finder(Instant::now());
        for (text, shown) in [
            (
                format!("{{\"text\":\"a {head}\",\"level\":\"warn\"}}\n"),
                "{\"text\":\"a ****\",\"level\":\"warn\"}\n",
            ),
            (format!("a {head}\\n b"), "a ****\\n b"),
            (format!("[{head},1]"), "[****,1]"),
            (format!("{renewed}/b {other}/b"), "****/b ****/b"),
            (format!("a {long}b"), "a ****b"),
            (
                "{\"error\":\"Authorization failed: no\",\"n\":1}\n".to_owned(),
                "{\"error\":\"**** no\",\"n\":1}\n",
            ),
        ] {
            assert_eq!(finder.redact(&text), shown, "{text}");
        }
    }

    #[test]
    fn of_what_is_too_much_that_is_forgotten_which_went_first() {
        let (mut world, held) = world(&["held-canary-1"]);
        for number in 0..GONE {
            world.learn(&Arc::new(Secret::new(format!("gone-canary-{number:06}"))));
        }
        drop(held);
        let finder = world.finder(Instant::now());
        assert_eq!(finder.redact("a held-canary-1"), "a ****");
        assert_eq!(world.entries.len(), GONE);
    }

    #[test]
    fn what_is_learnt_by_one_is_taken_out_for_all() {
        let secret = Arc::new(Secret::new("canary-of-the-process"));
        learn(&secret);
        learn(&secret);
        assert_eq!(redact("a canary-of-the-process b"), "a **** b");
        assert_eq!(redact_cut("a canary-of-the"), "a ****");
    }

    #[test]
    fn words_are_no_secrets() {
        assert_eq!(redacted(&["\n\n\n\n\n\n\n\n"], "a text"), "a text");
        assert_eq!(redacted(&["short"], "a short text"), "a short text");
    }

    #[test]
    fn secrets_that_overlap_are_both_taken_out() {
        let secrets = ["overlap-abcdefgh", "abcdefgh-overlap"];
        assert_eq!(
            redacted(&secrets, "x overlap-abcdefgh-overlap y"),
            "x **** y"
        );
    }

    #[test]
    fn the_most_of_a_secret_is_one_and_a_long_one_is_followed_to_its_end() {
        let long = format!("long-canary-head-{}", "0123456789".repeat(5000));
        let (mut world, _held) = world(&[&long]);
        let finder = world.finder(Instant::now());
        for length in [HEAD, HEAD + 1, 1000, long.len()] {
            let part = long.get(..length).unwrap();
            assert_eq!(
                finder.redact(&format!("x {part}/y")),
                "x ****/y",
                "{length}"
            );
        }
    }

    #[test]
    fn the_end_of_a_cut_text_shows_no_half_of_a_secret() {
        let whole = "cut-canary-0123456789";
        let (mut world, mut held) = world(&[whole]);
        for gone in [false, true] {
            if gone {
                held.clear();
            }
            let finder = world.finder(Instant::now());
            for length in SHORTEST_HEAD..=whole.len() {
                let text = format!("x {}", whole.get(..length).unwrap());
                assert_eq!(finder.redact_cut(&text), "x ****", "{length} {gone}");
            }
            assert_eq!(finder.redact_cut("x cut"), "x cut");
        }
    }

    #[test]
    fn a_thousand_long_secrets_are_found_by_one_automaton_of_their_heads() {
        let values: Vec<String> = (0..1000)
            .map(|number| format!("{number:08}-many-{}", "x".repeat(3000)))
            .collect();
        let secrets: Vec<&str> = values.iter().map(String::as_str).collect();
        let (mut world, _held) = world(&secrets);
        let finder = world.finder(Instant::now());
        assert_eq!(finder.redact(&values[500]), "****");
        let heads = finder.heads.as_ref().unwrap();
        assert!(
            heads.memory_usage() < 16 * 1024 * 1024,
            "{}",
            heads.memory_usage()
        );
    }

    proptest! {
        #[test]
        fn planted_at_any_offset_in_any_form_nothing_is_left(
            text in "[ -~äé€]{8,40}",
            before in "[ -~ü\n]{0,60}",
            after in "[ -~ü\n]{0,60}",
            form in 0_usize..6,
        ) {
            let planted = match form {
                0 => text.clone(),
                1 => percent(&text, b"", true),
                2 => STANDARD.encode(&text),
                3 => STANDARD.encode(format!("user:{text}")),
                4 => serde_json::Value::from(text.as_str()).to_string(),
                _ => format!("{text:?}"),
            };
            let shown = redacted(&[&text], &format!("{before}{planted}{after}"));
            prop_assert!(shown.contains(MASK), "{shown}");
            // A mask may stand beside the same characters that surrounded the secret.
            prop_assert!(!shown.contains(&text) || MASK.contains(&text), "{shown}");
            if form < 3 {
                prop_assert!(!shown.contains(&planted), "{shown}");
            }
        }
    }
}
