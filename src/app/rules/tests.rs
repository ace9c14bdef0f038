//! Versions, files and swaps, with real files and a real ledger.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::event::{Actor, OperatorId, Role, Scope};
use crate::interception::{Audience, Life, Scratch, Stage};
use crate::rulesets::{Edit, How, Move, Record};
use crate::storage::sqlite;
use crate::tasks::{TasksOwner, detached};

/// A rulebook on a directory, which may be opened again.
struct Desk {
    book: Arc<Rulebook>,
    storage: SharedStorage,
    tasks: Tasks,
    owner: Arc<TasksOwner>,
}

fn config(data: &Path) -> Config {
    let mut config = Config::default();
    config.interception.wordlists_dir = data.join("lists");
    config.rulesets.settle = Duration::from_millis(20);
    config
}

impl Desk {
    async fn open(data: &Path) -> Self {
        Self::open_with(data, config(data)).await
    }

    async fn open_with(data: &Path, config: Config) -> Self {
        std::fs::create_dir_all(data.join("lists")).unwrap();
        let seed = data.join("lists/shop.txt");
        if !seed.exists() {
            std::fs::write(seed, "加微信\n返现\n").unwrap();
        }
        let (tasks, owner) = detached();
        let storage = sqlite::open(&data.join("data"), &crate::storage::Config::default()).unwrap();
        storage.lease("test").await.unwrap();
        let book =
            Rulebook::open(storage.clone(), config, Clock::manual(1_000), tasks.clone()).await.unwrap();
        Self { book, storage, tasks, owner }
    }

    fn version(&self) -> String {
        self.book.current().load().words.version().to_owned()
    }

    async fn record(&self, number: u64) -> Record {
        rulesets::record(&*self.storage, number).await.unwrap().unwrap()
    }

    /// Writes a wordlist as the API would.
    async fn put(&self, id: &str, terms: &[&str]) -> Result<Accepted, Refused> {
        self.book.change(proposal(id, Some(list(terms)))).await
    }

    fn hits(&self, text: &str) -> bool {
        let rules = self.book.current().load_full();
        let policy = rules.policy(None, Role::Customer).unwrap();
        !rules.words.judge(text, policy, &Audience::default(), &mut Scratch::default()).hits.is_empty()
    }
}

fn actor() -> Actor {
    Actor { operator: OperatorId::parse("li").unwrap(), token: None, scope: Scope::everything() }
}

fn list(terms: &[&str]) -> String {
    let terms: Vec<_> = terms.iter().map(|term| json!({"text": term})).collect();
    json!({"name": "any", "terms": terms}).to_string()
}

fn proposal(id: &str, body: Option<String>) -> Proposal {
    let edits = vec![Edit { kind: RuleKind::Wordlist, id: id.to_owned(), body, expect: None }];
    Proposal { edits, ..Proposal::by(Author::of(&actor()), "a test") }
}

/// Waits until it is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within 20 s: {what}");
}

#[tokio::test]
async fn numbers_go_on_over_restarts_and_only_a_difference_makes_one() {
    let data = tempfile::tempdir().unwrap();
    let desk = Desk::open(data.path()).await;
    assert_eq!(desk.version(), "r-1");
    desk.put("own", &["私聊"]).await.unwrap();
    desk.storage.close().await.unwrap();
    drop(desk);

    let desk = Desk::open(data.path()).await;
    assert_eq!(desk.version(), "r-2");
    assert!(desk.hits("私聊我"));
    desk.storage.close().await.unwrap();
    drop(desk);

    std::fs::write(data.path().join("lists/shop.txt"), "加微信\n").unwrap();
    let desk = Desk::open(data.path()).await;
    assert_eq!(desk.version(), "r-3");
    let record = desk.record(3).await;
    assert_eq!((record.author, record.parent), (Author::File, Some(2)));
    assert_eq!((record.changes[0].id.as_str(), record.changes[0].how), ("shop", How::Updated));
    desk.storage.close().await.unwrap();
    drop(desk);

    let mut other = config(data.path());
    other.interception.gap_chars_max = 2;
    let desk = Desk::open_with(data.path(), other).await;
    assert_eq!(desk.version(), "r-4", "another configuration judges otherwise");
    let record = desk.record(4).await;
    assert_eq!((record.author, record.changes.len()), (Author::System, 0));
}

