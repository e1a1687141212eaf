//! One record: the fields that people filter by, and a text that says all of it.

use std::fmt::{self, Write as _};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::happening::id_of;
use super::known::redact;

/// What one event says, redacted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub time: SystemTime,
    /// How bad.
    #[serde(with = "level")]
    pub level: Level,
    /// All of it, in words.
    pub message: String,
    /// What it is about.
    pub fields: Fields,
}

/// What a record is about: [`FIELDS`], and the id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fields {
    /// The id of what happened.
    #[serde(skip)]
    pub message_id: Option<&'static str>,
    /// What happened, in a word.
    pub event: Option<String>,
    /// The server.
    pub server: Option<String>,
    /// The account, with its server before it.
    pub account: Option<String>,
    /// The profile.
    pub profile: Option<String>,
    /// The client, by its key.
    pub client: Option<String>,
    /// The tool.
    pub tool: Option<String>,
    /// The id of a login.
    pub login: Option<String>,
    /// The word for a failure.
    pub code: Option<String>,
}

/// The names of the fields that a record has in the journal (`JANUS_` before each, in capitals), in the daemon's answers
/// and in what `janus logs` prints.
pub const FIELDS: [&str; 8] = [
    "event", "server", "account", "profile", "client", "tool", "login", "code",
];

impl Entry {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let mut read = Read::default();
        event.record(&mut read);
        let Read {
            mut message,
            rest,
            mut fields,
        } = read;
        // What others say of themselves means nothing without their name.
        let source = metadata.target().split("::").next().unwrap_or_default();
        if source != "janus" {
            message = format!("{source}: {message}");
        }
        if !rest.is_empty() {
            write!(message, " ({})", rest.join(", ")).ok();
        }
        fields.complete();
        let message = redact(&message);
        Self {
            time: SystemTime::now(),
            level: *metadata.level(),
            message: fields.named_in(&message),
            fields,
        }
    }
}

/// Whether a text says a name, and not just one that begins or ends like it.
fn says(text: &str, name: &str) -> bool {
    let part = |next: Option<char>| next.is_some_and(|c| c.is_alphanumeric() || "-_".contains(c));
    let mut parts = text.split(name).peekable();
    while let Some(before) = parts.next() {
        if let Some(after) = parts.peek()
            && !part(before.chars().next_back())
            && !part(after.chars().next())
        {
            return true;
        }
    }
    false
}

impl Entry {
    /// Leaves so many characters of each text at most.
    pub(super) fn cut(&mut self, longest: usize) {
        let cut = |text: &mut String| {
            if let Some((end, _)) = text.char_indices().nth(longest) {
                text.truncate(end);
            }
        };
        cut(&mut self.message);
        for name in FIELDS {
            if let Some(Some(text)) = self.fields.of_name(name) {
                cut(text);
            }
        }
    }
}

impl Fields {
    /// What it says of each of [`FIELDS`], with its name.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, Option<&str>)> {
        let Self {
            message_id: _,
            event,
            server,
            account,
            profile,
            client,
            tool,
            login,
            code,
        } = self;
        let values = [event, server, account, profile, client, tool, login, code];
        FIELDS.into_iter().zip(values.map(Option::as_deref))
    }

    /// A text with the account that it is about, or else the server: many who read the journal see the text alone.
    fn named_in(&self, text: &str) -> String {
        match self.account.as_ref().or(self.server.as_ref()) {
            Some(name) if !says(text, name) => format!("{name}: {text}"),
            _ => text.to_owned(),
        }
    }

    fn of_name(&mut self, name: &str) -> Option<&mut Option<String>> {
        let Self {
            message_id: _,
            event,
            server,
            account,
            profile,
            client,
            tool,
            login,
            code,
        } = self;
        let values = [event, server, account, profile, client, tool, login, code];
        let mut named = FIELDS.into_iter().zip(values);
        named.find_map(|(known, value)| (known == name).then_some(value))
    }

    /// An account names its server, and a word its id.
    pub(super) fn complete(&mut self) {
        if self.server.is_none() {
            let account = self.account.as_deref();
            let server = account.and_then(|account| account.split_once('/'));
            self.server = server.map(|(server, _)| server.to_owned());
        }
        self.message_id = self.event.as_deref().and_then(id_of);
    }
}

