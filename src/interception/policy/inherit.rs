//! Inheritance: policies chosen for brand, region, shop, tag and group, laid over each other part by part.
//!
//! From the bottom: what is built in, the configuration's default, the account's, the brand's, the region's, the
//! shop's, those of the group's tags in the order of the tags, the group's own. For each part the topmost policy that
//! says something wins. `wordlists`, `evidence`, `content` and `ladder` are one part each: replaced whole, never mixed. Verdicts by level are
//! three parts, and each category has parts of its own.
//!
//! A chosen policy that does not exist is passed over, and shown as missing. `tags` and `push_down` say where a policy
//! itself is used and are no part of what is inherited.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{CategoryRule, LEVELS, LevelVerdicts, Policy, StaffRule, Strictness, VARIANT_VERDICT_MAX};
use crate::conduct::ladder::Ladder;
use crate::event::pointer_part;
use crate::interception::content::ContentPolicy;
use crate::interception::keeping::Keeping;

/// Which kind of thing a policy was chosen for, from the bottom up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LayerKind {
    /// What holds where nobody says anything.
    BuiltIn,
    /// `interception.policy` of the configuration.
    Default,
    /// An account.
    Account,
    /// A brand.
    Brand,
    /// A region.
    Region,
    /// A shop.
    Shop,
    /// A tag.
    Tag,
    /// The group.
    Group,
}

/// A policy and what it was chosen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer<'a> {
    /// Which kind of thing.
    pub kind: LayerKind,
    /// Its id; empty for what is built in and the default.
    pub id: &'a str,
    /// The policy's name.
    pub policy: &'a str,
}

/// What was chosen for a group and everything it belongs to.
#[derive(Clone, Debug, Default)]
pub struct Assigned<'a> {
    /// The choices, in any order; those of tags are made by the policies themselves.
    pub chosen: Vec<Layer<'a>>,
    /// The group's tags.
    pub tags: &'a [String],
}

/// What a group is judged by, all layers together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectivePolicy {
    /// For customers, and for our own sends; named after the topmost layer.
    pub policy: Policy,
    /// For staff, where that is another policy.
    pub staff: Option<Policy>,
}

/// Where a part of an effective policy comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Part {
    /// Which part, as a JSON Pointer into the policy.
    pub part: String,
    /// From where.
    #[serde(flatten)]
    pub from: PolicyOrigin,
}

/// A layer as it is told to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PolicyOrigin {
    /// Which kind of thing the policy was chosen for.
    pub layer: LayerKind,
    /// Its id; null for what is built in and the default.
    pub id: Option<String>,
    /// The policy.
    pub policy: String,
}

impl From<&Layer<'_>> for PolicyOrigin {
    fn from(layer: &Layer<'_>) -> Self {
        let id = (!layer.id.is_empty()).then(|| layer.id.to_owned());
        Self { layer: layer.kind, id, policy: layer.policy.to_owned() }
    }
}

impl Policy {
    /// Returns what holds where nobody says anything: every part but categories.
    pub fn built_in() -> Self {
        Self {
            name: "built-in".to_owned(),
            wordlists: Some(Vec::new()),
            levels: LEVELS,
            strictness: Some(Strictness::default()),
            variant_verdict_max: Some(VARIANT_VERDICT_MAX),
            whole_words: Some(false),
            dialects: Some(true),
            staff: Some(StaffRule::Same),
            evidence: Some(Keeping::default()),
            content: Some(ContentPolicy::default()),
            ladder: Some(Ladder::default()),
            ..Self::default()
        }
    }

    /// Lays this policy over another: each part is this one's where it says something. The name is this one's, and so
    /// is what is not inherited.
    #[must_use]
    pub fn over(&self, below: &Self) -> Self {
        let mut categories = below.categories.clone();
        for (category, rule) in &self.categories {
            let below = categories.entry(category.clone()).or_default();
            *below = rule.over(*below);
        }
        Self {
            name: self.name.clone(),
            wordlists: self.wordlists.clone().or_else(|| below.wordlists.clone()),
            levels: self.levels.over(below.levels),
            categories,
            strictness: self.strictness.or(below.strictness),
            variant_verdict_max: self.variant_verdict_max.or(below.variant_verdict_max),
            whole_words: self.whole_words.or(below.whole_words),
            dialects: self.dialects.or(below.dialects),
            staff: self.staff.clone().or_else(|| below.staff.clone()),
            evidence: self.evidence.clone().or_else(|| below.evidence.clone()),
            content: self.content.clone().or_else(|| below.content.clone()),
            ladder: self.ladder.clone().or_else(|| below.ladder.clone()),
            tags: self.tags.clone(),
            push_down: self.push_down.clone(),
        }
    }

    /// Returns the parts that it says something of, as JSON Pointers into it.
    pub fn parts(&self) -> Vec<String> {
        let inherited = Self {
            name: String::new(),
            tags: std::collections::BTreeSet::new(),
            push_down: Vec::new(),
            ..self.clone()
        };
        let mut parts = Vec::new();
        let value = serde_json::to_value(inherited).expect("a policy holds only what JSON can say");
        leaves(&value, &mut String::new(), &mut parts);
        parts.retain(|part| part != "/name");
        parts
    }
}

impl LevelVerdicts {
    fn over(self, below: Self) -> Self {
        Self {
            low: self.low.or(below.low),
            medium: self.medium.or(below.medium),
            high: self.high.or(below.high),
        }
    }
}

impl CategoryRule {
    fn over(self, below: Self) -> Self {
        Self {
            level: self.level.or(below.level),
            verdict: self.verdict.or(below.verdict),
            strictness: self.strictness.or(below.strictness),
        }
    }
}

/// Parts that are objects.
const WHOLE: [&str; 4] = ["/content", "/evidence", "/ladder", "/staff"];

/// Notes where in an object something stands that is no object. How staff are treated is one part in both its
/// forms, and so is what is replaced whole.
fn leaves(value: &Value, at: &mut String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !WHOLE.contains(&at.as_str()) => {
            for (field, value) in fields {
                let length = at.len();
                at.push_str(&pointer_part(field));
                leaves(value, at, found);
                at.truncate(length);
            }
        }
        Value::Object(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_) => found.push(at.clone()),
    }
}

/// Lays policies over each other, the first at the bottom; without any, what is built in.
pub(in crate::interception) fn lay<'p>(policies: impl IntoIterator<Item = &'p Policy>) -> Policy {
    policies.into_iter().fold(Policy::built_in(), |below, policy| policy.over(&below))
}

/// Says of each part which layer it comes from; the first layer is the bottom.
pub(in crate::interception) fn sources<'l>(
    layers: impl IntoIterator<Item = (Layer<'l>, &'l Policy)>,
) -> Vec<Part> {
    let mut from: BTreeMap<String, PolicyOrigin> = BTreeMap::new();
    for (layer, policy) in layers {
        for part in policy.parts() {
            from.insert(part, PolicyOrigin::from(&layer));
        }
    }
    from.into_iter().map(|(part, from)| Part { part, from }).collect()
}
