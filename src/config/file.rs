//! What the file may say: every key, once. Reader and JSON Schema come from these definitions.
//!
//! These are not the types the rest of Janus uses: `settings` checks how the keys fit together and fills in defaults.
//! The comments on the keys are what `janus config schema` says about them.

use super::auth::{Proof, one_auth};
use super::container::{List, Map, Rules};
use super::date::Date;
use super::name::{
    Accounts, HeaderName, HeaderText, PassedVariable, ReachedServer, TemplateName, VariableName,
    VariableText,
};
use super::node::Node;
use super::oauth::OAuth;
use super::problem::Path;
use super::read::{Form, Read, Reader, section};
use super::reference::{Referred, Supplied};
use super::schema::{bound, one_kind, tied};
use super::settings::defaults;
use super::template::{Filling, Param};
use super::value::{
    Address, FilePath, Switch, Text, Ttl, Url, Version, Wait, WaitOrNever, spelled,
};
use crate::model::{
    AccountName, ClientId, Colour, EraChoice, Format, KeySource, ProfileName, ServerName, Sharing,
    Switching, Transport,
};

section! {
    /// The configuration of Janus.
    #[schemars(title = "Janus configuration")]
    Document {
        /// The version of this format; there is one.
        version: Version,
        /// What Janus talks to. A name is the head of its tools' names: `SERVER__TOOL`.
        servers: Map<ServerName, Server>,
        /// Accounts that belong together. Nothing leaks from one profile to another. Without this there is one profile, `default`, with everything.
        profiles: Map<ProfileName, Profile>,
        /// The profile of a request that nothing else gives one.
        default_profile: ProfileName,
        /// Which profile a request gets: the longest matching directory wins, then the first rule.
        bindings: Rules<Binding>,
        /// Whether and how accounts may be chosen.
        identity: Identity,
        /// The programs that connect. With this section each of them needs a key; without it any program of this user may connect.
        clients: Map<ClientId, Client>,
        /// Where Janus listens.
        listen: Listen,
        /// Where the key of the vault is.
        vault: Vault,
    }
}

impl Document {
    /// Whether a server takes a template.
    pub(super) fn takes_templates(&self) -> bool {
        let servers = self.servers.value.iter();
        let mut servers = servers.flat_map(|at| &at.value.entries);
        servers.any(|(_, server)| server.value.template.value.is_some())
    }
}

section! {
    /// An MCP server: a remote one has `url`, a local process has `command`, or a template says which.
    #[schemars(transform = one_kind)]
    Server {
        /// What is known of the server, from the catalogue or a file of your own in `templates` beside this one; see `janus catalog`. What is written here wins.
        template: TemplateName,
        /// What the template leaves open, such as a project.
        params: Map<Param, Filling>,
        /// The URL of a remote server (Streamable HTTP).
        url: Url,
        /// The program to start and its first arguments, as a list. No shell is involved.
        command: List<Text>,
        /// Further arguments of the program.
        args: List<Text>,
        /// Variables of the process, beside PATH, HOME, the locale and XDG_*.
        env: Map<VariableName, Supplied>,
        /// Fixed headers, sent to this server only.
        headers: Map<HeaderName, Supplied>,
        /// How its accounts prove who they are: `none`, `oauth`, or a map with one of the kinds.
        auth: Proof,
        /// Identities at this server. What stands at an account wins over the same key at its server.
        accounts: Map<AccountName, Account>,
        /// The account that is meant where nothing else decides.
        default: AccountName,
        /// Shown to the model before each tool of this server.
        description: Text,
        /// How long a request may go without any sign of progress, and a start may take.
        #[schemars(extend("default" = spelled(defaults::TIMEOUT)))]
        timeout: Wait,
        /// A process nobody used for this long is stopped; 0 is never.
        #[schemars(extend("default" = spelled(defaults::IDLE)))]
        idle: WaitOrNever,
        /// Whether clients share one connection to this server.
        #[schemars(extend("default" = "auto"))]
        sharing: Sharing,
        /// The era of the protocol this server speaks.
        #[schemars(extend("default" = "auto"))]
        era: EraChoice,
        /// How a remote server is spoken to.
        #[schemars(extend("default" = "auto"))]
        transport: Transport,
        /// How to trust a remote server.
        tls: Tls,
        /// Which of its tools are visible.
        tools: Tools,
        /// Whether Janus uses this server.
        #[schemars(extend("default" = true))]
        enabled: Switch,
    }
}

section! {
    /// One identity at a server. Without a value it has nothing of its own.
    Account {
        /// What the template leaves open, beside the server's `params`; these win.
        params: Map<Param, Filling>,
        /// Further arguments of the program, instead of the server's `args`.
        args: List<Text>,
        /// Variables of the process, beside the server's; these win.
        env: Map<VariableName, Supplied>,
        /// Fixed headers, beside the server's; these win.
        headers: Map<HeaderName, Supplied>,
        /// How it proves who it is, instead of the server's `auth`; of `oauth`, key by key.
        auth: Proof,
        /// What people call it.
        label: Text,
        /// Shown beside its name.
        color: Colour,
    }
}

