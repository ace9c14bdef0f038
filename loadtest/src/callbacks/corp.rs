//! The simulated corp that the callbacks come from: its people join, its callbacks are held back and handed out sealed.

use serde_json::{Value, json};

use super::{CallbacksConfig, CallbacksError};
use crate::client::Call;
use crate::wecom::{
    Act, AppConfig, CallbackConfig, LimitConfig, Population, SimConfig, Simulator, VerifyError,
};

/// Owners share the groups: an owner of the platform has at most a few hundred.
const GROUPS_AN_OWNER: usize = 100;

/// How many calls that should not have been are named.
const CALLS_SHOWN: usize = 20;

/// One join, told by the platform and ready to be sent.
#[derive(Debug)]
pub(super) struct Join {
    /// By place among the chats.
    pub(super) group: usize,
    pub(super) chat: String,
    pub(super) member: String,
    pub(super) callback: Call,
}

/// A corp with its groups.
#[derive(Debug)]
pub(super) struct Corp {
    sim: Simulator,
    app: AppConfig,
    corpid: String,
    hook: String,
    chats: Vec<String>,
    /// Joins of each group so far.
    joined: Vec<u64>,
    /// Whose turn it is.
    next: usize,
}

impl Corp {
    /// Starts it with nobody joining, and callbacks held back.
    pub(super) async fn start(config: &CallbacksConfig, hook: &str) -> Result<Self, CallbacksError> {
        let sim_config = SimConfig {
            seed: config.seed,
            population: Population {
                owners: config.groups.div_ceil(GROUPS_AN_OWNER).max(1),
                groups: config.groups,
                members: config.groups * config.members,
                contacts: 0,
            },
            // Reading all rosters at once is not what is measured; the real limits would spread it over minutes.
            limits: LimitConfig { scale: 1_000.0, ..LimitConfig::default() },
            callbacks: CallbackConfig {
                is_running: false,
                queue_max: config.joins.max(config.groups),
                ..CallbackConfig::default()
            },
            ..SimConfig::default()
        };
        let (corpid, app) = (sim_config.corpid.clone(), sim_config.apps[0].clone());
        let sim = Simulator::start(sim_config).await.map_err(CallbacksError::Simulator)?;
        let chats: Vec<String> =
            sim.with(|world| world.groups.all().map(|(number, _)| world.groups.chat_id(number)).collect());
        let joined = vec![0; chats.len()];
        Ok(Self { sim, app, corpid, hook: hook.to_owned(), chats, joined, next: 0 })
    }

    /// The account as the gateway is told of it.
    pub(super) fn account(&self) -> Value {
        let secret = |name: &str, value: &str| json!({"name": name, "value": value});
        json!({
            "platform": "wecom",
            "name": "WeCom",
            "settings": {"corp_id": self.corpid, "agent_id": self.app.agentid, "api_url": self.sim.url()},
            "secrets": [
                secret("app_secret", &self.app.secret),
                secret("callback_token", &self.app.token),
                secret("callback_key", &self.app.aes_key),
            ],
        })
    }

    /// Saves the callback's address in the console, which asks whether it is the gateway's own.
    pub(super) async fn verify_hook(&self, hook: &str) -> Result<(), VerifyError> {
        self.sim.register_callback(&self.app.name, hook).await
    }

    /// The groups' ids.
    pub(super) fn chats(&self) -> &[String] {
        &self.chats
    }

    /// How many joined each group.
    pub(super) fn joined(&self) -> Vec<u64> {
        self.joined.clone()
    }

    /// Calls of the platform's API so far.
    pub(super) fn calls(&self) -> u64 {
        self.sim.with(|world| world.ledger.next_call()) - 1
    }

    /// The interfaces called after so many calls, in order.
    pub(super) fn calls_after(&self, calls: u64) -> Vec<String> {
        let records = self.sim.with(|world| world.ledger.calls(calls, CALLS_SHOWN));
        records.into_iter().map(|record| record.api).collect()
    }

    /// Lets so many join, one group after the other; the callbacks of a group follow on each other in this order.
    pub(super) fn join(&mut self, count: usize) -> Result<Vec<Join>, CallbacksError> {
        let mut joins = Vec::with_capacity(count);
        for _ in 0..count {
            let group = self.next % self.chats.len();
            let chat = self.chats[group].clone();
            let act = Act::Join {
                chat_id: chat.clone(),
                members: Vec::new(),
                newcomers: 1,
                scene: 3,
                inviter: None,
                state: String::new(),
            };
            let (deed, callback) = self.sim.with(|world| (world.act(act), world.take_sealed(&self.hook)));
            let mut deed = deed?;
            if let (Some(member), Some(callback)) = (deed.members.pop(), callback) {
                joins.push(Join { group, chat, member, callback });
                self.joined[group] += 1;
            }
            self.next += 1;
        }
        Ok(joins)
    }
}
