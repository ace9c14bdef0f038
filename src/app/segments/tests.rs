//! Who came in, and in which order groups are looked at.

use super::*;

fn wanted() -> Wanted {
    Wanted { segment: Segment::All, definition: 7, since_ms: 100 }
}

/// Members who are in it, with when they joined, and those of whom nobody knows.
fn found(members: &[(&str, i64)], unknown: &[&str]) -> Found {
    Found {
        members: members.iter().map(|(member, _)| RosterStep::mark(member)).collect(),
        unknown: unknown.iter().map(|member| RosterStep::mark(member)).collect(),
        ids: members.iter().map(|(member, at_ms)| ((*member).to_owned(), None, Some(*at_ms))).collect(),
    }
}

fn heard(read: &SegmentRead<'_>) -> Crowd {
    Crowd { definition: read.definition, members: read.members.clone(), unknown: read.unknown.clone() }
}

fn came(read: &SegmentRead<'_>) -> Vec<String> {
    read.came.iter().map(|came| came.member.to_string()).collect()
}

#[test]
fn who_was_there_at_first_has_not_come_in() {
    let first = found(&[("a", 50), ("b", 150)], &["c"]).news("s", &wanted(), None, 9).0.unwrap();
    assert_eq!(came(&first), ["b"], "who joined after it was written was not in it before");
    let before = heard(&first);
    let again = found(&[("b", 150), ("a", 50)], &["c"]).news("s", &wanted(), Some(&before), 9);
    assert_eq!(again, (None, 0), "nothing is told twice");
    let later = found(&[("a", 50), ("c", 150), ("d", 10)], &[]).news("s", &wanted(), Some(&before), 9);
    assert_eq!(came(&later.0.unwrap()), ["d"], "of `c` nobody knew; they may have been in it");
    let other = Crowd { definition: 8, ..before };
    let anew = found(&[("a", 50), ("d", 10)], &[]).news("s", &wanted(), Some(&other), 9).0.unwrap();
    assert_eq!(came(&anew), Vec::<String>::new(), "another definition begins anew");
}

#[test]
fn one_look_takes_only_so_many_and_the_others_follow() {
    let empty = heard(&found(&[], &[]).news("s", &wanted(), None, 2).0.unwrap());
    let all = [("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1)];
    let (mut before, mut begun) = (empty, Vec::new());
    for left in [3, 1, 0] {
        let (read, put_off) = found(&all, &[]).news("s", &wanted(), Some(&before), 2);
        let read = read.unwrap();
        begun.extend(came(&read));
        before = heard(&read);
        assert_eq!(put_off, left);
    }
    assert_eq!(begun, ["a", "b", "c", "d", "e"]);
    assert_eq!(found(&all, &[]).news("s", &wanted(), Some(&before), 2), (None, 0));
}

#[test]
fn no_group_waits_for_ever_behind_busy_ones() {
    let key = |group: u32| ("demo".to_owned(), format!("g-{group}"));
    let mut looking = Looking { waiting: (0..6).map(key).collect(), ..Looking::default() };
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let taken = looking.take(2);
        assert_eq!(taken.len(), 2);
        seen.extend(taken);
        looking.waiting.extend([key(0), key(1)]); // something happens there all the time
    }
    assert_eq!(seen, (0..6).map(key).collect());
    assert_eq!(looking.take(9), [key(0), key(1)]);
    assert_eq!(looking.take(9), Vec::<Key>::new());
}
