//! Which account a request means: its own word, taken out of it, and what was chosen before.

use memchr::memmem;

use crate::account::Holders;
use crate::binding::{Chosen, Scope};
use crate::model::{AccountId, ServerName};
use crate::protocol::{Edit, Envelope, Object, Outcome, Request, meta};

use super::{Gateway, error};

impl Gateway {
    /// The account of `server` that a request goes to, and the request without the words that say so. `argument` is
    /// the name under which this tool's or prompt's arguments may say it.
    pub(super) fn choose(
        &self,
        scope: &Scope,
        server: &ServerName,
        argument: Option<&'static str>,
        request: Request,
    ) -> Result<(Chosen, Request), Outcome> {
        let method = request.method();
        let word = Word::of(&request, argument).map_err(error::invalid_params)?;
        let named = word.as_ref().and_then(|word| word.named.as_deref());
        let chosen = self
            .choices
            .choose(scope, server, named, holders(scope, &request));
        let chosen = chosen.map_err(|why| error::no_choice(method, scope, &why, argument))?;
        let request = match word {
            Some(word) => Request {
                message: word.without,
                ..request
            },
            None => request,
        };
        Ok((chosen, request))
    }

    /// The request without its word for the account that it means, where something else names one already: the two must
    /// agree, so that nobody is answered by another account than the one they named.
    pub(super) fn agreed(
        &self,
        scope: &Scope,
        account: &AccountId,
        argument: Option<&'static str>,
        request: Request,
    ) -> Result<Request, Outcome> {
        let Some(word) = Word::of(&request, argument).map_err(error::invalid_params)? else {
            return Ok(request);
        };
        if let Some(named) = word.named.as_deref() {
            let holders = holders(scope, &request);
            let chosen = self
                .choices
                .choose(scope, account.server(), Some(named), holders);
            let chosen =
                chosen.map_err(|why| error::no_choice(request.method(), scope, &why, None))?;
            if chosen.account() != account {
                return Err(error::invalid_params(format!(
                    "the request is for {account}, and another word of it names {}",
                    chosen.account()
                )));
            }
        }
        Ok(Request {
            message: word.without,
            ..request
        })
    }
}

/// Whose choices count for a request.
pub(super) fn holders<'a>(scope: &'a Scope, request: &'a Request) -> Holders<'a> {
    Holders {
        session: request.client.session.as_ref(),
        client: scope.client(),
    }
}

/// What a request says of the account it means.
struct Word {
    /// The account; `None` where it says `null`.
    named: Option<String>,
    /// The request without it.
    without: Envelope,
}

impl Word {
    /// Reads it out of the arguments and `_meta`. Both may say it if they say the same.
    fn of(request: &Request, argument: Option<&'static str>) -> Result<Option<Self>, String> {
        let params = request.params();
        // Both names hold it, or are written with escapes, and hardly any request does: a quick look before a slow one.
        let text = params.json().bytes();
        if memmem::find(text, b"janus").is_none() && memmem::find(text, b"\\u00").is_none() {
            return Ok(None);
        }
        let mut edits = Vec::new();
        let mut named = None;
        if let Some(argument) = argument
            && let Some(arguments) = params.object("arguments")
        {
            named = said(&arguments, argument)?;
            if arguments.has(argument) {
                let rest = arguments.edited(&[Edit::Remove(argument)]);
                edits.push(Edit::Set("arguments", rest));
            }
        }
        if let Some(members) = params.object("_meta") {
            let second = said(&members, meta::ACCOUNT)?;
            if let (Some(first), Some(second)) = (&named, &second)
                && first != second
            {
                return Err(format!(
                    "the arguments and `_meta[\"{}\"]` name different accounts",
                    meta::ACCOUNT
                ));
            }
            named = named.or(second);
            if members.has(meta::ACCOUNT) {
                let rest = members.edited(&[Edit::Remove(meta::ACCOUNT)]);
                edits.push(Edit::Set("_meta", rest));
            }
        }
        if edits.is_empty() {
            return Ok(None);
        }
        let text = request.message.with_params(params.edited(&edits));
        let without = Envelope::of(&text).map_err(|refused| refused.error.message)?;
        Ok(Some(Self { named, without }))
    }
}

fn said(object: &Object, name: &'static str) -> Result<Option<String>, String> {
    if object.repeated(&[name]).is_some() {
        return Err(format!("the member `{name}` appears twice"));
    }
    match object.get(name) {
        None => Ok(None),
        Some(value) if value.is_null() => Ok(None),
        Some(value) => match value.as_text() {
            Some(text) => Ok(Some(text.into_owned())),
            None => Err(format!("`{name}` is the name of an account, a string")),
        },
    }
}
