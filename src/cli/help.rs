//! `janus help [TOPIC]`: short texts about what more than one command shares.

use clap::Args;
use serde_json::json;

use super::{Context, Exit, Failure, definition};

/// Every key, as shipped beside the program; a test holds it to the reader and the schema.
const EXAMPLE: &str = include_str!("../../janus.example.yaml");

/// The topics, in the order of the alphabet.
const TOPICS: [&str; 7] = [
    "bindings",
    "config",
    "errors",
    "exit-codes",
    "headless",
    "json",
    "templates",
];

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A topic (bindings, config, errors, exit-codes, headless, json, templates) or a command.
    topic: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let words: Vec<&str> = arguments.topic.iter().map(String::as_str).collect();
    let text = match words.as_slice() {
        [] => definition().render_long_help().to_string(),
        [topic] => topic_text(topic).map_or_else(|| command_text(&words), Ok)?,
        _ => command_text(&words)?,
    };
    let fields = json!({ "topic": words.join(" "), "text": text });
    context.output.document("help", fields, || text.clone())?;
    Ok(Exit::Done)
}

fn topic_text(topic: &str) -> Option<String> {
    match topic {
        "bindings" => Some(BINDINGS.to_owned()),
        "config" => Some(format!("{CONFIG}\n{EXAMPLE}")),
        "errors" => Some(ERRORS.to_owned()),
        "exit-codes" => Some(exit_codes()),
        "headless" => Some(HEADLESS.to_owned()),
        "json" => Some(JSON.to_owned()),
        "templates" => Some(crate::config::TEMPLATES.to_owned()),
        _ => None,
    }
}

/// The help text of a command, as `janus COMMAND --help` prints it.
fn command_text(words: &[&str]) -> Result<String, Failure> {
    let mut command = definition();
    command.build();
    for word in words {
        command = match command.find_subcommand(word) {
            Some(found) => found.clone(),
            None => return Err(unknown(&command, words)),
        };
    }
    Ok(command.render_long_help().to_string())
}

fn unknown(within: &clap::Command, words: &[&str]) -> Failure {
    let asked = words.join(" ");
    let last = words.last().copied().unwrap_or_default();
    let commands = within.get_subcommands().map(clap::Command::get_name);
    let near = commands
        .chain(TOPICS)
        .find(|known| strsim::damerau_levenshtein(last, known) <= 2);
    let failure = Failure::new(
        Exit::Usage,
        "usage",
        format!("there is no help about `{asked}`"),
    );
    match near {
        Some(near) => failure.help(format!("did you mean `{near}`?")),
        None => failure.help(format!("the topics are {}", TOPICS.join(", "))),
    }
}

fn exit_codes() -> String {
    let line = |exit: Exit| format!("  {:>3}  {}\n", exit.number(), exit.meaning());
    let lines: String = Exit::ALL.into_iter().map(line).collect();
    format!("Every command ends with one of these:\n\n{lines}")
}

const CONFIG: &str = "\
Janus reads one file, the first of these that is named:

  --config FILE
  JANUS_CONFIG
  $XDG_CONFIG_HOME/janus/config.yaml, usually ~/.config/janus/config.yaml

The working directory never counts. Without a file Janus runs with nothing behind it;
a file that --config or JANUS_CONFIG names must exist.

  janus config validate    all mistakes and warnings at once, with line and column
  janus config show        the settings in force, values masked
  janus config schema      JSON Schema, for editors
  janus config path        which file

Of the environment Janus also reads (an empty variable counts as absent):

  JANUS_RUNTIME_DIR        the directory of mcp.sock and control.sock; --runtime-dir wins over it
  JANUS_PROFILE            the profile to act in; -p wins over it
  JANUS_KEY                the access key of `connect`, `headers` and `tool`
  JANUS_LOG                what to log, such as warn,janus=debug; -q and -v win over it
  NO_COLOR CLICOLOR_FORCE  colour; --color wins over them
  HTTPS_PROXY NO_PROXY     the proxy to remote servers
  LISTEN_FDS LISTEN_PID LISTEN_FDNAMES NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID
                           sockets and messages of systemd, for `serve`
  CREDENTIALS_DIRECTORY    where systemd put the credential `janus-vault-key`
  DBUS_SESSION_BUS_ADDRESS the bus of the Secret Service; without it, bus in $XDG_RUNTIME_DIR

Every key:
";

const BINDINGS: &str = "\
Every request gets exactly one profile. The first rule that says something decides:

  1  the access key of its client is tied to profiles (clients.NAME.profile)
  2  a rule of `bindings:` matches its working directory and client; the longest directory first
  3  the path /mcp/PROFILE or the header Janus-Profile names one that is not guarded
  4  default_profile, or the only profile
  5  otherwise it is refused, and the refusal names the profiles that can be named

A path or header that names another profile than 1 or 2 give is refused: it narrows, never widens.

The working directory is known of `janus connect` and of whatever uses the unix socket (from the
kernel), of clients that send the header of `janus headers` (signed by the daemon), and of clients
that report their roots. What a client only reports reaches no guarded profile.

Inside the profile a call to a server goes to one account. The first of these that says something:

  the only account in scope; the call's own `janus_account`; the choice of its session, then of
  its client, then of everybody (with `switching: global`); the first account that the profile
  lists; the server's `default`; otherwise the call is refused and names the accounts.

