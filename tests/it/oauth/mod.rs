//! Logins and the tokens they bring, against real authorization servers and one that misbehaves on command.

#![expect(
    clippy::disallowed_methods,
    reason = "a test begins a task and waits for it, and its runtime ends with it"
)]

mod alive;
mod authority;
mod book;
mod callback;
mod calls;
mod canary;
mod canary_kinds;
mod cli_again;
mod cli_attend;
mod cli_browser;
mod cli_login;
mod cli_logout;
mod cli_who;
mod crossing;
mod disks;
mod elicitation;
mod engine;
mod hostile;
mod locked;
mod login;
mod machine;
mod memory;
mod page;
mod ports;
mod real;
mod registered;
pub(crate) mod rig;
mod told;
mod tool;
mod userinfo;
mod ways;
mod workspace;
