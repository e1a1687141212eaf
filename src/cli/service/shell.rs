//! What the person's login shell has on its PATH: systemd's own has no `~/.local/bin`, no nvm, no cargo.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::Context;
use crate::cli::serve::runtime;

/// Start-up files that wait for somebody are not waited for.
const PATIENCE: Duration = Duration::from_secs(10);
const ANY: &str = "/bin/sh";
/// Who logs in, and how the machine is set up (`login(1)`, `pam_systemd(8)`).
const KEPT: [&str; 5] = ["HOME", "USER", "LOGNAME", "LANG", "XDG_RUNTIME_DIR"];
/// The PATH before the start-up files; nobody looks at a terminal.
const GIVEN: [(&str, &str); 2] = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("TERM", "dumb")];

/// Its PATH, or nothing where it does not say.
pub(super) fn path(context: &Context) -> Option<String> {
    let shell = context
        .environment
        .shell()
        .unwrap_or_else(|| ANY.to_owned());
    let home = context.environment.home()?;
    // `env` is the same in every shell.
    let mut command = Command::new(&shell);
    command
        .args(["-l", "-c", "env"])
        .env_clear()
        .envs(at_login(context.environment.child_environment()))
        .env("SHELL", &shell)
        .current_dir(home)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let said = runtime()
        .ok()?
        .block_on(async { timeout(PATIENCE, command.output()).await });
    let said = said.ok()?.ok()?;
    path_in(&String::from_utf8_lossy(&said.stdout))
}

/// What a login gives. What else this process has may be a project's: its PATH, what a version manager or a virtual
/// environment has set.
fn at_login(environment: Vec<(String, OsString)>) -> impl Iterator<Item = (String, OsString)> {
    let kept = environment
        .into_iter()
        .filter(|(name, _)| KEPT.contains(&name.as_str()));
    let given = GIVEN.map(|(name, value)| (name.to_owned(), value.into()));
    given.into_iter().chain(kept)
}

/// The last line of it: start-up files may print what they like before. Only absolute places are kept, as others are in
/// whatever directory somebody is.
fn path_in(said: &str) -> Option<String> {
    let path = said
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("PATH="))?;
    let places: Vec<&str> = path
        .split(':')
        .filter(|place| place.starts_with('/'))
        .collect();
    let path = places.join(":");
    (!path.is_empty() && !path.contains(char::is_control)).then_some(path)
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
        assert_eq!(path_in("PATH=:\n"), None);
        assert_eq!(
            path_in("PATH=node_modules/.bin:/usr/bin::.:/bin\n").as_deref(),
            Some("/usr/bin:/bin")
        );
    }

    #[test]
    fn the_shell_is_given_what_a_login_gives() {
        let of = |name: &str, value: &str| (name.to_owned(), OsString::from(value));
        let given: Vec<(String, OsString)> = at_login(vec![
            of("HOME", "/home/ana"),
            of("PATH", "/project/bin"),
            of("XDG_DATA_HOME", "/project"),
        ])
        .collect();
        assert_eq!(
            given,
            [
                of("PATH", "/usr/local/bin:/usr/bin:/bin"),
                of("TERM", "dumb"),
                of("HOME", "/home/ana"),
            ]
        );
    }
}
