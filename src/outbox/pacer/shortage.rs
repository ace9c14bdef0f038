//! Which limit is short, for people who ask why something waits. Charges nothing. Layer: pure core.

use super::{Commons, Pacer, Scope, Wish};
use crate::outbox::limit::Limit;
use crate::outbox::limiter::{Micros, Room};

/// Whose limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShortOf {
    /// The account's.
    Account,
    /// That of the group's class.
    Class,
    /// The group's own.
    Group,
    /// That of an application which several accounts use.
    App,
    /// That of a company with several accounts.
    Corp,
}

/// A limit without room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Whose.
    pub level: ShortOf,
    /// Which; `None`: the platform asked for silence.
    pub limit: Option<Limit>,
    /// Until when; `None`: until a call has ended.
    pub until: Option<Micros>,
}

impl Pacer {
    /// Returns the limit that a call would wait for longest; `None` when there is room.
    pub fn shortage(&mut self, now: Micros, wish: Wish, commons: &mut Commons) -> Option<Shortage> {
        let now = self.latest.max(now);
        let charge = wish.charge();
        let learning = self.config.learning.clone();
        let mut longest = (self.account.short(now, charge, &learning), ShortOf::Account);
        let mut look = |short: (Room, Option<Limit>), level: ShortOf| {
            if short.0 > longest.0.0 {
                longest = (short, level);
            }
        };
        let at = usize::from(wish.class.0).checked_sub(1);
        if let Some(level) = at.and_then(|at| self.classes.get_mut(at)) {
            look(level.short(now, charge, &learning), ShortOf::Class);
        }
        if let Some(level) = self.groups.get_mut(&wish.group) {
            look(level.short(now, charge, &learning), ShortOf::Group);
        }
        let levels = self.shared.get(usize::from(wish.class.0)).map_or(&[][..], Vec::as_slice);
        for (scope, short) in commons.short(now, levels, charge) {
            let level = if scope == Scope::Corp { ShortOf::Corp } else { ShortOf::App };
            look(short, level);
        }
        let ((room, limit), level) = longest;
        match room {
            Room::From(at) if at <= now => None,
            Room::From(at) => Some(Shortage { level, limit, until: Some(at) }),
            Room::AfterCompletion | Room::Never => Some(Shortage { level, limit, until: None }),
        }
    }
}
