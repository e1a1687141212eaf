//! The files of the service: the units, for the program that runs now, and the environment of local servers.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{Context, Exit, Failure, UNITS};

/// The first line of what Janus may change and delete.
const MARK: &str = "# Written by `janus service install`; `janus service remove` deletes it.\n";
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
    program: String,
}

/// One of them, as it should be.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    text: String,
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
        let program = std::env::current_exe().map_err(anyhow::Error::from)?;
        Ok(Self {
            units: config.join("systemd/user"),
            environment: config.join("janus/service.env"),
            program: word(&program)?,
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
        let units = UNITS.iter().map(|unit| self.units.join(unit));
        let paths = units.chain([self.environment.clone()]);
        let empty = |path| File {
            path,
            text: String::new(),
        };
        paths.map(empty).collect()
    }

    fn is_packaged(&self) -> bool {
        let start = format!("ExecStart={} serve", self.program);
        PACKAGED.iter().any(|directory| {
            let text = fs::read_to_string(Path::new(directory).join("janus.service"));
            text.is_ok_and(|text| text.lines().any(|line| line == start))
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
            text.replace(&format!("={SHIPPED} "), &format!("={} ", self.program))
        )
    }

    /// What is there stays, unless the PATH shall be taken anew; other variables stay in any case.
    fn service_env(&self, path: &str, refresh: bool) -> Result<File, Failure> {
        let line = format!("PATH={}\n", quoted(path));
        let text = match read(&self.environment)? {
            None => format!(
                "{MARK}# The login shell's PATH, for local servers; --refresh-path renews it.\n{line}"
            ),
            Some(there) if !refresh => there,
            Some(there) => {
                let others = there.lines().filter(|line| !line.starts_with("PATH="));
                let others: String = others.flat_map(|line| [line, "\n"]).collect();
                format!("{others}{line}")
            }
        };
        Ok(File {
            path: self.environment.clone(),
            text,
        })
    }
}

impl File {
    pub(super) fn place(&self) -> String {
        self.path.display().to_string()
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it, whole or not at all.
    pub(super) fn write(&self) -> Result<Written, Failure> {
        match read(&self.path)? {
            Some(there) if there == self.text => return Ok(Written::AsItWas),
            Some(there) if !there.starts_with(MARK) => return Ok(Written::NotOurs),
            _ => {}
        }
        self.replace().map_err(|error| self.failed(error))?;
        Ok(Written::Now)
    }

    /// Deletes it if it is ours. Whether it did.
    pub(super) fn delete(&self) -> Result<bool, Failure> {
        if !read(&self.path)?.is_some_and(|there| there.starts_with(MARK)) {
            return Ok(false);
        }
        fs::remove_file(&self.path).map_err(|error| self.failed(error))?;
        Ok(true)
    }

    fn replace(&self) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut new = self.path.as_os_str().to_owned();
        new.push(".new");
        // Not secret: systemd and people read it.
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(&new)?;
        file.write_all(self.text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)
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

/// A program as a word of `ExecStart=` (`systemd.service(5)`, "Command lines").
fn word(program: &Path) -> Result<String, Failure> {
    let unusable = || {
        let message = format!("`{}` cannot stand in a unit", program.display());
        Failure::new(Exit::Failed, "bad_path", message).help("install Janus under a plainer path")
    };
    let text = program
        .to_str()
        .filter(|text| !text.contains(char::is_control))
        .ok_or_else(unusable)?;
    let text = text.replace('%', "%%").replace('$', "$$");
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
            ("/a%b/$c/janus", "/a%%b/$$c/janus"),
            ("/a\"b\\c/janus", "\"/a\\\"b\\\\c/janus\""),
        ] {
            assert_eq!(word(Path::new(path)).unwrap(), expected);
        }
        assert!(word(Path::new("/a\nb/janus")).is_err());
        assert_eq!(quoted("/a b:/c\"d:$e"), "\"/a b:/c\\\"d:\\$e\"");
    }
}
