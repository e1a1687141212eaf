//! What Janus tells whoever started it (`sd_notify(3)`), word for word.

use std::os::unix::net::UnixDatagram;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Client, Era, Home, Janus, PATIENCE};

/// A Janus whose messages come here.
fn told(servers: &str) -> (Janus, Messages) {
    let home = Home::new(servers);
    let path = home.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let janus = Janus::start_in(home, |command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    (janus, Messages(socket))
}

struct Messages(UnixDatagram);

impl Messages {
    fn next(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.0.recv(&mut bytes).expect("a message in time");
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    /// The next message that is no mere status.
    fn step(&self) -> String {
        std::iter::repeat_with(|| self.next())
            .find(|said| !said.starts_with("STATUS="))
            .unwrap()
    }
}

/// A server that never says anything.
const MUTE: &str = "mute: { command: [sleep, \"600\"] }";

#[test]
fn it_is_ready_before_a_server_is_and_a_reload_is_one_also_when_the_file_is_refused() {
    let (janus, messages) = told(MUTE);
    let place = janus.url("").replace("http://", "");
    assert_eq!(
        messages.step(),
        format!("READY=1\nSTATUS=serving {place}; 1 account idle\n")
    );
    let good = std::fs::read_to_string(janus.home().config()).unwrap();
    for (text, ends) in [("servers: [".to_owned(), false), (good, true)] {
        std::fs::write(janus.home().config(), text).unwrap();
        janus.hang_up();
        let reloading = messages.step();
        let stamp = reloading
            .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
            .unwrap();
        assert!(stamp.trim().parse::<u64>().unwrap() > 0, "{reloading}");
        let ready = messages.step();
        assert!(
            ready.starts_with(&format!("READY=1\nSTATUS=serving {place}; 1 account ")),
            "{ready}"
        );
        assert_eq!(
            ready.contains("the earlier one stays in force"),
            !ends,
            "{ready}"
        );
        assert_eq!(ready.lines().count(), 2);
    }
}

#[tokio::test]
async fn the_end_is_told_first_and_then_that_it_goes_on() {
    let (janus, messages) = told(MUTE);
    assert!(messages.step().starts_with("READY=1\n"));
    // Somebody waits for an answer that does not come.
    let mut client = Client::open(janus.http(), "/mcp", Era::Legacy).await;
    let stream = client.listen(&[]).await;
    let process = Pid::from_raw(janus.id().try_into().unwrap()).unwrap();
    kill_process(process, Signal::TERM).unwrap();
    assert_eq!(
        messages.step(),
        "STOPPING=1\nSTATUS=stopping: calls in flight may finish\n"
    );
    assert_eq!(messages.step(), "EXTEND_TIMEOUT_USEC=5000000\n");
    drop(stream);
    let (ended, _) = janus.stop();
    assert!(ended.status.success(), "{ended:?}");
}

#[test]
fn a_start_that_fails_says_which_error_of_the_system_it_was() {
    let home = Home::with("listen: { http: \"127.0.0.1:0\" }\nservers: {}\n");
    let path = home.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // Something else is where the directory of the state should be.
    std::fs::remove_dir(home.path().join("state")).unwrap();
    std::fs::write(home.path().join("state"), "").unwrap();
    let mut command = home.command(&["serve", "--config"]);
    command.arg(home.config()).env("NOTIFY_SOCKET", &path);
    let ended = crate::support::Process::run("janus serve", &mut command);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let said = Messages(socket).next();
    let number = rustix::io::Errno::NOTDIR.raw_os_error();
    assert!(
        said.starts_with("STATUS=did not start: ") && said.ends_with(&format!("ERRNO={number}\n")),
        "{said}"
    );

    std::fs::write(home.config(), "servers: [\n").unwrap();
    let socket = path.with_file_name("notify-2");
    let messages = UnixDatagram::bind(&socket).unwrap();
    messages.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = home.command(&["serve", "--config"]);
    command.arg(home.config()).env("NOTIFY_SOCKET", &socket);
    let ended = crate::support::Process::run("janus serve", &mut command);
    assert_eq!(ended.status.code(), Some(78), "{ended:?}");
    let said = Messages(messages).next();
    assert!(
        said.contains("config/janus.yaml:") && said.ends_with("EXIT_STATUS=78\n"),
        "{said}"
    );
}
