//! A network of a test's own: two name spaces with a cable between them, which no other process sees.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::Command;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tempfile::TempDir;

use super::{Output, Process, skip};

/// The network that Janus is in, and the one of its servers.
#[derive(Debug)]
pub(crate) struct Network {
    here: Process,
    there: Process,
}

/// Addresses for documentation (RFC 5737).
const HERE: &str = "192.0.2.1";
const THERE: &str = "192.0.2.2";

/// Opens a socket where it is run, and hands it to whoever listens there.
const LISTEN: &str = "
import socket, sys
own = socket.create_server((sys.argv[1], 0))
to = socket.socket(socket.AF_UNIX)
to.connect(sys.argv[2])
socket.send_fds(to, [b'x'], [own.fileno()])
";

impl Network {
    /// Both ends, up and connected. `None`: not here, which was said.
    pub(crate) fn new(test: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            skip(test, "only root makes a network");
            return None;
        }
        let space = |name| {
            let mut command = Command::new("unshare");
            let script = "ip link set lo up && echo up || echo refused; exec cat";
            let mut holder = Process::start(name, command.args(["--net", "sh", "-c", script]));
            let said = holder.line_or_end(Output::Stdout, |line| Some(line.to_owned()));
            (said.as_deref() == Some("up")).then_some(holder)
        };
        let (Some(here), Some(there)) = (space("the near network"), space("the far network"))
        else {
            skip(
                test,
                "this machine does not let a network be made (`unshare --net`, `ip`)",
            );
            return None;
        };
        let network = Self { here, there };
        let (near, far) = (
            network.here.id().to_string(),
            network.there.id().to_string(),
        );
        let made = Process::run(
            "ip",
            Command::new("ip").args([
                "link", "add", "near", "netns", &near, "type", "veth", "peer", "name", "far",
                "netns", &far,
            ]),
        );
        if !made.status.success() {
            skip(test, made.stderr.trim());
            return None;
        }
        for (holder, link, address) in [
            (&network.here, "near", HERE),
            (&network.there, "far", THERE),
        ] {
            // Two machines agree on who has which address in a second, which nobody waits for here.
            for script in [
                format!("ip addr add {address}/24 dev {link}"),
                format!("ip link set {link} up"),
            ] {
                run(holder, &script);
            }
        }
        Some(network)
    }

    /// A socket of the far network, and where it is reached from the near one.
    pub(crate) fn listen(&self) -> TcpListener {
        let directory = TempDir::with_prefix("janus-net-").unwrap();
        let path = directory.path().join("hand");
        let hand = UnixListener::bind(&path).unwrap();
        let mut command = within(&self.there, "python3");
        command.args(["-c", LISTEN, THERE]).arg(&path);
        let opened = Process::run("python3", &mut command);
        assert!(opened.status.success(), "{opened:?}");
        let (stream, _) = hand.accept().unwrap();
        let mut byte = [0];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut into = [std::io::IoSliceMut::new(&mut byte)];
        recvmsg(&stream, &mut into, &mut ancillary, RecvFlags::CMSG_CLOEXEC).unwrap();
        let mut handed = ancillary.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        let handed: OwnedFd = handed.next().expect("a descriptor");
        let listener = TcpListener::from(handed);
        listener.set_nonblocking(true).unwrap();
        listener
    }

    /// The same command, in the near network.
    pub(crate) fn enter(&self, command: &Command) -> Command {
        let mut entered = within(&self.here, command.get_program().to_str().unwrap());
        entered.args(command.get_args()).env_clear();
        for (name, value) in command.get_envs() {
            entered.envs(value.map(|value| (name, value)));
        }
        entered.current_dir(command.get_current_dir().unwrap());
        entered
    }

    /// A command of the near network, by which it changes.
    pub(crate) fn change(&self, script: &str) {
        run(&self.here, script);
    }
}

fn within(holder: &Process, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    let target = holder.id().to_string();
    command.args(["--net", "--target", &target, "--", program]);
    command
}

fn run(holder: &Process, script: &str) {
    let ended = Process::run("sh", within(holder, "sh").args(["-c", script]));
    assert!(ended.status.success(), "{script}: {}", ended.stderr);
}
