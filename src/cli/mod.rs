//! The command line: one file for each command.
//!
//! Invariants:
//! - Data goes to standard output, everything else to standard error, and only `output` writes to either.
//! - A command returns its failure as a value; one place prints it, one place makes it an exit code.

mod account;
mod browser;
mod catalog;
mod choose;
mod client;
mod config;
mod connect;
mod control;
mod demo;
mod exit;
mod failure;
mod headers;
mod help;
mod import;
mod keys;
mod known;
mod log;
mod login;
mod logout;
mod logs;
mod migrate;
mod output;
mod profile;
mod prompt;
mod reexec;
mod secret;
mod serve;
mod service;
mod session;
mod start;
mod status;
mod table;
mod tool;
mod vault;
mod version;
mod whoami;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};

pub use exit::Exit;
pub use failure::Failure;
pub use log::{Logging, start_logging};
pub use output::{Colour, Output};

use crate::config::Environment;
use crate::model::Settings;

/// What the program is called with.
#[derive(Debug, Parser)]
#[command(
    name = "janus",
    about = "One MCP endpoint for every server and every account",
    version,
    disable_help_subcommand = true,
    infer_long_args = false,
    max_term_width = 100,
    after_help = "`janus help TOPIC` explains: bindings, config, errors, exit-codes, headless, json, templates"
)]
struct Line {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// The flags that every command has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The configuration to read, instead of ~/.config/janus/config.yaml.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The directory of `mcp.sock`, where the configuration names no socket.
    #[arg(long, global = true, value_name = "DIR")]
    pub runtime_dir: Option<PathBuf>,
    /// The profile to act in, as far as keys and bindings leave a choice.
    #[arg(short, long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// Print one JSON document.
    #[arg(long, global = true)]
    pub json: bool,
    /// Print errors only.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Log more; twice for everything.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// When to use colour.
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value = "auto"
    )]
    pub color: Colour,
    /// How long to wait for a server, such as 30s.
    #[arg(long, global = true, value_name = "DURATION", value_parser = crate::config::duration)]
    pub timeout: Option<Duration>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try Janus with two accounts and two servers that are built in.
    Demo(demo::Arguments),
    /// One of the servers of `janus demo`, on standard input and output.
    #[command(hide = true)]
    DemoServer {
        /// Whose notes they are.
        owner: String,
    },
    /// Run the daemon in the foreground.
    Serve(serve::Arguments),
    /// Let the daemon go on as the installed program, without ending anything.
    Reexec(reexec::Arguments),
    /// Speak MCP on standard input and output.
    Connect(connect::Arguments),
    /// Show the daemon, its accounts, and what this directory gets.
    Status,
    /// Log in to an account: by a browser here or elsewhere, or a code on another device.
    Login(login::Arguments),
    /// End what an account was granted, here and at the provider.
    Logout(logout::Arguments),
    /// Show what happened: from the journal, or from the daemon's memory.
    Logs(logs::Arguments),
    /// Show as whom a request from here acts, and why.
    Whoami(whoami::Arguments),
    /// Choose an account for a session, a client or everybody.
    Use(choose::Arguments),
    /// List and call the tools of the daemon that runs.
    #[command(subcommand)]
    Tool(tool::Verb),
    /// The identities at the servers.
    #[command(subcommand)]
    Account(account::Verb),
    /// The accounts that belong together.
    #[command(subcommand)]
    Profile(profile::Verb),
    /// The programs that connect, and their access keys.
    #[command(subcommand)]
    Client(keys::Verb),
    /// The sessions of clients.
    #[command(subcommand)]
    Session(session::Verb),
    /// Print the request headers that prove this directory.
    Headers(headers::Arguments),
    /// What the vault holds.
    #[command(subcommand)]
    Secret(secret::Verb),
    /// Where the key of the vault is, and whether it is open.
    #[command(subcommand)]
    Vault(vault::Verb),
    /// Look at the configuration and check it.
    #[command(subcommand)]
    Config(config::Verb),
    /// What is known of servers and their providers: templates for the configuration.
    Catalog(catalog::Arguments),
    /// Make servers, accounts and profiles of another program's configuration.
    Import(import::Arguments),
    /// Janus as a service of the user's own systemd.
    #[command(subcommand)]
    Service(service::Verb),
    /// Print the version.
    Version,
    /// Explain a topic or a command.
    Help(help::Arguments),
}

