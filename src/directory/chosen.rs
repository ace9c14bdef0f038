//! The policies chosen for a group and for what it belongs to, and what they come to under the rules in force.
//!
//! Groups for which the same was chosen share one [`Chosen`], so that a new ruleset has their policy worked out once and
//! not once a group; after that the hot path pays a load and a comparison.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use super::{Account, Directory, GroupContext, GroupRecord, Shop};
use crate::event::BrandId;
use crate::interception::{Assigned, EffectivePolicy, Layer, LayerKind, PolicyBook};

/// The policies chosen for a group, but for those of its tags: these the ruleset knows.
#[derive(Debug)]
pub(super) struct Chosen {
    choice: Choice,
    known: ArcSwapOption<Known>,
}

/// Policies by what they were chosen for, from the bottom up, and the group's tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Choice {
    pub(super) policies: Vec<(LayerKind, String)>,
    pub(super) tags: Vec<String>,
}

/// What it came to under one book of policies.
#[derive(Debug)]
struct Known {
    book: Arc<PolicyBook>,
    effective: Arc<EffectivePolicy>,
}

impl Chosen {
    /// Returns the policy under a book.
    pub(super) fn effective(&self, book: &Arc<PolicyBook>) -> Arc<EffectivePolicy> {
        let known = self.known.load();
        if let Some(known) = known.as_ref().filter(|known| Arc::ptr_eq(&known.book, book)) {
            return Arc::clone(&known.effective);
        }
        let policies = self.choice.policies.iter();
        let chosen = policies.map(|(kind, policy)| Layer { kind: *kind, id: "", policy }).collect();
        let effective = Arc::new(book.effective(&Assigned { chosen, tags: &self.choice.tags }));
        let known = Known { book: Arc::clone(book), effective: Arc::clone(&effective) };
        self.known.store(Some(Arc::new(known)));
        effective
    }

    /// Returns the topmost of the policies, those of tags left out.
    pub(super) fn topmost(&self) -> Option<&str> {
        self.choice.policies.last().map(|(_, policy)| policy.as_str())
    }
}

/// A policy and what it was chosen for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenPolicy {
    /// Which kind of thing.
    pub kind: LayerKind,
    /// Its id.
    pub id: String,
    /// The policy's name; whether there is one of the name is not said.
    pub policy: String,
}

impl Directory {
    /// Returns the policies chosen for a group and for what it belongs to, from the bottom up; those of its tags are in
    /// the ruleset.
    pub fn policies_of(&self, context: &GroupContext, group: &str) -> Vec<ChosenPolicy> {
        let declared = context.declared.as_ref().map(|declared| &declared.record);
        self.chosen(&context.account, context.shop.as_deref(), declared, group)
    }

    /// Returns what was chosen for a group, to be shared with all groups of the same choice.
    pub(super) fn choice(
        &self,
        account: &Account,
        shop: Option<&Shop>,
        declared: Option<&GroupRecord>,
    ) -> Arc<Chosen> {
        let chosen = self.chosen(account, shop, declared, "");
        let policies = chosen.into_iter().map(|chosen| (chosen.kind, chosen.policy)).collect();
        let tags = declared.map(|declared| declared.tags.clone()).unwrap_or_default();
        self.choices.of(Choice { policies, tags })
    }

    fn chosen(
        &self,
        account: &Account,
        shop: Option<&Shop>,
        declared: Option<&GroupRecord>,
        group: &str,
    ) -> Vec<ChosenPolicy> {
        let brand = brand_of(account, shop).and_then(|id| {
            let brand = self.brands.read().get(id).cloned()?;
            Some((id.to_string(), brand.record.policy.clone()))
        });
        let region = shop.and_then(|shop| shop.place.region.as_ref()).and_then(|id| {
            let region = self.regions.read().get(id).cloned()?;
            Some((id.to_string(), region.record.policy.clone()))
        });
        let shop = shop.map(|shop| (shop.id.to_string(), shop.record.policy.clone()));
        let declared = declared.map(|declared| (format!("{}/{group}", account.id), declared.policy.clone()));
        [
            (LayerKind::Account, Some((account.id.to_string(), account.record.policy.clone()))),
            (LayerKind::Brand, brand),
            (LayerKind::Region, region),
            (LayerKind::Shop, shop),
            (LayerKind::Group, declared),
        ]
        .into_iter()
        .filter_map(|(kind, chosen)| {
            let (id, policy) = chosen?;
            Some(ChosenPolicy { kind, id, policy: policy? })
        })
        .collect()
    }
}

/// The brand that a group is judged as one of: its shop's, or its account's where no shop says.
pub(super) fn brand_of<'a>(account: &'a Account, shop: Option<&'a Shop>) -> Option<&'a BrandId> {
    shop.and_then(|shop| shop.place.brand.as_ref()).or(account.record.brand.as_ref())
}

/// All choices there are groups for.
#[derive(Debug, Default)]
pub(super) struct Choices(Mutex<Shared>);

#[derive(Debug, Default)]
struct Shared {
    by_choice: HashMap<Choice, Weak<Chosen>>,
    /// At so many, those that no group has any more are thrown out.
    sweep_at: usize,
}

impl Choices {
    /// Returns the one for a choice, made if there is none.
    pub(super) fn of(&self, choice: Choice) -> Arc<Chosen> {
        let mut shared = self.0.lock();
        if let Some(chosen) = shared.by_choice.get(&choice).and_then(Weak::upgrade) {
            return chosen;
        }
        if shared.by_choice.len() >= shared.sweep_at {
            shared.by_choice.retain(|_, chosen| chosen.strong_count() > 0);
            shared.sweep_at = shared.by_choice.len() * 2 + 64;
        }
        let chosen = Arc::new(Chosen { choice: choice.clone(), known: ArcSwapOption::empty() });
        shared.by_choice.insert(choice, Arc::downgrade(&chosen));
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interception::{Config, Policy, Ruleset};

    fn choice(policy: &str) -> Choice {
        Choice { policies: vec![(LayerKind::Group, policy.to_owned())], tags: Vec::new() }
    }

    fn ruleset(policy: Policy) -> Ruleset {
        Ruleset::compile("r", &[], vec![policy], &Config::default()).unwrap().0
    }

    #[test]
    fn equal_choices_are_one_and_forgotten_with_their_groups() {
        let choices = Choices::default();
        let (a, again, b) = (choices.of(choice("a")), choices.of(choice("a")), choices.of(choice("b")));
        assert!(Arc::ptr_eq(&a, &again) && !Arc::ptr_eq(&a, &b));
        for n in 0..1_000 {
            choices.of(choice(&n.to_string()));
        }
        assert!(choices.0.lock().by_choice.len() < 200);
        assert!(Arc::ptr_eq(&a, &choices.of(choice("a"))));
    }

    #[test]
    fn a_policy_is_worked_out_once_for_a_book_and_anew_for_the_next() {
        let chosen = Choices::default().of(choice("mine"));
        let mine =
            |whole_words| Policy { name: "mine".into(), whole_words: Some(whole_words), ..Policy::default() };
        let (old, new) = (ruleset(mine(false)), ruleset(mine(true)));
        let first = chosen.effective(old.policy_book());
        assert!(Arc::ptr_eq(&first, &chosen.effective(old.policy_book())));
        let second = chosen.effective(new.policy_book());
        assert_eq!((first.policy.whole_words, second.policy.whole_words), (Some(false), Some(true)));
        assert_eq!(chosen.topmost(), Some("mine"));
    }
}
