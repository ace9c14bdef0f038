//! What people are told of single deliveries, and what they decide about them.

use super::DeliveryState;

/// One call that was made for a delivery, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRow {
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Start.
    pub started_ms: i64,
    /// End; `None` while it is under way.
    pub ended_ms: Option<i64>,
    /// What it cost of the platform's limits.
    pub cost: u32,
    /// Where the delivery stood after it (`Pending`: to be tried again); `None` while it is under way, and for calls made
    /// before this was recorded.
    pub outcome: Option<DeliveryState>,
    /// The platform's code or ours.
    pub code: String,
    /// In words; no message text.
    pub detail: String,
    /// The platform's id, if it gave one.
    pub platform_id: String,
}

/// The code of a call during which the gateway ended.
pub const INTERRUPTED: &str = "interrupted";

/// What is said of such a call.
pub const INTERRUPTED_DETAIL: &str = "the gateway ended during the call";

/// A delivery that a person moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The delivery's id.
    pub id: String,
    /// Where it must stand.
    pub from: DeliveryState,
    /// Where it stands then. What is pending again is carried by no mass send and is due at once.
    pub to: DeliveryState,
    /// The code it shows then.
    pub code: String,
    /// In words; no message text.
    pub detail: String,
    /// The platform's id, if the person knows it; else it keeps the one it has.
    pub platform_id: Option<String>,
}
