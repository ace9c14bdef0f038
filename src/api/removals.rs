//! What taking members out would come to, shown before a person confirms it: for cases and kick lists alike.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::state::Cx;
use crate::event::Kin;
use crate::fleet::cases::Done;
use crate::fleet::removals::Who;

/// Groups named in a preview.
const SHOWN_MAX: usize = 100;

/// What taking members out would come to now. A member of several groups counts in each of them.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RemovalPreview {
    /// Members who are to be taken out, once for each group.
    pub(super) would_remove: usize,
    /// Of these, those whose platform takes nobody out: a person has to.
    by_hand: usize,
    /// Of the others, those whom the removals of the hour do not allow: a review waits for each.
    over_budget: usize,
    /// Removals that this hour still allows in the regions of these groups.
    budget_left: u32,
    /// Staff and our own members among them: nothing is done to these.
    spared: usize,
    /// Where; the first hundred groups.
    groups: Vec<RemovalGroup>,
}

/// Members of a group who are to be taken out, or were.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RemovalGroup {
    /// Its account.
    account: String,
    /// The group.
    group: String,
    /// The platform's ids of them.
    members: Vec<String>,
}

impl RemovalPreview {
    /// Says it in plain Chinese and in English.
    pub(super) fn words(&self) -> (String, String) {
        let Self { would_remove, by_hand, over_budget, budget_left, .. } = self;
        let mut zh = format!("将移出 {would_remove} 人次，本小时移出名额还剩 {budget_left} 人次");
        let mut en =
            format!("{would_remove} would be taken out; this hour still allows {budget_left} removals");
        if *over_budget > 0 {
            _ = write!(zh, "，超出的 {over_budget} 人次不会自动移出，转人工复核");
            _ = write!(en, ", and {over_budget} beyond that wait for a review");
        }
        if *by_hand > 0 {
            _ = write!(zh, "；其中 {by_hand} 人次平台不支持，会请群主处理");
            _ = write!(en, "; of {by_hand} the platform takes nobody out: the owners are asked");
        }
        (zh + "。", en + ".")
    }
}

/// Says what was not done of it, in plain Chinese and in English; nothing where all was.
pub(super) fn left(done: &Done) -> (String, String) {
    let (mut zh, mut en) = (String::new(), String::new());
    if done.over_budget > 0 {
        _ = write!(zh, "本小时移出名额已用完，{} 人次未移出，已转人工复核（待复核列表）。", done.over_budget);
        _ = write!(
            en,
            " The removals of this hour are used up: {} stay, and a review waits for each (`/v1/reviews`).",
            done.over_budget
        );
    }
    if done.waiting > 0 {
        _ = write!(zh, "存储暂时繁忙，{} 人次稍后自动移出。", done.waiting);
        _ = write!(en, " Storage is busy: {} are taken out as soon as it is not.", done.waiting);
    }
    (zh, en)
}

/// Brings members together by their groups; the first hundred groups.
pub(super) fn by_group<'w>(who: impl Iterator<Item = &'w Who>) -> Vec<RemovalGroup> {
    let mut groups: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for (account, group, member) in who {
        let group = (account.as_str(), group.as_str());
        if groups.len() < SHOWN_MAX || groups.contains_key(&group) {
            groups.entry(group).or_default().push(member.clone());
        }
    }
    let group = |((account, group), members): ((&str, &str), Vec<String>)| RemovalGroup {
        account: account.to_owned(),
        group: group.to_owned(),
        members,
    };
    groups.into_iter().map(group).collect()
}

impl Cx {
    /// Works out what taking members out by a rule would come to now.
    pub(super) fn removals<'w>(&self, rule: &str, who: impl Iterator<Item = &'w Who>) -> RemovalPreview {
        let (mut by_hand, mut spared) = (0, 0);
        let (mut meant, mut budgeted) = (Vec::new(), Vec::new());
        for of in who {
            let (account, group, member) = of;
            let context = self.directory().context(account, group);
            if context.is_none_or(|context| context.kin(member) != Kin::Other) {
                spared += 1;
                continue;
            }
            if self.connectors().capabilities_of(account, group).is_some_and(|can| can.can_remove) {
                budgeted.push((account.as_str(), group.as_str()));
            } else {
                by_hand += 1;
            }
            meant.push(of);
        }
        let allowance = self.ingest().removals_left(rule, budgeted.into_iter());
        RemovalPreview {
            would_remove: meant.len(),
            by_hand,
            over_budget: allowance.over,
            budget_left: allowance.left,
            spared,
            groups: by_group(meant.into_iter()),
        }
    }
}
