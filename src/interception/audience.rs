//! Whose text it is, where and when; and which of them a wordlist or a term reaches.
//!
//! One ruleset holds the lists of all tenants: what does not reach an audience is as if it were not listed.
//! Not for: who may see or change a list (`access`), nor which verdict follows (`policy`).

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event::{BrandId, GroupName, Place, RegionId, Role};

/// Whose words a text is.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// A customer's, or a program's that is not ours.
    #[default]
    #[serde(alias = "bot")]
    Customer,
    /// An employee's.
    Staff,
    /// Our own: broadcasts, notices, welcomes.
    Own,
}

impl From<Role> for Speaker {
    fn from(role: Role) -> Self {
        match role {
            Role::Customer | Role::Bot => Self::Customer,
            Role::Staff => Self::Staff,
        }
    }
}

/// Whom a text is judged for. The default is a customer of nowhere, at the epoch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audience<'a> {
    /// Whose text it is.
    pub speaker: Speaker,
    /// The group's account; empty where the text is in no group.
    pub account: &'a str,
    /// The platform's id of the group; empty where the text is in none.
    pub group: &'a str,
    /// The group's brand, where known.
    pub brand: Option<&'a str>,
    /// The group's region, where known.
    pub region: Option<&'a str>,
    /// The group's tags.
    pub tags: &'a [String],
    /// Now, in milliseconds since the epoch.
    pub now_ms: i64,
}

impl<'a> Audience<'a> {
    /// Puts it where a group belongs.
    #[must_use]
    pub fn of_place(self, place: &'a Place) -> Self {
        Self {
            brand: place.brand.as_ref().map(BrandId::as_str),
            region: place.region.as_ref().map(RegionId::as_str),
            ..self
        }
    }

    /// Returns a number below 100 that its group keeps for good; `None` where there is no group.
    pub(super) fn percentile(&self) -> Option<u64> {
        // FNV-1a, finished by a multiplication and a shift: its low bits alone favour some remainders.
        let bytes = self.account.bytes().chain([b'/']).chain(self.group.bytes());
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        let hash = bytes.fold(0xCBF2_9CE4_8422_2325, step);
        (!self.group.is_empty()).then(|| (hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % 100)
    }
}

/// Which groups something applies to: those that any of its lists names; everyone where all are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListScope {
    /// Groups of these brands.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub brands: BTreeSet<BrandId>,
    /// Groups of these regions.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub regions: BTreeSet<RegionId>,
    /// Groups with these tags.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub tags: BTreeSet<String>,
    /// These groups, as `account/group`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub groups: BTreeSet<GroupName>,
}

impl ListScope {
    /// Says whether it is everyone.
    pub fn is_everyone(&self) -> bool {
        self.brands.is_empty() && self.regions.is_empty() && self.tags.is_empty() && self.groups.is_empty()
    }

    /// Says whether the audience is part of it.
    pub fn covers(&self, audience: &Audience<'_>) -> bool {
        let is_group = |name: &GroupName| {
            name.account.as_str() == audience.account && name.group.as_str() == audience.group
        };
        self.is_everyone()
            || audience.brand.is_some_and(|brand| self.brands.contains(brand))
            || audience.region.is_some_and(|region| self.regions.contains(region))
            || audience.tags.iter().any(|tag| self.tags.contains(tag))
            || self.groups.iter().any(is_group)
    }
}

/// Whose texts something applies to; everyone's when empty. Written as a list: `["customer", "staff"]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Speaker>", into = "Vec<Speaker>")]
pub struct Roles(u8);

impl Roles {
    const ALL: [Speaker; 3] = [Speaker::Customer, Speaker::Staff, Speaker::Own];

    /// Says whether nobody is named, so that it applies to all.
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Says whether it applies to a speaker's texts.
    pub fn covers(self, speaker: Speaker) -> bool {
        self.0 == 0 || self.0 & Self::bit(speaker) != 0
    }

    fn bit(speaker: Speaker) -> u8 {
        match speaker {
            Speaker::Customer => 1,
            Speaker::Staff => 2,
            Speaker::Own => 4,
        }
    }
}

impl FromIterator<Speaker> for Roles {
    fn from_iter<I: IntoIterator<Item = Speaker>>(speakers: I) -> Self {
        Self(speakers.into_iter().fold(0, |bits, speaker| bits | Self::bit(speaker)))
    }
}

impl From<Vec<Speaker>> for Roles {
    fn from(speakers: Vec<Speaker>) -> Self {
        speakers.into_iter().collect()
    }
}

impl From<Roles> for Vec<Speaker> {
    fn from(roles: Roles) -> Self {
        Roles::ALL.into_iter().filter(|speaker| roles.0 & Roles::bit(*speaker) != 0).collect()
    }
}

/// Whom and when a wordlist or a term reaches. The default is everyone, always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    pub(super) scope: ListScope,
    pub(super) roles: Roles,
    /// From then on.
    pub(super) valid_from: Option<i64>,
    /// Before then.
    pub(super) valid_until: Option<i64>,
}

impl Reach {
    pub(super) fn covers(&self, audience: &Audience<'_>) -> bool {
        self.roles.covers(audience.speaker)
            && self.valid_from.is_none_or(|from| from <= audience.now_ms)
            && self.valid_until.is_none_or(|until| audience.now_ms < until)
            && self.scope.covers(audience)
    }
}

