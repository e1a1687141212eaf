//! What a template says, checked: its parameters have a place, its URL is one.

use super::facts::facts;
use super::keys;
use super::value::{Spot, fact};
use super::{Parameter, REGION, Target, Template, placeholder};
use crate::config::container::{Field, Map};
use crate::config::oauth::{check_whoami, web_url};
use crate::config::problem::{Mistake, Place, Problems};
use crate::config::value::Text;

use super::value::{Count, Known, Param};

/// What stands for a value while a URL is looked at.
const STAND_IN: &str = "x";

/// `None` where a mistake was noted.
pub(super) fn template(
    name: &str,
    keys: &keys::Template,
    place: &Place,
    problems: &mut Problems,
) -> Option<Template> {
    let title = fact(&keys.title).map(|title| title.0.clone());
    if title.is_none() {
        let what = "`title`".to_owned();
        problems.add(place, Mistake::Missing { what });
    }
    let params = params(&keys.params, problems);
    let regions: Vec<(String, String)> = fact(&keys.region_variants)
        .into_iter()
        .flat_map(|map| &map.entries)
        .map(|(name, url)| (name.value.0.clone(), url.value.0.clone()))
        .collect();
    let target = target(keys, place, problems);
    let texts: Vec<&str> = match &target {
        Target::Url(url) => vec![url],
        Target::Command(words) => words.iter().map(String::as_str).collect(),
        Target::Open => Vec::new(),
    };
    placeholders(&texts, &params, place, problems);
    let urls = regions.iter().map(|(_, url)| url.as_str());
    let own = match &target {
        Target::Url(url) => Some(url.as_str()),
        _ => None,
    };
    for url in urls.chain(own) {
        let filled = params.iter().fold(url.to_owned(), |url, param| {
            url.replace(&placeholder(&param.name), STAND_IN)
        });
        if let Err(expected) = web_url(&filled) {
            let place = keys.url.value.as_ref().map_or(place, |at| &at.place);
            problems.add(place, Mistake::BadValue { expected });
        }
    }
    if let Some(whoami) = fact(&keys.whoami) {
        let place = keys.whoami.value.as_ref().map_or(place, |at| &at.place);
        check_whoami(whoami, place, problems);
    }
    let idle = fact(&keys.refresh).and_then(|refresh| refresh.max_idle_days.value.as_ref());
    if let Some(at) = idle
        && matches!(at.value, Known::Is(Count(0)))
    {
        let mistake = Mistake::bad_value("a whole number of days, at least 1");
        problems.add(&at.place, mistake);
    }
    let env = keys.env.value.iter().flat_map(|at| &at.value.entries);
    Some(Template {
        name: name.to_owned(),
        title: title?,
        env: env
            .map(|(name, value)| (name.value.0.clone(), value.value.0.clone()))
            .collect(),
        transport: fact(&keys.transport).copied(),
        facts: facts(name, keys),
        target,
        params,
        regions,
    })
}

fn target(keys: &keys::Template, place: &Place, problems: &mut Problems) -> Target {
    let url = fact(&keys.url).map(|url| url.0.clone());
    let command = fact(&keys.command).map(|words| {
        let words = words.0.iter().map(|word| word.value.0.clone());
        words.collect::<Vec<_>>()
    });
    match (url, command) {
        (Some(_), Some(_)) => {
            let why = "a template has `url` or `command`, not both";
            problems.add_with_help(place, Mistake::does_not_fit(why), "make two of it");
            Target::Open
        }
        (Some(url), None) => Target::Url(url),
        (None, Some(words)) => {
            if words.first().is_none_or(String::is_empty) {
                let mistake = Mistake::bad_value("a `command` that begins with the program");
                problems.add(place, mistake);
            }
            Target::Command(words)
        }
        (None, None) => Target::Open,
    }
}

fn params(
    field: &Field<Known<Map<Param, keys::Parameterized>>>,
    problems: &mut Problems,
) -> Vec<Parameter> {
    let mut params: Vec<Parameter> = Vec::new();
    for (name, param) in fact(field).into_iter().flat_map(|map| &map.entries) {
        let keys = &param.value;
        let Some(spot) = keys.r#in.value.as_ref().map(|at| at.value) else {
            if keys.r#in.key.is_none() {
                let what = "`in`: where the parameter goes".to_owned();
                problems.add(&name.place, Mistake::Missing { what });
            }
            continue;
        };
        if name.value.0 == REGION {
            let why = "`region` is the parameter that chooses among `region_variants`";
            problems.add_with_help(
                &name.place,
                Mistake::does_not_fit(why),
                "name it differently",
            );
        }
        let write = keys.write.value.as_ref().map(|at| at.value.0.clone());
        if spot == Spot::Suffix && write.is_none() {
            let what = "`write`: what stands at the end of the path".to_owned();
            problems.add(&name.place, Mistake::Missing { what });
        }
        let after = keys.after.value.as_ref();
        if let Some(at) = after
            && !params.iter().any(|other| other.name == at.value.0)
        {
            let what = "parameter before this one".to_owned();
            problems.add(&at.place, Mistake::UnknownName { what });
        }
        let text = |field: &Field<Text>| field.value.as_ref().map(|at| at.value.0.clone());
        params.push(Parameter {
            name: name.value.0.clone(),
            spot,
            required: keys.required.value.as_ref().is_some_and(|at| at.value.0),
            meaning: text(&keys.meaning).unwrap_or_default(),
            write,
            after: after.map(|at| at.value.0.clone()),
        });
    }
    params
}

/// What a text has a place for is a parameter, and the other way round.
fn placeholders(texts: &[&str], params: &[Parameter], place: &Place, problems: &mut Problems) {
    for param in params {
        let there = texts
            .iter()
            .any(|text| text.contains(&placeholder(&param.name)));
        if matches!(param.spot, Spot::Host | Spot::Argument) && !there {
            let what = format!("`{{{}}}`, where the parameter goes", param.name);
            problems.add(place, Mistake::Missing { what });
        }
        // What stands in the middle cannot be left out.
        if there && !param.required {
            let what = format!(
                "`required: true` of `{}`, which stands within a text",
                param.name
            );
            problems.add(place, Mistake::Missing { what });
        }
    }
    for text in texts {
        let names = text.split('{').skip(1);
        for name in names.filter_map(|rest| rest.split_once('}').map(|(name, _)| name)) {
            if !params.iter().any(|param| param.name == name) {
                let what = format!(
                    "a parameter for `{{{}}}`",
                    crate::config::problem::shown(name)
                );
                problems.add(place, Mistake::Missing { what });
            }
        }
    }
}