#[tokio::test]
async fn a_change_and_its_version_are_one_commit() {
    let data = tempfile::tempdir().unwrap();
    let desk = Desk::open(data.path()).await;
    desk.put("own", &["私聊"]).await.unwrap();
    let mut stale = proposal("own", Some(list(&["加群"])));
    stale.edits[0].expect = Some(7);
    assert!(matches!(desk.book.change(stale).await, Err(Refused::Storage(_))));
    // A list of this name is there already, in a file.
    let refused = desk.put("shop", &["加群"]).await.unwrap_err();
    assert!(matches!(&refused, Refused::Unusable(reason) if reason.contains("twice")), "{refused}");
    assert_eq!(desk.version(), "r-2");
    assert!(!desk.hits("加群"));
    assert!(rulesets::record(&*desk.storage, 3).await.unwrap().is_none());
    assert_eq!(desk.put("own", &["加群"]).await.unwrap().number, 3);
    let record = desk.record(3).await;
    assert_eq!((record.reason.as_str(), record.at_ms), ("a test", 1_000));
}

#[tokio::test]
async fn a_bad_file_keeps_the_old_version_and_says_which_line() {
    let data = tempfile::tempdir().unwrap();
    let desk = Desk::open(data.path()).await;
    let file = data.path().join("lists/shop.txt");
    std::fs::write(&file, "私聊\n加群\tno\tcategory\n").unwrap();
    let error = desk.book.reload("a test").await.unwrap_err();
    assert!(format!("{error:#}").contains("line 2"), "{error:#}");
    let trouble = desk.book.trouble().unwrap();
    assert_eq!((trouble.file.as_deref(), trouble.line), (Some("shop.txt"), Some(2)));
    assert!(desk.hits("加微信") && !desk.hits("私聊我"));
    // What people change meanwhile goes on with the files as they were.
    assert_eq!(desk.put("own", &["优惠群"]).await.unwrap().number, 2);
    assert!(desk.hits("加微信") && desk.hits("优惠群"));
    assert!(desk.book.trouble().is_some());
    std::fs::write(&file, "私聊\n加群\n").unwrap();
    assert_eq!(desk.book.reload("a test").await.unwrap(), "r-3");
    assert_eq!(desk.book.trouble(), None);
    assert!(desk.hits("私聊我") && !desk.hits("加微信"));
    let terms = desk.record(3).await.changes[0].terms.clone().unwrap();
    assert_eq!((terms.added, terms.removed), (2, 2));
}

