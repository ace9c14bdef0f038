//! Sealing, the queue, audit before text, replay against judging one by one.

use std::sync::atomic::AtomicU64;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::replay::{JudgedGroup, Question, Sides};
use super::*;
use crate::event::{Actor, EventKey, OperatorId, Role, Scope, Verdict};
use crate::interception::{
    self, AllowPhrase, Assigned, Audience, EffectivePolicy, Layer, LayerKind, Origin, Policy, PolicyBook,
    Ruleset, Scratch, Speaker, Term, WordlistSource,
};
use crate::journeys::Journeys;
use crate::pipeline::{Limits, Rules};
use crate::replies;
use crate::storage::AuditFilter;
use crate::storage::memory::{self, Disk};
use crate::tasks::tasks;
use crate::welcomes::Welcomes;

const NOW_MS: i64 = 1_795_312_800_000;

fn ring(keys: &[u8]) -> Keyring {
    let lines: Vec<_> = keys.iter().map(|byte| STANDARD.encode([*byte; 32])).collect();
    Keyring::parse(&lines.join("\n")).unwrap()
}

fn original(n: u128, text: &str, kind: EvidenceKind) -> Original<'static> {
    Original {
        key: EventKey(n),
        account: "demo",
        group: if n.is_multiple_of(2) { "g-even" } else { "g-odd" },
        member: Some("u-1"),
        at_ms: NOW_MS,
        kind,
        expires_ms: NOW_MS + 1_000,
        kept: Kept {
            text: text.to_owned(),
            role: Role::Customer,
            verdict: Verdict::Review,
            ruleset: "r-1".to_owned(),
            hits: Vec::new(),
        },
    }
}

fn audit(id: &str) -> AuditEntry {
    let operator = OperatorId::parse("li").unwrap();
    let actor = Actor { operator, token: None, scope: Scope::everything() };
    AuditEntry::by(&actor, NOW_MS, "read", "evidence", id)
}

/// A store in memory whose writer runs.
struct House {
    evidence: Arc<Evidence>,
    storage: SharedStorage,
    disk: Disk,
    clock: Clock,
    _tasks: crate::tasks::TasksOwner,
}

impl House {
    fn open(config: &Config) -> Self {
        let disk = Disk::new([3; 16]);
        let storage = memory::open(&disk, &crate::storage::Config::default()).unwrap();
        let clock = Clock::manual(NOW_MS);
        let config = Config { enabled: true, history: true, ..config.clone() };
        let (evidence, writer) = Evidence::new(Some(ring(&[1])), storage.clone(), clock.clone(), config);
        let (running, owner) = tasks();
        running.spawn("evidence", writer.run(running.clone()));
        Self { evidence, storage, disk, clock, _tasks: owner }
    }

    async fn audited(&self) -> usize {
        self.storage.audit(AuditFilter { limit: 100, ..AuditFilter::default() }).await.unwrap().len()
    }
}

#[test]
fn a_row_opens_only_as_what_it_was_sealed_as() {
    let keys = ring(&[1]);
    let one = original(1, "加微信 abc888", EvidenceKind::Reviewed);
    let row = one.seal(&keys).unwrap();
    assert_eq!(seal::open(&keys, &row).unwrap(), one.kept);
    assert!(!row.data.windows(6).any(|part| part == "abc888".as_bytes()), "it lies there in the clear");
    assert_ne!(row.nonce, one.seal(&keys).unwrap().nonce, "a nonce was used twice");
    let moved: [fn(&mut EvidenceRow); 8] = [
        |row| row.id.push('0'),
        |row| row.account = "other".to_owned(),
        |row| row.group = "g-2".to_owned(),
        |row| row.member = "u-2".to_owned(),
        |row| row.at_ms += 1,
        |row| row.kind = EvidenceKind::History,
        |row| row.expires_ms += 1,
        |row| row.data[3] ^= 1,
    ];
    for (nth, change) in moved.into_iter().enumerate() {
        let mut other = row.clone();
        change(&mut other);
        let refused = seal::open(&keys, &other);
        assert!(matches!(refused, Err(EvidenceError::Key(KeyError::Damaged))), "change {nth}");
    }
}

#[test]
fn keys_rotate_and_a_lost_one_is_named() {
    let row = original(1, "旧", EvidenceKind::Blocked).seal(&ring(&[1])).unwrap();
    assert_eq!(seal::open(&ring(&[2, 1]), &row).unwrap().text, "旧");
    let lost = seal::open(&ring(&[2]), &row);
    assert!(matches!(lost, Err(EvidenceError::Key(KeyError::Lost(id))) if id == row.key));
    assert_ne!(original(1, "新", EvidenceKind::Blocked).seal(&ring(&[2, 1])).unwrap().key, row.key);
}

