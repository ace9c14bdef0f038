//! `menshen demo --platform wecom`: a simulated company on WeCom, its people, and what the gateway makes of them.
//!
//! Everything a real company would do is done over real HTTP: encrypted callbacks, calls under the platform's limits, a
//! mass send that owners confirm, or not.

use std::time::Duration;

use anyhow::{Context, ensure};
use http::Method;
use loadtest::wecom::{Population, Rates, SimConfig, SimReport, Simulator};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{BROADCAST_AFTER_S, Gateway, say};
use crate::clock::Stopwatch;

/// The account the company is connected by.
const ACCOUNT: &str = "wecom";
/// The company's own name for its one app.
const APP: &str = "gateway";
/// Customers in each group at the start.
const MEMBERS_A_GROUP: usize = 40;
/// Owners confirm within seconds here, so that a minute shows something.
const PROMPT_MS: (u64, u64) = (2_000, 20_000);

/// Runs the demo for so long.
///
/// # Errors
/// When the gateway does not start, or refuses what the demo sets up.
pub(super) async fn run(shops: usize, length: Duration) -> anyhow::Result<()> {
    let config = company(shops);
    let platform = Simulator::start(config.clone()).await?;
    let gateway = tokio::task::spawn_blocking(Gateway::start).await??;
    say(&format!(
        "门神 Menshen demo: a simulated WeCom 模拟企业微信 with {shops} shops × 6 groups on {}\n\
         gateway {}   API pages: {}/docs   token: {}\n\n",
        platform.url(),
        gateway.api,
        gateway.api,
        gateway.token
    ));
    connect(&gateway, &platform, &config).await?;
    say(&check(&gateway).await?);
    read_groups(&gateway).await?;

    platform.live(Rates { joins: 3.0, leaves: 1.5, contacts: 0.5, messages: 5.0, seed: 7 });
    let watch = Stopwatch::start();
    let (mut story, mut broadcast) = (Story::default(), None);
    let broadcast_at = Duration::from_secs(BROADCAST_AFTER_S).min(length / 4);
    for second in 1.. {
        sleep(Duration::from_secs(second).saturating_sub(watch.elapsed())).await;
        if broadcast.is_none() && watch.elapsed() >= broadcast_at {
            broadcast = Some(mass_send(&gateway).await?);
        }
        let progress = match &broadcast {
            Some(id) => gateway.ask(Method::GET, &format!("/v1/broadcasts/{id}"), &Value::Null).await?,
            None => Value::Null,
        };
        say(&story.tell(second, &platform.report(), &progress));
        if watch.elapsed() >= length {
            break;
        }
    }
    platform.be_still();
    say(&evening(&gateway, &platform).await?);
    Ok(())
}

fn company(shops: usize) -> SimConfig {
    let groups = shops * 6;
    let population = Population { owners: shops, groups, members: groups * MEMBERS_A_GROUP, contacts: 0 };
    let mut config = SimConfig { population, ..SimConfig::default() };
    config.acting.owners.prompt_ms = PROMPT_MS;
    config
}

/// Does what `docs/WECOM.md` tells people to do.
async fn connect(gateway: &Gateway, platform: &Simulator, config: &SimConfig) -> anyhow::Result<()> {
    let app = config.apps.first().context("the simulated company has no app")?;
    let account = json!({
        "platform": "wecom",
        "name": "Simulated company",
        "settings": {"corp_id": config.corpid, "agent_id": app.agentid, "api_url": platform.url()},
        "secrets": [
            {"name": "app_secret", "value": app.secret},
            {"name": "callback_token", "value": app.token},
            {"name": "callback_key", "value": app.aes_key},
        ],
    });
    gateway.ask(Method::PUT, &format!("/v1/accounts/{ACCOUNT}"), &account).await?;
    let hook = format!("{}/hooks/{ACCOUNT}", gateway.api);
    platform.register_callback(APP, &hook).await.context("WeCom does not accept the callback's address")?;
    say("  ✓ callback URL saved in the console: WeCom asked, we answered 回调地址已验证\n");
    let welcome = json!({"on": "contact_added", "text": "您好，我是门店顾问，有事随时找我"});
    gateway.ask(Method::PUT, "/v1/welcomes/contacts", &welcome).await?;
    Ok(())
}

