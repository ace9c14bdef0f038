//! Rules that change while messages flow: whole, at once, and with a way back; and files that are followed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::gateway::Gateway;

/// Versions made while messages flow; `app::rules` has a test with more.
const SWAPS: usize = 20;

/// The pair of terms that only one version has. No two sound or look alike, nor are they the other way round.
fn pair(number: usize) -> [String; 2] {
    let of: Vec<char> = "天地人我他山水火木月云风雨花大小".chars().collect();
    let mut stems = of.iter().enumerate().flat_map(|(at, a)| of[at + 1..].iter().map(move |b| [*a, *b]));
    let stem: String = stems.nth(number).unwrap().iter().collect();
    [format!("{stem}甲"), format!("{stem}乙")]
}

fn event(id: &str, text: &str) -> Value {
    json!({"id": id, "account": "demo", "group": "g-1", "type": "message", "member": "u-1", "text": text})
}

/// Sends messages one after the other and holds each against the version that judged it; returns the versions seen.
async fn talk(client: &Client, who: usize, acknowledged: &AtomicU64, over: &AtomicBool) -> BTreeSet<u64> {
    let text: String = (0..SWAPS).flat_map(pair).map(|term| term + "，").collect();
    let mut seen = BTreeSet::new();
    for n in 0.. {
        if over.load(Ordering::SeqCst) {
            break;
        }
        let at_least = acknowledged.load(Ordering::SeqCst);
        let answer =
            client.expect(200, Method::POST, "/v1/events", &event(&format!("{who}-{n}"), &text)).await;
        let number: u64 = answer["ruleset"].as_str().unwrap().strip_prefix("r-").unwrap().parse().unwrap();
        assert!(number >= at_least, "judged by r-{number} after r-{at_least} was acknowledged");
        let hits = answer["hits"].as_array().unwrap().iter().filter(|hit| hit["wordlist"] == "swap");
        let terms: Vec<_> = hits.map(|hit| hit["term"].as_str().unwrap().to_owned()).collect();
        let expect =
            if number == 1 { Vec::new() } else { pair(usize::try_from(number).unwrap() - 2).to_vec() };
        assert_eq!(terms, expect, "r-{number}");
        seen.insert(number);
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_is_judged_by_half_a_ruleset_and_a_new_term_is_live_when_it_is_acknowledged() {
    // Three talkers without a pause are more than one token may ask.
    let gateway = Gateway::start(&[("MENSHEN_ACCESS__REQUESTS", "pace:600000/m,max_burst=60000")]);
    let (acknowledged, over) = (AtomicU64::new(1), AtomicBool::new(false));
    let swaps = async {
        let mut slowest = Duration::ZERO;
        for number in 0..SWAPS {
            let terms = pair(number).map(|text| json!({"text": text}));
            let began = Instant::now();
            let path = "/v1/wordlists/swap?reason=swap";
            let status = if number == 0 { 201 } else { 200 };
            gateway
                .client
                .expect(status, Method::PUT, path, &json!({"level": "medium", "terms": terms}))
                .await;
            slowest = slowest.max(began.elapsed());
            acknowledged.store(u64::try_from(number).unwrap() + 2, Ordering::SeqCst);
        }
        over.store(true, Ordering::SeqCst);
        slowest
    };
    let talk = |who| talk(&gateway.client, who, &acknowledged, &over);
    let (slowest, first, second, third) = tokio::join!(swaps, talk(1), talk(2), talk(3));
    println!("the slowest of {SWAPS} changes was in force after {slowest:?}");
    let seen: BTreeSet<_> = first.iter().chain(&second).chain(&third).collect();
    assert!(seen.len() > SWAPS / 5, "messages were judged by {} versions only", seen.len());
}

#[tokio::test]
async fn files_are_followed_a_bad_one_is_named_and_numbers_outlast_restarts() {
    let mut gateway = Gateway::unstarted();
    let lists = gateway.home().join("lists");
    std::fs::create_dir(&lists).unwrap();
    std::fs::write(lists.join("shop.txt"), "加微信\n").unwrap();
    let dir = lists.to_str().unwrap().to_owned();
    gateway.set_env(&[("MENSHEN_INTERCEPTION__WORDLISTS_DIR".to_owned(), dir)]);
    gateway.restart();
    let version =
        async |client: &Client| client.get("/v1/rulesets").await["version"].as_str().unwrap().to_owned();
    let verdict = async |client: &Client, text: &str| {
        client.expect(200, Method::POST, "/v1/moderate", &json!({"text": text})).await["verdict"].clone()
    };
    assert_eq!(verdict(&gateway.client, "加群领券").await, "pass");
    std::fs::write(lists.join("new.tmp"), "加群领券\n").unwrap();
    std::fs::rename(lists.join("new.tmp"), lists.join("new.txt")).unwrap();
    eventually("the saved file is in force", || async {
        (verdict(&gateway.client, "加群领券").await == "block").then_some(())
    })
    .await;
    assert_eq!(version(&gateway.client).await, "r-2");
    let made = gateway.client.get("/v1/rulesets/r-2").await;
    assert_eq!((&made["author"]["kind"], &made["changes"][0]["id"]), (&json!("file"), &json!("new")));

    std::fs::write(lists.join("new.txt"), "私聊我\n加群\ta\tb\n").unwrap();
    gateway.hang_up();
    let trouble = eventually("the bad file is named", || async {
        let trouble = gateway.client.get("/v1/rulesets").await["last_error"].clone();
        trouble.is_object().then_some(trouble)
    })
    .await;
    assert_eq!((&trouble["file"], &trouble["line"]), (&json!("new.txt"), &json!(2)));
    assert_eq!(verdict(&gateway.client, "加群领券").await, "block");

    std::fs::write(lists.join("new.txt"), "加群领券\n").unwrap();
    let list = json!({"terms": [{"text": "私聊返现"}]});
    gateway.client.expect(201, Method::PUT, "/v1/wordlists/own", &list).await;
    gateway.restart();
    assert_eq!(version(&gateway.client).await, "r-3");
    assert_eq!(verdict(&gateway.client, "私聊返现").await, "block");
    gateway.client.expect(200, Method::POST, "/v1/rulesets/r-2/rollback", &json!({"reason": "误伤"})).await;
    assert_eq!(verdict(&gateway.client, "私聊返现").await, "pass");
    assert_eq!(version(&gateway.client).await, "r-4");
}

#[tokio::test]
async fn a_signal_reads_what_nobody_watches() {
    let mut gateway = Gateway::unstarted();
    let (lists, elsewhere) = (gateway.home().join("lists"), gateway.home().join("elsewhere.txt"));
    std::fs::create_dir(&lists).unwrap();
    std::fs::write(&elsewhere, "加微信\n").unwrap();
    // The directory is watched, not what a link in it leads to.
    std::os::unix::fs::symlink(&elsewhere, lists.join("linked.txt")).unwrap();
    let dir = lists.to_str().unwrap().to_owned();
    gateway.set_env(&[("MENSHEN_INTERCEPTION__WORDLISTS_DIR".to_owned(), dir)]);
    gateway.restart();
    let verdict = async |text: &str| {
        let judged = gateway.client.expect(200, Method::POST, "/v1/moderate", &json!({"text": text})).await;
        judged["verdict"].clone()
    };
    std::fs::write(&elsewhere, "加群领券\n").unwrap();
    gateway.hang_up();
    eventually("the list is read again", || async {
        (verdict("加群领券").await == "block").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_set_of_rules_judges_until_it_is_rolled_back() {
    let gateway = Gateway::start(&[]);
    let say = async |id: &str, text: &str| {
        gateway.client.expect(200, Method::POST, "/v1/events", &event(id, text)).await
    };
    assert_eq!(say("e-1", "今天返现").await["verdict"], "pass");
    let rules = json!({"rules": [
        {"id": "scan", "category": "lure", "level": "medium", "all": ["返现", "扫码"],
         "across": {"messages": 3, "seconds": 60}},
    ]});
    let path = "/v1/rule-sets/rebate?reason=%E8%BF%94%E7%8E%B0";
    gateway.client.expect(201, Method::PUT, path, &rules).await;
    assert_eq!(say("e-2", "今天返现").await["verdict"], "pass");
    let judged = say("e-3", "请扫码领取").await;
    assert_eq!((&judged["verdict"], &judged["ruleset"]), (&json!("review"), &json!("r-2")));
    let hit = &judged["hits"][0];
    assert_eq!(
        [&hit["wordlist"], &hit["category"], &hit["term"], &hit["matched"]],
        ["rebate", "lure", "scan", "扫码"]
    );
    let made = gateway.client.get("/v1/rulesets/r-2").await;
    assert_eq!((&made["reason"], &made["changes"][0]["kind"]), (&json!("返现"), &json!("rule_set")));

    gateway.client.expect(200, Method::POST, "/v1/rulesets/r-1/rollback", &json!({"reason": "误伤"})).await;
    gateway.client.expect(404, Method::GET, "/v1/rule-sets/rebate", &Value::Null).await;
    assert_eq!(say("e-4", "今天返现").await["verdict"], "pass");
    let after = say("e-5", "请扫码领取").await;
    assert_eq!((&after["verdict"], &after["ruleset"]), (&json!("pass"), &json!("r-3")));
}
