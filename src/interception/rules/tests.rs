//! Rules in a ruleset: documents, terms together, over several messages, patterns.

use super::*;
use crate::interception::{
    Audience, CompileError, Config, Earlier, Judgement, Policy, ProblemKind, Ruleset, Scratch, Sources,
    WordlistSource,
};

fn compile(rules: &str) -> Ruleset {
    let list = WordlistSource::parse("list", Origin::File, "!企业微信\n加微信\n苹果").unwrap();
    let rules = RuleSource::from_toml("mine", Origin::File, rules).unwrap();
    let sources = Sources { wordlists: &[list], rules: &[rules], policies: Vec::new() };
    Ruleset::compile_with("r", sources, &Config::default()).unwrap().0
}

/// Terms of the hits of the rules.
fn ids(judgement: &Judgement) -> Vec<&str> {
    judgement.hits.iter().filter(|h| h.hit.wordlist == "mine").map(|h| h.hit.term.as_str()).collect()
}

fn judge(ruleset: &Ruleset, text: &str) -> Judgement {
    ruleset.judge(text, ruleset.policy("standard").unwrap(), &Audience::default(), &mut Scratch::default())
}

#[test]
fn terms_together_near_and_without_others() {
    let ruleset = compile(
        r#"
        [[rule]]
        id = "rebate"
        category = "lure"
        level = "medium"
        all = ["返现"]
        any = ["链接", "扫码"]
        none = ["门店"]
        near = { chars = 4 }
        [[rule]]
        id = "pair"
        all = ["刷单", "日结"]
        [[rule]]
        id = "either"
        any = ["口令红包", "裂变"]
        "#,
    );
    for (text, expect) in [
        ("返现请扫码", vec!["rebate"]),
        ("扫碼，返現", vec!["rebate"]),
        ("返现 请点 链接", vec!["rebate"]),
        ("返·现 请点 链接", vec![]),
        ("返现，大家都可以来扫码", vec![]),
        ("返现请扫码，门店核销", vec![]),
        ("返现", vec![]),
        ("日结，刷单都可以的哦", vec!["pair"]),
        ("日结", vec![]),
        ("刷。单 日结", vec![]),
        ("裂变", vec!["either"]),
        ("裂变口令红包 刷单日结", vec!["either", "pair"]),
        ("苹果", vec![]),
    ] {
        let judgement = judge(&ruleset, text);
        assert_eq!(ids(&judgement), expect, "{text}");
    }
    let judgement = judge(&ruleset, "亲返现请扫码哦");
    let hit = &judgement.hits[0];
    assert_eq!((hit.hit.matched.as_str(), hit.hit.span), ("返现请扫码", [3, 18]));
    assert_eq!((hit.hit.category.as_str(), hit.hit.level), ("lure", Level::Medium));
    assert_eq!(judgement.verdict, Verdict::Review);
    assert_eq!(ruleset.term(hit.term_id), Some(("mine", "rebate".into())));
}

