//! `janus service`: Janus as a service of the user's own systemd.
//!
//! Invariants:
//! - The same content is not written again, and nothing that runs is restarted.
//! - Only files with our mark are changed or deleted. A person's own variables in `service.env` stay in any case.
//! - A unit that is neither marked nor runs this program is named and left: not enabled, not stopped, not disabled.

mod files;
mod program;
mod shell;
mod systemctl;

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::control::Control;
use super::table::{table, text};
use super::{Context, Exit, Failure};
use crate::daemon::NOT_STARTED;
use files::{File, Files, is_marked};
use systemctl::{Systemctl, linger, lingers};

/// All of them; the first is the one that people enable.
const UNITS: [&str; 3] = ["janus.socket", "janus-control.socket", SERVICE];
const SERVICE: &str = "janus.service";

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Write the units where no package has, enable the socket, and see that it answers.
    Install(Install),
    /// Stop and disable it, and delete what `install` wrote.
    Remove,
    /// Show the units and how they stand.
    Status,
}

#[derive(Debug, Args)]
pub(super) struct Install {
    /// Print the files and the commands, and do nothing.
    #[arg(long)]
    print: bool,
    /// Keep it running when nobody is logged in, from boot on.
    #[arg(long)]
    linger: bool,
    /// Take the PATH for local servers from the login shell again.
    #[arg(long)]
    refresh_path: bool,
}

pub(super) fn run(verb: &Verb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        Verb::Install(arguments) => install(arguments, context)?,
        Verb::Remove => remove(context)?,
        Verb::Status => status(context)?,
    }
    Ok(Exit::Done)
}

/// Whether the socket unit listens there, on an address or a path.
pub(super) fn listens_at(place: &str) -> bool {
    let [socket, ..] = UNITS;
    let Ok(systemctl) = Systemctl::there() else {
        return false;
    };
    // A line for each: `127.0.0.1:7332 (Stream)`.
    let is = |line: &str| line.split(" (").next() == Some(place);
    let listens = systemctl.property(socket, "Listen");
    systemctl.is(socket, "active") && listens.is_ok_and(|listens| listens.lines().any(is))
}

/// A daemon in a terminal has the addresses that the units want, and would be cut from its commands.
fn nobody_serves(context: &Context) -> Result<(), Failure> {
    let Ok(life) = Control::new(context).get("/life") else {
        return Ok(());
    };
    let process = life.get("pid").and_then(Value::as_u64).unwrap_or_default();
    let message = format!("Janus serves already, in process {process}");
    let failure = Failure::new(Exit::Refused, "already_serving", message);
    Err(failure
        .because("nothing was written or enabled")
        .help(format!(
            "end it, and again:  kill {process}; janus service install"
        )))
}

