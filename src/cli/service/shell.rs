//! What the person's login shell has on its PATH: systemd's own has no `~/.local/bin`, no nvm, no cargo.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::Context;
use crate::cli::serve::runtime;

/// Start-up files that wait for somebody are not waited for.
const PATIENCE: Duration = Duration::from_secs(10);
const ANY: &str = "/bin/sh";

/// Its PATH, or nothing where it does not say.
pub(super) fn path(context: &Context) -> Option<String> {
    let shell = context
        .environment
        .shell()
        .unwrap_or_else(|| ANY.to_owned());
    // `env` is the same in every shell. What this process has on its PATH does not count: it may be a project's.
    let mut command = Command::new(shell);
    command
        .args(["-l", "-c", "env"])
        .env_remove("PATH")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let said = runtime()
        .ok()?
        .block_on(async { timeout(PATIENCE, command.output()).await });
    let said = said.ok()?.ok()?;
    path_in(&String::from_utf8_lossy(&said.stdout))
}

/// The last line of it: start-up files may print what they like before.
fn path_in(said: &str) -> Option<String> {
    let path = said
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("PATH="))?;
    (path.contains('/') && !path.contains(char::is_control)).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_found_among_what_start_up_files_print() {
        let said = "Welcome!\nPATH=no path at all\nHOME=/home/ana\nPATH=/home/ana/.cargo/bin:/usr/bin\nLANG=C\n";
        assert_eq!(
            path_in(said).as_deref(),
            Some("/home/ana/.cargo/bin:/usr/bin")
        );
        assert_eq!(path_in("HOME=/home/ana\n"), None);
    }
}
