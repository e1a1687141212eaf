//! A server over HTTP, in the test's process, that lets in whoever has what it is told to accept, and keeps everything
//! it was sent.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What one request came with.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) headers: HeaderMap,
    pub(crate) query: String,
    pub(crate) method: String,
}

type Accept = Box<dyn Fn(&HeaderMap, &str) -> u16 + Send>;

/// The server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Gate {
    shared: Arc<Shared>,
    address: String,
    _tasks: JoinSet<()>,
}

struct Shared {
    accept: Mutex<Accept>,
    seen: Mutex<Vec<Seen>>,
    /// Where a request to `/away` is sent.
    away: Mutex<String>,
    calls: AtomicUsize,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Gate {
    /// Lets everybody in.
    pub(crate) async fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// One that is reached there.
    pub(crate) fn on(listener: TcpListener) -> Self {
        let address = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            accept: Mutex::new(Box::new(|_, _| 200)),
            seen: Mutex::default(),
            away: Mutex::default(),
            calls: AtomicUsize::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, Arc::clone(&shared)));
        Self {
            shared,
            address,
            _tasks: tasks,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/mcp", self.address)
    }

    /// A place that redirects to somewhere else.
    pub(crate) fn url_that_leads_to(&self, other: &str) -> String {
        other.clone_into(&mut self.shared.away.lock().unwrap());
        format!("{}/away", self.address)
    }

    /// From now on the status is what this says of headers and query; 200 lets in.
    pub(crate) fn accept(&self, accept: impl Fn(&HeaderMap, &str) -> u16 + Send + 'static) {
        *self.shared.accept.lock().unwrap() = Box::new(accept);
    }

    /// Lets in whoever has this `Authorization`.
    pub(crate) fn accept_authorization(&self, value: &str) {
        let value = value.to_owned();
        self.accept(move |headers, _| {
            let given = headers
                .get("authorization")
                .map(|given| given.to_str().unwrap().to_owned());
            if given.as_ref() == Some(&value) {
                200
            } else {
                401
            }
        });
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub(crate) fn forget(&self) {
        self.shared.seen.lock().unwrap().clear();
    }

    /// How many calls ran.
    pub(crate) fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::SeqCst)
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move { Ok::<_, Infallible>(shared.serve(request).await) }
        });
        connections.spawn(async move {
            drop(
                http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
        while connections.try_join_next().is_some() {}
    }
}

impl Shared {
    async fn serve(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let query = head.uri.query().unwrap_or_default().to_owned();
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        let message: Value = serde_json::from_slice(&body).unwrap_or_default();
        let method = message["method"].as_str().unwrap_or_default().to_owned();
        let away = head.uri.path() == "/away";
        let status = if away {
            307
        } else {
            (self.accept.lock().unwrap())(&head.headers, &query)
        };
        self.seen.lock().unwrap().push(Seen {
            headers: head.headers.clone(),
            query,
            method: method.clone(),
        });
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        if away {
            let to = self.away.lock().unwrap().parse().unwrap();
            response.headers_mut().insert("location", to);
            return response;
        }
        if status != 200 {
            // Servers quote what they were sent.
            let quoted = format!("{:?} is not welcome", head.headers.get("authorization"));
            *response.body_mut() = Full::from(quoted);
            return response;
        }
        if head.method != Method::POST {
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            return response;
        }
        // And some describe themselves with it.
        let given = head.headers.get("authorization");
        let given = given.map_or("1", |value| value.to_str().unwrap());
        let result = match method.as_str() {
            "initialize" => {
                json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "gate", "version": given}, "instructions": format!("You are {given}.")})
            }
            "tools/list" => {
                json!({"tools": [{"name": "whoami", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}}]})
            }
            "tools/call" => {
                self.calls.fetch_add(1, Ordering::SeqCst);
                json!({"content": [{"type": "text", "text": "ana@example.org"}]})
            }
            "ping" => json!({}),
            _ if message.get("id").is_none() => {
                *response.status_mut() = StatusCode::ACCEPTED;
                return response;
            }
            _ => {
                let error = json!({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no such method"}});
                return said(response, &error);
            }
        };
        said(
            response,
            &json!({"jsonrpc": "2.0", "id": message["id"], "result": result}),
        )
    }
}

fn said(mut response: Response<Full<Bytes>>, message: &Value) -> Response<Full<Bytes>> {
    *response.body_mut() = Full::from(message.to_string());
    response
        .headers_mut()
        .insert("content-type", "application/json".parse().unwrap());
    response
}
