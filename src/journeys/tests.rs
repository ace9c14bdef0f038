//! What a journey is refused for, which step follows after it was rewritten, and at which moment.

use jiff::tz::TimeZone;

use super::*;
use crate::event::Place;

fn written(json: &str) -> Journey {
    serde_json::from_str(json).unwrap()
}

fn compiled(json: &str) -> Journeys {
    Journeys::compile(&[("j".to_owned(), written(json))], &Config::default()).unwrap()
}

fn steps(steps: &[(&str, &str)]) -> String {
    let step =
        |(id, after): &(&str, &str)| format!(r#"{{"id": "{id}", "after": "{after}", "text": "{id}"}}"#);
    format!(r#"{{"steps": [{}]}}"#, steps.iter().map(step).collect::<Vec<_>>().join(","))
}

fn standing(passed: &[&str], passed_after_ms: i64) -> Instance {
    Instance {
        due_ms: 7,
        journey: "j".into(),
        version_ms: 0,
        started_ms: 0,
        passed: passed.iter().map(ToString::to_string).collect(),
        passed_after_ms,
        spoke: false,
        name: Some("小王".into()),
    }
}

#[test]
fn a_journey_that_cannot_be_used_is_refused_with_the_place_of_the_mistake() {
    let member =
        r#"{"start": "group_created", "steps": [{"id": "a", "after": "1d", "text": "您好 {member.name}"}]}"#;
    for (json, expect) in [
        (r#"{"steps": []}"#.to_owned(), "steps: write one"),
        (steps(&[("a", "1d"), ("a", "2d")]), "steps[1].id"),
        (steps(&[("a b", "1d")]), "steps[0].id"),
        (steps(&[("a", "2d"), ("b", "1d")]), "steps[1].after: earlier"),
        (steps(&[("a", "400d")]), "steps[0].after: longer"),
        (
            r#"{"steps": [{"id": "a", "after": "1d", "text": "{nobody}"}]}"#.to_owned(),
            "steps[0].text: character 1",
        ),
        (member.to_owned(), "steps[0].text: a group's journey"),
    ] {
        let error = written(&json).check(&Config::default()).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    }
    let unknown = r#"{"steps": [{"id": "a", "after": "1d", "text": "x"}], "stop_when": ["bought"]}"#;
    let error = serde_json::from_str::<Journey>(unknown).unwrap_err().to_string();
    assert!(error.contains("outcome:KIND"), "{error}");
    let with_default = member.replace("member.name", "member.name|大家");
    assert!(written(&with_default).check(&Config::default()).is_ok());
}

#[test]
fn steps_keep_their_place_when_a_journey_is_rewritten() {
    const DAY: i64 = 86_400_000;
    let check = |now: &[(&str, &str)], passed: &[&str], passed_days: i64, expect: Option<&str>| {
        let journeys = compiled(&steps(now));
        let next = journeys.get("j").unwrap().next(&standing(passed, passed_days * DAY));
        assert_eq!(next.map(|step| &*step.id), expect, "{now:?} {passed:?}");
    };
    let old = [("d1", "1d"), ("d3", "3d"), ("d7", "7d")];
    check(&old, &[], 0, Some("d1"));
    check(&old, &["d1"], 1, Some("d3"));
    check(&old, &["d1", "d3", "d7"], 7, None);
    // A new step behind their place is not told, one ahead is.
    check(&[("d0", "0s"), ("d1", "1d"), ("d2", "2d"), ("d3", "3d")], &["d1"], 1, Some("d2"));
    // The step ahead was removed.
    check(&[("d1", "1d"), ("d7", "7d")], &["d1"], 1, Some("d7"));
    // The step they stand at was removed: what lies no later is behind them.
    check(&[("d1", "1d"), ("d2", "2d"), ("x3", "3d"), ("d7", "7d")], &["d1", "d3"], 3, Some("d7"));
    // Nothing of what they passed is left.
    check(&[("a", "2d"), ("b", "4d")], &["d1", "d3"], 3, Some("b"));
    // A step that was told and moved behind another is not told again.
    check(&[("d3", "1d"), ("d1", "2d"), ("d7", "7d")], &["d1", "d3"], 3, Some("d7"));
}

#[test]
fn a_step_comes_at_its_time_of_day_in_the_groups_own_zone() {
    let ms = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
    let check = |step: &str, zone: &str, started: &str, expect: &str| {
        let journeys = compiled(&format!(r#"{{"steps": [{{"id": "a", "text": "x", {step}}}]}}"#));
        let journey = journeys.get("j").unwrap();
        let next = journey.next(&standing(&[], 0)).unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let moment = journey.moment(next, ms(started), &zone, Duration::from_mins(30));
        assert_eq!(Timestamp::from_millisecond(moment).unwrap(), expect.parse().unwrap(), "{step} {started}");
    };
    let ten = r#""after": "1d", "at": "10:00""#;
    check(ten, "Asia/Shanghai", "2026-11-27T09:00:00+08:00", "2026-11-28T10:00:00+08:00");
    check(ten, "Asia/Shanghai", "2026-11-27T10:00:00+08:00", "2026-11-28T10:00:00+08:00");
    check(ten, "Asia/Shanghai", "2026-11-27T10:00:01+08:00", "2026-11-29T10:00:00+08:00");
    check(ten, "Asia/Urumqi", "2026-11-27T23:30:00+06:00", "2026-11-29T10:00:00+06:00");
    // Two o'clock in the morning does not exist on the day the clocks go forward.
    let two = r#""after": "0s", "at": "02:30""#;
    check(two, "Europe/Berlin", "2027-03-28T00:00:00+01:00", "2027-03-28T03:30:00+02:00");
    check(r#""after": "1d""#, "UTC", "2026-11-27T09:10:00Z", "2026-11-28T09:30:00Z");
    check(r#""after": "1d""#, "UTC", "2026-11-27T09:30:00Z", "2026-11-28T09:30:00Z");
}

#[test]
fn the_closest_journey_begins_and_an_instance_is_read_back() {
    let one = steps(&[("d1", "1d")]);
    let of = |json: &str| serde_json::from_str::<Journey>(json).unwrap();
    let east = Journey { regions: BTreeSet::from([RegionId::parse("east").unwrap()]), ..of(&one) };
    let off = Journey { shops: BTreeSet::from([ShopId::parse("s-1").unwrap()]), enabled: false, ..of(&one) };
    let all = [("all".to_owned(), of(&one)), ("east".to_owned(), east), ("off".to_owned(), off)];
    let journeys = Journeys::compile(&all, &Config::default()).unwrap();
    let begins = |path: &str| {
        let journey = journeys.beginning(&Start::MemberJoined, &Place::of_path(path), &[]);
        journey.map(|journey| journey.id.to_string())
    };
    assert_eq!(begins("//").as_deref(), Some("all"));
    assert_eq!(begins("tea/east/s-1").as_deref(), Some("east"));
    assert!(journeys.beginning(&Start::GroupCreated, &Place::default(), &[]).is_none());

    let instance = standing(&["d1"], 86_400_000);
    let bytes = instance.to_bytes();
    assert_eq!(Instance::from_bytes(&bytes), Some(instance));
    assert_eq!(Glance::of(&bytes), Some(Glance { due_ms: 7, journey: "j", version_ms: 0 }));
    assert_eq!(Instance::from_bytes(&Instance::ended()), None);
    assert_eq!(Instance::from_bytes(b"short"), None);
}
