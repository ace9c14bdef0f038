//! What holds a broadcast's targets back besides limits and holds: hours, days, a canary that is still being watched.
//!
//! Not for: deciding it; whoever owns the broadcast does, and is asked at every step where a target could leave. Targets
//! that are held back stay in the ledger, so a broadcast that waits for the morning holds no memory.

use super::delivery::Delivery;

/// Whether a delivery may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// As far as the gate is concerned, now.
    Now,
    /// At that time, in milliseconds since the epoch.
    At(i64),
    /// When somebody decides so, who then feeds the broadcast anew.
    Undecided,
}

/// Says when a broadcast's deliveries may leave. Asked for every target: must be cheap, and must not block.
pub trait Gate: Send + Sync {
    /// Says whether one may leave now.
    fn opens(&self, delivery: &Delivery, now_ms: i64) -> Opens;
}
