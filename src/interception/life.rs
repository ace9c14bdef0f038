//! The life of a wordlist: from a draft to what is in force, by steps that show what it would do before it does it.
//!
//! | state | its terms are | its hits |
//! |---|---|---|
//! | `draft` 草稿 | not compiled | none |
//! | `shadow` 试运行 | judged | are counted apart and change nothing |
//! | `staged` 灰度 | judged | count in a share of the groups or in some regions; elsewhere as in `shadow` |
//! | `live` 生效 | judged | count |
//!
//! Before its `valid_from` and from its `valid_until` on a list in any state hits nothing; the latter is its end.
//! Not for: moving a list from one state to the next.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::audience::Audience;
use crate::event::RegionId;

/// In which state of its life a list is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// Not compiled in.
    Draft,
    /// Judged and counted, without effect.
    Shadow,
    /// In force in a part of the groups.
    Staged(Stage),
    /// In force.
    #[default]
    Live,
}

/// How far a list has come on its way to all groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// In force in this share of all groups, in percent; a group in a smaller share is in every greater one.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 100)]
    pub share_percent: u8,
    /// In force in these regions too.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub regions: BTreeSet<RegionId>,
    /// Fewest hits in 10,000 messages that are as expected.
    #[serde(default)]
    pub hits_per_10k_min: u32,
    /// Most hits in 10,000 messages that are as expected.
    pub hits_per_10k_max: u32,
}

impl Life {
    /// Returns the state's name.
    pub fn name(&self) -> &'static str {
        match self {
            Life::Draft => "draft",
            Life::Shadow => "shadow",
            Life::Staged(_) => "staged",
            Life::Live => "live",
        }
    }

    /// Says whether it is in force in some groups before others.
    pub(super) fn is_partial(&self) -> bool {
        matches!(self, Life::Staged(_))
    }

    /// Says what is wrong with it, if anything.
    ///
    /// # Errors
    /// Says what would be right.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let Life::Staged(stage) = self else { return Ok(()) };
        if stage.share_percent > 100 {
            return Err("`share_percent` is at most 100");
        }
        if stage.share_percent == 0 && stage.regions.is_empty() {
            return Err(
                "a staged list needs `share_percent` or `regions`; to judge without effect use `shadow`",
            );
        }
        if stage.hits_per_10k_min > stage.hits_per_10k_max {
            return Err("`hits_per_10k_min` is above `hits_per_10k_max`");
        }
        Ok(())
    }

    /// Says whether hits count for an audience; where not, they are counted apart.
    pub(super) fn is_in_force(&self, audience: &Audience<'_>) -> bool {
        match self {
            Life::Draft | Life::Shadow => false,
            Life::Live => true,
            Life::Staged(stage) => {
                // Where there is no group (a text that goes to many), a share of the groups is none of it but all.
                let is_in_share = match audience.percentile() {
                    Some(percentile) => percentile < u64::from(stage.share_percent),
                    None => stage.share_percent >= 100,
                };
                is_in_share || audience.region.is_some_and(|region| stage.regions.contains(region))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_in_force_in_its_share_and_in_its_regions_only() {
        let life = |json| serde_json::from_str::<Life>(json).unwrap();
        let staged = life(r#"{"staged":{"share_percent":30,"regions":["east"],"hits_per_10k_max":5}}"#);
        let groups: Vec<String> = (0..1_000).map(|n| format!("g-{n}")).collect();
        let counts = |life: &Life, region| {
            let audience = |group| Audience { account: "demo", group, region, ..Audience::default() };
            groups.iter().filter(|group| life.is_in_force(&audience(group.as_str()))).count()
        };
        assert!((200..400).contains(&counts(&staged, None)), "{}", counts(&staged, None));
        assert_eq!(counts(&staged, Some("west")), counts(&staged, None));
        assert_eq!(counts(&staged, Some("east")), 1_000);
        assert!(!staged.is_in_force(&Audience::default()));
        for (json, expect) in [(r#""draft""#, 0), (r#""shadow""#, 0), (r#""live""#, 1_000)] {
            assert_eq!(counts(&life(json), None), expect, "{json}");
        }
    }

    #[test]
    fn a_greater_share_holds_every_smaller_one() {
        let staged = |share_percent| Life::Staged(Stage { share_percent, ..Stage::default() });
        for n in 0..500 {
            let group = format!("g-{n}");
            let audience = Audience { account: "demo", group: &group, ..Audience::default() };
            let steps: Vec<_> = (1..=100).map(|share| staged(share).is_in_force(&audience)).collect();
            assert!(steps.is_sorted(), "{group}");
        }
    }

    #[test]
    fn a_stage_that_makes_no_sense_is_refused() {
        for (json, part) in [
            (r#"{"staged":{"hits_per_10k_max":5}}"#, "needs `share_percent`"),
            (r#"{"staged":{"share_percent":101,"hits_per_10k_max":5}}"#, "at most 100"),
            (r#"{"staged":{"share_percent":1,"hits_per_10k_min":6,"hits_per_10k_max":5}}"#, "above"),
        ] {
            let reason = serde_json::from_str::<Life>(json).unwrap().check().unwrap_err();
            assert!(reason.contains(part), "{json}: {reason}");
        }
        for json in [r#"{"staged":{"share_percent":1}}"#, r#"{"staged":{"share":1}}"#, r#""gone""#] {
            assert!(serde_json::from_str::<Life>(json).is_err(), "{json}");
        }
    }
}
