//! How a command failed: what was sent, where, why, and what to do about it.

use serde_json::{Map, Value, json};

use super::Exit;
use crate::config::{ConfigError, Problem};

/// More than this nobody reads.
const MOST_HELP: usize = 3;

/// A failed command. The message is a lower-case fragment with names in backticks and without a full stop.
///
/// It is one pointer wide, so that results stay small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(Box<Parts>);

/// What a failure is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) sent: Option<String>,
    pub(super) place: Option<String>,
    pub(super) because: Vec<String>,
    pub(super) help: Vec<String>,
    /// The single mistakes, where one run found several; people read these instead of the rest.
    pub(super) mistakes: Vec<Failure>,
    exit: Exit,
}

impl Failure {
    /// A failure with a fixed code for scripts (`no_such_tool`) and a message for people.
    pub fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            code,
            message: message.into(),
            sent: None,
            place: None,
            because: Vec::new(),
            help: Vec::new(),
            mistakes: Vec::new(),
            exit,
        }))
    }

    /// Nobody listens where the daemon would.
    pub(super) fn no_daemon(place: String, because: impl Into<String>) -> Self {
        Self::new(Exit::NoDaemon, "no_daemon", "there is no daemon to talk to")
            .sent("nothing")
            .place(place)
            .because(because)
            .help("start it in another terminal:  janus serve")
            .help("or have it started whenever it is asked for:  janus service install")
            .help("or name the directory of its sockets:  --runtime-dir DIR")
    }

    /// What was sent before it failed: `nothing`, or what reached the server.
    #[must_use]
    pub fn sent(mut self, sent: impl Into<String>) -> Self {
        self.0.sent = Some(sent.into());
        self
    }

    /// Where to look: a file with line and column, a server.
    #[must_use]
    pub fn place(mut self, place: impl Into<String>) -> Self {
        self.0.place = Some(place.into());
        self
    }

    /// A cause; the outermost first.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.0.because.push(cause.into());
        self
    }

    /// A next step, best a line to paste. At most three are kept.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help.push(help.into());
        self.0.help.truncate(MOST_HELP);
        self
    }

    /// The same with another exit code.
    #[must_use]
    pub(super) fn exits(mut self, exit: Exit) -> Self {
        self.0.exit = exit;
        self
    }

    /// The exit code it leads to.
    pub fn exit(&self) -> Exit {
        self.0.exit
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.0
    }

    /// A command line that cannot be understood, in the parser's words.
    pub(super) fn usage(error: &clap::Error) -> Self {
        let text = error.render().to_string().replace('\'', "`");
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or("this cannot be understood");
        let message = first.strip_prefix("error: ").unwrap_or(first).to_owned();
        let mut failure = Self::new(Exit::Usage, "usage", message);
        for line in lines {
            failure = match line.strip_prefix("tip: ") {
                Some(tip) => failure.help(tip),
                None if line.starts_with("Usage:") => failure.help(line.to_owned()),
                None if line.starts_with("For more information") => failure,
                None => failure.because(line),
            };
        }
        failure
    }

    /// `{"error":{…}}`.
    pub(super) fn to_json(&self) -> Value {
        let mut error = self.fields();
        error.insert("exit".to_owned(), self.0.exit.number().into());
        if !self.0.mistakes.is_empty() {
            let mistakes: Vec<Value> = self.0.mistakes.iter().map(|m| m.fields().into()).collect();
            error.insert("mistakes".to_owned(), mistakes.into());
        }
        json!({ "error": error })
    }

    fn fields(&self) -> Map<String, Value> {
        let parts = &self.0;
        let fields: [(&str, Value); 6] = [
            ("code", parts.code.into()),
            ("message", parts.message.as_str().into()),
            ("sent", parts.sent.as_deref().into()),
            ("where", parts.place.as_deref().into()),
            ("because", parts.because.as_slice().into()),
            ("help", parts.help.as_slice().into()),
        ];
        fields
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect()
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let failure = Self::new(Exit::Configuration, "configuration", error.to_string());
        match error {
            ConfigError::Wrong { file, problems, .. } => {
                let file = file.display().to_string();
                let mistakes = problems.iter().map(|problem| mistake(problem, &file));
                let mut failure = failure.place(file.as_str());
                failure.0.mistakes = mistakes.collect();
                failure
            }
            ConfigError::Unreadable { source, .. } => failure.because(source.to_string()),
            ConfigError::NotText { path, position } => failure
                .place(format!("{}:{position}", path.display()))
                .help("save it as UTF-8"),
            ConfigError::NotFound { .. } => failure.help("create it, or name another"),
            ConfigError::NoHome => failure.help("set HOME, or XDG_CONFIG_HOME and XDG_STATE_HOME"),
            ConfigError::Directory { .. } | ConfigError::TooLarge { .. } => failure,
        }
    }
}

fn mistake(problem: &Problem, file: &str) -> Failure {
    let place = &problem.place;
    let path = if place.path.is_empty() {
        String::new()
    } else {
        format!(" ({})", place.path)
    };
    let failure = Failure::new(
        Exit::Configuration,
        problem.mistake.code(),
        problem.mistake.to_string(),
    )
    .place(format!("{file}:{}{path}", place.position));
    match &problem.help {
        Some(help) => failure.help(help),
        None => failure,
    }
}

/// What nobody distinguishes: the message and its causes.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let failure = Self::new(Exit::Failed, "failed", error.to_string());
        error
            .chain()
            .skip(1)
            .fold(failure, |failure, cause| failure.because(cause.to_string()))
    }
}
