//! Rows against the values they were made of.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn view<'a>(row: &'a Row, same: Option<&'a Same>) -> View<'a> {
    View { spoke: &row.spoke, moved: &row.moved, counted: &row.counted, same }
}

fn people() -> impl Strategy<Value = Person> {
    let roles = prop_oneof![Just(Role::Customer), Just(Role::Staff), Just(Role::Bot)];
    (0_u64..5_000_000, roles).prop_map(|(number, role)| Person { number, role })
}

fn days() -> impl Strategy<Value = Day> {
    let moves = prop_oneof![Just(Move::Joined), Just(Move::Left), Just(Move::Listed), Just(Move::Gone)];
    let spoke = vec((people(), 0_u8..24, 0_u32..300, -2_i32..3), 0..20);
    let moved = vec((0_u32..86_400_000, people(), moves), 0..20);
    let word = || "[a-c]{0,2}".prop_map(String::into_boxed_str);
    let facets = prop_oneof![
        word().prop_map(Facet::Came),
        word().prop_map(Facet::Wordlist),
        word().prop_map(Facet::Outcome),
        word().prop_map(Facet::Gained),
        word().prop_map(|word| Facet::Content(Role::Staff, word)),
        (any::<bool>(), 0_u32..100_000).prop_map(|(open, seconds)| Facet::Answered(open, seconds)),
    ];
    let counted = vec((facets, 0_u8..24, 1_u64..9), 0..12);
    (spoke, moved, counted).prop_map(|(spoke, moved, counted)| {
        let mut day = Day::default();
        for (person, hour, said, unsaid) in spoke {
            let spoke = [((person, hour), Spoke { said, unsaid })].into();
            day.add(Day { spoke, ..Day::default() });
        }
        day.add(Day { moved, ..Day::default() });
        for (facet, hour, count) in counted {
            *day.counted.entry((facet, hour)).or_default() += count;
        }
        day
    })
}

proptest! {
    #[test]
    fn a_row_is_read_back(day in days()) {
        prop_assert_eq!(decode(&view(&encode(&day), None)).unwrap(), day);
    }

    #[test]
    fn adding_up_does_not_depend_on_the_order(a in days(), b in days(), c in days()) {
        let (mut left, mut right) = (a.clone(), c.clone());
        left.add(b.clone());
        left.add(c);
        right.add(a);
        right.add(b);
        prop_assert_eq!(left, right);
    }

    #[test]
    fn any_bytes_are_read_or_refused(row in vec(any::<u8>(), 0..60)) {
        _ = decode(&View { spoke: &row, moved: &row, counted: &row, same: None });
    }
}

#[test]
fn a_person_who_spoke_once_takes_a_few_bytes() {
    let mut day = Day::default();
    for number in 0..100 {
        let person = Person { number: 1_000_000 + number * 7, role: Role::Customer };
        day.spoke.insert((person, 14), Spoke { said: 1, unsaid: 0 });
    }
    assert!(encode(&day).spoke.len() <= 310, "{}", encode(&day).spoke.len());
}

#[test]
fn who_took_everything_back_was_not_active() {
    let spoke = |said, unsaid| Spoke { said, unsaid };
    assert!(spoke(1, 0).is_active() && spoke(2, 1).is_active() && spoke(1, -1).is_active());
    assert!(!spoke(1, 1).is_active() && !spoke(0, 0).is_active() && !spoke(1, 2).is_active());
}

#[test]
fn who_was_taken_for_two_is_one() {
    let person = |number| Person { number, role: Role::Customer };
    let spoke = |said| Spoke { said, unsaid: 0 };
    let day =
        Day { spoke: [((person(4), 9), spoke(1)), ((person(7), 9), spoke(2))].into(), ..Day::default() };
    let same = Same::from_iter([(7, 4)]);
    let seen = decode(&view(&encode(&day), Some(&same))).unwrap();
    assert_eq!(seen.spoke, [((person(4), 9), spoke(3))].into());
}
