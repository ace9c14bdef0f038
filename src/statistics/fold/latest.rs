//! The latest of several values, in one of two orders: a roster's own where the platform numbers its versions, time
//! everywhere else.
//!
//! A change with a version is later than all that the journal has before it, whatever the clocks say: the platform's clock
//! and ours differ, and a reading may lag. A change without one may arrive late, so its own time decides. Invariant:
//! wherever a sequence is cut in two, merging both halves gives what the whole gives.

/// In which order a change stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The roster's own: it is the newest.
    Version,
    /// That of its time.
    Time,
}

/// What is left of a stretch's changes of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest<T> {
    /// The last one in the roster's own order: it replaces whatever was before the stretch.
    by_version: Option<(i64, T)>,
    /// The latest by time after it: it counts only if nothing before is later.
    by_time: Option<(i64, T)>,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self { by_version: None, by_time: None }
    }
}

impl<T> Latest<T> {
    /// Says whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.by_version.is_none() && self.by_time.is_none()
    }

    /// Returns what replaces a value that was set at `was_ms`, and when it was set; `None` when that value stays.
    pub fn over(&self, was_ms: i64) -> Option<&(i64, T)> {
        let floor_ms = self.by_version.as_ref().map_or(was_ms, |(at_ms, _)| *at_ms);
        self.by_time.as_ref().filter(|(at_ms, _)| *at_ms >= floor_ms).or(self.by_version.as_ref())
    }

    pub(super) fn set(&mut self, order: Order, at_ms: i64, value: T) {
        match order {
            Order::Version => *self = Self { by_version: Some((at_ms, value)), by_time: None },
            Order::Time => {
                if self.by_time.as_ref().is_none_or(|(known, _)| *known <= at_ms) {
                    self.by_time = Some((at_ms, value));
                }
            }
        }
    }
}
