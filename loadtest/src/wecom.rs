//! A faithful stand-in for WeCom (企业微信): a real HTTP server with the platform's paths, limits, lags and faults.
//!
//! It is written from the platform's published protocol and shares nothing with any gateway. Point a client at
//! [`Simulator::url`] instead of `https://qyapi.weixin.qq.com`. One simulator is one corp with its apps.
//!
//! Every business error is HTTP 200 with `errcode` and an `errmsg` in the platform's form; unknown paths are 404.
//! What goes wrong is a script, see [`faults`]; limits and their penalties are in [`limits`].
//!
//! Where the platform's pages are silent or disagree, this is how it is here: a banned address gets 45009; groups outside an
//! app's visible range 60011; more than 100 owners 40032, unknown ones 60111; a group's past counts for the owner it has now;
//! `expires_in` is what the token has left; 30 days of statistics count both ends; a retry is the same bytes; an unknown chat
//! gets 40050, windows slide, members are listed as items. What has a switch is in [`SimConfig`].
//!
//! | file | paths behind `/cgi-bin/` |
//! |---|---|
//! | `apis/token.rs` | `gettoken` |
//! | `apis/directory.rs` | `getcallbackip`, `agent/get`, `user/get`, `user/simplelist`, `department/simplelist` |
//! | `apis/contacts.rs` | `externalcontact/list`, `…/get`, `…/get_follow_user_list` |
//! | `apis/groups.rs` | `externalcontact/groupchat/list`, `…/get` |
//! | `apis/statistics.rs` | `externalcontact/groupchat/statistic`, `…/statistic_group_by_day` |
//! | `apis/welcomes.rs` | `externalcontact/send_welcome_msg`, `…/group_welcome_template/{add,edit,get,del}` |
//! | `apis/mass.rs` | `externalcontact/add_msg_template`, `…/get_groupmsg_{list_v2,task,send_result}`, `…/{remind,cancel}_groupmsg_send` |
//! | `apis/robots.rs` | `webhook/send`, `webhook/upload_media` |
//! | `apis/media.rs` | `media/upload`, `media/get` |
//! | `apis/messages.rs` | `message/send`, `message/recall` |
//! | `apis/appchats.rs` | `appchat/{create,update,get,send}` |
//! | `apis/intercept.rs` | `externalcontact/{add,get,update,del}_intercept_rule`, `…/get_intercept_rule_list` |
//! | `apis/transfers.rs` | `externalcontact/groupchat/transfer`, `…/onjob_transfer` |
//! | `apis/join_ways.rs` | `externalcontact/groupchat/{add,get,update,del}_join_way`, `externalcontact/opengid_to_chatid` |
//!
//! | route | does |
//! |---|---|
//! | `GET /_sim/report` | [`SimReport`]: counts, limits, faults |
//! | `GET /_sim/calls?after=N&limit=M` | [`CallRecord`]s |
//! | `GET /_sim/deliveries?after=N&limit=M` | [`DeliveryRecord`]s |
//! | `GET /_sim/sends?after=N&limit=M` | [`SendRecord`]s |
//! | `GET /_sim/groups?after=N&limit=M`, `GET /_sim/groups/{chat_id}` | the true rosters, whatever reads are shown |
//! | `POST /_sim/act` `{"act":"join","chat_id":…,"newcomers":2}` | an [`Act`] with an optional `lag_ms`; answers a [`Deed`] |
//! | `POST /_sim/callback` `{"app":…,"url":…}` | verifies a callback URL and sends the app's events there |
//! | `GET`, `POST /_sim/callbacks` | the [`CallbackConfig`]: deadlines, tries, duplicates, order, forms |
//! | `POST /_sim/inject` `{"app":…,"injection":"bad_padding"}` | sends a callback that must be refused, see [`Injection`] |
//! | `POST /_sim/live` `{"joins":2.5,"leaves":1}` | a crowd lives at these [`Rates`]; `{}` ends it |
//! | `POST /_sim/app` `{"app":…,"is_enabled":false}` | changes `families`, `visible_departments`, `trust_ip`, `is_enabled` |
//! | `GET`, `POST /_sim/acting` | the [`ActingConfig`]: owners, caps, disputed points |
//! | `GET /_sim/mass?after=N&limit=M` | mass sends, their senders, and targets by status |
//! | `GET /_sim/received?after=N&limit=M` | the newest messages, whole |
//! | `GET /_sim/greetings?chat_id=…` | what newcomers of groups saw |
//! | `POST /_sim/robot` `{"key":…,"group":…,"state":"active"}` | puts a robot into an internal group, or changes it |
//! | `POST /_sim/robot_calls` `{"key":…,"calls":N}` | somebody else uses a robot's key |
//! | `POST /_sim/temper` `{"userid":…,"temper":"prompt"}` | how soon a member confirms: `prompt`, `late`, `never` |
//! | `POST /_sim/confirm` `{"msgid":…,"userid":…}` | a member confirms a mass send now |
//! | `POST /_sim/template` `{"chat_id":…,"template_id":…}` | an owner picks a welcome template for a group, or none |
//! | `POST /_sim/occupy` `{"welcome_code":…,"for_ms":N,"succeeds":true}` | another app is busy with a welcome code |
//! | `POST /_sim/say` `{"userid":…,"text":…}` | a member says something to a customer; answers the `verdict` |
//! | `POST /_sim/join_way` `{"config_id":…,"members":[…]}` | customers come by a join way; answers [`Deed`]s |
//! | `POST /_sim/faults` `["*:503@5%"]` | replaces the script |
//! | `POST /_sim/tokens` `{"app":…,"end":"void"\|"expire"}` | ends an app's token early |
//! | `POST /_sim/limits` `{"api":…,"calls":N}` | somebody else makes so many calls of an API |
//! | `POST /_sim/clock` `{"advance_ms":N}` | moves the simulated time |

