//! The end of a client's keys: a day, or a time in UTC.
//!
//! Local times are refused: the same file must mean the same on every machine.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::node::Node;
use super::problem::Path;
use super::read::{Form, Read, Reader};

const EXPECTED: &str = "a date such as `2027-03-01`, or a time such as `2027-03-01T18:00:00Z`";

/// Seconds of a day; the system's time knows no leap seconds.
const DAY: u64 = 86_400;

/// Days from 0000-03-01 to 1970-01-01, where the system's time begins.
const EPOCH: u64 = 719_468;

/// Days in 400 years, after which the calendar repeats.
const ERA: u64 = 146_097;

/// A day, which stands for its beginning, or a time.
pub(super) struct Date(pub(super) SystemTime);

impl Read for Date {
    fn read(node: &Node, path: &Path, reader: &mut Reader<'_>) -> Option<Self> {
        reader.scalar(node, path, Form::of(EXPECTED), |text| {
            moment(text).map(Self).ok_or_else(|| EXPECTED.to_owned())
        })
    }
}

impl JsonSchema for Date {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Date".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let day = "[0-9]{4}-[0-9]{2}-[0-9]{2}";
        let time = "T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?Z";
        let pattern = super::value::or_variable(&format!("{day}({time})?"));
        json_schema!({ "type": "string", "pattern": pattern })
    }
}

/// Reads `2027-03-01`, its first moment in UTC, or `2027-03-01T18:00:00Z`, with or without a fraction.
pub fn moment(text: &str) -> Option<SystemTime> {
    let (day, rest) = match text.split_once('T') {
        Some((day, rest)) => (day, Some(rest)),
        None => (text, None),
    };
    let [year, month, day] = numbers(day, '-', [4, 2, 2])?;
    let days = days(year, month, day)?;
    let begin = UNIX_EPOCH.checked_add(Duration::from_secs(days.checked_mul(DAY)?))?;
    let Some(rest) = rest else {
        return Some(begin);
    };
    let rest = rest.strip_suffix('Z')?;
    let (clock, nanoseconds) = match rest.split_once('.') {
        Some((clock, fraction)) => (clock, nanoseconds(fraction)?),
        None => (rest, 0),
    };
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let real = hour < 24 && minute < 60 && second < 60;
    let seconds = (hour * 60 + minute) * 60 + second;
    real.then(|| begin.checked_add(Duration::new(seconds, nanoseconds)))?
}

/// Writes a time as [`moment`] reads it: a day where it is the first moment of one.
pub fn spelled_moment(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / DAY, since.as_secs() % DAY);
    let (year, month, day) = civil(days);
    let date = format!("{year:04}-{month:02}-{day:02}");
    if seconds == 0 && since.subsec_nanos() == 0 {
        return date;
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = match since.subsec_nanos() {
        0 => String::new(),
        nanoseconds => {
            let digits = format!("{nanoseconds:09}");
            format!(".{}", digits.trim_end_matches('0'))
        }
    };
    format!("{date}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Three numbers with so many digits each.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut number = |digits: usize| {
        let part = parts.next()?;
        let right = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        right.then(|| part.parse().ok())?
    };
    let [first, second, third] = digits;
    let numbers = [number(first)?, number(second)?, number(third)?];
    parts.next().is_none().then_some(numbers)
}

fn nanoseconds(fraction: &str) -> Option<u32> {
    let right = (1..=9).contains(&fraction.len()) && fraction.bytes().all(|b| b.is_ascii_digit());
    right.then(|| format!("{fraction:0<9}").parse().ok())?
}

/// Days since 1970-01-01; nothing before it. The year begins in March here, so that the leap day is its last.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if year < 1970 || !(1..=last).contains(&day) {
        return None;
    }
    let year = if month < 3 { year - 1 } else { year };
    let since_march = (month + 9) % 12;
    let in_year = (153 * since_march + 2) / 5 + day - 1;
    let of_era = year % 400;
    let in_era = of_era * 365 + of_era / 4 - of_era / 100 + in_year;
    (year / 400 * ERA + in_era).checked_sub(EPOCH)
}

/// The year, month and day of so many days since 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + EPOCH;
    let in_era = days % ERA;
    let of_era = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * of_era + of_era / 4 - of_era / 100);
    let since_march = (5 * in_year + 2) / 153;
    let day = in_year - (153 * since_march + 2) / 5 + 1;
    let month = (since_march + 2) % 12 + 1;
    let year = days / ERA * 400 + of_era + u64::from(month < 3);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        let since = moment(text)?.duration_since(UNIX_EPOCH).ok()?;
        Some(since.as_secs())
    }

    #[test]
    fn a_day_is_its_first_moment_in_utc() {
        for (text, expected) in [
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400),
            ("2027-03-01", 1_803_859_200),
            ("2027-03-01T00:00:00Z", 1_803_859_200),
            ("2027-03-01T18:00:01Z", 1_803_924_001),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in [
            "",
            "2027",
            "2027-3-1",
            "2027-13-01",
            "2027-00-01",
            "2027-02-29",
            "2100-02-29",
            "2027-04-31",
            "2027-01-00",
            "1969-12-31",
            "+027-01-01",
            "2027-01-01-01",
            "2027-01-01T",
            "2027-01-01 00:00:00Z",
            "2027-01-01T00:00:00",
            "2027-01-01T00:00Z",
            "2027-01-01T24:00:00Z",
            "2027-01-01T00:60:00Z",
            "2027-01-01T23:59:60Z",
            "2027-01-01T00:00:00.Z",
            "2027-01-01T00:00:00.1234567890Z",
            "2027-01-01T00:00:00+01:00",
            "٢٠٢٧-01-01",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in 0u64..253_402_300_800, nanoseconds in prop_oneof![Just(0u32), 0u32..1_000_000_000]) {
            let time = UNIX_EPOCH + Duration::new(seconds, nanoseconds);
            prop_assert_eq!(moment(&spelled_moment(time)), Some(time));
        }

        #[test]
        fn days_follow_each_other(day in 0u64..2_932_896) {
            let (year, month, of_month) = civil(day);
            prop_assert_eq!(days(year, month, of_month), Some(day));
        }

        #[test]
        fn whatever_is_read_is_written_and_read_alike(text in "[0-9]{3,5}-[01][0-9]-[0-3][0-9](T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{0,10})?Z)?") {
            if let Some(time) = moment(&text) {
                prop_assert_eq!(moment(&spelled_moment(time)), Some(time));
            }
        }
    }
}
