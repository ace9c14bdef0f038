//! All policies of a ruleset: as written, by themselves, and laid over each other for a group.

use std::collections::BTreeMap;

use super::inherit::{lay, sources};
use super::{
    Assigned, EffectivePolicy, Layer, LayerKind, POLICY_DEFAULT, Part, Policy, PolicyError, PolicyOrigin,
    StaffRule,
};
use crate::interception::audience::Speaker;

/// The policies of one ruleset. Immutable; whoever keeps what it worked out asks by its address whether it still holds.
#[derive(Debug)]
pub struct PolicyBook {
    written: BTreeMap<String, Policy>,
    /// Each over what is built in.
    alone: BTreeMap<String, Policy>,
    by_tag: BTreeMap<String, String>,
    default: String,
}

/// How the policy of a group came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyExplanation {
    /// What holds.
    pub effective: EffectivePolicy,
    /// The policies that were laid over each other, the bottom first.
    pub layers: Vec<PolicyOrigin>,
    /// Chosen policies that do not exist, passed over.
    pub missing: Vec<PolicyOrigin>,
    /// Where each part comes from, by part.
    pub parts: Vec<Part>,
}

impl EffectivePolicy {
    /// Returns the policy for a speaker's texts; `None` where they are not judged.
    pub fn for_speaker(&self, speaker: Speaker) -> Option<&Policy> {
        match (speaker, &self.policy.staff) {
            (Speaker::Staff, Some(StaffRule::Exempt)) => None,
            (Speaker::Staff, Some(StaffRule::Policy(_))) => self.staff.as_ref(),
            (Speaker::Staff, Some(StaffRule::Same) | None) | (Speaker::Customer | Speaker::Own, _) => {
                Some(&self.policy)
            }
        }
    }
}

impl PolicyBook {
    /// Collects policies; the presets are added where no policy has their name. `default` lies under all others.
    pub(in crate::interception) fn new(given: Vec<Policy>, default: &str) -> Result<Self, PolicyError> {
        let mut written = BTreeMap::new();
        for policy in given {
            policy.check()?;
            if let Some(twice) = written.insert(policy.name.clone(), policy) {
                return Err(PolicyError::Twice(twice.name));
            }
        }
        for preset in Policy::presets() {
            written.entry(preset.name.clone()).or_insert(preset);
        }
        let mut by_tag = BTreeMap::new();
        for policy in written.values() {
            if let Some(StaffRule::Policy(other)) = &policy.staff
                && !written.contains_key(other)
            {
                return Err(PolicyError::StaffPolicy { policy: policy.name.clone(), other: other.clone() });
            }
            for tag in &policy.tags {
                if let Some(other) = by_tag.insert(tag.clone(), policy.name.clone()) {
                    return Err(PolicyError::Tag { policy: policy.name.clone(), other, tag: tag.clone() });
                }
            }
        }
        let alone = written.iter().map(|(name, policy)| (name.clone(), lay([policy]))).collect();
        Ok(Self { written, alone, by_tag, default: default.to_owned() })
    }

    /// Returns a policy by itself, over what is built in.
    pub fn alone(&self, name: &str) -> Option<&Policy> {
        self.alone.get(name)
    }

    /// Returns a policy by itself for a speaker's texts, or `standard` where there is none of the name; `None` where
    /// they are not judged.
    pub fn alone_for(&self, name: &str, speaker: Speaker) -> Option<&Policy> {
        let policy = self.alone(name).or_else(|| self.alone(POLICY_DEFAULT))?;
        match (speaker, &policy.staff) {
            (Speaker::Staff, Some(StaffRule::Exempt)) => None,
            (Speaker::Staff, Some(StaffRule::Policy(other))) => self.alone(other),
            (Speaker::Staff, Some(StaffRule::Same) | None) | (Speaker::Customer | Speaker::Own, _) => {
                Some(policy)
            }
        }
    }

    /// Returns all policies as they are by themselves, by name.
    pub fn all(&self) -> impl Iterator<Item = &Policy> {
        self.alone.values()
    }

    /// Works out the policy of a group. Costs some microseconds: keep it, as long as the book is the same.
    pub fn effective(&self, assigned: &Assigned<'_>) -> EffectivePolicy {
        let layers = self.layers(assigned);
        self.of_layers(layers.iter().filter_map(|layer| self.written.get(layer.policy)))
    }

    /// Works out the policy of a group and where each of its parts comes from.
    pub fn explain(&self, assigned: &Assigned<'_>) -> PolicyExplanation {
        let layers = self.layers(assigned);
        let (found, missing): (Vec<&Layer<'_>>, Vec<&Layer<'_>>) =
            layers.iter().partition(|layer| self.written.contains_key(layer.policy));
        let built_in = Policy::built_in();
        let bottom = Layer { kind: LayerKind::BuiltIn, id: "", policy: &built_in.name };
        let written = found.iter().filter_map(|layer| Some((**layer, self.written.get(layer.policy)?)));
        let all: Vec<_> = std::iter::once((bottom, &built_in)).chain(written).collect();
        PolicyExplanation {
            effective: self.of_layers(all.iter().skip(1).map(|(_, policy)| *policy)),
            layers: all.iter().map(|(layer, _)| PolicyOrigin::from(layer)).collect(),
            missing: missing.into_iter().map(PolicyOrigin::from).collect(),
            parts: sources(all),
        }
    }

    fn of_layers<'p>(&self, policies: impl Iterator<Item = &'p Policy>) -> EffectivePolicy {
        let policy = lay(policies);
        let staff = match &policy.staff {
            Some(StaffRule::Policy(other)) => self.alone(other).cloned(),
            Some(StaffRule::Same | StaffRule::Exempt) | None => None,
        };
        EffectivePolicy { policy, staff }
    }

    /// Returns all choices for a group from the bottom up, those for its tags too.
    fn layers<'a>(&'a self, assigned: &Assigned<'a>) -> Vec<Layer<'a>> {
        let mut layers = vec![Layer { kind: LayerKind::Default, id: "", policy: &self.default }];
        layers.extend(&assigned.chosen);
        layers.extend(assigned.tags.iter().filter_map(|tag| {
            let policy = self.by_tag.get(tag)?;
            Some(Layer { kind: LayerKind::Tag, id: tag, policy })
        }));
        layers.sort_by_key(|layer| (layer.kind, layer.id));
        layers
    }
}
