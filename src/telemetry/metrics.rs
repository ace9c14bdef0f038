//! Every metric by name, in one place; `docs/OPERATING.md` describes each.

/// Counts callback ids forgotten before their time because an account's memory of them was full.
#[expect(clippy::disallowed_macros, reason = "this is the one place")]
pub fn replay_ids_evicted(count: u64) {
    metrics::counter!("menshen_callback_replay_ids_evicted_total").increment(count);
}