fn install(arguments: &Install, context: &Context) -> Result<(), Failure> {
    let files = Files::of(context)?;
    let path = shell::path(context);
    if path.is_none() {
        context.output.note(
            "the login shell did not say its PATH: local servers are looked for on systemd's",
        );
    }
    let wanted = files.wanted(path.as_deref(), arguments.refresh_path)?;
    if arguments.print {
        return print(&wanted, arguments, context);
    }
    let systemctl = Systemctl::there()?;
    // Also where nothing is written: systemd may not have read what was written before.
    systemctl.run(&["daemon-reload"])?;
    let (_, foreign) = units(&files, &systemctl)?;
    if let Some(place) = foreign.first() {
        let message = "there is a unit of this name that does not run this Janus";
        let failure = Failure::new(Exit::Refused, "foreign_unit", message).place(place);
        return Err(failure
            .because("nothing was written or enabled")
            .help("move it away, and again:  janus service install"));
    }
    if !systemctl.is("janus.socket", "active") {
        nobody_serves(context)?;
    }
    // The PATH for local servers, where it is written now.
    let (mut written, mut taken) = (Vec::new(), None);
    for file in &wanted {
        match file.write()? {
            files::Written::Now => {
                taken = taken.or_else(|| path.as_deref().filter(|_| file.is_environment()));
                written.push(file.place());
            }
            files::Written::AsItWas => {}
            files::Written::NotOurs => context.output.note(&format!(
                "`{}` was not written by Janus, and stays as it is",
                file.place()
            )),
        }
    }
    if !written.is_empty() {
        systemctl.run(&["daemon-reload"])?;
    }
    let (ours, _) = units(&files, &systemctl)?;
    let places: Vec<String> = ours.into_iter().map(|unit| unit.place).collect();
    systemctl.verify(&places)?;
    let was_running = systemctl.is("janus.service", "active");
    let enabled = systemctl.is("janus.socket", "enabled") && systemctl.is("janus.socket", "active");
    if !enabled {
        systemctl.run(&["enable", "--now", "janus.socket"])?;
    }
    if arguments.linger {
        linger()?;
    }
    // It starts the daemon, and says what is wrong if it cannot.
    let answer = Control::new(context).get("/status").map_err(|failure| {
        // What was done stays.
        failure
            .help("the service is installed, and once that is mended the next connection starts it:  janus service status")
    })?;
    let lingers = lingers();
    let fields = json!({
        "written": written,
        "path": taken,
        "lingers": lingers,
        "enabled": !enabled,
        "version": answer.get("version"),
        "pid": answer.get("pid"),
        "listening": answer.get("listening"),
        "held_by_systemd": answer.get("held_by_systemd"),
    });
    context.output.document("service-install", fields, || {
        let path = taken.map(|path| format!("local servers are looked for on the PATH of the login shell: {path}\n"));
        let lines = path.into_iter();
        let lines = lines.chain(written.iter().map(|place| format!("wrote {place}\n")));
        let enabled = if enabled { "janus.socket is enabled already\n" } else { "enabled janus.socket\n" };
        let again = if was_running && !written.is_empty() {
            "the daemon that runs takes what was written with its next start: systemctl --user restart janus\n"
        } else {
            ""
        };
        let end = runs(&answer);
        let lingering = if lingers == Some(false) {
            "it ends with your last session; to have it from boot on and after logout:  janus service install --linger\n"
        } else {
            ""
        };
        lines.chain([enabled, again, end.as_str(), lingering].map(str::to_owned)).collect()
    })
}

/// What answered.
fn runs(answer: &Value) -> String {
    let version = text(answer, "version");
    let listening = answer.get("listening").and_then(Value::as_array);
    let places: Vec<&str> = listening
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let process = answer
        .get("pid")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    let mut said = format!(
        "Janus {version} answers (process {process}): clients reach it at {}\n",
        places.join(" and ")
    );
    if answer.get("held_by_systemd").and_then(Value::as_bool) == Some(false) {
        said.push_str(
            "it was not started by systemd: end it, and the next connection starts the service\n",
        );
    }
    if version != env!("CARGO_PKG_VERSION") {
        said.push_str("another version than this command: systemctl --user restart janus\n");
    }
    said
}

/// A unit that systemd knows.
struct Unit {
    name: &'static str,
    place: String,
}

/// Those that are ours, and where the others are. Ours have our mark, or came in a package whose service runs this program.
fn units(files: &Files, systemctl: &Systemctl) -> Result<(Vec<Unit>, Vec<String>), Failure> {
    let place = |name| systemctl.property(name, "FragmentPath");
    let service = PathBuf::from(place(SERVICE)?);
    let runs = files.is_run_by(&systemctl.property(SERVICE, "ExecStart")?);
    let package = if runs && !is_marked(&service)? {
        service.parent()
    } else {
        None
    };
    let (mut ours, mut foreign) = (Vec::new(), Vec::new());
    for name in UNITS {
        let place = place(name)?;
        let path = Path::new(&place);
        if place.is_empty() {
            // There is none.
        } else if is_marked(path)? || (package.is_some() && path.parent() == package) {
            ours.push(Unit { name, place });
        } else {
            foreign.push(format!("{name} in `{place}`"));
        }
    }
    Ok((ours, foreign))
}

/// What would be done.
fn print(wanted: &[File], arguments: &Install, context: &Context) -> Result<(), Failure> {
    let mut commands = vec![
        "systemctl --user daemon-reload",
        "systemctl --user enable --now janus.socket",
    ];
    if arguments.linger {
        commands.push("loginctl enable-linger");
    }
    let files: Vec<Value> = wanted
        .iter()
        .map(|file| json!({"path": file.place(), "text": file.text()}))
        .collect();
    let fields = json!({"files": files, "commands": commands});
    context.output.document("service-print", fields, || {
        let files = wanted
            .iter()
            .map(|file| format!("==> {}\n{}\n", file.place(), file.text()));
        let commands = commands.iter().map(|command| format!("$ {command}\n"));
        files.chain(commands).collect()
    })
}

