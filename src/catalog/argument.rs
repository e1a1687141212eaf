//! `janus_account`: the argument by which a call says which account of a server it means.
//!
//! It is shown where a server has several accounts in scope and people allow the choice, as the last property of a
//! tool's input and the last argument of a prompt. What it offers follows from the configuration alone: a login
//! changes no list.

use crate::model::{AccountName, ServerName};
use crate::protocol::{Edit, Json, Object};

/// The argument's name, and the one it has where the tool itself has an argument of that name.
const NAMES: [&str; 2] = ["janus_account", "_janus_account"];

/// Keywords at the root of a schema that a further property could contradict.
const COMBINING: [&str; 7] = [
    "$ref",
    "$dynamicRef",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
];

/// What a call to one server may choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    schema: Json,
    description: String,
    /// Nothing else decides, so that a call must.
    required: bool,
}

impl Argument {
    /// The accounts of `server` with their labels, and the one that is meant where the call says nothing.
    pub fn new(
        server: &ServerName,
        accounts: &[(AccountName, Option<String>)],
        default: Option<&AccountName>,
    ) -> Self {
        let named: Vec<String> = accounts
            .iter()
            .map(|(account, label)| {
                let default = if default == Some(account) {
                    " (default)"
                } else {
                    ""
                };
                let label = label
                    .as_ref()
                    .map_or_else(String::new, |label| format!(" = {label}"));
                format!("{account}{default}{label}")
            })
            .collect();
        let description = format!("Account at {server}: {}", named.join(", "));
        let names: Vec<&str> = accounts
            .iter()
            .map(|(account, _)| account.as_str())
            .collect();
        let schema =
            serde_json::json!({"type": "string", "enum": names, "description": description});
        Self {
            schema: Json::of(&schema),
            description,
            required: default.is_none(),
        }
    }
}

/// The name under which a call to this tool says which account it means; `None` where both names are the tool's own.
pub fn of_tool(tool: &Object) -> Option<&'static str> {
    let properties = tool
        .object("inputSchema")
        .and_then(|schema| schema.object("properties"));
    free(|name| {
        properties
            .as_ref()
            .is_some_and(|properties| properties.has(name))
    })
}

/// The same for a prompt.
pub(super) fn of_prompt(prompt: &Object) -> Option<&'static str> {
    let own: Vec<String> = arguments(prompt)
        .iter()
        .filter_map(|argument| argument.object()?.text("name"))
        .collect();
    free(|name| own.iter().any(|own| own == name))
}

fn free(taken: impl Fn(&str) -> bool) -> Option<&'static str> {
    NAMES.into_iter().find(|name| !taken(name))
}

fn arguments(prompt: &Object) -> Vec<Json> {
    let listed = prompt.get("arguments").and_then(|listed| listed.elements());
    listed.unwrap_or_default()
}

impl Argument {
    /// The `inputSchema` of a tool with this argument; `None` where it cannot take one.
    pub(super) fn in_schema(&self, tool: &Object, name: &str) -> Option<Json> {
        let schema = tool.object("inputSchema")?;
        if COMBINING.iter().any(|keyword| schema.has(keyword)) {
            return None;
        }
        let properties = match schema.get("properties") {
            Some(properties) => properties.object()?,
            None if schema.text("type").as_deref() == Some("object") => Object::empty(),
            None => return None,
        };
        let properties = properties.edited(&[Edit::Set(name, self.schema.clone())]);
        let mut edits = vec![Edit::Set("properties", properties)];
        if self.required {
            let required = schema
                .get("required")
                .and_then(|required| required.elements());
            let mut required = required.unwrap_or_default();
            required.push(Json::string(name));
            edits.push(Edit::Set("required", Json::array(&required)));
        }
        Some(schema.edited(&edits))
    }

    /// The `arguments` of a prompt with this one.
    pub(super) fn in_arguments(&self, prompt: &Object, name: &str) -> Json {
        let mut listed = arguments(prompt);
        let own = serde_json::json!({"name": name, "description": self.description, "required": self.required});
        listed.push(Json::of(&own));
        Json::array(&listed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument(default: Option<&str>) -> Argument {
        let name = |name: &str| AccountName::new(name).unwrap();
        let accounts = [
            (name("test"), None),
            (name("live"), Some("LIVE money".to_owned())),
        ];
        let default = default.map(name);
        Argument::new(
            &ServerName::new("stripe").unwrap(),
            &accounts,
            default.as_ref(),
        )
    }

    fn tool(schema: &str) -> Object {
        let text = format!(r#"{{"name":"t","inputSchema":{schema}}}"#);
        Json::parse(text.into()).unwrap().object().unwrap()
    }

    #[test]
    fn the_argument_comes_last_and_is_required_only_where_nothing_else_decides() {
        let tool =
            tool(r#"{"type":"object","properties":{"q":{"type":"string"}},"required":["q"]}"#);
        assert_eq!(of_tool(&tool), Some("janus_account"));
        assert_eq!(
            argument(Some("test"))
                .in_schema(&tool, "janus_account")
                .unwrap()
                .as_str(),
            r#"{"type":"object","properties":{"q":{"type":"string"},"janus_account":{"type":"string","enum":["test","live"],"description":"Account at stripe: test (default), live = LIVE money"}},"required":["q"]}"#
        );
        let required = argument(None).in_schema(&tool, "janus_account").unwrap();
        assert!(
            required
                .as_str()
                .ends_with(r#""required":["q","janus_account"]}"#),
            "{required:?}"
        );
    }

    #[test]
    fn a_tool_keeps_its_own_argument_and_a_schema_that_cannot_take_one_stays() {
        let own = tool(r#"{"type":"object","properties":{"janus_account":{}}}"#);
        assert_eq!(of_tool(&own), Some("_janus_account"));
        let both =
            tool(r#"{"type":"object","properties":{"janus_account":{},"_janus_account":{}}}"#);
        assert_eq!(of_tool(&both), None);
        for (schema, takes) in [
            (r#"{"type":"object"}"#, true),
            (r#"{"type":"object","properties":{}}"#, true),
            (r#"{"properties":{}}"#, true),
            (r"{}", false),
            (r"true", false),
            (r#"{"type":"object","properties":[]}"#, false),
            (r##"{"type":"object","$ref":"#/$defs/x"}"##, false),
            (r#"{"type":"object","oneOf":[]}"#, false),
        ] {
            let taken = argument(None).in_schema(&tool(schema), "janus_account");
            assert_eq!(taken.is_some(), takes, "{schema}");
        }
    }

    #[test]
    fn a_prompt_takes_it_as_an_argument() {
        let prompt = Json::parse(r#"{"name":"p","arguments":[{"name":"janus_account"}]}"#.into());
        let prompt = prompt.unwrap().object().unwrap();
        assert_eq!(of_prompt(&prompt), Some("_janus_account"));
        let listed = argument(None).in_arguments(&prompt, "_janus_account");
        assert!(
            listed
                .as_str()
                .starts_with(r#"[{"name":"janus_account"},{"name":"_janus_account","#)
        );
    }
}
