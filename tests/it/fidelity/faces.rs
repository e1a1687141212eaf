//! What a server says of itself and of what it has, as the views show it: item by item as the server wrote it.

use super::case::{Case, Values};
use super::client::Client;
use super::expect::{self, Sides};
use super::listing::{CAPABILITIES, INFO, own_answer, tool};
use super::text::{Members, same};
use crate::support::Era;

/// `initialize` or `server/discover`, and `tools/list`.
pub(super) async fn shown(
    client: &mut Client,
    cases: &[Case],
    sides: Sides,
    view: &str,
) -> Result<(), String> {
    if view != "/mcp" {
        face(client).await?;
    }
    let list = request("tools/list");
    let sent = client.values(&list);
    let messages = client.call(&list).await;
    let [shown] = &messages[..] else {
        return Err(format!("one response is not {}", messages.len()));
    };
    let mut cases: Vec<&Case> = cases.iter().collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    let expected = if view == "/mcp" {
        merged(&cases, sides.client, &sent)
    } else {
        let own = Members::of(r#"{"method":"tools/list"}"#);
        let own = own_answer(sides.server, &own, &sent.id, cases.into_iter());
        expect::response(&list, Members::of(&own), &sent, sides)
    };
    if view != "/mcp" {
        return same("the tools", &expected, shown);
    }
    // Janus's own come first, and are not the servers' to be respelt.
    let (head, own) = shown.split_once(r#""tools":["#).ok_or("no tools")?;
    let rest = own
        .find(r#"{"vendor""#)
        .and_then(|at| own.get(at..))
        .ok_or("no tool of a server")?;
    let own = own.len() - rest.len();
    if own == 0 {
        return Err("Janus's own tools are missing".to_owned());
    }
    same("the tools", &expected, &format!("{head}\"tools\":[{rest}"))
}

/// The list of a merged view is Janus's own; its items are the server's, but for their names.
fn merged(cases: &[&Case], client: Era, sent: &Values) -> String {
    let tools: Vec<String> = cases
        .iter()
        .map(|case| tool(&format!("{}{}", sent.prefix, case.name)))
        .collect();
    let era = match client {
        Era::Legacy => "",
        Era::Modern => r#""resultType":"complete","ttlMs":60000,"cacheScope":"private","#,
    };
    let (id, tools) = (&sent.id, tools.join(","));
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{{era}"tools":[{tools}]}}}}"#)
}

/// The face of a view of one server is that of the server.
async fn face(client: &mut Client) -> Result<(), String> {
    let text = if client.era == Era::Legacy {
        client.initialized.clone()
    } else {
        client.call(&request("server/discover")).await.concat()
    };
    let result = Members::of(Members::of(&text).get("result").unwrap_or_default());
    // Lists can change in every view.
    let mut capabilities = Members::of(CAPABILITIES);
    for list in ["tools", "prompts", "resources"] {
        capabilities.change(list, |list| list.set("listChanged", "true"));
    }
    let shown = result.get("capabilities").unwrap_or_default();
    same("the capabilities", &capabilities.text(), shown)?;
    let meta = result.get("_meta").and_then(Members::try_of);
    let meta = meta
        .as_ref()
        .and_then(|meta| meta.get("io.modelcontextprotocol/serverInfo"));
    let info = result.get("serverInfo").or(meta).unwrap_or_default();
    same("the server's name", INFO, info)
}

fn request(method: &str) -> Case {
    let text = r#"{"jsonrpc":"2.0","id":$ID,"method":"$METHOD","params":{"_meta":{$META}}}"#;
    Case::request(method, &text.replace("$METHOD", method))
}
