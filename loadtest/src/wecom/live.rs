//! A crowd that lives by itself: people join, leave, become contacts and write, at rates a simulated second.
//!
//! It moves when time does, so a manual clock moved by half an hour brings half an hour of life at once. The same seed and the
//! same steps of time bring the same deeds.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

use super::acts::Act;
use super::groups::GroupNo;
use super::people::{Person, StaffNo};
use super::world::World;

/// Deeds of one step; more than that stay owed, so that a long jump of time does not hold the lock for long.
const STEP_MAX: usize = 10_000;
/// Tries to find a group that fits before a deed is let go.
const TRIES: usize = 8;

/// How lively a crowd is, in deeds a simulated second over all groups.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Customers who come into a group.
    pub joins: f64,
    /// Customers who go.
    pub leaves: f64,
    /// New contacts.
    pub contacts: f64,
    /// Messages in groups.
    pub messages: f64,
    /// The same seed, the same deeds.
    pub seed: u64,
}

impl Default for Rates {
    fn default() -> Self {
        Self { joins: 0.0, leaves: 0.0, contacts: 0.0, messages: 0.0, seed: 1 }
    }
}

/// A living crowd.
#[derive(Debug)]
pub(crate) struct Crowd {
    rates: Rates,
    rng: StdRng,
    last_ms: u64,
    /// Deeds not yet done, in the order of [`DEEDS`].
    owed: [f64; 4],
}

/// What the crowd does.
const DEEDS: [fn(&mut World, &mut StdRng); 4] = [join, leave, add_contact, write];

impl World {
    /// Lets a crowd live from now on, in place of the one before.
    pub fn live(&mut self, rates: Rates) {
        let rng = StdRng::seed_from_u64(rates.seed);
        self.crowd = Some(Crowd { rates, rng, last_ms: self.now_ms(), owed: [0.0; 4] });
    }

    /// Ends the crowd's life.
    pub fn be_still(&mut self) {
        self.crowd = None;
    }
}

/// Lets the crowd do what it owes by now.
pub(crate) fn tick(world: &mut World) {
    let Some(mut crowd) = world.crowd.take() else { return };
    let now_ms = world.now_ms();
    let Rates { joins, leaves, contacts, messages, .. } = crowd.rates;
    let passed_s = std::time::Duration::from_millis(now_ms.saturating_sub(crowd.last_ms)).as_secs_f64();
    crowd.last_ms = now_ms;
    let mut left = STEP_MAX;
    for (at, rate) in [joins, leaves, contacts, messages].into_iter().enumerate() {
        crowd.owed[at] += rate.max(0.0) * passed_s;
        while crowd.owed[at] >= 1.0 && left > 0 {
            crowd.owed[at] -= 1.0;
            left -= 1;
            DEEDS[at](world, &mut crowd.rng);
        }
    }
    world.crowd = Some(crowd);
}

fn any_group(world: &World, rng: &mut StdRng, fits: impl Fn(usize) -> bool) -> Option<GroupNo> {
    let count = u32::try_from(world.groups.count()).ok().filter(|&count| count > 0)?;
    let mut tries = (0..TRIES).map(|_| GroupNo(rng.random_range(0..count)));
    tries.find(|number| {
        let state = &world.groups.group(*number).now;
        !state.is_dismissed && fits(state.members.len())
    })
}

fn any_member(world: &World, group: GroupNo, rng: &mut StdRng) -> Option<Person> {
    let members = &world.groups.group(group).now.members;
    let member = members.get(rng.random_range(0..members.len().max(1)))?;
    Some(member.person())
}

/// An act of the crowd that turns out impossible is let go: the next one is as good.
fn attempt(world: &mut World, act: Act) {
    _ = world.act(act); // a crowd has nobody to tell
}

fn join(world: &mut World, rng: &mut StdRng) {
    let fits = |members| members < super::groups::GROUP_MEMBERS_MAX;
    let Some(group) = any_group(world, rng, fits) else { return };
    let chat_id = world.groups.chat_id(group);
    let (scene, inviter) = if rng.random_bool(0.3) {
        let owner = world.groups.group(group).now.owner;
        (1, Some(world.people.staff(owner).userid.clone()))
    } else {
        (3, None)
    };
    let act = Act::Join { chat_id, members: Vec::new(), newcomers: 1, scene, inviter, state: String::new() };
    attempt(world, act);
}

fn leave(world: &mut World, rng: &mut StdRng) {
    let Some(group) = any_group(world, rng, |members| members > 1) else { return };
    let Some(person @ Person::Customer(_)) = any_member(world, group, rng) else { return };
    let (chat_id, members) = (world.groups.chat_id(group), vec![world.people.id_of(person)]);
    attempt(world, Act::Leave { chat_id, members, removed: rng.random_bool(0.05) });
}

fn add_contact(world: &mut World, rng: &mut StdRng) {
    let count = u32::try_from(world.people.all_staff().count()).unwrap_or(u32::MAX);
    if count == 0 {
        return;
    }
    let userid = world.people.staff(StaffNo(rng.random_range(0..count))).userid.clone();
    let state = String::new();
    attempt(
        world,
        Act::AddContact { userid, external_userid: None, state, half: false, without_code: false },
    );
}

fn write(world: &mut World, rng: &mut StdRng) {
    let Some(group) = any_group(world, rng, |members| members > 0) else { return };
    let Some(person) = any_member(world, group, rng) else { return };
    let (chat_id, from) = (world.groups.chat_id(group), world.people.id_of(person));
    attempt(world, Act::Message { chat_id, from });
}
