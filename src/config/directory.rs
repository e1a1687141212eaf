//! The directories of bindings, as the system names them: callers' directories come from the kernel without links.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

/// What is strange about a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strange {
    /// It is not there.
    Missing,
    /// Something else is there.
    NoDirectory,
    /// The system does not say.
    Unreadable,
}

/// Whether a path goes up again. What that means depends on links, so nobody could say what such a rule binds.
pub(super) fn goes_up(path: &Path) -> bool {
    path.components()
        .any(|component| component == Component::ParentDir)
}

/// The path with the links of its longest existing part followed.
pub(super) fn canonical(path: &Path) -> (PathBuf, Option<Strange>) {
    let strange = match path.canonicalize() {
        Ok(found) => {
            let strange = (!found.is_dir()).then_some(Strange::NoDirectory);
            return (found, strange);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Strange::Missing,
        Err(error) if error.kind() == ErrorKind::NotADirectory => Strange::NoDirectory,
        Err(_) => Strange::Unreadable,
    };
    let found = path.ancestors().skip(1).find_map(|part| {
        let rest = path.strip_prefix(part).ok()?;
        part.canonicalize().ok().map(|part| part.join(rest))
    });
    // Without an existing part there is no link to follow; the components lose their `.` and doubled `/`.
    let found = found.unwrap_or_else(|| path.components().collect());
    (found, Some(strange))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_as_far_as_there_is_something() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("real/deep")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        symlink(root.join("real"), root.join("link")).unwrap();
        symlink(root.join("nowhere"), root.join("dangling")).unwrap();
        for (path, expected, strange) in [
            ("real", "real", None),
            ("link/deep/", "real/deep", None),
            ("link//./deep", "real/deep", None),
            ("link/new/er", "real/new/er", Some(Strange::Missing)),
            ("dangling/x", "dangling/x", Some(Strange::Missing)),
            ("file", "file", Some(Strange::NoDirectory)),
            ("file/x", "file/x", Some(Strange::NoDirectory)),
        ] {
            let found = canonical(&root.join(path));
            assert_eq!(found, (root.join(expected), strange), "{path}");
        }
    }

    #[test]
    fn a_path_that_goes_up_is_recognized() {
        for (path, up) in [
            ("/a/../b", true),
            ("/..", true),
            ("/a/./b", false),
            ("/a..b/..c", false),
        ] {
            assert_eq!(goes_up(Path::new(path)), up, "{path}");
        }
    }
}
