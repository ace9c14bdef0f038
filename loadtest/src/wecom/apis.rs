//! The table of all APIs: path to one function each, and what is checked before it.
//!
//! A family is a file with a `ROUTES` table; add it to [`FAMILIES`]. What it keeps goes into [`States`], what happens by
//! itself as time passes into [`TICKS`].

mod appchats;
mod contacts;
mod directory;
pub(super) mod groups;
mod intercept;
mod join_ways;
pub(super) mod mass;
mod media;
mod messages;
mod multipart;
mod robots;
mod statistics;
mod token;
mod transfers;
pub(super) mod welcomes;

use std::collections::HashMap;

use super::config::Family;
use super::machines::{
    ActingConfig, Appchats, Inbox, Intercept, JoinWays, Mass, Media, Messages, Robots, Temper, Templates,
    Transfers,
};
use super::people::StaffNo;
use super::request::{Caller, Outcome, Request};
use super::world::World;

/// The function behind a path.
pub(crate) type Handler = fn(&mut World, &Caller, &Request) -> Outcome;

/// How a call shows who it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    /// By `access_token`; the app's families, addresses and state are checked.
    Token(Family),
    /// By something the function checks itself: a secret, a robot's key.
    Own,
}

/// Whether the basic limits per (corp, API) and (address, API) count a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Basics {
    Counted,
    /// The API has limits of its own, which its function charges.
    Exempt,
}

/// Which method an API takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// 43001 for others.
    Get,
    /// 43002 for others.
    Post,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Route {
    /// What stands behind `/cgi-bin/`.
    pub(crate) path: &'static str,
    pub(crate) verb: Verb,
    pub(crate) auth: Auth,
    pub(crate) basics: Basics,
    pub(crate) handler: Handler,
}

impl Route {
    /// A usual one: a POST by token, with the basic limits.
    pub(crate) const fn new(path: &'static str, family: Family, handler: Handler) -> Self {
        Self { path, verb: Verb::Post, auth: Auth::Token(family), basics: Basics::Counted, handler }
    }

    /// The same as a GET.
    pub(crate) const fn get(path: &'static str, family: Family, handler: Handler) -> Self {
        Self { verb: Verb::Get, ..Self::new(path, family, handler) }
    }
}

/// All families.
const FAMILIES: &[&[Route]] = &[
    token::ROUTES,
    directory::ROUTES,
    contacts::ROUTES,
    groups::ROUTES,
    statistics::ROUTES,
    welcomes::ROUTES,
    mass::ROUTES,
    robots::ROUTES,
    media::ROUTES,
    messages::ROUTES,
    appchats::ROUTES,
    intercept::ROUTES,
    transfers::ROUTES,
    join_ways::ROUTES,
];

/// What happens as time passes: called with every request and every tenth of a second.
pub(crate) const TICKS: &[fn(&mut World)] = &[mass::tick];

/// What the families keep, one field for each that keeps something.
#[derive(Debug, Default)]
pub struct States {
    /// Group welcome templates and who saw them.
    pub templates: Templates,
    /// The longest that a welcome came after its code.
    pub slowest_welcome_ms: u64,
    /// Mass sends.
    pub mass: Mass,
    /// What members are like whose kind was set by hand.
    pub tempers: HashMap<StaffNo, Temper>,
    /// Group robots.
    pub robots: Robots,
    /// Uploaded files.
    pub media: Media,
    /// App messages.
    pub messages: Messages,
    /// Groups that apps made.
    pub appchats: Appchats,
    /// Intercept rules.
    pub intercept: Intercept,
    /// Groups handed over.
    pub transfers: Transfers,
    /// Join ways.
    pub join_ways: JoinWays,
    /// The newest messages, whole.
    pub inbox: Inbox,
}

impl States {
    /// As they are at the start.
    pub(crate) fn new(config: &ActingConfig) -> Self {
        let mut states = Self::default();
        for robot in &config.robots {
            states.robots.put(robot.clone());
        }
        states
    }
}

/// The row of a path.
pub(crate) fn find(path: &str) -> Option<&'static Route> {
    FAMILIES.iter().flat_map(|family| family.iter()).find(|route| route.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_is_listed_twice() {
        let mut paths: Vec<_> =
            FAMILIES.iter().flat_map(|family| family.iter()).map(|row| row.path).collect();
        let all = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), all);
    }
}
