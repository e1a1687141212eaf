//! Rows of text under each other.

/// Pads the columns of these rows; the first row is the head.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}  "));
        let line: String = cells.collect();
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

/// So many of what is called so.
pub(super) fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        more => format!("{more} {what}s"),
    }
}

/// How long ago a time in seconds since 1970 is, in the largest unit.
pub(super) fn ago(seconds: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let passed = now.unwrap_or_default().as_secs().saturating_sub(seconds);
    format!("{} ago", span(passed))
}

/// So many seconds, in the largest unit.
pub(super) fn span(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..60 => (seconds, "s"),
        60..3600 => (seconds / 60, "min"),
        3600..86_400 => (seconds / 3600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    format!("{number} {unit}")
}

/// A time of this day as a clock shows it here, one of another day with its date.
pub(super) fn clock(seconds: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let today = local(now.unwrap_or_default().as_secs());
    match (local(seconds), today) {
        (Some(time), Some(today)) if time.date() == today.date() => {
            format!("{:02}:{:02}", time.hour(), time.minute())
        }
        (Some(time), _) => format!("{} {:02}:{:02}", time.date(), time.hour(), time.minute()),
        (None, _) => ago(seconds),
    }
}

/// The time in so many seconds, as a clock shows it here.
pub(super) fn in_seconds(seconds: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    clock(now.unwrap_or_default().as_secs().saturating_add(seconds))
}

/// A day.
pub(super) fn day(seconds: u64) -> String {
    local(seconds).map_or_else(String::new, |time| time.date().to_string())
}

fn local(seconds: u64) -> Option<jiff::civil::DateTime> {
    let time = jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    Some(jiff::tz::TimeZone::system().to_datetime(time))
}

/// The text of a member; empty where there is none.
pub(super) fn text(value: &serde_json::Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}

/// The texts of an array.
pub(super) fn texts(value: &serde_json::Value) -> Vec<String> {
    let listed = value.as_array().into_iter().flatten();
    listed
        .filter_map(|one| one.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other_and_lines_end_with_text() {
        let row = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect();
        let rows = [
            row(&["A", "LONG"]),
            row(&["émile", "x"]),
            row(&["b", "", "c"]),
        ];
        assert_eq!(table(&rows), "A      LONG\némile  x\nb            c\n");
    }
}
