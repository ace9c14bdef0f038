//! Levels that accounts share: turns, waking, building and joining.

use super::*;

const A: AccountNo = AccountNo(0);
const B: AccountNo = AccountNo(1);
const C: AccountNo = AccountNo(2);

fn shared(texts: &[&str]) -> (Commons, AccountLimits) {
    let config =
        PacingConfig { urgent_reserve_percent: 0, shared_headroom_percent: 0, ..PacingConfig::default() };
    (Commons::new(config), AccountLimits::parse(texts).unwrap())
}

/// An account that has joined what its limits share; nobody has sent anything yet.
fn join(commons: &mut Commons, limits: &AccountLimits, account: AccountNo) -> Pacer {
    let mut pacer = pacer_of(limits.clone());
    let mut levels = Vec::new();
    for shared in &limits.shared {
        let (level, claim) = commons.claim(0, &shared.name, account, &shared.limits, vec![A, B, C]);
        match claim {
            Claim::Build { build, .. } => commons.built(level, account, build, Vec::new()),
            Claim::Join { .. } => commons.joined(level, account, Vec::new()),
        }
        levels.push((shared.name.clone(), level));
    }
    pacer.share(account, &levels);
    pacer
}

fn bulk(group: u32) -> Wish {
    Wish::to(GroupNo(group))
}

fn urgent(group: u32) -> Wish {
    Wish { is_urgent: true, ..Wish::to(GroupNo(group)) }
}

#[track_caller]
fn granted(decision: Decision) -> Permit {
    match decision {
        Decision::Granted(permit) => permit,
        refused @ (Decision::Wait { .. } | Decision::Never { .. }) => panic!("{refused:?}"),
    }
}

#[track_caller]
fn waits(decision: Decision) -> Option<Micros> {
    match decision {
        Decision::Wait { scope: Scope::Corp, until } => until,
        other @ (Decision::Granted(_) | Decision::Wait { .. } | Decision::Never { .. }) => {
            panic!("{other:?}")
        }
    }
}

#[test]
fn only_the_first_is_told_a_time_and_each_slot_wakes_one_account() {
    let (mut commons, limits) = shared(&["corp=c window:2/10s"]);
    let [mut a, mut b, mut c] = [A, B, C].map(|account| join(&mut commons, &limits, account));
    for group in 0..2 {
        let permit = granted(a.acquire(0, bulk(group), &mut commons));
        a.complete(0, permit, &mut commons);
    }
    assert_eq!(waits(b.acquire(1, bulk(0), &mut commons)), Some(10 * SECOND));
    assert_eq!(waits(c.acquire(2, bulk(0), &mut commons)), None, "it will be woken");
    assert_eq!(waits(a.acquire(3, bulk(2), &mut commons)), None);
    assert_eq!(commons.take_wakes(), []);
    let permit = granted(b.acquire(10 * SECOND, bulk(0), &mut commons));
    assert_eq!(commons.take_wakes(), [C], "and nobody else");
    b.complete(10 * SECOND, permit, &mut commons);
    assert_eq!(
        waits(b.acquire(10 * SECOND, bulk(1), &mut commons)),
        None,
        "it goes to the end, free slot or not"
    );
    let permit = granted(c.acquire(10 * SECOND, bulk(0), &mut commons));
    assert_eq!(commons.take_wakes(), [A]);
    c.complete(10 * SECOND, permit, &mut commons);
    assert_eq!(waits(a.acquire(10 * SECOND, bulk(2), &mut commons)), Some(20 * SECOND));
}

#[test]
fn who_has_nothing_to_send_any_more_leaves_its_turn_to_the_next() {
    let (mut commons, limits) = shared(&["corp=c window:1/10s"]);
    let [mut a, mut b, mut c] = [A, B, C].map(|account| join(&mut commons, &limits, account));
    let permit = granted(a.acquire(0, bulk(0), &mut commons));
    assert_eq!(waits(b.acquire(0, bulk(0), &mut commons)), None, "nobody knows when the call ends");
    assert_eq!(waits(c.acquire(0, bulk(0), &mut commons)), None);
    a.complete(SECOND, permit, &mut commons);
    assert_eq!(commons.take_wakes(), [B], "now there is a time to be told");
    commons.rest(B, false, false);
    assert_eq!(commons.take_wakes(), [C]);
    assert_eq!(waits(c.acquire(2 * SECOND, bulk(0), &mut commons)), Some(11 * SECOND));
    commons.rest(C, false, true);
    assert_eq!(commons.take_wakes(), [], "it still waits");
}

