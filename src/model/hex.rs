//! Bytes as lower-case hexadecimal digits.

use std::fmt::Write;

/// Two digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            let written = write!(text, "{byte:02x}");
            debug_assert!(written.is_ok(), "a string takes what it is given");
            text
        })
}
