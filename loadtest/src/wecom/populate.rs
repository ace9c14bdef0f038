//! Fills a new world with owners, groups, members and contacts that follow from the seed.

use super::clock::day_of;
use super::config::Population;
use super::groups::{GROUP_MEMBERS_MAX, Groups, JoinScene, Membership};
use super::ids::mix;
use super::people::{CustomerNo, People, Person, StaffNo, given_name};

const DAY_S: u64 = 86_400;
/// Groups are made between these many days ago.
const AGE_DAYS: std::ops::Range<u64> = 7..400;
/// Members come within so many days after their group was made.
const FILLED_DAYS: u64 = 3;
/// Every so manieth membership is of somebody who is in the group before, too.
const SHARED: usize = 10;

/// Makes everybody. Groups are filled evenly, up to what fits.
pub(crate) fn populate(people: &mut People, groups: &mut Groups, plan: &Population, seed: u64, now_s: u64) {
    for owner in 0..plan.owners {
        people.hire(&format!("owner{owner:05}"), &given_name(mix(seed ^ owner as u64)));
    }
    let owners = u32::try_from(plan.owners).unwrap_or(u32::MAX);
    if owners == 0 {
        return;
    }
    let owner_of = |index: usize| StaffNo(u32::try_from(index).unwrap_or(u32::MAX) % owners);
    let mut before: Vec<CustomerNo> = Vec::new();
    for index in 0..plan.groups {
        let chance = mix(seed ^ (index as u64) << 20);
        let days = AGE_DAYS.start + chance % (AGE_DAYS.end - AGE_DAYS.start);
        let created_s = now_s.saturating_sub(days * DAY_S + chance % DAY_S);
        let owner = owner_of(index);
        let name = format!("{}的顾客群 {}", people.staff(owner).name, index + 1);
        let group = groups.create(owner, name, created_s);
        let count = plan.members / plan.groups + usize::from(index < plan.members % plan.groups);
        let count = count.min(GROUP_MEMBERS_MAX - 1);
        let mut own = Vec::with_capacity(count);
        let found = groups.group_mut(group);
        found.now.members.reserve_exact(count);
        for seat in 0..count {
            let shared = if seat % SHARED == SHARED - 1 { before.get(seat / SHARED) } else { None };
            let customer = shared.copied().unwrap_or_else(|| {
                own.push(people.new_customer());
                own[own.len() - 1]
            });
            let joined_s = created_s + FILLED_DAYS * DAY_S * seat as u64 / count as u64;
            let scene = if seat % 3 == 0 { JoinScene::Invited } else { JoinScene::Scanned };
            let inviter = (scene == JoinScene::Invited).then_some(owner);
            let member = Membership::new(Person::Customer(customer), joined_s, scene, inviter, 0);
            found.now.members.push(member);
            found.days.joined(day_of(joined_s), 1);
        }
        before = own;
    }
    for contact in 0..plan.contacts {
        let customer = people.new_customer();
        people.follow(owner_of(contact), customer, now_s.saturating_sub(AGE_DAYS.start * DAY_S), "");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_real_fleet_fits_into_bounded_memory() {
        // A tenth of 24,000 groups with five million memberships: what is measured grows with the number alone.
        let plan = Population { owners: 400, groups: 2_400, members: 500_000, contacts: 0 };
        let (mut people, mut groups) = (People::new(1), Groups::new(1));
        populate(&mut people, &mut groups, &plan, 1, 1_767_225_600);
        assert_eq!(groups.membership_count(), 502_400, "members and owners");
        let bytes = groups.membership_bytes() / groups.membership_count();
        assert!(bytes <= 24, "{bytes} bytes a membership");
        assert!(people.customer_count() < 460_000, "some are in two groups");
    }

    #[test]
    fn nobody_is_in_a_group_twice_and_the_same_seed_makes_the_same_people() {
        let plan = Population { owners: 3, groups: 7, members: 1_000, contacts: 5 };
        let rosters = |seed| {
            let (mut people, mut groups) = (People::new(seed), Groups::new(seed));
            populate(&mut people, &mut groups, &plan, seed, 1_767_225_600);
            let roster = |members: &[Membership]| -> Vec<String> {
                members.iter().map(|member| people.id_of(member.person())).collect()
            };
            groups.all().map(|(_, group)| roster(&group.now.members)).collect::<Vec<_>>()
        };
        let once = rosters(1);
        for roster in &once {
            assert_eq!(roster.iter().collect::<HashSet<_>>().len(), roster.len());
        }
        assert_eq!(once, rosters(1));
        assert_ne!(once, rosters(2));
    }
}
