//! The suite that every implementation of [`Storage`] must pass.
//!
//! Each promise is one function over a [`Harness`]; `suite!` makes a test of each. What a harness can do beside opening
//! is what a disk can do: be slow, be full, fail.

mod calls;
mod evidence;
mod heard;
mod identities;
mod journal;
mod ledger;
mod projection;
mod status;

use std::borrow::Cow;

use super::{Append, Config, Receipt, SharedStorage, StorageError, codec};
use crate::event::{
    Effects, EventKey, EventType, Fact, HOUR_MS, Head, Partition, Role, Status, Verdict, partition_of,
};

pub(super) use calls::*;
pub(super) use evidence::*;
pub(super) use heard::*;
pub(super) use identities::*;
pub(super) use journal::*;
pub(super) use ledger::*;
pub(super) use projection::*;
pub(super) use status::*;

/// Some hour in 2026.
pub(super) const HOUR: u32 = 497_222;

/// Its start.
pub(super) const NOW_MS: i64 = HOUR as i64 * HOUR_MS;

/// A place where storage can be opened again and again, and whose disk obeys.
pub(super) trait Harness {
    /// Starts with an empty place.
    fn new() -> Self;

    /// Opens storage on what the last one left; the last one must be dropped or closed.
    fn open(&self, config: &Config) -> Result<SharedStorage, StorageError>;

    /// Makes every commit of a [`heavy`] event fail for want of room until [`Harness::free_disk`].
    fn fill_disk(&self);

    /// Gives room again.
    fn free_disk(&self);

    /// Holds back what is appended from now on until [`Harness::go_on`], so that groups and queues can be seen.
    fn hold_commits(&self);

    /// Lets commits go on.
    fn go_on(&self);
}

/// Makes a test of each promise for one harness.
macro_rules! suite {
    ($harness:ty: $($promise:ident),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
        async fn $promise() {
            let harness = <$harness as $crate::storage::conformance::Harness>::new();
            $crate::storage::conformance::$promise(&harness).await;
        }
    )+};
}

/// All promises, for one harness.
macro_rules! all {
    ($harness:ty) => {
        $crate::storage::conformance::suite!($harness:
            what_is_appended_is_read_back_in_order,
            sequence_numbers_have_no_gaps_over_restarts,
            one_commit_holds_what_came_together,
            a_stale_epoch_is_fenced_and_stores_nothing,
            a_new_lease_fences_what_comes_after_it,
            a_failed_commit_poisons_until_the_reset,
            what_was_queued_before_the_reset_is_refused,
            a_full_queue_refuses_and_leaves_nothing,
            a_closed_storage_refuses,
            replay_leaves_out_old_hours,
            prune_stops_at_the_position_and_the_projection,
            pruning_everything_keeps_numbers_growing,
            sealed_hours_hold_their_ids_exactly,
            sealing_waits_for_the_appends_before_it,
            the_secret_is_kept,
            documents_have_versions_and_conflicts,
            a_change_is_all_or_nothing,
            an_idempotency_key_works_once_until_it_expires,
            the_audit_log_is_read_backwards,
            documents_are_paged_in_id_order,
            deliveries_are_added_once_and_paged,
            deliveries_move_by_filter,
            an_intent_is_committed_with_its_attempt,
            only_what_waits_may_be_called,
            every_call_is_remembered_with_what_came_of_it,
            a_person_moves_only_what_stands_where_they_saw_it,
            deliveries_are_found_by_what_became_of_them,
            settled_calls_change_their_delivery,
            a_crash_leaves_uncertain,
            attempts_are_remembered_for_the_limits,
            a_stale_owner_cannot_send,
            only_what_could_not_be_said_is_said_anew,
            what_groups_are_to_get_is_found_and_called_off,
            what_mass_sends_carry_is_settled_once,
            mass_sends_are_no_targets,
            what_groups_received_is_counted,
            every_way_to_a_state_is_told_but_calls_and_their_retries,
            deliveries_are_not_told_while_nobody_listens,
            what_happened_is_told_each_time,
            mass_sends_tell_of_what_they_carry,
            many_deliveries_moved_at_once_are_all_told,
            what_is_undone_is_not_told_and_numbers_have_no_gap,
            a_broadcast_is_told_where_it_stands_once,
            old_changes_are_found_by_time_and_forgotten_by_number,
            the_platforms_id_is_kept,
            numbers_follow_the_definitions,
            outcomes_are_credited_once_to_the_broadcast_they_name,
            days_that_are_over_read_as_before,
            projecting_twice_changes_nothing,
            projecting_in_pieces_or_at_once_is_the_same,
            small_state_is_the_last_write,
            pending_sends_wait_until_they_expire,
            late_events_are_listed_apart,
            a_person_keeps_one_number_over_groups,
            who_several_accounts_know_is_one_person,
            people_of_several_accounts_are_counted_as_raw_events_say,
            a_list_of_members_is_taken_over_and_counts_nobody,
            cases_show_their_last_sighting,
            members_are_found_in_their_groups,
            readers_page_through_groups_and_members,
            words_add_up_and_outlive_a_restart,
            old_words_go_and_the_latest_day_stays,
            evidence_is_kept_once_over_restarts,
            expired_evidence_is_not_given_out_and_is_pruned,
            evidence_is_paged_by_group_and_time,
            evidence_of_a_member_is_erased,
            evidence_has_room_for_so_much,
        );
    };
}

