//! What broadcasts ask of their neighbours: which groups there are, what is known of them, what may be said. Layer: pure
//! core; the answers come in through traits.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::tz::TimeZone;

use crate::event::{AccountId, GroupName, Hit, Place, Scope};
use crate::outbox::delivery::{Content, Delivery, Refusal, Rendering};
use crate::storage::StorageError;

/// A group, as far as a broadcast must know it.
pub trait GroupEntry: Send + Sync {
    /// Returns its full name.
    fn name(&self) -> &GroupName;
    /// Returns the name of its platform.
    fn platform(&self) -> &str;
    /// Returns where it belongs.
    fn place(&self) -> &Place;
    /// Says whether it has a tag.
    fn has_tag(&self, tag: &str) -> bool;
    /// Returns the staff member who owns it on the platform.
    fn owner(&self) -> Option<&str>;
    /// Returns the value of a variable such as `shop.name`.
    fn value(&self, variable: &str) -> Option<&str>;
}

/// What was counted of a group; what nobody knows is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Members in it now, as far as joins, leaves and messages tell.
    pub members: Option<u64>,
    /// Whether a customer said something in the last so many days. Missing where the gateway does not see what is said, or
    /// has not known the group for as long.
    pub spoke: BTreeMap<u16, bool>,
    /// How many members of a segment there are, by its id. Missing where it is not there, or not to be seen.
    pub segments: BTreeMap<String, Counted>,
    /// The platform said it is gone.
    pub gone: bool,
}

/// Members of a segment in a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Who is in it.
    pub members: u64,
    /// Of whom nobody knows.
    pub unknown: u64,
}

/// Knows the groups; the directory does.
pub trait GroupBook: Send + Sync {
    /// Returns the groups (of one account, if named) in order of [`GroupName`].
    fn groups(&self, account: Option<&AccountId>) -> Vec<Box<dyn GroupEntry>>;

    /// Returns what was counted of the groups (of one account, if named), and of each for so many last days whether a
    /// customer spoke. Blocking.
    ///
    /// # Errors
    /// When storage cannot be read.
    fn figures(
        &self,
        account: Option<&AccountId>,
        days: &BTreeSet<u16>,
        now_ms: i64,
    ) -> Result<HashMap<GroupName, Figures>, StorageError>;

    /// Says whether there is a segment that who has this scope may use; who knows no segments says no.
    fn has_segment(&self, _scope: &Scope, _id: &str) -> bool {
        false
    }

    /// Returns how many members of these segments each group (of one account, if named) has; nothing for a segment that
    /// not all of the scopes may use. Blocking.
    ///
    /// # Errors
    /// When storage cannot be read.
    fn segments(
        &self,
        _account: Option<&AccountId>,
        _ids: &BTreeSet<String>,
        _scopes: &[Scope],
        _now_ms: i64,
    ) -> Result<HashMap<GroupName, BTreeMap<String, Counted>>, StorageError> {
        Ok(HashMap::new())
    }

    /// Returns who owns the groups of an account on the platform, by group, as far as it is known. Blocking.
    ///
    /// # Errors
    /// When storage cannot be read.
    fn owners(&self, account: &AccountId) -> Result<HashMap<String, String>, StorageError>;

    /// Returns the zone a group lives by, if it is known.
    fn time_zone(&self, name: &GroupName) -> Option<TimeZone>;

    /// Returns the zone of groups that say nothing.
    fn default_time_zone(&self) -> TimeZone;

    /// Returns one group.
    fn group(&self, name: &GroupName) -> Option<Box<dyn GroupEntry>>;
}

/// How a group's platform takes what is said, and what it shows of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact about a platform")]
pub struct Voice {
    /// The platform's name.
    pub platform: &'static str,
    /// Longest text, in bytes of UTF-8.
    pub text_bytes_max: usize,
    /// Something can be said in the group at all, be it that a person confirms it.
    pub can_post: bool,
    /// What was sent can be withdrawn.
    pub can_recall: bool,
    /// What was sent can be changed.
    pub can_edit: bool,
    /// What members say there is shown to us.
    pub gives_message_text: bool,
    /// Who joins and leaves is told to us.
    pub gives_member_ids: bool,
}

/// Knows how platforms say things; the connectors do. Neither I/O nor waiting.
pub trait Speaking: Send + Sync {
    /// Returns how a group's platform takes what is said; `None` when the account is not connected.
    fn voice(&self, account: &AccountId, group: &str) -> Option<Voice>;

    /// Says whether a content can be shown to a group; when the account is not connected nobody says no.
    fn shows(&self, account: &AccountId, group: &str, content: &Content) -> bool;

    /// Returns what the platform would be sent, written by the code that sends.
    ///
    /// # Errors
    /// With what the platform would refuse.
    fn render(&self, delivery: &Delivery) -> Result<Rendering, Refusal>;
}

/// Judges what we are about to say ourselves; interception does.
pub trait TextJudge: Send + Sync {
    /// Passes, or says which terms block the text.
    ///
    /// # Errors
    /// With the hits.
    fn judge(&self, text: &str) -> Result<(), Vec<Hit>>;

    /// Judges a text that [`TextJudge::judge`] passes by what applies in one group besides: its policy, lists for its
    /// brand, region, tags.
    ///
    /// # Errors
    /// With the hits.
    fn judge_there(&self, group: &GroupName, text: &str) -> Result<(), Vec<Hit>>;
}
