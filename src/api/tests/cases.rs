//! One advert in many groups: every message of it, and one decision.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Gateway, NOW_MS};
use crate::event::{
    Actor, Alike, CaseFact, Effects, EventKey, EventType, Fact, Head, OperatorId, PARTITION_FLEET, Role,
    Scope, SightedFact, Status, Verdict,
};
use crate::fleet::cases::{CaseAct, CaseError, Decided};
use crate::fleet::removals::Order;
use crate::fleet::runner::Copies;
use crate::storage::{Append, Change, DeliveryFilter, DocumentKind, codec};

const CASE: &str = "case_1";

fn sighted(
    group: &'static str,
    member: &'static str,
    of: Option<&'static str>,
    verdict: Verdict,
) -> SightedFact<'static> {
    SightedFact {
        case: CASE.into(),
        account: "demo".into(),
        group: group.into(),
        member: Some(member.into()),
        of: of.map(Into::into),
        at_ms: NOW_MS,
        by: Alike::Near,
        verdict,
    }
}

/// A gateway with a case in the east, in the west and where a staff member has quoted it.
async fn advertised() -> Gateway {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    gateway.call("PUT", "/v1/groups/demo/g-poor", json!({"owner": "owner"})).await.expect(201);
    let sightings = vec![
        sighted("g-east", "u-1", Some("e-1"), Verdict::Pass),
        sighted("g-east", "u-1", Some("e-2"), Verdict::Block),
        sighted("g-west", "u-2", Some("e-3"), Verdict::Review),
        sighted("g-poor", "u-3", None, Verdict::Pass),
        sighted("g-poor", "owner", Some("e-5"), Verdict::Pass),
    ];
    let groups = ["g-east", "g-west", "g-poor"].map(|group| ("demo".into(), group.into())).to_vec();
    let case = CaseFact { id: CASE.into(), fingerprint: 7, groups, first_ms: NOW_MS, last_ms: NOW_MS };
    write(&gateway, std::iter::once(Fact::Case(case)).chain(sightings.into_iter().map(Fact::Sighted))).await;
    gateway
}

/// Writes what the fleet stage found.
async fn write(gateway: &Gateway, facts: impl Iterator<Item = Fact<'static>>) {
    let head = Head {
        key: EventKey(1),
        at_ms: NOW_MS,
        arrived_ms: NOW_MS,
        account: "".into(),
        group: "".into(),
        member: None,
        name: None,
        role: Role::Bot,
        what: EventType::Message,
        status: Status::Counted,
        verdict: Verdict::Review,
        revised: false,
        fingerprint: None,
    };
    let mut payload = Vec::new();
    codec::encode(&Effects { head, facts: facts.collect() }, &mut payload);
    let append = Append {
        partition: PARTITION_FLEET,
        epoch: gateway.epoch,
        payload: &payload,
        events: 1,
        bucket_min: 0,
        bucket_max: 0,
    };
    gateway.storage.append(append).unwrap().wait().await.unwrap();
}

/// What is to be withdrawn, as (kind, group, member).
async fn recalls(gateway: &Gateway) -> Vec<(String, String, String)> {
    let rows = gateway
        .storage
        .deliveries(DeliveryFilter { limit: 1_000, ..DeliveryFilter::default() })
        .await
        .unwrap();
    let of = |body: &str| {
        serde_json::from_str::<Value>(body).unwrap()["member"].as_str().unwrap_or_default().to_owned()
    };
    let rows = rows.into_iter().filter(|row| row.kind == "recall");
    let mut all: Vec<_> = rows.map(|row| (row.kind, row.group, of(&row.body))).collect();
    all.sort();
    all
}

