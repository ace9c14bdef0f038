//! The limits are real: whoever builds on the sandbox meets them here and not in a shop.

use std::sync::Arc;

use super::*;
use crate::connectors::offers::{GroupLife as _, OwnGroups, StaffInterception, WelcomeTemplates};
use crate::connectors::sandbox::{Sandbox, SandboxLog};

fn sandbox(orphans: usize) -> Sandbox {
    let orphans = (0..orphans).map(|n| (format!("g-{n}"), "li".to_owned())).collect();
    let clock = Clock::manual(0);
    Sandbox {
        desk: Desk::new(clock.clone(), Pretended { orphans }),
        clock,
        log: Arc::new(SandboxLog::new(1)),
    }
}

fn code<T>(result: Result<T, PlatformError>) -> String {
    result.map_or_else(|error| error.code, |_| "ok".to_owned())
}

#[tokio::test]
async fn the_hundred_and_first_template_is_refused() {
    let sandbox = sandbox(0);
    let template = WelcomeTemplate { text: "欢迎 %NICKNAME%".into(), link: None, notify: false };
    let mut last = String::new();
    for _ in 0..100 {
        last = WelcomeTemplates::add(&sandbox, &template).await.unwrap();
    }
    assert_eq!(code(WelcomeTemplates::add(&sandbox, &template).await), "41055");
    WelcomeTemplates::remove(&sandbox, &last).await.unwrap();
    assert_eq!(code(WelcomeTemplates::add(&sandbox, &template).await), "ok");
    assert_eq!(code(WelcomeTemplates::get(&sandbox, &last).await), "not_found");
    assert!(
        WelcomeTemplates::check(&sandbox, &WelcomeTemplate { text: "长".repeat(1_001), ..template }).is_err()
    );
}

#[tokio::test]
async fn rules_keep_the_limits_and_their_names_are_unique() {
    let sandbox = sandbox(0);
    let rule = |name: &str, words: usize| InterceptRule {
        name: name.into(),
        words: (0..words).map(|n| format!("词{n}")).collect(),
        warn_only: false,
        staff: Vec::new(),
        departments: vec![1],
    };
    let id = StaffInterception::add(&sandbox, &rule("a", 300)).await.unwrap();
    for (bad, expect) in [
        (rule("a", 1), "41077"),
        (rule(&"长".repeat(21), 1), "41077"),
        (rule("b", 301), "41068"),
        (InterceptRule { words: vec!["长".repeat(33)], ..rule("b", 1) }, "41068"),
        (InterceptRule { departments: Vec::new(), ..rule("b", 1) }, "41076"),
    ] {
        assert_eq!(code(StaffInterception::add(&sandbox, &bad).await), expect, "{bad:?}");
    }
    StaffInterception::update(&sandbox, &id, &rule("a", 300), &rule("a", 2)).await.unwrap();
    assert_eq!(StaffInterception::list(&sandbox).await.unwrap()[0].1.words.len(), 2);
}

#[tokio::test]
async fn three_hundred_groups_a_day_change_hands() {
    let sandbox = sandbox(301);
    let groups: Vec<String> = sandbox.orphans().await.unwrap().into_iter().map(|(group, _)| group).collect();
    let mut failed = Vec::new();
    for chunk in groups.chunks(100) {
        failed.extend(sandbox.transfer(chunk, "wang", true).await.unwrap());
    }
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].1.code.as_str(), failed[0].1.retry), ("90507", Retry::Backoff));
    assert_eq!(sandbox.orphans().await.unwrap().len(), 1);
    sandbox.clock.advance(std::time::Duration::from_hours(24));
    assert!(sandbox.transfer(&[failed[0].0.clone()], "wang", true).await.unwrap().is_empty());
    assert_eq!(sandbox.transfer(&["g-0".into()], "wang", true).await.unwrap()[0].1.code, "90500");
    assert_eq!(code(sandbox.transfer(&groups, "wang", true).await), "81017");
}

#[tokio::test]
async fn an_own_group_has_two_members_and_its_owner_among_them() {
    let sandbox = sandbox(0);
    let staff = ["li".to_owned(), "wang".to_owned()];
    assert_eq!(code(sandbox.create("店长群", None, &staff[..1], Some("a")).await), "86006");
    assert_eq!(code(sandbox.create("店长群", Some("zhao"), &staff, Some("a")).await), "86207");
    sandbox.create("店长群", None, &staff, Some("a")).await.unwrap();
    assert_eq!(code(sandbox.create("店长群", None, &staff, Some("a")).await), "86215");
    OwnGroups::update(&sandbox, "a", Some("新名"), Some("wang"), &["zhao".to_owned()], &["li".to_owned()])
        .await
        .unwrap();
    let group = OwnGroups::get(&sandbox, "a").await.unwrap();
    assert_eq!(group, ("新名".to_owned(), "wang".to_owned(), vec!["wang".to_owned(), "zhao".to_owned()]));
}
