//! A real Secret Service without a desktop: gnome-keyring on a session bus of its own, unlocked by a password on standard
//! input. The bus activates nothing, so that its absence can be seen.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::PATIENCE;

/// The bus, and the keyring on it if it runs. Both end when this is dropped.
#[derive(Debug)]
pub(crate) struct Keyring {
    directory: TempDir,
    bus: Child,
    daemon: Option<Child>,
}

const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path=PATH</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
"#;

impl Keyring {
    /// A bus without a Secret Service. `None` where the programs are missing.
    pub(crate) fn bus() -> Option<Self> {
        for program in ["dbus-daemon", "gnome-keyring-daemon", "dbus-send"] {
            let found = Command::new("which")
                .arg(program)
                .stdout(Stdio::null())
                .status();
            if !found.is_ok_and(|status| status.success()) {
                super::skip("the keyring", &format!("{program} is not installed"));
                return None;
            }
        }
        let directory = TempDir::with_prefix("janus-bus-").unwrap();
        for name in ["run", "data", "config"] {
            let path = directory.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let bus = start_bus(directory.path());
        Some(Self {
            directory,
            bus,
            daemon: None,
        })
    }

    /// Ends the bus, and with it what is on it.
    pub(crate) fn end_bus(&mut self) {
        for child in [self.daemon.take().as_mut(), Some(&mut self.bus)]
            .into_iter()
            .flatten()
        {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts another one in the same place.
    pub(crate) fn begin_bus(&mut self) {
        fs::remove_file(self.path("run/bus")).ok();
        self.bus = start_bus(self.directory.path());
    }

    /// A bus with an unlocked keyring on it.
    pub(crate) fn unlocked() -> Option<Self> {
        let mut keyring = Self::bus()?;
        keyring.start(Some("pw-one"));
        Some(keyring)
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:path={}", self.path("run/bus").display())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts the keyring, unlocked with a password or as it comes.
    pub(crate) fn start(&mut self, password: Option<&str>) {
        let mut command = Command::new("gnome-keyring-daemon");
        command.arg("--foreground").arg("--components=secrets");
        if password.is_some() {
            command.arg("--unlock");
        }
        let mut daemon = self
            .private(&mut command)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = daemon.stdin.take().unwrap();
        stdin
            .write_all(password.unwrap_or_default().as_bytes())
            .unwrap();
        drop(stdin);
        self.daemon = Some(daemon);
        until("the keyring", || self.is_there());
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        daemon.kill().unwrap();
        daemon.wait().unwrap();
        until("the end of the keyring", || !self.is_there());
    }

    /// Unlocks the keyring that runs, as a login at the desktop does.
    pub(crate) async fn unlock(&self, password: &str) {
        use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Value};
        let builder = zbus::connection::Builder::address(self.address().as_str()).unwrap();
        let bus = builder.build().await.unwrap();
        let service = Some("org.freedesktop.secrets");
        let path = "/org/freedesktop/secrets";
        let opened = bus
            .call_method(
                service,
                path,
                Some("org.freedesktop.Secret.Service"),
                "OpenSession",
                &("plain", Value::from("")),
            )
            .await
            .unwrap();
        let (_, session): (OwnedValue, OwnedObjectPath) = opened.body().deserialize().unwrap();
        let collection = ObjectPath::try_from("/org/freedesktop/secrets/collection/login").unwrap();
        let secret = (
            session,
            Vec::<u8>::new(),
            password.as_bytes().to_vec(),
            "text/plain",
        );
        // What the login of the desktop calls, by its own name for it.
        let interface = Some("org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface");
        bus.call_method(
            service,
            path,
            interface,
            "UnlockWithMasterPassword",
            &(collection, secret),
        )
        .await
        .unwrap();
    }

    /// Locks every collection.
    pub(crate) fn lock(&self) {
        let sent = self
            .private(&mut Command::new("dbus-send"))
            .args([
                "--session",
                "--print-reply",
                "--dest=org.freedesktop.secrets",
            ])
            .args([
                "/org/freedesktop/secrets",
                "org.freedesktop.Secret.Service.Lock",
            ])
            .arg("array:objpath:/org/freedesktop/secrets/collection/login")
            .stdout(Stdio::null())
            .status();
        assert!(sent.unwrap().success(), "it cannot be locked");
    }

    fn is_there(&self) -> bool {
        let asked = self
            .private(&mut Command::new("dbus-send"))
            .args([
                "--session",
                "--print-reply",
                "--dest=org.freedesktop.DBus",
                "/org/freedesktop/DBus",
            ])
            .args([
                "org.freedesktop.DBus.NameHasOwner",
                "string:org.freedesktop.secrets",
            ])
            .output()
            .unwrap();
        String::from_utf8_lossy(&asked.stdout).contains("boolean true")
    }

    /// A command that knows no other bus and no other home.
    fn private<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let home: &Path = self.directory.path();
        command
            .env_clear()
            .env("PATH", super::env("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home.join("run"))
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("DBUS_SESSION_BUS_ADDRESS", self.address())
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        for child in [self.daemon.as_mut(), Some(&mut self.bus)]
            .into_iter()
            .flatten()
        {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn start_bus(directory: &Path) -> Child {
    let socket = directory.join("run/bus");
    let config = directory.join("bus.conf");
    fs::write(&config, BUS.replace("PATH", socket.to_str().unwrap())).unwrap();
    let bus = Command::new("dbus-daemon")
        .arg(format!("--config-file={}", config.display()))
        .args(["--nofork", "--nosyslog"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the bus", || socket.exists());
    bus
}

/// Waits for something that another program does and does not tell.
pub(crate) fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < end, "{what} did not come in time");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
