//! From targets to mass sends: by owner and what is said, at most as many groups as the platform takes. Layer: pure core.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::event::AccountId;
use crate::outbox::delivery::Content;

/// A target that nobody carries yet.
#[derive(Clone, Debug)]
pub(super) struct Loose {
    pub(super) target: u32,
    pub(super) account: AccountId,
    pub(super) group: String,
    pub(super) text: String,
    /// What goes with the text.
    pub(super) attachments: Vec<Content>,
    /// Most groups of one task.
    pub(super) targets_max: usize,
    /// It is tried first: nothing that is not goes with it.
    pub(super) is_first: bool,
}

/// What is known of an account's groups.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) owners: HashMap<String, String>,
    /// How often each group received in the current period, and how often it may; `None` where nobody counts.
    pub(super) received: HashMap<String, u64>,
    pub(super) allowed: Option<u64>,
}

/// Why a target is not carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// Nobody knows who would confirm.
    NoOwner,
    /// It received as often as it may.
    AtCap,
}

impl Known {
    /// Says who is to confirm for a group.
    pub(super) fn owner_of(&self, group: &str) -> Result<&str, Unfit> {
        let owner = self.owners.get(group).filter(|owner| !owner.is_empty()).ok_or(Unfit::NoOwner)?;
        let received = self.received.get(group).copied().unwrap_or(0);
        if self.allowed.is_some_and(|allowed| received >= allowed) { Err(Unfit::AtCap) } else { Ok(owner) }
    }
}

/// One thing to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::broadcasts) enum Step {
    /// A mass send and what it carries.
    Send {
        account: AccountId,
        owner: String,
        text: String,
        attachments: Vec<Content>,
        targets: Vec<(u32, String)>,
    },
    /// A target that is not carried.
    Refuse { target: u32, code: &'static str, detail: &'static str },
}

impl Step {
    /// Returns how many targets it is about.
    pub(super) fn targets(&self) -> usize {
        match self {
            Step::Send { targets, .. } => targets.len(),
            Step::Refuse { .. } => 1,
        }
    }
}

impl Unfit {
    fn code(self) -> &'static str {
        match self {
            Unfit::NoOwner => "no_owner",
            Unfit::AtCap => "receiving_cap",
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Unfit::NoOwner => {
                "群主未知，没有人可以确认：请同步群信息或在群资料里填写群主，再重发失败目标 · \
                 nobody is known to own the group: sync the account or declare its owner, then replay"
            }
            Unfit::AtCap => {
                "该群本期接收群发的次数已达平台上限：请等下一个周期再重发失败目标 · \
                 the group has received as often as the platform allows: replay in the next period"
            }
        }
    }
}

/// Targets that are told the same by the same owner.
struct Bundle {
    targets_max: usize,
    attachments: Vec<Content>,
    targets: Vec<(u32, String)>,
}

