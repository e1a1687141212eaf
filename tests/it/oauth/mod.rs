//! Logins and the tokens they bring, against real authorization servers and one that misbehaves on command.

mod alive;
mod authority;
mod callback;
mod calls;
mod canary;
mod cli_login;
mod crossing;
mod elicitation;
mod engine;
mod login;
mod page;
mod real;
mod rig;
mod tool;
