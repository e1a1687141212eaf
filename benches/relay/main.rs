//! What Janus costs beside a bare relay, as ratios measured side by side: `cargo bench --bench relay`.
//!
//! Three ways lead to one upstream: straight, through the bare relay, through Janus. Each is a process of its own,
//! each answer is verified, and the ways take turns in short slices, since absolute times drift with the machine and
//! ratios of neighbours do not. Only instruction counts can be compared across runs.
//!
//! `upstream` and `relay` are what is measured against, `against` makes another Janus, `load` is who asks, `ground` starts the processes, `calls`,
//! `standing`, `cold_start` and `callgrind` measure, `table` prints. No test depends on a time: `cargo test` runs none of this.
#![allow(
    clippy::allow_attributes,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a program for developers that prints a table; what it measures is itself verified, and where it is \
              wrong it may panic; counts become ratios"
)]

mod against;
mod answers;
mod callgrind;
mod calls;
mod cold_start;
mod ground;
mod http;
mod load;
mod process;
mod relay;
mod standing;
mod table;
mod upstream;
mod verify;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    ground::{Ground, Under, Way},
    table::Table,
};

/// What Janus costs beside a bare relay.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
struct Args {
    /// Short slices and few rounds: 40 s instead of 3 min, for a first impression.
    #[arg(long)]
    quick: bool,

    /// Print the numbers as JSON lines too.
    #[arg(long)]
    json: bool,

    /// Measure the bare relay alone, to see what the machine and the load client can do.
    #[arg(long)]
    without_janus: bool,

    /// Measure another build of Janus, to compare two of them.
    #[arg(long, value_name = "PROGRAM")]
    janus: Option<PathBuf>,

    /// Measure another build of Janus beside this one: a revision, which is built, or a program. Fails where a call
    /// takes more than 2 % more instructions than there.
    #[arg(long, value_name = "REV", conflicts_with = "without_janus")]
    against: Option<String>,

    /// Measure one part only.
    #[arg(long, value_enum)]
    only: Option<Only>,

    /// What `cargo bench` passes, and `cargo test` does not.
    #[arg(long, hide = true)]
    bench: bool,

    #[command(subcommand)]
    part: Option<Part>,
}

/// A part that can be measured alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Only {
    /// Instructions per call.
    Instructions,
    /// From a connection that starts the process to its first answer.
    ColdStart,
}

/// What this program is when it starts itself.
#[derive(Debug, Subcommand)]
enum Part {
    /// The MCP server behind everything.
    #[command(hide = true)]
    Upstream {
        /// How many tools it lists.
        #[arg(long)]
        tools: usize,
    },
    /// The reference.
    #[command(hide = true)]
    Relay {
        /// Where the server is.
        #[arg(long)]
        to: SocketAddr,
    },
}

/// How much is measured. Both amounts are bounded in calls and in time.
#[derive(Debug, Clone)]
pub(crate) struct Amount {
    /// How often the targets take turns.
    rounds: usize,
    /// How long one turn takes.
    slice: Duration,
    /// How often a process is started to see how long that takes.
    starts: usize,
    /// 1 KB calls between two instruction counts.
    counted: u64,
    /// The Janus that is measured, if any.
    janus: Option<PathBuf>,
    /// Another one to measure beside it.
    before: Option<PathBuf>,
}

impl Amount {
    /// The builds of Janus that are measured.
    fn builds(&self) -> [(Way, Option<&PathBuf>); 2] {
        [
            (Way::Janus, self.janus.as_ref()),
            (Way::Before, self.before.as_ref()),
        ]
    }

    fn of(args: &Args, janus: PathBuf, before: Option<PathBuf>) -> Self {
        let janus = (!args.without_janus).then_some(janus);
        if args.quick {
            Self {
                rounds: 3,
                slice: Duration::from_millis(350),
                starts: 5,
                counted: 100,
                janus,
                before,
            }
        } else {
            Self {
                rounds: 7,
                slice: Duration::from_millis(900),
                starts: 15,
                counted: 400,
                janus,
                before,
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    match args.part {
        Some(Part::Upstream { tools }) => upstream::serve(tools).await?,
        Some(Part::Relay { to }) => relay::serve(to).await?,
        None if args.bench => return measure(&args).await,
        None => eprintln!("nothing is measured by a test run; use: cargo bench --bench relay"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(args: &Args) -> anyhow::Result<ExitCode> {
    allow_many_connections()?;
    verify::try_check()?;
    against::try_growth()?;
    let before = args.against.as_deref().map(against::program).transpose()?;
    let janus = match &args.janus {
        Some(janus) => janus.clone(),
        None if before.is_some() => against::this()?,
        None => env!("CARGO_BIN_EXE_janus").into(),
    };
    let mut amount = Amount::of(args, janus, before);
    let mut table = Table::default();
    if let Err(error) = try_janus(&amount).await {
        // Once is enough; the reference is still worth measuring.
        table.fail(format!("{error:#}"));
        amount.janus = None;
    }
    if args.only.is_none() {
        calls::measure(&amount, &mut table).await?;
        standing::measure(&amount, &mut table).await?;
    }
    if args.only != Some(Only::Instructions) && amount.janus.is_some() {
        cold_start::measure(&amount, &mut table).await?;
    }
    if args.only != Some(Only::ColdStart) {
        callgrind::measure(&amount, &mut table).await?;
    }
    println!("{table}");
    if args.json {
        table.print_json();
    }
    for failure in table.failures() {
        eprintln!("error: {failure}");
    }
    Ok(if table.failures().is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Starts Janus once, to see whether it serves at all.
async fn try_janus(amount: &Amount) -> anyhow::Result<()> {
    if amount.janus.is_some() {
        let ground = Ground::with_tools(0, amount).await?;
        ground
            .start(Way::Janus, Under::Nothing)
            .await?
            .stop()
            .await?;
    }
    Ok(())
}

/// The usual soft limit of 1024 files is too low for 1000 sessions; the processes started from here inherit this one.
fn allow_many_connections() -> rustix::io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised)
}
