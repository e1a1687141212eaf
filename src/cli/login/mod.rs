//! `janus login`: begins a login at the daemon, helps a person through it, and waits for what comes of it.
//!
//! The daemon owns the login; this command opens a browser or prints what to do, takes a pasted address, and may be
//! ended and taken up again.

mod attend;
mod paste;
mod say;

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use self::attend::Attended;
use super::control::Control;
use super::serve::runtime;
use super::table::texts;
use super::{Context, Exit, Failure, browser, prompt};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  janus login linear                       # opens a browser, or prints what to do without one
  janus login github/client_a --paste      # on a machine without a browser
  janus login --all                        # every account that needs it
  janus login --wait 7f3k9q                # takes up a login that waits (janus status)")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Arguments {
    /// The account: SERVER/ACCOUNT, or what of it is enough.
    account: Option<String>,
    /// Log in to every account that needs it, one after the other.
    #[arg(long, conflicts_with_all = ["account", "wait", "expect", "replace", "paste", "no_wait"])]
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
    /// Refuse a login as anybody else.
    #[arg(long, value_name = "WHO")]
    expect: Option<String>,
    /// Somebody else than before is meant.
    #[arg(long)]
    replace: bool,
    /// The same person as at another account of the server is meant.
    #[arg(long)]
    same_identity: bool,
    /// Register Janus anew at the provider.
    #[arg(long)]
    fresh_client: bool,
    /// Ask nothing: yes to new scopes, to a page at another host than the provider's, and to another authorization server.
    #[arg(short, long)]
    yes: bool,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let runtime = runtime()?;
    let outcome = runtime.block_on(arguments.run(context));
    // What reads standard input may wait for a line that never comes.
    runtime.shutdown_background();
    outcome
}

impl Arguments {
    async fn run(&self, context: &Context) -> Result<Exit, Failure> {
        if self.all {
            return self.every(context).await;
        }
        let control = Control::patient(context);
        let pending = if let Some(id) = &self.wait {
            let known = json!({"login": id});
            control
                .ask(Method::POST, "/login/wait", Some(&known))
                .await?
        } else {
            let account = match &self.account {
                Some(account) => account.clone(),
                None => the_one_that_needs_it(&control).await?,
            };
            self.begin(&account, &control).await?
        };
        if self.no_wait {
            self.consent(&pending, &control, context).await?;
            let shown = pending.clone();
            context
                .output
                .document("login", pending, || say::link(&shown))?;
            return Ok(Exit::Done);
        }
        let done = self.through(pending, &control, context).await?;
        let shown = done.clone();
        context
            .output
            .document("login", done, || say::logged_in(&shown))?;
        Ok(Exit::Done)
    }

    /// Every account that needs it. One that fails does not keep the others from it.
    async fn every(&self, context: &Context) -> Result<Exit, Failure> {
        let control = Control::patient(context);
        let known = control.ask(Method::GET, "/logins", None).await?;
        let needed = texts(known.get("needed").unwrap_or(&Value::Null));
        let (mut done, mut failed, mut worst) = (Vec::new(), Vec::new(), Exit::Done);
        for account in &needed {
            let outcome = async {
                let pending = self.begin(account, &control).await?;
                self.through(pending, &control, context).await
            };
            match Box::pin(outcome).await {
                Ok(logged_in) => {
                    context.output.notes(&say::logged_in(&logged_in));
                    done.push(logged_in);
                }
                Err(failure) => {
                    let exit = failure.exit();
                    if context.output.is_json() {
                        let error = failure.to_json().get("error").cloned();
                        failed.push(json!({"account": account, "error": error}));
                    } else {
                        context.output.failure(&failure);
                    }
                    if worst == Exit::Done || exit == Exit::Interrupted {
                        worst = exit;
                    }
                    if exit == Exit::Interrupted {
                        break;
                    }
                }
            }
        }
        let (succeeded, all) = (done.len(), needed.len());
        let fields = json!({"needed": needed, "logins": done, "failed": failed});
        context.output.document("login-all", fields, || {
            if all == 0 {
                "no account needs a login\n".to_owned()
            } else {
                format!("{succeeded} of {all} accounts are logged in\n")
            }
        })?;
        Ok(worst)
    }

