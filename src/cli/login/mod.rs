//! `janus login`: begins a login at the daemon, helps a person through it, and waits for what comes of it.
//!
//! The daemon owns the login; this command opens a browser or prints what to do, takes a pasted address, and may be
//! ended and taken up again.

mod attend;
mod every;
mod needed;
mod paste;
mod picture;
mod say;

use clap::Args;
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use self::attend::Attended;
use super::control::Control;
use super::serve::runtime;
use super::table::texts;
use super::{Context, Exit, Failure, browser, prompt};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  janus login linear                       # opens a browser, or prints what to do without one
  janus login github/client_a --paste      # on a machine without a browser
  janus login --all                        # every account that needs it, one after the other
  janus login --all --no-wait              # the links of all of them
  janus login linear --again               # an account that is logged in
  janus login --wait 7f3k9q                # takes up a login that waits (janus status)
  janus login --cancel linear              # ends it")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Arguments {
    /// The account: SERVER/ACCOUNT, or what of it is enough; with --cancel also the id of a login.
    account: Option<String>,
    /// Log in to every account that needs it, one after the other.
    #[arg(long, conflicts_with_all = ["account", "wait", "expect", "replace"])]
    all: bool,
    /// Open no browser: print the link.
    #[arg(long)]
    no_browser: bool,
    /// Open the link with this program; quoted as for a shell.
    #[arg(long, value_name = "CMD", conflicts_with = "no_browser")]
    browser: Option<String>,
    /// Open no browser here, and take the address on which one ends elsewhere from standard input.
    #[arg(long, conflicts_with_all = ["browser", "device", "no_wait"])]
    paste: bool,
    /// Type a code on another device instead, where the provider offers that.
    #[arg(long)]
    device: bool,
    /// Print the link and its id, and do not wait.
    #[arg(long)]
    no_wait: bool,
    /// Take up the login of this id, whoever began it.
    #[arg(long, value_name = "ID", conflicts_with_all = ["account", "device", "fresh_client", "expect", "replace", "same_identity"])]
    wait: Option<String>,
    /// End a login that waits: that of the account, that of the id, or the only one.
    #[arg(long, conflicts_with_all = ["all", "wait", "paste", "no_wait", "device", "browser", "expect", "replace", "again"])]
    cancel: bool,
    /// Refuse a login as anybody else.
    #[arg(long, value_name = "WHO")]
    expect: Option<String>,
    /// Log in to an account that is logged in, without a question.
    #[arg(long)]
    again: bool,
    /// Somebody else than before is meant.
    #[arg(long)]
    replace: bool,
    /// The same person as at another account of the server is meant.
    #[arg(long)]
    same_identity: bool,
    /// Register Janus anew at the provider.
    #[arg(long)]
    fresh_client: bool,
    /// Ask nothing: yes to new scopes, to a page at another host than the provider's, to another authorization server, and
    /// to a new login of an account that is logged in.
    #[arg(short, long)]
    yes: bool,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let runtime = runtime()?;
    let outcome = runtime.block_on(Run::new(arguments, context).run());
    // What reads standard input may wait for a line that never comes.
    runtime.shutdown_background();
    outcome
}

/// The command while it runs.
struct Run<'a> {
    arguments: &'a Arguments,
    context: &'a Context,
    control: Control,
    /// When it ends at latest.
    ends: Option<Instant>,
}

impl<'a> Run<'a> {
    fn new(arguments: &'a Arguments, context: &'a Context) -> Self {
        Self {
            arguments,
            context,
            control: Control::patient(context),
            ends: context.global.timeout.map(|within| Instant::now() + within),
        }
    }

    async fn run(&self) -> Result<Exit, Failure> {
        if self.arguments.all {
            return self.every().await;
        }
        if self.arguments.cancel {
            return self.cancel().await;
        }
        let pending = match (&self.arguments.wait, &self.arguments.account) {
            (Some(id), _) => {
                let known = json!({"login": id});
                let stands = self.control.ask(Method::POST, "/login/wait", Some(&known));
                stands.await?
            }
            (None, Some(account)) => self.begin(account).await?,
            (None, None) => match self.the_one_that_needs_it().await? {
                Some(account) => self.begin(&account).await?,
                None => return self.every().await,
            },
        };
        let output = self.context.output;
        if self.arguments.no_wait {
            self.consent(&pending).await?;
            let shown = pending.clone();
            output.document("login", pending, || say::link(&shown))?;
            return Ok(Exit::Done);
        }
        let done = self.through(pending).await?;
        let shown = done.clone();
        output.document("login", done, || say::logged_in(&shown))?;
        Ok(Exit::Done)
    }

    /// Whether the time of this command is over.
    fn is_over(&self) -> bool {
        self.ends.is_some_and(|ends| ends <= Instant::now())
    }

