//! Whom lists and terms reach, and when; what has no effect yet.

use super::*;
use crate::event::Level;

/// 2026-11-11 in China.
const NOW_MS: i64 = 1_794_326_400_000;

fn here(tags: &[String]) -> Audience<'_> {
    let place = Audience { account: "demo", group: "g-7", brand: Some("tea"), ..Audience::default() };
    Audience { region: Some("east"), tags, now_ms: NOW_MS, ..place }
}

fn by(rules: &Ruleset, text: &str, audience: &Audience<'_>) -> Judgement {
    rules.judge(text, rules.policy("standard").unwrap(), audience, &mut Scratch::default())
}

/// How many hits count and how many are only counted apart.
fn hits(rules: &Ruleset, audience: &Audience<'_>) -> (usize, usize) {
    let judgement = by(rules, "加微信", audience);
    assert_eq!(judgement.verdict != Verdict::Pass, !judgement.hits.is_empty());
    (judgement.hits.len(), judgement.shadow.len())
}

#[test]
fn a_list_reaches_whom_its_header_says() {
    let in_force = (1, 0);
    let apart = (0, 1);
    let nothing = (0, 0);
    let tags = ["vip".to_owned()];
    let here = here(&tags);
    let staff = Audience { speaker: Speaker::Staff, ..here };
    let own = Audience { speaker: Speaker::Own, ..here };
    let nowhere = Audience { now_ms: NOW_MS, ..Audience::default() };
    for (header, audience, expect) in [
        ("", here, in_force),
        ("", nowhere, in_force),
        ("# scope: brand=tea", here, in_force),
        ("# scope: brand=rice", here, nothing),
        ("# scope: brand=rice tag=vip", here, in_force),
        ("# scope: region=east", nowhere, nothing),
        ("# scope: group=demo/g-7", here, in_force),
        ("# scope: group=demo/g-8", here, nothing),
        ("# roles: customer", here, in_force),
        ("# roles: staff,own", here, nothing),
        ("# roles: staff", staff, in_force),
        ("# roles: own", own, in_force),
        ("# roles: customer", own, nothing),
        ("# valid: 2026-11-11..", here, in_force),
        ("# valid: 2026-11-12..", here, nothing),
        ("# valid: ..2026-11-11", here, nothing),
        ("# valid: 2026-11-01..2026-12-01", here, in_force),
        ("# life: draft", here, nothing),
        ("# life: shadow", here, apart),
        ("# life: live", here, in_force),
        ("# life: staged share=100 hits=0..9", nowhere, in_force),
        ("# life: staged share=99 hits=0..9", nowhere, apart),
        ("# life: staged regions=east hits=0..9", here, in_force),
        ("# life: staged regions=west hits=0..9", here, apart),
        ("# life: shadow\n# scope: brand=rice", here, nothing),
        ("# life: shadow\n# valid: ..2026-11-11", here, nothing),
    ] {
        let rules = ruleset(&format!("{header}\n加微信"));
        assert_eq!(hits(&rules, &audience), expect, "{header}");
    }
}

#[test]
fn a_term_may_reach_fewer_than_its_list_and_weigh_otherwise() {
    let rules = ruleset(
        "# scope: brand=tea\n# category: a high\n甲甲\n乙乙\t\troles=staff\n丙丙\t\tbrand=rice\n丁丁\t\tuntil=2026-11-11\n\
         戊戊\t\tlevel=medium\n己己\t\tverdict=mask\n庚庚\t\tregion=east level=low",
    );
    let here = here(&[]);
    let verdict = |text| by(&rules, text, &here).verdict;
    for (text, expect) in [
        ("甲甲", Verdict::Block),
        ("乙乙", Verdict::Pass),
        ("丙丙", Verdict::Pass),
        ("丁丁", Verdict::Pass),
        ("戊戊", Verdict::Review),
        ("己己", Verdict::Mask),
        ("庚庚", Verdict::Pass),
    ] {
        assert_eq!(verdict(text), expect, "{text}");
    }
    assert_eq!(by(&rules, "庚庚", &here).hits[0].hit.level, Level::Low);
    assert_eq!(by(&rules, "乙乙", &Audience { speaker: Speaker::Staff, ..here }).verdict, Verdict::Block);
    assert_eq!(by(&rules, "丁丁", &Audience { now_ms: NOW_MS - 1, ..here }).verdict, Verdict::Block);
    assert_eq!(by(&rules, "甲甲乙乙", &Audience::default()), Judgement::default());
}

