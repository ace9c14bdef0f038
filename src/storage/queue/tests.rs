//! What only a broken sink shows; the ordinary promises are in the suite over every storage.

use super::*;

/// Fails as told: `fatal` errors, or a panic.
struct Broken {
    fatal: bool,
}

impl Sink for Broken {
    fn commit(&mut self, _group: &mut Group) -> Result<Vec<Partition>, SinkError> {
        assert!(self.fatal, "the sink was told to panic");
        Err(SinkError { source: "the sync failed".into(), fatal: true })
    }
}

fn append(queue: &Queue<Broken>, partition: u16) -> Result<Receipt, StorageError> {
    queue.append(&Append {
        partition: Partition(partition),
        epoch: 1,
        payload: b"x",
        events: 1,
        bucket_min: 0,
        bucket_max: 0,
    })
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_taken_before_a_restart() {
    let queue = Queue::start(Broken { fatal: true }, Config::default()).unwrap();
    assert_eq!(append(&queue, 1).unwrap().wait().await, Err(CommitError::Failed));
    assert!(matches!(append(&queue, 2), Err(StorageError::Closed)), "also for another partition");
    assert!(matches!(queue.reset(Partition(1)).await, Err(StorageError::Closed)));
}

#[tokio::test]
async fn a_writer_that_panics_leaves_nobody_waiting() {
    let queue = Queue::start(Broken { fatal: false }, Config::default()).unwrap();
    let receipt = append(&queue, 1).unwrap();
    assert_eq!(receipt.clone().wait().await, Err(CommitError::Failed));
    assert_eq!(receipt.done(), Some(Err(CommitError::Failed)));
    queue.stop();
    assert!(matches!(append(&queue, 1), Err(StorageError::Closed)));
    assert!(matches!(queue.run(|_| ()).await, Err(StorageError::Closed)));
}

#[tokio::test]
async fn without_a_linger_a_lone_event_is_committed_at_once_and_with_one_too() {
    for linger in [std::time::Duration::ZERO, std::time::Duration::from_millis(1)] {
        let queue = Queue::start(Broken { fatal: true }, Config { linger, ..Config::default() }).unwrap();
        assert_eq!(append(&queue, 1).unwrap().wait().await, Err(CommitError::Failed));
    }
}
