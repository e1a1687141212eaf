//! How long a session lives.

use serde_json::{Value, json};

use crate::support::{Home, Janus, within};

fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// Opens a session and gives its id.
async fn open(janus: &Janus) -> String {
    let params = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    });
    let body = request(1, "initialize", &params);
    let reply = janus.http().post("/mcp", &[], &body).await;
    reply.headers["mcp-session-id"].to_str().unwrap().to_owned()
}

/// How a ping in this session is answered.
async fn ping(janus: &Janus, session: &str) -> u16 {
    let body = request(2, "ping", &json!({}));
    let headers = [("mcp-session-id", session)];
    let reply = janus.http().post("/mcp", &headers, &body).await;
    reply.status.as_u16()
}

async fn count(janus: &Janus) -> usize {
    let request = http::Request::get("/sessions").body(String::new()).unwrap();
    let answer = janus.control().send(request).await.json().await;
    answer["sessions"].as_array().unwrap().len()
}

fn start(idle: &str) -> Janus {
    let text =
        format!("listen: {{ http: \"127.0.0.1:0\", session_idle: {idle} }}\nservers: {{}}\n");
    Janus::start_in(Home::with(&text), |_| {})
}

#[tokio::test]
async fn a_session_that_nobody_uses_ends_and_is_not_there_after_a_restart() {
    let janus = start("200ms");
    let session = open(&janus).await;
    within("the end of the session", async {
        while count(&janus).await > 0 {}
    })
    .await;
    assert_eq!(ping(&janus, &session).await, 404);
    let janus = Janus::start_in(janus.kill(), |_| {});
    assert_eq!(ping(&janus, &session).await, 404);
}

#[tokio::test]
async fn a_session_that_is_used_outlives_others() {
    let janus = start("1s");
    let (used, other) = (open(&janus).await, open(&janus).await);
    within("the end of the other session", async {
        while count(&janus).await > 1 {
            assert_eq!(ping(&janus, &used).await, 200);
        }
    })
    .await;
    assert_eq!(ping(&janus, &used).await, 200);
    assert_eq!(ping(&janus, &other).await, 404);
}

#[tokio::test]
async fn what_a_client_says_of_itself_has_a_limit() {
    let janus = start("1h");
    let params = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "x".repeat(65 * 1024), "version": "1"},
    });
    let body = request(1, "initialize", &params);
    let reply = janus.http().post("/mcp", &[], &body).await;
    assert_eq!(reply.json().await["error"]["code"], -32602);
    assert_eq!(count(&janus).await, 0);
}
