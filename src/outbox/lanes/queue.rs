//! One queue of deliveries whose order is kept, and why its head may not go now.
//!
//! Not for: choosing between queues. Layer: pure core.

use std::collections::VecDeque;

use super::Queued;
use crate::outbox::limiter::Micros;

/// Deliveries of one priority (or broadcast) to one group.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) items: VecDeque<Queued>,
    /// Retries that wait for their time and must go first.
    pub(super) retries: u32,
    pub(super) standing: Standing,
}

/// Where a queue stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// On no list.
    #[default]
    Idle,
    /// On its class's list.
    Ready,
    /// Its group's limit has room from then on.
    Asleep(Micros),
    /// Its group's limit has room once a call has ended.
    AtGroup,
    /// Its head was lent out.
    Calling,
}
