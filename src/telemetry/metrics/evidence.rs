//! Facts about kept texts and about the reviews that wait for a person.

use super::labels::{EvidenceLoss, Value};
use super::names::Metric;
use super::{add, as_f64, set, wide};
use crate::event::EvidenceKind;

/// An original text was sealed and stored.
pub fn kept(kind: EvidenceKind) {
    add(Metric::EvidenceKept, kind.place(), 1);
}

/// Original texts that were to be kept were not.
pub fn dropped(reason: EvidenceLoss, count: u64) {
    add(Metric::EvidenceDropped, reason.place(), count);
}

/// The evidence store holds this much.
pub fn held(rows: u64, bytes: u64) {
    set(Metric::EvidenceRows, 0, wide(rows));
    set(Metric::EvidenceBytes, 0, wide(bytes));
}

/// This many reviews wait for a person.
pub fn reviews_open(count: usize) {
    set(Metric::ReviewsOpen, 0, as_f64(count));
}

/// Reviews were closed without a decision.
pub fn reviews_lapsed(count: u64) {
    add(Metric::ReviewsLapsed, 0, count);
}

/// The review queue is this many journal rows behind.
pub fn reviews_lag(rows: u64) {
    set(Metric::ReviewsLag, 0, wide(rows));
}
