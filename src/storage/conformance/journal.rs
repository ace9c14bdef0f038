//! Promises of the journal.

use super::{HOUR, Harness, NOW_MS, append, commit, heavy, keys, message, partition, rows};
use crate::event::{EventKey, HOUR_MS};
use crate::storage::{CommitError, Config, StorageError};

pub(in crate::storage) async fn what_is_appended_is_read_back_in_order<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    for n in 0..20 {
        commit(&storage, epoch, &[message(n, &format!("g-{}", n % 3), "u", NOW_MS)]).await;
    }
    let all: Vec<u128> = rows(&storage).into_iter().flat_map(|row| row.3).collect();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
    let positions: Vec<u64> = rows(&storage).iter().map(|row| row.0).collect();
    assert!(positions.is_sorted_by(|a, b| a < b));
    assert_eq!(storage.head_position().unwrap(), *positions.last().unwrap());
    let mut some = Vec::new();
    let last = storage.tail(positions[4], 3, &mut |row| some.push(row.position)).unwrap();
    assert_eq!((some, last), (positions[5..8].to_vec(), positions[7]));
    assert_eq!(storage.tail(last + 100, 3, &mut |_| panic!("nothing is there")).unwrap(), last + 100);
}

pub(in crate::storage) async fn sequence_numbers_have_no_gaps_over_restarts<H: Harness>(harness: &H) {
    for round in 0..3 {
        let storage = harness.open(&Config::default()).unwrap();
        let epoch = storage.lease("a").await.unwrap();
        assert_eq!(epoch, round + 1);
        for n in 0..10 {
            let n = u128::from(round) * 10 + n;
            commit(&storage, epoch, &[message(n, &format!("g-{}", n % 4), "u", NOW_MS)]).await;
        }
        if round == 1 {
            storage.close().await.unwrap();
        }
    }
    let storage = harness.open(&Config::default()).unwrap();
    let mut next = std::collections::HashMap::new();
    for (_, partition, seq, _) in rows(&storage) {
        let expect = next.entry(partition).or_insert(1);
        assert_eq!(seq, *expect);
        *expect += 1;
    }
    assert_eq!(keys(&storage), (0..30).collect::<Vec<_>>());
}

pub(in crate::storage) async fn one_commit_holds_what_came_together<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    harness.hold_commits();
    let first = append(&storage, epoch, &message(0, "g", "u", NOW_MS)).unwrap();
    let waiting: Vec<_> =
        (1..50).map(|n| append(&storage, epoch, &message(n, "g", "u", NOW_MS)).unwrap()).collect();
    assert_eq!(waiting[0].done(), None);
    harness.go_on();
    first.wait().await.unwrap();
    for receipt in waiting {
        receipt.clone().wait().await.unwrap();
        assert_eq!(receipt.done(), Some(Ok(())));
    }
    assert!(rows(&storage).len() <= 2, "what waits is one row of its partition");
    assert_eq!(keys(&storage), (0..50).collect::<Vec<_>>());
}

pub(in crate::storage) async fn a_stale_epoch_is_fenced_and_stores_nothing<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let never_leased = append(&storage, 0, &message(1, "g-1", "u", NOW_MS)).unwrap();
    assert_eq!(never_leased.wait().await, Err(CommitError::Fenced));
    let old = storage.lease("a").await.unwrap();
    let new = storage.lease("b").await.unwrap();
    assert!(new > old);
    harness.hold_commits();
    let stale = append(&storage, old, &message(2, "g-1", "u", NOW_MS)).unwrap();
    let other = append(&storage, new, &message(3, "g-2", "u", NOW_MS)).unwrap();
    let fresh = append(&storage, new, &message(4, "g-1", "u", NOW_MS)).unwrap();
    harness.go_on();
    assert_eq!(stale.wait().await, Err(CommitError::Fenced));
    other.wait().await.unwrap();
    fresh.wait().await.unwrap();
    assert_eq!(keys(&storage), [3, 4]);
}

pub(in crate::storage) async fn a_new_lease_fences_what_comes_after_it<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let old = storage.lease("a").await.unwrap();
    harness.hold_commits();
    let before = append(&storage, old, &message(1, "g-1", "u", NOW_MS)).unwrap();
    let next = {
        let storage = storage.clone();
        async move { storage.lease("b").await.unwrap() }
    };
    harness.go_on();
    let new = next.await;
    let after = append(&storage, old, &message(2, "g-1", "u", NOW_MS)).unwrap();
    before.wait().await.unwrap();
    assert_eq!(after.wait().await, Err(CommitError::Fenced));
    commit(&storage, new, &[message(3, "g-1", "u", NOW_MS)]).await;
    assert_eq!(keys(&storage), [1, 3]);
}

