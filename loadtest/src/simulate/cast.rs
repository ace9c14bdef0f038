//! Who does what: the deeds of a shop's people and of the advertiser, decided by the seed and nothing else.

use std::collections::VecDeque;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Fleet, FleetGroup, Mix};
use crate::lines::{adverts, talk};

const SHOPS: &[&str] = &[
    "湖滨店",
    "西溪店",
    "城北店",
    "滨江店",
    "武林店",
    "古墩店",
    "江南店",
    "和平店",
    "新塘店",
    "东站店",
    "文晖店",
    "下沙店",
    "良渚店",
    "翠苑店",
    "三墩店",
    "钱江店",
    "转塘店",
    "临平店",
    "长河店",
    "闲林店",
    "笕桥店",
    "望江店",
    "南星店",
    "运河店",
];
/// Customers who are in a group from the start.
const REGULARS: u32 = 60;
/// How many groups one round of the advertiser goes through, at least and at most.
const ROUND: std::ops::RangeInclusive<usize> = 5..=12;

/// What somebody does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deed {
    pub(super) group: FleetGroup,
    pub(super) member: String,
    pub(super) kind: DeedKind,
    /// Empty for joins and leaves.
    pub(super) text: String,
}

/// What a deed is meant as; the gateway is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeedKind {
    Talk,
    Question,
    Staff,
    Join,
    Leave,
    Advert,
}

/// Something that acts: waits a while, then does something.
pub(super) trait Actor: Send {
    /// The next deed and the pause before it.
    fn next(&mut self) -> (Duration, Deed);
}

/// The group of a shop by number.
pub(super) fn fleet_group(shop: usize, group: usize) -> FleetGroup {
    let name = SHOPS[shop % SHOPS.len()];
    // More shops than names: the later ones carry a number.
    let turn = shop / SHOPS.len();
    let shop_name = if turn == 0 { name.to_owned() } else { format!("{name}{}", turn + 1) };
    FleetGroup {
        group: format!("shop-{:03}-{}", shop + 1, group + 1),
        name: format!("{shop_name} {} 群", group + 1),
        shop: format!("shop-{:03}", shop + 1),
        shop_name,
    }
}

/// The people of one shop.
#[derive(Debug)]
pub(super) struct Shop {
    number: usize,
    groups: usize,
    rate: f64,
    mix: Mix,
    rng: StdRng,
    newcomers: u32,
    /// Those who came in during the run, and where.
    inside: Vec<(usize, String)>,
    /// The rest of a wave of joins.
    wave: VecDeque<usize>,
}

impl Shop {
    pub(super) fn new(fleet: &Fleet, number: usize) -> Self {
        Self {
            number,
            groups: fleet.groups_per_shop.max(1),
            rate: fleet.events_per_second.max(0.001),
            mix: fleet.mix,
            rng: rng(fleet.seed, number),
            newcomers: 0,
            inside: Vec::new(),
            wave: VecDeque::new(),
        }
    }

    fn decide(&mut self) -> Deed {
        let Mix { talk, question, staff, join, wave, leave, advert } = self.mix;
        let weights = [talk, question, staff, join, wave, leave, advert];
        let mut draw = self.rng.random::<f64>() * weights.iter().sum::<f64>();
        let choice = weights.iter().position(|weight| {
            draw -= weight;
            draw < 0.0
        });
        let group = self.rng.random_range(0..self.groups);
        let regular = format!("u-{}-{group}-{}", self.number, self.rng.random_range(0..REGULARS));
        match choice {
            Some(1) => {
                let text = talk::question(&mut self.rng);
                self.deed(group, regular, DeedKind::Question, text)
            }
            Some(2) => {
                let text = talk::staff(&mut self.rng);
                self.deed(group, format!("staff-{}", self.number), DeedKind::Staff, text)
            }
            Some(3) => self.join(group),
            Some(4) => {
                let more = self.rng.random_range(3..8);
                self.wave.extend(std::iter::repeat_n(group, more));
                self.join(group)
            }
            Some(5) if !self.inside.is_empty() => {
                let index = self.rng.random_range(0..self.inside.len());
                let (group, member) = self.inside.swap_remove(index);
                self.deed(group, member, DeedKind::Leave, String::new())
            }
            Some(6) => {
                let text = adverts::advert(&mut self.rng);
                let member = format!("ad-{}-{}", self.number, self.rng.random_range(0..REGULARS));
                self.deed(group, member, DeedKind::Advert, text)
            }
            _ => {
                let text = talk::ordinary(&mut self.rng);
                self.deed(group, regular, DeedKind::Talk, text)
            }
        }
    }

    fn join(&mut self, group: usize) -> Deed {
        self.newcomers += 1;
        let member = format!("n-{}-{}", self.number, self.newcomers);
        self.inside.push((group, member.clone()));
        self.deed(group, member, DeedKind::Join, String::new())
    }

    fn deed(&self, group: usize, member: String, kind: DeedKind, text: String) -> Deed {
        Deed { group: fleet_group(self.number, group), member, kind, text }
    }
}

impl Actor for Shop {
    fn next(&mut self) -> (Duration, Deed) {
        if let Some(group) = self.wave.pop_front() {
            return (Duration::from_millis(self.rng.random_range(100..600)), self.join(group));
        }
        // Exponential gaps: people do not write to a beat. Capped, so that a quiet shop is not taken for a dead one.
        let gap = -(1.0 - self.rng.random::<f64>()).ln() / self.rate;
        let pause = Duration::from_secs_f64(gap.min(5.0 / self.rate));
        (pause, self.decide())
    }
}

/// One who puts the same advert into many groups of many shops, a round at a time.
#[derive(Debug)]
pub(super) struct Advertiser {
    shops: usize,
    groups: usize,
    every: Duration,
    rng: StdRng,
    round: u32,
    text: String,
    left: usize,
}

impl Advertiser {
    pub(super) fn new(fleet: &Fleet) -> Self {
        Self {
            shops: fleet.shops,
            groups: fleet.groups_per_shop,
            every: fleet.rounds_every,
            rng: rng(fleet.seed, usize::MAX),
            round: 0,
            text: String::new(),
            left: 0,
        }
    }
}

impl Actor for Advertiser {
    fn next(&mut self) -> (Duration, Deed) {
        let pause = if self.left == 0 {
            self.round += 1;
            self.text = adverts::advert(&mut self.rng);
            self.left = self.rng.random_range(ROUND);
            self.every
        } else {
            Duration::from_millis(self.rng.random_range(200..900))
        };
        self.left -= 1;
        let group = fleet_group(self.rng.random_range(0..self.shops), self.rng.random_range(0..self.groups));
        let member = format!("ad-round-{}", self.round);
        (pause, Deed { group, member, kind: DeedKind::Advert, text: self.text.clone() })
    }
}

fn rng(seed: u64, number: usize) -> StdRng {
    let stream =
        u64::try_from(number).unwrap_or(u64::MAX).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    StdRng::seed_from_u64(seed ^ stream)
}
