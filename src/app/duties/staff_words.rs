//! Keeps the platform's word rules for staff those of our policies.

use std::collections::BTreeSet;

use super::Turn;
use crate::connectors::offers::{InterceptRule, PlatformError, Retry, StaffInterception};
use crate::duties::staff_words::{DriftSeen, LEFT_OUT_SHOWN_MAX, StaffWords};
use crate::interception::pushdown::{
    Found, Handed, Limits, Mode, Plan, Range, Rule, Step, Wanted, digest, is_ours, plan, reconcile,
};
use crate::interception::{Audience, Speaker};
use crate::storage::StorageError;

impl Turn<'_> {
    /// Hands over what is new and repairs what somebody else changed, when the rules changed or it is time to compare.
    pub(super) async fn staff_words(&self) -> Result<(), StorageError> {
        let Some(platform) = self.connector.staff_interception() else { return Ok(()) };
        let (storage, account) = (&*self.duties.storage, self.account.as_str());
        let mut record = StaffWords::of(storage, account).await?;
        let Some((wanted, digest)) = self.wanted().await else { return Ok(()) };
        let is_ours_to_do = !wanted.is_empty() || !record.handed.is_empty();
        let is_new = record.wanted != digest;
        if !is_ours_to_do || !(is_new || self.is_due(record.compared_ms, !record.failures.is_empty())) {
            return Ok(());
        }
        record.failures.clear();
        record.wanted = digest;
        record.compared_ms = self.now_ms;
        match platform.list().await {
            Ok(listed) => {
                let found: Vec<Found> = listed.into_iter().map(found).collect();
                let is_foreign = |found: &&Found| {
                    !is_ours(account, &found.rule.name) && !record.handed.iter().any(|own| own.id == found.id)
                };
                record.foreign_rules = found.iter().filter(is_foreign).count();
                let (rules_max, words, chars) = platform.limits();
                let limits = Limits { rules: rules_max.saturating_sub(record.foreign_rules), words, chars };
                let before: Vec<Rule> = record.handed.iter().map(|handed| handed.rule.clone()).collect();
                let plan = plan(account, &wanted, &before, limits);
                self.bring_to(platform, plan, &found, &mut record).await;
            }
            Err(error) => record.failures.push((String::new(), self.failure(&error))),
        }
        record.save(storage, account, self.now_ms).await
    }

    /// Returns what our policies hand over. Tens of thousands of words take a while: off the async workers.
    async fn wanted(&self) -> Option<(Vec<Wanted>, u64)> {
        let (rules, account, now_ms) = (self.duties.rules.load_full(), self.account.clone(), self.now_ms);
        let collect = move || {
            let speaker = Speaker::Staff;
            let audience = Audience { speaker, account: account.as_str(), now_ms, ..Audience::default() };
            let wanted = rules.words.handed_over(&audience);
            let digest = digest(&wanted);
            (wanted, digest)
        };
        tokio::task::spawn_blocking(collect).await.ok() // the runtime is going down
    }

    async fn bring_to(
        &self,
        platform: &dyn StaffInterception,
        plan: Plan,
        found: &[Found],
        record: &mut StaffWords,
    ) {
        let (steps, drift) = reconcile(self.account.as_str(), &plan.rules, &record.handed, found);
        if !drift.is_empty() {
            tracing::warn!(account.id = %self.account, rules = drift.len(), "rules for staff were changed by somebody else; repaired");
            record.last_drift = Some(DriftSeen { at_ms: self.now_ms, rules: drift });
        }
        record.left_out_words = plan.left_out.len();
        record.left_out = plan.left_out;
        record.left_out.truncate(LEFT_OUT_SHOWN_MAX);
        // What is there and needs no call is as it shall be.
        record.handed = found
            .iter()
            .filter(|found| plan.rules.contains(&found.rule))
            .map(|found| Handed { id: found.id.clone(), rule: found.rule.clone() })
            .collect();
        let mut stopped = false;
        for step in steps {
            // It stays ours under its id, as it was found, when the step is not done.
            let before = match &step {
                Step::Add(_) => None,
                Step::Update { id, from, .. } => Some(Handed { id: id.clone(), rule: from.clone() }),
                Step::Remove { id } => found
                    .iter()
                    .find(|found| found.id == *id)
                    .map(|found| Handed { id: id.clone(), rule: found.rule.clone() }),
            };
            if stopped {
                record.handed.extend(before);
                continue;
            }
            let name = match &step {
                Step::Add(rule) | Step::Update { to: rule, .. } => rule.name.clone(),
                Step::Remove { id } => id.clone(),
            };
            match call(platform, step, record).await {
                Ok(()) => record.changed_ms = self.now_ms,
                Err(error) => {
                    record.handed.extend(before);
                    record.failures.push((name, self.failure(&error)));
                    // What a person must mend holds for this rule; a limit or an outage for all that follow.
                    stopped = error.retry != Retry::Never;
                }
            }
        }
    }
}

/// Makes one call and notes what is on the platform now.
async fn call(
    platform: &dyn StaffInterception,
    step: Step,
    record: &mut StaffWords,
) -> Result<(), PlatformError> {
    match step {
        Step::Remove { id } => platform.remove(&id).await,
        Step::Add(rule) => {
            let id = platform.add(&told(&rule)).await?;
            record.handed.push(Handed { id, rule });
            Ok(())
        }
        Step::Update { id, from, to } => {
            platform.update(&id, &told(&from), &told(&to)).await?;
            record.handed.push(Handed { id, rule: to });
            Ok(())
        }
    }
}

fn found((id, rule): (String, InterceptRule)) -> Found {
    let range = Range {
        departments: rule.departments.into_iter().collect(),
        staff: rule.staff.into_iter().collect(),
    };
    let mode = if rule.warn_only { Mode::Warn } else { Mode::Stop };
    Found { id, rule: Rule { name: rule.name, mode, range, words: BTreeSet::from_iter(rule.words) } }
}

fn told(rule: &Rule) -> InterceptRule {
    InterceptRule {
        name: rule.name.clone(),
        words: rule.words.iter().cloned().collect(),
        warn_only: rule.mode == Mode::Warn,
        staff: rule.range.staff.iter().cloned().collect(),
        departments: rule.range.departments.iter().copied().collect(),
    }
}
