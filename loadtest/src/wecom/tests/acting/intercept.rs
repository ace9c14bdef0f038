//! Intercept rules over the wire, with the shapes that differ from call to call.

use super::*;
use crate::wecom::machines::Verdict;

const ADD: &str = "externalcontact/add_intercept_rule";
const GET: &str = "externalcontact/get_intercept_rule";
const UPDATE: &str = "externalcontact/update_intercept_rule";
const DELETE: &str = "externalcontact/del_intercept_rule";

fn rule(more: Value) -> Value {
    let base = json!({"rule_name": "广告", "word_list": ["返现"], "semantics_list": [1],
        "intercept_type": 1, "applicable_range": {"user_list": [userid(0)], "department_list": []}});
    with(base, more)
}

#[tokio::test]
async fn a_rule_is_made_listed_read_changed_and_deleted() {
    let sim = two_apps(ActingConfig::default()).await;
    let made = post(&sim, ADD, rule(json!({}))).await;
    assert_eq!(made["rule_id"], json!("1"));
    let list = get(&sim, "externalcontact/get_intercept_rule_list", "").await;
    assert_eq!(list["rule_list"], json!([{"rule_id": "1", "rule_name": "广告", "create_time": START_S}]));
    let shown = post(&sim, GET, json!({"rule_id": 1})).await["rule"].clone();
    let expected = json!({"rule_id": "1", "rule_name": "广告", "word_list": ["返现"],
        "extra_rule": {"semantics_list": [1]}, "intercept_type": 1,
        "applicable_range": {"user_list": [userid(0)], "department_list": []}});
    assert_eq!(shown, expected);
    // At the top of an update `semantics_list` means nothing.
    let change = json!({"rule_id": "1", "semantics_list": [3], "extra_rule": {"semantics_list": [2]}, "intercept_type": 2,
        "add_applicable_range": {"department_list": [2]}, "remove_applicable_range": {"user_list": [userid(0)]}});
    assert_eq!(code(&post(&sim, UPDATE, change).await), 0);
    let shown = post(&sim, GET, json!({"rule_id": "1"})).await["rule"].clone();
    assert_eq!((&shown["word_list"], &shown["intercept_type"]), (&json!(["返现"]), &json!(2)));
    assert_eq!(shown["extra_rule"]["semantics_list"], json!([2]));
    assert_eq!(shown["applicable_range"], json!({"user_list": [], "department_list": [2]}));
    assert_eq!(code(&post(&sim, DELETE, json!({"rule_id": "1"})).await), 0);
    assert_eq!(code(&post(&sim, DELETE, json!({"rule_id": "1"})).await), 41_071);
    assert_eq!(code(&post(&sim, GET, json!({"rule_id": "7"})).await), 41_070);
    assert_eq!(code(&post(&sim, UPDATE, json!({"rule_id": "x"})).await), 41_070);
}

#[tokio::test]
async fn what_is_wrong_with_a_rule_is_told() {
    let sim = two_apps(ActingConfig::default()).await;
    post(&sim, ADD, rule(json!({"rule_name": "taken"}))).await;
    let range = |range: Value| json!({"applicable_range": range});
    for (more, expected) in [
        (json!({"rule_name": "taken"}), 41_077),
        (json!({"rule_name": ""}), 41_077),
        (json!({"word_list": []}), 41_068),
        (json!({"word_list": ["字".repeat(33)]}), 41_083),
        (json!({"semantics_list": [4]}), 41_084),
        (json!({"semantics_list": [257]}), 41_084),
        (json!({"intercept_type": 3}), 40_058),
        (range(json!({})), 41_076),
        (range(json!({"user_list": ["nobody"]})), 41_076),
        (range(json!({"department_list": [99]})), 41_076),
    ] {
        assert_eq!(code(&post(&sim, ADD, rule(more.clone())).await), expected, "{more}");
    }
    control(&sim, "app", Some(json!({"app": "gateway", "visible_departments": [99]}))).await;
    assert_eq!(code(&post(&sim, ADD, rule(json!({}))).await), 41_076, "outside what the app sees");
}

#[tokio::test]
async fn disputed_points_can_be_switched() {
    let acting =
        ActingConfig { rule_ids_are_numbers: true, refuses_absent_words: true, ..ActingConfig::default() };
    let sim = two_apps(acting).await;
    assert_eq!(post(&sim, ADD, rule(json!({}))).await["rule_id"], json!(1));
    assert_eq!(code(&post(&sim, UPDATE, json!({"rule_id": 1, "rule_name": "n"})).await), 41_068);
    let whole = json!({"rule_id": 1, "rule_name": "n", "word_list": ["w"]});
    assert_eq!(code(&post(&sim, UPDATE, whole).await), 0);
}

#[tokio::test]
async fn members_in_range_are_stopped_and_drift_is_possible() {
    let sim = two_apps(ActingConfig::default()).await;
    post(&sim, ADD, rule(json!({}))).await;
    let say = |owner: usize, text: &str| sim.with(|world| world.member_says(&userid(owner), text, false));
    assert_eq!(say(0, "扫码返现"), Some(Verdict::Blocked));
    assert_eq!(say(1, "扫码返现"), Some(Verdict::Passed), "not in the range");
    let verdict = control(&sim, "say", Some(json!({"userid": userid(0), "text": "打13800138000"}))).await;
    assert_eq!(verdict, json!({"verdict": "blocked"}));
    assert_eq!(sim.with(|world| world.member_says("nobody", "x", false)), None);
    assert!(sim.with(|world| world.states.intercept.tamper(1, |rule| rule.words.clear())));
    assert_eq!(say(0, "扫码返现"), Some(Verdict::Passed));
    assert_eq!(sim.report().acting.said, [2, 0, 2]);
}
