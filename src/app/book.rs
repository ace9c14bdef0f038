//! What broadcasts ask of their neighbours, answered by them: which groups there are (the directory), what may be said
//! (interception).

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::broadcasts::{GroupBook, GroupEntry, TextJudge};
use crate::directory::{Directory, GroupContext, GroupFilter, GroupFound};
use crate::event::{AccountId, GroupId, GroupName, Hit, Place, Role, Scope, Verdict};
use crate::interception::Scratch;
use crate::pipeline::Rules;

/// The directory's groups.
pub(crate) struct Book(pub(crate) Arc<Directory>);

struct Entry {
    name: GroupName,
    context: Arc<GroupContext>,
}

impl GroupEntry for Entry {
    fn name(&self) -> &GroupName {
        &self.name
    }

    fn place(&self) -> &Place {
        &self.context.place
    }

    fn has_tag(&self, tag: &str) -> bool {
        self.context.tags().iter().any(|own| own == tag)
    }

    fn owner(&self) -> Option<&str> {
        self.context.owner()
    }

    fn value(&self, variable: &str) -> Option<&str> {
        self.context.variable(variable)
    }
}

fn entry(found: GroupFound) -> Option<Box<dyn GroupEntry>> {
    let group = GroupId::parse(&found.group).ok()?;
    let name = GroupName { account: found.context.account.id.clone(), group };
    Some(Box::new(Entry { name, context: found.context }))
}

impl GroupBook for Book {
    fn groups_after(
        &self,
        account: Option<&AccountId>,
        after: Option<&GroupName>,
        limit: usize,
    ) -> Vec<Box<dyn GroupEntry>> {
        let filter = GroupFilter { account: account.map(ToString::to_string), ..GroupFilter::default() };
        let after = after.map(|name| (name.account.as_str(), name.group.as_str()));
        let found = self.0.groups_in(&Scope::everything(), &filter, after, limit);
        found.into_iter().filter_map(entry).collect()
    }

    fn group(&self, name: &GroupName) -> Option<Box<dyn GroupEntry>> {
        let found = self.0.group_in(&Scope::everything(), name.account.as_str(), name.group.as_str());
        Some(Box::new(Entry { name: name.clone(), context: found.ok()? }))
    }
}

/// The policy that broadcasts are held to.
const POLICY: &str = "strict";

/// The rules in force, for what we are about to say ourselves.
pub(crate) struct Judge(pub(crate) Arc<ArcSwap<Rules>>);

impl TextJudge for Judge {
    fn judge(&self, text: &str) -> Result<(), Vec<Hit>> {
        let rules = self.0.load();
        // Nobody is exempt here, and what reaches every group is judged strictly: advertising law applies to the brand.
        let Some(policy) = rules.words.policy_for(POLICY, Role::Customer) else {
            return Ok(());
        };
        let judgement = rules.words.judge(text, policy, &mut Scratch::default());
        if judgement.verdict == Verdict::Block {
            return Err(judgement.hits.into_iter().map(|judged| judged.hit).collect());
        }
        Ok(())
    }
}
