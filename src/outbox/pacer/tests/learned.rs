//! What refusals do to rates.

use super::*;

fn count_in(pacer: &mut Pacer, from: Micros, seconds: i64) -> usize {
    let mut count = 0;
    let mut now = from;
    while now < from + seconds * SECOND {
        match ask(pacer, now, GroupNo(1), one()) {
            Decision::Granted(permit) => {
                count += 1;
                end(pacer, now, permit);
            }
            Decision::Wait { until: Some(at), .. } => now = at,
            other @ (Decision::Wait { .. } | Decision::Never { .. }) => panic!("{other:?}"),
        }
    }
    count
}

#[test]
fn a_refusal_halves_the_rate_and_time_gives_it_back() {
    let mut pacer = pacer_of(limits(&["100/10s"], &[]));
    assert_eq!(count_in(&mut pacer, 0, 10), 100);
    let lesson = pacer.account_refused(10 * SECOND, 10 * SECOND).unwrap();
    assert_eq!((lesson.share, lesson.limit), (500, None));
    assert_eq!(count_in(&mut pacer, 20 * SECOND, 20), 100, "50 in 10 s");
    assert_eq!(count_in(&mut pacer, 400 * SECOND, 10), 80, "six minutes later");
    assert_eq!(count_in(&mut pacer, 1000 * SECOND, 10), 100);
    assert_eq!(pacer.account_lesson(), None);
}

#[test]
fn only_the_level_that_was_refused_is_slowed() {
    let mut pacer = pacer_of(limits(&["100/10s"], &["10/10s"]));
    let class = ClassNo::default();
    assert_eq!(pacer.group_refused(0, 0, GroupNo(1), class).unwrap().share, 500);
    let mut granted = |group| {
        (0..20).filter(|_| matches!(ask(&mut pacer, 0, GroupNo(group), one()), Decision::Granted(_))).count()
    };
    assert_eq!((granted(1), granted(2)), (5, 10));
    assert_eq!((pacer.group_share(0, GroupNo(1)), pacer.group_share(0, GroupNo(2))), (500, 1000));
    assert_eq!(pacer.account_lesson(), None);
}

#[test]
fn a_burst_of_refusals_is_one_lesson() {
    let mut pacer = pacer_of(limits(&["100/10s"], &[]));
    assert!(pacer.account_refused(10 * SECOND, 9 * SECOND).is_some());
    for _ in 0..64 {
        assert_eq!(pacer.account_refused(11 * SECOND, 9 * SECOND), None);
    }
    assert_eq!(pacer.account_refused(12 * SECOND, 11 * SECOND).unwrap().share, 250);
}

#[test]
fn where_no_rate_is_configured_half_of_what_was_sent_is_the_limit_for_a_while() {
    let mut pacer = pacer_of(limits(&["concurrency:8"], &[]));
    for n in 0..200 {
        let Decision::Granted(permit) = ask(&mut pacer, n * 10_000, GroupNo(1), one()) else {
            panic!("free")
        };
        end(&mut pacer, n * 10_000, permit);
    }
    let lesson = pacer.account_refused(2 * SECOND, SECOND).unwrap();
    assert_eq!(lesson.limit.map(|limit| limit.to_string()).as_deref(), Some("window:200/10s"));
    assert_eq!(count_in(&mut pacer, 20 * SECOND, 10), 100);
    let (limits_now, share) = pacer.account_limits(21 * SECOND);
    assert_eq!((limits_now.len(), share), (2, 500));
    pacer.account_limits(2000 * SECOND);
    assert_eq!(pacer.account_limits(2000 * SECOND).0.len(), 1, "regained: there is no limit again");
}

#[test]
fn what_was_learned_goes_on_after_a_restart() {
    let mut pacer = pacer_of(limits(&["100/10s"], &["10/10s"]));
    let lesson = pacer.account_refused(10 * SECOND, 10 * SECOND).unwrap();
    let mut after = pacer_of(limits(&["100/10s"], &["10/10s"]));
    after.resume_account(20 * SECOND, lesson);
    assert_eq!(count_in(&mut after.clone(), 20 * SECOND, 10), 10, "the group's own");
    assert_eq!(after.account_limits(20 * SECOND).1, 500);
    after.resume_group(20 * SECOND, GroupNo(1), ClassNo::default(), lesson);
    assert_eq!(count_in(&mut after, 20 * SECOND, 10), 5);
    after.sweep(40 * SECOND);
    assert_eq!(after.group_share(40 * SECOND, GroupNo(1)), 500, "a slowed group is not forgotten");
    after.sweep(5000 * SECOND);
    assert_eq!(after.groups.len(), 0);
}

#[test]
fn a_slowed_window_still_takes_what_weighs_more() {
    let mut pacer = pacer_of(limits(&["100/10s"], &[]));
    pacer.account_refused(0, 0);
    let heavy = NonZeroU32::new(80).unwrap();
    let Decision::Granted(permit) = ask(&mut pacer, 1, GroupNo(1), heavy) else { panic!("alone it goes") };
    end(&mut pacer, 1, permit);
    assert!(
        matches!(ask(&mut pacer, 2, GroupNo(1), one()), Decision::Wait { until: Some(at), .. } if at == 1 + 10 * SECOND)
    );
}

#[test]
fn urgent_calls_have_a_share_of_a_long_window_for_themselves() {
    let config = PacingConfig { urgent_reserve_percent: 10, ..PacingConfig::default() };
    let mut pacer = Pacer::new(limits(&["100/m"], &[]), &config);
    let commons = &mut Commons::default();
    let mut granted = |is_urgent, asked: usize| {
        let wish = Wish { is_urgent, ..Wish::to(GroupNo(1)) };
        (0..asked).filter(|_| matches!(pacer.acquire(0, wish, commons), Decision::Granted(_))).count()
    };
    assert_eq!(granted(false, 200), 90);
    assert_eq!(granted(true, 200), 10);
    let mut pacer = Pacer::new(limits(&["100/m"], &[]), &config);
    let mut granted = |is_urgent, asked: usize| {
        let wish = Wish { is_urgent, ..Wish::to(GroupNo(1)) };
        (0..asked).filter(|_| matches!(pacer.acquire(0, wish, commons), Decision::Granted(_))).count()
    };
    assert_eq!(granted(true, 95), 95, "and may use everything");
    assert_eq!(granted(false, 200), 5, "what they left goes to others all the same");
}