#[tokio::test]
async fn saved_files_are_in_force_by_themselves() {
    let data = tempfile::tempdir().unwrap();
    let desk = Desk::open(data.path()).await;
    let following = desk.tasks.spawn("watch", watch(desk.book.clone(), desk.tasks.clone()));
    let lists = data.path().join("lists");
    // The watch may not be there yet: whoever saves again is heard.
    let mut round = 0;
    while desk.version() == "r-1" {
        round += 1;
        assert!(round < 100, "nobody heard of the change");
        std::fs::write(lists.join("new.txt"), format!("私聊\n# {round}\n")).unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(desk.hits("私聊我"));
    // As editors and configuration management do: a new file takes the old one's place.
    std::fs::write(lists.join("new.tmp"), "加群\n").unwrap();
    std::fs::rename(lists.join("new.tmp"), lists.join("new.txt")).unwrap();
    until("the renamed file is in force", || desk.hits("加群") && !desk.hits("私聊我")).await;
    std::fs::write(lists.join("new.txt"), "\tx\n").unwrap();
    until("the bad file is told of", || desk.book.trouble().is_some_and(|trouble| trouble.line == Some(1)))
        .await;
    assert!(desk.hits("加群"));
    std::fs::remove_file(lists.join("new.txt")).unwrap();
    until("the list is gone", || !desk.hits("加群")).await;
    assert_eq!(desk.book.trouble(), None);
    following.abort();
}

#[tokio::test]
async fn files_stay_as_they_are_when_documents_go_back() {
    let data = tempfile::tempdir().unwrap();
    let desk = Desk::open(data.path()).await;
    desk.put("own", &["私聊"]).await.unwrap();
    std::fs::write(data.path().join("lists/shop.txt"), "优惠群\n").unwrap();
    desk.book.reload("a test").await.unwrap();
    let back = |to| Return { to, expect: None, actor: actor(), reason: "back".to_owned() };
    assert_eq!(desk.book.roll_back(back(1)).await.unwrap().number, 4);
    assert!(desk.hits("优惠群") && !desk.hits("私聊我"));
    assert_eq!(desk.record(4).await.restores, Some(1));
    // A file has taken the name meanwhile.
    std::fs::write(data.path().join("lists/own.txt"), "私聊\n").unwrap();
    desk.book.reload("a test").await.unwrap();
    let refused = desk.book.roll_back(back(2)).await.unwrap_err();
    assert!(matches!(refused, Refused::Unusable(_)), "{refused}");
    assert!(matches!(desk.book.roll_back(back(9)).await.unwrap_err(), Refused::NoSuchVersion(9)));
}

#[tokio::test]
async fn whoever_goes_away_leaves_a_whole_change() {
    let data = tempfile::tempdir().unwrap();
    let desk = Desk::open(data.path()).await;
    let asked = desk.book.change(proposal("own", Some(list(&["私聊"]))));
    // Polled once, then dropped, as a request whose client hangs up.
    assert!(tokio::time::timeout(Duration::ZERO, asked).await.is_err());
    until("the change is finished", || desk.version() == "r-2").await;
    assert!(desk.hits("私聊我"));
    assert_eq!(desk.record(2).await.changes[0].id, "own");
}

/// The pair of terms that only the version of this number has. No two sound or look alike, nor are they the other way round.
fn pair(number: usize) -> [String; 2] {
    let of: Vec<char> = "天地人我他山水火木月云风雨花大小".chars().collect();
    let mut stems = of.iter().enumerate().flat_map(|(at, a)| of[at + 1..].iter().map(move |b| [*a, *b]));
    let stem: String = stems.nth(number).unwrap().iter().collect();
    [format!("{stem}甲"), format!("{stem}乙")]
}

/// Every version has a pair of terms of its own. A message names the pairs of all; whoever judges it must see exactly the
/// pair of the version that it says it judged by, and once a change was acknowledged nobody may judge by an older one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_message_is_judged_by_half_a_ruleset() {
    const SWAPS: usize = 60;
    let data = tempfile::tempdir().unwrap();
    let desk = Desk::open(data.path()).await;
    let text: String = (0..=SWAPS).flat_map(pair).map(|term| term + "，").collect();
    let current = desk.book.current();
    let acknowledged = std::sync::atomic::AtomicU64::new(1);
    let over = AtomicBool::new(false);
    let judged: Vec<_> = std::thread::scope(|threads| {
        let judges: Vec<_> = (0..3)
            .map(|_| {
                threads.spawn(|| {
                    let (mut scratch, mut versions) = (Scratch::default(), std::collections::BTreeSet::new());
                    let mut messages = 0_u64;
                    while !over.load(Ordering::SeqCst) {
                        let at_least = acknowledged.load(Ordering::SeqCst);
                        // As `ingest` does: the rules are taken once, and the message is judged by them.
                        let rules = current.load_full();
                        let policy = rules.policy(None, Role::Customer).unwrap();
                        let judgement = rules.words.judge(&text, policy, &Audience::default(), &mut scratch);
                        let number = rulesets::number_of(rules.words.version()).unwrap();
                        assert!(
                            number >= at_least,
                            "judged by r-{number} after r-{at_least} was acknowledged"
                        );
                        let terms: Vec<_> = judgement.hits.iter().map(|hit| hit.hit.term.clone()).collect();
                        let expect = if number == 1 {
                            Vec::new()
                        } else {
                            pair(usize::try_from(number).unwrap() - 2).to_vec()
                        };
                        assert_eq!(terms, expect, "r-{number}");
                        versions.insert(number);
                        messages += 1;
                    }
                    (messages, versions)
                })
            })
            .collect();
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                for number in 0..SWAPS {
                    let [first, second] = pair(number);
                    let accepted = desk.put("own", &[&first, &second]).await.unwrap();
                    acknowledged.store(accepted.number, Ordering::SeqCst);
                }
            });
        });
        over.store(true, Ordering::SeqCst);
        judges.into_iter().map(|judge| judge.join().unwrap()).collect()
    });
    let versions: std::collections::BTreeSet<_> = judged.iter().flat_map(|(_, versions)| versions).collect();
    let messages: u64 = judged.iter().map(|(messages, _)| messages).sum();
    assert!(versions.len() > 10, "the judges saw {} versions in {messages} messages", versions.len());
    assert_eq!(desk.version(), format!("r-{}", SWAPS + 1));
}