pub(in crate::storage) async fn a_failed_commit_poisons_until_the_reset<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let (one, other) = (heavy(1, "g-1"), message(2, "g-2", "u", NOW_MS));
    assert_ne!(partition(&one), partition(&other));
    commit(&storage, epoch, &[message(0, "g-1", "u", NOW_MS)]).await;
    harness.fill_disk();
    let failed = append(&storage, epoch, &one).unwrap();
    assert_eq!(failed.wait().await, Err(CommitError::Failed));
    harness.free_disk();
    assert!(matches!(append(&storage, epoch, &one), Err(StorageError::Poisoned(p)) if p == partition(&one)));
    commit(&storage, epoch, std::slice::from_ref(&other)).await;
    storage.reset(partition(&one)).await.unwrap();
    commit(&storage, epoch, &[one]).await;
    assert_eq!(keys(&storage), [0, 1, 2]);
    let seqs: Vec<u64> = rows(&storage).iter().map(|row| row.2).collect();
    assert_eq!(seqs, [1, 1, 2], "a failed commit takes no number");
}

pub(in crate::storage) async fn what_was_queued_before_the_reset_is_refused<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    harness.fill_disk();
    harness.hold_commits();
    let failed = append(&storage, epoch, &heavy(1, "g-1")).unwrap();
    // Sealing ends the gathering group, so that the next append is in a second one behind it.
    let sealed = storage.seal(partition(&message(0, "g-9", "u", NOW_MS)), epoch, HOUR, Vec::new());
    let queued = append(&storage, epoch, &message(2, "g-1", "u", NOW_MS)).unwrap();
    harness.go_on();
    assert_eq!(failed.wait().await, Err(CommitError::Failed));
    assert_eq!(queued.wait().await, Err(CommitError::Failed));
    harness.free_disk();
    _ = sealed.await; // on a full disk it may have failed as well
    storage.reset(partition(&message(1, "g-1", "u", NOW_MS))).await.unwrap();
    let epoch = storage.lease("a").await.unwrap();
    commit(&storage, epoch, &[message(3, "g-1", "u", NOW_MS)]).await;
    assert_eq!(keys(&storage), [3]);
}

pub(in crate::storage) async fn a_full_queue_refuses_and_leaves_nothing<H: Harness>(harness: &H) {
    let config = Config { pending_events_max: 3, ..Config::default() };
    let storage = harness.open(&config).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    harness.hold_commits();
    let taken: Vec<_> =
        (0..3).map(|n| append(&storage, epoch, &message(n, "g", "u", NOW_MS)).unwrap()).collect();
    assert!(matches!(append(&storage, epoch, &message(9, "g", "u", NOW_MS)), Err(StorageError::Full)));
    harness.go_on();
    for receipt in taken {
        receipt.wait().await.unwrap();
    }
    assert_eq!(keys(&storage), [0, 1, 2]);
    commit(&storage, epoch, &[message(3, "g", "u", NOW_MS)]).await;

    drop(storage);
    let config = Config { pending_bytes_max: 1, ..Config::default() };
    let storage = harness.open(&config).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    assert!(matches!(append(&storage, epoch, &message(9, "g", "u", NOW_MS)), Err(StorageError::Full)));
}

pub(in crate::storage) async fn a_closed_storage_refuses<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let receipt = append(&storage, epoch, &message(1, "g", "u", NOW_MS)).unwrap();
    storage.close().await.unwrap();
    receipt.wait().await.unwrap();
    assert!(append(&storage, epoch, &message(2, "g", "u", NOW_MS)).is_err());
    assert!(storage.lease("b").await.is_err());
    storage.close().await.unwrap();
    drop(storage);
    assert_eq!(keys(&harness.open(&Config::default()).unwrap()), [1]);
}

pub(in crate::storage) async fn replay_leaves_out_old_hours<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    for hour in 0..5_u32 {
        let at_ms = NOW_MS + i64::from(hour) * HOUR_MS;
        commit(&storage, epoch, &[message(hour.into(), &format!("g-{hour}"), "u", at_ms)]).await;
    }
    let mut seen = Vec::new();
    let mut replay = |from: u32| {
        seen.clear();
        storage
            .replay(from, &mut |row| {
                crate::storage::visit_effects(&row, |effects| seen.push(effects.head.key.0))
            })
            .unwrap();
        seen.clone()
    };
    assert_eq!(replay(HOUR + 3), [3, 4]);
    assert_eq!(replay(HOUR), [0, 1, 2, 3, 4]);
    assert!(replay(HOUR + 9).is_empty());
    let stop = storage.replay(HOUR, &mut |_| Err(StorageError::Full));
    assert!(matches!(stop, Err(StorageError::Full)));
}

