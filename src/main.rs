//! janus.
fn main(){}
