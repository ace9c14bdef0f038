//! Groups that change hands, ways into groups, groups of our own.

use async_trait::async_trait;

use super::{OwnGroup, refused, unknown};
use crate::connectors::offers::{GroupLife, JoinWay, OwnGroups, PlatformError, Retry};
use crate::connectors::sandbox::Sandbox;
use crate::event::HOUR_MS;

const TRANSFERS_A_CALL: usize = 100;
const TRANSFERS_A_DAY: usize = 300;
const WAY_GROUPS_MAX: usize = 5;
const CHANNEL_CHARS_MAX: usize = 30;
const OWN_GROUP_STAFF_MIN: usize = 2;
const OWN_GROUP_STAFF_MAX: usize = 2_000;

#[async_trait]
impl GroupLife for Sandbox {
    async fn orphans(&self) -> Result<Vec<(String, Option<String>)>, PlatformError> {
        let state = self.desk.state.lock();
        Ok(state.orphans.iter().map(|(group, owner)| (group.clone(), Some(owner.clone()))).collect())
    }

    async fn transfer(
        &self,
        groups: &[String],
        _: &str,
        owner_left: bool,
    ) -> Result<Vec<(String, PlatformError)>, PlatformError> {
        const OPERATION: &str = "transfer groups";
        if groups.is_empty() || groups.len() > TRANSFERS_A_CALL {
            let (zh, en) = ("每次 1 至 100 个群", "a call takes 1 to 100 groups");
            return Err(refused(OPERATION, "81017", zh, en));
        }
        let day = self.desk.clock.now_ms().div_euclid(24 * HOUR_MS);
        let mut state = self.desk.state.lock();
        if state.given.0 != day {
            state.given = (day, 0);
        }
        let mut failed = Vec::new();
        for group in groups {
            if state.given.1 >= TRANSFERS_A_DAY {
                let (zh, en) =
                    ("今天已移交 300 个群，明天再继续", "300 groups were given today; go on tomorrow");
                let error = PlatformError { retry: Retry::Backoff, ..refused(OPERATION, "90507", zh, en) };
                failed.push((group.clone(), error));
            } else if owner_left && state.orphans.remove(group).is_none() {
                let (zh, en) = ("这个群的群主没有离职", "the owner of this group has not left");
                failed.push((group.clone(), refused(OPERATION, "90500", zh, en)));
            } else {
                state.given.1 += 1;
            }
        }
        Ok(failed)
    }

    async fn add_join_way(&self, way: &JoinWay) -> Result<(String, Option<String>), PlatformError> {
        check_way(way)?;
        let mut state = self.desk.state.lock();
        let id = state.id("way");
        state.join_ways.insert(id.clone(), way.clone());
        let address = format!("https://sandbox.invalid/{id}");
        Ok((id, Some(address)))
    }

    async fn update_join_way(&self, id: &str, way: &JoinWay) -> Result<(), PlatformError> {
        check_way(way)?;
        let mut state = self.desk.state.lock();
        let slot = state.join_ways.get_mut(id).ok_or_else(|| unknown("update join way"))?;
        *slot = way.clone();
        Ok(())
    }

    async fn remove_join_way(&self, id: &str) -> Result<(), PlatformError> {
        let removed = self.desk.state.lock().join_ways.remove(id);
        removed.map(drop).ok_or_else(|| unknown("remove join way"))
    }
}

fn check_way(way: &JoinWay) -> Result<(), PlatformError> {
    if way.groups.is_empty()
        || way.groups.len() > WAY_GROUPS_MAX
        || way.channel.chars().count() > CHANNEL_CHARS_MAX
    {
        let (zh, en) =
            ("1 至 5 个群，渠道最多 30 个字", "1 to 5 groups, and at most 30 characters of channel");
        return Err(refused("write join way", "40058", zh, en));
    }
    Ok(())
}

#[async_trait]
impl OwnGroups for Sandbox {
    async fn create(
        &self,
        name: &str,
        owner: Option<&str>,
        staff: &[String],
        id: Option<&str>,
    ) -> Result<String, PlatformError> {
        const OPERATION: &str = "create group";
        let owner = owner.or_else(|| staff.first().map(String::as_str)).unwrap_or_default();
        if staff.len() < OWN_GROUP_STAFF_MIN || staff.len() > OWN_GROUP_STAFF_MAX {
            let (zh, en) = ("群成员须为 2 至 2000 人", "a group has 2 to 2000 members");
            return Err(refused(OPERATION, "86006", zh, en));
        }
        if !staff.iter().any(|person| person == owner) {
            let (zh, en) = ("群主须在成员之中", "the owner is one of the members");
            return Err(refused(OPERATION, "86207", zh, en));
        }
        let mut state = self.desk.state.lock();
        let id = id.map_or_else(|| state.id("own"), str::to_owned);
        if state.own_groups.contains_key(&id) {
            let (zh, en) = ("群 ID 已存在", "there is a group of this id already");
            return Err(refused(OPERATION, "86215", zh, en));
        }
        let group = OwnGroup { name: name.to_owned(), owner: owner.to_owned(), staff: staff.to_vec() };
        state.own_groups.insert(id.clone(), group);
        Ok(id)
    }

    async fn update(
        &self,
        id: &str,
        name: Option<&str>,
        owner: Option<&str>,
        add: &[String],
        remove: &[String],
    ) -> Result<(), PlatformError> {
        let mut state = self.desk.state.lock();
        let group = state.own_groups.get_mut(id).ok_or_else(|| unknown("update group"))?;
        group.staff.retain(|person| !remove.contains(person));
        let fresh = add.iter().filter(|person| !group.staff.contains(person)).cloned().collect::<Vec<_>>();
        group.staff.extend(fresh);
        name.unwrap_or(&group.name.clone()).clone_into(&mut group.name);
        owner.unwrap_or(&group.owner.clone()).clone_into(&mut group.owner);
        Ok(())
    }

    async fn get(&self, id: &str) -> Result<(String, String, Vec<String>), PlatformError> {
        let state = self.desk.state.lock();
        let group = state.own_groups.get(id).ok_or_else(|| unknown("get group"))?;
        Ok((group.name.clone(), group.owner.clone(), group.staff.clone()))
    }
}
