//! For which groups something is meant: a welcome template, a reply rule. And how many of something are meant.
//!
//! The closest one wins: a shop's own before its region's, before its brand's, before everybody's; with a tag before
//! without. Equally close ones: the first by id.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::event::{BrandId, Place, RegionId, ShopId};

/// For which groups something is meant. Places add up; tags narrow them down. All empty: every group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// Groups of these brands.
    #[schema(value_type = Vec<String>)]
    pub brands: BTreeSet<BrandId>,
    /// Groups of these regions.
    #[schema(value_type = Vec<String>)]
    pub regions: BTreeSet<RegionId>,
    /// Groups of these shops.
    #[schema(value_type = Vec<String>)]
    pub shops: BTreeSet<ShopId>,
    /// Only groups with one of these tags.
    pub tags: BTreeSet<String>,
}

/// How closely something is meant for a group; the greatest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fit {
    place: Nearness,
    tagged: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    Everywhere,
    Brand,
    Region,
    Shop,
}

impl Plan {
    /// Returns how closely it is meant for a group; `None` when it is not.
    pub fn fit(&self, place: &Place, tags: &[String]) -> Option<Fit> {
        let tagged = tags.iter().any(|tag| self.tags.contains(tag));
        if !self.tags.is_empty() && !tagged {
            return None;
        }
        let everywhere = self.brands.is_empty() && self.regions.is_empty() && self.shops.is_empty();
        let near = [
            (place.shop.as_ref().is_some_and(|shop| self.shops.contains(shop)), Nearness::Shop),
            (place.region.as_ref().is_some_and(|region| self.regions.contains(region)), Nearness::Region),
            (place.brand.as_ref().is_some_and(|brand| self.brands.contains(brand)), Nearness::Brand),
            (everywhere, Nearness::Everywhere),
        ];
        let place = near.into_iter().find(|(fits, _)| *fits)?.1;
        Some(Fit { place, tagged })
    }

    /// Returns how many names it lists.
    pub fn names(&self) -> usize {
        self.brands.len() + self.regions.len() + self.shops.len() + self.tags.len()
    }
}

/// From one number to another, both among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// At least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// At most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

impl Range {
    /// Says whether a number is in it.
    pub fn holds(self, value: u64) -> bool {
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }

    /// Says whether it says something and any number can be in it.
    pub fn is_possible(self) -> bool {
        (self.min.is_some() || self.max.is_some()) && self.min.unwrap_or(0) <= self.max.unwrap_or(u64::MAX)
    }
}

/// Returns the template that is meant for a group, of templates in order of their ids.
pub fn choose<'t>(
    templates: impl IntoIterator<Item = (&'t str, &'t Plan)>,
    place: &Place,
    tags: &[String],
) -> Option<&'t str> {
    let mut best: Option<(Fit, &str)> = None;
    for (id, plan) in templates {
        if let Some(fit) = plan.fit(place, tags)
            && best.is_none_or(|(closest, _)| fit > closest)
        {
            best = Some((fit, id));
        }
    }
    best.map(|(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_template_is_chosen() {
        let plan = |json: &str| serde_json::from_str::<Plan>(json).unwrap();
        let templates = [
            ("all", plan("{}")),
            ("brand", plan(r#"{"brands":["acme"]}"#)),
            ("east", plan(r#"{"regions":["east"]}"#)),
            ("east-vip", plan(r#"{"regions":["east"],"tags":["vip"]}"#)),
            ("new", plan(r#"{"tags":["new"]}"#)),
            ("shop", plan(r#"{"shops":["s-1"],"regions":["west"]}"#)),
            ("shop-again", plan(r#"{"shops":["s-1"]}"#)),
        ];
        for (path, tags, expect) in [
            ("//", &[][..], "all"),
            ("//", &["new"], "new"),
            ("acme//", &[], "brand"),
            ("acme//", &["new"], "brand"),
            ("acme/east/s-2", &[], "east"),
            ("acme/east/s-2", &["vip"], "east-vip"),
            ("acme/west/s-3", &[], "shop"),
            ("acme/east/s-1", &["vip"], "shop"),
        ] {
            let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
            let templates = templates.iter().map(|(id, plan)| (*id, plan));
            assert_eq!(choose(templates, &Place::of_path(path), &tags), Some(expect), "{path} {tags:?}");
        }
        assert_eq!(choose([("vip", &plan(r#"{"tags":["vip"]}"#))], &Place::default(), &[]), None);
    }
}
