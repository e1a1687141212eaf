//! The `janus` program. Everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    janus::cli::run(std::env::args_os()).into()
}
