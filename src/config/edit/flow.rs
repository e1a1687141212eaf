//! Maps in braces: `{ a: {}, b: { profile: p } }`, on one line.

/// The text with an entry after the opening brace with which `rest` begins.
pub(super) fn opened(before: &str, rest: &str, entry: &str, others: bool) -> Option<String> {
    let rest = rest.strip_prefix('{')?;
    let comma = if others { "," } else { "" };
    let space = if rest.starts_with(char::is_whitespace) {
        ""
    } else {
        " "
    };
    Some(format!("{before}{{ {entry}{comma}{space}{rest}"))
}

/// The text without the entry with which `rest` begins, and without one of the commas around it.
pub(super) fn closed(before: &str, rest: &str) -> Option<String> {
    let length = entry(rest)?;
    let (_, after) = rest.split_at_checked(length)?;
    if let Some(after) = after.strip_prefix(',') {
        let after = after.trim_start_matches(' ');
        return Some(format!("{before}{after}"));
    }
    // The last of them takes the comma before it along.
    let head = before.trim_end();
    let head = head.strip_suffix(',').map_or(before, |head| head);
    Some(format!("{}{}", head.trim_end_matches(' '), spaced(after)))
}

/// A closing brace keeps its distance.
fn spaced(after: &str) -> String {
    format!(" {}", after.trim_start_matches(' '))
}

/// The length of the entry up to the comma or brace after it; `None` where it does not end on this line.
fn entry(text: &str) -> Option<usize> {
    let mut open = 0usize;
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        match (quote, c) {
            (Some('"'), '\\') => {
                escaped = !escaped;
                continue;
            }
            (Some(end), c) if c == end && !escaped => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '{' | '[') => open += 1,
            (None, ',' | '}') if open == 0 => return Some(index),
            (None, '}' | ']') => open = open.checked_sub(1)?,
            // A comment would swallow what follows it.
            (None, '#') => return None,
            _ => {}
        }
        escaped = false;
    }
    None
}