fn staged(max: u32) -> Life {
    Life::Staged(Stage { share_percent: 100, hits_per_10k_max: max, ..Stage::default() })
}

fn wanted(list: &str, to: Life) -> Move {
    Move { list: list.to_owned(), to, actor: actor(), reason: "a test".to_owned() }
}

impl Desk {
    fn life(&self, list: &str) -> Life {
        let rules = self.book.current().load_full();
        rules.words.wordlists().iter().find(|known| known.name == list).unwrap().life.clone()
    }

    /// Takes a message in, as `ingest` does.
    fn message(&self, text: &str) {
        let rules = self.book.current().load_full();
        let policy = rules.policy(None, Role::Customer).unwrap();
        let audience = Audience { account: "demo", group: "g-1", now_ms: 1_000, ..Audience::default() };
        let judgement = rules.words.judge(text, policy, &audience, &mut Scratch::default());
        let hits: Vec<_> =
            judgement.hits.iter().chain(&judgement.shadow).map(|hit| hit.hit.wordlist.clone()).collect();
        rules.words.count_trials(policy, &audience, |list| hits.iter().any(|hit| **hit == *list));
    }
}

#[tokio::test]
async fn a_list_is_moved_wherever_it_is_kept() {
    let data = tempfile::tempdir().unwrap();
    let desk = Desk::open(data.path()).await;
    desk.put("own", &["私聊"]).await.unwrap();
    for list in ["own", "shop"] {
        desk.book.move_list(wanted(list, Life::Draft)).await.unwrap();
        let refused = desk.book.move_list(wanted(list, Life::Live)).await.unwrap_err();
        assert!(matches!(refused, Refused::NoSuchMove(_)), "{refused}");
        for to in [Life::Shadow, staged(5), Life::Live, Life::Shadow] {
            desk.book.move_list(wanted(list, to.clone())).await.unwrap();
            assert_eq!(desk.life(list), to, "{list}");
        }
    }
    assert!(!desk.hits("加微信") && !desk.hits("私聊我"));
    let before = desk.version();
    desk.book.move_list(wanted("own", Life::Shadow)).await.unwrap();
    assert_eq!(desk.version(), before, "it is there already");
    assert!(matches!(desk.book.move_list(wanted("nobody", Life::Shadow)).await, Err(Refused::NoSuchList)));
    let nowhere = Life::Staged(Stage::default());
    assert!(matches!(desk.book.move_list(wanted("own", nowhere)).await, Err(Refused::Unusable(_))));
    // What the file says anew holds.
    std::fs::write(data.path().join("lists/shop.txt"), "# life: draft\n加微信\n").unwrap();
    desk.book.reload("a test").await.unwrap();
    assert_eq!(desk.life("shop"), Life::Draft);
    // And a rollback takes a move back.
    desk.book.roll_back(Return { to: 2, expect: None, actor: actor(), reason: String::new() }).await.unwrap();
    assert!(desk.hits("私聊我"));
}

