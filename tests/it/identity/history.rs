//! The steps of a history: what a program asks at random, and what must come of it.

use serde_json::{Value, json};

use super::Random;
use super::actor::Actor;
use super::model::{ACCOUNTS, Chosen, Expected, SERVERS, full};

/// Words that name no account of any server: wrong case, nothing, a profile, a blank behind a right one.
const NONSENSE: [&str; 6] = ["Ann", "nobody", "", "vault", "ann ", "s0/ann/bob"];

/// A call or a read, and who must answer it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) params: Value,
    pub(super) expected: Expected,
}

/// A choice, and what must come of it.
#[derive(Debug)]
pub(super) struct Switch {
    pub(super) params: Value,
    server: usize,
    account: &'static str,
    effect: Effect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Session,
    Client,
    Global,
    /// There is no session: the client is told what to pass.
    Pass,
    Refused(&'static str),
    Unknown,
}

/// A call of this program.
pub(super) fn call(random: &mut Random, actor: &Actor, chosen: &Chosen) -> Call {
    let server = random.below(SERVERS);
    if let Some((server, account)) = actor.way.shown {
        return transparent(random, server, account);
    }
    match random.below(100) {
        0..4 => hidden(actor, server),
        4..16 => with_account(random, actor, server),
        16..28 => addressed(random, actor, server),
        28..42 => {
            let named = named(random, server);
            let expected = actor.expected(server, named.as_deref(), chosen);
            read(&format!("who://s{server}/me"), named.as_deref(), expected)
        }
        _ => {
            let named = named(random, server);
            let expected = actor.expected(server, named.as_deref(), chosen);
            let mut params = tool(&format!("s{server}__who"), &expected);
            if let Some(named) = named {
                let place = random.below(10);
                if place < 7 {
                    params["arguments"]["janus_account"] = json!(named);
                }
                if place >= 6 {
                    params["_meta"]["dev.janus/account"] = json!(named);
                }
            }
            Call {
                method: "tools/call",
                params,
                expected,
            }
        }
    }
}

/// What a call says of the account it means, if anything.
fn named(random: &mut Random, server: usize) -> Option<String> {
    match random.below(100) {
        0..50 => None,
        50..76 => Some(random.pick(&ACCOUNTS).to_owned()),
        76..86 => Some(full(server, random.pick(&ACCOUNTS))),
        // Another server's account of that name.
        86..93 => Some(full((server + 1) % SERVERS, random.pick(&ACCOUNTS))),
        _ => Some(random.pick(&NONSENSE).to_owned()),
    }
}

fn tool(name: &str, expected: &Expected) -> Value {
    json!({"name": name, "arguments": {"expect": expected.told()}})
}

fn read(uri: &str, named: Option<&str>, expected: Expected) -> Call {
    let mut params = json!({"uri": uri, "_meta": {"test/expect": expected.told()}});
    if let Some(named) = named {
        params["_meta"]["dev.janus/account"] = json!(named);
    }
    Call {
        method: "resources/read",
        params,
        expected,
    }
}

/// The view of one account: nothing that is said leads to another.
fn transparent(random: &mut Random, server: usize, account: &str) -> Call {
    let named = named(random, server);
    let right = |named: &String| *named == account || *named == full(server, account);
    let expected = if named.as_ref().is_none_or(right) {
        Expected::By(full(server, account))
    } else {
        Expected::Refused("unknown_account")
    };
    if random.percent(30) {
        return read(&format!("who://s{server}/me"), named.as_deref(), expected);
    }
    let mut params = tool("who", &expected);
    if let Some(named) = named {
        params["_meta"]["dev.janus/account"] = json!(named);
    }
    Call {
        method: "tools/call",
        params,
        expected,
    }
}

/// A tool that a rule hides.
fn hidden(actor: &Actor, server: usize) -> Call {
    let expected = match actor.profile().accounts(server) {
        Some(_) => Expected::Refused("denied"),
        None => Expected::Unknown,
    };
    Call {
        method: "tools/call",
        params: tool(&format!("s{server}__hidden"), &expected),
        expected,
    }
}

fn with_account(random: &mut Random, actor: &Actor, server: usize) -> Call {
    let account = random.pick(&ACCOUNTS);
    let reached = actor.profile().accounts(server);
    let expected = match reached {
        _ if !actor.profile().is_choosable() => Expected::Unknown,
        Some((accounts, _)) if accounts.contains(&account) => Expected::By(full(server, account)),
        _ => Expected::Refused("unknown_account"),
    };
    let own = random.percent(50);
    let tool = if own {
        "who".to_owned()
    } else {
        format!("s{server}__who")
    };
    Call {
        method: "tools/call",
        params: json!({"name": "janus_with_account", "arguments": {
            "account": full(server, account),
            "tool": tool,
            "arguments": {"expect": expected.told()},
        }}),
        expected,
    }
}

/// A resource by the address that names its account. Nothing else may name another one.
fn addressed(random: &mut Random, actor: &Actor, server: usize) -> Call {
    let account = random.pick(&ACCOUNTS);
    let uri = format!("janus://{}/who://s{server}/me", full(server, account));
    let locked = actor.profile().switching == "off";
    let expected = match actor.profile().accounts(server) {
        Some((accounts, fixed)) if accounts.contains(&account) => {
            // What people fixed is all there is to see.
            let only = accounts.len() == 1;
            if locked && !only && fixed.is_none_or(|fixed| fixed != account) {
                Expected::Unknown
            } else {
                Expected::By(full(server, account))
            }
        }
        _ => Expected::Unknown,
    };
    // The same word again changes nothing.
    let again = random.percent(20) && !locked;
    read(&uri, again.then_some(account), expected)
}

/// A choice of this program.
pub(super) fn switch(random: &mut Random, actor: &Actor) -> Switch {
    let (server, account) = (random.below(SERVERS), random.pick(&ACCOUNTS));
    let (scope, effect) = match random.below(100) {
        0..20 if actor.is_legacy() => (None, Effect::Session),
        20..60 if actor.is_legacy() => (Some("session"), Effect::Session),
        0..60 => (Some("session"), Effect::Pass),
        60..85 if actor.way.client.is_some() => (Some("client"), Effect::Client),
        60..85 => (Some("client"), Effect::Refused("denied")),
        _ if actor.profile().switching == "global" => (Some("global"), Effect::Global),
        _ => (Some("global"), Effect::Refused("switching_off")),
    };
    let accounts = actor.profile().accounts(server);
    let in_scope = accounts.is_some_and(|(accounts, _)| accounts.contains(&account));
    let effect = match effect {
        _ if !actor.profile().is_choosable() => Effect::Unknown,
        _ if !in_scope => Effect::Refused("unknown_account"),
        effect => effect,
    };
    let mut arguments = json!({"account": full(server, account)});
    if let Some(scope) = scope {
        arguments["scope"] = scope.into();
    }
    Switch {
        params: json!({"name": "janus_use_account", "arguments": arguments}),
        server,
        account,
        effect,
    }
}

impl Switch {
    /// The choice was acknowledged, or refused: from now on it counts, or does not.
    pub(super) fn came(
        &self,
        response: &Value,
        actor: &mut Actor,
        chosen: &mut Chosen,
    ) -> Result<(), String> {
        let key = (actor.way.profile, self.server);
        match self.effect {
            Effect::Session => drop(actor.chosen.insert(self.server, self.account)),
            Effect::Client => {
                let client = actor.way.client.expect("it has a key");
                chosen.client.insert((client, key.0, key.1), self.account);
            }
            Effect::Global => drop(chosen.global.insert(key, self.account)),
            Effect::Pass => {
                let pass = &response["result"]["structuredContent"]["pass"]["janus_account"];
                return right(pass == self.account, self, response);
            }
            Effect::Refused(code) => return Expected::Refused(code).judge(response).map(drop),
            Effect::Unknown => return Expected::Unknown.judge(response).map(drop),
        }
        let active =
            &response["result"]["structuredContent"]["active"][format!("s{}", self.server)];
        let expected = match actor.expected(self.server, None, chosen) {
            Expected::By(who) => json!(who.split_once('/').map(|(_, account)| account)),
            Expected::Refused(_) | Expected::Unknown => Value::Null,
        };
        right(*active == expected, self, response)
    }
}

/// `janus_whoami` says for each server who would answer.
pub(super) fn whoami(response: &Value, actor: &Actor, chosen: &Chosen) -> Result<(), String> {
    let said = &response["result"]["structuredContent"];
    for server in 0..SERVERS {
        let name = format!("s{server}");
        let said = &said["accounts"][&name];
        let right = match actor.expected(server, None, chosen) {
            Expected::By(who) => said["account"] == who.split_once('/').unwrap().1,
            Expected::Refused(_) => said.is_object() && said["account"].is_null(),
            Expected::Unknown => said.is_null(),
        };
        if !right {
            let expected = actor.expected(server, None, chosen);
            return Err(format!(
                "{name} is {expected:?}, and not {said}: {response}"
            ));
        }
    }
    Ok(())
}

fn right(right: bool, switch: &Switch, response: &Value) -> Result<(), String> {
    if right {
        Ok(())
    } else {
        Err(format!("{switch:?} was answered with {response}"))
    }
}
