//! What a source says about one server or account, before anything is decided about it.

use serde_json::{Map, Value};

use super::NotImported;
use super::login::Login;
use super::words::shown;
use crate::model::Switching;

/// One entry of a source. Its texts are raw: they hold secrets and references in the source's own form.
#[derive(Clone)]
pub(super) struct Entry {
    /// The keys that lead to it, for notes.
    pub(super) at: String,
    /// What the source calls it.
    pub(super) name: String,
    /// The server, where the source names it beside the account.
    pub(super) service: Option<String>,
    pub(super) target: Target,
    /// How it logs in, where it does.
    pub(super) login: Option<Login>,
    pub(super) label: Option<String>,
    pub(super) description: Option<String>,
    pub(super) include: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) enabled: bool,
}

/// Where it leads.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Target {
    Remote {
        url: String,
        headers: Vec<Field>,
    },
    Process {
        command: Vec<String>,
        env: Vec<Field>,
    },
}

/// A header or a variable.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) value: String,
    /// Whether the source says that it is a secret.
    pub(super) secret: bool,
}

/// All that a source says.
#[derive(Default)]
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    pub(super) notes: Vec<String>,
    pub(super) switching: Option<Switching>,
    /// The name of the entry that is used where nothing else is said.
    pub(super) default: Option<String>,
    /// Names, each with names of entries.
    pub(super) profiles: Vec<(String, Vec<String>)>,
}

impl Entry {
    pub(super) fn new(at: String, name: &str, target: Target) -> Self {
        Self {
            at,
            name: name.to_owned(),
            service: None,
            target,
            login: None,
            label: None,
            description: None,
            include: Vec::new(),
            exclude: Vec::new(),
            enabled: true,
        }
    }
}

impl Field {
    pub(super) fn new(name: &str, value: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            value: value.into(),
            secret: false,
        }
    }
}

/// A map of the source whose keys are taken out one by one, so that the rest can be told.
pub(super) struct Section {
    pub(super) at: String,
    left: Map<String, Value>,
}

impl Section {
    pub(super) fn new(at: String, value: &Value) -> Result<Self, NotImported> {
        match value {
            Value::Object(map) => Ok(Self {
                at,
                left: map.clone(),
            }),
            other => Err(wrong(&at, "a map", other)),
        }
    }

    /// The value of the first of these keys that is there; null counts as absent.
    pub(super) fn take(&mut self, keys: &[&str]) -> Option<Value> {
        let key = keys.iter().find(|key| self.left.contains_key(**key))?;
        self.left
            .shift_remove(*key)
            .filter(|value| !value.is_null())
    }

    /// A text; a number or switch is one too.
    pub(super) fn text(&mut self, keys: &[&str]) -> Result<Option<String>, NotImported> {
        let at = self.place(keys);
        self.take(keys).map(|value| text(&at, &value)).transpose()
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, keys: &[&str]) -> Result<Vec<String>, NotImported> {
        let at = self.place(keys);
        match self.take(keys) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(|item| text(&at, item)).collect(),
            Some(other) => Err(wrong(&at, "a list", &other)),
        }
    }

    /// A map of texts.
    pub(super) fn fields(&mut self, keys: &[&str]) -> Result<Vec<Field>, NotImported> {
        let at = self.place(keys);
        match self.take(keys) {
            None => Ok(Vec::new()),
            Some(Value::Object(map)) => map
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| {
                    let at = format!("{at}.{}", shown(name));
                    Ok(Field::new(name, text(&at, value)?))
                })
                .collect(),
            Some(other) => Err(wrong(&at, "a map", &other)),
        }
    }

    pub(super) fn switch(&mut self, keys: &[&str]) -> Option<bool> {
        self.take(keys)?.as_bool()
    }

    /// The keys that are left.
    pub(super) fn left(&self) -> Vec<&str> {
        self.left.keys().map(String::as_str).collect()
    }

    /// Tells which keys are left, if any.
    pub(super) fn tell_left(&self, notes: &mut Vec<String>) {
        if let Some(keys) = listed(self.left()) {
            notes.push(format!("`{}`: no counterpart for {keys}", self.at));
        }
    }

    fn place(&self, keys: &[&str]) -> String {
        let key = keys.iter().find(|key| self.left.contains_key(**key));
        format!("{}.{}", self.at, key.copied().unwrap_or_default())
    }
}

/// Keys as a note names them.
pub(super) fn listed<'k>(keys: impl IntoIterator<Item = &'k str>) -> Option<String> {
    let keys: Vec<String> = keys
        .into_iter()
        .map(|key| format!("`{}`", shown(key)))
        .collect();
    (!keys.is_empty()).then(|| keys.join(", "))
}

/// A text without the character that no program and no header takes.
pub(super) fn text(at: &str, value: &Value) -> Result<String, NotImported> {
    match value {
        Value::String(text) if text.contains('\0') => Err(NotImported::WrongType {
            at: at.to_owned(),
            expected: "text without a NUL character",
            found: "text with one",
        }),
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(switch) => Ok(switch.to_string()),
        other => Err(wrong(at, "text", other)),
    }
}

pub(super) fn wrong(at: &str, expected: &'static str, found: &Value) -> NotImported {
    NotImported::WrongType {
        at: at.to_owned(),
        expected,
        found: kind(found),
    }
}

/// What a value is, for people.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
