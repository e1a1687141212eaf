//! An MCP client of either era that gives out every message as it came.

use http::Request;
use serde_json::{Value, json};

use super::fixture::Era;
use super::http::{Http, Reply};

const LEGACY: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";

/// A client of one view.
#[derive(Debug)]
pub(crate) struct Client {
    http: Http,
    path: String,
    era: Era,
    /// The headers of every request: the revision, in the legacy era the session.
    headers: Vec<(String, String)>,
    capabilities: Value,
    /// What the server said of itself: the result of `initialize` or `server/discover`.
    pub(crate) server: Value,
    last_id: u64,
}

/// What a request was answered with.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What came before the response, in order.
    pub(crate) before: Vec<Value>,
    /// The response, `id` and all.
    pub(crate) response: Value,
}

/// What a request was answered with in whose middle the server asked.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// The questions, `method` and `params`, in order.
    pub(crate) asked: Vec<Value>,
    /// The notifications, in order.
    pub(crate) notified: Vec<Value>,
    /// The last response.
    pub(crate) response: Value,
}

/// The stream of changes.
#[derive(Debug)]
pub(crate) struct Stream {
    reply: Reply,
}

impl Client {
    /// A client that can do nothing but listen.
    pub(crate) async fn open(http: Http, path: &str, era: Era) -> Self {
        Self::with(http, path, era, json!({})).await
    }

    /// A client that sends these headers with every request.
    pub(crate) async fn open_with(
        http: Http,
        path: &str,
        era: Era,
        headers: &[(&str, &str)],
    ) -> Self {
        Self::made(http, path, era, json!({}), headers).await
    }

    /// A client with these capabilities.
    pub(crate) async fn with(http: Http, path: &str, era: Era, capabilities: Value) -> Self {
        Self::made(http, path, era, capabilities, &[]).await
    }

    async fn made(
        http: Http,
        path: &str,
        era: Era,
        capabilities: Value,
        headers: &[(&str, &str)],
    ) -> Self {
        let named = headers.iter();
        let headers = named.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let revision = match era {
            Era::Legacy => LEGACY,
            Era::Modern => MODERN,
        };
        let mut client = Self {
            http,
            path: path.to_owned(),
            era,
            headers: headers.collect(),
            capabilities,
            server: Value::Null,
            last_id: 0,
        };
        if era == Era::Legacy {
            client.initialize().await;
            client.header("mcp-protocol-version", revision);
        } else {
            client.header("mcp-protocol-version", revision);
            client.server = client.result("server/discover", json!({})).await;
        }
        client
    }

