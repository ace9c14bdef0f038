//! Many robots under three levels of limits at once, in real time: 20 for a robot, 600 for their app, 10,000 for the account
//! in each window. The receiver's auditors judge by what arrived and when, and know nothing of the gateway; each must have
//! seen all that its level sent. The ideal follows from the limits alone: the app's binds the robots (1,200 of them could take
//! 24,000 in a window), what the app leaves of the account's binds the others, a robot's own binds the busy ones at first.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::{House, SendingError};
use crate::audit::AuditReport;
use crate::sink::SinkConfig;
use crate::units::WindowLimit;

/// Tags of the groups: who is in which broadcast.
const ROBOT: &str = "robot";
const BUSY: &str = "busy";
const OTHER: &str = "other";
/// How far from the ideal a finish may be.
const OVER_MAX: f64 = 0.02;
/// The ideal takes the sends of a window for instantaneous. From this length of a window on that hardly weighs.
const ROBOTS_JUDGED_FROM_S: u64 = 6;
/// The same for the others, of whom sixteen times as many are in a window.
const OTHERS_JUDGED_FROM_S: u64 = 60;

/// What is sent under which limits.
#[derive(Debug, Clone, Serialize)]
pub struct StressConfig {
    /// Length of a window in whole seconds; 60 is what platforms have.
    pub window_s: u64,
    /// Robots, each of which gets a text of each broadcast to robots.
    pub robots: usize,
    /// Broadcasts to all robots.
    pub broadcasts: usize,
    /// Robots that get many more: theirs is the limit that binds.
    pub busy_robots: usize,
    /// Broadcasts to these.
    pub busy_broadcasts: usize,
    /// Groups that are no robots' and share the account with them.
    pub others: usize,
    /// Sends of one robot in a window.
    pub robot_max: usize,
    /// Sends of all robots in a window.
    pub app_max: usize,
    /// Sends of the account in a window.
    pub account_max: usize,
}

impl StressConfig {
    fn limit(&self, count: usize) -> String {
        format!("window:{count}/{}s", self.window_s)
    }

    fn window(&self, count: usize) -> WindowLimit {
        self.limit(count).parse().expect("a count and whole seconds make a limit")
    }

    /// A receiver that audits the three levels for itself.
    pub fn receiver(&self) -> SinkConfig {
        SinkConfig {
            audit: vec![self.window(self.account_max)],
            audit_class: vec![
                (ROBOT.to_owned(), self.window(self.app_max)),
                (OTHER.to_owned(), self.window(self.account_max)),
            ],
            audit_group: vec![self.window(self.robot_max)],
            keep_receipts: 1,
            ..SinkConfig::default()
        }
    }

    fn to_robots(&self) -> usize {
        self.robots * self.broadcasts + self.busy_robots * self.busy_broadcasts
    }

    /// What each part took by the word of its auditor, and by the limits.
    fn parts(&self, audits: &[AuditReport]) -> Vec<Part> {
        let [_, robots, others, _] = audits else { return Vec::new() };
        let part = |name, audit: &AuditReport, sends, in_window, judged_from_s| {
            let ideal_s = self.ideal(sends, in_window).as_secs_f64();
            let is_judged = ideal_s > 0.0 && self.window_s >= judged_from_s;
            Part { name, sends, ideal_s, took_s: audit.span_s, is_judged }
        };
        vec![
            part("robots", robots, self.to_robots(), self.app_max, ROBOTS_JUDGED_FROM_S),
            part("others", others, self.others, self.account_max - self.app_max, OTHERS_JUDGED_FROM_S),
        ]
    }

