//! Carries out `loadtest callbacks`.

use loadtest::callbacks::{self, CallbacksConfig, Round};

use super::{run_id, target};
use crate::cli::CallbacksArgs;

/// Measures; the answer is whether everything agreed, and the ratio is kept if one was asked for.
pub(super) async fn run(args: CallbacksArgs) -> anyhow::Result<bool> {
    let config = CallbacksConfig {
        target: target(&args.gateway)?,
        url: args.gateway.url.clone(),
        account: args.wecom_account,
        events_account: args.gateway.account.clone(),
        groups: usize::try_from(args.groups)?,
        members: args.members,
        joins: usize::try_from(args.joins)?,
        connections: args.connections,
        rounds: usize::try_from(args.rounds)?,
        server_pid: args.server_pid,
        settle: args.settle,
        patience: args.patience,
        seed: args.seed,
        run: args.run.unwrap_or_else(run_id),
    };
    let report = callbacks::run(&config, tell).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.table());
    }
    let complaints = report.complaints(args.max_ratio);
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    Ok(complaints.is_empty())
}

fn tell(round: &Round) {
    let ratio = round.ratio().map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
    let (callback, event) = (round.callback.cpu_us, round.event.cpu_us);
    eprintln!("CPU us: {callback:.1} a callback, {event:.1} an event, ratio {ratio}");
}
