//! The files of the service: the units, for the program that runs now, and the environment of local servers.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::program::{is_same, program};
use super::{Context, Exit, Failure, UNITS};

/// The first line of what Janus may change and delete.
const MARK: &str = "# Written by `janus service install`; `janus service remove` deletes it.\n";
/// What stands before the PATH.
const ABOUT_PATH: &str = "# The login shell's PATH, for local servers; --refresh-path renews it.\n";
/// Where packages and administrators put units.
const PACKAGED: [&str; 4] = [
    "/etc/systemd/user",
    "/usr/local/lib/systemd/user",
    "/usr/lib/systemd/user",
    "/lib/systemd/user",
];
/// The program in the units as they are shipped.
const SHIPPED: &str = "/usr/bin/janus";

/// Where they are, and for which program.
#[derive(Debug)]
pub(super) struct Files {
    units: PathBuf,
    environment: PathBuf,
    program: PathBuf,
    /// The same, as a word of a unit.
    word: String,
}

/// One of them, as it should be.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// systemd and people read it.
    Unit,
    /// People keep variables of their own in it, and some of those are secrets.
    Environment,
}

impl Kind {
    fn mode(self) -> u32 {
        match self {
            Self::Unit => 0o644,
            Self::Environment => 0o600,
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It is new.
    Now,
    /// It was so already.
    AsItWas,
    /// Somebody else wrote it.
    NotOurs,
}

impl Files {
    pub(super) fn of(context: &Context) -> Result<Self, Failure> {
        let config = context.environment.config_home().ok_or_else(|| {
            let failure = Failure::new(Exit::Failed, "no_home", "there is no home directory");
            failure.help("set HOME")
        })?;
        let program = program(context).map_err(anyhow::Error::from)?;
        Ok(Self {
            units: config.join("systemd/user"),
            environment: config.join("janus/service.env"),
            word: word(&program)?,
            program,
        })
    }

    /// The files of a service that runs this program. Packaged units that run it are left alone.
    pub(super) fn wanted(&self, path: Option<&str>, refresh: bool) -> Result<Vec<File>, Failure> {
        let mut wanted = Vec::new();
        if !self.is_packaged() {
            let texts = [
                include_str!("../../../systemd/janus.socket"),
                include_str!("../../../systemd/janus-control.socket"),
                include_str!("../../../systemd/janus.service"),
            ];
            wanted.extend(UNITS.iter().zip(texts).map(|(unit, text)| File {
                path: self.units.join(unit),
                text: self.unit(text),
                kind: Kind::Unit,
            }));
        }
        wanted.extend(
            path.map(|path| self.service_env(path, refresh))
                .transpose()?,
        );
        Ok(wanted)
    }

    /// Whatever of it is there.
    pub(super) fn ours(&self) -> Vec<File> {
        let units = UNITS.iter().map(|unit| (self.units.join(unit), Kind::Unit));
        let files = units.chain([(self.environment.clone(), Kind::Environment)]);
        let empty = |(path, kind)| File {
            path,
            text: String::new(),
            kind,
        };
        files.map(empty).collect()
    }

    /// Whether a service runs this program, as `systemctl show` says it: `{ path=/usr/bin/janus ; argv[]=… }`.
    pub(super) fn is_run_by(&self, service: &str) -> bool {
        let after = service.split_once("path=").map(|(_, after)| after);
        let path = after.and_then(|after| after.split_once(" ; "));
        path.is_some_and(|(path, _)| is_same(Path::new(path), &self.program))
    }

    /// What is ours in the person's own directory hides what a package brings, and is brought up to date. A package may have
    /// a second name for the program.
    fn is_packaged(&self) -> bool {
        let start = format!("ExecStart={} serve", self.word);
        let runs = |line: &str| {
            let path = line
                .strip_prefix("ExecStart=")
                .and_then(|line| line.strip_suffix(" serve"));
            line == start || path.is_some_and(|path| is_same(Path::new(path), &self.program))
        };
        !self.units.join("janus.service").exists()
            && PACKAGED.iter().any(|directory| {
                let text = fs::read_to_string(Path::new(directory).join("janus.service"));
                text.is_ok_and(|text| text.lines().any(runs))
            })
    }

    /// A unit for this program. The manual page comes with packages only, and a page that is missing is a mistake.
    fn unit(&self, shipped: &str) -> String {
        let lines = shipped
            .lines()
            .filter(|line| !line.starts_with("Documentation="));
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        format!(
            "{MARK}{}",
            text.replace(&format!("={SHIPPED} "), &format!("={} ", self.word))
        )
    }

    /// What is there stays, unless the PATH shall be taken anew; other variables stay in any case.
    fn service_env(&self, path: &str, refresh: bool) -> Result<File, Failure> {
        let line = format!("PATH={}\n", quoted(path));
        let there = read(&self.environment)?.unwrap_or_default();
        let text = if is_of_path(&there) && (!refresh || !there.starts_with(MARK)) {
            there
        } else {
            format!("{MARK}{}{ABOUT_PATH}{line}", without_ours(&there))
        };
        Ok(File {
            path: self.environment.clone(),
            text,
            kind: Kind::Environment,
        })
    }
}

/// Whether this environment file says the PATH.
fn is_of_path(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("PATH="))
}

/// What a person has in this environment file.
fn without_ours(text: &str) -> String {
    let ours = |line: &&str| {
        [MARK, ABOUT_PATH].contains(&format!("{line}\n").as_str()) || line.starts_with("PATH=")
    };
    let theirs = text.lines().filter(|line| !ours(line));
    theirs.flat_map(|line| [line, "\n"]).collect()
}

/// Whether Janus wrote this file.
pub(super) fn is_marked(path: &Path) -> Result<bool, Failure> {
    Ok(read(path)?.is_some_and(|text| text.starts_with(MARK)))
}

impl File {
    pub(super) fn place(&self) -> String {
        self.path.display().to_string()
    }