mod acts;
mod apis;
mod callbacks;
mod clock;
mod config;
mod control;
mod crypto;
mod days;
mod envelope;
pub mod errcode;
mod events;
pub mod faults;
mod gate;
mod groups;
mod ids;
mod ledger;
pub mod limits;
mod live;
pub mod machines;
mod people;
mod populate;
mod request;
mod serve;
#[cfg(test)]
mod tests;
mod tokens;
mod welcome;
mod world;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

pub use self::acts::{Act, ActError, Deed, LaggedAct};
pub use self::apis::States;
pub use self::callbacks::VerifyError;
pub use self::clock::Clock;
pub use self::config::{AppConfig, CallbackConfig, Family, MemberList, Population, SimConfig};
pub use self::crypto::{Cipher, CryptoError};
pub use self::envelope::{Envelope, encrypted_part, xml_text};
pub use self::events::{Injection, Queue};
pub use self::faults::{Fault, FaultError};
pub use self::groups::{
    GROUP_MEMBERS_MAX, Group, GroupNo, GroupState, GroupStatus, Groups, JoinScene, Membership,
};
pub use self::ledger::{
    CallRecord, DeliveryEnd, DeliveryRecord, Ledger, LedgerSummary, SendRecord, WayCount,
};
pub use self::limits::{LimitConfig, LimitReport, Limits, Windows};
pub use self::live::Rates;
pub use self::machines::{ActingConfig, ActingReport};
pub use self::people::{CustomerNo, Follow, People, Person, ROOT_DEPARTMENT, Staff, StaffNo, Words};
pub use self::request::{Answer, Caller, Outcome, Refusal, Request};
pub use self::tokens::Tokens;
pub use self::welcome::{CodeState, WelcomeCode, WelcomeCodes};
pub use self::world::{App, World};

/// How often things happen by themselves.
const TICK: Duration = Duration::from_millis(100);

/// A running simulator. It owns the listener, all connections and what happens by itself; dropping it ends them.
#[derive(Debug)]
pub struct Simulator {
    url: String,
    shared: Arc<Shared>,
    changes: watch::Receiver<u64>,
    tasks: Vec<JoinHandle<()>>,
}

/// What connections share.
#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    latency: Duration,
    /// Tells the sender of callbacks that something waits.
    wake: Notify,
    /// Counts whatever was done, so that waiting for a condition needs no polling.
    changed: watch::Sender<u64>,
}

