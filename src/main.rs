//! The `janus` program. Everything it does is in the library.

use std::alloc::System;
use std::process::ExitCode;

use zeroizing_alloc::ZeroAlloc;

/// Secrets pass through buffers of others (of HTTP, TLS, JSON), who do not overwrite what they give back.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    janus::cli::run(std::env::args_os()).into()
}
