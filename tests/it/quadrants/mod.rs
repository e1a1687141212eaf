//! Each feature in each quadrant: a client of one era at the servers of one era, of every make there is.
//!
//! A server speaks one era only, so that a word of the other one would not go unnoticed.

mod cancellation;
mod elicitation;
mod logging;
mod progress;
mod roots;
mod sampling;
mod subscriptions;
mod tasks;

use serde_json::{Value, json};

use crate::support::{Client, Era, Fixture, Janus, Tools};

/// Who made a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Make {
    /// The conformance server, over HTTP.
    Rmcp,
    /// Over HTTP.
    FastMcp,
    /// Version 2 of the SDK, on pipes.
    TypeScript,
    /// The reference server: version 1 of the TypeScript SDK, on pipes, legacy only.
    Everything,
}

/// A view, and what the names of the server's tools begin with in it.
const VIEWS: [(&str, &str); 2] = [("/mcp", "peer__"), ("/mcp/@peer", "")];

/// Janus before a server of one make.
struct Rig {
    make: Make,
    janus: Janus,
    _server: Option<Fixture>,
}

impl Rig {
    /// `None` where the make is not installed.
    fn start(make: Make, era: Era) -> Option<Self> {
        let (server, settings) = match make {
            Make::Rmcp => Self::at(Fixture::start(era), era),
            Make::FastMcp => {
                let tools = Tools::python("fastmcp")?;
                let mut script = tools.script("servers/fastmcp_server.py");
                Self::at(Fixture::run("fastmcp", &mut script), era)
            }
            Make::TypeScript => {
                let tools = Tools::npm("typescript_server")?;
                let [node, script] = tools.words("servers/typescript_server.mjs");
                let env = json!({ "JANUS_TEST_TOOLS": tools.root() });
                let command = json!([node, script, era.as_str()]);
                (None, json!({ "command": command, "env": env }))
            }
            Make::Everything => {
                let tools = Tools::npm("server-everything")?;
                let script = "@modelcontextprotocol/server-everything/dist/index.js";
                let [node, script] = tools.package(script);
                (None, json!({ "command": [node, script, "stdio"] }))
            }
        };
        Some(Self {
            make,
            janus: Janus::start(&format!("peer: {settings}")),
            _server: server,
        })
    }

    fn at(server: Fixture, era: Era) -> (Option<Fixture>, Value) {
        let settings = json!({ "url": server.url(), "era": era.as_str() });
        (Some(server), settings)
    }

    /// A client that can be asked everything, and says so.
    async fn client(&self, era: Era, path: &str) -> Client {
        let everything = json!({
            "elicitation": { "form": {}, "url": {} }, "sampling": {}, "roots": {},
        });
        Client::with(self.janus.http(), path, era, everything).await
    }
}

/// Does the same in both views of each of these servers.
async fn with_each(
    makes: &[Make],
    client: Era,
    server: Era,
    test: impl AsyncFn(Make, Client, &str),
) {
    for &make in makes {
        if make == Make::Everything && server == Era::Modern {
            continue;
        }
        let Some(rig) = Rig::start(make, server) else {
            continue;
        };
        for (path, prefix) in VIEWS {
            test(rig.make, rig.client(client, path).await, prefix).await;
        }
    }
}

const EVERY_MAKE: &[Make] = &[
    Make::Rmcp,
    Make::FastMcp,
    Make::TypeScript,
    Make::Everything,
];

/// The parameters of a call.
fn call(prefix: &str, tool: &str, arguments: &Value) -> Value {
    json!({ "name": format!("{prefix}{tool}"), "arguments": arguments })
}
