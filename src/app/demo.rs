//! `menshen demo`: the gateway with simulated shop groups talking to it over real HTTP, so that a newcomer sees
//! everything move within a minute.
//!
//! A second process of this binary is the gateway, on free ports and a temporary directory; this one plays the shops, the
//! customers and the platform that receives what is sent. Nothing outside is touched, nothing is kept.

mod wecom;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use http::Method;
use loadtest::client::Target;
use loadtest::simulate::{Fleet, Moment, MomentKind, Snapshot};
use loadtest::sink::{Sink, SinkConfig};
use serde_json::{Value, json};

use crate::units::parse_duration;

/// The account the simulated platform is connected by.
const ACCOUNT: &str = "shops";
/// How long the demo runs when nobody says.
const LENGTH_DEFAULT: Duration = Duration::from_hours(1);
/// Moments shown a second; the rest is in the numbers.
const MOMENTS_SHOWN: usize = 4;
/// When the broadcast goes out.
const BROADCAST_AFTER_S: u64 = 8;

/// What `demo` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// End by itself after this long, like 60s or 5m
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// How many shops, with six groups each
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=4000))]
    pub shops: u32,
    /// Which platform the groups are on
    #[arg(long, value_enum, default_value_t = Platform::Webhook)]
    pub platform: Platform,
}

/// A platform that can be simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Platform {
    /// Signed JSON over HTTP, messages and all
    Webhook,
    /// A simulated WeCom 企业微信: joins, leaves, contacts, mass sends that owners confirm
    Wecom,
}

/// Runs the command.
///
/// # Errors
/// When the gateway does not start, or refuses what the demo sets up.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let length = args.duration.unwrap_or(LENGTH_DEFAULT);
    if args.platform == Platform::Wecom {
        let shops = usize::try_from(args.shops)?;
        return tokio::select! {
            done = wecom::run(shops, length) => done.map(|()| ExitCode::SUCCESS),
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                say("\nstopped\n");
                Ok(ExitCode::SUCCESS)
            }
        };
    }
    let sink = Sink::start(SinkConfig { keep_text: true, ..SinkConfig::default() }).await?;
    let gateway = tokio::task::spawn_blocking(Gateway::start).await??;
    say(&format!(
        "门神 Menshen demo: {} shops × 6 groups talk to a gateway on {}\n\
         API pages: {}/docs   metrics: {}/metrics   token: {}\n\n",
        args.shops, gateway.api, gateway.api, gateway.metrics, gateway.token
    ));
    let fleet = Fleet { account: ACCOUNT.into(), shops: usize::try_from(args.shops)?, ..Fleet::default() };
    set_up(&gateway, &sink).await?;
    let groups = fleet.declare(&gateway.api, &gateway.token).await?;
    say(&format!("{groups} groups declared, a keyword reply, a welcome and a broadcast are set up\n\n"));

    let mut story = Story::default();
    let talking = fleet.run(&gateway.api, &gateway.token, length, |now| story.tell(now, &sink));
    let broadcasting = async {
        tokio::time::sleep(Duration::from_secs(BROADCAST_AFTER_S).min(length / 4)).await;
        broadcast(&gateway).await
    };
    let (end, broadcast) = tokio::select! {
        both = async { tokio::join!(talking, broadcasting) } => both,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            say("\nstopped\n");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let (end, broadcast) = (end?, broadcast?);
    let progress = gateway.ask(Method::GET, &format!("/v1/broadcasts/{broadcast}"), &Value::Null).await?;
    let numbers = gateway.ask(Method::GET, "/v1/statistics?top=3", &Value::Null).await?;
    let cases = gateway.ask(Method::GET, "/v1/cases", &Value::Null).await?;
    say(&summary(&end, &sink, &progress, &numbers, &cases));
    Ok(ExitCode::SUCCESS)
}

