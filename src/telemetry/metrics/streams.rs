//! Facts about streams.

use super::{Metric, add, as_f64, set};

/// So many are open.
pub fn open(count: usize) {
    set(Metric::StreamsOpen, 0, as_f64(count));
}

/// One was refused: as many as there may be are open.
pub fn refused() {
    add(Metric::StreamsRefused, 0, 1);
}