#[test]
fn what_is_in_shadow_changes_nothing() {
    let live = WordlistSource::parse("live", Origin::Api, "# category: a medium\n加微信\n领券").unwrap();
    let shadow = |name: &str, text: &str| {
        WordlistSource::parse(name, Origin::Api, &format!("# life: shadow\n{text}")).unwrap()
    };
    let lists = [live.clone(), shadow("new", "加微信\n苹果"), shadow("kind", "!苹果派\n!领券处\n派")];
    let compile = |lists: &[WordlistSource]| {
        Ruleset::compile("r", lists, vec![Policy::relaxed()], &Config::default()).unwrap().0
    };
    let (with, without) = (compile(&lists), compile(&[live]));
    for text in ["加微信", "苹果", "苹果派", "领券处加微信", "领券"] {
        for policy in ["relaxed", "standard", "strict"] {
            let judge = |rules: &Ruleset| {
                rules.judge(
                    text,
                    rules.policy(policy).unwrap(),
                    &Audience::default(),
                    &mut Scratch::default(),
                )
            };
            let (with, without) = (judge(&with), judge(&without));
            assert_eq!(Judgement { shadow: Vec::new(), ..with }, without, "{policy}: {text}");
        }
    }
    let apart = |text| -> Vec<_> {
        by(&with, text, &Audience::default()).shadow.into_iter().map(|judged| judged.hit.term).collect()
    };
    assert_eq!(apart("加微信和苹果"), ["加微信", "苹果"]);
    assert_eq!(apart("苹果派"), [""; 0], "a phrase in shadow cancels what is in shadow");
    let explained = with.explain("苹果", with.policy("standard").unwrap(), &Audience::default());
    assert_eq!((explained.verdict, explained.hits[0].shadow), (Verdict::Pass, true));
}

#[test]
fn one_ruleset_serves_all_tenants_in_one_pass() {
    let lists = [("tea", "brand=tea"), ("rice", "brand=rice"), ("all", "tag=vip brand=tea brand=rice")];
    let lists = lists.map(|(name, scope)| {
        WordlistSource::parse(name, Origin::Api, &format!("# scope: {scope}\n加微信")).unwrap()
    });
    let (rules, problems) = Ruleset::compile("r", &lists, Vec::new(), &Config::default()).unwrap();
    assert_eq!(problems, []);
    let lists = |brand| -> Vec<_> {
        let judgement = by(&rules, "加微信", &Audience { brand, ..Audience::default() });
        judgement.hits.into_iter().map(|judged| judged.hit.wordlist).collect()
    };
    assert_eq!(lists(Some("tea")), ["tea", "all"]);
    assert_eq!(lists(Some("rice")), ["rice", "all"]);
    assert_eq!(lists(Some("soup")), [""; 0]);
    assert_eq!(lists(None), [""; 0]);
}

#[test]
fn staff_may_show_the_ways_into_the_shop_unless_a_policy_says_otherwise() {
    let policy = |text: &str| serde_json::from_str::<Policy>(text).unwrap();
    let policies = vec![
        policy(r#"{"name":"named","categories":{"wechat_id":{"verdict":"block"}}}"#),
        policy(r#"{"name":"apart","staff":{"policy":"named"}}"#),
        policy(r#"{"name":"other","categories":{"mobile":{"verdict":"mask"}}}"#),
    ];
    let (rules, _) = Ruleset::compile("r", &[], policies, &Config::default()).unwrap();
    // Our own sends may show WeCom's and Weixin's own pages as well, and are else judged as anybody's.
    let official = [
        "https://work.weixin.qq.com/kfid/kfc123",
        "https://work.weixin.qq.com/ca/abc",
        "http://weixin.qq.com/r/abc",
        "https://mp.weixin.qq.com/s/abc",
        "https://wework.qpic.cn/abc",
    ];
    for (text, policy) in official.iter().flat_map(|text| [(text, "standard"), (text, "strict")]) {
        let audience = Audience { speaker: Speaker::Own, ..Audience::default() };
        let judged = rules.judge(text, rules.policy(policy).unwrap(), &audience, &mut Scratch::default());
        assert_eq!((judged.verdict, judged.hits.len()), (Verdict::Pass, 1), "counted: {text} {policy}");
    }
    for (text, policy, customer, staff) in [
        ("微信号：shop888", "standard", Verdict::Review, Verdict::Pass),
        ("QQ：12345678", "standard", Verdict::Review, Verdict::Pass),
        ("付款 https://payapp.weixin.qq.com/abc", "standard", Verdict::Review, Verdict::Pass),
        ("https://weixin.qq.com.t.me/abc", "standard", Verdict::Pass, Verdict::Pass),
        ("https://notweixin.qq.com/abc", "standard", Verdict::Pass, Verdict::Pass),
        ("进群 https://t.me/abc123", "standard", Verdict::Review, Verdict::Pass),
        ("扫 https://u.wechat.com/MAbcd1234", "standard", Verdict::Review, Verdict::Pass),
        ("微信号：shop888", "strict", Verdict::Block, Verdict::Pass),
        ("微信号：shop888", "named", Verdict::Block, Verdict::Block),
        ("微信号：shop888", "apart", Verdict::Review, Verdict::Block),
        ("微信号：shop888", "other", Verdict::Review, Verdict::Pass),
        ("QQ：12345678", "named", Verdict::Review, Verdict::Pass),
        ("身份证 11010519491231002X", "standard", Verdict::Mask, Verdict::Mask),
    ] {
        let judged = |speaker| {
            let audience = Audience { speaker, ..Audience::default() };
            rules.judge(text, rules.policy_for(policy, speaker).unwrap(), &audience, &mut Scratch::default())
        };
        let (by_customer, by_staff) = (judged(Speaker::Customer), judged(Speaker::Staff));
        assert_eq!((by_customer.verdict, by_staff.verdict), (customer, staff), "{text} {policy}");
        assert_eq!((by_customer.hits.len(), by_staff.hits.len()), (1, 1), "counted: {text} {policy}");
        assert_eq!(judged(Speaker::Own).verdict, customer, "{text} {policy}");
    }
}
