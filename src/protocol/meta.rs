//! The keys of `_meta` that Janus reads, sets or removes. Every other key belongs to somebody else and is left alone.

/// Modern request: the revision it is written in.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// Modern request: what the client can do.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// Modern request: who the client says it is. For display only.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// Modern request: the least severe log message wanted on its stream.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// Modern notification: the id of the `subscriptions/listen` it belongs to.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// Modern result: who answered.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// Both eras: what progress notifications of this request shall be marked with.
pub const PROGRESS_TOKEN: &str = "progressToken";

/// Both eras: which account a request means, as its `janus_account` argument says it.
pub const ACCOUNT: &str = "dev.janus/account";
/// Both eras, of lists: how long servers that are still starting shall be waited for, in milliseconds.
pub const WAIT: &str = "dev.janus/wait";
/// Both eras, of lists: the only server that is meant to be waited for.
pub const SERVER: &str = "dev.janus/server";
/// Both eras, of the lists that were asked to wait: the accounts that nothing is listed of, and why.
pub const MISSING: &str = "dev.janus/missing";
/// Both eras: as whom a result was obtained.
pub const IDENTITY: &str = "dev.janus/identity";

/// The keys that exist in modern requests only and would confuse a legacy server. Nothing else under the
/// prefix is removed: tasks of 2025-11-25 have keys there too.
pub const MODERN_REQUEST_KEYS: [&str; 4] = [
    PROTOCOL_VERSION,
    CLIENT_CAPABILITIES,
    CLIENT_INFO,
    LOG_LEVEL,
];
