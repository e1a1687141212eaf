//! The machine sleeps, and its network comes and goes: noticed by itself, and handled without a restart.

mod asleep;
mod network;
