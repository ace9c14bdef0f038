//! The JSON of an event: every field once right and once wrong, and what the parser says then.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::sample::{event, to_json};
use super::*;
use crate::event::Role;

fn read(raw: &Value) -> Result<GroupEvent<'static>, ParseError> {
    parse(raw.to_string().as_bytes(), &ParseLimits::default()).map(GroupEvent::into_owned)
}

/// Sets `path` in an event that is otherwise good and expects the error there.
fn check_field(kind: &str, path: &str, value: Value, error_path: &str, reason: &str) {
    let mut raw = good(kind);
    raw.as_object_mut().unwrap().insert(path.to_owned(), value);
    let error = read(&raw).unwrap_err();
    assert_eq!((error.path.as_str(), error.reason.as_str()), (error_path, reason), "{raw}");
}

fn good(kind: &str) -> Value {
    let mut raw = json!({"id": "e-1", "account": "demo", "group": "g-7", "type": kind, "member": "u-3"});
    let own = match kind {
        "message" | "message_edited" => json!({"text": "明天几点开门?"}),
        "contact_added" => json!({"staff": "s-1", "group": null}),
        "owner_changed" => json!({"owner": "s-2"}),
        "consent_changed" => json!({"granted": true}),
        "outcome" => json!({"kind": "order"}),
        _ => json!({}),
    };
    raw.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    raw
}

const KINDS: [&str; 12] = [
    "message",
    "message_edited",
    "message_recalled",
    "member_joined",
    "member_left",
    "contact_added",
    "group_created",
    "group_updated",
    "owner_changed",
    "group_dismissed",
    "consent_changed",
    "outcome",
];

#[test]
fn the_event_of_the_design_is_read_and_borrowed() {
    let raw = r#"{"id":"e-1","account":"demo","group":"g-7","type":"message","member":"u-3","role":"customer",
        "text":"加薇·信领优惠","at":"2026-11-22T10:00:00+08:00"}"#;
    let event = parse(raw.as_bytes(), &ParseLimits::default()).unwrap();
    assert_eq!(event.at_ms, Some(1_795_312_800_000));
    assert_eq!(event.role, Role::Customer);
    let text = &event.what.message().unwrap().text;
    assert_eq!(text, "加薇·信领优惠");
    assert!(matches!(text, Cow::Borrowed(_)), "no escape, no copy");
    assert!(matches!(event.member, Some(Cow::Borrowed("u-3"))));
}

#[test]
fn every_type_is_read_with_the_least_it_needs() {
    for kind in KINDS {
        let event = read(&good(kind)).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(fields::name(event.what.event_type()), kind);
        assert_eq!(json!(event.what.event_type()), json!(kind), "the table spells as serde does");
    }
}

#[test]
fn what_only_connectors_find_out_is_like_a_type_that_does_not_exist() {
    let said = |kind: &str| read(&good(kind)).unwrap_err();
    for kind in ["roster_read", "silence", "contact_removed", "tags_changed"] {
        assert_eq!(said(kind), said("nonsense"), "{kind}");
    }
}

#[test]
fn what_is_missing_is_named() {
    for kind in KINDS {
        for field in ["id", "account", "group", "type", "member", "text", "staff", "owner", "granted", "kind"]
        {
            let mut raw = good(kind);
            let had = raw.as_object_mut().unwrap().remove(field).is_some_and(|value| !value.is_null());
            let optional = match field {
                "member" => !fields::needs_member(serde_json::from_value(json!(kind)).unwrap()),
                _ => !had,
            };
            match read(&raw) {
                Ok(_) => assert!(optional, "{kind} without {field}"),
                Err(error) => {
                    assert!(!optional, "{kind} without {field}: {error}");
                    assert_eq!(error.path, field);
                    assert!(error.reason.starts_with("is required"), "{error}");
                }
            }
        }
    }
}

#[test]
fn what_does_not_belong_to_the_type_is_named() {
    let stray = |kind, field, value| {
        check_field(kind, field, value, field, &format!("does not belong to a `{kind}`"));
    };
    stray("member_joined", "text", json!("x"));
    stray("message", "inviter", json!("u-1"));
    stray("message", "of", json!("e-0"));
    stray("message", "granted", json!(false));
    stray("message", "value", json!(1));
    stray("contact_added", "group", json!("g-1"));
    stray("group_dismissed", "owner", json!("s-1"));
    stray("outcome", "attachments", json!([]));
}

