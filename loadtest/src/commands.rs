//! Carries out what the command line asks for.

mod callbacks;
mod sending;
mod wecom;

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use loadtest::broadcast::{self, BroadcastConfig, Declare};
use loadtest::client::Target;
use loadtest::events::{self, EventsConfig, EventsReport, Mode, Plan, Until};
use loadtest::lines::{Lexicon, Lines};
use loadtest::simulate::{Fleet, Snapshot};
use loadtest::sink::{Sink, SinkConfig};
use loadtest::{bare::Bare, compare::compare};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{
    BareArgs, BroadcastArgs, Cli, Command, CompareArgs, DeclareArg, EventsArgs, GatewayArgs, ModeArg,
    SimulateArgs, SinkArgs,
};

/// Runs one command; the answer is whether everything agreed.
pub(crate) fn run(cli: Cli) -> anyhow::Result<bool> {
    // One thread: the client must not take the server's core, and its clock is steadier for it.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(async {
        match cli.command {
            Command::Events(args) => send_events(*args).await,
            Command::Sink(args) => receive(args).await,
            Command::Broadcast(args) => send_broadcast(args).await,
            Command::Callbacks(args) => callbacks::run(*args).await,
            Command::Sending(args) => sending::run(args).await,
            Command::Simulate(args) => simulate(args).await,
            Command::Wecom(args) => wecom::run(*args).await,
            Command::Bare(args) => serve_bare(args).await,
            Command::Compare(args) => compare_runs(&args),
        }
    })
}

fn target(args: &GatewayArgs) -> anyhow::Result<Target> {
    let mut target = Target::new(&args.url, args.token.as_deref())?;
    target.timeout = args.timeout;
    target.give_up = args.give_up;
    Ok(target)
}

async fn send_events(args: EventsArgs) -> anyhow::Result<bool> {
    let config = events_config(&args)?;
    let report = events::run(config).await?;
    if let Some(path) = &args.append {
        let mut options = std::fs::OpenOptions::new();
        let file = options.create(true).append(true).open(path);
        let mut file = file.with_context(|| format!("open {}", path.display()))?;
        writeln!(file, "{}", serde_json::to_string(&report)?)
            .with_context(|| format!("write {}", path.display()))?;
    }
    show(&report, args.json)?;
    Ok(report.is_good())
}

fn show(report: &EventsReport, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        print!("{}", report.table());
    }
    Ok(())
}

fn events_config(args: &EventsArgs) -> anyhow::Result<EventsConfig> {
    let lines = match &args.input {
        None => Lines::generated(),
        Some(path) => Lines::from_file(path).with_context(|| format!("read {}", path.display()))?,
    };
    let lexicon = match &args.lexicon {
        None => None,
        Some(path) => Some(Lexicon::from_file(path).with_context(|| format!("read {}", path.display()))?),
    };
    let until = match (args.count, args.length) {
        (Some(count), _) => Until::Count(count),
        (None, length) => Until::Elapsed(length.unwrap_or(Duration::from_secs(10))),
    };
    let (mode, batch) = match args.mode {
        ModeArg::Single => (Mode::Single, 1),
        ModeArg::Array => (Mode::Array, args.batch),
        ModeArg::Ndjson => (Mode::Ndjson, args.batch),
    };
    anyhow::ensure!(args.groups > 0, "--groups must be at least 1");
    Ok(EventsConfig {
        target: target(&args.gateway)?,
        plan: Plan {
            run: args.run.clone().unwrap_or_else(run_id),
            account: args.gateway.account.clone(),
            group_prefix: args.group_prefix.clone(),
            groups: args.groups,
            members: args.members,
            joins_ratio: args.joins_ratio,
            repeat_ratio: args.repeat_ratio,
            hit_ratio: args.hit_ratio,
            lines,
            lexicon,
            seed: args.seed,
        },
        mode,
        batch,
        connections: args.connections,
        rate: args.rate,
        until,
        reads_answers: !args.status_only,
        verifies: args.verify,
        catch_up: args.catch_up,
        server_pid: args.server_pid,
        label: args.label.clone(),
        round: args.round,
    })
}

