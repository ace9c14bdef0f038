//! What readings mean, case by case; [`model`] holds the whole to a platform that loses, repeats and delays.

mod model;
mod world;

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use super::*;
use crate::connectors::offers::KnownGroup;
use crate::event::What;

const NOW: i64 = 1_790_000_000_000;

fn member(id: &str, joined_s: i64) -> RosterMember<'static> {
    RosterMember {
        member: Cow::Owned(id.to_owned()),
        role: if id.starts_with('u') { Role::Staff } else { Role::Customer },
        name: Some(Cow::Owned(format!("name of {id}"))),
        joined_ms: NOW + joined_s * 1_000,
        inviter: None,
        scene: Some(Cow::Borrowed("qr_code")),
        channel: None,
        union_id: None,
    }
}

fn reading(version: &str, members: &[(&str, i64)]) -> Reading {
    Reading {
        version: version.to_owned(),
        members: members.iter().map(|(id, joined_s)| member(id, *joined_s)).collect(),
        owner: Some("u1".to_owned()),
        name: Some("g".to_owned()),
    }
}

/// What we know: versions, newest first, members, and how many seconds ago the latest event was.
fn known(versions: &[&str], members: &[&str], ago_s: i64) -> KnownRoster {
    KnownRoster {
        marks: versions.iter().map(|version| RosterStep::mark(version)).collect(),
        members: members.iter().map(|id| ((*id).to_owned(), member(id, 0).role)).collect(),
        group: KnownGroup {
            group: "wr1".to_owned(),
            name: Some("g".to_owned()),
            owner: Some("u1".to_owned()),
            dismissed: false,
            last_ms: NOW - ago_s * 1_000,
        },
    }
}

/// `+wmA` joined, `-wmA` left, between two versions, so many seconds ago.
fn pending(what: &str, from: &str, to: &str, ago_s: i64) -> Pending {
    let (sign, id) = what.split_at(1);
    let role = Role::Customer;
    let change = match sign {
        "+" => Change::Joined { member: id.to_owned(), role, scene: Some("invited".to_owned()) },
        "-" => Change::Left { member: id.to_owned(), role, reason: Some("left".to_owned()) },
        _ => Change::Unnamed,
    };
    let at_ms = NOW - ago_s * 1_000;
    let (from, to) = (RosterStep::mark(from), RosterStep::mark(to));
    Pending { id: format!("{what}@{ago_s}"), at_ms, heard_ms: at_ms, from, to, change }
}

/// Says what a reading comes to: `wait`, or the events in short: `+wmA` told, `(+wmA)` inferred, `read found=… gone=…`.
fn outlook(known: &KnownRoster, pending: &[Pending], reading: &Reading, counted: &[&str]) -> Vec<String> {
    let counted: HashSet<String> = counted.iter().map(|id| (*id).to_owned()).collect();
    let view = View {
        account: "corp",
        group: "wr1",
        known,
        pending,
        counted: &counted,
        details_since_ms: i64::MAX,
        now_ms: NOW,
        patience: Duration::from_secs(30),
        window: Duration::from_hours(72),
    };
    let Outlook::Settled(plan) = settle(&view, reading) else { return vec!["wait".to_owned()] };
    let mut at = known.marks.first().copied();
    for event in &plan.events {
        let step = event.step.unwrap();
        assert_eq!(step.from, at, "{event:?} does not follow");
        at = Some(step.to);
    }
    plan.events.iter().map(short).collect()
}

fn short(event: &GroupEvent<'_>) -> String {
    let member = event.member.as_deref().unwrap_or_default();
    let ago_s = (NOW - event.at_ms.unwrap()) / 1_000;
    if let What::RosterRead(read) = &event.what {
        let mut found: Vec<&str> = read.found.iter().map(|member| member.member.as_ref()).collect();
        found.sort_unstable();
        return format!("read found={} gone={}", found.join(","), read.gone.join(","));
    }
    let told = if let What::MemberJoined { inferred, .. } = &event.what {
        (format!("+{member}@{ago_s}"), *inferred)
    } else if let What::MemberLeft { inferred, .. } = &event.what {
        (format!("-{member}@{ago_s}"), *inferred)
    } else {
        panic!("{event:?}")
    };
    if told.1 { format!("({})", told.0) } else { told.0 }
}

#[test]
fn the_first_reading_takes_over_and_what_was_told_meanwhile_is_counted() {
    let nobody = known(&[], &[], 0);
    let read = reading("v3", &[("u1", -9_000), ("wmA", -8_000), ("wmB", -60)]);
    assert_eq!(outlook(&nobody, &[], &read, &[]), ["read found=u1,wmA,wmB gone="]);
    let told = [pending("+wmB", "v1", "v2", 60), pending("-wmC", "v2", "v3", 50)];
    assert_eq!(
        outlook(&nobody, &told, &read, &[]),
        ["read found=u1,wmA,wmC gone=", "+wmB@60", "-wmC@50"],
        "who left was there before"
    );
    let fresh = reading("v3", &[("u1", -9_000), ("wmB", -3)]);
    assert_eq!(outlook(&nobody, &[], &fresh, &[]), ["wait"], "the callback is on its way");
}