#[test]
fn errors_name_the_path_and_never_the_value() {
    check_field("message", "colour", json!("red"), "colour", "is not a field here");
    check_field("message", "text", json!(7), "text", "must be a string");
    check_field("message", "text", json!({"a": "秘密"}), "text", "must be a string");
    check_field("message", "member", json!(["秘密"]), "member", "must be a string");
    check_field("message", "mentions", json!("秘密, expected"), "mentions", "must be a sequence");
    check_field("message", "mentions", json!(["u-1", 2]), "mentions[1]", "must be a string");
    check_field("message", "mentions", json!(["u-1", ""]), "mentions[1]", "is empty");
    check_field(
        "message",
        "attachments",
        json!([{"kind": "link", "href": "x"}]),
        "attachments[0].href",
        "is not a field here",
    );
    check_field("message", "attachments", json!([["link"]]), "attachments[0]", "must be an object");
    check_field("message", "attachments", json!([{"url": "x"}]), "attachments[0].kind", "is required");
    check_field("message", "role", json!("boss"), "role", "must be one of `customer`, `staff`, `bot`");
    check_field("message", "id", json!(""), "id", "is empty");
    check_field("message", "id", json!("a".repeat(129)), "id", "is 129 bytes long, 128 at most");
    check_field(
        "message",
        "group",
        json!("a\u{7}b"),
        "group",
        "has a control character, or a space at an end",
    );
    check_field("message", "text", json!("字".repeat(6000)), "text", "is 18000 bytes long, 16384 at most");
    let time = "must be a time with an offset, as in `2026-11-22T10:00:00+08:00`";
    check_field("message", "at", json!("2026-11-22T10:00:00"), "at", time);
    check_field("message", "at", json!("昨天"), "at", time);
    check_field("message", "at", json!(1_795_312_800), "at", "must be a string");
    check_field("outcome", "value", json!("9.9"), "value", "must be f64");
    check_field("member_left", "inferred", json!(1), "inferred", "must be a boolean");
}

#[test]
fn an_unknown_type_lists_the_known_ones() {
    let error = read(&good("member_join")).unwrap_err();
    assert_eq!(error.path, "type");
    assert!(error.reason.starts_with("must be one of `message`, "), "{error}");
    assert!(error.reason.contains("`member_joined`"), "{error}");
}

#[test]
fn broken_json_says_where() {
    for raw in ["", "{", "{\"id\":}", "nul", "{\"id\":\"\u{1}\"}", "{\"id\":\"\\ud800\"}"] {
        let error = parse(raw.as_bytes(), &ParseLimits::default()).unwrap_err();
        assert!(error.reason.starts_with("is not a JSON object: "), "{raw}: {error}");
        assert!(error.reason.contains("column"), "{error}");
    }
    let error = parse(b"[1]", &ParseLimits::default()).unwrap_err();
    assert_eq!(error.to_string(), "must be an object");
    let two = format!("{}{}", good("message"), good("message"));
    let error = parse(two.as_bytes(), &ParseLimits::default()).unwrap_err();
    assert!(error.reason.starts_with("is followed by more"), "{error}");
    let twice = r#"{"id":"a","id":"b"}"#;
    assert_eq!(
        parse(twice.as_bytes(), &ParseLimits::default()).unwrap_err().to_string(),
        "`id` is given twice"
    );
    assert!(parse(b"{\"id\":\"\xff\"}", &ParseLimits::default()).is_err());
}

#[test]
fn media_needs_no_text_but_a_message_does() {
    let mut raw = good("message");
    raw.as_object_mut().unwrap().remove("text");
    raw["content_type"] = json!("image");
    assert_eq!(read(&raw).unwrap().what.message().unwrap().text, "");
    raw["content_type"] = json!("text");
    assert_eq!(read(&raw).unwrap_err().path, "text");
    raw["attachments"] = json!([{"kind": "file"}]);
    assert!(read(&raw).is_ok());
}

#[test]
fn the_name_of_a_group_event_is_the_groups() {
    let mut raw = good("group_updated");
    raw["name"] = json!("一号店会员群");
    let event = read(&raw).unwrap();
    assert_eq!(event.name, None);
    let What::GroupUpdated(change) = event.what else { panic!("{:?}", event.what) };
    assert_eq!(change.name.as_deref(), Some("一号店会员群"));
}

#[test]
fn through_a_connector_the_account_may_be_left_out_but_not_differ() {
    let limits = ParseLimits::default();
    let mut raw = good("message");
    assert!(parse_for(raw.to_string().as_bytes(), "demo", &limits).is_ok());
    assert_eq!(parse_for(raw.to_string().as_bytes(), "other", &limits).unwrap_err().path, "account");
    raw.as_object_mut().unwrap().remove("account");
    let raw = raw.to_string();
    assert_eq!(parse_for(raw.as_bytes(), "other", &limits).unwrap().account, "other");
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(event in event()) {
        let raw = to_json(&event).to_string();
        prop_assert_eq!(parse(raw.as_bytes(), &ParseLimits::default()).unwrap(), event);
    }

    #[test]
    fn no_bytes_make_it_panic(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
        _ = parse(&raw, &ParseLimits::default());
    }

    /// Damages a good event at one place: the deepest branches are reached that random bytes never reach.
    #[test]
    fn no_damage_makes_it_panic_or_tell_the_text(event in event(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut raw = to_json(&event).to_string().into_bytes();
        let at = at.index(raw.len());
        raw[at] = byte;
        if let Err(error) = parse(&raw, &ParseLimits::default()) {
            prop_assert!(error.to_string().len() < 1_000, "{}", error);
        }
    }
}
