//! A fast MCP server of both eras over Streamable HTTP, with ready-made answers. Only `slow` waits, as a server
//! far away would make one wait.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::{
    answers::{self, MODERN, Shape, VERSION},
    http::{SESSION, Text},
};

/// How long a distant server takes.
pub(crate) const SLOW: Duration = Duration::from_millis(50);

/// What is read of a request.
#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: &'a str,
    #[serde(borrow)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    name: Option<&'a str>,
    #[serde(borrow)]
    arguments: Option<Arguments<'a>>,
}

#[derive(Deserialize)]
struct Arguments<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

struct Upstream {
    sessions: Mutex<HashSet<String>>,
    /// What follows the id in each answer.
    tools: Bytes,
    big: [Bytes; 3],
}

pub(crate) async fn serve(tools: usize) -> anyhow::Result<()> {
    let upstream = Arc::new(Upstream {
        sessions: Mutex::default(),
        tools: result(&json!({ "tools": answers::tools(tools) }).to_string()),
        big: Shape::ALL.map(|shape| {
            let content = shape.content();
            let structured = shape.structured();
            let structured = structured.map_or_else(String::new, |text| {
                format!(r#","structuredContent":{text}"#)
            });
            result(&format!(
                r#"{{"content":{content}{structured},"isError":false}}"#
            ))
        }),
    });
    crate::http::serve("upstream", move |request| {
        Arc::clone(&upstream).handle(request)
    })
    .await
}

impl Upstream {
    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Response<Text> {
        let (parts, body) = request.into_parts();
        let session = parts
            .headers
            .get(SESSION)
            .and_then(|value| value.to_str().ok());
        match parts.method {
            Method::POST => {}
            Method::DELETE => return crate::http::status(self.end(session)),
            // It has nothing to say unasked.
            _ => return crate::http::status(StatusCode::METHOD_NOT_ALLOWED),
        }
        let Ok(body) = body.collect().await else {
            return crate::http::status(StatusCode::BAD_REQUEST);
        };
        let body = body.to_bytes();
        let Ok(asked) = serde_json::from_slice::<Asked<'_>>(&body) else {
            return crate::http::status(StatusCode::BAD_REQUEST);
        };
        let Some(id) = asked.id else {
            return crate::http::status(StatusCode::ACCEPTED);
        };
        if asked.method == "initialize" {
            return self.initialize(id);
        }
        if parts.headers.contains_key("mcp-method") {
            return self.modern(id, &asked).await;
        }
        if !session.is_some_and(|session| self.sessions.lock().unwrap().contains(session)) {
            return crate::http::status(StatusCode::NOT_FOUND);
        }
        let tail = self.answer(asked.method, asked.params.as_ref()).await;
        crate::http::json(head(id), tail)
    }

    /// A request of the modern era: it belongs to no session, and its result says that it is complete.
    async fn modern(&self, id: &RawValue, asked: &Asked<'_>) -> Response<Text> {
        const COMPLETE: &str = r#","result":{"resultType":"complete","#;
        if asked.method == "server/discover" {
            let rest = format!(
                r#"{COMPLETE}"supportedVersions":["{MODERN}"],"capabilities":{{"tools":{{}}}}}}}}"#
            );
            return crate::http::json(head(id), rest);
        }
        let tail = self.answer(asked.method, asked.params.as_ref()).await;
        let tail = match tail.strip_prefix(br#","result":{"#) {
            Some(rest) => Bytes::from([COMPLETE.as_bytes(), rest].concat()),
            None => tail,
        };
        crate::http::json(head(id), tail)
    }

    fn initialize(&self, id: &RawValue) -> Response<Text> {
        let tail = result(
            &json!({
                "protocolVersion": VERSION,
                "capabilities": { "tools": {} },
                "serverInfo": { "name": "bench-upstream", "version": "1" },
            })
            .to_string(),
        );
        let mut sessions = self.sessions.lock().unwrap();
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the system has random bytes");
        let session = format!("{:032x}", u128::from_be_bytes(bytes));
        let mut response = crate::http::json(head(id), tail);
        let value = session
            .parse()
            .expect("hexadecimal digits are a header value");
        response.headers_mut().insert(SESSION, value);
        sessions.insert(session);
        response
    }

    fn end(&self, session: Option<&str>) -> StatusCode {
        if session.is_some_and(|session| self.sessions.lock().unwrap().remove(session)) {
            StatusCode::NO_CONTENT
        } else {
            StatusCode::NOT_FOUND
        }
    }

    async fn answer(&self, method: &str, params: Option<&Params<'_>>) -> Bytes {
        let name = params.and_then(|params| params.name);
        match (method, name) {
            ("ping", _) => result("{}"),
            ("tools/list", _) => self.tools.clone(),
            ("tools/call", Some("echo")) => echo(params),
            ("tools/call", Some("slow")) => {
                tokio::time::sleep(SLOW).await;
                echo(params)
            }
            ("tools/call", Some(name)) => Shape::ALL
                .iter()
                .position(|shape| shape.tool() == name)
                .map_or_else(|| error(-32602, "no such tool"), |at| self.big[at].clone()),
            _ => error(-32601, "no such method"),
        }
    }
}

fn echo(params: Option<&Params<'_>>) -> Bytes {
    let arguments = params.and_then(|params| params.arguments.as_ref());
    match arguments.and_then(|arguments| arguments.text) {
        Some(text) => result(&format!(
            r#"{{"content":[{{"type":"text","text":{text}}}],"isError":false}}"#
        )),
        None => error(-32602, "`text` is missing"),
    }
}

fn head(id: &RawValue) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id}"#)
}

fn result(result: &str) -> Bytes {
    Bytes::from(format!(r#","result":{result}}}"#))
}

fn error(code: i32, message: &str) -> Bytes {
    Bytes::from(format!(
        r#","error":{}}}"#,
        json!({ "code": code, "message": message })
    ))
}