A choice that is out of reach by now is refused; nothing else takes its place, not even the only
account that is left.

With `switching: off` what calls, sessions and clients say does not count.

  janus whoami --explain   the chain for a request from here, with file and line
";

const ERRORS: &str = "\
An error goes to standard error and looks like this:

  error[unknown_key]: unknown key `tiemout`
    where: /home/ana/.config/janus/config.yaml:7:5 (servers.docs.tiemout)
    help:  did you mean `timeout`?

  error[CODE]  what happened; the code is a fixed word for scripts
  sent:        whether anything reached a server before it failed
  where:       file, line and column, or the server
  because:     the cause, and its cause
  help:        what to do next

No error shows a value of the configuration: it may be a secret.
";

const HEADLESS: &str = "\
How an account logs in on a machine without a display. The daemon keeps the login alive afterwards:
it is done once, and a restart does not ask again. Logins and secrets rest in the vault, whose key
must be somewhere: without a desktop's keyring, write `vault: { key: file, key_file: PATH }`.

1  No login at all: the right answer where no person is near. Many providers give a token that does
   not end, and `janus catalog show NAME` names the ways it knows of.

     auth: { bearer: vault:NAME }                  # then:  janus secret set NAME
     auth: { command: [gh, auth, token] }          # a tool that holds a login

2  A machine account, which logs in by itself (client credentials):

     auth:
       oauth:
         grant: client_credentials
         client_id: janus-build
         client_secret: vault:NAME                 # or private_key, key_id and alg

3  Paste. A browser anywhere, and the address on which it ends:

     janus login ACCOUNT --paste

   It prints the provider's link. After you said yes, the browser ends on a page of 127.0.0.1 that
   does not load, because Janus is on another machine. Copy its whole address and paste it.

4  Forward the port. The same command prints a line with the right port and host, such as

     ssh -N -L 7334:127.0.0.1:7334 me@server

   Run it where your browser is: then the page loads, and nothing has to be pasted.

5  A code. Where the provider offers it, type a short code on any device:

     janus login ACCOUNT --device                  # or always:  auth: { oauth: { grant: device_code } }

What waits for a login is in `janus status`, in the journal and in the answers of tools. Without
somebody at a desktop, let the link itself be shown there:

     auth: { oauth: { open_browser: false } }      # journal_url: local keeps it out of the journal

  janus login --all             every account that needs one, one after the other; also with --paste
  janus login --all --no-wait   the links of all of them, a line each
  janus login --wait ID         go on with one that was begun elsewhere
  janus login --cancel ID       end one that waits
  janus logout ACCOUNT          end it, here and at the provider
";

const JSON: &str = "\
With --json a command prints one document on standard output. Its member `schema` names its form,
for example \"janus/version/1\". Members are only added; a changed meaning gets a new number.

  janus/version/1          version
  janus/config-path/1      path, named_by, exists
  janus/config-validate/1  file (null without one), servers, disabled, warnings, notes
  janus/config-show/1      the keys of the file: version, servers, profiles, …
  janus/help/1             topic, text
  janus/tool-list/1        tools: each as its server wrote it, under the name that clients see
  janus/tool-call/1        result: as it came; also where it says isError
  janus/demo/1             url, behind, tools, calls, connect
  janus/status/1           version, pid, started, config, listening, here, accounts, sessions, …
  janus/whoami/1           profile, switching, client, accounts, places, scope: every rule; or refused
  janus/account-list/1     accounts: id, server, label, state, profiles, tools, verified_as
  janus/profile-list/1     profiles: name, default, guarded, switching, accounts, where
  janus/profile-show/1     as whoami, and tools
  janus/session-list/1     sessions: session, client, program, profile, directory, used, choices
  janus/session-end/1      ended
  janus/use/1              profile, was, active, cleared
  janus/client-list/1      keys_required, clients: client, profiles, expires, keys, where
  janus/client-key/1       client, key: the one time it is shown
  janus/client-end/1       client, ended: how many keys
  janus/login/1            state, account, verified_as, scopes, profiles, tools; with --no-wait login, link, url, …
                           (the same on a line of standard error while the command waits for a person)
  janus/login-all/1        needed, logins: each as above; failed: account, error;
                           unknown: account, server, because
  janus/login-cancel/1     login, account, cancelled
  janus/logout/1           account, had, cancelled, revoked, client_removed
  janus/log/1              a line each: time (microseconds since 1970), level, message, event, server, account, …
  janus/config-reload/1    reloaded, notes
  janus/reexec/1           from, version, pid, notes
  janus/service-install/1  written, path, lingers, enabled, version; with --print janus/service-print/1: files, commands
  janus/service-remove/1   deleted
  janus/service-status/1   units: unit, file, enabled, state; status: the one line
  janus/catalog/1          templates: name, title, url, login, key, command, verified, file
  janus/catalog-show/1     name, login, file, template: its keys, lines: to copy
  janus/import/1           config (with --merge the lines that are added), set, notes, file, backup, written

`janus config schema` prints the JSON Schema itself.

A failure is one document on standard error:

  {\"error\":{\"code\",\"message\",\"sent\",\"where\",\"because\":[],\"help\":[],\"exit\"}}

A wrong configuration adds `mistakes`, each with the same members but `exit`.
";