    /// Begins a login, also of an account that is logged in if a person says so.
    async fn begin(&self, account: &str) -> Result<Value, Failure> {
        let arguments = self.arguments;
        let again = arguments.again || arguments.yes || arguments.replace || arguments.fresh_client;
        let failure = match self.ask(account, again).await {
            Err(failure) if failure.parts().code == "logged_in" => failure,
            begun => return begun,
        };
        if !prompt::can_ask(self.context) {
            return Err(failure);
        }
        let question = format!("{}. Log in again? [y/N] ", failure.parts().message);
        if prompt::yes(self.context, &question)? {
            return self.ask(account, true).await;
        }
        Err(Failure::new(Exit::Refused, "declined", "nothing changed").sent("nothing"))
    }

    async fn ask(&self, account: &str, again: bool) -> Result<Value, Failure> {
        let wanted = json!({
            "account": account,
            "again": again,
            "device": self.arguments.device,
            "fresh_client": self.arguments.fresh_client,
            "expect": self.arguments.expect,
            "replace": self.arguments.replace,
            "same_identity": self.arguments.same_identity,
            "yes": self.arguments.yes,
        });
        let begun = self.control.ask(Method::POST, "/login", Some(&wanted));
        begun.await.map_err(|failure| match failure.parts().code {
            "timed_out" => failure.help(format!(
                "the login itself goes on; join it:  janus login {account}"
            )),
            _ => failure,
        })
    }

    /// Ends a login that waits.
    async fn cancel(&self) -> Result<Exit, Failure> {
        let named = json!({"login": self.arguments.account.as_deref().unwrap_or_default()});
        let ended = self
            .control
            .ask(Method::POST, "/login/cancel", Some(&named));
        let ended = ended.await?;
        let shown = ended.clone();
        let output = self.context.output;
        output.document("login-cancel", ended, || say::cancelled(&shown))?;
        Ok(Exit::Done)
    }

    /// From the link to what comes of it.
    async fn through(&self, pending: Value) -> Result<Value, Failure> {
        if pending
            .get("state")
            .is_some_and(|state| state == "logged_in")
        {
            return Ok(pending);
        }
        self.consent(&pending).await?;
        let joined = pending.get("joined").is_some_and(|joined| joined == true);
        let attended = Attended {
            pending: &pending,
            control: &self.control,
            output: self.context.output,
            paste: self.arguments.paste,
            ours: self.arguments.wait.is_none() && !joined,
            ends: self.ends,
        };
        let output = self.context.output;
        output.beside("login", &pending);
        output.tell(&say::head(&pending));
        let opened = self.open(&pending).await?;
        for line in say::what_to_do(&pending, opened, attended.takes_lines(), self.context) {
            output.tell(&line);
        }
        attended.wait().await
    }

    /// Opens a browser where there is one and it is wanted. Whether it did.
    async fn open(&self, pending: &Value) -> Result<bool, Failure> {
        let text = |member: &str| pending.get(member).and_then(Value::as_str);
        let program = self.arguments.browser.as_deref();
        let never = text("open_browser") == Some("never") && program.is_none();
        if self.arguments.no_browser || self.arguments.paste || never {
            return Ok(false);
        }
        let configured = pending.get("browser_command").map(texts);
        let Some(argv) = browser::command(self.context, program, configured)? else {
            return Ok(false);
        };
        let address = text("code_at").or_else(|| text("url"));
        let address = address.unwrap_or_default();
        let output = self.context.output;
        // Whoever watches can stop it, and has it where none shows.
        output.tell(&format!("a browser opens:\n     {address}"));
        match browser::open(&argv, address).await {
            Ok(()) => Ok(true),
            Err(why) => {
                output.tell(&format!("no browser was opened: {why}"));
                Ok(false)
            }
        }
    }

    /// Has a person say yes to what is new: scopes, a host that is not the provider's own, another authorization server.
    async fn consent(&self, pending: &Value) -> Result<(), Failure> {
        let Some(question) = say::question(pending) else {
            return Ok(());
        };
        let agreed = pending.get("agreed").is_some_and(|agreed| agreed == true);
        if self.arguments.yes || agreed {
            self.context.output.tell(&question);
            return Ok(());
        }
        let account = say::text(pending, "account");
        if !prompt::can_ask(self.context) {
            return Err(Failure::new(Exit::Refused, "needs_approval", question)
                .sent("nothing")
                .help(format!("say yes with:  janus login {account} --yes")));
        }
        if prompt::yes(self.context, &format!("{question} Go on? [y/N] "))? {
            return Ok(());
        }
        let known = json!({"login": say::text(pending, "login")});
        let ended = self
            .control
            .ask(Method::POST, "/login/cancel", Some(&known));
        // It ends by itself if this is not heard.
        drop(ended.await);
        Err(Failure::new(Exit::Refused, "declined", "nobody is logged in").sent("nothing"))
    }

    /// The account that is meant where none is named: the only one that needs a login, if one does.
    async fn the_one_that_needs_it(&self) -> Result<Option<String>, Failure> {
        let needed = self.needed().await?;
        match needed.accounts.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(only.clone())),
            several => {
                let said = format!("several accounts need a login: {}", several.join(", "));
                Err(Failure::new(Exit::Usage, "usage", said)
                    .help("janus login ACCOUNT")
                    .help("janus login --all"))
            }
        }
    }
}