#[test]
fn urgent_calls_of_one_account_go_before_what_others_have_waited_with() {
    let (mut commons, limits) = shared(&["corp=c window:1/10s"]);
    let [mut a, mut b] = [A, B].map(|account| join(&mut commons, &limits, account));
    let permit = granted(a.acquire(0, bulk(0), &mut commons));
    a.complete(0, permit, &mut commons);
    assert_eq!(waits(a.acquire(1, bulk(1), &mut commons)), Some(10 * SECOND));
    assert_eq!(waits(b.acquire(2, urgent(0), &mut commons)), Some(10 * SECOND));
    assert_eq!(
        waits(a.acquire(10 * SECOND, bulk(1), &mut commons)),
        None,
        "its timer is older than the urgent call"
    );
    let permit = granted(b.acquire(10 * SECOND, urgent(0), &mut commons));
    assert_eq!(commons.take_wakes(), [A]);
    b.complete(10 * SECOND, permit, &mut commons);
    assert_eq!(waits(a.acquire(10 * SECOND, bulk(1), &mut commons)), Some(20 * SECOND));
}

#[test]
fn all_levels_are_charged_or_none_and_a_place_in_line_is_kept() {
    let (mut commons, limits) = shared(&["window:1/s", "app=a window:1/10s", "corp=c window:3/10s"]);
    let [mut a, mut b] = [A, B].map(|account| join(&mut commons, &limits, account));
    let permit = granted(a.acquire(0, bulk(0), &mut commons));
    a.complete(0, permit, &mut commons);
    let refused = b.acquire(0, bulk(0), &mut commons);
    assert!(
        matches!(refused, Decision::Wait { scope: Scope::App, until: Some(at) } if at == 10 * SECOND),
        "{refused:?}"
    );
    let own = a.acquire(0, bulk(1), &mut commons);
    assert!(
        matches!(own, Decision::Wait { scope: Scope::Account, until: Some(at) } if at == SECOND),
        "{own:?}"
    );
    let shares = b.shared_saturation(1, &mut commons);
    let near = |at: usize, scope, share: f64| shares[at].0 == scope && (shares[at].1 - share).abs() < 1e-9;
    assert!(near(0, Scope::App, 1.0) && near(1, Scope::Corp, 1.0 / 3.0), "refusals cost nothing: {shares:?}");
}

#[test]
fn a_call_to_many_people_is_charged_by_what_each_level_counts() {
    let (mut commons, limits) =
        shared(&["calls:window:3/m", "corp=c window:250/m", "corp=c calls:window:5/m"]);
    let mut a = join(&mut commons, &limits, A);
    let heavy = |weight| Wish { cost: NonZeroU32::new(weight).unwrap(), ..bulk(0) };
    drop(granted(a.acquire(0, heavy(200), &mut commons)));
    assert_eq!(waits(a.acquire(0, heavy(51), &mut commons)), None);
    drop(granted(a.acquire(0, heavy(50), &mut commons)));
    let never = a.acquire(0, heavy(251), &mut commons);
    assert!(matches!(never, Decision::Never { scope: Scope::Corp }), "{never:?}");
}

#[test]
fn what_is_shared_by_a_class_leaves_other_groups_alone() {
    let (mut commons, limits) = shared(&["@appchat corp=c window:1/m"]);
    let mut a = join(&mut commons, &limits, A);
    let class = limits.class_of("appchat:x");
    let chat = Wish { class, ..bulk(7) };
    drop(granted(a.acquire(0, chat, &mut commons)));
    assert_eq!(waits(a.acquire(0, chat, &mut commons)), None);
    for group in 0..5 {
        drop(granted(a.acquire(0, bulk(group), &mut commons)));
    }
}

#[test]
fn nobody_sends_before_the_past_is_known_and_who_waits_is_woken_then() {
    let (mut commons, limits) = shared(&["corp=c window:3/10s"]);
    let level = &limits.shared[0];
    let (number, claim) = commons.claim(20 * SECOND, &level.name, A, &level.limits, vec![A, B]);
    let Claim::Build { build, accounts } = claim else { panic!("nobody has built it") };
    assert_eq!(accounts, [A, B]);
    let (same, claim) = commons.claim(20 * SECOND, &level.name, B, &level.limits, vec![A, B]);
    assert_eq!(
        (same, claim),
        (number, Claim::Join { since: Some(20 * SECOND) }),
        "what came before is being read"
    );
    let mut b = pacer_of(limits.clone());
    commons.joined(number, B, Vec::new());
    b.share(B, &[(level.name.clone(), number)]);
    assert_eq!(waits(b.acquire(21 * SECOND, bulk(0), &mut commons)), None);
    let call = |ended| SharedCall { started: ended - 1, ended, weight: one() };
    commons.built(number, A, build, vec![call(15 * SECOND), call(19 * SECOND), call(12 * SECOND)]);
    assert_eq!(commons.take_wakes(), [B]);
    assert_eq!(waits(b.acquire(21 * SECOND, bulk(0), &mut commons)), Some(22 * SECOND));
}

