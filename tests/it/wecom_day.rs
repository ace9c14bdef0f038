//! A day in the life of a company on WeCom: a thousand groups, people who come and go, new contacts, two mass sends with
//! owners who confirm soon, late or never, an outage of the platform, a revoked token, somebody else eating the rate limit,
//! the gateway killed twice and once down for half an hour. In the evening every roster equals the platform's to the
//! member, every promise was kept, and the day is told in a report.

use std::fmt::Write as _;
use std::time::Duration;

use http::Method;
use loadtest::wecom::{Fault, Population, SimConfig};
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::company::{self, ACCOUNT, Company};
use crate::support::eventually;
use crate::support::gateway::Gateway;

const GROUPS: usize = 1_000;
const OWNERS: usize = 100;
const MEMBERS: usize = 20_000;
const HALF_AN_HOUR: Duration = Duration::from_secs(1_800);

/// What the day came to, for a reader.
#[derive(Default)]
struct Report(String);

impl Report {
    fn hour(&mut self, time: &str, what: &str) {
        writeln!(self.0, "{time}  {what}").unwrap();
    }

    /// Prints it, and leaves it where a person finds it.
    fn close(self) {
        println!("{}", self.0);
        let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/wecom-day.txt");
        std::fs::write(path, self.0).unwrap();
    }
}

/// The day's clock: how far rehearsal time is ahead of the wall's, on both sides.
#[derive(Default)]
struct Day {
    ahead: Duration,
}

impl Day {
    /// Lets time pass while no gateway runs, then starts it in that hour.
    async fn wake_up_after(&mut self, pause: Duration, company: &Company, gateway: &mut Gateway) {
        self.ahead += pause;
        company.platform.advance(pause);
        gateway.set_env(&company::environment(self.ahead));
        gateway.restart();
        company.save_callback(gateway).await;
    }
}