    /// Whether it is that of local servers, and no unit.
    pub(super) fn is_environment(&self) -> bool {
        self.kind == Kind::Environment
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Writes it, whole or not at all.
    pub(super) fn write(&self) -> Result<Written, Failure> {
        match read(&self.path)? {
            Some(there) if there == self.text => {
                self.close().map_err(|error| self.failed(error))?;
                return Ok(Written::AsItWas);
            }
            // A person's own variables are in what is written.
            Some(there) if self.kind == Kind::Unit && !there.starts_with(MARK) => {
                return Ok(Written::NotOurs);
            }
            _ => {}
        }
        self.replace(&self.text)
            .map_err(|error| self.failed(error))?;
        Ok(Written::Now)
    }

    /// Deletes it if it is ours; a person's own variables stay in it. Whether something was deleted.
    pub(super) fn delete(&self) -> Result<bool, Failure> {
        let Some(there) = read(&self.path)?.filter(|there| there.starts_with(MARK)) else {
            return Ok(false);
        };
        let rest = match self.kind {
            Kind::Unit => String::new(),
            Kind::Environment => without_ours(&there),
        };
        let done = if rest.trim().is_empty() {
            fs::remove_file(&self.path)
        } else {
            self.replace(&rest)
        };
        done.map_err(|error| self.failed(error))?;
        Ok(true)
    }

    /// Others do not read what an earlier Janus let them read.
    fn close(&self) -> io::Result<()> {
        let mode = fs::metadata(&self.path)?.permissions().mode();
        if self.kind == Kind::Environment && mode & 0o077 != 0 {
            fs::set_permissions(&self.path, fs::Permissions::from_mode(self.kind.mode()))?;
        }
        Ok(())
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut new = self.path.as_os_str().to_owned();
        new.push(format!(".{}.new", std::process::id()));
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(self.kind.mode())
            .open(&new)?;
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&new, &self.path));
        if written.is_err() {
            // Nobody looks for it.
            fs::remove_file(&new).ok();
        }
        written
    }

    fn failed(&self, error: io::Error) -> Failure {
        Failure::from(anyhow::Error::from(error)).place(self.place())
    }
}

