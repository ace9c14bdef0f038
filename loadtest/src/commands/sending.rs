//! Carries out `loadtest sending`.

use loadtest::sending::{House, StressConfig};
use loadtest::sink::SinkConfig;
use loadtest::table::Table;
use serde::Serialize;

use super::{run_id, target};
use crate::cli::{Measure, SendingArgs};

/// Robots that get texts of their own, and how many: theirs is the limit that binds.
const BUSY_ROBOTS: usize = 40;
const BUSY_BROADCASTS: usize = 30;

/// Measures; the answer is whether everything fits.
pub(super) async fn run(args: SendingArgs) -> anyhow::Result<bool> {
    let stress = StressConfig {
        window_s: args.window_s,
        robots: args.robots,
        broadcasts: args.broadcasts,
        busy_robots: BUSY_ROBOTS.min(args.robots),
        busy_broadcasts: BUSY_BROADCASTS,
        others: args.targets,
        robot_max: 20,
        app_max: 600,
        account_max: 10_000,
    };
    let receiver = match args.measure {
        Measure::Robots => stress.receiver(),
        Measure::Cost | Measure::Urgent | Measure::Pause | Measure::Waiting => {
            SinkConfig { keep_receipts: 1, ..SinkConfig::default() }
        }
    };
    let run = args.run.clone().unwrap_or_else(run_id);
    let target = target(&args.gateway)?;
    let mut house = House::new(target, args.server_pid, &run, receiver, args.deadline).await?;
    let (targets, rounds) = (args.targets, args.rounds);
    match args.measure {
        Measure::Cost => {
            let cost = house.cost(targets, rounds).await?;
            show(&args, &cost, &cost.table(), &cost.complaints)
        }
        Measure::Urgent => {
            let urgency = house.urgency(targets, &args.limit, args.acts, rounds).await?;
            show(&args, &urgency, &urgency.table(), &urgency.complaints)
        }
        Measure::Pause => {
            let pauses = house.pauses(targets, &args.limit, rounds, args.in_flight_max).await?;
            show(&args, &pauses, &pauses.table(), &pauses.complaints)
        }
        Measure::Waiting => {
            let memory = house.waiting(targets, rounds).await?;
            show(&args, &memory, &memory.table(), &[])
        }
        Measure::Robots => {
            let stress = house.stress(&stress).await?;
            show(&args, &stress, &stress.table(), &stress.complaints)
        }
    }
}

fn show(
    args: &SendingArgs,
    figures: &impl Serialize,
    table: &Table,
    complaints: &[String],
) -> anyhow::Result<bool> {
    if args.json {
        println!("{}", serde_json::to_string_pretty(figures)?);
    } else {
        print!("{table}");
    }
    Ok(complaints.is_empty())
}