/// Returns what is to be written, in an order that does not depend on the order of `loose`.
pub(super) fn plan(loose: Vec<Loose>, known: &BTreeMap<AccountId, Known>) -> VecDeque<Step> {
    let nothing = Known::default();
    let mut bundles: BTreeMap<(bool, AccountId, String, String, String), Bundle> = BTreeMap::new();
    let mut steps = VecDeque::new();
    let mut loose = loose;
    loose.sort_by_key(|target| target.target);
    for target in loose {
        let Loose { target, account, group, text, attachments, targets_max, is_first } = target;
        match known.get(&account).unwrap_or(&nothing).owner_of(&group) {
            Ok(owner) => {
                // Written out, contents have an order, and two are the same when their writing is.
                let written = serde_json::to_string(&attachments).expect("a content is JSON");
                let key = (!is_first, account, owner.to_owned(), text, written);
                let fresh = || Bundle { targets_max, attachments, targets: Vec::new() };
                let bundle = bundles.entry(key).or_insert_with(fresh);
                bundle.targets_max = targets_max.min(bundle.targets_max);
                bundle.targets.push((target, group));
            }
            Err(unfit) => {
                steps.push_back(Step::Refuse { target, code: unfit.code(), detail: unfit.detail() });
            }
        }
    }
    for ((_, account, owner, text, _), bundle) in bundles {
        for chunk in bundle.targets.chunks(bundle.targets_max.max(1)) {
            let (account, owner, text) = (account.clone(), owner.clone(), text.clone());
            let (attachments, targets) = (bundle.attachments.clone(), chunk.to_vec());
            steps.push_back(Step::Send { account, owner, text, attachments, targets });
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::outbox::delivery::Article;

    fn account(name: &str) -> AccountId {
        AccountId::parse(name).unwrap()
    }

    fn loose(target: u32, group: &str, text: &str, targets_max: usize) -> Loose {
        Loose {
            is_first: false,
            target,
            account: account("demo"),
            group: group.to_owned(),
            text: text.to_owned(),
            attachments: Vec::new(),
            targets_max,
        }
    }

    /// Nothing, or one link of several.
    fn links(number: u8) -> Vec<Content> {
        let url = format!("https://shop.example/{number}");
        let link = Article { title: "会员日".to_owned(), url, ..Article::default() };
        if number == 0 { Vec::new() } else { vec![Content::Link { link }] }
    }

    #[test]
    fn groups_of_one_owner_share_a_task_when_text_and_content_are_the_same() {
        let owners = ["a", "b", "c", "d"].map(|group| (group.to_owned(), "u1".to_owned())).into();
        let known = [(account("demo"), Known { owners, ..Known::default() })].into();
        let told = [("a", "x", 1), ("b", "x", 1), ("c", "x", 2), ("d", "y", 1)];
        let targets = told.into_iter().zip(0..).map(|((group, text, link), target)| Loose {
            attachments: links(link),
            ..loose(target, group, text, 10)
        });
        let bundles: Vec<_> = plan(targets.collect(), &known)
            .into_iter()
            .map(|step| match step {
                Step::Send { targets, .. } => targets.into_iter().map(|(_, group)| group).collect::<String>(),
                Step::Refuse { .. } => panic!("all are owned: {step:?}"),
            })
            .collect();
        assert_eq!(bundles, ["ab", "c", "d"]);
    }

    #[test]
    fn what_cannot_be_carried_says_why() {
        let known = Known {
            owners: [("a", "u1"), ("b", "u1"), ("c", "")].map(|(g, o)| (g.to_owned(), o.to_owned())).into(),
            received: [("b".to_owned(), 7)].into(),
            allowed: Some(7),
        };
        let steps = plan(
            ["a", "b", "c", "d"].into_iter().zip(0..).map(|(g, n)| loose(n, g, "x", 10)).collect(),
            &[(account("demo"), known)].into(),
        );
        let codes: Vec<_> = steps
            .iter()
            .filter_map(|step| match step {
                Step::Refuse { target, code, .. } => Some((*target, *code)),
                Step::Send { .. } => None,
            })
            .collect();
        assert_eq!(codes, [(1, "receiving_cap"), (2, "no_owner"), (3, "no_owner")]);
        let Some(Step::Send { owner, targets, .. }) = steps.back() else { panic!("a is carried: {steps:?}") };
        assert_eq!((owner.as_str(), targets.as_slice()), ("u1", [(0, "a".to_owned())].as_slice()));
    }

    proptest! {
        #[test]
        fn every_target_is_carried_once_to_its_owner_with_what_it_is_told(
            groups in prop::collection::vec((0_u8..5, 0_u8..3, 0_u8..3), 0..60),
            targets_max in 1_usize..7,
        ) {
            let name = |n: usize| format!("g-{n}");
            let owners =
                groups.iter().enumerate().map(|(n, (owner, ..))| (name(n), format!("u-{owner}"))).collect();
            let known = Known { owners, ..Known::default() };
            let targets = groups.iter().enumerate().map(|(n, (_, text, link))| Loose {
                attachments: links(*link),
                ..loose(u32::try_from(n).unwrap(), &name(n), &format!("t-{text}"), targets_max)
            });
            let steps = plan(targets.collect(), &[(account("demo"), known)].into());
            let mut seen = Vec::new();
            for step in steps {
                let Step::Send { owner, text, attachments, targets, .. } = step else {
                    panic!("refused: {step:?}")
                };
                prop_assert!(!targets.is_empty() && targets.len() <= targets_max);
                for (target, group) in targets {
                    let (own, said, link) = groups[target as usize];
                    prop_assert_eq!(&group, &name(target as usize));
                    prop_assert_eq!((&owner, &text), (&format!("u-{own}"), &format!("t-{said}")));
                    prop_assert_eq!(&attachments, &links(link));
                    seen.push(target);
                }
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..u32::try_from(groups.len()).unwrap()).collect::<Vec<_>>());
        }
    }
}