async fn check(gateway: &Gateway) -> anyhow::Result<String> {
    let checked = gateway.ask(Method::POST, &format!("/v1/accounts/{ACCOUNT}/check"), &json!({})).await?;
    let findings = checked["findings"].as_array().map_or(&[][..], Vec::as_slice);
    let good = findings.iter().filter(|finding| finding["standing"] == "good").count();
    Ok(format!("  ✓ account checked 账号检查: {good} of {} findings good\n", findings.len()))
}

async fn read_groups(gateway: &Gateway) -> anyhow::Result<()> {
    let path = format!("/v1/accounts/{ACCOUNT}/sync");
    let mut state = gateway.ask(Method::POST, &path, &json!({})).await?;
    while state["state"] == "running" || state["state"] == "queued" {
        sleep(Duration::from_millis(100)).await;
        state = gateway.ask(Method::GET, &path, &Value::Null).await?;
    }
    ensure!(state["state"] == "done", "the groups could not be read: {state}");
    let progress = &state["progress"];
    say(&format!("  ✓ {} groups read, {} members 群与成员已同步\n\n", progress["read"], progress["adopted"]));
    Ok(())
}

async fn mass_send(gateway: &Gateway) -> anyhow::Result<String> {
    let body = json!({
        "name": "Weekend offer",
        "account": ACCOUNT,
        "text": "周末到店满两百减三十，欢迎带上家人",
        "audience": "all",
    });
    let accepted = gateway.ask(Method::POST, "/v1/broadcasts", &body).await?;
    say("  📣 mass send accepted; each owner gets a task to confirm 群发已受理,等待群主确认\n");
    Ok(accepted["id"].as_str().unwrap_or_default().to_owned())
}

/// Tells each second in a line.
#[derive(Default)]
struct Story {
    events: u64,
}

impl Story {
    fn tell(&mut self, second: u64, now: &SimReport, broadcast: &Value) -> String {
        let new = now.events - self.events;
        self.events = now.events;
        let counts = &broadcast["counts"];
        let sending = if counts.is_null() {
            String::new()
        } else {
            format!(
                ", mass send: {} received, {} wait for their owner",
                counts["sent"], counts["awaiting_confirmation"]
            )
        };
        format!(
            "{second:>4}s  {} callbacks (+{new}), new contacts greeted {}/{} (slowest {} ms){sending}\n",
            now.ledger.deliveries,
            now.welcome_codes_used,
            now.welcome_codes_issued,
            now.acting.slowest_welcome_ms
        )
    }
}

/// What the day came to, on both sides.
async fn evening(gateway: &Gateway, platform: &Simulator) -> anyhow::Result<String> {
    let settled = tokio::time::timeout(Duration::from_secs(30), platform.settled()).await;
    settled.context("callbacks still wait after half a minute")?;
    let numbers = gateway.ask(Method::GET, "/v1/statistics?top=3", &Value::Null).await?;
    let totals = &numbers["totals"];
    let chat = platform.with(|world| {
        let (number, group) = world.groups.all().next()?;
        Some((world.groups.chat_id(number), group.now.members.len()))
    });
    let (chat, members) = chat.context("the simulated company has no group")?;
    let promises =
        gateway.ask(Method::GET, &format!("/v1/groups/{ACCOUNT}/{chat}/promises"), &Value::Null).await?;
    let mut told = format!(
        "\nWhat happened 小结\n\
         counted   {} joins, {} leaves; one group by WeCom's own list: {members} members\n\
         limits    {}\n\
         promises  of that group 这个群的承诺:\n",
        totals["joins"],
        totals["leaves"],
        if platform.report().limits.is_kept() {
            "every limit of the platform kept"
        } else {
            "a limit was exceeded"
        },
    );
    let items = promises["items"].as_array().map_or(&[][..], Vec::as_slice);
    let lines = items.iter().map(|promise| {
        let text = |key: &str| promise[key].as_str().unwrap_or_default().to_owned();
        let mark = match promise["kept"].as_str() {
            Some("yes") => "✓",
            Some("partly") => "~",
            _ => "✗",
        };
        format!("          {mark} {}\n            {}\n", text("zh"), text("en"))
    });
    told.extend(lines);
    Ok(told)
}