#[tokio::test]
async fn no_text_without_its_audit_entry() {
    let house = House::open(&Config::default());
    house.evidence.keep(&original(1, "加微信", EvidenceKind::Reviewed));
    house.evidence.flush().await;
    let found = house.evidence.find(&EventKey(1).evidence()).await.unwrap().unwrap();
    assert_eq!((found.group(), found.member(), house.audited().await), (("demo", "g-odd"), Some("u-1"), 0));
    house.disk.faults().fail_ledger(true);
    assert!(matches!(house.evidence.open(&found, audit("1")).await, Err(EvidenceError::Storage(_))));
    assert!(house.evidence.history(audit("all")).await.is_err());
    house.disk.faults().fail_ledger(false);
    assert_eq!(house.evidence.open(&found, audit("1")).await.unwrap().text, "加微信");
    assert_eq!(house.audited().await, 1);
}

#[tokio::test]
async fn a_text_expires_and_is_erased_with_its_member() {
    let house = House::open(&Config::default());
    for n in 1..=3 {
        house.evidence.keep(&original(n, "加微信", EvidenceKind::Reviewed));
    }
    assert_eq!(house.evidence.groups("demo", Some("u-1")).await.unwrap(), ["g-even", "g-odd"]);
    let of = EvidenceOf { account: "demo".into(), group: "g-odd".into(), member: Some("u-1".into()) };
    assert_eq!(house.evidence.erase(vec![of], audit("u-1")).await.unwrap(), 2);
    assert!(house.evidence.find(&EventKey(1).evidence()).await.unwrap().is_none());
    let left = house.evidence.find(&EventKey(2).evidence()).await.unwrap();
    assert!(left.is_some());
    house.clock.advance(std::time::Duration::from_secs(1));
    assert!(house.evidence.find(&EventKey(2).evidence()).await.unwrap().is_none());
    assert_eq!(house.evidence.prune().await.unwrap(), 1);
}

#[tokio::test]
async fn what_cannot_be_kept_stops_nobody() {
    let storage = memory::open(&Disk::new([3; 16]), &crate::storage::Config::default()).unwrap();
    let config = Config { enabled: true, queue_max: 1, ..Config::default() };
    let (evidence, writer) = Evidence::new(Some(ring(&[1])), storage.clone(), Clock::manual(NOW_MS), config);
    for n in 1..=3 {
        evidence.keep(&original(n, "加微信", EvidenceKind::Reviewed)); // nobody writes: the queue is full at once
    }
    let (running, owner) = tasks();
    owner.stop();
    writer.run(running).await;
    assert_eq!(storage.evidence_page(&EvidenceQuery::default()).unwrap().len(), 1, "what waited is written");
    let off = Evidence::new(Some(ring(&[1])), storage, Clock::manual(NOW_MS), Config::default()).0;
    assert!(!off.is_on(), "a key alone switches nothing on");
    assert!(matches!(off.history(audit("x")).await, Err(EvidenceError::Off)));
}

fn list(terms: &[&str], allow: &[&str]) -> WordlistSource {
    let mut list = WordlistSource::new("own", Origin::Api);
    list.terms = terms.iter().map(|text| Term { text: (*text).to_owned(), ..Term::default() }).collect();
    list.allow = allow.iter().map(|text| AllowPhrase { text: (*text).to_owned(), line: 0 }).collect();
    list
}

fn compile(list: WordlistSource) -> Ruleset {
    let mild = Policy { name: "mild".to_owned(), ..Policy::relaxed() };
    Ruleset::compile("r", &[list], vec![mild], &interception::Config::default()).unwrap().0
}

fn rules(list: WordlistSource) -> Arc<Rules> {
    let limits = Limits { policy: "standard".to_owned(), ..Limits::default() };
    Arc::new(Rules {
        words: compile(list),
        replies: replies::Rules::default(),
        welcomes: Welcomes::default(),
        journeys: Journeys::default(),
        limits,
    })
}

/// A group for which one policy was chosen.
struct Under(&'static str);

impl JudgedGroup for Under {
    fn effective_policy(&self, book: &Arc<PolicyBook>) -> Arc<EffectivePolicy> {
        let own = Layer { kind: LayerKind::Group, id: "", policy: self.0 };
        Arc::new(book.effective(&Assigned { chosen: vec![own], tags: &[] }))
    }

    fn audience(&self, speaker: Speaker) -> Audience<'_> {
        Audience { speaker, ..Audience::default() }
    }
}

