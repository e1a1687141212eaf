//! JSON-RPC error codes of MCP. Janus mints none of its own: -32020 to -32099 belong to the specification.

/// The text is not JSON.
pub const PARSE_ERROR: i64 = -32700;
/// The JSON is not one JSON-RPC message.
pub const INVALID_REQUEST: i64 = -32600;
/// The method is not served here.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// The parameters are wrong; also an unknown tool, prompt or resource.
pub const INVALID_PARAMS: i64 = -32602;
/// Something failed that the client cannot mend.
pub const INTERNAL_ERROR: i64 = -32603;
/// Legacy: resource not found. A modern client gets [`INVALID_PARAMS`] instead.
pub const RESOURCE_NOT_FOUND: i64 = -32002;
/// Modern: a header disagrees with the body, or is missing.
pub const HEADER_MISMATCH: i64 = -32020;
/// Modern: the request needs a capability that the client did not declare.
pub const MISSING_CAPABILITY: i64 = -32021;
/// Modern: the revision is not served; `data.supported` lists those that are.
pub const UNSUPPORTED_VERSION: i64 = -32022;
/// 2025-11-25: the person must open a URL first.
pub const URL_ELICITATION_REQUIRED: i64 = -32042;
