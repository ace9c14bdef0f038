//! What people do: each act changes the state and emits the event the platform would.
//!
//! An [`Act`] is also the body of `POST /_sim/act`: `{"act":"join","chat_id":"wr…","newcomers":2,"scene":3,"lag_ms":500}`.
//! The event is queued at once; reads of the group show the state before the act until its lag is over.

mod contact;
mod group;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::apis::welcomes;
use super::clock::millis;
use super::world::World;

/// Something people do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// A member of the corp makes a group.
    CreateGroup {
        /// The userid.
        owner: String,
        /// Its name.
        #[serde(default)]
        name: String,
        /// Who is in it from the start, by id.
        #[serde(default)]
        members: Vec<String>,
        /// How many customers nobody has met are in it from the start.
        #[serde(default)]
        newcomers: usize,
    },
    /// One or many come in with one event.
    Join {
        /// The group.
        chat_id: String,
        /// Who, by userid or external userid; those who are in already are passed over.
        #[serde(default)]
        members: Vec<String>,
        /// How many customers nobody has met.
        #[serde(default)]
        newcomers: usize,
        /// 1 invited, 2 by link, 3 by the group's code.
        #[serde(default = "invited")]
        scene: u8,
        /// The userid of who invited them.
        #[serde(default)]
        inviter: Option<String>,
        /// The channel.
        #[serde(default)]
        state: String,
    },
    /// One or many go with one event.
    Leave {
        /// The group.
        chat_id: String,
        /// Who; those who are not in it are passed over.
        members: Vec<String>,
        /// Whether owner or admin removed them.
        #[serde(default)]
        removed: bool,
    },
    /// The group gets another owner, who comes in if need be.
    ChangeOwner {
        /// The group.
        chat_id: String,
        /// The userid.
        owner: String,
    },
    /// The group gets another name.
    ChangeName {
        /// The group.
        chat_id: String,
        /// The name.
        name: String,
    },
    /// The group gets another notice.
    ChangeNotice {
        /// The group.
        chat_id: String,
        /// The notice.
        notice: String,
    },
    /// The group gets other admins; there is no event for it.
    SetAdmins {
        /// The group.
        chat_id: String,
        /// The userids.
        admins: Vec<String>,
    },
    /// The group is over.
    Dismiss {
        /// The group.
        chat_id: String,
    },
    /// Someone in the group writes; there is no event for it, statistics count it.
    Message {
        /// The group.
        chat_id: String,
        /// Who, by id.
        from: String,
    },
    /// Someone who is nobody's contact yet comes into being; no event.
    NewCustomer {
        /// What they are called; a name follows from the number otherwise.
        #[serde(default)]
        name: Option<String>,
    },
    /// A customer becomes a member's contact.
    AddContact {
        /// The member.
        userid: String,
        /// The customer; somebody new otherwise.
        #[serde(default)]
        external_userid: Option<String>,
        /// The channel.
        #[serde(default)]
        state: String,
        /// Whether the customer skipped the confirmation (`add_half_external_contact`).
        #[serde(default)]
        half: bool,
        /// Whether the event comes without a code, as when the console greets already.
        #[serde(default)]
        without_code: bool,
    },
    /// A member edits what is noted of a customer.
    EditContact {
        /// The member.
        userid: String,
        /// The customer.
        external_userid: String,
    },
    /// A member deletes a customer.
    DeleteContact {
        /// The member.
        userid: String,
        /// The customer.
        external_userid: String,
        /// Whether it is because another member inherits the customer.
        #[serde(default)]
        by_transfer: bool,
    },
    /// A customer deletes a member.
    DeleteFollow {
        /// The member.
        userid: String,
        /// The customer.
        external_userid: String,
    },
    /// A customer could not be inherited.
    TransferFail {
        /// The member who should have got them.
        userid: String,
        /// The customer.
        external_userid: String,
        /// `customer_refused` or `customer_limit_exceed`.
        reason: String,
    },
    /// A customer agrees to being archived (`msg_audit_approved`).
    AgreeToArchive {
        /// The member.
        userid: String,
        /// The customer.
        external_userid: String,
    },
    /// The two have started to chat: a welcome code about them is over. No event.
    StartChat {
        /// The member.
        userid: String,
        /// The customer.
        external_userid: String,
    },
    /// Something happens to a tag.
    ChangeTag {
        /// `create`, `update`, `delete` or `shuffle`.
        change: String,
        /// The tag's id.
        id: String,
        /// `tag` or `tag_group`.
        tag_type: String,
    },
    /// A member leaves the corp; groups they own wait for an heir. No event.
    OwnerLeaves {
        /// The member.
        userid: String,
    },
}

fn invited() -> u8 {
    1
}

/// An act with how long reads lag behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaggedAct {
    /// The act.
    #[serde(flatten)]
    pub act: Act,
    /// Simulated milliseconds; the simulator's usual lag otherwise.
    #[serde(default)]
    pub lag_ms: Option<u64>,
}

impl From<Act> for LaggedAct {
    fn from(act: Act) -> Self {
        Self { act, lag_ms: None }
    }
}

/// What came of an act.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// The group it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_id: Option<String>,
    /// Whom it was about: those who came, went, were added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// The code that came with a new contact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub welcome_code: Option<String>,
    /// The number of the event; none when nothing changed, or it is of those that nobody is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<u64>,
}

/// Says why an act is impossible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// There is no such group.
    #[error("no group `{0}`")]
    Group(String),
    /// The group is over.
    #[error("group `{0}` is dismissed")]
    Dismissed(String),
    /// There is no such member of the corp.
    #[error("no member `{0}`")]
    Staff(String),
    /// There is no such customer.
    #[error("no customer `{0}`")]
    Customer(String),
    /// Neither a member nor a customer.
    #[error("nobody is called `{0}`")]
    Person(String),
    /// The owner cannot go before somebody else owns the group.
    #[error("`{0}` owns the group: change the owner first")]
    Owner(String),
    /// The group has no room.
    #[error("group `{0}` is full")]
    Full(String),
    /// Nobody is the other's contact.
    #[error("`{1}` is no contact of `{0}`")]
    Contact(String, String),
    /// Not one of the platform's words.
    #[error("`{0}` is not a known value")]
    Value(String),
}

impl World {
    /// Lets people do something.
    ///
    /// # Errors
    /// When it is impossible; nothing has changed then.
    pub fn act(&mut self, act: impl Into<LaggedAct>) -> Result<Deed, ActError> {
        let LaggedAct { act, lag_ms } = act.into();
        let lag = lag_ms.map_or(self.config.read_lag, Duration::from_millis);
        let until_ms = self.now_ms() + millis(lag);
        match act {
            Act::CreateGroup { .. }
            | Act::Join { .. }
            | Act::Leave { .. }
            | Act::ChangeOwner { .. }
            | Act::ChangeName { .. }
            | Act::ChangeNotice { .. }
            | Act::SetAdmins { .. }
            | Act::Dismiss { .. }
            | Act::Message { .. } => {
                let is_join = matches!(act, Act::Join { .. });
                let deed = self.act_in_group(act, until_ms)?;
                if is_join {
                    welcomes::greet(self, &deed);
                }
                Ok(deed)
            }
            Act::NewCustomer { .. }
            | Act::AddContact { .. }
            | Act::EditContact { .. }
            | Act::DeleteContact { .. }
            | Act::DeleteFollow { .. }
            | Act::TransferFail { .. }
            | Act::AgreeToArchive { .. }
            | Act::StartChat { .. }
            | Act::ChangeTag { .. }
            | Act::OwnerLeaves { .. } => self.act_on_people(act),
        }
    }
}
