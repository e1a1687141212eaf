//! Why a program did not start, in words that say what to change.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// What the C library searches where no PATH is given.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The reason. `path` is the PATH of the child.
pub(super) fn explain(error: &io::Error, program: &str, path: Option<&OsStr>) -> String {
    if program.is_empty() {
        return "`command` names no program".to_owned();
    }
    let missing = error.kind() == io::ErrorKind::NotFound;
    let denied = error.kind() == io::ErrorKind::PermissionDenied;
    if program.contains('/') {
        return about_file(error, Path::new(program));
    }
    let searched = path.unwrap_or_else(|| OsStr::new(DEFAULT_PATH));
    match find(program, searched) {
        Some(file) => about_file(error, &file),
        None if missing || denied => not_found(program, searched),
        None => format!("`{program}` could not be started: {error}"),
    }
}

fn about_file(error: &io::Error, file: &Path) -> String {
    let shown = file.display();
    let Ok(facts) = fs::metadata(file) else {
        return match error.kind() {
            io::ErrorKind::NotFound if file.is_relative() => format!(
                "`{shown}` does not exist in the directory Janus was started in ({}); give `command` an absolute path",
                std::env::current_dir()
                    .map_or_else(|e| e.to_string(), |here| here.display().to_string())
            ),
            io::ErrorKind::NotFound => format!("`{shown}` does not exist"),
            _ => format!("`{shown}` could not be started: {error}"),
        };
    };
    if facts.is_dir() {
        return format!("`{shown}` is a directory, not a program");
    }
    if access(file, Access::EXEC_OK).is_err() {
        return format!("`{shown}` is not executable; `chmod +x` makes it so");
    }
    let interpreter = interpreter(file);
    match (error.kind(), interpreter) {
        (io::ErrorKind::NotFound, Some(interpreter)) => {
            format!("`{shown}` is a script for `{interpreter}`, which does not exist")
        }
        (io::ErrorKind::NotFound, None) => format!(
            "`{shown}` exists, but what runs it (its dynamic loader) does not: it was built for another system"
        ),
        (_, None) if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
            format!(
                "`{shown}` is neither a program for this machine nor a script that begins with `#!`"
            )
        }
        _ => format!("`{shown}` could not be started: {error}"),
    }
}

fn not_found(program: &str, searched: &OsStr) -> String {
    let hint = match program {
        "node" | "npx" | "npm" | "pnpm" | "bunx" | "bun" | "deno" => {
            ". A version manager (nvm, fnm, volta) sets PATH in shells only, and Janus runs in none"
        }
        "uv" | "uvx" | "pipx" => {
            ". Installers put it into `~/.local/bin`, which shells have on PATH and services often have not"
        }
        _ => "",
    };
    format!(
        "`{program}` was not found on PATH ({}); give `command` an absolute path (`command -v {program}` in a shell shows it) or extend the PATH of the service{hint}",
        searched.to_string_lossy()
    )
}

/// The file of that name which the search meets first, preferring one that may be run, as `execvp` does.
fn find(program: &str, searched: &OsStr) -> Option<PathBuf> {
    let mut files = std::env::split_paths(searched)
        .map(|directory| directory.join(program))
        .filter(|file| file.is_file())
        .peekable();
    let first = files.peek().cloned();
    files
        .find(|file| access(file, Access::EXEC_OK).is_ok())
        .or(first)
}

/// The `/usr/bin/env` of a script that begins with `#!/usr/bin/env`.
fn interpreter(file: &Path) -> Option<String> {
    /// As much as the kernel looks at.
    const HEAD: u64 = 256;
    let mut head = Vec::new();
    fs::File::open(file)
        .ok()?
        .take(HEAD)
        .read_to_end(&mut head)
        .ok()?;
    let line = head.strip_prefix(b"#!")?.split(|&b| b == b'\n').next()?;
    let line = String::from_utf8_lossy(line).into_owned();
    line.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn error(errno: rustix::io::Errno) -> io::Error {
        errno.into()
    }

    #[test]
    fn a_program_that_is_not_on_path_says_where_was_searched() {
        let said = explain(
            &error(rustix::io::Errno::NOENT),
            "npx",
            Some(OsStr::new("/nowhere:/neither")),
        );
        assert_eq!(
            said,
            "`npx` was not found on PATH (/nowhere:/neither); give `command` an absolute path (`command -v npx` in a shell shows it) or extend the PATH of the service. A version manager (nvm, fnm, volta) sets PATH in shells only, and Janus runs in none"
        );
        assert!(
            explain(&error(rustix::io::Errno::NOENT), "no-such", None).starts_with(
                "`no-such` was not found on PATH (/bin:/usr/bin); give `command` an absolute path"
            )
        );
    }

    #[test]
    fn a_file_that_cannot_be_run_says_why() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("server");
        let path = file.to_str().unwrap();
        let explained = |errno| explain(&error(errno), path, None);
        assert_eq!(
            explained(rustix::io::Errno::NOENT),
            format!("`{path}` does not exist")
        );
        fs::write(&file, "#!/no/such/interpreter -x\n").unwrap();
        assert_eq!(
            explained(rustix::io::Errno::ACCESS),
            format!("`{path}` is not executable; `chmod +x` makes it so")
        );
        // Also where PATH leads to it.
        assert_eq!(
            explain(
                &error(rustix::io::Errno::ACCESS),
                "server",
                Some(directory.path().as_os_str())
            ),
            explained(rustix::io::Errno::ACCESS)
        );
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(
            explained(rustix::io::Errno::NOENT),
            format!("`{path}` is a script for `/no/such/interpreter`, which does not exist")
        );
        fs::write(&file, "neither").unwrap();
        assert_eq!(
            explained(rustix::io::Errno::NOEXEC),
            format!(
                "`{path}` is neither a program for this machine nor a script that begins with `#!`"
            )
        );
        assert_eq!(
            explain(
                &error(rustix::io::Errno::ACCESS),
                directory.path().to_str().unwrap(),
                None
            ),
            format!(
                "`{}` is a directory, not a program",
                directory.path().display()
            )
        );
        assert!(
            explain(&error(rustix::io::Errno::NOENT), "./server", None)
                .starts_with("`./server` does not exist in the directory Janus was started in (/")
        );
    }
}
