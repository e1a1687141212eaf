//! The page of a login that a client's call needs, opened in the user's session: outside of the service, and only where
//! there is a display.

use std::collections::BTreeMap;
use std::fs;

use serde_json::json;

use super::{CONFIG, call, drop_in, enabled, main_process, result};
use crate::support::authorization::{AuthorizationServer, Behaviour, ProtectedServer, Protection};
use crate::support::{Machine, until};

/// The processes of the browsers, in the order in which they were started.
const BROWSERS: &str = "~/browsers";

/// Says that it was started, and is there until somebody ends it.
const BROWSER: &str = "echo $$ >>~/browsers; sleep infinity & wait";

/// Says so too, and ends at once, as `xdg-open` does. What it leaves logs in as a person would: opens the page, clicks
/// its button, goes where it is sent; then it is there until somebody ends it.
const OPENER: &str = r#"#!/bin/sh
browse() {
  exec >~/seen 2>&1
  while kill -0 "$2"; do sleep 0.05; done
  token="$(curl -q -sS "$1" | sed -n 's/.*name="token" value="\([^"]*\)".*/\1/p')"
  there="$(curl -q -sS -o /dev/null -w '%{redirect_url}' -H 'origin: http://127.0.0.1:7332' -d "token=$token" "$1")"
  curl -q -sS -L "$there"
  sleep infinity
}
browse "$1" $$ &
echo $! >>~/browsers
"#;

/// A server that wants tokens and whoever gives them, in the network of the box.
struct World {
    // Before the servers: Janus ends first.
    machine: Machine,
    authority: AuthorizationServer,
    server: ProtectedServer,
}

impl World {
    /// With a server of each of these names, all at the same place.
    fn start(test: &str, servers: &[(&str, &str)]) -> Option<Self> {
        let machine = enabled(test, "servers: {}\n")?;
        let (authority, server) = machine.in_network(async || {
            let authority = AuthorizationServer::start(Behaviour::default()).await;
            let server = ProtectedServer::start(&authority, Protection::default()).await;
            (authority, server)
        });
        let url = server.url();
        let servers = servers.iter().map(|(name, keys)| {
            format!("  {name}: {{ url: \"{url}\", auth: {{ oauth: {{ {keys} }} }} }}\n")
        });
        let servers = servers.collect::<Vec<_>>().concat();
        let vault = "vault: { key: file, key_file: ~/.config/janus/vault.key }";
        machine.write(CONFIG, &format!("{vault}\nservers:\n{servers}"));
        Some(Self {
            machine,
            authority,
            server,
        })
    }

    /// Calls a tool that needs a login: the link that the answer carries.
    fn link(&self, tool: &str) -> String {
        let result = result(&self.machine, tool, &json!({}));
        let link = result["_meta"]["dev.janus/login"]["url"].as_str();
        let link = link.unwrap_or_else(|| panic!("{result}\n{}", self.machine.journal()));
        assert!(link.starts_with("http://127.0.0.1:7332/login/"), "{result}");
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(link), "{text}");
        link.to_owned()
    }

    /// The processes of all browsers that were started so far.
    fn browsers(&self) -> Vec<String> {
        let started = fs::read_to_string(self.machine.seen(BROWSERS)).unwrap_or_default();
        started.lines().map(str::to_owned).collect()
    }

    /// Waits for a browser, the only one.
    fn browser(&self) -> String {
        until("a browser", || !self.browsers().is_empty());
        let [browser] = &self.browsers()[..] else {
            panic!("{:?}", self.browsers());
        };
        browser.clone()
    }

    /// What the kernel has of a process; empty once it has ended.
    fn kernel(&self, process: &str, file: &str) -> String {
        let file = self.machine.seen(&format!("/proc/{process}/{file}"));
        fs::read_to_string(file).unwrap_or_default()
    }

    /// The unit that a process is in.
    fn unit(&self, process: &str) -> String {
        let groups = self.kernel(process, "cgroup");
        let group = groups.lines().find_map(|line| line.strip_prefix("0::"));
        let unit = group.and_then(|group| group.rsplit('/').next());
        unit.unwrap_or_else(|| panic!("{process}: {groups}"))
            .to_owned()
    }

    /// It has a unit of its own, and nothing of what the service's unit restricts.
    fn assert_outside(&self, browser: &str) {
        let unit = self.unit(browser);
        assert!(
            unit.starts_with("run-") && unit.ends_with(".service"),
            "{unit}"
        );
        let service = main_process(&self.machine);
        assert_eq!(self.unit(&service), "janus.service");
        for (what, inside, outside) in [("NoNewPrivs", "1", "0"), ("Seccomp", "2", "0")] {
            assert_eq!(self.status(&service, what), inside, "{what}");
            assert_eq!(self.status(browser, what), outside, "{what}");
        }
    }

    /// A line of the kernel's on a process.
    fn status(&self, process: &str, what: &str) -> String {
        let all = self.kernel(process, "status");
        let lines = all.lines().filter_map(|line| line.split_once(":\t"));
        let lines: BTreeMap<&str, &str> = lines.collect();
        lines[what].to_owned()
    }

    /// Units that were made for browsers, and still are known.
    fn units(&self) -> String {
        let list = [
            "list-units",
            "--all",
            "--plain",
            "--no-legend",
            "run-*.service",
        ];
        self.machine.systemctl(&list)
    }
}

#[test]
fn a_browser_opens_the_page_in_the_session_and_outlives_the_service() {
    let name = "a_browser_opens_the_page_in_the_session_and_outlives_the_service";
    let keys = "open_browser: true, browser_command: [sh, /home/tester/browser, -P, \"client a\"]";
    let Some(world) = World::start(name, &[("dark", keys), ("lit", keys)]) else {
        return;
    };
    let machine = &world.machine;
    machine.write("~/browser", BROWSER);
    drop_in(machine, "[Service]\nEnvironment=JANUS_LOG=debug\n");

    // Nobody would see it: the link is told all the same, and a notification is tried instead.
    world.link("dark__who");
    until("a notification", || {
        machine.journal().contains("no notification is shown")
    });
    assert_eq!(world.units(), "");

    machine.systemctl(&["set-environment", "DISPLAY=:7"]);
    let link = world.link("lit__who");
    // One that the first call started would be here before it.
    let browser = world.browser();
    let words = world.kernel(&browser, "cmdline");
    let own = format!("\0/home/tester/browser\0-P\0client a\0{link}\0");
    assert!(words.ends_with(&own), "{words:?}");
    let environment = world.kernel(&browser, "environ");
    let mut variables = environment.split('\0');
    assert!(variables.any(|line| line == "DISPLAY=:7"), "{environment}");
    world.assert_outside(&browser);

    // The same login waits, in the same window.
    assert_eq!(world.link("lit__write"), link);
    let service = main_process(machine);
    machine.systemctl(&["restart", "janus.service"]);
    assert_ne!(main_process(machine), service);
    machine.systemctl(&["stop", "janus.service"]);
    assert_eq!(world.kernel(&browser, "cmdline"), words);
    assert_eq!(world.browsers(), [browser.as_str()]);

    // One that breaks leaves no failed unit behind.
    let unit = world.unit(&browser);
    machine.systemctl(&["kill", "--signal", "KILL", &unit]);
    until("the end of its unit", || world.units().is_empty());
}

#[test]
fn without_a_command_the_desktop_opens_the_page_and_the_call_goes_through_after_it() {
    let name = "without_a_command_the_desktop_opens_the_page_and_the_call_goes_through_after_it";
    let Some(world) = World::start(name, &[("s", "open_browser: true")]) else {
        return;
    };
    let machine = &world.machine;
    machine.write("~/xdg-open", OPENER);
    let installed = ["install", "-m", "755", "/home/tester/xdg-open", "/usr/bin"];
    assert!(machine.root(&installed).status.success());
    machine.systemctl(&["set-environment", "WAYLAND_DISPLAY=wayland-7"]);

    let link = world.link("s__who");
    let browser = world.browser();
    let words = world.kernel(&browser, "cmdline");
    let opened = format!("/xdg-open\0{link}\0");
    assert!(words.ends_with(&opened), "{words:?}");
    world.assert_outside(&browser);
    let seen = || fs::read_to_string(machine.seen("~/seen")).unwrap_or_default();
    until("the end of the login", || seen().contains("Logged in"));
    assert_eq!(call(machine, "s__who", &json!({})), "ana");
    // The program that opened it has ended long ago.
    assert_eq!(world.kernel(&browser, "cmdline"), words);
    assert_eq!(world.browsers(), [browser]);
    assert_eq!(world.server.violations(), [""; 0]);
    assert_eq!(world.authority.violations(), [""; 0]);
}
