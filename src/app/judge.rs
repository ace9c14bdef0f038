//! What interception says of what we are about to say ourselves.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::broadcasts::TextJudge;
use crate::clock::Clock;
use crate::directory::Directory;
use crate::event::{GroupName, Hit};
use crate::ingest::events::judge_own;
use crate::interception::{Audience, Speaker};
use crate::pipeline::Rules;

/// The policy that broadcasts and notices are held to: what reaches many is judged strictly, since advertising law applies
/// to the brand.
const POLICY: &str = "strict";

/// The rules in force, for our own words.
pub(crate) struct Judge {
    pub(crate) rules: Arc<ArcSwap<Rules>>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) clock: Clock,
}

impl TextJudge for Judge {
    fn judge(&self, text: &str) -> Result<(), Vec<Hit>> {
        let (rules, now_ms) = (self.rules.load(), self.clock.now_ms());
        let policy = rules.words.policy_for(POLICY, Speaker::Own);
        policy.map_or(Ok(()), |policy| rules.own(text, policy, &Audience { now_ms, ..Audience::default() }))
    }

    fn judge_there(&self, name: &GroupName, text: &str) -> Result<(), Vec<Hit>> {
        let (rules, now_ms) = (self.rules.load(), self.clock.now_ms());
        let (account, id) = (name.account.as_str(), name.group.as_str());
        let Some(group) = self.directory.context(account, id) else { return Ok(()) };
        let audience = Audience { now_ms, ..group.audience(id, Speaker::Own) };
        // What holds everywhere was judged once for all.
        if rules.words.own_sends_differ()
            && let Some(policy) = rules.words.policy_for(POLICY, Speaker::Own)
        {
            rules.own(text, policy, &audience)?;
        }
        if group.effective_policy(rules.words.policy_book()).policy.name == rules.limits.policy {
            return Ok(()); // milder than what it was judged by
        }
        judge_own(&rules, &group, id, now_ms, text)
    }
}