fn remove(context: &Context) -> Result<(), Failure> {
    let files = Files::of(context)?;
    let systemctl = Systemctl::there()?;
    let (ours, foreign) = units(&files, &systemctl)?;
    for place in &foreign {
        context.output.note(&format!(
            "{place} does not run this Janus, and stays as it is"
        ));
    }
    let ours: Vec<&str> = ours.iter().map(|unit| unit.name).collect();
    if !ours.is_empty() {
        systemctl.run(&[&["disable", "--now"], &ours[..]].concat())?;
    }
    let mut deleted = Vec::new();
    for file in files.ours() {
        if file.delete()? {
            deleted.push(file.place());
        }
    }
    systemctl.run(&["daemon-reload"])?;
    // A socket in it that a daemon has stays, and so does the directory.
    let control = context.environment.control_socket();
    if matches!(UnixStream::connect(&control), Err(why) if why.kind() == ErrorKind::ConnectionRefused)
    {
        std::fs::remove_file(&control).ok();
    }
    std::fs::remove_dir(context.environment.runtime_directory()).ok();
    if !ours.is_empty() {
        // There is nothing to reset where nothing failed.
        systemctl.run(&[&["reset-failed"], &ours[..]].concat()).ok();
    }
    let fields = json!({"deleted": deleted});
    let shown = deleted.clone();
    context.output.document("service-remove", fields, || {
        let lines = shown.iter().map(|place| format!("deleted {place}\n"));
        let rest = "what is ours is stopped and disabled; the configuration, the state and lingering stay\n\
                    to end logins at the providers too, first:  janus logout ACCOUNT\n";
        lines.chain([rest.to_owned()]).collect()
    })
}

fn status(context: &Context) -> Result<(), Failure> {
    let systemctl = Systemctl::there()?;
    let mut units = Vec::new();
    for unit in UNITS {
        units.push(json!({
            "unit": unit,
            "file": systemctl.property(unit, "FragmentPath")?,
            "enabled": systemctl.property(unit, "UnitFileState")?,
            "state": systemctl.property(unit, "ActiveState")?,
        }));
    }
    let says = systemctl.property(SERVICE, "StatusText")?;
    let shown = (units.clone(), says.clone());
    let stands = stands(&units, &says);
    let fields = json!({"units": units, "status": says});
    context.output.document("service-status", fields, || {
        let (units, says) = shown;
        let mut rows = vec![
            ["UNIT", "STATE", "ENABLED", "FILE"]
                .map(str::to_owned)
                .to_vec(),
        ];
        rows.extend(units.iter().map(|unit| {
            ["unit", "state", "enabled", "file"]
                .map(|member| text(unit, member))
                .to_vec()
        }));
        let says = if says.is_empty() {
            says
        } else {
            format!("\n{says}\n")
        };
        format!("{}{says}", table(&rows))
    })?;
    stands
}

/// Whether clients reach the service, or whoever connects next will. Otherwise what helps.
fn stands(units: &[Value], says: &str) -> Result<(), Failure> {
    let of = |unit: &str, member: &str| {
        let there = units.iter().find(|there| text(there, "unit") == unit);
        there.map_or_else(String::new, |there| text(there, member))
    };
    let [socket, _, service] = UNITS;
    if of(socket, "file").is_empty() && of(service, "file").is_empty() {
        let failure = Failure::new(Exit::NoDaemon, "not_installed", "there is no service yet");
        return Err(failure.help("janus service install"));
    }
    // One that cannot start is on its way for seconds, in which it tells whoever connects why.
    let in_vain = of(service, "state") == "activating" && says.starts_with(NOT_STARTED);
    if in_vain || of(service, "state") == "failed" {
        let failure = Failure::new(Exit::Failed, "service_failed", "the service failed");
        let failure = failure.help("say why:  janus logs");
        return Err(if of(socket, "state") == "active" {
            failure.help("once that is mended the next connection starts it:  janus tool list")
        } else {
            failure.help("start it again:  systemctl --user restart janus")
        });
    }
    let serves = |unit: &str| ["active", "activating", "reloading"].contains(&&*of(unit, "state"));
    if serves(socket) || serves(service) {
        return Ok(());
    }
    let failure = Failure::new(
        Exit::NoDaemon,
        "not_listening",
        "nobody listens for clients",
    );
    Err(if of(socket, "state") == "failed" {
        failure
            .because("janus.socket failed: another program may have its address")
            .help(format!("say why:  systemctl --user status {socket}"))
    } else {
        failure.help(format!("systemctl --user enable --now {socket}"))
    })
}