impl Shared {
    /// Does one thing to the world.
    fn with<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        let (result, has_callbacks) = {
            let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
            let result = act(&mut world);
            (result, !world.queue.waiting.is_empty())
        };
        if has_callbacks {
            self.wake.notify_one();
        }
        self.changed.send_modify(|count| *count += 1);
        result
    }

    /// Does one thing to the world that nobody waits for.
    fn with_quietly<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        act(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the world; tells nobody.
    fn look<R>(&self, look: impl FnOnce(&World) -> R) -> R {
        look(&self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn report(&self) -> SimReport {
        self.look(|world| SimReport {
            now_ms: world.now_ms(),
            ledger: world.ledger.summary(),
            limits: world.limits.report(),
            faults: world.faults.texts(),
            groups: world.groups.all().filter(|(_, group)| !group.now.is_dismissed).count(),
            memberships: world.groups.membership_count(),
            events: world.queue.numbered(),
            callbacks_waiting: world.queue.depth().0 + world.queue.depth().1,
            welcome_codes_issued: world.welcome.counts().0,
            welcome_codes_used: world.welcome.counts().1,
            acting: ActingReport::of(&world.states),
        })
    }
}

/// What a simulator has to say.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SimReport {
    /// The simulated time, in milliseconds since 1970.
    pub now_ms: u64,
    /// What happened.
    pub ledger: LedgerSummary,
    /// What limits had to bear.
    pub limits: LimitReport,
    /// The script in force.
    pub faults: Vec<String>,
    /// Groups that are not dismissed.
    pub groups: usize,
    /// People in them, once for each group they are in.
    pub memberships: usize,
    /// Events ever written.
    pub events: u64,
    /// Callbacks that wait or are being tried.
    pub callbacks_waiting: usize,
    /// Welcome codes given out.
    pub welcome_codes_issued: u64,
    /// Of these, the ones a message was sent with.
    pub welcome_codes_used: u64,
    /// What came of everything that apps did.
    pub acting: ActingReport,
}

impl Simulator {
    /// Makes the world, binds and starts to answer.
    ///
    /// # Errors
    /// When the address cannot be bound, or an app's `EncodingAESKey` is none (`InvalidInput`).
    pub async fn start(config: SimConfig) -> std::io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (changed, changes) = watch::channel(0);
        let latency = config.latency;
        let world = World::new(config)
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error.to_string()))?;
        let shared = Arc::new(Shared { world: Mutex::new(world), latency, wake: Notify::new(), changed });
        let tasks = vec![
            tokio::spawn(serve::serve(listener, Arc::clone(&shared))),
            tokio::spawn(callbacks::send_all(Arc::clone(&shared))),
            tokio::spawn(tick(Arc::clone(&shared))),
        ];
        Ok(Self { url, shared, changes, tasks })
    }

    /// The address that replaces `https://qyapi.weixin.qq.com`, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Does one thing to the world, as one step: nothing else happens meanwhile.
    pub fn with<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        self.shared.with(act)
    }

    /// What happened so far.
    pub fn report(&self) -> SimReport {
        self.shared.report()
    }

    /// Replaces the script; counts and moments start again.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.with(|world| {
            let now_ms = world.now_ms();
            world.faults.replace(faults, now_ms);
        });
    }

    /// Lets people do something; the event is on its way when this returns.
    ///
    /// # Errors
    /// When it is impossible.
    pub fn act(&self, act: impl Into<LaggedAct>) -> Result<Deed, ActError> {
        self.with(|world| world.act(act))
    }

    /// Moves the simulated time, and lets happen what was due by then.
    pub fn advance(&self, by: Duration) {
        self.with(|world| {
            world.clock.advance(by);
            world.tick();
        });
    }

    /// Lets a crowd live from now on, in place of the one before; rates of zero end it.
    pub fn live(&self, rates: Rates) {
        self.with(|world| world.live(rates));
    }

    /// Ends the crowd's life.
    pub fn be_still(&self) {
        self.with(World::be_still);
    }

    /// Verifies a URL, as on saving the settings of an app, and sends the app's events there from then on.
    ///
    /// # Errors
    /// When the answer is not the deciphered echo within the deadline.
    pub async fn register_callback(&self, app: &str, url: &str) -> Result<(), VerifyError> {
        self.shared.register_callback(app, url).await
    }

    /// Waits until no callback waits or is being tried. Put a time-out around it.
    pub async fn settled(&self) {
        self.wait_for(|world| world.queue.is_idle()).await;
    }

    /// Waits until the world satisfies a condition. Put a time-out around it.
    pub async fn wait_for(&self, mut condition: impl FnMut(&World) -> bool) {
        let mut changes = self.changes.clone();
        loop {
            changes.mark_unchanged();
            if self.shared.look(&mut condition) || changes.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn tick(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        ticks.tick().await;
        shared.with(World::tick);
    }
}
