//! End to end: the real binary, real sockets, simulated platforms. One file a behaviour.
#![expect(
    clippy::disallowed_methods,
    reason = "tests talk to the world: they spawn, wait and read the clock"
)]
#![expect(clippy::print_stdout, reason = "a failed story is told again by its seed")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

mod alerts;
mod broadcast;
mod broadcast_kill;
mod cases;
mod complaints;
mod conduct;
mod journeys;
mod kill;
mod operations;
mod peers;
mod questions;
mod replies;
mod rulesets;
mod segments;
mod status;
mod surface;
mod tour;
mod wecom_day;
mod welcomes;