    /// What does not fit: a limit broken, an auditor who has not seen everything, a finish far from the ideal.
    fn complaints(&self, audits: &[AuditReport], parts: &[Part]) -> Vec<String> {
        let (robots, others) = (self.to_robots(), self.others);
        let broken = audits.iter().filter(|audit| audit.violations > 0);
        let broken = broken
            .map(|audit| format!("{} broken {} times: {:?}", audit.limit, audit.violations, audit.examples));
        let seen =
            audits
                .iter()
                .map(|audit| audit.arrivals)
                .eq([robots + others, robots, others, robots + others].map(|sends| sends as u64));
        let blind = (!seen).then(|| "an auditor has not seen all that its level sent".to_owned());
        let late =
            parts.iter().filter(|part| part.is_judged && part.took_s > part.ideal_s * (1.0 + OVER_MAX));
        let late = late.map(|part| format!("{}: more than {} % over the ideal", part.name, OVER_MAX * 100.0));
        broken.chain(blind).chain(late).collect()
    }

    /// The least time so many sends can take from the first to the last: full windows, one after the other.
    fn ideal(&self, sends: usize, in_window: usize) -> Duration {
        Duration::from_secs(self.window_s * (sends.div_ceil(in_window.max(1)).saturating_sub(1)) as u64)
    }
}

/// One part of the sends: what the limits allow, and what was used of it.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// Whose.
    pub name: &'static str,
    /// How many.
    pub sends: usize,
    /// By the limits alone, from the first to the last.
    pub ideal_s: f64,
    /// At the receiver, from the first to the last.
    pub took_s: f64,
    /// Whether windows are long enough for the two to be compared.
    pub is_judged: bool,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Stress {
    /// What was asked for.
    pub config: StressConfig,
    /// The robots' sends, which take longest, and the others'.
    pub parts: Vec<Part>,
    /// The auditors' word.
    pub audits: Vec<AuditReport>,
    /// CPU time of the gateway.
    pub cpu_s: f64,
    /// What did not fit.
    pub complaints: Vec<String>,
}

impl House {
    /// Sends it all at once, and waits for the end. The house's receiver must be [`StressConfig::receiver`].
    ///
    /// # Errors
    /// When one of the parties does not take part.
    pub async fn stress(&mut self, config: &StressConfig) -> Result<Stress, SendingError> {
        let robot = |limit: &str| format!("@robot {limit}");
        let limits = [
            config.limit(config.account_max),
            robot(&config.limit(config.app_max)),
            robot(&format!("group:{}", config.limit(config.robot_max))),
        ];
        let limits: Vec<&str> = limits.iter().map(String::as_str).collect();
        let account = self.account("robots", &limits).await?;
        let names = |from: usize, to: usize| (from..to).map(|n| format!("{ROBOT}:{n:05}"));
        self.groups(&account, names(0, config.busy_robots), &[ROBOT, BUSY]).await?;
        self.groups(&account, names(config.busy_robots, config.robots), &[ROBOT]).await?;
        self.groups(&account, (0..config.others).map(|n| format!("{OTHER}:{n:06}")), &[OTHER]).await?;
        let cpu = crate::cpu::process_cpu(self.pid)?;
        let mut broadcasts = Vec::new();
        for number in 0..config.busy_broadcasts + config.broadcasts {
            let tag = if number < config.busy_broadcasts { BUSY } else { ROBOT };
            broadcasts
                .push(self.broadcast(&account, &format!("robots-{number}"), &json!({"tags": [tag]})).await?);
        }
        broadcasts.push(self.broadcast(&account, "others", &json!({"tags": [OTHER]})).await?);
        let all = (config.to_robots() + config.others) as u64;
        self.taken(all).await?;
        let report = self.sink.report();
        let parts = config.parts(&report.audits);
        let mut complaints = Vec::new();
        let twice = report.duplicates + report.repeated_content;
        if twice > 0 || report.distinct != all {
            complaints.push(format!("{} of {all} arrived, {twice} twice", report.distinct));
        }
        complaints.extend(config.complaints(&report.audits, &parts));
        for id in broadcasts {
            self.until(&id, "each broadcast is finished", crate::wire::BroadcastView::is_over).await?;
        }
        Ok(Stress {
            config: config.clone(),
            parts,
            audits: report.audits,
            cpu_s: crate::cpu::process_cpu(self.pid)?.saturating_sub(cpu).as_secs_f64(),
            complaints,
        })
    }
}
