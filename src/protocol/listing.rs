//! What a server offers, item by item, as it wrote them.

use std::sync::Arc;

use super::{Json, Object, Revision};

/// One tool, prompt, resource or resource template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// `name`, `uri` or `uriTemplate`: what a request names it by.
    pub key: String,
    /// The whole item.
    pub json: Json,
}

/// The four lists of MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListKind {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    Templates,
}

impl ListKind {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Tools, Self::Prompts, Self::Resources, Self::Templates];

    /// The method that asks for it.
    pub fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
        }
    }

    /// The list that a method asks for.
    pub fn of_method(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.method() == method)
    }

    /// The member of the result that holds it.
    pub fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// The member that names an item.
    pub fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }

    /// The capability under which a server offers it.
    pub fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources | Self::Templates => "resources",
        }
    }

    /// The notification that it changed. Templates have none of their own.
    pub fn changed(self) -> &'static str {
        match self {
            Self::Tools => "notifications/tools/list_changed",
            Self::Prompts => "notifications/prompts/list_changed",
            Self::Resources | Self::Templates => "notifications/resources/list_changed",
        }
    }
}

/// What a server said of itself, at `initialize` or `server/discover`.
#[derive(Debug, Clone)]
pub struct ServerFacts {
    /// The revision spoken with it.
    pub revision: Revision,
    /// `capabilities`, as it wrote them.
    pub capabilities: Object,
    /// `serverInfo`, as it wrote it.
    pub info: Option<Json>,
    /// `instructions`.
    pub instructions: Option<String>,
}

/// Everything a server offers: swapped as a whole when it changes.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// What it said of itself; `None` until it was reached for the first time.
    pub server: Option<Arc<ServerFacts>>,
    /// In the server's own order.
    pub tools: Arc<[Item]>,
    /// In the server's own order.
    pub prompts: Arc<[Item]>,
    /// In the server's own order.
    pub resources: Arc<[Item]>,
    /// In the server's own order.
    pub templates: Arc<[Item]>,
}

impl Listing {
    /// One of the lists.
    pub fn of(&self, kind: ListKind) -> &Arc<[Item]> {
        match kind {
            ListKind::Tools => &self.tools,
            ListKind::Prompts => &self.prompts,
            ListKind::Resources => &self.resources,
            ListKind::Templates => &self.templates,
        }
    }

    /// One of the lists, to replace it.
    pub fn of_mut(&mut self, kind: ListKind) -> &mut Arc<[Item]> {
        match kind {
            ListKind::Tools => &mut self.tools,
            ListKind::Prompts => &mut self.prompts,
            ListKind::Resources => &mut self.resources,
            ListKind::Templates => &mut self.templates,
        }
    }
}