/// Reads `2026-11-01T09:00:00+08:00`; without an offset, or as a mere day, it is a time in China (UTC+8).
pub(super) fn read_moment(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_millisecond());
    }
    let china = TimeZone::fixed(Offset::constant(8));
    let local = text.parse::<DateTime>().ok()?.to_zoned(china).ok()?;
    Some(local.timestamp().as_millisecond())
}

/// What a time looks like, for messages.
pub(super) const MOMENT_FORM: &str =
    "a time is like 2026-11-01T09:00:00+08:00, or 2026-11-01 for its midnight in China";

/// Times as RFC 3339 outside and milliseconds since the epoch inside, for `#[serde(with)]`.
pub mod moment {
    use super::{Deserialize, Deserializer, MOMENT_FORM, Serializer, Timestamp, read_moment};

    /// Writes RFC 3339.
    pub fn serialize<S: Serializer>(ms: &Option<i64>, to: S) -> Result<S::Ok, S::Error> {
        match ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()) {
            Some(time) => to.collect_str(&time),
            None => to.serialize_none(),
        }
    }

    /// Reads RFC 3339; without an offset, or as a mere day, it is a time in China (UTC+8).
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let wrong = || serde::de::Error::custom(format!("`{text}` is no time: {MOMENT_FORM}"));
        read_moment(&text).map(Some).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3_600_000;

    #[test]
    fn a_scope_is_the_sum_of_its_lists() {
        let scope = |json| serde_json::from_str::<ListScope>(json).unwrap();
        let tags = ["vip".to_owned()];
        let east = Audience {
            account: "demo",
            group: "g-7",
            brand: Some("tea"),
            region: Some("east"),
            tags: &tags,
            ..Audience::default()
        };
        for (json, covers) in [
            ("{}", true),
            (r#"{"brands":["tea"]}"#, true),
            (r#"{"brands":["rice"]}"#, false),
            (r#"{"regions":["west","east"]}"#, true),
            (r#"{"regions":["west"]}"#, false),
            (r#"{"regions":["west"],"tags":["vip"]}"#, true),
            (r#"{"tags":["new"]}"#, false),
            (r#"{"groups":["demo/g-7"]}"#, true),
            (r#"{"groups":["other/g-7","demo/g-8"]}"#, false),
        ] {
            assert_eq!(scope(json).covers(&east), covers, "{json}");
        }
        let nowhere = Audience::default();
        assert!(scope("{}").covers(&nowhere));
        assert!(!scope(r#"{"brands":["tea"],"regions":["east"],"tags":["vip"]}"#).covers(&nowhere));
        assert!(serde_json::from_str::<ListScope>(r#"{"shops":["s"]}"#).is_err());
        assert!(serde_json::from_str::<ListScope>(r#"{"groups":["no-slash"]}"#).is_err());
    }

    #[test]
    fn roles_are_a_list_and_none_is_all() {
        let roles = |json| serde_json::from_str::<Roles>(json).unwrap();
        for (json, covers) in [
            ("[]", [true, true, true]),
            (r#"["staff"]"#, [false, true, false]),
            (r#"["own","customer"]"#, [true, false, true]),
        ] {
            assert_eq!(Roles::ALL.map(|speaker| roles(json).covers(speaker)), covers, "{json}");
        }
        assert_eq!(serde_json::to_string(&roles(r#"["own","customer"]"#)).unwrap(), r#"["customer","own"]"#);
    }

    #[test]
    fn validity_begins_at_its_first_and_ends_before_its_last_moment() {
        let (from, until) = (10 * DAY, 20 * DAY);
        let reach = Reach { valid_from: Some(from), valid_until: Some(until), ..Reach::default() };
        for (now_ms, covers) in [(from - 1, false), (from, true), (until - 1, true), (until, false)] {
            assert_eq!(reach.covers(&Audience { now_ms, ..Audience::default() }), covers, "{now_ms}");
        }
    }

    #[test]
    fn a_moment_is_read_in_both_forms_and_a_wrong_one_is_named() {
        let midnight = read_moment("2026-11-01").unwrap();
        assert_eq!(read_moment("2026-11-01T00:00:00+08:00"), Some(midnight));
        assert_eq!(read_moment("2026-10-31T16:00:00Z"), Some(midnight));
        assert_eq!(read_moment("2026-11-01T09:00:00"), Some(midnight + 9 * DAY / 24));
        for text in ["", "soon", "2026-13-01", "2026-11-01..", "99999-01-01"] {
            assert_eq!(read_moment(text), None, "{text}");
        }
    }

    #[test]
    fn the_share_of_groups_is_even_and_stable() {
        let percentile =
            |group: &str| Audience { account: "demo", group, ..Audience::default() }.percentile().unwrap();
        assert_eq!((percentile("g-1"), percentile("g-2")), (percentile("g-1"), percentile("g-2")));
        let below = |share| (0..10_000).filter(|n| percentile(&format!("group-{n}")) < share).count();
        for (share, around) in [(0, 0), (1, 100), (10, 1_000), (50, 5_000), (100, 10_000)] {
            let tenth = around / 5;
            assert!((around - tenth..=around + tenth).contains(&below(share)), "{share}: {}", below(share));
        }
        assert_eq!(Audience::default().percentile(), None);
    }
}
