//! The flat shape of an event's JSON, before anything is checked: every field optional, unknown ones refused.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::event::{EventType, Role};

/// A string, borrowed where it has no escapes. A newtype, because serde borrows a `Cow` only where it stands directly
/// in a field, not inside an `Option` or a `Vec`.
#[derive(Debug, Default)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(TextVisitor).map(Text)
    }
}

/// A time in milliseconds since the epoch, written in RFC 3339 with an offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct At(pub(super) i64);

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        match text.parse::<jiff::Timestamp>() {
            Ok(at) => Ok(Self(at.as_millisecond())),
            Err(_) => Err(Error::custom("must be a time with an offset, as in `2026-11-22T10:00:00+08:00`")),
        }
    }
}

/// A JSON object and nothing else: serde's derived structs also read arrays, field by field, which no caller means.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Object)
    }
}

/// A `type` that may be sent in.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Kind(#[serde(with = "SentIn")] pub(super) EventType);

/// The kind of an event without its contents; the spelling is the API's `type`.
// Connectors make some more kinds by themselves; naming those here would let a caller make them too.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(remote = "EventType", rename_all = "snake_case")]
#[schema(as = EventType)]
pub enum SentIn {
    /// A member said something.
    Message,
    /// A member changed an earlier message.
    MessageEdited,
    /// A member took a message back.
    MessageRecalled,
    /// Someone entered the group.
    MemberJoined,
    /// Someone left the group or was removed.
    MemberLeft,
    /// A person added a staff member one to one.
    ContactAdded,
    /// The group came into being.
    GroupCreated,
    /// Name, notice or another property of the group changed.
    GroupUpdated,
    /// The group has a new owner.
    OwnerChanged,
    /// The group is gone.
    GroupDismissed,
    /// A member agreed to, or withdrew from, having messages stored.
    ConsentChanged,
    /// A business result reported by the brand: click, order, visit.
    Outcome,
}

/// Every field of every type.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEvent<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) account: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) group: Option<Text<'a>>,
    #[serde(rename = "type")]
    pub(super) kind: Option<Kind>,
    #[serde(borrow)]
    pub(super) member: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    pub(super) role: Option<Role>,
    #[serde(borrow)]
    pub(super) text: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) content_type: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) mentions: Option<Vec<Text<'a>>>,
    pub(super) forwarded: Option<bool>,
    #[serde(borrow)]
    pub(super) quote: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) attachments: Option<Vec<Object<RawAttachment<'a>>>>,
    #[serde(borrow)]
    pub(super) of: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) inviter: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) scene: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) channel: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) profile: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) reason: Option<Text<'a>>,
    pub(super) inferred: Option<bool>,
    #[serde(borrow)]
    pub(super) staff: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) welcome_code: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) owner: Option<Text<'a>>,
    #[serde(borrow, rename = "kind")]
    pub(super) outcome: Option<Text<'a>>,
    pub(super) value: Option<f64>,
    #[serde(borrow)]
    pub(super) broadcast: Option<Text<'a>>,
    pub(super) granted: Option<bool>,
    pub(super) at: Option<At>,
}

/// One entry of `attachments`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAttachment<'a> {
    #[serde(borrow)]
    pub(super) kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) url: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) appid: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) title: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) sha256: Option<Text<'a>>,
}
