//! What a distribution installs, by `packaging/install.mk`.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{CONFIG, answered, notes};
use crate::support::{Machine, Process};

/// Where a package installs a file, below its prefix, and what it is in the source tree.
const INSTALLED: [(&str, &str); 13] = [
    ("lib/systemd/catalog/janus.catalog", "systemd/janus.catalog"),
    (
        "lib/systemd/user-preset/50-janus.preset",
        "systemd/50-janus.preset",
    ),
    (
        "lib/systemd/user/janus-control.socket",
        "systemd/janus-control.socket",
    ),
    ("lib/systemd/user/janus.service", "systemd/janus.service"),
    ("lib/systemd/user/janus.socket", "systemd/janus.socket"),
    ("share/doc/janus-mcp/CHANGELOG.md", "CHANGELOG.md"),
    ("share/doc/janus-mcp/LICENSE", "LICENSE"),
    ("share/doc/janus-mcp/README.md", "README.md"),
    (
        "share/doc/janus-mcp/janus.example.yaml",
        "janus.example.yaml",
    ),
    ("share/janus-mcp/systemd/README.md", "systemd/README.md"),
    (
        "share/janus-mcp/systemd/remote-only.conf",
        "systemd/remote-only.conf",
    ),
    ("share/man/man1/janus.1", "systemd/janus.1"),
    ("bin/janus-mcp", env!("CARGO_BIN_EXE_janus")),
];
const SCHEMA: &str = "share/janus-mcp/janus.schema.json";

/// Installs Janus below a root of its own, as a package is built.
fn installed(prefix: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("make");
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["-s", "-f", "packaging/install.mk", "install"])
        .arg(format!("PREFIX={prefix}"))
        .arg(format!("BINARY={}", env!("CARGO_BIN_EXE_janus")))
        .arg(format!("DESTDIR={}", directory.path().display()));
    let ended = Process::run("make", &mut command);
    assert!(ended.status.success(), "{ended:?}");
    directory
}

/// The files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn a_package_is_made_of_these_files() {
    let directory = installed("/usr");
    let prefix = directory.path().join("usr");
    let mut there: BTreeSet<PathBuf> = files(directory.path()).into_iter().collect();
    for (path, source) in INSTALLED {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        let path = prefix.join(path);
        assert!(there.remove(&path), "{} is missing", path.display());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let runs = path.starts_with(prefix.join("bin"));
        let expected = if runs { 0o755 } else { 0o644 };
        assert_eq!(mode, expected, "{}", path.display());
        let is_same = std::fs::read(&path).unwrap() == std::fs::read(source).unwrap();
        assert!(is_same, "{}", path.display());
    }
    let link = prefix.join("bin/janus");
    assert!(there.remove(&link));
    assert_eq!(std::fs::read_link(&link).unwrap(), Path::new("janus-mcp"));
    assert!(there.remove(&prefix.join(SCHEMA)));
    let mut command = Command::new(env!("CARGO_BIN_EXE_janus"));
    let printed = Process::run("janus", command.args(["config", "schema"])).stdout;
    let schema = std::fs::read_to_string(prefix.join(SCHEMA)).unwrap();
    assert_eq!(schema, printed);
    assert_eq!(there, BTreeSet::new());
}

#[test]
fn a_package_with_another_prefix_starts_the_program_that_it_installs() {
    let directory = installed("/opt/janus");
    let installed = |path: &str| directory.path().join("opt/janus").join(path);
    assert!(installed("bin/janus").exists());
    let unit = std::fs::read_to_string(installed("lib/systemd/user/janus.service")).unwrap();
    for line in [
        "ExecStart=/opt/janus/bin/janus serve",
        "ExecReload=/opt/janus/bin/janus config reload",
    ] {
        assert!(unit.lines().any(|there| there == line), "{unit}");
    }
    assert!(!unit.contains("/usr/bin/janus"), "{unit}");
}

#[test]
fn what_a_package_installs_is_off_until_its_user_enables_it() {
    let name = "what_a_package_installs_is_off_until_its_user_enables_it";
    let Some(machine) = Machine::boot(name) else {
        return;
    };
    let directory = installed("/usr");
    for file in files(directory.path()) {
        let path = file.strip_prefix(directory.path()).unwrap();
        machine.put(&file, &format!("/{}", path.display()));
    }
    // What a package does after it.
    let updated = machine.root(&["journalctl", "--update-catalog"]);
    assert!(updated.status.success(), "{updated:?}");
    machine.systemctl(&["daemon-reload"]);

    let units = ["janus.socket", "janus-control.socket", "janus.service"];
    let paths = units.map(|unit| format!("/usr/lib/systemd/user/{unit}"));
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let verified = machine.run(&[&["systemd-analyze", "--user", "verify"], &paths[..]].concat());
    assert!(verified.status.success(), "{verified:?}");
    assert_eq!(verified.stderr, "");
    for unit in units {
        assert_eq!(machine.property(unit, "UnitFilePreset"), "disabled");
        assert_eq!(machine.property(unit, "ActiveState"), "inactive");
    }
    machine.systemctl(&["preset", "janus.socket", "janus.service"]);
    assert_ne!(machine.property("janus.socket", "UnitFileState"), "enabled");
    let page = machine.done(&["man", "--where", "janus"]);
    assert_eq!(page.trim(), "/usr/share/man/man1/janus.1");
    let known = machine.done(&["journalctl", "--list-catalog"]);
    assert!(known.contains("Janus is ready"), "{known}");

    machine.write(CONFIG, &notes("notes"));
    machine.systemctl(&["enable", "--now", "janus.socket"]);
    answered(&machine);
}
