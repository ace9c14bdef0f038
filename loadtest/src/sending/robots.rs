//! Many robots under three levels of limits at once, in real time: 20 for a robot, 600 for their app, 10,000 for the account
//! in each window. The receiver's auditors judge; the ideal follows from the limits alone.

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
            audit_class: vec![(ROBOT.to_owned(), self.window(self.app_max))],
            audit_group: vec![self.window(self.robot_max)],
            keep_receipts: 1,
            ..SinkConfig::default()
        }
    }

    fn to_robots(&self) -> usize {
        self.robots * self.broadcasts + self.busy_robots * self.busy_broadcasts
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
        let names = |from: usize, to: usize| (from..to).map(|n| format!("robot:{n:05}"));
        self.groups(&account, names(0, config.busy_robots), &[ROBOT, BUSY]).await?;
        self.groups(&account, names(config.busy_robots, config.robots), &[ROBOT]).await?;
        self.groups(&account, (0..config.others).map(|n| format!("g-{n:06}")), &[OTHER]).await?;
        let cpu = crate::cpu::process_cpu(self.pid)?;
        let mut robots = Vec::new();
        for number in 0..config.busy_broadcasts + config.broadcasts {
            let tag = if number < config.busy_broadcasts { BUSY } else { ROBOT };
            robots
                .push(self.broadcast(&account, &format!("robots-{number}"), &json!({"tags": [tag]})).await?);
        }
        let others = self.broadcast(&account, "others", &json!({"tags": [OTHER]})).await?;
        let all = (config.to_robots() + config.others) as u64;
        let of_others = config.others as u64;
        self.sink.wait_for(|report| report.distinct > 0).await;
        let began = tokio::time::Instant::now();
        self.until(&others, "the others are sent", |view| view.count("sent") == of_others).await?;
        let others_took = began.elapsed();
        self.taken(all).await?;
        let report = self.sink.report();
        let part = |name, sends, in_window, took_s| {
            let ideal_s = config.ideal(sends, in_window).as_secs_f64();
            Part { name, sends, ideal_s, took_s }
        };
        let mut complaints = Vec::new();
        let twice = report.duplicates + report.repeated_content;
        if twice > 0 || report.distinct != all {
            complaints.push(format!("{} of {all} arrived, {twice} twice", report.distinct));
        }
        for audit in report.audits.iter().filter(|audit| audit.violations > 0) {
            complaints
                .push(format!("{} broken {} times: {:?}", audit.limit, audit.violations, audit.examples));
        }
        for id in robots {
            self.until(&id, "each broadcast is finished", crate::wire::BroadcastView::is_over).await?;
        }
        Ok(Stress {
            config: config.clone(),
            parts: vec![
                part("robots", config.to_robots(), config.app_max, report.span_s),
                part("others", config.others, config.account_max - config.app_max, others_took.as_secs_f64()),
            ],
            audits: report.audits,
            cpu_s: crate::cpu::process_cpu(self.pid)?.saturating_sub(cpu).as_secs_f64(),
            complaints,
        })
    }
}
