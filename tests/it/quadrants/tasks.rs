//! Tasks, which differ between the eras and are not translated: within an era they pass, between the eras they are not
//! offered, and a tool that can do without them does.

use serde_json::{Value, json};

use super::{Make, Rig, VIEWS, call};
use crate::support::{Client, Era};

const EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// The view in which a server is as if Janus were not there.
const TRANSPARENT: &str = "/mcp/@peer";

#[tokio::test]
async fn a_legacy_client_runs_a_task_of_a_legacy_server() {
    let Some(rig) = Rig::start(Make::Everything, Era::Legacy) else {
        return;
    };
    let mut client = rig.client(Era::Legacy, TRANSPARENT).await;
    let offered = &client.server["capabilities"]["tasks"]["requests"]["tools"]["call"];
    assert!(offered.is_object(), "{}", client.server);
    let mut params = call("", "simulate-research-query", &json!({ "topic": "doors" }));
    params["task"] = json!({ "ttl": 60_000 });
    let created = client.result("tools/call", params).await;
    let task = json!({ "taskId": created["task"]["taskId"] });
    assert!(task["taskId"].is_string(), "{created}");
    let running = client.result("tasks/get", task.clone()).await;
    assert_eq!(running["status"], "working", "{running}");
    // It is answered when the task has ended.
    let result = client.result("tasks/result", task.clone()).await;
    let report = result["content"][0]["text"].as_str().unwrap();
    assert!(report.contains("Research Report: doors"), "{report}");
    let ended = client.result("tasks/get", task).await;
    assert_eq!(ended["status"], "completed", "{ended}");
}

#[tokio::test]
async fn a_modern_client_runs_a_task_of_a_modern_server() {
    let rig = Rig::start(Make::Rmcp, Era::Modern).unwrap();
    let mut client = with_tasks(&rig, TRANSPARENT).await;
    let offered = &client.server["capabilities"]["extensions"][EXTENSION];
    assert!(offered.is_object(), "{}", client.server);
    let arguments = json!({ "filename": "old.txt" });
    let created = client
        .result("tools/call", call("", "confirm_delete", &arguments))
        .await;
    assert_eq!(created["resultType"], "task", "{created}");
    let id = created["taskId"].clone();
    let asking = until(&mut client, &id, "input_required").await;
    let (key, question) = asking["inputRequests"]
        .as_object()
        .unwrap()
        .iter()
        .next()
        .unwrap();
    assert_eq!(question["params"]["message"], "Delete old.txt?");
    let answer = json!({ "action": "accept", "content": { "confirm": true } });
    let params = json!({ "taskId": id, "inputResponses": { key: answer } });
    client.result("tasks/update", params).await;
    let ended = until(&mut client, &id, "completed").await;
    let text = &ended["result"]["content"][0]["text"];
    assert_eq!(*text, "old.txt: confirmed = true");
}

/// What the task is once it is in this state.
async fn until(client: &mut Client, id: &Value, status: &str) -> Value {
    loop {
        let task = client.result("tasks/get", json!({ "taskId": id })).await;
        if task["status"] == status {
            return task;
        }
        assert_eq!(task["status"], "working", "{task}");
    }
}

#[tokio::test]
async fn a_legacy_client_is_offered_no_tasks_of_a_modern_server() {
    let rig = Rig::start(Make::Rmcp, Era::Modern).unwrap();
    for (path, prefix) in VIEWS {
        let mut client = rig.client(Era::Legacy, path).await;
        let capabilities = &client.server["capabilities"];
        assert_eq!(capabilities["tasks"], Value::Null, "{capabilities}");
        assert_eq!(
            capabilities["extensions"][EXTENSION],
            Value::Null,
            "{capabilities}"
        );
        no_task_methods(&mut client).await;
        // A tool for which a task is one way waits for its result instead, whatever the client asks.
        let mut params = call(prefix, "slow_compute", &json!({ "seconds": 0.1 }));
        params["task"] = json!({ "ttl": 60_000 });
        let result = client.result("tools/call", params).await;
        assert_eq!(
            result["content"][0]["text"],
            "compute done after 0.1 seconds"
        );
        // A tool that needs them says so.
        let refused = client
            .result("tools/call", call(prefix, "failing_job", &json!({})))
            .await;
        assert_eq!(refused["isError"], true, "{refused}");
        assert!(refused.to_string().contains(EXTENSION), "{refused}");
    }
}

#[tokio::test]
async fn a_modern_client_is_offered_no_tasks_of_a_legacy_server() {
    for make in [Make::Rmcp, Make::Everything] {
        let Some(rig) = Rig::start(make, Era::Legacy) else {
            return;
        };
        for (path, prefix) in VIEWS {
            let mut client = with_tasks(&rig, path).await;
            let capabilities = &client.server["capabilities"];
            assert_eq!(capabilities["tasks"], Value::Null, "{capabilities}");
            assert_eq!(
                capabilities["extensions"][EXTENSION],
                Value::Null,
                "{capabilities}"
            );
            no_task_methods(&mut client).await;
            if make == Make::Rmcp {
                let params = call(prefix, "slow_compute", &json!({ "seconds": 0.1 }));
                let result = client.result("tools/call", params).await;
                assert_eq!(result["resultType"], "complete");
                assert_eq!(
                    result["content"][0]["text"],
                    "compute done after 0.1 seconds"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_tool_of_a_legacy_server_that_needs_a_task_is_not_listed_to_a_modern_client() {
    let Some(rig) = Rig::start(Make::Everything, Era::Legacy) else {
        return;
    };
    for (path, prefix) in VIEWS {
        let needs = format!("{prefix}simulate-research-query");
        for (era, listed) in [(Era::Legacy, path == TRANSPARENT), (Era::Modern, false)] {
            let mut client = rig.client(era, path).await;
            let names = client.names("tools/list", "name").await;
            assert!(names.contains(&format!("{prefix}echo")), "{names:?}");
            assert_eq!(names.contains(&needs), listed, "{era:?} {path}: {names:?}");
        }
        // Who calls it all the same gets no task.
        let mut client = with_tasks(&rig, path).await;
        let params = call(
            prefix,
            "simulate-research-query",
            &json!({ "topic": "doors" }),
        );
        let answer = client.request("tools/call", params).await.response;
        let refused = answer["error"].is_object() || answer["result"]["isError"] == true;
        assert!(refused, "{answer}");
    }
}

/// A modern client that could poll tasks.
async fn with_tasks(rig: &Rig, path: &str) -> Client {
    let capabilities = json!({ "elicitation": {}, "extensions": { EXTENSION: {} } });
    Client::with(rig.janus.http(), path, Era::Modern, capabilities).await
}

async fn no_task_methods(client: &mut Client) {
    for method in [
        "tasks/get",
        "tasks/cancel",
        "tasks/result",
        "tasks/update",
        "tasks/list",
    ] {
        let code = client.error(method, json!({ "taskId": "1" })).await;
        assert_eq!(code, -32601, "{method}");
    }
}
