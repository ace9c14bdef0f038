//! What people write on members: tags, a value, and that they were erased. In memory as a whole, about 250 bytes a member;
//! how many there may be is limited (`people.marked_max`).

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// Most tags of a member.
pub const TAGS_MAX: usize = 30;

/// What is written on a member of an account, in whatever groups they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mark {
    /// Tags given by hand or by import.
    pub tags: BTreeSet<String>,
    /// What they are worth, in millionths of the brand's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_micros: Option<i64>,
    /// Who they are beyond this account, as somebody imported it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// When they were erased: their name is not shown since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased_ms: Option<i64>,
}

/// What becomes of a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// These tags come to it.
    Add(BTreeSet<String>),
    /// This tag goes.
    Remove(String),
    /// It has these tags and no others.
    Replace(BTreeSet<String>),
    /// The value is this.
    Value(Option<i64>),
    /// They are this person, whatever account they are in.
    Identity(String),
    /// Everything goes.
    Erase(i64),
}

impl Mark {
    /// Says whether nothing is written.
    pub fn is_empty(&self) -> bool {
        *self == Mark::default()
    }

    /// Makes a change; says whether there is one.
    ///
    /// # Errors
    /// In words, when there would be too many tags.
    pub fn edit(&mut self, edit: Edit) -> Result<bool, String> {
        let before = self.clone();
        match edit {
            Edit::Add(tags) => self.tags.extend(tags),
            Edit::Remove(tag) => {
                self.tags.remove(&tag);
            }
            Edit::Replace(tags) => self.tags = tags,
            Edit::Value(value) => self.value_micros = value,
            Edit::Identity(identity) => self.identity = Some(identity),
            Edit::Erase(at_ms) => *self = Mark { erased_ms: Some(at_ms), ..Mark::default() },
        }
        if self.tags.len() > TAGS_MAX {
            let tags = self.tags.len();
            *self = before;
            return Err(format!("a member has at most {TAGS_MAX} tags, not {tags}"));
        }
        Ok(*self != before)
    }
}

/// The marks of all members, by account and member.
#[derive(Debug, Default)]
pub struct Marks {
    accounts: HashMap<String, HashMap<Box<str>, Arc<Mark>>>,
    count: usize,
}

impl Marks {
    /// Returns the identities that were imported, as (member, identity), by account.
    pub fn identities(&self) -> Vec<(String, Vec<(String, String)>)> {
        let of = |(account, members): (&String, &HashMap<Box<str>, Arc<Mark>>)| {
            let known = members
                .iter()
                .filter_map(|(member, mark)| Some((member.to_string(), mark.identity.clone()?)));
            (account.clone(), known.collect())
        };
        self.accounts.iter().map(of).filter(|(_, members): &(_, Vec<_>)| !members.is_empty()).collect()
    }

    /// Returns how many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns what is written on a member.
    pub fn get(&self, account: &str, member: &str) -> Option<&Arc<Mark>> {
        self.accounts.get(account)?.get(member)
    }

    /// Writes it down.
    pub fn set(&mut self, account: &str, member: &str, mark: Mark) {
        let members = self.accounts.entry_ref(account).or_default();
        let before = members.len();
        if mark.is_empty() {
            members.remove(member);
        } else {
            members.insert(member.into(), Arc::new(mark));
        }
        self.count = self.count + members.len() - before;
    }
}

/// Returns the id of a member's document.
pub fn id(account: &str, member: &str) -> String {
    format!("{account}/{member}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_counted_and_what_is_empty_is_forgotten() {
        let mut marks = Marks::default();
        let tags = |all: &[&str]| all.iter().map(|tag| (*tag).to_owned()).collect::<BTreeSet<_>>();
        let mut mark = Mark::default();
        assert_eq!(mark.edit(Edit::Add(tags(&["a", "b"]))), Ok(true));
        assert_eq!(mark.edit(Edit::Add(tags(&["a"]))), Ok(false));
        marks.set("demo", "m-1", mark.clone());
        marks.set("demo", "m-1", mark.clone());
        assert_eq!((marks.count(), marks.get("demo", "m-1").map(|mark| mark.tags.len())), (1, Some(2)));
        let many: BTreeSet<String> = (0..=TAGS_MAX).map(|n| n.to_string()).collect();
        assert!(mark.edit(Edit::Add(many)).is_err());
        assert_eq!(mark.tags, tags(&["a", "b"]));
        assert_eq!(mark.edit(Edit::Replace(tags(&[]))), Ok(true));
        marks.set("demo", "m-1", mark);
        assert_eq!((marks.count(), marks.get("demo", "m-1")), (0, None));
    }
}
