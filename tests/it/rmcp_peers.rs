//! rmcp's own server behind Janus and rmcp's own client in front of it, both in the test's process.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolRequestParams;
use rmcp::transport::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpClientTransport, StreamableHttpService, UnixSocketHttpClient};
use rmcp::{ServerHandler, ServiceExt, schemars, tool, tool_handler, tool_router};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::support::Janus;

#[derive(Debug, Clone, Copy)]
struct Sums;

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct Terms {
    a: i64,
    b: i64,
}

#[tool_router]
impl Sums {
    #[tool(description = "Adds two numbers.")]
    fn add(Parameters(terms): Parameters<Terms>) -> String {
        (terms.a + terms.b).to_string()
    }
}

#[tool_handler]
impl ServerHandler for Sums {}

/// Serves rmcp's own service and gives its URL.
async fn serve(tasks: &TaskTracker) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let sessions = Arc::<LocalSessionManager>::default();
    let service =
        StreamableHttpService::new(|| Ok(Sums), sessions, StreamableHttpServerConfig::default());
    let connections = tasks.clone();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            let answer = service_fn(move |request| {
                let service = service.clone();
                async move { Ok::<_, Infallible>(service.handle(request).await) }
            });
            // The test's end cuts connections off; that is none of its failures.
            connections.spawn(async move {
                drop(
                    http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), answer)
                        .await,
                );
            });
        }
    });
    url
}

#[tokio::test]
async fn rmcp_is_understood_on_both_sides() {
    let tasks = TaskTracker::new();
    let url = serve(&tasks).await;
    let janus = Janus::start(&format!("  sums: {{ url: \"{url}\" }}\n"));
    for (path, prefix) in [("/mcp", "sums__"), ("/mcp/@sums", "")] {
        let uri = format!("http://localhost{path}");
        let client = UnixSocketHttpClient::new(janus.socket().to_str().unwrap(), &uri);
        let config = StreamableHttpClientTransportConfig::with_uri(uri);
        let transport = StreamableHttpClientTransport::with_client(client, config);
        let client = tokio::time::timeout(Duration::from_secs(20), ().serve(transport))
            .await
            .unwrap()
            .unwrap();
        let tools = client.list_all_tools().await.unwrap();
        let names = tools.iter().map(|tool| tool.name.as_ref());
        let names: Vec<&str> = names.filter(|name| !name.starts_with("janus_")).collect();
        assert_eq!(names, [format!("{prefix}add")]);
        let mut call = CallToolRequestParams::new(format!("{prefix}add"));
        call.arguments = serde_json::json!({"a": 40, "b": 2}).as_object().cloned();
        let sum = client.call_tool(call).await.unwrap();
        let sum = serde_json::to_value(sum).unwrap();
        assert_eq!(sum["content"][0]["text"], "42");
        let unknown = client
            .call_tool(CallToolRequestParams::new("nobody_has_this"))
            .await;
        let unknown = format!("{:?}", unknown.unwrap_err());
        assert!(unknown.contains("-32602"), "{unknown}");
        client.cancel().await.unwrap();
    }
}
