//! One run of a command: bounded in time, output and processes.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::model::{Helper, Secret, text_looks_secret};
use crate::process::{Pipes, Process};
use crate::telemetry::{learn, redact_cut};

/// A token is shorter, and whatever prints more prints something else.
const MOST_OUTPUT: usize = 64 * 1024;
/// For the message about a failure.
const MOST_ERRORS: usize = 8 * 1024;
/// Of an output that is no token, so many words are looked for in what it says of its failure.
const MOST_WORDS: usize = 8;
/// In a message to people.
const MOST_SHOWN: usize = 300;
/// From the wish to end until it is made to.
const AFTER_TERM: Duration = Duration::from_secs(2);
/// What a command wrote before it ended is in the pipe; what it left running may hold that open.
const DRAIN: Duration = Duration::from_millis(200);

/// Runs a command to its end and gives what it printed; the reason, in words for people, where there is nothing.
pub(super) async fn run(helper: &Helper, environment: &[(String, OsString)]) -> Output {
    let program = helper.argv.split_first();
    let (program, args) = program.ok_or_else(|| "it names no program".to_owned())?;
    let mut own = helper.pass_env.clone();
    own.push(("KUBERNETES_EXEC_INFO".to_owned(), exec_info()));
    let (mut process, pipes) = Process::start(program, args, environment, &own)?;
    let (outcome, errors) = watch(helper, &mut process, pipes).await;
    let status = process.status().await;
    match (outcome, status) {
        (Ok(output), Ok(status)) if status.success() => Ok(output),
        // Also with output: a tool that failed may have printed anything.
        (Ok(output), Ok(status)) => Err(format!("it failed ({status}){}", said(&errors, &output))),
        (Ok(_), Err(error)) => Err(format!("how it ended is not known ({error})")),
        (Err(why), _) => Err(format!("{why}{}", said(&errors, &[]))),
    }
}

type Output = Result<Zeroizing<Vec<u8>>, String>;

/// Until the command ends, its time is over or it printed too much. Whatever it is, the group is to be ended then.
async fn watch(helper: &Helper, process: &mut Process, pipes: Pipes) -> (Output, Vec<u8>) {
    let Pipes {
        mut stdin,
        stdout,
        stderr,
    } = pipes;
    let input = helper.input.clone();
    let group = Arc::clone(process.group());
    let mut errors = Vec::new();
    let mut reading = Box::pin(async {
        let write = async move {
            // A command that reads nothing closes its end.
            stdin.write_all(input.as_bytes()).await.ok();
            drop(stdin);
        };
        let errors = kept(stderr, &mut errors);
        let (output, (), ()) = tokio::join!(whole(stdout), errors, write);
        output
    });
    let ended = async {
        tokio::select! {
            output = &mut reading => {
                if output.is_ok() {
                    process.ended().await;
                }
                output
            }
            () = process.ended() => {
                if let Ok(output) = timeout(DRAIN, &mut reading).await {
                    output
                } else {
                    // What it left running holds the pipes, and is ended with it.
                    group.signal(Signal::KILL);
                    let rest = timeout(DRAIN, &mut reading).await;
                    rest.unwrap_or_else(|_| Err("what it started holds its output open".to_owned()))
                }
            }
        }
    };
    let outcome = if let Ok(outcome) = timeout(helper.timeout, ended).await {
        outcome
    } else {
        group.signal(Signal::TERM);
        timeout(AFTER_TERM, process.ended()).await.ok();
        Err(format!(
            "it did not end within {} s",
            helper.timeout.as_secs_f32()
        ))
    };
    drop(reading);
    (outcome, errors)
}

/// Everything, up to the limit.
async fn whole(mut stdout: impl AsyncRead + Unpin) -> Output {
    let mut output = Zeroizing::new(Vec::with_capacity(MOST_OUTPUT + 1));
    let mut limited = (&mut stdout).take(MOST_OUTPUT as u64 + 1);
    let read = limited.read_to_end(&mut output).await;
    read.map_err(|error| format!("its output cannot be read ({error})"))?;
    if output.len() > MOST_OUTPUT {
        return Err(format!("it printed more than {} KiB", MOST_OUTPUT / 1024));
    }
    Ok(output)
}

/// The beginning; the rest is read and let go, so that nothing waits for us.
async fn kept(mut stderr: impl AsyncRead + Unpin, errors: &mut Vec<u8>) {
    let mut chunk = vec![0; 4096];
    loop {
        match stderr.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                let room = MOST_ERRORS - errors.len();
                errors.extend(chunk.iter().take(count.min(room)));
            }
        }
    }
}

/// What it said on its standard error, as it may be shown: no secret that is known, and no word that looks like one.
fn said(errors: &[u8], output: &[u8]) -> String {
    if errors.is_empty() {
        return String::new();
    }
    // What it printed may be here as well.
    let printed = String::from_utf8_lossy(output);
    let words = printed.split_whitespace().take(MOST_WORDS);
    words.for_each(|word| learn(&Arc::new(Secret::new(word))));
    let text: String = String::from_utf8_lossy(errors)
        .chars()
        .filter(|c| c.is_whitespace() || !c.is_control())
        .collect();
    // After that: a control character within a secret hides it from nobody else.
    let text = redact_cut(&text);
    let words = text.split_whitespace();
    let words = words.map(|word| {
        if text_looks_secret(word) {
            "****"
        } else {
            word
        }
    });
    let text = words.collect::<Vec<&str>>().join(" ");
    match text.chars().count() {
        0 => String::new(),
        length if length <= MOST_SHOWN => format!("; it wrote: {text}"),
        _ => format!(
            "; it wrote: {} …",
            text.chars().take(MOST_SHOWN).collect::<String>()
        ),
    }
}

/// What plugins of Kubernetes want to know: nobody is there to be asked.
fn exec_info() -> Arc<Secret> {
    let info = serde_json::json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "spec": {"interactive": false},
    });
    Arc::new(Secret::new(info.to_string()))
}
