//! Which terms of which policies a platform itself is to stop in what staff send.

use std::collections::BTreeMap;

use super::{Judging, Ruleset};
use crate::event::Verdict;
use crate::interception::audience::{Audience, Speaker};
use crate::interception::pushdown::{Mode, Range, Wanted};

impl Ruleset {
    /// Returns what the policies hand over through the audience's account, by range: a word that several policies name
    /// for the same people once, and stopped if any of them would block it. A platform knows people and not groups, so
    /// what is for some brands, regions, tags or groups only is not handed over, nor what is not yet in force everywhere.
    /// Looks at every term: off the async workers.
    pub fn handed_over(&self, audience: &Audience<'_>) -> Vec<Wanted> {
        let account = audience.account;
        let mut standings = Vec::new();
        let mut ranges: BTreeMap<Range, BTreeMap<String, Mode>> = BTreeMap::new();
        for policy in self.policies() {
            for push_down in policy.push_down.iter().filter(|push_down| push_down.account == account) {
                let Some(judging) = self.policy_for(&policy.name, Speaker::Staff) else { continue };
                let mut judging = Judging::new(judging, audience, &mut standings);
                let range = Range {
                    departments: push_down.departments.iter().copied().collect(),
                    staff: push_down.staff.iter().cloned().collect(),
                };
                let words = ranges.entry(range).or_default();
                for term in (0..self.terms()).filter(|term| !self.is_part(*term)) {
                    let decision = self.decide(&mut judging, term).filter(|decision| !decision.is_shadow);
                    let mode = match decision.map(|decision| decision.verdict) {
                        None | Some(Verdict::Pass) => continue,
                        Some(Verdict::Mask | Verdict::Review) => Mode::Warn,
                        Some(Verdict::Block) => Mode::Stop,
                    };
                    let word = self.listed(term).text;
                    let known = words.entry(word.to_owned()).or_insert(mode);
                    *known = mode.min(*known);
                }
            }
        }
        ranges.into_iter().map(|(range, words)| Wanted { range, words }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interception::{Config, Policy, PushDown, StaffRule, WordlistSource};

    #[test]
    fn a_policy_hands_over_what_it_would_stop_in_what_staff_say() {
        let text = "# category: contact high\n# category: lure medium\n# category: chat low\n加微信\n返现\tlure\n哈哈\tchat\n";
        let list = WordlistSource::parse("mine", crate::interception::Origin::File, text).unwrap();
        let to = |account: &str, department| PushDown {
            account: account.into(),
            departments: vec![department],
            staff: Vec::new(),
        };
        let soft = Policy {
            name: "soft".into(),
            staff: Some(StaffRule::Policy("relaxed".into())),
            push_down: vec![to("shop", 2)],
            ..Policy::standard()
        };
        let hard = Policy {
            name: "hard".into(),
            push_down: vec![to("shop", 1), to("other", 1)],
            ..Policy::standard()
        };
        let same = Policy { name: "same".into(), push_down: vec![to("shop", 1)], ..Policy::relaxed() };
        let (ruleset, _) =
            Ruleset::compile("r", &[list], vec![soft, hard, same], &Config::default()).unwrap();
        let told = |account: &str| -> Vec<(u64, Vec<(String, Mode)>)> {
            let audience = Audience { account, speaker: Speaker::Staff, ..Audience::default() };
            let wanted = ruleset.handed_over(&audience).into_iter();
            wanted.map(|w| (*w.range.departments.first().unwrap(), w.words.into_iter().collect())).collect()
        };
        let word = |word: &str, mode| (word.to_owned(), mode);
        let blocked = vec![word("加微信", Mode::Stop), word("返现", Mode::Warn)];
        assert_eq!(told("shop"), [(1, blocked.clone()), (2, vec![word("加微信", Mode::Warn)])]);
        assert_eq!(told("other"), [(1, blocked)]);
        assert!(told("nobody").is_empty());
    }
}
