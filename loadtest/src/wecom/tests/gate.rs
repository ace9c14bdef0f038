//! What is checked before any API runs, and the faults a caller meets.

use super::*;

fn code(answer: &Value) -> i64 {
    answer["errcode"].as_i64().unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn gettoken_says_what_is_missing_or_wrong() {
    let sim = start(SimConfig::default()).await;
    let corpid = sim.with(|world| world.config.corpid.clone());
    for (path, expected) in [
        ("gettoken".to_owned(), 41_002),
        (format!("gettoken?corpid={corpid}"), 41_004),
        ("gettoken?corpid=wwother&corpsecret=x".to_owned(), 40_013),
        (format!("gettoken?corpid={corpid}&corpsecret=x"), 40_001),
    ] {
        let answer = bare(&sim, &path).await;
        assert_eq!(code(&answer), expected, "{answer}");
        let errmsg = answer["errmsg"].as_str().expect("a text");
        assert!(errmsg.contains(", hint: [") && errmsg.contains(", from ip: 127.0.0.1, "), "{errmsg}");
        assert!(errmsg.ends_with(&format!("/devtool/query?e={expected}")), "{errmsg}");
    }
    let first = token_of(&sim, 0).await;
    assert_eq!(first, token_of(&sim, 0).await);
    assert_eq!(sim.with(|world| world.ledger.count("gettoken", "40001")), 1);
}
