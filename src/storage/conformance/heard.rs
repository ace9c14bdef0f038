//! Promises about words of groups' days.

use super::{Harness, NOW_MS, commit, message};
use crate::statistics::words::{Said, WordsError};
use crate::storage::{Config, SharedStorage, StorageError, WordsHeard, WordsShare};

fn heard(group: &str, day: u32, word: &str, person: u32) -> WordsHeard {
    let mut said = Said { messages: 1, speakers: [person].into(), ..Said::default() };
    said.words.insert(word.into(), [person].into());
    WordsHeard { account: "demo".to_owned(), group: group.to_owned(), day, said }
}

fn kept(storage: &SharedStorage, day: u32) -> Vec<(usize, Said)> {
    let groups = ["g-1", "g-2"].map(|group| ("demo".to_owned(), group.to_owned()));
    let mut found = Vec::new();
    let mut read = |group, row: &[u8]| {
        found.push((group, Said::decode(row)?));
        Ok::<_, WordsError>(())
    };
    storage.words(&groups, day, &mut read).unwrap();
    found
}

pub(in crate::storage) async fn words_add_up_and_outlive_a_restart(harness: &impl Harness) {
    let config = Config::default();
    let storage = harness.open(&config).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    commit(&storage, epoch, &[message(1, "g-1", "u-1", NOW_MS)]).await;
    let share = WordsShare { counted: 2, missed: 1 };
    let lost =
        storage.words_add(vec![heard("g-1", 7, "蛋糕", 1), heard("g-9", 7, "蛋糕", 1)], &[(7, share)], 9);
    assert_eq!(lost.unwrap(), 0, "a group that nobody knows is left out");
    storage.words_add(vec![heard("g-1", 7, "蛋糕", 2)], &[(7, share)], 9).unwrap();
    assert_eq!(storage.words_add(vec![heard("g-1", 7, "面包", 2)], &[], 1).unwrap(), 1);
    drop(storage);
    let storage = harness.open(&config).unwrap();
    let all = kept(&storage, 7);
    assert_eq!(all.len(), 1);
    let (group, said) = &all[0];
    assert_eq!((*group, said.messages, said.speakers.len()), (0, 3, 2));
    assert_eq!(said.words.len(), 1);
    assert_eq!(said.words["蛋糕"].len(), 2);
    assert_eq!(storage.words_share(7).unwrap(), WordsShare { counted: 4, missed: 2 });
    assert_eq!(storage.words_share(8).unwrap(), WordsShare::default());
    assert!(kept(&storage, 8).is_empty());
    let broken: Result<(), StorageError> =
        storage.words(&[("demo".to_owned(), "g-1".to_owned())], 7, &mut |_, _| Said::decode(&[9]).map(drop));
    assert!(broken.is_err(), "what cannot be read ends it");
}

pub(in crate::storage) async fn old_words_go_and_the_latest_day_stays(harness: &impl Harness) {
    let storage = harness.open(&Config::default()).unwrap();
    let epoch = storage.lease("a").await.unwrap();
    commit(&storage, epoch, &[message(1, "g-1", "u-1", NOW_MS)]).await;
    for day in 1..=5 {
        let share = WordsShare { counted: 1, missed: 0 };
        storage.words_add(vec![heard("g-1", day, "蛋糕", 1)], &[(day, share)], 9).unwrap();
    }
    let row = kept(&storage, 5)[0].1.encode().len() as u64;
    assert_eq!(storage.words_sweep(2, u64::MAX).unwrap(), 4 * row);
    assert!(kept(&storage, 1).is_empty() && !kept(&storage, 2).is_empty());
    assert_eq!(storage.words_sweep(2, 2 * row).unwrap(), 2 * row);
    assert!(kept(&storage, 3).is_empty() && !kept(&storage, 4).is_empty());
    assert_eq!(storage.words_sweep(2, 0).unwrap(), row);
    assert!(kept(&storage, 4).is_empty() && !kept(&storage, 5).is_empty());
    assert_eq!(storage.words_share(4).unwrap(), WordsShare::default());
}
