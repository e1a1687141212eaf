//! `janus reexec`: the running daemon goes on as the program that is installed.

use std::path::Path;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::control::Control;
use super::serve::runtime;
use super::table::texts;
use super::{Context, Exit, Failure};

/// For everything but the calls that are waited for.
const PATIENCE: Duration = Duration::from_secs(40);
/// How often it is looked whether the program serves.
const LOOK: Duration = Duration::from_millis(10);

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Cut calls that do not end in time, and logins under way.
    #[arg(long)]
    force: bool,
    /// How long calls under way get to end; no new ones begin meanwhile.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = crate::config::duration)]
    wait: Duration,
}

/// Asks for it, and waits until the program serves.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let patience = context.global.timeout;
    let patience = patience.unwrap_or_else(|| PATIENCE.saturating_add(arguments.wait));
    let control = Control::waiting(context, patience);
    let (asked, now) = runtime()?.block_on(async {
        let wish = json!({
            "force": arguments.force,
            "wait": u64::try_from(arguments.wait.as_millis()).unwrap_or(u64::MAX),
        });
        let asked = control.ask(Method::POST, "/go-on", Some(&wish)).await?;
        let now = serving(&control, &asked, Instant::now() + patience).await?;
        Ok::<_, Failure>((asked, now))
    })?;
    if let Some(why) = now.get("not_replaced").and_then(Value::as_str) {
        let failure = Failure::new(
            Exit::Failed,
            "not_replaced",
            "the program that is installed did not take over, and the earlier one goes on",
        );
        return Err(failure.because(why).help("janus logs"));
    }
    let (from, version) = (asked.get("from"), now.get("version"));
    let pid = now.get("pid");
    // An earlier daemon has none.
    let notes = asked.get("notes").map(texts).unwrap_or_default();
    let fields = json!({"from": from, "version": version, "pid": pid, "notes": notes});
    context.output.document("reexec", fields, || {
        let (from, version) = (text(from), text(version));
        let pid = pid.and_then(Value::as_u64).unwrap_or_default();
        let notes = notes.iter().flat_map(|note| ["note: ", note, "\n"]);
        let notes: String = notes.collect();
        if from == version {
            format!("ok: Janus {version} goes on as it was installed, in process {pid}\n{notes}")
        } else {
            format!("ok: Janus {from} goes on as {version}, in process {pid}\n{notes}")
        }
    })?;
    Ok(Exit::Done)
}

/// What the program says of itself once it serves.
async fn serving(control: &Control, asked: &Value, by: Instant) -> Result<Value, Failure> {
    loop {
        match control.ask(Method::GET, "/life", None).await {
            Ok(now) if lives(&now) > lives(asked) => return Ok(now),
            // It is kept running by somebody.
            Ok(now) if now.get("pid") != asked.get("pid") => return Err(ended()),
            // The connection may end with the program before.
            Err(failure) if failure.exit() != Exit::NoDaemon || Instant::now() > by => {
                return Err(failure);
            }
            Err(_) if is_gone(asked) => return Err(ended()),
            Ok(_) if Instant::now() > by => {
                let failure =
                    Failure::new(Exit::Failed, "timed_out", "the program does not serve yet");
                return Err(failure.help("janus status"));
            }
            Ok(_) | Err(_) => sleep(LOOK).await,
        }
    }
}

/// The program took over, and ended.
fn ended() -> Failure {
    let said = "the program took over and ended: connections, sessions and local servers of before are lost";
    let failure = Failure::new(Exit::Failed, "not_replaced", said);
    failure.help("janus logs").help("janus status")
}

/// Whether the process that answered is no more.
fn is_gone(asked: &Value) -> bool {
    let pid = asked.get("pid").and_then(Value::as_u64);
    pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}

/// How often the process became another program.
fn lives(answer: &Value) -> Option<u64> {
    answer.get("lives").and_then(Value::as_u64)
}

fn text(value: Option<&Value>) -> &str {
    value
        .and_then(Value::as_str)
        .unwrap_or("of an unknown version")
}
