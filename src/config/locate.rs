//! Which file is read: `--config`, `JANUS_CONFIG`, then the user's configuration directory. Never the working
//! directory: a repository somebody cloned must not be able to start programs.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{ConfigError, Environment};

/// The file to read, and who named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// An absolute path.
    pub path: PathBuf,
    /// Who named it.
    pub named: Named,
}

/// Who named the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// `--config`.
    Flag,
    /// `JANUS_CONFIG`.
    Variable,
    /// Nobody: it is the usual place, where a file may be missing.
    Default,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "--config",
            Self::Variable => "JANUS_CONFIG",
            Self::Default => "the default place",
        })
    }
}

/// Finds the configuration; says nothing about whether it exists.
pub fn locate(flag: Option<&Path>, environment: &Environment) -> Result<Location, ConfigError> {
    let (path, named) = if let Some(path) = flag {
        (path.to_owned(), Named::Flag)
    } else if let Some(path) = environment.config_file() {
        (path, Named::Variable)
    } else {
        let home = environment.config_home().ok_or(ConfigError::NoHome)?;
        (home.join("janus/config.yaml"), Named::Default)
    };
    let path = std::path::absolute(&path).unwrap_or(path);
    Ok(Location { path, named })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins_then_the_variable_then_the_user_directory() {
        let both = Environment::new([("JANUS_CONFIG", "/v.yaml"), ("HOME", "/h")], 0);
        let found = |flag: Option<&Path>, environment: &Environment| {
            locate(flag, environment)
                .map(|l| (l.path.display().to_string(), l.named))
                .ok()
        };
        assert_eq!(
            found(Some(Path::new("/f.yaml")), &both),
            Some(("/f.yaml".into(), Named::Flag))
        );
        assert_eq!(
            found(None, &both),
            Some(("/v.yaml".into(), Named::Variable))
        );
        let home = Environment::new([("JANUS_CONFIG", ""), ("HOME", "/h")], 0);
        assert_eq!(
            found(None, &home),
            Some(("/h/.config/janus/config.yaml".into(), Named::Default))
        );
        let xdg = Environment::new([("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")], 0);
        assert_eq!(
            found(None, &xdg),
            Some(("/x/janus/config.yaml".into(), Named::Default))
        );
        assert_eq!(found(None, &Environment::new([("PATH", "/bin")], 0)), None);
    }
}
