//! What was measured beside what was aimed at: one table in Markdown, and the same as JSON lines.

use std::{collections::BTreeMap, fmt};

use serde_json::{Value, json};

use crate::ground::Way;

/// What a row aims at: a bound, for a ratio or for Janus's own number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// What a row's numbers are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    Micros,
    Millis,
    PerSecond,
    Megabytes,
    Kiloinstructions,
}

/// A median, and how far the rounds were from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    /// Of the numbers that are any; `None` where there is none.
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut numbers: Vec<f64> = numbers.into_iter().filter(|n| n.is_finite()).collect();
        numbers.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*numbers.first()?, *numbers.last()?);
        let half = numbers.len() / 2;
        let median = if numbers.len() % 2 == 1 {
            numbers[half]
        } else {
            f64::midpoint(numbers[half - 1], numbers[half])
        };
        Some(Self {
            median,
            least,
            most,
        })
    }

    pub(crate) fn median(self) -> f64 {
        self.median
    }
}

/// One kind of work.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) work: String,
    pub(crate) goal: Goal,
    /// What Janus is divided by; `None` where its own number counts.
    pub(crate) against: Option<Way>,
    pub(crate) measured: Option<Spread>,
    pub(crate) unit: Unit,
    pub(crate) values: BTreeMap<Way, f64>,
    /// Why there are no numbers.
    pub(crate) missing: Option<String>,
}

/// All of them, with what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    details: Vec<Value>,
    failures: Vec<String>,
}

impl Table {
    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// What only the JSON lines show.
    pub(crate) fn detail(&mut self, detail: Value) {
        self.details.push(detail);
    }

    /// Something that did not work and makes the run fail, while the rest is still measured.
    pub(crate) fn fail(&mut self, failure: String) {
        self.failures.push(failure);
    }

    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    pub(crate) fn print_json(&self) {
        for row in &self.rows {
            println!("{}", row.json());
        }
        for detail in &self.details {
            println!("{detail}");
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compared = self
            .rows
            .iter()
            .any(|row| row.values.contains_key(&Way::Before));
        let (head, line) = if compared {
            (" before | ratio |", "--:|--:|")
        } else {
            ("", "")
        };
        writeln!(
            f,
            "| work | goal | measured | rounds | | janus | relay | direct | |{head}"
        )?;
        writeln!(f, "|---|--:|--:|--:|---|--:|--:|--:|---|{line}")?;
        for row in &self.rows {
            write!(f, "{row}")?;
            if compared {
                write!(f, " {} | {} |", row.value(Way::Before), row.ratio())?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Row {
    fn met(&self) -> Option<bool> {
        let measured = self.measured?.median;
        Some(match self.goal {
            Goal::AtMost(most) => measured <= most,
            Goal::AtLeast(least) => measured >= least,
        })
    }

    fn json(&self) -> Value {
        let (bound, goal) = match self.goal {
            Goal::AtMost(most) => ("at_most", most),
            Goal::AtLeast(least) => ("at_least", least),
        };
        let values: serde_json::Map<_, _> = self
            .values
            .iter()
            .map(|(way, value)| (way.to_string(), json!(value)))
            .collect();
        json!({
            "work": self.work,
            bound: goal,
            "against": self.against.map(|way| way.to_string()),
            "measured": self.measured.map(|spread| spread.median),
            "least": self.measured.map(|spread| spread.least),
            "most": self.measured.map(|spread| spread.most),
            "met": self.met(),
            "unit": self.unit.to_string(),
            "values": values,
            "missing": self.missing,
        })
    }

    /// This build's number over the other's.
    fn ratio(&self) -> String {
        let of = |way| self.values.get(&way);
        match (of(Way::Janus), of(Way::Before)) {
            (Some(now), Some(before)) => format!("{:.3}", now / before),
            _ => "–".to_owned(),
        }
    }

    fn value(&self, way: Way) -> String {
        self.values
            .get(&way)
            .map_or_else(|| "–".to_owned(), |value| number(*value))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self
            .against
            .map_or_else(|| self.unit.to_string(), |way| format!("× {way}"));
        let goal = match self.goal {
            Goal::AtMost(most) => format!("≤ {most} {unit}"),
            Goal::AtLeast(least) => format!("≥ {least} {unit}"),
        };
        let (measured, rounds) = match (&self.missing, self.measured) {
            (Some(reason), _) => (format!("not measured: {reason}"), String::new()),
            (None, None) => ("–".to_owned(), String::new()),
            (
                None,
                Some(Spread {
                    median,
                    least,
                    most,
                }),
            ) => (
                number(median),
                format!("{}–{}", number(least), number(most)),
            ),
        };
        let verdict = match self.met() {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "",
        };
        let [janus, relay, direct] = [Way::Janus, Way::Relay, Way::Direct].map(|w| self.value(w));
        write!(
            f,
            "| {} | {goal} | {measured} | {rounds} | {verdict} | {janus} | {relay} | {direct} | {} |",
            self.work, self.unit
        )
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Micros => "µs",
            Self::Millis => "ms",
            Self::PerSecond => "calls/s",
            Self::Megabytes => "MB",
            Self::Kiloinstructions => "k",
        })
    }
}

/// Three digits, as many as a shared machine can mean.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size < 10.0 => 2,
        size if size < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}
