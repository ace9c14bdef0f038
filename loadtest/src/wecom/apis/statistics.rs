//! `externalcontact/groupchat/statistic` and `…/statistic_group_by_day`, from the simulator's own log of what groups did.
//!
//! A group counts for the owner it has now, also on days before. "Up to that day" fields are cumulative, as the platform words
//! them. Days are those of UTC+8; the newest is yesterday.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Route;
use super::groups::{OwnerFilter, app_of, owners};
use crate::wecom::clock::{day_of, day_start_s};
use crate::wecom::config::Family::CustomerContact;
use crate::wecom::days::DAYS_KEPT;
use crate::wecom::errcode;
use crate::wecom::groups::Group;
use crate::wecom::people::StaffNo;
use crate::wecom::request::{Answer, Caller, Outcome, Refusal, Request};
use crate::wecom::world::World;

pub(super) const ROUTES: &[Route] = &[
    Route::new("externalcontact/groupchat/statistic", CustomerContact, by_owner),
    Route::new("externalcontact/groupchat/statistic_group_by_day", CustomerContact, by_day),
];

/// Days one request may span, both ends counted.
const SPAN_MAX: u32 = 30;
/// Owners a page has unless it asks for another number, and at most.
const PAGE: [usize; 2] = [500, 1_000];

#[derive(Debug, Deserialize)]
struct Span {
    day_begin_time: u64,
    day_end_time: Option<u64>,
    owner_filter: Option<OwnerFilter>,
}

impl Span {
    /// The days asked for.
    ///
    /// # Errors
    /// 600018 for today and later, more than 180 days ago, more than 30 days, or the wrong way round.
    fn days(&self, now_s: u64) -> Result<RangeInclusive<u32>, Refusal> {
        let today = day_of(now_s);
        let first = day_of(self.day_begin_time);
        let last = day_of(self.day_end_time.unwrap_or(self.day_begin_time));
        let is_known = first <= last && last < today && first + DAYS_KEPT >= today;
        if is_known && last - first < SPAN_MAX {
            Ok(first..=last)
        } else {
            Err(Refusal::code(errcode::BAD_STATISTIC_TIME))
        }
    }
}

/// The `data` object.
#[derive(Debug, Clone, Copy, Default)]
struct Data {
    new_chat_cnt: u64,
    chat_total: u64,
    chat_has_msg: u64,
    new_member_cnt: u64,
    member_total: u64,
    member_has_msg: u64,
    msg_total: u64,
}

impl Data {
    /// Adds what one group did in some days.
    fn add(&mut self, group: &Group, days: &RangeInclusive<u32>) {
        let last = *days.end();
        let created = day_of(group.created_s);
        if created > last {
            return;
        }
        self.new_chat_cnt += u64::from(days.contains(&created));
        self.chat_total += u64::from(group.dismissed_day.is_none_or(|day| day > last));
        self.chat_has_msg += u64::from(group.days.has_message_until(last));
        self.new_member_cnt += days.clone().map(|day| group.days.joined_on(day)).sum::<u64>();
        self.member_total += group.days.members_at_end(last, group.now.members.len());
        self.member_has_msg += group.days.speakers_until(last);
        self.msg_total += group.days.messages_until(last);
    }

    fn json(&self) -> Value {
        json!({
            "new_chat_cnt": self.new_chat_cnt,
            "chat_total": self.chat_total,
            "chat_has_msg": self.chat_has_msg,
            "new_member_cnt": self.new_member_cnt,
            "member_total": self.member_total,
            "member_has_msg": self.member_has_msg,
            "msg_total": self.msg_total,
        })
    }
}

fn by_owner(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    #[derive(Deserialize)]
    struct Body {
        #[serde(flatten)]
        span: Span,
        #[serde(default = "by_new_groups")]
        order_by: u8,
        #[serde(default)]
        order_asc: u8,
        #[serde(default)]
        offset: usize,
        limit: Option<usize>,
    }
    fn by_new_groups() -> u8 {
        1
    }
    let body: Body = request.json()?;
    let [usual, most] = PAGE;
    let limit = body.limit.unwrap_or(usual);
    if !(1..=most).contains(&limit) || !(1..=4).contains(&body.order_by) || body.order_asc > 1 {
        return Err(Refusal::code(errcode::BAD_PARAMETER));
    }
    let days = body.span.days(caller.now_s())?;
    let owners = owners(world, app_of(caller)?, body.span.owner_filter.as_ref())?;
    let mut items: Vec<(StaffNo, Data)> = sums(world, &owners, &days).into_iter().collect();
    let key = |data: &Data| match body.order_by {
        2 => data.chat_total,
        3 => data.new_member_cnt,
        4 => data.member_total,
        _ => data.new_chat_cnt,
    };
    if body.order_asc == 1 {
        items.sort_by_key(|(_, data)| key(data));
    } else {
        items.sort_by_key(|(_, data)| Reverse(key(data)));
    }
    let total = items.len();
    let page: Vec<Value> = items
        .iter()
        .skip(body.offset)
        .take(limit)
        .map(|(owner, data)| json!({ "owner": world.people.staff(*owner).userid, "data": data.json() }))
        .collect();
    let next = body.offset.min(total) + page.len();
    Ok(Answer::ok().with("total", total).with("next_offset", next).with("items", page))
}

fn by_day(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    let span: Span = request.json()?;
    let days = span.days(caller.now_s())?;
    let owners = owners(world, app_of(caller)?, span.owner_filter.as_ref())?;
    let items: Vec<Value> = days
        .map(|day| {
            let mut data = Data::default();
            for sum in groups_of(world, &owners) {
                data.add(sum, &(day..=day));
            }
            json!({ "stat_time": day_start_s(day), "data": data.json() })
        })
        .collect();
    Ok(Answer::ok().with("items", items))
}

fn groups_of<'w>(world: &'w World, owners: &'w HashSet<StaffNo>) -> impl Iterator<Item = &'w Group> {
    world.groups.all().map(|(_, group)| group).filter(|group| owners.contains(&group.now.owner))
}

fn sums(world: &World, owners: &HashSet<StaffNo>, days: &RangeInclusive<u32>) -> BTreeMap<StaffNo, Data> {
    let mut sums: BTreeMap<StaffNo, Data> = BTreeMap::new();
    for group in groups_of(world, owners) {
        sums.entry(group.now.owner).or_default().add(group, days);
    }
    sums
}