#[test]
fn new_limits_know_the_calls_under_way_and_those_that_ended_meanwhile() {
    let (mut commons, limits) = shared(&["corp=c window:5/10s"]);
    let [mut a, mut b] = [A, B].map(|account| join(&mut commons, &limits, account));
    let now = 100 * SECOND;
    let slow = granted(a.acquire(now, bulk(0), &mut commons));
    let quick = granted(a.acquire(now, bulk(1), &mut commons));
    let wider = AccountLimits::parse(&["corp=c window:4/10s"]).unwrap().shared.remove(0);
    assert!(!commons.is_current(&wider.name, &wider.limits));
    let (number, claim) = commons.claim(now, &wider.name, B, &wider.limits, vec![A, B]);
    let Claim::Build { build, .. } = claim else { panic!("the limits are new") };
    assert_eq!(waits(b.acquire(now, bulk(0), &mut commons)), None, "not before they are built");
    a.complete(now + SECOND, quick, &mut commons);
    commons.built(number, B, build, Vec::new());
    assert!(commons.is_current(&wider.name, &wider.limits));
    drop(granted(b.acquire(now + SECOND, bulk(0), &mut commons)));
    drop(granted(b.acquire(now + SECOND, bulk(1), &mut commons)));
    assert_eq!(
        waits(b.acquire(now + SECOND, bulk(2), &mut commons)),
        Some(now + 11 * SECOND),
        "4 with a's two"
    );
    a.complete(now + 2 * SECOND, slow, &mut commons);
}

#[test]
fn a_level_whose_reader_failed_is_built_by_another() {
    let (mut commons, limits) = shared(&["corp=c window:3/10s"]);
    let level = &limits.shared[0];
    let (number, claim) = commons.claim(0, &level.name, A, &level.limits, vec![A]);
    let Claim::Build { build, .. } = claim else { panic!("nobody has built it") };
    assert!(!commons.is_unknown(&[number]));
    commons.not_built(number, build);
    assert!(commons.is_unknown(&[number]));
    let (_, claim) = commons.claim(1, &level.name, B, &level.limits, vec![A, B]);
    assert!(matches!(claim, Claim::Build { .. }));
    commons.built(number, A, build, Vec::new());
    assert!(!commons.is_current(&level.name, &[]), "what comes late changes nothing");
}

#[test]
fn who_left_a_level_and_comes_back_adds_only_what_it_did_meanwhile() {
    let (mut commons, limits) = shared(&["corp=c window:3/10s"]);
    join(&mut commons, &limits, A);
    join(&mut commons, &limits, B);
    let level = &limits.shared[0];
    let claim = |commons: &mut Commons, now| commons.claim(now, &level.name, B, &level.limits, vec![A, B]).1;
    assert_eq!(claim(&mut commons, 5), Claim::Join { since: None }, "it knows everything of b");
    commons.keep_only(7, B, &[]);
    assert_eq!(claim(&mut commons, 9), Claim::Join { since: Some(7) });
}

#[test]
fn the_outlook_knows_what_is_kept_back_and_who_else_takes_turns() {
    let finish = |pacer: &Pacer, commons: &Commons| pacer.outlook(commons).finish_of(0, 1000, 0, 64) / SECOND;
    let plain = pacer_of(AccountLimits::parse(&["100/10s"]).unwrap());
    assert_eq!(finish(&plain, &Commons::default()), 90);
    let kept = pacer_of(AccountLimits::parse(&["100/10s,headroom=50%"]).unwrap());
    assert_eq!(finish(&kept, &Commons::default()), 190);
    let reserved = Pacer::new(
        AccountLimits::parse(&["100/10s"]).unwrap(),
        &PacingConfig { urgent_reserve_percent: 50, ..PacingConfig::default() },
    );
    // 50 every 9 s: what is as old comes free within a second.
    assert_eq!(finish(&reserved, &Commons::default()), 171, "a broadcast leaves the urgent their share");
    let (mut commons, limits) = shared(&["corp=c window:100/10s"]);
    let [mut a, mut b] = [A, B].map(|account| join(&mut commons, &limits, account));
    assert_eq!(finish(&a, &commons), 90);
    for group in 0..100 {
        let permit = granted(b.acquire(0, bulk(group), &mut commons));
        b.complete(0, permit, &mut commons);
    }
    assert_eq!(waits(b.acquire(0, bulk(100), &mut commons)), Some(10 * SECOND));
    assert_eq!(waits(a.acquire(0, bulk(0), &mut commons)), None);
    assert_eq!(finish(&a, &commons), 200, "two take turns, and the first 100 are gone");
}
