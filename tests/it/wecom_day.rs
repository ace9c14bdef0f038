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
const HALF_AN_HOUR: Duration = Duration::from_mins(30);

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

async fn broadcast(client: &Client, key: &str, text: &str, content: Option<Value>) -> String {
    let mut body = json!({"name": key, "account": ACCOUNT, "audience": "all", "text": text});
    body["content"] = json!(content);
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

/// Long enough for what takes a second on a quiet machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The company, the gateway, and how far the day is.
struct Story {
    report: Report,
    day: Day,
    company: Company,
    gateway: Gateway,
    greeted: u64,
}

impl Story {
    /// 08:00 The account is connected, every group read once.
    async fn morning() -> Self {
        let config = SimConfig {
            population: Population { owners: OWNERS, groups: GROUPS, members: MEMBERS, contacts: 0 },
            read_lag: Duration::from_millis(200),
            ..SimConfig::default()
        };
        let company = Company::start(config).await;
        company.platform.with(|world| {
            world.config.callbacks.duplicate_share = 0.05;
            world.config.callbacks.reorder_share = 0.05;
        });
        let (mut report, day, mut gateway) = (Report::default(), Day::default(), Gateway::unstarted());
        gateway.set_env(&company::environment(day.ahead));
        gateway.restart();
        company.connect(&gateway).await;
        let welcome = json!({"on": "contact_added", "text": "您好，我是门店顾问"});
        gateway.client.expect(201, Method::PUT, "/v1/welcomes/contacts", &welcome).await;
        company::sync(&gateway.client).await;
        company.agrees_with(&gateway.client).await;
        report
            .hour("08:00", &format!("connected; {GROUPS} groups with {MEMBERS} members read, rosters agree"));
        Self { report, day, company, gateway, greeted: 0 }
    }

    async fn callbacks_are_through(&self) {
        tokio::time::timeout(PATIENCE, self.company.platform.settled()).await.unwrap();
    }

    /// Both sides name the same people, and every coming and going counted once.
    async fn all_agree(&self) {
        self.company.agrees_with(&self.gateway.client).await;
        let counted = joins_and_leaves(&self.gateway.client).await;
        assert_eq!(counted, (self.company.joins, self.company.leaves));
    }

    /// 09:00 People come and go, some callbacks come twice or late; new contacts are greeted.
    async fn comings_and_goings(&mut self) {
        self.company.bustle(300);
        for nth in 0..40 {
            self.company.add_contact(nth);
            self.greeted += 1;
        }
        self.callbacks_are_through().await;
        eventually("every new contact is greeted", || async {
            (self.company.platform.report().welcome_codes_used == self.greeted).then_some(())
        })
        .await;
        self.all_agree().await;
        let slowest = self.company.platform.report().acting.slowest_welcome_ms;
        let (joins, leaves, greeted) = (self.company.joins, self.company.leaves, self.greeted);
        self.report.hour(
            "09:00",
            &format!(
                "{joins} joins, {leaves} leaves, each counted once; {greeted} contacts greeted, the slowest after {slowest} ms"
            ),
        );
    }

    /// 10:00 A mass send; two calls take effect and are never answered; then the gateway is killed.
    async fn a_mass_send_and_a_kill(&mut self) -> String {
        self.company.platform.set_faults(faults(&["externalcontact/add_msg_template:hang@first:2"]));
        let id = broadcast(&self.gateway.client, "\"morning\"", "上午好，今日到店有礼", None).await;
        eventually("some owners have the task", || async {
            (self.company.platform.report().acting.mass.tasks >= 20).then_some(())
        })
        .await;
        self.gateway.kill();
        self.company.bustle(20); // nobody hears of these
        self.day.wake_up_after(Duration::from_hours(1), &self.company, &mut self.gateway).await;
        self.company.platform.set_faults(Vec::new());
        let after = handed_out(&self.gateway.client, &id).await;
        let mass = self.company.platform.report().acting.mass;
        assert_eq!((mass.tasks, mass.asked_twice), (OWNERS as u64, 0), "{mass:?}");
        self.report.hour(
            "10:00",
            &format!("mass send: two unanswered calls, a kill; {OWNERS} tasks, none twice; {after}"),
        );
        id
    }

    /// 12:00 The token is revoked, somebody else eats the limit, the platform is away for a while.
    async fn a_bad_hour_of_the_platform(&mut self) {
        let platform = Client::new(self.company.platform.url(), "");
        let void = json!({"app": "gateway", "end": "void"});
        platform.expect(200, Method::POST, "/_sim/tokens", &void).await;
        let eaten = json!({"api": "externalcontact/groupchat/get", "calls": 9_000});
        platform.expect(200, Method::POST, "/_sim/limits", &eaten).await;
        self.company.platform.set_faults(faults(&["*:outage=0s..5s"]));
        self.company.bustle(100);
        self.callbacks_are_through().await;
        self.all_agree().await;
        self.report.hour("12:00", "token revoked, 9,000 calls eaten, an outage of 5 s: rosters agree again");
    }

    /// 14:00 Killed, and down for half an hour in which people come and go unheard.
    async fn half_an_hour_unheard(&mut self) {
        self.gateway.kill();
        for _ in 0..30 {
            self.company.platform.advance(HALF_AN_HOUR / 30);
            self.company.bustle(5);
        }
        self.day.ahead += HALF_AN_HOUR;
        let unheard = self.company.add_contact(7);
        assert!(unheard.welcome_code.is_some());
        self.callbacks_are_through().await;
        self.day.wake_up_after(Duration::from_secs(30), &self.company, &mut self.gateway).await;
        self.all_agree().await;
        let used = self.company.platform.report().welcome_codes_used;
        assert_eq!(used, self.greeted, "somebody was greeted late");
        let account = eventually("the account is protected again", || async {
            let account = self.gateway.client.get(&format!("/v1/accounts/{ACCOUNT}")).await;
            (account["protection"]["protected"] == true).then_some(account)
        })
        .await;
        let (joins, leaves) = (self.company.joins, self.company.leaves);
        self.report.hour(
            "14:30",
            &format!(
                "down for 30 min: {joins} joins and {leaves} leaves in all, each counted once, nobody greeted late; {}",
                account["protection"]
            ),
        );
    }

    /// 15:00 A second mass send; a day later owners have confirmed, or not.
    async fn a_second_mass_send(&mut self, first: &String) {
        let link = json!({"title": "会员日", "url": "https://shop.example/vip"});
        let content = json!({"type": "link", "link": link});
        let second =
            broadcast(&self.gateway.client, "\"evening\"", "晚上好，会员日最后一天", Some(content)).await;
        handed_out(&self.gateway.client, &second).await;
        let attached = vec![json!({"msgtype": "link", "link": link})];
        let with_link = self.company.platform.with(|world| {
            let tasks = world.states.mass.all().map(|(_, task)| &task.content);
            tasks.filter(|content| content.attachments == attached && !content.text.is_empty()).count()
        });
        assert_eq!(with_link, OWNERS, "every owner has the link in the task of the text");
        self.gateway.kill();
        self.day.wake_up_after(Duration::from_hours(24), &self.company, &mut self.gateway).await;
        for (name, id) in [("first", first), ("second", &second)] {
            let told = eventually("the gateway knows what the platform knows", || async {
                let now = counts(&self.gateway.client, id).await;
                let both = both_sent(&self.gateway.client, &[first, &second]).await;
                let mass = self.company.platform.report().acting.mass;
                (number(&now, "sent") > 0 && both == mass.sent).then_some(now)
            })
            .await;
            let states = ["awaiting_confirmation", "sent", "failed"];
            let sum = states.map(|state| number(&told, state)).iter().sum::<u64>();
            assert_eq!(sum, GROUPS as u64, "every target has its state: {told}");
            self.report.hour("next day", &format!("{name} mass send: {told}"));
        }
    }

    /// The next evening: what both sides say of it all.
    async fn evening(mut self) {
        let end = self.company.platform.report();
        assert_eq!(end.acting.mass.tasks, 2 * OWNERS as u64);
        assert_eq!(end.ledger.sends_repeated, 0, "somebody got the same thing twice");
        assert!(end.limits.is_kept(), "{:?}", end.limits);
        self.all_agree().await;
        let (callbacks, calls) = (end.ledger.deliveries, end.ledger.calls);
        self.report.hour(
            "evening",
            &format!(
                "{callbacks} callbacks, {calls} calls, limits kept, nothing sent twice; {GROUPS} rosters equal the platform's to the member"
            ),
        );
        self.report.close();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_bad_day_every_roster_is_true_and_every_promise_kept() {
    let mut story = Story::morning().await;
    story.comings_and_goings().await;
    let first = story.a_mass_send_and_a_kill().await;
    story.a_bad_hour_of_the_platform().await;
    story.half_an_hour_unheard().await;
    story.a_second_mass_send(&first).await;
    story.evening().await;
}

async fn both_sent(client: &Client, broadcasts: &[&String]) -> u64 {
    let mut sent = 0;
    for id in broadcasts {
        sent += number(&counts(client, id).await, "sent");
    }
    sent
}
