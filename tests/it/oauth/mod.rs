//! Logins and the tokens they bring, against real authorization servers and one that misbehaves on command.

mod authority;
mod calls;
mod crossing;
mod elicitation;
mod real;
mod rig;
mod tool;
