//! Mass sends: `externalcontact/add_msg_template`, what becomes of it, and members confirming it.

mod create;
mod follow;

use super::Route;
use crate::wecom::config::Family::CustomerContact;
use crate::wecom::groups::GroupNo;
use crate::wecom::machines::mass::Audience;
use crate::wecom::machines::owners::Temper;
use crate::wecom::people::{CustomerNo, StaffNo};
use crate::wecom::world::World;

pub(super) const ROUTES: &[Route] = &[
    Route::new("externalcontact/add_msg_template", CustomerContact, create::add),
    Route::new("externalcontact/get_groupmsg_list_v2", CustomerContact, follow::list),
    Route::new("externalcontact/get_groupmsg_task", CustomerContact, follow::tasks),
    Route::new("externalcontact/get_groupmsg_send_result", CustomerContact, follow::results),
    Route::new("externalcontact/remind_groupmsg_send", CustomerContact, follow::remind),
    Route::new("externalcontact/cancel_groupmsg_send", CustomerContact, follow::cancel),
];

/// Lets everybody confirm who was to do it by now.
pub(super) fn tick(world: &mut World) {
    let now_ms = world.now_ms();
    while let Some((due_ms, msgid, staff)) = world.states.mass.next_due(now_ms) {
        confirm(world, &msgid, staff, due_ms);
    }
}

/// A member confirms what waits for them; says whether anything did.
pub(in crate::wecom) fn confirm(world: &mut World, msgid: &str, staff: StaffNo, at_ms: u64) -> bool {
    let World { groups, people, .. } = world;
    if people.staff(staff).has_left {
        return false;
    }
    let Ok(audience) = world.states.mass.task(msgid).map(|task| task.audience) else { return false };
    let is_theirs = |number| match audience {
        Audience::Group => {
            let state = &groups.group(GroupNo(number)).now;
            !state.is_dismissed && state.owner == staff
        }
        Audience::Single => people.follows(staff, CustomerNo(number)).is_some(),
    };
    let cap = world.config.acting.cap;
    let Some(confirmed) = world.states.mass.confirm(msgid, staff, cap, at_ms, is_theirs) else {
        return false;
    };
    for number in confirmed.reached {
        let target = id_of(world, audience, number);
        world.ledger.reached(at_ms, "mass", &target, msgid, &confirmed.ledger_text);
    }
    true
}

/// The id of a target.
fn id_of(world: &World, audience: Audience, number: u32) -> String {
    match audience {
        Audience::Group => world.groups.chat_id(GroupNo(number)),
        Audience::Single => world.people.external_userid(CustomerNo(number)),
    }
}

impl World {
    /// Sets by hand what a member is like; says whether there is one.
    pub fn set_temper(&mut self, userid: &str, temper: Temper) -> bool {
        let staff = self.people.staff_of(userid);
        staff.map(|staff| self.states.tempers.insert(staff, temper)).is_some()
    }

    /// A member confirms a mass send now; says whether one waited for them.
    pub fn confirm_mass_send(&mut self, msgid: &str, userid: &str) -> bool {
        let now_ms = self.now_ms();
        self.people.staff_of(userid).is_some_and(|staff| confirm(self, msgid, staff, now_ms))
    }
}