/// What every command gets beside its own arguments.
#[derive(Debug)]
pub struct Context {
    /// The environment, with `--runtime-dir` in it.
    pub environment: Environment,
    /// The flags that every command has.
    pub global: Global,
    /// Where it prints.
    pub output: Output,
}

impl Context {
    /// The checked configuration, for a command that works with it.
    pub fn settings(&self) -> Result<Settings, Failure> {
        Ok(self.loaded()?.settings)
    }

    /// The profile that `--profile` or `JANUS_PROFILE` names.
    pub fn profile(&self) -> Option<String> {
        let flag = self.global.profile.clone();
        flag.filter(|name| !name.is_empty())
            .or_else(|| self.environment.profile())
    }

    fn loaded(&self) -> Result<crate::config::Loaded, Failure> {
        Ok(crate::config::load(&self.location()?, &self.environment)?)
    }

    fn location(&self) -> Result<crate::config::Location, Failure> {
        let named = self.global.config.as_deref();
        Ok(crate::config::locate(named, &self.environment)?)
    }
}

/// Runs the command of these arguments; the first is the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let environment = Environment::capture();
    let line = match Line::try_parse_from(&arguments) {
        Ok(line) => line,
        Err(error) => return usage(&error, Output::before_parsing(&arguments, &environment)),
    };
    let output = Output::new(&line.global, &environment);
    let context = Context {
        environment: environment.with_runtime_directory(line.global.runtime_dir.clone()),
        global: line.global,
        output,
    };
    dispatch(line.command, &context).unwrap_or_else(|failure| {
        context.output.failure(&failure);
        failure.exit()
    })
}

/// Every command, in the order of the help text.
fn dispatch(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Demo(arguments) => demo::run(&arguments, context),
        Command::DemoServer { owner } => demo::serve_notes(&owner),
        Command::Serve(arguments) => serve::run(&arguments, context),
        Command::Reexec(arguments) => reexec::run(&arguments, context),
        Command::Connect(arguments) => connect::run(&arguments, context),
        Command::Status => status::run(context),
        Command::Login(arguments) => login::run(&arguments, context),
        Command::Logout(arguments) => logout::run(&arguments, context),
        Command::Logs(arguments) => logs::run(&arguments, context),
        Command::Whoami(arguments) => whoami::run(&arguments, context),
        Command::Use(arguments) => choose::run(&arguments, context),
        Command::Tool(verb) => tool::run(&verb, context),
        Command::Account(verb) => account::run(&verb, context),
        Command::Profile(verb) => profile::run(&verb, context),
        Command::Client(verb) => keys::run(&verb, context),
        Command::Session(verb) => session::run(&verb, context),
        Command::Headers(arguments) => headers::run(&arguments, context),
        Command::Secret(verb) => secret::run(&verb, context),
        Command::Vault(verb) => vault::run(&verb, context),
        Command::Config(verb) => config::run(&verb, context),
        Command::Catalog(arguments) => catalog::run(&arguments, context),
        Command::Import(arguments) => import::run(&arguments, context),
        Command::Service(verb) => service::run(&verb, context),
        Command::Version => version::run(context),
        Command::Help(arguments) => help::run(&arguments, context),
    }
}

/// What the parser says: a help text that was asked for, or a line that it does not understand.
fn usage(error: &clap::Error, output: Output) -> Exit {
    let printed = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            output.data(&error.render().to_string())
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let text = error.render().to_string();
            let failure = Failure::new(Exit::Usage, "usage", "a command is missing");
            output.failure(&failure.help(help_of(&text)));
            // Which there are, and not the options, which are the same everywhere.
            output.tell(text.split("\nOptions:").next().unwrap_or_default());
            return Exit::Usage;
        }
        _ => Err(Failure::usage(error)),
    };
    match printed {
        Ok(()) => Exit::Done,
        Err(failure) => {
            output.failure(&failure);
            failure.exit()
        }
    }
}

/// The command that prints a help text, by the line in it that shows the usage.
fn help_of(text: &str) -> String {
    let usage = text.lines().find_map(|line| line.strip_prefix("Usage: "));
    let words = usage.unwrap_or("janus").split_whitespace();
    let words: Vec<&str> = words
        .take_while(|word| !word.starts_with(['[', '<']))
        .collect();
    format!("{} --help", words.join(" "))
}

/// The definition of the command line, for help texts.
fn definition() -> clap::Command {
    Line::command()
}