section! {
    /// What proves an account. Secrets are references: `vault:NAME`, `env:NAME`, `file:PATH` or `cmd:COMMAND`.
    #[schemars(transform = one_auth)]
    Auth {
        /// `Authorization: Bearer VALUE`.
        bearer: Referred,
        /// The user of HTTP's Basic authentication.
        basic: Text,
        /// The password of that user.
        password: Referred,
        /// The header that gets a value, or the token of a command.
        header: HeaderText,
        /// The parameter of the query that gets a value, where nothing else works: URLs end in logs.
        query: Text,
        /// The value of a header or parameter.
        value: Referred,
        /// What stands before the value or the token.
        prefix: Text,
        /// A command that prints a token, as a list. No shell is involved.
        command: List<Text>,
        /// How long a token without an end of its own is used; 0 is once.
        #[schemars(extend("default" = "5m"))]
        ttl: Ttl,
        /// How the output of the command is read.
        #[schemars(extend("default" = "auto"))]
        format: Format,
        /// Where the token is in the output, as a JSON pointer.
        pointer: Text,
        /// Where its end is in the output, as a JSON pointer.
        expiry_pointer: Text,
        /// A command that takes longer is ended.
        #[schemars(extend("default" = "30s"))]
        timeout: Wait,
        /// Variables that the command gets beside PATH, HOME, the locale, XDG_* and the session bus.
        pass_env: List<PassedVariable>,
        /// A login by OAuth 2.1. An account's keys win one by one over those of its server, and both over a template's.
        oauth: OAuth,
        /// The variable of a local process that gets the value.
        into: VariableText,
    }
}

section! {
    /// How to trust a remote server.
    Tls {
        /// A PEM file of certificate authorities, trusted beside the system's.
        ca: FilePath,
    }
}

section! {
    /// Globs over the server's own tool names.
    Tools {
        /// At least one must match.
        #[schemars(extend("default" = ["*"]))]
        include: List<Text>,
        /// None may match; this wins.
        exclude: List<Text>,
    }
}

section! {
    /// Accounts that belong together; what it does not list is out of its reach.
    Profile {
        /// Of each server one account, a list of them (the first is used unless something else decides), or "*" for all.
        accounts: Map<ReachedServer, Accounts>,
        /// Whole servers, with all of their accounts.
        servers: List<ServerName>,
        /// Whether only a key or a binding leads here, and no name in a URL or header.
        #[schemars(extend("default" = false))]
        guarded: Switch,
        /// Instead of `identity.switching`.
        switching: Switching,
    }
}

section! {
    /// A rule that gives requests their profile: those from a directory, from a client, or from both.
    #[schemars(transform = bound)]
    Binding {
        /// It and everything below it. Symbolic links are followed.
        directory: FilePath,
        /// A client of `clients`.
        client: ClientId,
        /// The profile they get.
        profile: ProfileName,
    }
}

section! {
    /// Whether and how accounts may be chosen.
    Identity {
        /// `off`: people alone decide; `session`: calls, sessions and clients choose; `global`: also for everybody.
        #[schemars(extend("default" = "session"))]
        switching: Switching,
    }
}

section! {
    /// A program that connects with a key. Without a value its key is tied to no profile.
    #[schemars(transform = tied)]
    Client {
        /// The one profile its key is tied to.
        profile: ProfileName,
        /// Or several: path or header name one of them.
        profiles: List<ProfileName>,
        /// Its keys are refused from here on: the beginning of a day (UTC), or a time in UTC.
        expires: Date,
        /// It can show a link to a person, though it does not say so: a login that is needed is asked for there.
        #[schemars(extend("default" = false))]
        url_elicitation: Switch,
    }
}

section! {
    /// Where Janus listens.
    Listen {
        /// The address of the HTTP endpoint, loopback.
        #[schemars(extend("default" = defaults::HTTP.to_string()))]
        http: Address,
        /// The unix socket; without this, `mcp.sock` in `$XDG_RUNTIME_DIR/janus` or `$JANUS_RUNTIME_DIR`.
        socket: FilePath,
        /// A session nobody used for this long ends.
        #[schemars(extend("default" = spelled(defaults::SESSION_IDLE)))]
        session_idle: Wait,
        /// A question of a server that nobody answered for this long ends.
        #[schemars(extend("default" = spelled(defaults::QUESTION_TIMEOUT)))]
        question_timeout: Wait,
        /// Whether a reload goes on as the program that is installed, where that is another one (`janus reexec`).
        #[schemars(extend("default" = false))]
        upgrade_on_reload: Switch,
        /// Reserved for addresses that are not loopback: they are refused until there are client keys and TLS.
        #[schemars(extend("default" = false))]
        allow_remote: Switch,
    }
}

section! {
    /// The vault keeps secrets sealed; its key lies elsewhere.
    Vault {
        /// Who keeps the key: `auto` is the systemd credential if there is one, else the Secret Service; a file only if it is named.
        #[schemars(extend("default" = "auto"))]
        key: KeySource,
        /// The file with the key, for `key: file`.
        key_file: FilePath,
    }
}