async fn receive(args: SinkArgs) -> anyhow::Result<bool> {
    let config = SinkConfig {
        listen: args.listen,
        secrets: args.secret,
        faults: args.fault,
        audit: args.audit,
        audit_class: Vec::new(),
        audit_group: args.audit_group,
        seed: args.seed,
        ..SinkConfig::default()
    };
    let sink = Sink::start(config).await.with_context(|| format!("listen on {}", args.listen))?;
    announce(sink.url());
    stopped(args.length).await?;
    let report = sink.report();
    let text = serde_json::to_string_pretty(&report)?;
    match &args.report {
        None => println!("{text}"),
        Some(path) => std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?,
    }
    Ok(report.is_clean())
}

async fn send_broadcast(args: BroadcastArgs) -> anyhow::Result<bool> {
    let config = BroadcastConfig {
        target: target(&args.gateway)?,
        sink_report: Target::new(&args.sink_report_url, None)?,
        account: args.gateway.account.clone(),
        groups: args.groups,
        group_prefix: args.group_prefix,
        declare: match args.declare {
            DeclareArg::Bulk => Declare::Bulk,
            DeclareArg::Each => Declare::Each,
            DeclareArg::Known => Declare::Known,
        },
        rate: args.rate,
        text: args.text,
        run: args.run.unwrap_or_else(run_id),
        deadline: args.deadline,
    };
    let mut told = Duration::ZERO;
    let report = broadcast::run(&config, |view, elapsed| {
        if elapsed.saturating_sub(told) >= Duration::from_secs(1) {
            told = elapsed;
            let finish = view.estimated_finish_at.as_deref().unwrap_or("not known");
            let (sent, pending) = (view.count("sent"), view.count("pending"));
            eprintln!(
                "{:>4.0} s  {}: {sent} sent, {pending} pending, finish {finish}",
                elapsed.as_secs_f64(),
                view.state
            );
        }
    });
    let report = report.await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.table());
    }
    Ok(report.complaints().is_empty())
}

async fn simulate(args: SimulateArgs) -> anyhow::Result<bool> {
    let fleet = Fleet {
        account: args.gateway.account.clone(),
        shops: args.shops,
        groups_per_shop: args.groups_per_shop,
        events_per_second: args.events_per_second,
        seed: args.seed,
        ..Fleet::default()
    };
    let (url, token) = (&args.gateway.url, args.gateway.token.as_deref().unwrap_or_default());
    fleet.declare(url, token).await?;
    let end = fleet.run(url, token, args.length, tell).await?;
    Ok(end.failed == 0)
}

fn tell(now: &Snapshot) {
    for moment in &now.moments {
        let (kind, matched) = (format!("{:?}", moment.kind), moment.matched.join(" "));
        println!("{kind:>10}  {}  {}  {matched}", moment.group_name, moment.text);
    }
    println!(
        "{:>4.0} s  {} events, {} of {} adverts caught, {} false alarms, {} joined, {} left, {} failed",
        now.elapsed.as_secs_f64(),
        now.events,
        now.adverts_caught,
        now.adverts,
        now.false_alarms,
        now.joins,
        now.leaves,
        now.failed
    );
}

async fn serve_bare(args: BareArgs) -> anyhow::Result<bool> {
    let bare = Bare::bind(args.listen).await.with_context(|| format!("listen on {}", args.listen))?;
    announce(&bare.url());
    tokio::select! {
        // Nothing is lost with either branch: there is no state.
        () = bare.serve() => Ok(false),
        stop = stopped(None) => stop.map(|()| true),
    }
}

fn compare_runs(args: &CompareArgs) -> anyhow::Result<bool> {
    let results =
        std::fs::read_to_string(&args.results).with_context(|| format!("read {}", args.results.display()))?;
    print!("{}", compare(&results, &args.reference)?);
    Ok(true)
}

/// The line a script waits for.
fn announce(url: &str) {
    println!("{}", serde_json::json!({"event": "ready", "url": url}));
}

/// Waits for the end of a given time, or for SIGINT or SIGTERM.
async fn stopped(length: Option<Duration>) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let time_is_up = async {
        match length {
            Some(length) => tokio::time::sleep(length).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = time_is_up => {}
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "ids of a run must differ from those of all earlier runs")]
fn run_id() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("lt{:x}", now.as_millis())
}