/// A level by its name.
mod level {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use tracing::Level;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    pub(super) fn serialize<S: Serializer>(level: &Level, writer: S) -> Result<S::Ok, S::Error> {
        writer.serialize_str(level.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(reader: D) -> Result<Level, D::Error> {
        let name = String::deserialize(reader)?;
        name.parse().map_err(D::Error::custom)
    }
}

/// Reads an event.
#[derive(Default)]
struct Read {
    message: String,
    rest: Vec<String>,
    fields: Fields,
}

impl Read {
    fn take(&mut self, name: &str, value: String) {
        if name == "message" {
            self.message = value;
        } else if let Some(field) = self.fields.of_name(name) {
            *field = Some(redact(&value).into_owned());
        } else {
            self.rest.push(format!("{name}: {value}"));
        }
    }
}

impl Visit for Read {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::Subscriber;
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt};

    use super::*;
    use crate::model::Secret;
    use crate::telemetry::learn;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<Entry>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(Entry::of(event));
        }
    }

    fn entry(log: impl FnOnce()) -> Entry {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::registry().with(kept.clone());
        tracing::subscriber::with_default(subscriber, log);
        kept.0.lock().unwrap().remove(0)
    }

    #[test]
    fn fields_are_told_apart_and_the_rest_stands_in_the_text() {
        let said = entry(|| {
            tracing::warn!(
                event = "login_needed",
                account = %"github/work",
                login = "7f3k9q",
                left = 3,
                "login needed"
            );
        });
        assert_eq!(said.message, "github/work: login needed (left: 3)");
        assert_eq!(said.level, Level::WARN);
        let fields = Fields {
            message_id: Some("37dff62c57424717ab94f66148ab322b"),
            event: Some("login_needed".to_owned()),
            server: Some("github".to_owned()),
            account: Some("github/work".to_owned()),
            login: Some("7f3k9q".to_owned()),
            ..Fields::default()
        };
        assert_eq!(said.fields, fields);
    }

    #[test]
    fn the_text_says_once_whom_it_is_about() {
        let of = |account: Option<&str>, server: Option<&str>, text| {
            entry(|| tracing::info!(account, server, "{text}")).message
        };
        let (account, server) = (Some("github/work"), Some("github"));
        for (account, server, text, said) in [
            (account, None, "gone", "github/work: gone"),
            (account, server, "gone", "github/work: gone"),
            (None, server, "gone", "github: gone"),
            (None, None, "gone", "gone"),
            (
                account,
                None,
                "the login of github/work ended",
                "the login of github/work ended",
            ),
            (
                account,
                None,
                "`github/work` is gone",
                "`github/work` is gone",
            ),
            (None, server, "github/work is gone", "github/work is gone"),
            (
                account,
                None,
                "github/work-2 is not",
                "github/work: github/work-2 is not",
            ),
            (None, server, "mygithub is not", "github: mygithub is not"),
        ] {
            assert_eq!(of(account, server, text), said);
        }
    }

    #[test]
    fn others_are_named_before_what_they_say() {
        let said = entry(|| tracing::warn!(target: "rmcp::transport", "closed"));
        assert_eq!(said.message, "rmcp: closed");
        assert_eq!(said.fields, Fields::default());
    }

    #[test]
    fn no_secret_is_in_a_text_or_a_field() {
        let secret = Arc::new(Secret::new("journal-canary-42"));
        learn(&secret);
        let value = secret.expose();
        let said = entry(|| {
            tracing::error!(account = value, error = value, "it is {value}");
        });
        assert_eq!(said.message, "it is **** (error: ****)");
        assert_eq!(said.fields.account.as_deref(), Some("****"));
    }
}