/// The oracle: each text judged by both rulesets under the policy of its group.
#[tokio::test]
async fn a_replay_counts_what_judging_one_by_one_counts() {
    let house = House::open(&Config::default());
    let texts = ["加微信", "早上好", "店庆大促", "请加微信支付", "两斤苹果", "店庆", "加 微 信"];
    for (n, text) in (1_u128..).zip(texts.iter().cycle().take(1_200)) {
        house.evidence.keep(&original(n, text, EvidenceKind::History));
        if n.is_multiple_of(500) {
            house.evidence.flush().await;
        }
    }
    house.evidence.keep(&original(9_999, "加微信", EvidenceKind::Reported));
    house.evidence.flush().await;
    let present = rules(list(&["加微信"], &[]));
    let draft_list = || list(&["加微信", "店庆"], &["请加微信支付"]);
    let policy_of = |group: &str| if group == "g-even" { "mild" } else { "standard" };
    let (mut changed, mut newly, mut no_longer) = (0, 0, 0);
    let draft = compile(draft_list());
    for (n, text) in (1_u128..).zip(texts.iter().cycle().take(1_200)) {
        let policy = policy_of(if n.is_multiple_of(2) { "g-even" } else { "g-odd" });
        let judge = |rules: &Ruleset| {
            rules.judge(text, rules.policy(policy).unwrap(), &Audience::default(), &mut Scratch::default())
        };
        let (before, after) = (judge(&present.words), judge(&draft));
        changed += u64::from(before.verdict != after.verdict);
        newly += u64::from(before.hits.is_empty() && !after.hits.is_empty());
        no_longer += u64::from(!before.hits.is_empty() && after.hits.is_empty());
    }
    assert!(changed > 0 && newly > 0 && no_longer > 0);
    let sides = Sides { present, draft, policy: None, now_ms: NOW_MS };
    let question = |groups: Vec<(String, String)>, messages_max| Question {
        since_ms: 0,
        groups,
        visible: Box::new(move |_, group| Some(Arc::new(Under(policy_of(group))))),
        messages_max,
        examples_max: 3,
    };
    let history = house.evidence.history(audit("replay")).await.unwrap();
    let progress = AtomicU64::new(0);
    let all = replay::run(&history, &sides, &question(Vec::new(), 10_000), &progress).unwrap();
    assert_eq!((all.messages, all.unreadable, all.truncated), (1_200, 0, false));
    assert_eq!((all.changed, all.newly_hit, all.no_longer_hit), (changed, newly, no_longer));
    assert_eq!(all.verdicts.iter().map(|change| change.messages).sum::<u64>(), changed);
    assert_eq!((all.examples.len(), all.groups_changed), (3, 2));
    assert_eq!(progress.into_inner(), 1_200);
    let one = vec![("demo".to_owned(), "g-odd".to_owned())];
    let odd = replay::run(&history, &sides, &question(one, 10_000), &AtomicU64::new(0)).unwrap();
    assert_eq!((odd.messages, odd.groups_changed), (600, 1));
    let short = replay::run(&history, &sides, &question(Vec::new(), 100), &AtomicU64::new(0)).unwrap();
    assert!(short.truncated && short.messages == 100);
    let hidden = Question { visible: Box::new(|_, _| None), ..question(Vec::new(), 10_000) };
    let nothing = replay::run(&history, &sides, &hidden, &AtomicU64::new(0)).unwrap();
    assert_eq!(nothing, replay::ReplayOutcome::default());
}

#[tokio::test]
async fn replays_belong_to_who_asked_and_an_erasure_forgets_them() {
    let house = House::open(&Config::default());
    let replays = house.evidence.replays();
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let slow = replays.start("rpl_1".to_owned(), "li", NOW_MS, move |_| {
        wait.recv().map_err(|error| error.to_string())?;
        Ok(replay::ReplayOutcome::default())
    });
    let slow = slow.unwrap();
    assert!(
        replays.start("rpl_2".to_owned(), "li", NOW_MS, |_| Err(String::new())).is_none(),
        "one at a time"
    );
    go.send(()).unwrap();
    slow.wait(std::time::Duration::from_mins(1)).await;
    assert!(matches!(slow.state(), replay::State::Done(_)));
    assert!(replays.get("rpl_1", "li").is_some() && replays.get("rpl_1", "wang").is_none());
    house.evidence.erase(Vec::new(), audit("u-1")).await.unwrap();
    assert!(replays.get("rpl_1", "li").is_none());
}
