//! `janus connect` without `--standalone`: a real shim between a client of either era and a real daemon.

mod alone;
mod away;
mod ending;
mod identity;
mod lines;
mod restarts;
mod upgrade;

use serde_json::{Value, json};

use crate::support::{Ended, Era, Home, Janus, Process};

const LEGACY: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";
const SERVER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/servers/faulty_server.py"
);

/// A server of the configuration: `tests/servers/faulty_server.py` with these options.
fn server(name: &str, options: &[&str]) -> String {
    let command = json!([&["python3", SERVER], options].concat());
    format!("{name}: {{ command: {command} }}\n")
}

/// A client that started `janus connect`.
#[derive(Debug)]
struct Client {
    shim: Process,
    era: Era,
    last_id: u64,
    /// What came that is no response, in order.
    told: Vec<Value>,
}

impl Client {
    /// A client of this home's daemon that has said nothing yet.
    fn silent(home: &Home, era: Era, arguments: &[&str]) -> Self {
        Self {
            shim: home.connect(arguments),
            era,
            last_id: 0,
            told: Vec::new(),
        }
    }

    /// One that knows whom it talks to.
    fn open(home: &Home, era: Era, arguments: &[&str]) -> Self {
        let mut client = Self::silent(home, era, arguments);
        client.greet();
        client
    }

    fn greet(&mut self) {
        if self.era == Era::Legacy {
            let id = self.ask("initialize", initialize());
            let answer = self.answer(id);
            assert_eq!(answer["result"]["protocolVersion"], LEGACY, "{answer}");
            self.notify("notifications/initialized", json!({}));
        } else {
            let answer = self.request("server/discover", json!({}));
            assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
        }
    }

    /// Sends a request and gives its id.
    fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let mut params = params;
        if self.era != Era::Legacy {
            let meta = &mut params["_meta"];
            meta["io.modelcontextprotocol/protocolVersion"] = json!(MODERN);
            meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
        }
        self.say(
            &json!({ "jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params }),
        );
        self.last_id
    }

    fn notify(&mut self, method: &str, params: Value) {
        let mut message = json!({ "jsonrpc": "2.0", "method": method });
        message["params"] = params;
        self.say(&message);
    }

    fn say(&mut self, message: &Value) {
        self.shim.say(&message.to_string());
    }

    /// The response to this request, which is the next one.
    fn answer(&mut self, id: u64) -> Value {
        let response = self.response();
        assert_eq!(response["id"], id, "{response}");
        response
    }

    /// The next response; what is told before it is kept.
    fn response(&mut self) -> Value {
        loop {
            let message = self.shim.message();
            if message.get("method").is_none() {
                return message;
            }
            self.told.push(message);
        }
    }

    /// The next message with this method.
    fn heard(&mut self, method: &str) -> Value {
        loop {
            if let Some(at) = self.told.iter().position(|told| told["method"] == method) {
                return self.told.remove(at);
            }
            let message = self.shim.message();
            assert!(message.get("method").is_some(), "{message}");
            self.told.push(message);
        }
    }

    fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        self.answer(id)
    }

    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let mut params = json!({ "name": tool });
        params["arguments"] = arguments;
        self.request("tools/call", params)
    }

    /// The text of a call that succeeds.
    fn text(&mut self, tool: &str, arguments: Value) -> String {
        let answer = self.call(tool, arguments);
        let text = answer["result"]["content"][0]["text"].as_str();
        let fine = answer["result"]["isError"] != true;
        let text = text.filter(|_| fine);
        text.unwrap_or_else(|| panic!("{tool} failed: {answer}"))
            .to_owned()
    }

    fn echo(&mut self, text: &str) {
        assert_eq!(self.text("echo", json!({ "text": text })), text);
    }

    /// The client is done. Everything on standard output was a message, and every request had one answer.
    fn leave(mut self) -> Ended {
        self.shim.close_stdin();
        let ended = self.shim.finish();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        assert_eq!(answers(&ended), (1..=self.last_id).collect::<Vec<_>>());
        ended
    }
}

/// The ids of all responses, sorted; anything on standard output that is no message is a failure.
fn answers(ended: &Ended) -> Vec<u64> {
    let messages = ended.stdout.lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    });
    let responses = messages.filter(|message| message.get("method").is_none());
    let mut ids: Vec<u64> = responses
        .filter_map(|message| message["id"].as_u64())
        .collect();
    ids.sort_unstable();
    ids
}

fn initialize() -> Value {
    json!({ "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } })
}

/// The data of the error that Janus answers with.
fn refused(answer: &Value) -> (String, &Value) {
    let message = answer["error"]["message"].as_str();
    let message = message.unwrap_or_else(|| panic!("no error: {answer}"));
    (message.to_owned(), &answer["error"]["data"])
}

#[test]
fn a_client_of_either_era_is_served_as_by_the_daemon_itself() {
    let janus = Janus::start(&server("good", &[]));
    for era in Era::CLIENTS {
        let mut merged = Client::open(janus.home(), era, &[]);
        let list = merged.request("tools/list", json!({}));
        let names = list["result"]["tools"].as_array().unwrap().iter();
        let names: Vec<_> = names.map(|tool| tool["name"].as_str().unwrap()).collect();
        assert!(names.contains(&"good__echo"), "{names:?}");
        assert_eq!(
            merged.text("good__echo", json!({ "text": "grüße" })),
            "grüße"
        );
        merged.leave();
        let mut alone = Client::open(janus.home(), era, &["--path", "/mcp/@good"]);
        alone.echo("alone");
        alone.leave();
    }
}

#[test]
fn both_eras_may_be_spoken_on_one_connection() {
    let janus = Janus::start(&server("good", &[]));
    let mut client = Client::open(janus.home(), Era::Legacy, &["--path", "/mcp/@good"]);
    for era in [Era::Modern, Era::Legacy, Era::Modern] {
        client.era = era;
        client.echo(era.as_str());
    }
    client.leave();
}

#[test]
fn the_socket_is_found_whatever_is_wrong_with_the_configuration() {
    let janus = Janus::start(&server("good", &[]));
    let broken = janus.home().path().join("broken.yaml");
    std::fs::write(&broken, "servers: [").unwrap();
    for (config, runtime) in [
        (&broken, true),
        (&janus.home().path().join("none.yaml"), false),
    ] {
        let mut command = janus
            .home()
            .command(&["connect", "--path", "/mcp/@good", "--config"]);
        command.arg(config);
        let sockets = janus.socket().parent().unwrap();
        if runtime {
            command
                .env_remove("XDG_RUNTIME_DIR")
                .env("JANUS_RUNTIME_DIR", sockets);
        }
        command.env("JANUS_KEY", "").env("JANUS_PROFILE", "");
        let mut client = Client {
            shim: Process::start("janus connect", &mut command),
            era: Era::Legacy,
            last_id: 0,
            told: Vec::new(),
        };
        client.greet();
        client.echo("found");
        client.leave();
    }
}
