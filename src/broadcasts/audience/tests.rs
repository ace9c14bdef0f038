//! Audiences put together: what each says of a group, and that not knowing stays not knowing.

use std::collections::BTreeMap;

use super::*;
use crate::broadcasts::book::Counted;
use crate::event::GroupId;

struct Group {
    name: GroupName,
    place: Place,
}

impl GroupEntry for Group {
    fn name(&self) -> &GroupName {
        &self.name
    }
    fn platform(&self) -> &'static str {
        "wecom"
    }
    fn place(&self) -> &Place {
        &self.place
    }
    fn has_tag(&self, tag: &str) -> bool {
        tag == "vip"
    }
    fn owner(&self) -> Option<&str> {
        None
    }
    fn value(&self, _: &str) -> Option<&str> {
        None
    }
}

fn group() -> Group {
    let (account, group) = (AccountId::parse("demo").unwrap(), GroupId::parse("g-1").unwrap());
    Group { name: GroupName { account, group }, place: Place::default() }
}

fn read(text: &str) -> Audience {
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_nobody_knows_is_never_taken_for_a_yes() {
    let known = Figures {
        members: Some(80),
        spoke: BTreeMap::from([(7, false), (30, true)]),
        segments: BTreeMap::from([("sure".to_owned(), Counted { members: 4, unknown: 2 })]),
        gone: false,
    };
    let unknown = Figures::default();
    let table = [
        (r#"{"silent_days":7}"#, Some(true), None),
        (r#"{"active_days":7}"#, Some(false), None),
        (r#"{"silent_days":30}"#, Some(false), None),
        (r#"{"not":{"silent_days":7}}"#, Some(false), None),
        (r#"{"not":{"active_days":7}}"#, Some(true), None),
        (r#"{"size":{"min":50,"max":80}}"#, Some(true), None),
        (r#"{"size":{"max":79}}"#, Some(false), None),
        (r#"{"every":[{"tags":["vip"]},{"silent_days":7}]}"#, Some(true), None),
        (r#"{"every":[{"tags":["none"]},{"silent_days":7}]}"#, Some(false), Some(false)),
        (r#"{"any":[{"tags":["vip"]},{"silent_days":7}]}"#, Some(true), Some(true)),
        (r#"{"any":[{"tags":["none"]},{"active_days":7}]}"#, Some(false), None),
        (r#"{"not":{"any":[{"tags":["vip"]},{"active_days":7}]}}"#, Some(false), Some(false)),
        (r#"{"segment":{"id":"sure"}}"#, Some(true), None),
        (r#"{"segment":{"id":"sure","members_min":4}}"#, Some(true), None),
        (r#"{"segment":{"id":"sure","members_min":6}}"#, None, None),
        (r#"{"not":{"segment":{"id":"sure","members_min":6}}}"#, None, None),
        (r#"{"segment":{"id":"sure","members_min":7}}"#, Some(false), None),
        (r#"{"segment":{"id":"gone","members_min":1}}"#, None, None),
        (r#"{"platforms":["wecom"]}"#, Some(true), Some(true)),
        (r#"{"platforms":["webhook"]}"#, Some(false), Some(false)),
    ];
    for (text, expect, without) in table {
        assert_eq!(read(text).wants(&group(), &known), expect, "{text}");
        assert_eq!(read(text).wants(&group(), &unknown), without, "{text} without figures");
    }
}

#[test]
fn numbers_that_cannot_be_asked_for_are_named() {
    struct Nowhere;
    impl Places for Nowhere {
        fn region_place(&self, _: &RegionId) -> Place {
            Place::default()
        }
        fn shop_place(&self, _: &ShopId) -> Place {
            Place::default()
        }
        fn group_place(&self, _: &GroupName) -> Place {
            Place::default()
        }
    }
    let config = Config { activity_days_max: 30, ..Config::default() };
    let check = |text: &str| read(text).check(&Scope::everything(), &Nowhere, &config);
    for (text, expect) in [
        (r#"{"silent_days":0}"#, Err(AudienceError::Days { days: 0, max: 30 })),
        (r#"{"not":{"active_days":31}}"#, Err(AudienceError::Days { days: 31, max: 30 })),
        (r#"{"silent_days":30}"#, Ok(())),
        (r#"{"size":{}}"#, Err(AudienceError::Size)),
        (r#"{"size":{"min":2,"max":1}}"#, Err(AudienceError::Size)),
        (r#"{"size":{"min":1}}"#, Ok(())),
        (r#"{"platforms":[]}"#, Err(AudienceError::Empty)),
    ] {
        assert_eq!(check(text), expect, "{text}");
    }
}

#[test]
fn what_was_saved_is_spelled_out_wherever_it_stands() {
    let saved = BTreeMap::from([
        ("a".to_owned(), read(r#"{"not":{"saved":"b"}}"#)),
        ("b".to_owned(), read(r#"{"any":[{"tags":["vip"]},{"saved":"c"}]}"#)),
        ("c".to_owned(), Audience::All),
        ("round".to_owned(), read(r#"{"every":["all",{"saved":"back"}]}"#)),
        ("back".to_owned(), read(r#"{"saved":"round"}"#)),
        ("torn".to_owned(), read(r#"{"saved":"nowhere"}"#)),
    ]);
    let spelled = |text: &str| read(text).spelled_out(&saved);
    let whole = r#"{"every":[{"not":{"any":[{"tags":["vip"]},"all"]}},{"saved":"c"},{"saved":"c"}]}"#;
    let expect = r#"{"every":[{"not":{"any":[{"tags":["vip"]},"all"]}},"all","all"]}"#;
    assert_eq!(spelled(whole).unwrap(), read(expect));
    assert_eq!(spelled(r#"{"saved":"a"}"#).unwrap(), read(r#"{"not":{"any":[{"tags":["vip"]},"all"]}}"#));
    assert_eq!(spelled(r#"{"saved":"round"}"#), Err(AudienceError::Cycle("round".into())));
    let unknown = AudienceError::Unknown { kind: "audience", id: "nowhere".into() };
    assert_eq!(spelled(r#"{"saved":"torn"}"#), Err(unknown));
}
