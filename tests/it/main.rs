//! The tests of Janus from outside: one module for each subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::allow_attributes,
    reason = "a test that cannot go on fails, and support functions are not `#[test]`s"
)]

mod another_user;
mod architecture;
mod cli;
mod client_accounts;
mod client_keys;
mod clients;
mod cold_start;
mod config;
mod conformance;
mod connect;
mod demo;
mod everything;
mod fastmcp;
mod faults;
mod fidelity;
mod harness;
mod http_sse;
mod identity;
mod import;
mod logs;
mod notify;
mod oauth;
mod passed_sockets;
mod quadrants;
mod questions;
mod readme;
mod reexec;
mod refusals;
mod reload;
mod restart;
mod rmcp_peers;
mod roots;
mod secrets;
mod sessions;
mod slow_start;
mod support;
mod surroundings;
mod systemd;
mod tool;
mod unready;
mod versions;
mod whoami;
