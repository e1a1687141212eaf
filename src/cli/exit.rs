//! The exit codes: the only place that knows the numbers.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked.
    Done,
    /// It failed; also a tool result that says `isError`, and what did not happen in time.
    Failed,
    /// The command line is wrong.
    Usage,
    /// There is no daemon to talk to.
    NoDaemon,
    /// A login or a secret is needed.
    NeedsLogin,
    /// A rule or a person refused it.
    Refused,
    /// The configuration is wrong, or something else that keeps the daemon from starting until a person mends it. Units do
    /// not restart on it.
    Configuration,
    /// A signal ended it.
    Interrupted,
}

impl Exit {
    /// Every exit code, in order.
    pub const ALL: [Self; 8] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::NoDaemon,
        Self::NeedsLogin,
        Self::Refused,
        Self::Configuration,
        Self::Interrupted,
    ];

    /// The number that the shell sees.
    pub fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoDaemon => 3,
            Self::NeedsLogin => 4,
            Self::Refused => 5,
            Self::Configuration => 78, // EX_CONFIG of sysexits.h
            Self::Interrupted => 130,  // 128 + SIGINT, as shells count
        }
    }

    /// What it means, for `janus help exit-codes`.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed, or not within --timeout, or a tool answered with an error",
            Self::Usage => "the command line is wrong",
            Self::NoDaemon => "no daemon to talk to",
            Self::NeedsLogin => "a login or a secret is needed",
            Self::Refused => "refused by a rule or a person",
            Self::Configuration => {
                "the configuration is wrong, or only a person can let the daemon start"
            }
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}