fn row(kind: &str, group: &str, member: &str) -> (String, String, String) {
    (kind.to_owned(), group.to_owned(), member.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_shows_what_it_holds_within_the_scope() {
    let gateway = advertised().await;
    let case = gateway.get("/v1/cases/case_1").await.expect(200).json();
    assert_eq!((&case["state"], &case["messages"], &case["members"]), (&json!("open"), &json!(5), &json!(4)));
    assert_eq!(case["by"], json!({"near": 5}));
    assert_eq!(case["evidence"], Value::Null);
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page =
            gateway.get(&format!("/v1/cases/case_1/messages?limit=2{cursor}")).await.expect(200).json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["event"].clone()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, [json!("e-1"), json!("e-2"), Value::Null, json!("e-5"), json!("e-3")]);
    let western = gateway.token_for("op-west", json!({"regions": ["west"]})).await;
    let case = gateway.call_as(&western, "GET", "/v1/cases/case_1", Value::Null).await.expect(200).json();
    assert_eq!((&case["messages"], &case["groups"]), (&json!(1), &json!(["demo/g-west"])));
    let decision = json!({"act": "withdraw", "reason": "广告"});
    let refused =
        gateway.call_as(&western, "POST", "/v1/cases/case_1/decision", decision).await.expect(403).text;
    assert!(refused.contains("outside of your scope"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_decision_acts_in_all_groups_and_later_copies_follow() {
    let gateway = advertised().await;
    let path = "/v1/cases/case_1/decision";
    let unseen = json!({"act": "withdraw", "remove_members": true, "reason": "广告"});
    let told = gateway.call("POST", path, unseen).await.expect(422);
    assert_eq!(told.pointers(), ["/confirm_members"]);
    assert!(told.text.contains("\\\"confirm_members\\\": 4"), "{}", told.text);
    let decision = json!({"act": "withdraw", "remove_members": true, "confirm_members": 4, "reason": "广告"});
    let done = gateway.call("POST", path, decision.clone()).await.expect(200).json();
    let counts = ["withdrawn", "before", "not_withdrawn", "removed", "not_removed", "over_budget"];
    let counts = counts.map(|count| done[count].as_u64().unwrap());
    assert_eq!(counts, [3, 1, 1, 3, 0, 0], "the owner is spared: {done}");
    let expect =
        [row("recall", "g-east", "u-1"), row("recall", "g-poor", "owner"), row("recall", "g-west", "u-2")];
    assert_eq!(recalls(&gateway).await, expect);
    gateway.call("POST", path, decision).await.expect(409);
    assert_eq!(gateway.get("/v1/cases/case_1").await.expect(200).json()["state"], "withdrawn");

    let copies = [
        sighted("g-new", "u-9", Some("e-9"), Verdict::Pass),
        sighted("g-east", "u-1", Some("e-1"), Verdict::Pass),
    ];
    for _ in 0..2 {
        gateway.app.parts().cases.seen(&copies).await.unwrap();
    }
    let after = recalls(&gateway).await;
    assert_eq!(after.len(), expect.len() + 1, "each message once: {after:?}");
    assert!(after.contains(&row("recall", "g-new", "u-9")));
    let audit = gateway.get("/v1/audit?limit=1000").await.expect(200).text;
    assert!(audit.contains(CASE), "{audit}");
}

/// What stands on a member's record, as (action, what came of it, by).
async fn steps(gateway: &Gateway, group: &str, member: &str) -> Vec<(String, String, String)> {
    let path = format!("/v1/groups/demo/{group}/members/{member}/conduct");
    let record = gateway.get(&path).await.expect(200).json();
    let word = |step: &Value, field: &str| step[field].as_str().unwrap().to_owned();
    let steps = record["steps"].as_array().unwrap().iter();
    steps.map(|step| (word(step, "action"), word(step, "came"), word(step, "by"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_a_case_takes_out_has_it_on_record_and_a_pardon_finds_it() {
    let gateway = advertised().await;
    let decision = json!({"act": "withdraw", "remove_members": true, "confirm_members": 4, "reason": "广告"});
    gateway.call("POST", "/v1/cases/case_1/decision", decision).await.expect(200);
    let by_case = ("remove".to_owned(), "queued".to_owned(), CASE.to_owned());
    assert_eq!(steps(&gateway, "g-east", "u-1").await, [by_case]);
    assert_eq!(steps(&gateway, "g-poor", "owner").await, []);
    let pardon = json!({"reason": "误判"});
    let done = gateway.call("POST", "/v1/members/demo/u-1/pardon", pardon).await.expect(200).json();
    let expect = json!([{"group": "g-east", "strikes": 0, "unmuted": false, "removed": true}]);
    assert_eq!(done["groups"], expect);
    assert!(done["zh"].as_str().unwrap().contains("移出 1 个群"), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_kept_from_being_asked_for_is_asked_for_once() {
    let gateway = advertised().await;
    let who = ["g-east", "g-west"].map(|group| ("demo".to_owned(), group.to_owned(), "u-1".to_owned()));
    let (rule, asked) = (Order::CASE.to_owned(), CASE.to_owned());
    let order = Order { rule, asked, at_ms: NOW_MS, who: who.to_vec() };
    for _ in 0..2 {
        let writes = vec![order.write()];
        gateway.storage.apply(Change { writes, ..Change::default() }).await.unwrap();
        let cases = gateway.cases_anew().await;
        cases.go_on().await;
        let left = gateway.storage.documents(DocumentKind::Removals, None, 0).await.unwrap();
        assert_eq!(left, []);
    }
    for group in ["g-east", "g-west"] {
        assert_eq!(steps(&gateway, group, "u-1").await.len(), 1, "{group}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_dismissed_is_left_alone() {
    let gateway = advertised().await;
    let path = "/v1/cases/case_1/decision";
    let both = json!({"act": "dismiss", "remove_members": true, "confirm_members": 4, "reason": "活动文案"});
    assert_eq!(gateway.call("POST", path, both).await.expect(422).pointers(), ["/remove_members"]);
    gateway.call("POST", path, json!({"act": "dismiss", "reason": "活动文案"})).await.expect(200);
    gateway.app.parts().cases.seen(&[sighted("g-new", "u-9", Some("e-9"), Verdict::Pass)]).await.unwrap();
    assert_eq!(recalls(&gateway).await, []);
    let listed = gateway.get("/v1/cases").await.expect(200).json();
    assert_eq!(listed["items"][0]["state"], "dismissed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_replaced_by_name_and_nothing_more_follows_from_the_first() {
    let gateway = advertised().await;
    let decide = async |body: Value| gateway.call("POST", "/v1/cases/case_1/decision", body).await;
    let dismiss = json!({"act": "dismiss", "replaces": "withdraw", "reason": "误判"});
    let told = decide(dismiss.clone()).await.expect(409).text;
    assert!(told.contains("leave `replaces` out"), "{told}");
    let wrong = json!({"act": "withdraw", "remove_members": true, "confirm_members": 4, "reason": "广告"});
    decide(wrong).await.expect(200);
    let told = decide(json!({"act": "dismiss", "reason": "误判"})).await.expect(409).text;
    assert!(told.contains("\\\"replaces\\\": \\\"withdraw\\\""), "{told}");
    let pardons =
        json!({"act": "withdraw", "replaces": "withdraw", "pardon_members": true, "reason": "误判"});
    assert_eq!(decide(pardons).await.expect(422).pointers(), ["/pardon_members"]);

    let done = decide(dismiss).await.expect(200).json();
    assert_eq!(
        (&done["undone"]["members"], &done["undone"]["pardoned"]),
        (&json!(3), &json!(false)),
        "{done}"
    );
    assert!(done["zh"].as_str().unwrap().contains("pardon_members"), "{done}");
    let copy = sighted("g-new", "u-9", Some("e-9"), Verdict::Pass);
    gateway.app.parts().cases.seen(std::slice::from_ref(&copy)).await.unwrap();
    assert_eq!(recalls(&gateway).await.len(), 3, "later copies are left alone");
    let case = gateway.get("/v1/cases/case_1").await.expect(200).json();
    assert_eq!((&case["state"], &case["decision"]["replaces"]), (&json!("dismissed"), &json!("withdraw")));

    let pardon = json!({"act": "dismiss", "replaces": "dismiss", "pardon_members": true, "reason": "误判"});
    let done = decide(pardon.clone()).await.expect(200).json();
    let groups = done["undone"]["groups"].as_array().unwrap();
    assert_eq!((groups.len(), &groups[0]["members"]), (3, &json!(["u-1"])), "{done}");
    assert!(done["zh"].as_str().unwrap().contains("重新邀请"), "{done}");
    assert_eq!(steps(&gateway, "g-east", "u-1").await.last().unwrap().0, "pardon");
    assert_eq!(decide(pardon).await.expect(200).json()["undone"]["members"], json!(0));

    let again = json!({"act": "withdraw", "replaces": "dismiss", "reason": "确是广告"});
    assert_eq!(decide(again).await.expect(200).json()["withdrawn"], json!(3));
    let anew = gateway.cases_anew().await;
    anew.seen(&[copy]).await.unwrap();
    assert_eq!(recalls(&gateway).await.len(), 7, "three anew, and the copy");
}

/// What happens to a case: messages by number, of three authors in two groups.
#[derive(Clone, Copy, Debug)]
enum Happens {
    Copy(usize),
    Again(usize),
    Decide(CaseAct, bool),
    /// Somebody who does not know how it stands.
    Stale(CaseAct),
    GoOn,
    Restart,
}

fn happens() -> impl Strategy<Value = Happens> {
    let act = || prop_oneof![Just(CaseAct::Withdraw), Just(CaseAct::Dismiss)];
    prop_oneof![
        4 => (0..12_usize).prop_map(Happens::Copy),
        2 => (0..12_usize).prop_map(Happens::Again),
        3 => (act(), any::<bool>()).prop_map(|(act, removes)| Happens::Decide(act, removes)),
        1 => act().prop_map(Happens::Stale),
        1 => Just(Happens::GoOn),
        1 => Just(Happens::Restart),
    ]
}

fn copy(nth: usize, at_ms: i64) -> SightedFact<'static> {
    let (group, member) = (["g-east", "g-west"][nth % 2], ["u-1", "u-2", "u-3"][nth % 3]);
    let of = format!("e-{nth:02}").into();
    SightedFact { of: Some(of), at_ms, ..sighted(group, member, None, Verdict::Pass) }
}

/// What a case comes to, as a plain look at what happened says.
#[derive(Default)]
struct Oracle {
    standing: Option<CaseAct>,
    /// Decisions that withdraw, and the messages that were there or came while each stood.
    withdrawals: Vec<BTreeSet<usize>>,
    listed: BTreeMap<usize, SightedFact<'static>>,
    /// How often each author was to be taken out of each group.
    removals: BTreeMap<(String, String), usize>,
}

impl Oracle {
    fn comes(&mut self, nth: usize, sighting: SightedFact<'static>) {
        self.listed.insert(nth, sighting);
        if let (Some(CaseAct::Withdraw), Some(withdrawn)) = (self.standing, self.withdrawals.last_mut()) {
            withdrawn.insert(nth);
        }
    }

    fn decide(&mut self, act: CaseAct, removes: bool) {
        self.standing = Some(act);
        if act == CaseAct::Withdraw {
            self.withdrawals.push(self.listed.keys().copied().collect());
        }
        if removes {
            let authors = self
                .listed
                .values()
                .map(|of| (of.group.to_string(), of.member.as_deref().unwrap().to_owned()));
            for author in authors.collect::<BTreeSet<_>>() {
                *self.removals.entry(author).or_default() += 1;
            }
        }
    }
}

async fn play(story: Vec<Happens>) {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let actor = Actor { operator: OperatorId::parse("op").unwrap(), token: None, scope: Scope::everything() };
    let (mut cases, mut oracle) = (gateway.cases_anew().await, Oracle::default());
    for what in story {
        gateway.clock.advance(Duration::from_secs(1));
        let at_ms = gateway.clock.now_ms();
        let decided = |act, removes, replaces| Decided {
            act,
            removes,
            by: "op".to_owned(),
            at_ms,
            reason: "x".to_owned(),
            replaces,
            round: 0,
        };
        match what {
            Happens::Copy(nth) if !oracle.listed.contains_key(&nth) => {
                let sighting = copy(nth, at_ms);
                write(&gateway, std::iter::once(Fact::Sighted(sighting.clone()))).await;
                cases.seen(std::slice::from_ref(&sighting)).await.unwrap();
                oracle.comes(nth, sighting);
            }
            Happens::Copy(nth) | Happens::Again(nth) => {
                let known: Vec<_> = oracle.listed.get(&nth).cloned().into_iter().collect();
                cases.seen(&known).await.unwrap();
            }
            Happens::Decide(act, removes) => {
                let removes = removes && act == CaseAct::Withdraw;
                let decided = decided(act, removes, oracle.standing);
                cases.decide(&actor, CASE, decided).await.unwrap();
                oracle.decide(act, removes);
            }
            Happens::Stale(act) => {
                let wrong = if oracle.standing.is_none() { Some(act) } else { None };
                let refused = cases.decide(&actor, CASE, decided(act, true, wrong)).await;
                let Err(CaseError::Stands(stands)) = refused else { panic!("{refused:?}") };
                assert_eq!(stands, oracle.standing);
            }
            Happens::GoOn => cases.go_on().await,
            Happens::Restart => cases = gateway.cases_anew().await,
        }
        assert_eq!(cases.decided(CASE).map(|decided| decided.act), oracle.standing);
    }
    let withdrawn: usize = oracle.withdrawals.iter().map(BTreeSet::len).sum();
    assert_eq!(recalls(&gateway).await.len(), withdrawn);
    for ((group, member), times) in &oracle.removals {
        assert_eq!(steps(&gateway, group, member).await.len(), *times.min(&16), "{member} in {group}");
    }
    let left = gateway.storage.documents(DocumentKind::Removals, None, 0).await.unwrap();
    assert_eq!(left, []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Whatever comes in whichever order, twice, over restarts: each message is withdrawn once by each decision that stands
    /// while it is there, each author taken out once by each that says so, and who does not know how it stands decides nothing.
    #[test]
    fn a_case_comes_to_what_a_plain_look_at_its_story_says(story in vec(happens(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(play(story));
    }
}