#[tokio::test]
async fn counts_go_on_while_a_list_stays_the_same() {
    let data = tempfile::tempdir().unwrap();
    let desk = Desk::open(data.path()).await;
    desk.put("own", &["私聊"]).await.unwrap();
    desk.book.move_list(wanted("own", Life::Shadow)).await.unwrap();
    let counts = || {
        let rules = desk.book.current().load_full();
        rules
            .words
            .trials()
            .next()
            .map(|(_, counts)| (counts.messages, counts.messages_apart, counts.hit_apart))
    };
    desk.message("私聊我");
    desk.message("早上好");
    desk.put("other", &["返利"]).await.unwrap();
    desk.message("私聊");
    assert_eq!(counts(), Some((0, 3, 2)));
    desk.book.move_list(wanted("own", staged(10_000))).await.unwrap();
    assert_eq!(counts(), Some((0, 0, 0)));
    desk.message("私聊");
    assert_eq!(counts(), Some((1, 0, 0)));
    desk.book.move_list(wanted("own", Life::Live)).await.unwrap();
    assert_eq!(counts(), None);
}

#[tokio::test]
async fn a_roll_out_that_hits_too_much_halts_itself() {
    let data = tempfile::tempdir().unwrap();
    let mut config = config(data.path());
    config.rulesets.rollout_messages_min = 1_000;
    config.rulesets.rollout_look_every = Duration::from_millis(100);
    let desk = Desk::open_with(data.path(), config).await;
    desk.put("own", &["早上好"]).await.unwrap();
    desk.put("calm", &["私聊"]).await.unwrap();
    for list in ["own", "calm", "shop"] {
        desk.book.move_list(wanted(list, staged(20))).await.unwrap();
    }
    let watching = desk.tasks.spawn("watch", watch_rollouts(desk.book.clone(), desk.tasks.clone()));
    // Two of a thousand are as expected, the third is not.
    for _ in 0..3 {
        desk.message("早上好，店长");
    }
    desk.message("私聊");
    until("the list is in shadow", || desk.life("own") == Life::Shadow).await;
    assert!(!desk.hits("早上好"));
    assert_eq!((desk.life("calm"), desk.life("shop")), (staged(20), staged(20)));
    let number = rulesets::number_of(&desk.version()).unwrap();
    let record = desk.record(number).await;
    assert_eq!(record.author, Author::System);
    assert!(record.reason.contains("3 of 4 messages"), "{}", record.reason);
    let record = rulesets::life_record(&*desk.storage, "own").await.unwrap().unwrap();
    assert_eq!(record.halted.map(|counts| (counts.messages, counts.hit)), Some((4, 3)));
    let audit = crate::storage::AuditFilter { limit: 1, ..crate::storage::AuditFilter::default() };
    let entry = desk.storage.audit(audit).await.unwrap().remove(0);
    assert_eq!((entry.operator.as_str(), entry.verb.as_str(), entry.id.as_str()), ("menshen", "halt", "own"));
    // A list of a file is halted without touching the file.
    for _ in 0..3 {
        desk.message("加微信");
    }
    until("the file's list is in shadow", || desk.life("shop") == Life::Shadow).await;
    desk.owner.stop();
    watching.await.unwrap();
    desk.storage.close().await.unwrap();
    drop(desk);
    let again = Desk::open(data.path()).await;
    assert_eq!(
        (again.life("shop"), again.life("own"), again.life("calm")),
        (Life::Shadow, Life::Shadow, staged(20))
    );
}
