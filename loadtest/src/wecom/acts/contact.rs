//! Acts on contacts, tags and members of the corp.

use super::{Act, ActError, Deed};
use crate::wecom::events::Document;
use crate::wecom::groups::GroupStatus;
use crate::wecom::people::{CustomerNo, StaffNo};
use crate::wecom::world::World;

impl World {
    pub(super) fn act_on_people(&mut self, act: Act) -> Result<Deed, ActError> {
        match act {
            Act::NewCustomer { name } => {
                let customer = self.people.new_customer();
                if let Some(name) = name {
                    self.people.rename(customer, &name);
                }
                let members = vec![self.people.external_userid(customer)];
                Ok(Deed { members, ..Deed::default() })
            }
            Act::AddContact { userid, external_userid, state, half, without_code } => {
                let change = if half { "add_half_external_contact" } else { "add_external_contact" };
                self.add_contact(&userid, external_userid.as_deref(), &state, change, !without_code)
            }
            Act::EditContact { userid, external_userid } => {
                self.pair(&userid, &external_userid)?;
                Ok(self
                    .contact_changed("edit_external_contact", &userid, &external_userid, |document| document))
            }
            Act::DeleteContact { userid, external_userid, by_transfer } => {
                self.end_contact(&userid, &external_userid)?;
                let source = by_transfer.then_some("DELETE_BY_TRANSFER");
                Ok(self.contact_changed("del_external_contact", &userid, &external_userid, |document| {
                    document.text_if("Source", source)
                }))
            }
            Act::DeleteFollow { userid, external_userid } => {
                self.end_contact(&userid, &external_userid)?;
                Ok(self.contact_changed("del_follow_user", &userid, &external_userid, |document| document))
            }
            Act::TransferFail { userid, external_userid, reason } => {
                if !["customer_refused", "customer_limit_exceed"].contains(&reason.as_str()) {
                    return Err(ActError::Value(reason));
                }
                self.known_staff(&userid)?;
                self.known_customer(&external_userid)?;
                Ok(self.contact_changed("transfer_fail", &userid, &external_userid, |document| {
                    document.text("FailReason", &reason)
                }))
            }
            Act::AgreeToArchive { userid, external_userid } => {
                let (staff, customer) = self.pair(&userid, &external_userid)?;
                let code = self.new_id("CODE");
                self.welcome.issue(code.clone(), staff, customer, self.now_ms());
                let deed =
                    self.contact_changed("msg_audit_approved", &userid, &external_userid, |document| {
                        document.text("WelcomeCode", &code)
                    });
                Ok(Deed { welcome_code: Some(code), ..deed })
            }
            Act::StartChat { userid, external_userid } => {
                let (staff, customer) = self.pair(&userid, &external_userid)?;
                self.welcome.chat_started(staff, customer);
                Ok(Deed { members: vec![external_userid], ..Deed::default() })
            }
            Act::ChangeTag { change, id, tag_type } => self.change_tag(&change, &id, &tag_type),
            Act::OwnerLeaves { userid } => self.owner_leaves(&userid),
            Act::CreateGroup { .. }
            | Act::Join { .. }
            | Act::Leave { .. }
            | Act::ChangeOwner { .. }
            | Act::ChangeName { .. }
            | Act::ChangeNotice { .. }
            | Act::SetAdmins { .. }
            | Act::Dismiss { .. }
            | Act::Message { .. } => Err(ActError::Value("not an act on people".to_owned())),
        }
    }

    fn add_contact(
        &mut self,
        userid: &str,
        external_userid: Option<&str>,
        state: &str,
        change: &str,
        has_code: bool,
    ) -> Result<Deed, ActError> {
        let staff = self.known_staff(userid)?;
        let customer = match external_userid {
            Some(id) => self.known_customer(id)?,
            None => self.people.new_customer(),
        };
        let now_ms = self.now_ms();
        let external_userid = self.people.external_userid(customer);
        self.people.follow(staff, customer, now_ms / 1_000, state);
        // Contacts of corps that use WeCom themselves come without a code, and so do those who were greeted as half a contact.
        let is_greeted = self.welcome.is_over(staff, customer);
        let has_code = has_code && !is_greeted && self.people.unionid(customer).is_some();
        let code = has_code.then(|| self.new_id("CODE"));
        if let Some(code) = &code {
            self.welcome.issue(code.clone(), staff, customer, now_ms);
        }
        let deed = self.contact_changed(change, userid, &external_userid, |document| {
            document.text("State", state).text_if("WelcomeCode", code.as_deref())
        });
        Ok(Deed { welcome_code: code, ..deed })
    }

    fn contact_changed(
        &mut self,
        change: &str,
        userid: &str,
        external_userid: &str,
        more: impl FnOnce(Document) -> Document,
    ) -> Deed {
        let document = Document::new("change_external_contact", external_userid)
            .kind("ChangeType", change)
            .text("UserID", userid)
            .text("ExternalUserID", external_userid);
        let event = Some(self.emit(more(document)));
        Deed { members: vec![external_userid.to_owned()], event, ..Deed::default() }
    }

    fn change_tag(&mut self, change: &str, id: &str, tag_type: &str) -> Result<Deed, ActError> {
        if !["create", "update", "delete", "shuffle"].contains(&change) {
            return Err(ActError::Value(change.to_owned()));
        }
        if !["tag", "tag_group"].contains(&tag_type) {
            return Err(ActError::Value(tag_type.to_owned()));
        }
        let document = Document::new("change_external_tag", id)
            .text("Id", id)
            .text("TagType", tag_type)
            .kind("ChangeType", change);
        Ok(Deed { event: Some(self.emit(document)), ..Deed::default() })
    }

    fn owner_leaves(&mut self, userid: &str) -> Result<Deed, ActError> {
        let staff = self.known_staff(userid)?;
        self.people.dismiss(staff);
        let owned: Vec<_> = self
            .groups
            .all()
            .filter(|(_, group)| group.now.owner == staff && !group.now.is_dismissed)
            .map(|(number, _)| number)
            .collect();
        for number in owned {
            self.groups.group_mut(number).now.status = GroupStatus::OwnerLeft;
        }
        Ok(Deed::default())
    }

    fn end_contact(&mut self, userid: &str, external_userid: &str) -> Result<(), ActError> {
        let (staff, customer) = self.pair(userid, external_userid)?;
        self.people.unfollow(staff, customer);
        self.welcome.parted(staff, customer);
        Ok(())
    }

    /// Two who are contacts.
    fn pair(&self, userid: &str, external_userid: &str) -> Result<(StaffNo, CustomerNo), ActError> {
        let pair = (self.known_staff(userid)?, self.known_customer(external_userid)?);
        match self.people.follows(pair.0, pair.1) {
            Some(_) => Ok(pair),
            None => Err(ActError::Contact(userid.to_owned(), external_userid.to_owned())),
        }
    }

    pub(super) fn known_staff(&self, userid: &str) -> Result<StaffNo, ActError> {
        let known = self.people.staff_of(userid).filter(|staff| !self.people.staff(*staff).has_left);
        known.ok_or_else(|| ActError::Staff(userid.to_owned()))
    }

    fn known_customer(&self, id: &str) -> Result<CustomerNo, ActError> {
        self.people.customer_of(id).ok_or_else(|| ActError::Customer(id.to_owned()))
    }
}