pub(in crate::storage) async fn prune_stops_at_the_position_and_the_projection<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    for n in 0..6_u32 {
        let at_ms = NOW_MS + i64::from(n) * HOUR_MS;
        commit(&storage, epoch, &[message(n.into(), "g", "u", at_ms)]).await;
    }
    let positions: Vec<u64> = rows(&storage).iter().map(|row| row.0).collect();
    assert_eq!(storage.prune(HOUR + 6, u64::MAX).await.unwrap(), 0, "nothing is projected yet");
    storage.project().unwrap();
    assert_eq!(storage.prune(HOUR + 6, positions[1]).await.unwrap(), 2, "a follower is behind");
    assert_eq!(keys(&storage), [2, 3, 4, 5]);
    assert_eq!(storage.prune(HOUR + 4, u64::MAX).await.unwrap(), 2, "later hours stay");
    assert_eq!(keys(&storage), [4, 5]);
    assert_eq!(storage.prune(HOUR + 4, u64::MAX).await.unwrap(), 0);
    drop(storage);
    let storage = harness.open(&Config::default()).unwrap();
    assert_eq!(keys(&storage), [4, 5]);
    assert_eq!(storage.project().unwrap().events, 0);
}

pub(in crate::storage) async fn pruning_everything_keeps_numbers_growing<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    for n in 0..8 {
        commit(&storage, epoch, &[message(n, &format!("g-{}", n % 4), "u", NOW_MS)]).await;
    }
    let last = storage.project().unwrap().position;
    storage.prune(HOUR + 100, u64::MAX).await.unwrap();
    drop(storage);
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    commit(&storage, epoch, &[message(100, "g-0", "u", NOW_MS)]).await;
    let rows = rows(&storage);
    let (position, _, seq, _) = rows.last().unwrap();
    assert!(*position > last);
    assert_eq!(*seq, 3, "the third of its partition");
    assert_eq!(storage.project().unwrap().events, 1);
}

pub(in crate::storage) async fn sealed_hours_hold_their_ids_exactly<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let here = partition(&message(0, "g", "u", NOW_MS));
    let odd: Vec<_> = (0..500_u128).map(|n| EventKey(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)).collect();
    let mut shuffled = odd.clone();
    shuffled.reverse();
    assert_eq!(storage.sealed_before(here).unwrap(), None);
    storage.seal(here, epoch, HOUR + 1, vec![(HOUR, shuffled)]).await.unwrap();
    assert_eq!(storage.sealed_before(here).unwrap(), Some(HOUR + 1));
    storage.seal(here, epoch, HOUR + 2, vec![(HOUR, vec![odd[0], EventKey(4)])]).await.unwrap();
    storage.seal(here, epoch, HOUR + 3, Vec::new()).await.unwrap();
    drop(storage);
    let storage = harness.open(&Config::default()).unwrap();
    for id in &odd {
        assert!(storage.sealed_contains(here, HOUR, *id).unwrap());
        assert!(!storage.sealed_contains(here, HOUR, EventKey(id.0 + 1)).unwrap() || id.0 + 1 == 4);
    }
    assert!(storage.sealed_contains(here, HOUR, EventKey(4)).unwrap());
    assert!(!storage.sealed_contains(here, HOUR + 1, odd[0]).unwrap());
    assert_eq!(storage.sealed_before(here).unwrap(), Some(HOUR + 3));
    let sealed = storage.sealed(here).unwrap();
    assert_eq!(sealed.iter().map(|hour| (hour.bucket, hour.ids)).collect::<Vec<_>>(), [(HOUR, 501)]);
    let filter = crate::dedupe::Filter::from_bytes(&sealed[0].filter).unwrap();
    assert!(odd.iter().all(|id| filter.may_contain(*id)));
    let stale = storage.seal(here, epoch + 1, HOUR + 4, Vec::new()).await;
    assert!(matches!(stale, Err(StorageError::Fenced(p)) if p == here));
    storage.prune(HOUR + 1, 0).await.unwrap();
    assert!(storage.sealed(here).unwrap().is_empty());
}

pub(in crate::storage) async fn sealing_waits_for_the_appends_before_it<H: Harness>(harness: &H) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    let here = partition(&message(0, "g-1", "u", NOW_MS));
    harness.fill_disk();
    let failed = append(&storage, epoch, &heavy(1, "g-1")).unwrap();
    let refused = storage.seal(here, epoch, HOUR, vec![(HOUR - 1, vec![EventKey(1)])]);
    assert_eq!(failed.wait().await, Err(CommitError::Failed));
    harness.free_disk();
    assert!(matches!(refused.await, Err(StorageError::Poisoned(p)) if p == here));
    assert_eq!(storage.sealed_before(here).unwrap(), None);
}

pub(in crate::storage) async fn the_secret_is_kept<H: Harness>(harness: &H) {
    let first = harness.open(&Config::default()).unwrap().dedupe_secret();
    assert_eq!(harness.open(&Config::default()).unwrap().dedupe_secret(), first);
    assert_ne!(first, H::new().open(&Config::default()).unwrap().dedupe_secret());
}
