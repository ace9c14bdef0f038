//! End to end: the real binary, real sockets, simulated platforms. One file a behaviour.
#![expect(
    clippy::disallowed_methods,
    reason = "tests talk to the world: they spawn, wait and read the clock"
)]

mod support;

mod kill;
mod surface;
mod tour;
