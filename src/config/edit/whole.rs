//! Writing a file whole: whoever reads it meanwhile, or after a crash, finds the old text or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// A new file is its owner's alone: people write secrets into configurations, whatever the manual says.
const MODE: u32 = 0o600;

/// Links that lead to links; more than this is a circle.
const MOST_LINKS: usize = 16;

/// Writes `text` to `path`. Where that is a link, the file it leads to is replaced; mode and owner stay.
///
/// # Errors
/// What the system said; the old file is as it was.
pub fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let path = target(path)?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let draft = directory.join(draft_name(&path)?);
    let written = write(&draft, &path, text).and_then(|()| fs::rename(&draft, &path));
    if written.is_err() {
        // What cannot be removed either is nothing but a stray file.
        drop(fs::remove_file(&draft));
        return written;
    }
    File::open(directory)?.sync_all()
}

/// The file that is meant, whether it exists or not.
fn target(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(link) => path = path.parent().unwrap_or_else(|| Path::new("")).join(link),
            // No link, or nothing there.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => {
                return Ok(path);
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(
        ErrorKind::InvalidInput,
        "its links lead in a circle",
    ))
}

/// Beside the file, hidden, and of a name that nobody guesses.
fn draft_name(path: &Path) -> io::Result<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!(".{name}.{:016x}", u64::from_ne_bytes(random)))
}

fn write(draft: &Path, path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(draft)?;
    match fs::metadata(path) {
        Ok(old) => {
            let new = file.metadata()?;
            if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
                fchown(&file, Some(old.uid()), Some(old.gid()))?;
            }
            file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_mode_stays_and_a_link_stays_a_link() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("real/config.yaml");
        fs::create_dir(root.path().join("real")).unwrap();
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let link = root.path().join("link.yaml");
        symlink("real/config.yaml", &link).unwrap();

        write_whole(&link, "new").unwrap();

        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("real/config.yaml"));
        assert_eq!(names(&root.path().join("real")), ["config.yaml"]);
    }

    #[test]
    fn a_new_file_is_private_also_where_a_link_leads_nowhere_yet() {
        let root = tempfile::tempdir().unwrap();
        symlink("there", root.path().join("here")).unwrap();
        write_whole(&root.path().join("here"), "new").unwrap();
        let file = root.path().join("there");
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("config.yaml")).unwrap();
        assert!(write_whole(&root.path().join("config.yaml"), "new").is_err());
        assert!(write_whole(&root.path().join("absent/config.yaml"), "new").is_err());
        symlink("circle", root.path().join("circle")).unwrap();
        assert!(write_whole(&root.path().join("circle"), "new").is_err());
        assert_eq!(names(root.path()), ["circle", "config.yaml"]);
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}
