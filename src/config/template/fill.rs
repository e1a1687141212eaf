//! A template with its parameters put in: where one account's server is.

use super::value::{Filling, Param, Spot};
use super::{Parameter, REGION, Taken, Target, placeholder};
use crate::config::Environment;
use crate::config::container::{At, Map};
use crate::config::problem::{Mistake, Place, Problems};
use crate::config::reference::supplied;
use crate::config::words::instead;
use crate::model::{AccountName, SecretValue, percent};

/// `params` of a server or an account.
pub(in crate::config) type Given = Map<Param, Filling>;

/// What an account has of its template.
pub(in crate::config) struct Filled {
    pub(in crate::config) url: Option<http::Uri>,
    pub(in crate::config) command: Option<(String, Vec<String>)>,
    pub(in crate::config) env: Vec<(String, SecretValue)>,
}

/// A value for a parameter, and where it stands.
struct Value<'v> {
    text: &'v str,
    place: &'v Place,
}

impl Taken<'_> {
    /// Puts in what an account says over what its server says; what is missing is noted.
    pub(in crate::config) fn filled(
        &self,
        server: &Given,
        account: &Given,
        name: &AccountName,
        environment: &Environment,
        problems: &mut Problems,
    ) -> Option<Filled> {
        self.refuse_unknown(server, problems);
        self.refuse_unknown(account, problems);
        let layers = [account, server];
        let value = |name: &str| value(&layers, name);
        let mut whole = true;
        for param in &self.template.params {
            whole &= self.is_filled(param, &value, problems);
        }
        if !whole {
            return None;
        }
        let mut filled = Filled {
            url: None,
            command: None,
            env: Vec::new(),
        };
        for (variable, text) in &self.template.env {
            let text = text.replace("{account}", name.as_str());
            if let Some(value) = supplied(&text, environment) {
                filled.env.push((variable.clone(), value));
            } else {
                let why = format!(
                    "the template's variable `{variable}` is no reference that can be read"
                );
                problems.add(&self.place, Mistake::DoesNotFit { why });
            }
        }
        match &self.template.target {
            Target::Open => {}
            Target::Url(url) => filled.url = Some(self.url(url, &value, problems)?),
            Target::Command(words) => {
                let words = words.iter().map(|word| self.word(word, &value));
                let mut words = words.collect::<Vec<_>>().into_iter();
                filled.command = Some((words.next()?, words.collect()));
            }
        }
        Some(filled)
    }

    fn refuse_unknown(&self, given: &Given, problems: &mut Problems) {
        let template = self.template;
        let mut names: Vec<&str> = template
            .params
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        if !template.regions.is_empty() {
            names.push(REGION);
        }
        for (name, _) in &given.entries {
            if !names.contains(&name.value.0.as_str()) {
                let what = format!("parameter of the template `{}`", template.name);
                let kind = format!("parameters of `{}`", template.name);
                let help = instead(&name.value.0, &kind, &names);
                problems.add_with_help(&name.place, Mistake::UnknownName { what }, help);
            }
        }
    }

    /// Whether a parameter is there if it must be, and may be written where it goes.
    fn is_filled<'v>(
        &self,
        param: &Parameter,
        value: &impl Fn(&str) -> Option<Value<'v>>,
        problems: &mut Problems,
    ) -> bool {
        let Some(Value { text, place }) = value(&param.name) else {
            if param.required {
                let what = format!(
                    "the parameter `{}` of the template `{}`: {}",
                    param.name, self.template.name, param.meaning
                );
                let help = format!(
                    "write `params: {{ {}: … }}` at the server or the account",
                    param.name
                );
                problems.add_with_help(&self.place, Mistake::Missing { what }, help);
            }
            return !param.required;
        };
        if let Some(after) = &param.after
            && value(after).is_none()
        {
            let what = format!("the parameter `{after}`, which `{}` needs", param.name);
            problems.add(place, Mistake::Missing { what });
            return false;
        }
        let expected = match param.spot {
            Spot::Host => {
                let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
                let fits = text.chars().all(legal) && !text.starts_with(['-', '.']);
                (!fits).then_some("a part of a host name: letters, digits, `-` and `.`")
            }
            Spot::Suffix => (!matches!(text, "true" | "false")).then_some("`true` or `false`"),
            Spot::Path => matches!(text, "." | "..").then_some("a part of a path"),
            Spot::Query | Spot::Argument => None,
        };
        if let Some(expected) = expected {
            problems.add(place, Mistake::bad_value(expected));
        }
        expected.is_none()
    }

    fn url<'v>(
        &self,
        url: &str,
        value: &impl Fn(&str) -> Option<Value<'v>>,
        problems: &mut Problems,
    ) -> Option<http::Uri> {
        let template = self.template;
        let mut url = url.to_owned();
        if let Some(Value { text, place }) = value(REGION).filter(|_| !template.regions.is_empty())
        {
            let Some((_, other)) = template.regions.iter().find(|(name, _)| name == text) else {
                let names: Vec<&str> = template
                    .regions
                    .iter()
                    .map(|(name, _)| name.as_str())
                    .collect();
                let what = format!("region of the template `{}`", template.name);
                let help = instead(text, "regions", &names);
                problems.add_with_help(place, Mistake::UnknownName { what }, help);
                return None;
            };
            url.clone_from(other);
        }
        let mut query = Vec::new();
        for param in &template.params {
            let Some(Value { text, .. }) = value(&param.name) else {
                continue;
            };
            let placeholder = placeholder(&param.name);
            match param.spot {
                Spot::Host | Spot::Argument => url = url.replace(&placeholder, text),
                Spot::Path if url.contains(&placeholder) => {
                    url = url.replace(&placeholder, &percent(text, b",:", true));
                }
                Spot::Path => {
                    let write = param.write.as_deref().unwrap_or("{value}");
                    url = joined(&url, &write.replace("{value}", &percent(text, b",:", true)));
                }
                Spot::Suffix => {
                    if text == "true" {
                        url = joined(&url, param.write.as_deref().unwrap_or_default());
                    }
                }
                Spot::Query => query.push(format!("{}={}", param.name, percent(text, b",:", true))),
            }
        }
        if !query.is_empty() {
            let begins = if url.contains('?') { '&' } else { '?' };
            url = format!("{url}{begins}{}", query.join("&"));
        }
        let url = crate::config::value::url(&url).ok();
        if url.is_none() {
            let why = format!(
                "with these parameters the template `{}` gives no URL",
                template.name
            );
            problems.add(&self.place, Mistake::DoesNotFit { why });
        }
        url
    }

    fn word<'v>(&self, word: &str, value: &impl Fn(&str) -> Option<Value<'v>>) -> String {
        self.template
            .params
            .iter()
            .fold(word.to_owned(), |word, param| match value(&param.name) {
                Some(Value { text, .. }) => word.replace(&placeholder(&param.name), text),
                None => word,
            })
    }
}

/// The value that is nearest to the account.
fn value<'v>(layers: &[&'v Given; 2], name: &str) -> Option<Value<'v>> {
    let mut entries = layers.iter().flat_map(|given| &given.entries);
    let (_, At { place, value }) = entries.find(|(key, _)| key.value.0 == name)?;
    Some(Value {
        text: &value.0,
        place,
    })
}

/// A path with one more part.
fn joined(url: &str, part: &str) -> String {
    format!("{}/{part}", url.trim_end_matches('/'))
}
