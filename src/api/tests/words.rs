//! The fastest-rising words of a day.

use serde_json::{Value, json};

use super::{Gateway, NOW_MS};
use crate::event::{GroupEvent, Message, Role, What};
use crate::ingest::events::Source;
use crate::statistics::words::Said;
use crate::storage::{WordsHeard, WordsShare};

const DAY_MS: i64 = 86_400_000;

/// 22 November 2026 in Shanghai, counted from the epoch.
fn today() -> u32 {
    u32::try_from((NOW_MS + 8 * 3_600_000) / DAY_MS).unwrap()
}

/// A word that so many people say in a group, of a hundred who speak.
fn heard(group: &str, day: u32, word: &str, people: std::ops::Range<u32>) -> WordsHeard {
    let mut said = Said { messages: 100, speakers: (0..100).collect(), ..Said::default() };
    said.words.insert(word.into(), people.collect());
    WordsHeard { account: "demo".to_owned(), group: group.to_owned(), day, said }
}

async fn populate(gateway: &Gateway) {
    gateway.furnish().await;
    for group in ["g-east", "g-west"] {
        gateway.message(group, "u-1", NOW_MS).await;
    }
    let mut all = Vec::new();
    for back in 1..=7 {
        all.push(heard("g-east", today() - back, "缺货", 0..back % 3));
        all.push(heard("g-east", today() - back, "蛋糕", 0..30));
        all.push(heard("g-west", today() - back, "面包", 0..1));
    }
    all.push(heard("g-east", today(), "缺货", 0..38));
    all.push(heard("g-east", today(), "蛋糕", 0..31));
    // Four people in the east and four others in the west.
    all.push(heard("g-east", today(), "退款", 0..4));
    all.push(heard("g-west", today(), "退款", 4..12));
    let share = (today(), WordsShare { counted: 300, missed: 100 });
    gateway.storage.words_add(all, &[share], 1_000).unwrap();
}

fn words(got: &Value) -> Vec<&str> {
    got["items"].as_array().unwrap().iter().map(|item| item["word"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn rising_words_are_told_within_the_scope_and_only_when_enough_people_said_them() {
    let gateway = Gateway::open().await;
    populate(&gateway).await;
    let got = gateway.get("/v1/statistics/words").await.expect(200).json();
    assert_eq!(words(&got), ["缺货", "退款"], "蛋糕 is said as ever");
    let first = &got["items"][0];
    assert_eq!((&first["people"], &first["usual_low"]), (&json!(38), &json!(0)));
    assert!(first["zh"].as_str().unwrap().starts_with("38 人说到，平时 0–"), "{first}");
    assert!(first["en"].as_str().unwrap().starts_with("38 people, usual 0–"), "{first}");
    assert_eq!(
        (&got["day"], &got["is_running"], &got["days_before"]),
        (&json!("2026-11-22"), &json!(true), &json!(7))
    );
    assert_eq!(got["share"], json!({"counted": 300, "missed": 100, "part": 0.75}));
    assert_eq!((&got["coverage"]["coverage"], &got["people_min"]), (&json!("full"), &json!(5)));
    // Four of the east are too few, together with the west they are not.
    let east = gateway.get("/v1/statistics/words?region=east&limit=5").await.expect(200).json();
    assert_eq!(words(&east), ["缺货"]);
    let eastern = gateway.token_for("op-east", json!({"regions": ["east"]})).await;
    let own = gateway.call_as(&eastern, "GET", "/v1/statistics/words", Value::Null).await.expect(200).json();
    assert_eq!(words(&own), ["缺货"]);
    let west = gateway.get("/v1/statistics/words?region=west").await.expect(200).json();
    assert_eq!(words(&west), ["退款"]);
    let csv = gateway.get("/v1/statistics/words?format=csv&limit=1").await.expect(200);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    let lines: Vec<_> = csv.text.lines().collect();
    assert!(lines.len() == 2 && lines[1].starts_with("缺货,38,0,"), "{lines:?}");
    let lines = gateway.get("/v1/statistics/words?format=ndjson").await.expect(200).text;
    assert_eq!(serde_json::from_str::<Value>(lines.lines().next().unwrap()).unwrap()["word"], "缺货");
    // A day before anything was said: nothing can be said of it.
    let old = gateway.get("/v1/statistics/words?day=2026-11-16").await.expect(200).json();
    assert_eq!((&old["items"], &old["days_before"]), (&Value::Null, &json!(1)));
    gateway.get("/v1/statistics/words?day=yesterday").await.expect(400);
    gateway.get("/v1/statistics/words?limit=0").await.expect(400);
}

#[tokio::test]
async fn a_report_lists_the_words_of_its_day() {
    let gateway = Gateway::open().await;
    populate(&gateway).await;
    let page = gateway.get("/v1/reports/daily?date=2026-11-22&region=east").await.expect(200).text;
    assert!(page.contains("升得最快的词") && page.contains("<td>缺货</td><td>38</td>"), "{page}");
    let page = gateway.get("/v1/reports/daily?date=2026-11-22&lang=en").await.expect(200).text;
    assert!(page.contains("Fastest-rising words"));
}

#[tokio::test]
async fn what_customers_say_is_heard_without_keeping_it() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let says = |member: &str, role: Role, text: &str| GroupEvent {
        id: format!("{member}-{text}").into(),
        account: "demo".into(),
        group: "g-east".into(),
        member: Some(member.to_owned().into()),
        name: None,
        role,
        at_ms: Some(NOW_MS),
        step: None,
        what: What::Message(Message { text: text.to_owned().into(), ..Message::default() }),
    };
    let events = [
        says("u-1", Role::Customer, "草莓蛋糕缺货了"),
        says("u-2", Role::Customer, "蛋糕！"),
        says("s-1", Role::Staff, "面包到货"),
        says("u-2", Role::Customer, "蛋糕！"),
    ];
    let ingest = &gateway.app.parts().ingest;
    ingest.take(Source::Platform, events.into_iter().map(Ok)).await.unwrap();
    gateway.app.parts().listener.flush().await;
    let mut said = Said::default();
    let mut read = |_, row: &[u8]| {
        said = Said::decode(row)?;
        Ok(())
    };
    gateway.storage.words(&[("demo".to_owned(), "g-east".to_owned())], today(), &mut read).unwrap();
    assert_eq!((said.messages, said.speakers.len()), (2, 2), "a repeat and staff do not count");
    assert_eq!(said.words["蛋糕"].len(), 2);
    assert!(!said.words.contains_key("面包"));
}
