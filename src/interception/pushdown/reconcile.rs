//! What is on the platform against what shall be there.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Rule, is_ours};

/// A rule as it was last handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// The platform's id.
    pub id: String,
    /// What it was.
    pub rule: Rule,
}

/// A rule as it is on the platform now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The platform's id.
    pub id: String,
    /// What it is.
    pub rule: Rule,
}

/// One call to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Remove a rule of ours that is not wanted any more.
    Remove {
        /// The platform's id.
        id: String,
    },
    /// Make a rule of ours what it shall be.
    Update {
        /// The platform's id.
        id: String,
        /// What it is.
        from: Rule,
        /// What it shall be.
        to: Rule,
    },
    /// Add a rule.
    Add(Rule),
}

/// What somebody else did to a rule of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Drift {
    /// The rule's name, as we gave it.
    pub rule: String,
    /// What was done.
    pub what: DriftKind,
}

/// What somebody else did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DriftKind {
    /// Words, name, people or mode are not as we left them.
    Changed,
    /// It is gone.
    Deleted,
}

/// Says which calls make the platform's rules those of the plan, removals first since they make room, and what was
/// changed by somebody else since we last handed rules over.
pub fn reconcile(
    account: &str,
    plan: &[Rule],
    handed: &[Handed],
    found: &[Found],
) -> (Vec<Step>, Vec<Drift>) {
    let known = |id: &str| handed.iter().find(|handed| handed.id == id);
    let (mut updates, mut adds, mut drift) = (Vec::new(), Vec::new(), Vec::new());
    let mut matched = BTreeSet::new();
    for wanted in plan {
        let before = handed.iter().find(|handed| handed.rule.name == wanted.name);
        // By its id, since a name can be changed in the console; else by its name: the answer to adding it was lost.
        let by_id = found.iter().find(|found| before.is_some_and(|before| before.id == found.id));
        let now = by_id.or_else(|| {
            found.iter().find(|found| found.rule.name == wanted.name && known(&found.id).is_none())
        });
        let Some(now) = now else {
            adds.push(Step::Add(wanted.clone()));
            continue;
        };
        matched.insert(now.id.as_str());
        if now.rule != *wanted {
            updates.push(Step::Update { id: now.id.clone(), from: now.rule.clone(), to: wanted.clone() });
        }
    }
    for before in handed {
        let what = match found.iter().find(|found| found.id == before.id) {
            None => DriftKind::Deleted,
            // As the plan wants it already: our own change, whose note was lost.
            Some(now) if plan.contains(&now.rule) => continue,
            Some(now) if now.rule != before.rule => DriftKind::Changed,
            Some(_) => continue,
        };
        drift.push(Drift { rule: before.rule.name.clone(), what });
    }
    let ours = found.iter().filter(|found| is_ours(account, &found.rule.name) || known(&found.id).is_some());
    let stray = ours.filter(|found| !matched.contains(found.id.as_str()));
    let mut steps: Vec<Step> = stray.map(|found| Step::Remove { id: found.id.clone() }).collect();
    steps.extend(updates);
    steps.extend(adds);
    (steps, drift)
}
