//! janus.
fn main() {}
