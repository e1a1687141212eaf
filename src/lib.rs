//! Janus: one MCP endpoint for every server and every account.
//!
//! One process stands between the programs that speak MCP and the servers they use. To the first it is a server, to
//! the second a client, and between the two it decides who is calling, what they may reach, and where each request
//! goes. This text is the map; each room's own head has its rules.
//!
//! # The way of a call
//!
//! ```text
//!  MCP client                                                          MCP server
//!      │ HTTP · unix socket · stdio                                         ▲ stdio · HTTP · HTTP+SSE
//!      ▼                                                                    │
//!  downstream ──▶ authn ──▶ binding ──▶ gateway ──▶ catalog ──▶ policy ──▶ upstream
//!   bytes to       Caller     Scope     the method    the name    Permitted   a connection
//!   a request                           dispatch      decoded                 per account
//!      ◀───────────────── events, in order, then exactly one outcome ───────────┘
//! ```
//!
//! Each stage makes a value that proves it ran: [`authn::Caller`], [`binding::Scope`], [`binding::Route`],
//! [`policy::Permitted`]. Their fields are private and one place makes each, so a forgotten check does not compile.
//!
//! # Two eras, one model
//!
//! MCP has a legacy era (`initialize`, sessions, servers that ask in mid-call) and a modern one (stateless since
//! 2026-07-28). The core knows neither: it knows an exchange, which is a request, an ordered stream of
//! [`protocol::Event`]s and one [`protocol::Outcome`]. The two edges, [`downstream`] and [`upstream`], translate; where
//! an answer itself is a question, [`gateway`] asks and calls again.
//!
//! A question of a server ([`protocol::Question`]) is a request on the stream of a legacy client. To a modern client the
//! response ends with it, and the exchange is parked, still running, until a retry brings the answer.
//!
//! # Secrets
//!
//! `upstream` asks [`credential`] what to attach to a request or to give a process; that resolves references when they
//! are needed, runs the commands that print tokens, and asks the [`vault`], whose rows are sealed in the [`store`] and
//! whose key lies elsewhere. Every secret that is alive is known to [`telemetry`], which takes it out of what is written.
//!
//! # Logins
//!
//! A server that wants a login says so with a 401. What it said is kept ([`credential::oauth::Challenge`]), the call is
//! answered with what a person has to do, and [`account::login`] begins the login that was asked for, at a command line, by
//! a call, or by a model: it finds the provider, makes the link, and waits for whoever brings the answer back, the browser
//! at a listener of [`downstream`] or a person who pastes it. Who that is, is learnt before anybody uses it. From then on
//! the grant belongs to the refresh engine ([`credential::oauth::Grants`]), which one process has: it renews early, alone,
//! on the disk first, and serves a valid token whatever the provider does.
//!
//! # The service manager
//!
//! Under systemd the sockets are not ours: [`daemon`] takes them by name before any thread exists, says `READY` before any
//! server is reached, tells in one line how the accounts stand, and feeds the watchdog only with turns that the accept
//! loops and the database have really done. Without it Janus binds for itself, and all of that is silent.
//!
//! # Another program, the same process
//!
//! After an upgrade the process becomes the new program by `exec`, and what it holds open goes along ([`handover`]): the
//! sockets and the lock of [`daemon`], the processes of [`upstream`], the connections of [`downstream`] that are at rest.
//! Each room writes its own record, with files by number. Nothing new is read from clients meanwhile, and what was read is
//! answered first; where that takes too long, nothing has happened.
//!
//! # What is deliberately absent
//!
//! - No provider is known to the code: what is odd about one is data (`config/template`), and no product's client id or
//!   name is in it.
//! - No token and no client secret gets into rmcp; no refresh begins anywhere but in the engine.
//! - No message is taken apart into typed models on its way: what nobody edits stays the bytes that arrived
//!   ([`protocol::Envelope`]). Typed models drop unknown members and re-spell numbers.
//! - `binding`, `catalog` and `policy` do no input or output and never fail because of a network.
//! - `gateway` knows no HTTP; `downstream` chooses no account; only `config` reads the environment.
//! - Nothing a client sees comes out of a `HashMap`.
//! - A session id is never a caller: it finds what was said before, and only for whoever said it.
//! - No failed, missing or unknown choice becomes another account: a call goes out as the account that the rules give,
//!   or not at all.
//! - No list depends on what was called or chosen before.
//! - No API gives a secret out: `reveal` reads the vault beside the daemon, and `export` gives ciphertext.
//!
//! # Why
//!
//! *Loopback only, and one user.* Without keys, any program of this user acts as this user; the kernel says whose a
//! connection is, and nobody else's is served. Host and Origin are checked on every request, because a web page can
//! make this user's browser send requests to loopback.
//!
//! *Scope by people, choice by the model.* Keys, directories, paths and the configuration decide what a request may reach
//! (five rules, [`binding::Binding`]); inside that, a call may say which account it means (nine rules,
//! [`binding::Scope::choose`]). A text that a model reads can change the second and never the first.
//!
//! *A session is no identity.* Whoever learns a session's id would be somebody else; so a session is found only by a
//! request that comes the way it was opened: the same key, directory, path and headers.
//!
//! *One thread for the data path.* A call costs a few ten thousand instructions; handing it between threads costs
//! more than a second core brings.
//!
//! # The rooms, in the order a call meets them
//!
//! `tests/it/architecture.rs` holds which room may use which.

pub mod account;
pub mod authn;
pub mod binding;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod credential;
pub mod daemon;
pub mod dial;
pub mod downstream;
pub mod gateway;
pub mod handover;
pub mod import;
pub mod model;
pub mod policy;
pub mod process;
pub mod protocol;
pub mod store;
pub mod telemetry;
pub mod upstream;
pub mod vault;