pub(super) use {all, suite};

/// One message by a customer.
pub(super) fn message(n: u128, group: &str, member: &str, at_ms: i64) -> Effects<'static> {
    Effects {
        head: Head {
            key: EventKey(n),
            at_ms,
            arrived_ms: at_ms,
            account: Cow::Borrowed("demo"),
            group: Cow::Owned(group.to_owned()),
            member: Some(Cow::Owned(member.to_owned())),
            name: None,
            role: Role::Customer,
            what: EventType::Message,
            status: Status::Counted,
            verdict: Verdict::Pass,
            revised: false,
            fingerprint: None,
        },
        facts: Vec::new(),
    }
}

/// A message that needs more room than a database has left in the pages it owns.
pub(super) fn heavy(n: u128, group: &str) -> Effects<'static> {
    let mut effects = message(n, group, "u", NOW_MS);
    effects.head.name = Some(Cow::Owned("重".repeat(10_000)));
    effects
}

/// An event of another kind with its facts.
pub(super) fn event(
    what: EventType,
    n: u128,
    group: &str,
    member: &str,
    facts: Vec<Fact<'static>>,
) -> Effects<'static> {
    let mut effects = message(n, group, member, NOW_MS + i64::try_from(n).unwrap());
    effects.head.what = what;
    effects.facts = facts;
    effects
}

/// Where an event belongs.
pub(super) fn partition(effects: &Effects<'_>) -> Partition {
    partition_of(&effects.head.account, &effects.head.group)
}

/// Appends one event.
pub(super) fn append(
    storage: &SharedStorage,
    epoch: u64,
    effects: &Effects<'_>,
) -> Result<Receipt, StorageError> {
    let mut payload = Vec::new();
    codec::encode(effects, &mut payload);
    let bucket = u32::try_from(effects.head.at_ms / HOUR_MS).unwrap();
    storage.append(Append {
        partition: partition(effects),
        epoch,
        payload: &payload,
        events: 1,
        bucket_min: bucket,
        bucket_max: bucket,
    })
}

/// Appends events and waits until all are committed.
pub(super) async fn commit(storage: &SharedStorage, epoch: u64, many: &[Effects<'_>]) {
    let receipts: Vec<_> = many.iter().map(|one| append(storage, epoch, one).unwrap()).collect();
    for receipt in receipts {
        receipt.wait().await.unwrap();
    }
}

/// Reads the journal back: (position, partition, seq, keys of the events).
pub(super) fn rows(storage: &SharedStorage) -> Vec<(u64, Partition, u64, Vec<u128>)> {
    let mut rows = Vec::new();
    storage
        .tail(0, usize::MAX, &mut |row| {
            let mut keys = Vec::new();
            super::visit_effects(&row, |effects| keys.push(effects.head.key.0)).unwrap();
            rows.push((row.position, row.partition, row.seq, keys));
        })
        .unwrap();
    rows
}

/// All keys in the journal, sorted.
pub(super) fn keys(storage: &SharedStorage) -> Vec<u128> {
    let mut keys: Vec<_> = rows(storage).into_iter().flat_map(|row| row.3).collect();
    keys.sort_unstable();
    keys
}
