//! What the sandbox offers beyond sends: a library of welcome templates, rules for staff, groups that change hands, ways
//! into groups, groups of our own. In memory, with the limits a real platform has, so that whoever meets them meets them here.
//!
//! Limits and codes are WeCom's, since that is the platform with these offers.

mod groups;
mod library;

use std::collections::BTreeMap;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::Deserialize;

use super::Sandbox;
use crate::clock::Clock;
use crate::connectors::offers::{
    Finding, InterceptRule, JoinWay, PlatformError, Retry, SelfCheck, Standing, WelcomeTemplate,
};

/// What the sandbox remembers of one account.
#[derive(Debug)]
pub(super) struct Desk {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Counts what was ever made, for ids.
    made: u64,
    templates: BTreeMap<String, WelcomeTemplate>,
    rules: BTreeMap<String, InterceptRule>,
    /// Groups whose owner has left, with that owner.
    orphans: BTreeMap<String, String>,
    /// Groups given to a new owner on a day, as days since the epoch.
    given: (i64, usize),
    join_ways: BTreeMap<String, JoinWay>,
    own_groups: BTreeMap<String, OwnGroup>,
}

#[derive(Clone, Debug)]
struct OwnGroup {
    name: String,
    owner: String,
    staff: Vec<String>,
}

/// What an account can say about its pretended platform.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Pretended {
    /// Groups whose owner has left, with that owner.
    orphans: BTreeMap<String, String>,
}

impl Desk {
    pub(super) fn new(clock: Clock, pretended: Pretended) -> Self {
        let state = State { orphans: pretended.orphans, ..State::default() };
        Self { clock, state: Mutex::new(state) }
    }
}

impl State {
    fn id(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}-{}", self.made)
    }
}

/// A refusal that trying again does not help.
fn refused(operation: &'static str, code: &str, zh: &str, en: &str) -> PlatformError {
    PlatformError {
        operation,
        code: code.to_owned(),
        zh: zh.to_owned(),
        en: en.to_owned(),
        retry: Retry::Never,
        uncertain: false,
    }
}

fn unknown(operation: &'static str) -> PlatformError {
    refused(
        operation,
        "not_found",
        "平台上没有这一项，可能已被删除",
        "the platform has no such thing; it may have been removed",
    )
}

#[async_trait]
impl SelfCheck for Sandbox {
    async fn check(&self, _: Option<&str>, found: &(dyn Fn(Finding) + Send + Sync)) {
        found(Finding {
            subject: "account".to_owned(),
            standing: Standing::Good,
            zh: "沙箱账号不连接任何平台，没有需要检查的配置。".to_owned(),
            en: "A sandbox account is connected to no platform; there is nothing to set up.".to_owned(),
        });
    }
}

#[cfg(test)]
mod tests;
