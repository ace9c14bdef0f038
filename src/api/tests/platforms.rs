//! What people see of rosters, protection and the platform's own numbers.

use async_trait::async_trait;
use serde_json::json;

use super::{Gateway, NOW_MS};
use crate::api::ports::{Lapse, LastSync, Platforms, Protection, Syncs};
use crate::connectors::{PlatformNumbers, SyncProgress};
use crate::event::HOUR_MS;
use crate::statistics::coverage::Sight;
use crate::statistics::days::DAY_MS;

/// Looks after the account `demo` alone, which was down for half an hour.
pub(super) struct Watched;

/// Midnight in Shanghai, the day before [`NOW_MS`].
const YESTERDAY_MS: i64 = NOW_MS - 34 * HOUR_MS;

/// An account that was taken away, and when.
const LEFT: &str = "left";
const LEFT_MS: i64 = YESTERDAY_MS + 6 * HOUR_MS;

#[async_trait]
impl Platforms for Watched {
    fn protection(&self, account: &str) -> Option<Protection> {
        let lapse =
            Lapse { code: "down", since_ms: NOW_MS - HOUR_MS, zh: "停机".into(), en: "down".into() };
        let lapses = vec![lapse];
        (account == "demo").then_some(Protection {
            since_ms: Some(NOW_MS - HOUR_MS),
            lapses,
            groups_left: 3,
            synced_ms: None,
        })
    }

    fn gap_since(&self, _: &str, group: &str) -> Option<i64> {
        (group == "g-east").then_some(NOW_MS - HOUR_MS)
    }

    fn sync(&self, account: &str) -> Option<Syncs> {
        let progress = SyncProgress { listed: 9, read: 4, ..SyncProgress::default() };
        let error = Some(("40001".to_owned(), "密钥".to_owned(), "secret".to_owned()));
        let last = Some(LastSync { began_ms: NOW_MS - 2, ended_ms: NOW_MS - 1, progress, error });
        (account == "demo").then_some(Syncs { is_queued: false, running: None, last })
    }

    fn start_sync(&self, account: &str) -> Option<Syncs> {
        let progress = SyncProgress { listed: 9, read: 4, ..SyncProgress::default() };
        Some(Syncs { running: Some((NOW_MS, progress)), ..self.sync(account)? })
    }

    async fn numbers(
        &self,
        account: &str,
        from_ms: i64,
        until_ms: i64,
    ) -> Result<Option<Vec<(i64, PlatformNumbers)>>, String> {
        let numbers =
            PlatformNumbers { groups: 5, messages: 70, members_new: 2, ..PlatformNumbers::default() };
        let days = (from_ms <= YESTERDAY_MS && YESTERDAY_MS < until_ms).then_some((YESTERDAY_MS, numbers));
        Ok((account == "demo").then(|| days.into_iter().collect()))
    }

    async fn numbers_by_owner(
        &self,
        _: &str,
        _: i64,
        _: i64,
    ) -> Result<Option<Vec<(String, PlatformNumbers)>>, String> {
        let numbers = PlatformNumbers { groups: 1, ..PlatformNumbers::default() };
        Ok(Some(vec![("u1".to_owned(), numbers)]))
    }

    async fn unprotected(&self, _: &str, from_ms: i64, _: i64) -> Result<Vec<(i64, i64)>, String> {
        Ok(vec![(from_ms, from_ms + HOUR_MS / 2)])
    }

    async fn sight(&self, account: &str, _: i64, _: i64) -> Result<Sight, String> {
        let mut sight = Sight::default();
        if account == LEFT {
            sight.turn(LEFT_MS - 9 * DAY_MS, true);
            sight.turn(LEFT_MS, false);
        }
        Ok(sight)
    }
}

#[tokio::test]
async fn an_account_says_since_when_it_is_not_protected_and_why() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let got = gateway.get("/v1/accounts/demo").await.expect(200).json();
    let protection = &got["protection"];
    assert_eq!((&protection["protected"], &protection["groups_left"]), (&json!(false), &json!(3)));
    assert_eq!(protection["since"], "2026-11-22T01:00:00Z");
    assert_eq!(protection["causes"][0]["code"], "down");
}

#[tokio::test]
async fn a_sync_is_asked_for_by_administrators_and_seen_by_readers() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let got = gateway.call("POST", "/v1/accounts/demo/sync", json!(null)).await.expect(202).json();
    assert_eq!((&got["state"], &got["progress"]["read"]), (&json!("running"), &json!(4)));
    let got = gateway.get("/v1/accounts/demo/sync").await.expect(200).json();
    assert_eq!((&got["state"], &got["error"]["code"]), (&json!("failed"), &json!("40001")));
    gateway.get("/v1/accounts/nobody/sync").await.expect(404);
}

#[tokio::test]
async fn both_sides_numbers_stand_beside_each_other() {
    let gateway = Gateway::open().await;
    gateway.furnish().await;
    let path = "/v1/statistics/platform?account=demo";
    let got = gateway.get(path).await.expect(200).json();
    let rows = got["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["start"], "2026-11-20T16:00:00Z");
    let number = |name: &str| {
        let numbers = rows[0]["numbers"].as_array().unwrap();
        numbers.iter().find(|number| number["number"] == name).unwrap().clone()
    };
    assert_eq!((&number("groups")["platform"], &number("groups")["ours"]), (&json!(5), &json!(0)));
    assert_eq!(number("groups")["reasons"][0]["code"], "groups_not_seen");
    let codes: Vec<_> =
        number("members_new")["reasons"].as_array().unwrap().iter().map(|r| r["code"].clone()).collect();
    assert_eq!(codes, [json!("groups_not_seen"), json!("unprotected"), json!("first_reading")]);
    assert_eq!(number("members_with_messages")["ours"], json!(null));
    let got = gateway.get(&format!("{path}&by=owner")).await.expect(200).json();
    assert_eq!(got["rows"][0]["owner"], "u1");
    gateway.get(&format!("{path}&from=2026-01-01")).await.expect(400);
    gateway.get(&format!("{path}&from=2026-11-22&to=2026-11-22")).await.expect(400);
    gateway.get("/v1/statistics/platform?account=nobody").await.expect(404);
}

#[tokio::test]
async fn what_was_seen_then_stays_a_number_and_what_was_not_is_null_with_since_when() {
    let gateway = Gateway::open().await;
    let account = json!({"platform": "sandbox", "name": "off", "disabled": true});
    gateway.call("PUT", "/v1/accounts/left", account).await.expect(201);
    gateway.call("PUT", "/v1/groups/left/g-1", json!({"name": "老群"})).await.expect(201);
    let path = "/v1/groups/left/g-1/statistics?by=day&from=2026-11-19T16:00:00Z&until=2026-11-22T16:00:00Z";
    let got = gateway.get(path).await.expect(200).json();
    let told: Vec<_> =
        got["rows"].as_array().unwrap().iter().map(|row| (&row["messages"], &row["coverage"])).collect();
    let whole = json!({"coverage": "full", "groups": 1, "partly": 0, "of": 1});
    let since = "2026-11-20T22:00:00Z";
    let partly =
        json!({"coverage": "partial", "groups": 0, "partly": 1, "of": 1, "unavailable_since": since});
    let dark =
        json!({"coverage": "unavailable", "groups": 0, "partly": 0, "of": 1, "unavailable_since": since});
    assert_eq!(told, [(&json!(0), &whole), (&json!(0), &partly), (&json!(null), &dark)]);
    assert_eq!((&got["totals"]["messages"], &got["totals"]["coverage"]), (&json!(0), &partly));
}
