//! One child process that speaks MCP on its standard input and output, one message a line.
//!
//! Three tasks serve it: a writer with a bounded queue, a reader that hands every message to its exchange in order,
//! and a supervisor that sees the process to its end. Exchanges themselves run in the futures of their callers.
//!
//! Invariants:
//! - One exchange cannot hold up another, and neither a slow client nor a child that does not read holds up the reader.
//! - Every exchange ends: by its answer, by its timeout, by being dropped, or with the connection.
//! - No process outlives the leg that started it.

mod child;
mod explain;
mod lines;
mod long_line;
mod stderr;
mod tally;
mod writer;