    async fn begin(&self, account: &str, control: &Control) -> Result<Value, Failure> {
        let wanted = json!({
            "account": account,
            "device": self.device,
            "fresh_client": self.fresh_client,
            "expect": self.expect,
            "replace": self.replace,
            "same_identity": self.same_identity,
            "yes": self.yes,
        });
        control.ask(Method::POST, "/login", Some(&wanted)).await
    }

    /// From the link to what comes of it.
    async fn through(
        &self,
        pending: Value,
        control: &Control,
        context: &Context,
    ) -> Result<Value, Failure> {
        if pending
            .get("state")
            .is_some_and(|state| state == "logged_in")
        {
            return Ok(pending);
        }
        self.consent(&pending, control, context).await?;
        let attended = Attended {
            pending: &pending,
            control,
            output: context.output,
            paste: self.paste,
            ours: self.wait.is_none() && pending.get("joined").is_none_or(|joined| joined != true),
        };
        context.output.notes(&say::head(&pending));
        let opened = self.open(&pending, context).await?;
        for line in say::what_to_do(&pending, opened, attended.takes_lines(), context) {
            context.output.notes(&line);
        }
        attended.wait().await
    }

    /// Opens a browser where there is one and it is wanted. Whether it did.
    async fn open(&self, pending: &Value, context: &Context) -> Result<bool, Failure> {
        let text = |member: &str| pending.get(member).and_then(Value::as_str);
        let never = text("open_browser") == Some("never") && self.browser.is_none();
        if self.no_browser || self.paste || never {
            return Ok(false);
        }
        let configured = pending.get("browser_command").map(texts);
        let Some(argv) = browser::command(context, self.browser.as_deref(), configured)? else {
            return Ok(false);
        };
        let address = text("code_at").or_else(|| text("url"));
        match browser::open(&argv, address.unwrap_or_default()).await {
            Ok(()) => Ok(true),
            Err(why) => {
                context
                    .output
                    .note(&format!("no browser was opened: {why}"));
                Ok(false)
            }
        }
    }

    /// Has a person say yes to what is new: scopes, a host that is not the provider's own, another authorization server.
    async fn consent(
        &self,
        pending: &Value,
        control: &Control,
        context: &Context,
    ) -> Result<(), Failure> {
        let Some(question) = say::question(pending) else {
            return Ok(());
        };
        let agreed = pending.get("agreed").is_some_and(|agreed| agreed == true);
        if self.yes || agreed {
            context.output.note(&question);
            return Ok(());
        }
        let account = say::text(pending, "account");
        if !prompt::can_ask(context) {
            return Err(Failure::new(Exit::Refused, "needs_approval", question)
                .sent("nothing")
                .help(format!("say yes with:  janus login {account} --yes")));
        }
        if prompt::yes(context, &format!("{question} Go on? [y/N] "))? {
            return Ok(());
        }
        let known = json!({"login": say::text(pending, "login")});
        // It ends by itself if this is not heard.
        drop(
            control
                .ask(Method::POST, "/login/cancel", Some(&known))
                .await,
        );
        Err(Failure::new(Exit::Refused, "declined", "nobody is logged in").sent("nothing"))
    }
}

/// The account that is meant where none is named: the only one that needs a login.
async fn the_one_that_needs_it(control: &Control) -> Result<String, Failure> {
    let known = control.ask(Method::GET, "/logins", None).await?;
    let needed = texts(known.get("needed").unwrap_or(&Value::Null));
    match needed.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Failure::new(
            Exit::Usage,
            "usage",
            "no account needs a login; name one to log in again",
        )
        .help("janus account list")),
        several => Err(Failure::new(
            Exit::Usage,
            "usage",
            format!("several accounts need a login: {}", several.join(", ")),
        )
        .help("janus login ACCOUNT")
        .help("janus login --all")),
    }
}