async fn set_up(gateway: &Gateway, sink: &Sink) -> anyhow::Result<()> {
    let account = json!({
        "platform": "webhook",
        "name": "Simulated platform",
        "secrets": [{"value": "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}],
        "settings": {"url": sink.url(), "receiver_dedupes": true},
        "limits": ["window:200/s"],
    });
    let reply = json!({
        "keywords": ["营业时间", "几点开门", "几点关门"],
        "text": "营业时间：每天十点到二十二点",
        "cooldown_s": 30,
    });
    let coupon = json!({"keywords": ["优惠券", "优惠"], "text": "本周会员满两百减三十，到店报手机号即可", "cooldown_s": 30});
    gateway.ask(Method::PUT, &format!("/v1/accounts/{ACCOUNT}"), &account).await?;
    gateway.ask(Method::PUT, "/v1/replies/hours", &reply).await?;
    gateway.ask(Method::PUT, "/v1/replies/coupon", &coupon).await?;
    gateway.ask(Method::PUT, "/v1/welcomes/all", &json!({"text": "欢迎 {member.name} 进群！"})).await?;
    Ok(())
}

/// Says something to every group; returns the broadcast's id.
async fn broadcast(gateway: &Gateway) -> anyhow::Result<String> {
    let body = json!({
        "name": "Weekend offer",
        "account": ACCOUNT,
        "text": "周末到店满两百减三十，欢迎带上家人",
        "audience": "all",
    });
    let accepted = gateway.ask(Method::POST, "/v1/broadcasts", &body).await?;
    say("  📣 broadcast to every group accepted 群发已受理\n");
    Ok(accepted["id"].as_str().unwrap_or_default().to_owned())
}

/// Prints what happens, second by second.
#[derive(Default)]
struct Story {
    received: u64,
}

impl Story {
    fn tell(&mut self, now: &Snapshot, sink: &Sink) {
        let worth = |moment: &&Moment| {
            matches!(
                moment.kind,
                MomentKind::Caught | MomentKind::Slipped | MomentKind::Question | MomentKind::FalseAlarm
            )
        };
        for moment in now.moments.iter().filter(worth).take(MOMENTS_SHOWN) {
            say(&line(moment));
        }
        let report = sink.report();
        let new = report.received - self.received;
        self.received = report.received;
        say(&format!(
            "{:>4}s  {} events, {} blocked, adverts caught {}/{}, sent {} (+{new})\n",
            now.elapsed.as_secs(),
            now.events,
            now.verdicts.get("block").copied().unwrap_or(0),
            now.adverts_caught,
            now.adverts,
            report.distinct,
        ));
    }
}

fn line(moment: &Moment) -> String {
    let place = format!("{} {}", moment.group_name, moment.member);
    match moment.kind {
        MomentKind::Caught => {
            let actions = if moment.actions.is_empty() {
                String::new()
            } else {
                format!(" → {}", moment.actions.join(", "))
            };
            format!("  🚫 {place}: {} ⟨{}⟩{actions}\n", moment.text, moment.matched.join("、"))
        }
        MomentKind::Slipped => format!("  ❗ {place}: {} — an advert that passed\n", moment.text),
        MomentKind::FalseAlarm => {
            format!("  ❓ {place}: {} — ordinary, yet ⟨{}⟩\n", moment.text, moment.matched.join("、"))
        }
        MomentKind::Question => format!("  💬 {place}: {}\n", moment.text),
        MomentKind::Joined => format!("  👋 {place}\n"),
        MomentKind::Left => format!("  … {place}\n"),
    }
}

fn summary(end: &Snapshot, sink: &Sink, broadcast: &Value, numbers: &Value, cases: &Value) -> String {
    let report = sink.report();
    let by_kind: Vec<String> = report.by_kind.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
    let hits: Vec<String> = end.hits.iter().map(|(list, n)| format!("{list} {n}")).collect();
    let totals = &numbers["totals"];
    format!(
        "\nWhat happened 小结\n\
         talked    {} messages, {} joins, {} leaves in {} groups; {} went wrong\n\
         judged    {:?}; adverts caught {} of {}; ordinary messages stopped {}\n\
         hits      {}\n\
         counted   {} messages, {} joins, {} leaves (the gateway's own numbers, {} groups)\n\
         sent      {} different deliveries ({}), repeats {}\n\
         broadcast {} — {}\n\
         fleet     {} texts seen in many groups at once\n",
        end.messages,
        end.joins,
        end.leaves,
        end.groups,
        end.failed,
        end.verdicts,
        end.adverts_caught,
        end.adverts,
        end.false_alarms,
        hits.join(", "),
        totals["messages"],
        totals["joins"],
        totals["leaves"],
        numbers["groups"],
        report.distinct,
        by_kind.join(", "),
        report.duplicates,
        broadcast["state"].as_str().unwrap_or("?"),
        broadcast["counts"],
        cases["items"].as_array().map_or(0, Vec::len),
    )
}

/// Shows a line now; a reader that has gone away ends nothing.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    _ = out.write_all(text.as_bytes()).and_then(|()| out.flush()); // see above
}

/// The gateway's process; ended and its data removed on drop.
struct Gateway {
    process: Child,
    /// Kept open: a gateway writing to a closed pipe would fail.
    _stdout: BufReader<ChildStdout>,
    api: String,
    metrics: String,
    token: String,
    dir: std::path::PathBuf,
}

impl Gateway {
    fn start() -> anyhow::Result<Self> {
        let mut name = [0; 8];
        getrandom::fill(&mut name).map_err(|error| anyhow::anyhow!("draw a name: {error}"))?;
        let dir = std::env::temp_dir().join(format!("menshen-demo-{:016x}", u64::from_le_bytes(name)));
        let mut process = Command::new(std::env::current_exe().context("find this binary")?)
            .args(["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--data-dir"])
            .arg(&dir)
            .env("MENSHEN_CONNECTORS__ALLOW_PRIVATE", r#"["127.0.0.0/8"]"#)
            .env("MENSHEN_LOG__LEVEL", "warn")
            // Owners of a simulated company confirm within seconds, so they are asked about within seconds.
            .env("MENSHEN_BROADCASTS__CONFIRMATIONS__POLL_FIRST", "1s")
            .env("MENSHEN_BROADCASTS__CONFIRMATIONS__POLL_MAX", "3s")
            .env("MENSHEN_DRAIN__DELAY", "0s")
            .env("MENSHEN_ACCESS__REQUESTS", "pace:1000000/m,max_burst=100000")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the gateway")?;
        let stdout = process.stdout.take().context("the gateway has no standard output")?;
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line).unwrap_or_default();
        let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
        let (api, metrics, token) = (text("api"), text("metrics"), text("admin_token"));
        let this = Self { process, _stdout: stdout, api, metrics, token, dir };
        ensure!(ready["event"] == "ready", "the gateway did not get ready; its last words are above");
        Ok(this)
    }

    /// Calls the API as the administrator.
    async fn ask(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        use loadtest::client::Call;
        let call = match method {
            Method::GET => Call::get(path),
            Method::PUT => Call::post(path, "application/json", body.to_string()).put(),
            // The demo asks for each thing once, so the path is key enough.
            _ => Call::post(path, "application/json", body.to_string())
                .header("idempotency-key", &format!("\"{path}\"")),
        };
        let target = std::sync::Arc::new(Target::new(&self.api, Some(&self.token))?);
        let reply =
            target.connection().expect_success(&call).await.with_context(|| format!("{method} {path}"))?;
        Ok(serde_json::from_slice(&reply.body).unwrap_or_default())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The demo keeps nothing, so there is nothing to drain for.
        _ = self.process.kill();
        _ = self.process.wait();
        _ = std::fs::remove_dir_all(&self.dir);
    }
}
