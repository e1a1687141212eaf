//! The service under a real systemd, as an ordinary user: what the units promise.

mod units;
