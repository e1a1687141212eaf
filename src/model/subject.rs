//! What a request is about: the thing that is permitted or denied.

use std::fmt;

/// What a request wants of a server, in the server's own words.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// `tools/call`
    Tool(String),
    /// `prompts/get`
    Prompt(String),
    /// `resources/read`, `resources/subscribe`, `resources/unsubscribe`
    Resource(String),
    /// `completion/complete` for a prompt's argument.
    PromptCompletion(String),
    /// `completion/complete` for a resource template's argument.
    ResourceCompletion(String),
    /// `tasks/…` of this task.
    Task(String),
    /// Anything else, by its method: lists of a transparent view, `logging/setLevel`, extensions.
    Method(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tool(name) => write!(f, "tool `{name}`"),
            Self::Prompt(name) | Self::PromptCompletion(name) => write!(f, "prompt `{name}`"),
            Self::Resource(uri) | Self::ResourceCompletion(uri) => write!(f, "resource `{uri}`"),
            Self::Task(id) => write!(f, "task `{id}`"),
            Self::Method(method) => write!(f, "method `{method}`"),
        }
    }
}