async fn broadcast(client: &Client, key: &str, text: &str) -> String {
    let body = json!({"name": key, "account": ACCOUNT, "audience": "all", "text": text});
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    let answer = client.send(Method::POST, "/v1/broadcasts", &headers, body.to_string()).await.unwrap();
    assert!(answer.status.is_success(), "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn counts(client: &Client, broadcast: &str) -> Value {
    client.get(&format!("/v1/broadcasts/{broadcast}")).await["counts"].clone()
}

fn number(counts: &Value, state: &str) -> u64 {
    counts[state].as_u64().unwrap_or(0)
}

/// Waits until every task of a broadcast was made.
async fn handed_out(client: &Client, broadcast: &str) -> Value {
    eventually("every owner has the task", || async {
        let now = counts(client, broadcast).await;
        let waiting = number(&now, "pending") + number(&now, "sending") + number(&now, "uncertain");
        let all =
            ["awaiting_confirmation", "sent", "failed"].map(|state| number(&now, state)).iter().sum::<u64>();
        (waiting == 0 && all == GROUPS as u64).then_some(now)
    })
    .await
}

async fn joins_and_leaves(client: &Client) -> (u64, u64) {
    let totals =
        client.get("/v1/statistics?account=wecom&from=2020-01-01&until=2100-01-01&top=0").await["totals"]
            .clone();
    (number(&totals, "joins"), number(&totals, "leaves"))
}

fn faults(texts: &[&str]) -> Vec<Fault> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_bad_day_every_roster_is_true_and_every_promise_kept() {
    let (mut report, mut day) = (Report::default(), Day::default());
    let config = SimConfig {
        population: Population { owners: OWNERS, groups: GROUPS, members: MEMBERS, contacts: 0 },
        read_lag: Duration::from_millis(200),
        ..SimConfig::default()
    };
    let mut company = Company::start(config).await;
    company.platform.with(|world| {
        world.config.callbacks.duplicate_share = 0.05;
        world.config.callbacks.reorder_share = 0.05;
    });
    let mut gateway = Gateway::unstarted();
    gateway.set_env(&company::environment(day.ahead));
    gateway.restart();

    // 08:00 The account is connected, every group read once.
    company.connect(&gateway).await;
    let welcome = json!({"on": "contact_added", "text": "您好，我是门店顾问"});
    gateway.client.expect(201, Method::PUT, "/v1/welcomes/contacts", &welcome).await;
    company::sync(&gateway.client).await;
    company.agrees_with(&gateway.client).await;
    report.hour("08:00", &format!("connected; {GROUPS} groups with {MEMBERS} members read, rosters agree"));

    // 09:00 People come and go, some callbacks come twice or late; new contacts are greeted.
    company.bustle(300);
    let contacts: Vec<_> = (0..40).map(|nth| company.add_contact(nth)).collect();
    tokio::time::timeout(Duration::from_secs(60), company.platform.settled()).await.unwrap();
    eventually("every new contact is greeted", || async {
        (company.platform.report().welcome_codes_used == contacts.len() as u64).then_some(())
    })
    .await;
    company.agrees_with(&gateway.client).await;
    assert_eq!(joins_and_leaves(&gateway.client).await, (company.joins, company.leaves));
    let slowest = company.platform.report().acting.slowest_welcome_ms;
    report.hour(
        "09:00",
        &format!(
            "{} joins, {} leaves, each counted once; {} contacts greeted, the slowest after {slowest} ms",
            company.joins,
            company.leaves,
            contacts.len()
        ),
    );

    // 10:00 A mass send; two calls take effect and are never answered; then the gateway is killed.
    company.platform.set_faults(faults(&["externalcontact/add_msg_template:hang@first:2"]));
    let first = broadcast(&gateway.client, "\"morning\"", "上午好，今日到店有礼").await;
    eventually("some owners have the task", || async {
        (company.platform.report().acting.mass.tasks >= 20).then_some(())
    })
    .await;
    gateway.kill();
    company.bustle(20); // nobody hears of these
    day.wake_up_after(Duration::from_secs(3_600), &company, &mut gateway).await;
    company.platform.set_faults(Vec::new());
    let after = handed_out(&gateway.client, &first).await;
    let mass = company.platform.report().acting.mass;
    assert_eq!((mass.tasks, mass.asked_twice), (OWNERS as u64, 0), "{mass:?}");
    report.hour(
        "10:00",
        &format!("mass send: two unanswered calls, a kill; {OWNERS} tasks, none twice; {after}"),
    );

    // 12:00 The token is revoked, somebody else eats the limit, the platform is away for a while.
    let platform = Client::new(company.platform.url(), "");
    platform.expect(200, Method::POST, "/_sim/tokens", &json!({"app": "gateway", "end": "void"})).await;
    let eaten = json!({"api": "externalcontact/groupchat/get", "calls": 9_000});
    platform.expect(200, Method::POST, "/_sim/limits", &eaten).await;
    company.platform.set_faults(faults(&["*:outage=0s..5s"]));
    company.bustle(100);
    tokio::time::timeout(Duration::from_secs(60), company.platform.settled()).await.unwrap();
    company.agrees_with(&gateway.client).await;
    report.hour("12:00", "token revoked, 9,000 calls eaten, an outage of 5 s: rosters agree again");

    // 14:00 Killed, and down for half an hour in which people come and go unheard.
    gateway.kill();
    for _ in 0..30 {
        company.platform.advance(HALF_AN_HOUR / 30);
        company.bustle(5);
    }
    day.ahead += HALF_AN_HOUR;
    let unheard = company.add_contact(7);
    tokio::time::timeout(Duration::from_secs(60), company.platform.settled()).await.unwrap();
    company.platform.advance(Duration::from_secs(30));
    day.wake_up_after(Duration::from_secs(30), &company, &mut gateway).await;
    company.agrees_with(&gateway.client).await;
    assert_eq!(joins_and_leaves(&gateway.client).await, (company.joins, company.leaves));
    let codes = company.platform.report();
    assert!(
        unheard.welcome_code.is_some() && codes.welcome_codes_used == contacts.len() as u64,
        "greeted late: {codes:?}"
    );
    let account = gateway.client.get(&format!("/v1/accounts/{ACCOUNT}")).await;
    report.hour("14:30", &format!(
        "down for 30 min: {} joins and {} leaves in all, each counted once, nobody greeted late; protection {}",
        company.joins, company.leaves, account["protection"]
    ));

    // 15:00 A second mass send; owners confirm, or not.
    let second = broadcast(&gateway.client, "\"evening\"", "晚上好，会员日最后一天").await;
    handed_out(&gateway.client, &second).await;
    gateway.kill();
    day.wake_up_after(Duration::from_secs(24 * 3_600), &company, &mut gateway).await;
    for (name, id) in [("first", &first), ("second", &second)] {
        let told = eventually("the gateway knows what the platform knows", || async {
            let (now, mass) = (counts(&gateway.client, id).await, company.platform.report().acting.mass);
            (number(&now, "sent") > 0 && both_sent(&gateway.client, &[&first, &second]).await == mass.sent)
                .then_some(now)
        })
        .await;
        let sum =
            ["awaiting_confirmation", "sent", "failed"].map(|state| number(&told, state)).iter().sum::<u64>();
        assert_eq!(sum, GROUPS as u64, "every target has its state: {told}");
        report.hour("next day", &format!("{name} mass send: {told}"));
    }
    let end = company.platform.report();
    assert_eq!(end.acting.mass.tasks, 2 * OWNERS as u64);
    assert_eq!(end.ledger.sends_repeated, 0, "somebody got the same thing twice");
    assert!(end.limits.is_kept(), "{:?}", end.limits);
    company.agrees_with(&gateway.client).await;
    assert_eq!(joins_and_leaves(&gateway.client).await, (company.joins, company.leaves));
    report.hour("evening", &format!(
        "{} callbacks, {} calls, limits kept, nothing sent twice; {GROUPS} rosters equal the platform's to the member",
        end.ledger.deliveries, end.ledger.calls
    ));
    report.close();
}

async fn both_sent(client: &Client, broadcasts: &[&String]) -> u64 {
    let mut sent = 0;
    for id in broadcasts {
        sent += number(&counts(client, id).await, "sent");
    }
    sent
}