#[test]
fn a_rule_may_name_its_verdict_and_a_policy_goes_first() {
    let rules = "[[rule]]\nid = \"a\"\ncategory = \"lure\"\nverdict = \"mask\"\nall = [\"返现\"]";
    let rules = RuleSource::from_toml("mine", Origin::Api, rules).unwrap();
    let policy = |text: &str| serde_json::from_str::<Policy>(text).unwrap();
    let policies = vec![
        policy(r#"{"name":"own","categories":{"lure":{"verdict":"pass"}}}"#),
        policy(r#"{"name":"other","wordlists":["list"]}"#),
    ];
    let sources = Sources { wordlists: &[], rules: &[rules], policies };
    let (ruleset, problems) = Ruleset::compile_with("r", sources, &Config::default()).unwrap();
    assert_eq!(problems, []);
    let judged = |name| {
        let judgement = ruleset.judge(
            "来返现啦",
            ruleset.policy(name).unwrap(),
            &Audience::default(),
            &mut Scratch::default(),
        );
        (judgement.verdict, judgement.hits.len(), judgement.masked)
    };
    assert_eq!(judged("standard"), (Verdict::Mask, 1, Some("来＊＊啦".to_owned())));
    assert_eq!(judged("own"), (Verdict::Pass, 1, None));
    assert_eq!(judged("other"), (Verdict::Pass, 0, None));
}

#[test]
fn patterns_run_on_folded_text_and_tell_the_original() {
    let ruleset = compile(
        "[[rule]]\nid = \"code\"\npattern = \"口令[a-z0-9]{6,}\"\n[[rule]]\nid = \"digits\"\npattern = \"[0-9]{8,}\"",
    );
    for (text, expect) in [
        ("復制口 令：ＡＢＣ-123 打开", vec![("code", "口 令：ＡＢＣ-123")]),
        ("口令abc", vec![]),
        ("靓号８８８８８８８８", vec![("digits", "８８８８８８８８")]),
        ("8888 8888，口令abcdef", vec![("digits", "8888 8888"), ("code", "口令abcdef")]),
    ] {
        let judgement = judge(&ruleset, text);
        let found: Vec<_> = judgement
            .hits
            .iter()
            .filter(|h| h.hit.wordlist == "mine")
            .map(|h| (h.hit.term.as_str(), h.hit.matched.as_str()))
            .collect();
        assert_eq!(found, expect, "{text}");
    }
    let always: Vec<_> = ruleset.patterns().map(|pattern| (pattern.id, pattern.always_runs)).collect();
    assert_eq!(always, [("code", false), ("digits", true)]);
    assert_eq!(ruleset.patterns().next().unwrap().matches("口令abcdef口令123456"), 2);
}

#[test]
fn a_pattern_that_always_runs_is_reported() {
    let rules = "[[rule]]\nid = \"digits\"\npattern = \"[0-9]{8,}\"\n[[rule]]\nid = \"v\"\nall = [\"加\"]";
    let rules = RuleSource::from_toml("mine", Origin::File, rules).unwrap();
    let sources = Sources { rules: &[rules], ..Sources::default() };
    let (_, problems) = Ruleset::compile_with("r", sources, &Config::default()).unwrap();
    let told: Vec<_> = problems.iter().map(|p| (p.text.as_str(), p.kind.clone())).collect();
    assert_eq!(told, [("digits", ProblemKind::AlwaysRuns)]);
}

/// Says messages of one member a second apart, and returns the hits of each.
fn say(ruleset: &Ruleset, policy: &str, messages: &[&str]) -> Vec<Vec<String>> {
    let policy = ruleset.policy(policy).unwrap();
    let speaker = SpeakerKey::new(&[1; 16], "demo", "g", "m");
    let config = Config::default();
    let (mut recent, mut scratch) = (Recent::default(), Scratch::default());
    let mut all = Vec::new();
    for (now_ms, text) in (0..).step_by(1_000).zip(messages) {
        let earlier = Earlier { recent: &recent, speaker, now_ms };
        let judgement = ruleset.judge_after(text, policy, &Audience::default(), Some(earlier), &mut scratch);
        all.push(judgement.hits.into_iter().map(|h| h.hit.term).collect());
        recent.note(speaker, ruleset.said(text, &scratch), now_ms, &config);
    }
    all
}

#[test]
fn terms_of_a_rule_may_be_spread_over_messages() {
    let ruleset = compile(
        "[[rule]]\nid = \"add\"\nall = [\"返现\", \"扫码\"]\nnone = [\"门店\"]\nacross = { messages = 3, seconds = 60 }",
    );
    for (messages, expect) in [
        (vec!["今天返现", "好", "扫码就行"], vec![0, 0, 1]),
        (vec!["扫码", "返现"], vec![0, 1]),
        (vec!["返现", "一", "二", "扫码"], vec![0, 0, 0, 0]),
        (vec!["返现", "门店", "扫码"], vec![0, 0, 0]),
        (vec!["返", "现", "扫码"], vec![0, 0, 1]),
        (vec!["返现扫码"], vec![1]),
        (vec!["返现扫码", "好的"], vec![1, 0]),
    ] {
        let found: Vec<usize> = say(&ruleset, "standard", &messages).iter().map(Vec::len).collect();
        assert_eq!(found, expect, "{messages:?}");
    }
}

#[test]
fn a_term_split_over_messages_is_found_where_the_policy_is_strict() {
    let ruleset = compile("");
    for (messages, strict) in [
        (vec!["加", "微", "信"], true),
        (vec!["请加", "微", "信 888"], true),
        (vec!["加微", "信"], true),
        (vec!["加", "威", "微", "信"], false),
        (vec!["我加", "微信支付可以吗"], false),
        (vec!["你好呀我想加", "微信"], false),
        (vec!["加", "这条消息很长很长很长很长很长很长很长很长很长很长很长很长很长很长很长", "微信"], false),
        (vec!["加", "企业微信"], false),
    ] {
        let last = |policy| say(&ruleset, policy, &messages).pop().unwrap();
        assert_eq!(last("strict") == ["加微信"], strict, "{messages:?}");
        assert!(last("standard").is_empty(), "{messages:?}");
    }
}

#[test]
fn what_a_rule_asks_for_is_forgotten_in_time() {
    let rules = "[[rule]]\nid = \"a\"\nall = [\"返现\", \"扫码\"]\nacross = { messages = 3, seconds = 5 }";
    let ruleset = compile(rules);
    let policy = ruleset.policy("standard").unwrap();
    let speaker = SpeakerKey::new(&[1; 16], "demo", "g", "m");
    let other = SpeakerKey::new(&[1; 16], "demo", "g", "n");
    let (mut recent, mut scratch) = (Recent::default(), Scratch::default());
    ruleset.judge("返现", policy, &Audience::default(), &mut scratch);
    recent.note(speaker, ruleset.said("返现", &scratch), 0, &Config::default());
    for (speaker, now_ms, expect) in [(speaker, 5_000, 1), (speaker, 5_001, 0), (other, 1_000, 0)] {
        let earlier = Some(Earlier { recent: &recent, speaker, now_ms });
        let judgement = ruleset.judge_after("扫码", policy, &Audience::default(), earlier, &mut scratch);
        assert_eq!(judgement.hits.len(), expect, "{now_ms}");
    }
}

#[test]
fn documents_name_the_field_they_are_wrong_in() {
    for (text, part) in [
        ("[[rule]]\nid = \"a\"\nal = []", "rules `mine`: `rule[0]"),
        ("[[rule]]\nid = 3", "`rule[0].id`: TOML parse error at line 2"),
        ("[[rule]]\nid = \"a\"\nnear = { words = 3 }", "unknown field `words`"),
        ("[[rule]", "rules `mine`: "),
    ] {
        let error = RuleSource::from_toml("mine", Origin::File, text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    let json = r#"{"rules": [{"id": "a", "all": ["返现"], "level": "low"}]}"#;
    let read = RuleSource::from_json("mine", Origin::Api, json).unwrap();
    assert_eq!((read.rules[0].level, read.rules[0].all.len()), (Level::Low, 1));
    let error = RuleSource::from_json("mine", Origin::Api, r#"{"rules": [{"id": "a", "all": "返现"}]}"#);
    assert!(error.unwrap_err().to_string().contains("`rules[0].all`"));
    assert!(RuleSource::from_json("mine", Origin::Api, "{} {}").is_err());
    let back = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<RuleSource>(&back).unwrap(), read);
}

#[test]
fn rules_that_cannot_match_are_refused_with_the_field() {
    for (text, part) in [
        ("id = \"a b\"\nall = [\"返现\"]", "`id`: 1 to 64 bytes"),
        ("id = \"a\"\ncategory = \"\"\nall = [\"返现\"]", "`category`"),
        ("id = \"a\"", "`all`: name terms"),
        ("id = \"a\"\nnone = [\"返现\"]", "`all`: name terms"),
        ("id = \"a\"\nall = [\"返现\"]\npattern = \"a\"", "`pattern`: a pattern stands alone"),
        ("id = \"a\"\nall = [\"★\"]", "`all`: `★` holds only signs"),
        ("id = \"a\"\nany = [\"v\"]", "`any`: `v` is a single letter"),
        (
            "id = \"a\"\nall = [\"返现\"]\nacross = { messages = 1, seconds = 9 }",
            "`across`: `messages` is 2 to 8",
        ),
        (
            "id = \"a\"\nall = [\"返现\"]\nacross = { messages = 2, seconds = 999 }",
            "`seconds` is 120 at most",
        ),
        (
            "id = \"a\"\nall = [\"返现\"]\nacross = { messages = 2, seconds = 9 }\nnear = { chars = 3 }",
            "`near`: terms of several messages",
        ),
        ("id = \"a\"\npattern = \"VX\"", "`pattern`: `V` never comes"),
    ] {
        let source = RuleSource::from_toml("mine", Origin::File, &format!("[[rule]]\n{text}")).unwrap();
        let sources = Sources { rules: &[source], ..Sources::default() };
        let error = Ruleset::compile_with("r", sources, &Config::default()).unwrap_err();
        assert!(matches!(error, CompileError::Rule(_)), "{error}");
        assert!(error.to_string().contains(part), "{text}: {error}");
    }
    let twice = "[[rule]]\nid = \"a\"\nall = [\"返现\"]\n[[rule]]\nid = \"a\"\nall = [\"扫码\"]";
    let source = RuleSource::from_toml("mine", Origin::File, twice).unwrap();
    let small = Config { rules_max: 1, ..Config::default() };
    for (config, part) in [(Config::default(), "once in a set"), (small, "interception.rules_max")] {
        let sources = Sources { rules: std::slice::from_ref(&source), ..Sources::default() };
        let error = Ruleset::compile_with("r", sources, &config).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}