    async fn initialize(&mut self) {
        let request = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": LEGACY,
            "capabilities": self.capabilities,
            "clientInfo": { "name": "janus-tests", "version": "1" },
        }});
        let reply = self.http.post(&self.path, &self.headers(), &request).await;
        let session = reply.header("mcp-session-id").to_owned();
        let response = read(reply).await.response;
        assert_eq!(response["result"]["protocolVersion"], LEGACY, "{response}");
        self.server = response["result"].clone();
        if !session.is_empty() {
            self.header("mcp-session-id", &session);
        }
        self.notify("notifications/initialized").await;
    }

    /// Sends a header with every request from now on.
    pub(crate) fn header(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// A request, with everything that comes back.
    pub(crate) async fn request(&mut self, method: &str, params: Value) -> Answer {
        let answer = read(self.send(method, params).await).await;
        assert_eq!(answer.response["id"], self.last_id, "{answer:?}");
        answer
    }

    /// A request in whose middle the server asks; `answer` has the result of each question. A legacy client answers
    /// them one by one, a modern one repeats its request with the answers.
    pub(crate) async fn converse(
        &mut self,
        method: &str,
        mut params: Value,
        answer: impl Fn(&Value) -> Value,
    ) -> Conversation {
        let (mut asked, mut notified) = (Vec::new(), Vec::new());
        loop {
            let mut reply = self.send(method, params.clone()).await;
            let mut response = loop {
                let Some(message) = reply.next_or_whole().await else {
                    panic!("no response after {asked:?} and {notified:?}");
                };
                match (message.get("method"), message.get("id")) {
                    (None, _) => break message,
                    (Some(_), None) => notified.push(message),
                    (Some(_), Some(id)) => {
                        let result = answer(&message);
                        self.respond(json!({ "jsonrpc": "2.0", "id": id, "result": result }))
                            .await;
                        asked.push(message);
                    }
                }
            };
            assert_eq!(response["id"], self.last_id, "{response}");
            if response["result"]["resultType"] != "input_required" {
                return Conversation {
                    asked,
                    notified,
                    response,
                };
            }
            let mut requests = response["result"]["inputRequests"].take();
            let requests = requests.as_object_mut().into_iter().flatten();
            params["inputResponses"] = json!({});
            for (key, question) in requests {
                params["inputResponses"][key] = answer(question);
                asked.push(question.take());
            }
            // What the server did not give, it must not get.
            let state = response["result"]["requestState"].take();
            match (&state, params.as_object_mut()) {
                (Value::Null, Some(params)) => drop(params.remove("requestState")),
                _ => params["requestState"] = state,
            }
        }
    }

    /// Cancels the last request, of which this is the answer so far.
    pub(crate) async fn cancel(&self, reply: Reply) {
        if self.era == Era::Legacy {
            self.respond(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
                "params": { "requestId": self.last_id, "reason": "the user thought better of it" } }))
                .await;
        }
        // In the modern era that is all it takes.
        drop(reply);
    }

    async fn respond(&self, message: Value) {
        let reply = self.http.post(&self.path, &self.headers(), &message).await;
        assert_eq!(reply.status, 202, "{message}");
    }

    /// The result of a request that succeeds.
    pub(crate) async fn result(&mut self, method: &str, params: Value) -> Value {
        let mut response = self.request(method, params).await.response;
        assert!(response.get("error").is_none(), "{method}: {response}");
        response["result"].take()
    }

    /// The error code of a request that fails.
    pub(crate) async fn error(&mut self, method: &str, params: Value) -> i64 {
        let response = self.request(method, params).await.response;
        let code = response["error"]["code"].as_i64();
        code.unwrap_or_else(|| panic!("{method} is no error: {response}"))
    }

    /// The `content` of a call that succeeds.
    pub(crate) async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let params = json!({ "name": tool, "arguments": arguments });
        let mut result = self.result("tools/call", params).await;
        assert_ne!(result["isError"], true, "{tool}: {result}");
        result["content"].take()
    }

    /// The text of the first block of a call's result.
    pub(crate) async fn text(&mut self, tool: &str, arguments: Value) -> String {
        let content = self.call(tool, arguments).await;
        let text = content[0]["text"].as_str();
        text.unwrap_or_else(|| panic!("no text: {content}"))
            .to_owned()
    }

    /// The names in a list: `tools/list` and `name`, `resources/list` and `uri`.
    pub(crate) async fn names(&mut self, method: &str, key: &str) -> Vec<String> {
        let list = method.trim_end_matches("/list").replace('/', "_");
        let list = if list == "resources_templates" {
            "resourceTemplates"
        } else {
            &list
        };
        let result = self.result(method, json!({})).await;
        let items = result[list].as_array();
        let items = items.unwrap_or_else(|| panic!("no {list}: {result}"));
        let name = |item: &Value| item[key].as_str().unwrap().to_owned();
        items.iter().map(name).collect()
    }

    pub(crate) async fn notify(&self, method: &str) {
        self.respond(json!({ "jsonrpc": "2.0", "method": method }))
            .await;
    }

    /// Listens to changes of every kind and to these resources. The stream is open when this returns.
    pub(crate) async fn listen(&mut self, resources: &[&str]) -> Stream {
        if self.era == Era::Legacy {
            for uri in resources {
                self.result("resources/subscribe", json!({ "uri": uri }))
                    .await;
            }
            let reply = self.http.get(&self.path, &self.headers()).await;
            assert_eq!(reply.status, 200);
            return Stream { reply };
        }
        let filter = json!({
            "toolsListChanged": true,
            "promptsListChanged": true,
            "resourcesListChanged": true,
            "resourceSubscriptions": resources,
        });
        let params = json!({ "notifications": filter });
        let reply = self.send("subscriptions/listen", params).await;
        let mut stream = Stream { reply };
        let first = stream.next().await;
        assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
        stream
    }

    /// Sends a request and returns with the head of its answer.
    pub(crate) async fn send(&mut self, method: &str, params: Value) -> Reply {
        let request = self.prepared(method, params);
        self.http.send(request).await
    }

    /// The same for whoever sends it, which says to which host.
    pub(crate) fn prepared(&mut self, method: &str, mut params: Value) -> Request<String> {
        self.last_id += 1;
        let mut headers = self.headers();
        let named = ["name", "uri", "taskId"].map(|key| params.get(key));
        let name = named.into_iter().flatten().next().cloned();
        if self.era != Era::Legacy {
            let meta = &mut params["_meta"];
            meta["io.modelcontextprotocol/protocolVersion"] = json!(MODERN);
            meta["io.modelcontextprotocol/clientCapabilities"] = self.capabilities.clone();
            meta["io.modelcontextprotocol/clientInfo"] =
                json!({ "name": "janus-tests", "version": "1" });
            headers.push(("mcp-method", method));
            if let Some(name) = name.as_ref().and_then(Value::as_str) {
                headers.push(("mcp-name", name));
            }
        }
        let message =
            json!({ "jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params });
        Http::posting(&self.path, &headers, &message.to_string())
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        let pairs = self.headers.iter();
        pairs
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }
}

impl Answer {
    /// The parameters of the notifications with this method, in order.
    pub(crate) fn notified(&self, method: &str) -> Vec<&Value> {
        let of = |message: &&Value| message["method"] == method;
        self.before
            .iter()
            .filter(of)
            .map(|message| &message["params"])
            .collect()
    }
}

impl Conversation {
    /// The text of all blocks of a call's result, which is none of an error.
    pub(crate) fn text(&self) -> String {
        let result = &self.response["result"];
        assert_ne!(result["isError"], true, "{}", self.response);
        let blocks = result["content"].as_array();
        let blocks = blocks.unwrap_or_else(|| panic!("no content: {}", self.response));
        let text = blocks.iter().filter_map(|block| block["text"].as_str());
        text.collect::<Vec<_>>().join("\n")
    }

    /// The one question that was asked.
    pub(crate) fn question(&self) -> &Value {
        assert_eq!(self.asked.len(), 1, "{self:?}");
        &self.asked[0]
    }
}

impl Stream {
    /// The next message.
    pub(crate) async fn next(&mut self) -> Value {
        self.reply.message().await.expect("the stream stays open")
    }

    /// The next message with this method.
    pub(crate) async fn wait_for(&mut self, method: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["method"] == method {
                return message;
            }
        }
    }
}

async fn read(mut reply: Reply) -> Answer {
    let mut before = Vec::new();
    if !reply.is_stream() {
        let response = reply.json().await;
        return Answer { before, response };
    }
    loop {
        let message = reply.message().await;
        let message = message.unwrap_or_else(|| panic!("no response after {before:?}"));
        if message.get("method").is_none() {
            // Nothing may follow.
            assert_eq!(reply.message().await, None);
            return Answer {
                before,
                response: message,
            };
        }
        before.push(message);
    }
}
