//! What a distribution installs, by `packaging/install.mk`.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{CONFIG, answered, notes};
use crate::support::{Machine, Process};

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
