//! The severities of RFC 5424, as MCP logging uses them.

/// How severe a log message is. The most verbose one is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// `debug`
    Debug,
    /// `info`
    Info,
    /// `notice`
    Notice,
    /// `warning`
    Warning,
    /// `error`
    Error,
    /// `critical`
    Critical,
    /// `alert`
    Alert,
    /// `emergency`
    Emergency,
}

impl LogLevel {
    /// The names, most verbose first.
    pub const NAMES: [&'static str; 8] = [
        "debug",
        "info",
        "notice",
        "warning",
        "error",
        "critical",
        "alert",
        "emergency",
    ];
    const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// The level of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .zip(Self::ALL)
            .find(|(known, _)| **known == name)
            .map(|(_, level)| level)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        Self::NAMES
            .iter()
            .zip(Self::ALL)
            .find(|(_, level)| *level == self)
            .map_or("info", |(name, _)| name)
    }
}