fn read(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(Failure::from(anyhow::Error::from(error)).place(path.display().to_string()))
        }
    }
}

/// A program as the first word of `ExecStart=` (`systemd.service(5)`, "Command lines"): specifiers are expanded in it,
/// variables are not.
fn word(program: &Path) -> Result<String, Failure> {
    let unusable = || {
        let message = format!("`{}` cannot stand in a unit", program.display());
        Failure::new(Exit::Failed, "bad_path", message).help("install Janus under a plainer path")
    };
    let text = program
        .to_str()
        .filter(|text| !text.contains(char::is_control))
        .ok_or_else(unusable)?;
    let text = text.replace('%', "%%");
    let plain = |c: char| c.is_alphanumeric() || "/._-+%$@:,=".contains(c);
    if text.chars().all(plain) {
        Ok(text)
    } else {
        Ok(format!(
            "\"{}\"",
            text.replace('\\', "\\\\").replace('"', "\\\"")
        ))
    }
}

/// A value of an environment file (`systemd.exec(5)`, `EnvironmentFile=`).
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '`' | '$') {
            text.push('\\');
        }
        text.push(c);
    }
    text + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_one_word_of_a_unit() {
        for (path, expected) in [
            ("/usr/bin/janus", "/usr/bin/janus"),
            ("/home/ana/my tools/janus", "\"/home/ana/my tools/janus\""),
            ("/a%b/$c/janus", "/a%%b/$c/janus"),
            ("/a\"b\\c/janus", "\"/a\\\"b\\\\c/janus\""),
        ] {
            assert_eq!(word(Path::new(path)).unwrap(), expected);
        }
        assert!(word(Path::new("/a\nb/janus")).is_err());
        assert_eq!(quoted("/a b:/c\"d:$e"), "\"/a b:/c\\\"d:\\$e\"");
    }

    fn environment(path: &Path) -> File {
        File {
            path: path.to_owned(),
            text: String::new(),
            kind: Kind::Environment,
        }
    }

    #[test]
    fn a_persons_own_variables_outlive_ours() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files {
            units: directory.path().to_owned(),
            environment: directory.path().join("service.env"),
            program: "/usr/bin/janus".into(),
            word: "/usr/bin/janus".to_owned(),
        };
        let mode = || {
            fs::metadata(&files.environment)
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        let text = || fs::read_to_string(&files.environment).unwrap();
        fs::write(&files.environment, "# mine\nMINE=1\n").unwrap();
        fs::set_permissions(&files.environment, fs::Permissions::from_mode(0o644)).unwrap();
        let wanted = files.service_env("/one:/two", false).unwrap();
        assert_eq!(wanted.write().unwrap(), Written::Now);
        assert_eq!(
            (text(), mode()),
            (
                format!("{MARK}# mine\nMINE=1\n{ABOUT_PATH}PATH=\"/one:/two\"\n"),
                0o600
            )
        );
        // The same again, and then another one where it is asked for.
        let again = files.service_env("/three", false).unwrap();
        assert_eq!(again.write().unwrap(), Written::AsItWas);
        let refreshed = files.service_env("/three", true).unwrap();
        assert_eq!(refreshed.write().unwrap(), Written::Now);
        assert!(text().ends_with("PATH=\"/three\"\n") && text().matches("PATH=").count() == 1);
        assert!(environment(&files.environment).delete().unwrap());
        assert_eq!((text().as_str(), mode()), ("# mine\nMINE=1\n", 0o600));
        // Theirs alone is left.
        assert!(!environment(&files.environment).delete().unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        // Where they said a PATH of their own, it counts.
        fs::write(&files.environment, "PATH=/mine\n").unwrap();
        let own = files.service_env("/one", true).unwrap();
        assert_eq!(own.write().unwrap(), Written::AsItWas);
        fs::write(
            &files.environment,
            format!("{MARK}{ABOUT_PATH}PATH=\"/a\"\n"),
        )
        .unwrap();
        assert!(environment(&files.environment).delete().unwrap());
        assert!(!files.environment.exists());
    }
}