#[test]
fn what_callbacks_did_not_tell_is_inferred_and_dated_honestly() {
    let ours = known(&["v1"], &["u1", "wmA", "wmB"], 600);
    let read = reading("v5", &[("u1", -9_000), ("wmA", -9_000), ("wmC", -100)]);
    assert_eq!(outlook(&ours, &[], &read, &[]), ["(-wmB@0)", "(+wmC@100)"]);
    let told = [pending("+wmC", "v4", "v5", 100)];
    assert_eq!(outlook(&ours, &told, &read, &[]), ["(-wmB@0)", "+wmC@100"]);
    let told = [pending("-wmB", "v2", "v3", 200), pending("+wmC", "v4", "v5", 100)];
    assert_eq!(outlook(&ours, &told, &read, &[]), ["-wmB@200", "+wmC@100"]);
}

#[test]
fn who_came_and_went_between_two_readings_is_counted_if_told() {
    let ours = known(&["v1"], &["u1"], 600);
    let read = reading("v5", &[("u1", -9_000)]);
    let both = [pending("+wmC", "v2", "v3", 200), pending("-wmC", "v4", "v5", 100)];
    assert_eq!(outlook(&ours, &both, &read, &[]), ["+wmC@200", "-wmC@100"]);
    assert_eq!(outlook(&ours, &both[..1], &read, &[]), ["+wmC@200", "(-wmC@0)"], "left, nobody knows when");
    assert_eq!(
        outlook(&ours, &both[1..], &read, &[]),
        ["(+wmC@100)", "-wmC@100"],
        "came, at the latest then"
    );
    assert_eq!(outlook(&ours, &[], &read, &[]), ["read found= gone="], "the version moves on all the same");
}

#[test]
fn a_leaving_that_was_lost_is_implied_by_the_next_joining() {
    let ours = known(&["v1"], &["u1", "wmA"], 600);
    let read = reading("v3", &[("u1", -9_000), ("wmA", -100)]);
    let told = [pending("+wmA", "v2", "v3", 100)];
    assert_eq!(outlook(&ours, &told, &read, &[]), ["(-wmA@100)", "+wmA@100"]);
}

#[test]
fn a_callback_older_than_what_was_read_before_changes_nothing() {
    let ours = known(&["v5", "v1"], &["u1", "wmC"], 600);
    let read = reading("v5", &[("u1", -9_000), ("wmC", -900)]);
    let late = [pending("+wmC", "v1", "v2", 900), pending("-wmB", "v2", "v3", 800)];
    assert_eq!(outlook(&ours, &late, &read, &[]), [] as [&str; 0]);
}

#[test]
fn a_reading_that_lags_behind_is_made_again() {
    let ours = known(&["v3", "v2", "v1"], &["u1", "wmA"], 9);
    let old = reading("v2", &[("u1", -9_000)]);
    assert_eq!(outlook(&ours, &[], &old, &[]), ["wait"], "we went through this version");
    let told = [pending("+wmB", "v4", "v5", 5)];
    let same = reading("v3", &[("u1", -9_000), ("wmA", -9_000)]);
    assert_eq!(outlook(&ours, &told, &same, &[]), ["wait"], "a callback told of a later version");
    let unknown = reading("vX", &[("u1", -9_000)]);
    assert_eq!(outlook(&ours, &[], &unknown, &[]), ["wait"], "older than our memory, perhaps");
    let long_ago = known(&["v3", "v2", "v1"], &["u1", "wmA"], 500);
    assert_eq!(outlook(&long_ago, &[], &unknown, &[]), ["(-wmA@0)"]);
    assert_eq!(
        outlook(&long_ago, &[], &old, &[]),
        ["(-wmA@0)"],
        "members came and went, and the version came back"
    );
}

#[test]
fn changes_behind_the_version_that_was_read_follow_it() {
    let ours = known(&["v1"], &["u1", "wmA"], 600);
    let read = reading("v2", &[("u1", -9_000)]);
    let told = [pending("+wmB", "v2", "v3", 9), pending("+wmA", "v3", "v4", 5)];
    assert_eq!(
        outlook(&ours, &told, &read, &[]),
        ["(-wmA@5)", "+wmB@9", "+wmA@5"],
        "left before they came back, at the latest"
    );
}

#[test]
fn what_is_too_old_to_count_is_taken_over() {
    let ours = known(&["v1"], &["u1", "wmA"], 4 * 86_400);
    let read = reading("v5", &[("u1", -9_000_000), ("wmC", -4 * 86_400), ("wmD", -3_600)]);
    let told = [pending("-wmA", "v2", "v3", 4 * 86_400)];
    assert_eq!(outlook(&ours, &told, &read, &[]), ["(+wmD@3600)", "read found=wmC gone=wmA"]);
}

#[test]
fn what_was_counted_already_is_not_told_again() {
    let ours = known(&["v1"], &["u1"], 600);
    let read = reading("v5", &[("u1", -9_000), ("wmC", -100)]);
    let told = [pending("+wmC", "v4", "v5", 100)];
    let id = format!("inferred-joined-{:016x}-{}", RosterStep::mark("wmC"), NOW - 100_000);
    assert_eq!(outlook(&ours, &told, &read, &["+wmC@100"]), ["(+wmC@100)"]);
    assert_eq!(outlook(&ours, &told, &read, &["+wmC@100", &id]), ["read found=wmC gone="]);
}

#[test]
fn a_role_that_was_guessed_wrong_is_put_right() {
    let mut ours = known(&["v1"], &["u1", "u2"], 600);
    ours.members[1].1 = Role::Customer;
    let read = reading("v1", &[("u1", -9_000), ("u2", -9_000)]);
    assert_eq!(outlook(&ours, &[], &read, &[]), ["read found=u2 gone="]);
}
