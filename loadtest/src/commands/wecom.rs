//! Carries out `loadtest wecom`.

use std::time::Duration;

use anyhow::Context as _;
use loadtest::wecom::{
    AppConfig, CallbackConfig, Clock, DeliveryEnd, LimitConfig, Population, Rates, SimConfig, Simulator,
};

use super::stopped;
use crate::cli::WecomArgs;

/// How long the next verification of the callback URL waits for the receiver to come up.
const VERIFY_AGAIN: Duration = Duration::from_millis(500);

/// Runs a simulator to its end; the answer is whether the caller kept to the rules.
pub(super) async fn run(args: WecomArgs) -> anyhow::Result<bool> {
    anyhow::ensure!(args.owners > 0 || args.groups == 0, "--groups need --owners");
    let config = config(&args);
    let app = config.apps[0].name.clone();
    let (corpid, agentid) = (config.corpid.clone(), args.agentid);
    let sim = Simulator::start(config).await.with_context(|| format!("start on {}", args.listen))?;
    let ready = serde_json::json!({"event": "ready", "url": sim.url(), "corpid": corpid, "agentid": agentid});
    println!("{ready}");
    let rates = Rates {
        joins: args.joins,
        leaves: args.leaves,
        contacts: args.new_contacts,
        messages: args.messages,
        seed: args.seed,
    };
    sim.live(rates);
    let mut verified = args.callback_url.is_none();
    tokio::select! {
        // A verification cut short has changed nothing.
        stop = stopped(args.length) => stop?,
        () = verify(&sim, &app, args.callback_url.as_deref(), &mut verified) => {}
    }
    let report = sim.report();
    let text = serde_json::to_string_pretty(&report)?;
    match &args.report {
        None => println!("{text}"),
        Some(path) => std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?,
    }
    let accepted = report.ledger.deliveries_by_end.get(&DeliveryEnd::InjectedAccepted).copied().unwrap_or(0);
    Ok(verified && accepted == 0 && report.limits.is_kept())
}

fn config(args: &WecomArgs) -> SimConfig {
    let clock = args.speed.map_or_else(Clock::real, Clock::scaled);
    let app = AppConfig {
        agentid: args.agentid,
        secret: args.secret.clone(),
        token: args.token.clone(),
        aes_key: args.aes_key.clone(),
        trusted_ips: args.trusted_ip.clone(),
        ..AppConfig::default()
    };
    let spacing = u64::try_from(args.retry_spacing.as_millis()).unwrap_or(u64::MAX);
    SimConfig {
        listen: args.listen,
        clock,
        seed: args.seed,
        corpid: args.corpid.clone(),
        apps: vec![app],
        population: Population {
            owners: args.owners,
            groups: args.groups,
            members: args.members,
            contacts: args.contacts,
        },
        limits: LimitConfig { scale: args.limit_scale, ..LimitConfig::default() },
        token_life: args.token_life,
        read_lag: args.read_lag,
        callbacks: CallbackConfig { retry_spacing_ms: spacing, ..CallbackConfig::default() },
        faults: args.fault.clone(),
        ..SimConfig::default()
    }
}

/// Verifies the callback URL until it works, then waits for ever.
async fn verify(sim: &Simulator, app: &str, url: Option<&str>, verified: &mut bool) {
    let mut told = String::new();
    while let Some(url) = url
        && !*verified
    {
        match sim.register_callback(app, url).await {
            Ok(()) => {
                *verified = true;
                println!("{}", serde_json::json!({"event": "callback_verified", "url": url}));
            }
            Err(error) => {
                // A receiver that is not up yet is refused twice a second; saying the same once is enough.
                let error = error.to_string();
                if error != told {
                    eprintln!("{error}");
                    told = error;
                }
                tokio::time::sleep(VERIFY_AGAIN).await;
            }
        }
    }
    std::future::pending::<()>().await;
}
