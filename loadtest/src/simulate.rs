//! A fleet of simulated shops, talking to the gateway over real HTTP until their time is up.
//!
//! Every shop is a task with a connection of its own: customers chat and ask, come in (sometimes a whole wave) and leave,
//! staff answer, now and then somebody advertises. Beside the shops one advertiser puts the same advert into many groups.
//! What each of them does is decided by the seed alone (`cast`); only the moments at which they do it are real.
//!
//! ```no_run
//! # async fn demo(url: &str, token: &str) -> Result<(), loadtest::simulate::SimulateError> {
//! use std::time::Duration;
//! let fleet = loadtest::simulate::Fleet::default();
//! fleet.declare(url, token).await?;
//! let end = fleet.run(url, token, Duration::from_secs(60), |now| println!("{} events", now.events)).await?;
//! println!("{} of {} adverts were caught", end.adverts_caught, end.adverts);
//! # Ok(())
//! # }
//! ```

mod cast;
mod player;
mod snapshot;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use self::cast::{Advertiser, Shop};
use self::player::Player;
pub use self::snapshot::{Moment, MomentKind, Snapshot};
use crate::broadcast::{BroadcastError, import_groups};
use crate::client::{ClientError, Target};
use crate::wire::GroupLine;

/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(1);
/// How many observations may wait to be counted.
const OBSERVATIONS: usize = 1_024;
/// How long an event is tried again before the fleet goes on without it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long events still under way at the end may take.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// How many shops there are and how lively they are.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// The account the groups belong to.
    pub account: String,
    /// Shops, each with its own customers.
    pub shops: usize,
    /// Groups of each shop.
    pub groups_per_shop: usize,
    /// Events a second in each shop, on average.
    pub events_per_second: f64,
    /// What they are.
    pub mix: Mix,
    /// How often the advertiser makes a round through many groups; zero is never.
    pub rounds_every: Duration,
    /// The same seed, the same deeds.
    pub seed: u64,
}

/// How often things happen, as weights against each other.
#[derive(Debug, Clone, Copy)]
pub struct Mix {
    /// Customers chat.
    pub talk: f64,
    /// Customers ask what keyword replies answer.
    pub question: f64,
    /// Staff write.
    pub staff: f64,
    /// Somebody comes in.
    pub join: f64,
    /// Several come in within a moment.
    pub wave: f64,
    /// Somebody leaves.
    pub leave: f64,
    /// Somebody advertises.
    pub advert: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Self { talk: 70.0, question: 9.0, staff: 6.0, join: 6.0, wave: 0.5, leave: 3.0, advert: 3.0 }
    }
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            account: "demo".to_owned(),
            shops: 24,
            groups_per_shop: 6,
            events_per_second: 2.0,
            mix: Mix::default(),
            rounds_every: Duration::from_secs(12),
            seed: 1,
        }
    }
}

/// A group of the fleet, as it should be declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetGroup {
    /// The group's id.
    pub group: String,
    /// Its name, as people see it.
    pub name: String,
    /// The id of its shop.
    pub shop: String,
    /// The shop's name.
    pub shop_name: String,
}

/// Says why a fleet could not take part.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The address or the token is no good.
    #[error("reach the gateway")]
    Client(#[from] ClientError),
    /// The groups were not taken.
    #[error("declare the fleet's groups")]
    Declare(#[from] BroadcastError),
    /// Not one event got a proper answer.
    #[error("the gateway answered no event: {0}")]
    Refused(String),
}

impl Fleet {
    /// All groups, shop by shop.
    pub fn groups(&self) -> Vec<FleetGroup> {
        let shop = |shop| (0..self.groups_per_shop).map(move |group| cast::fleet_group(shop, group));
        (0..self.shops).flat_map(shop).collect()
    }

    /// Makes the groups known by bulk import, with their names and the tags `demo` and the shop's id.
    ///
    /// # Errors
    /// When the gateway does not answer or refuses a group.
    pub async fn declare(&self, url: &str, token: &str) -> Result<usize, SimulateError> {
        let line = |group: FleetGroup| GroupLine {
            account: self.account.clone(),
            group: group.group,
            name: group.name,
            tags: vec!["demo".to_owned(), group.shop],
        };
        let lines: Vec<GroupLine> = self.groups().into_iter().map(line).collect();
        import_groups(&mut target(url, token)?.connection(), &lines).await?;
        Ok(lines.len())
    }

    /// Plays for `length`, telling about every second what happened so far and since the last time.
    ///
    /// Dropping the future stops the whole fleet.
    ///
    /// # Errors
    /// When the address is no good, or not a single event was answered.
    pub async fn run(
        &self,
        url: &str,
        token: &str,
        length: Duration,
        mut on_progress: impl FnMut(&Snapshot) + Send,
    ) -> Result<Snapshot, SimulateError> {
        let target = target(url, token)?;
        let (sender, mut observations) = mpsc::channel(OBSERVATIONS);
        let start = Instant::now();
        let end = start + length;
        let mut players = self.start_players(&target, &sender, end);
        drop(sender);
        let mut snapshot = Snapshot::new(self.shops * self.groups_per_shop);
        let mut ticks = interval(PROGRESS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks.reset();
        // Both branches are cancel-safe: a lost race loses no observation and no tick.
        let play = async {
            loop {
                tokio::select! {
                    observation = observations.recv() => match observation {
                        Some(observation) => snapshot.observe(observation),
                        None => return,
                    },
                    _ = ticks.tick() => {
                        snapshot.elapsed = start.elapsed();
                        on_progress(&snapshot);
                        snapshot.moments.clear();
                    }
                }
            }
        };
        _ = timeout_at(end + LAST_ANSWERS, play).await; // whoever has no answer by then is left behind
        players.abort_all();
        snapshot.elapsed = start.elapsed();
        on_progress(&snapshot);
        match snapshot.last_error.clone() {
            Some(error) if snapshot.events == 0 => Err(SimulateError::Refused(error)),
            _ => Ok(snapshot),
        }
    }

    fn start_players(
        &self,
        target: &Arc<Target>,
        sender: &mpsc::Sender<snapshot::Observation>,
        end: Instant,
    ) -> JoinSet<()> {
        let run = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let mut players = JoinSet::new();
        for number in 0..self.shops {
            let player =
                Player::new(target, &self.account, format!("sim-{run:x}-{number}"), sender.clone(), end);
            players.spawn(player.play(Shop::new(self, number)));
        }
        if !self.rounds_every.is_zero() && self.shops > 0 && self.groups_per_shop > 0 {
            let player = Player::new(target, &self.account, format!("sim-{run:x}-a"), sender.clone(), end);
            players.spawn(player.play(Advertiser::new(self)));
        }
        players
    }
}

fn target(url: &str, token: &str) -> Result<Arc<Target>, ClientError> {
    let mut target = Target::new(url, Some(token))?;
    target.give_up = PATIENCE;
    Ok(Arc::new(target))
}
