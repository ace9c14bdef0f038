//! Events for tests: the writer that `parse` is checked against, and arbitrary events.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::event::{Attachment, EventType, GroupChange, GroupEvent, Message, Role, What};

/// Writes an event the way the API reads it.
pub(crate) fn to_json(event: &GroupEvent<'_>) -> Value {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| _ = out.insert(key.to_owned(), value);
    put("id", json!(event.id));
    put("account", json!(event.account));
    put("type", json!(event.what.event_type()));
    put("role", json!(event.role));
    put("member", json!(event.member));
    if event.what.event_type() != EventType::ContactAdded {
        put("group", json!(event.group));
    }
    if let Some(name) = &event.name {
        put("name", json!(name));
    }
    if let Some(at_ms) = event.at_ms {
        put("at", json!(jiff::Timestamp::from_millisecond(at_ms).expect("in range").to_string()));
    }
    let mut change = |change: &GroupChange<'_>| {
        put("name", json!(change.name));
        put("owner", json!(change.owner));
    };
    match &event.what {
        What::Message(message) => put_message(&mut put, message),
        What::MessageEdited { of, message } => {
            put("of", json!(of));
            put_message(&mut put, message);
        }
        What::MessageRecalled { of } => put("of", json!(of)),
        What::MemberJoined { inviter, scene, channel, profile, .. } => {
            put("profile", json!(profile));
            put("inviter", json!(inviter));
            put("scene", json!(scene));
            put("channel", json!(channel));
        }
        What::MemberLeft { reason, inferred } => {
            put("reason", json!(reason));
            put("inferred", json!(inferred));
        }
        What::ContactAdded { staff, welcome_code, channel } => {
            put("staff", json!(staff));
            put("welcome_code", json!(welcome_code));
            put("channel", json!(channel));
        }
        What::GroupCreated(c) | What::GroupUpdated(c) | What::OwnerChanged(c) => change(c),
        What::GroupDismissed
        | What::RosterRead(_)
        | What::Silence { .. }
        | What::ContactRemoved { .. }
        | What::TagsChanged { .. }
        | What::LateVerdict { .. }
        | What::Pardoned { .. }
        | What::Expelled { .. }
        | What::Overturned { .. }
        | What::Due
        | What::SegmentRead(_) => {}
        What::ConsentChanged { granted } => put("granted", json!(granted)),
        What::Outcome { kind, value, broadcast } => {
            put("kind", json!(kind));
            put("value", json!(value));
            put("broadcast", json!(broadcast));
        }
    }
    Value::Object(out)
}

fn put_message(put: &mut impl FnMut(&str, Value), message: &Message<'_>) {
    put("text", json!(message.text));
    put("content_type", json!(message.content_type));
    put("mentions", json!(message.mentions));
    put("forwarded", json!(message.forwarded));
    put("quote", json!(message.quote));
    put("attachments", json!(message.attachments));
}

type Str = Cow<'static, str>;

fn id() -> impl Strategy<Value = Str> {
    prop_oneof!["[!-~]{1,40}", "[a-z群店\"\\\\]{1,30}"].prop_map(Cow::Owned)
}

fn maybe_id() -> impl Strategy<Value = Option<Str>> {
    proptest::option::of(id())
}

fn text() -> impl Strategy<Value = Str> {
    any::<String>().prop_map(Cow::Owned)
}

fn maybe_text() -> impl Strategy<Value = Option<Str>> {
    proptest::option::of(text())
}

fn message() -> impl Strategy<Value = Message<'static>> {
    let attachment = (id(), maybe_text(), maybe_text(), maybe_text(), maybe_text())
        .prop_map(|(kind, url, appid, title, sha256)| Attachment { kind, url, appid, title, sha256 });
    let parts = (
        text(),
        maybe_text(),
        proptest::collection::vec(id(), 0..3),
        maybe_text(),
        proptest::collection::vec(attachment, 0..3),
        any::<bool>(),
    );
    parts.prop_map(|(text, content_type, mentions, quote, attachments, forwarded)| Message {
        text,
        content_type,
        mentions,
        forwarded,
        quote,
        attachments,
    })
}

fn what() -> impl Strategy<Value = What<'static>> {
    let change = || (maybe_text(), maybe_id()).prop_map(|(name, owner)| GroupChange { name, owner });
    // Whole cents: serde_json's fast reading of longer fractions may be off in the last bit.
    let value = any::<i32>().prop_map(|cents| f64::from(cents) / 100.0);
    prop_oneof![
        message().prop_map(What::Message),
        (maybe_id(), message()).prop_map(|(of, message)| What::MessageEdited { of, message }),
        maybe_id().prop_map(|of| What::MessageRecalled { of }),
        (maybe_id(), maybe_text(), maybe_text(), maybe_text()).prop_map(
            |(inviter, scene, channel, profile)| What::MemberJoined {
                profile,
                inviter,
                scene,
                channel,
                union_id: None,
                inferred: false,
            }
        ),
        (maybe_text(), any::<bool>()).prop_map(|(reason, inferred)| What::MemberLeft { reason, inferred }),
        (id(), maybe_text(), maybe_text()).prop_map(|(staff, welcome_code, channel)| What::ContactAdded {
            staff,
            welcome_code,
            channel
        }),
        change().prop_map(What::GroupCreated),
        change().prop_map(What::GroupUpdated),
        (maybe_text(), id())
            .prop_map(|(name, owner)| What::OwnerChanged(GroupChange { name, owner: Some(owner) })),
        Just(What::GroupDismissed),
        any::<bool>().prop_map(|granted| What::ConsentChanged { granted }),
        (id(), value, maybe_id()).prop_map(|(kind, value, broadcast)| What::Outcome {
            kind,
            value,
            broadcast
        }),
    ]
}

/// Any event that the API can spell.
pub(crate) fn event() -> impl Strategy<Value = GroupEvent<'static>> {
    let role = prop_oneof![Just(Role::Customer), Just(Role::Staff), Just(Role::Bot)];
    let at = proptest::option::of(0_i64..4_000_000_000_000);
    (id(), id(), id(), id(), maybe_text(), role, at, what()).prop_map(
        |(id, account, group, member, name, role, at_ms, what)| {
            let kind = what.event_type();
            let of_member = !matches!(
                kind,
                EventType::GroupCreated
                    | EventType::GroupUpdated
                    | EventType::OwnerChanged
                    | EventType::GroupDismissed
            );
            let group = if kind == EventType::ContactAdded { Cow::Borrowed("") } else { group };
            let name = name.filter(|_| of_member);
            GroupEvent { id, account, group, member: Some(member), name, role, at_ms, step: None, what }
        },
    )
}
