//! One rule a test.

use super::*;
use crate::event::{Level, Role, Via};

#[test]
fn a_hit_tells_where_what_and_how() {
    let rules = ruleset("# category: contact high\n加微信\nVX号");
    for (text, matched, span, via) in [
        ("请加微信吧", "加微信", [3, 12], vec![]),
        ("请加·微·信吧", "加·微·信", [3, 16], vec![Via::Gap]),
        ("加\u{200B}微信", "加\u{200B}微信", [0, 12], vec![Via::Gap]),
        ("ｖｘ号", "ｖｘ号", [0, 9], vec![Via::Case, Via::Width]),
        ("ⓋⓍ號", "ⓋⓍ號", [0, 9], vec![Via::Style, Via::Traditional]),
        ("加微信\u{301}", "加微信\u{301}", [0, 11], vec![]),
    ] {
        let judgement = judge(&rules, "standard", text);
        assert_eq!(judgement.hits.len(), 1, "{text}");
        let hit = &judgement.hits[0].hit;
        assert_eq!((hit.matched.as_str(), hit.span, &hit.via), (matched, span, &via), "{text}");
        assert_eq!(
            (hit.wordlist.as_str(), hit.category.as_str(), hit.level),
            ("list", "contact", Level::High)
        );
        assert_eq!(judgement.verdict, Verdict::Block);
        assert_eq!(rules.term(judgement.hits[0].term_id), Some(("list", hit.term.as_str().into())));
    }
}

#[test]
fn separators_are_looked_through_within_limits() {
    let rules = ruleset("加微信\n口交\n一二三四五六七八");
    for (text, standard, strict) in [
        ("加----微信", true, true),
        ("加-----微信", false, false),
        ("加\u{200B}\u{200B}\u{200B}\u{200B}\u{200B}微信", true, true),
        ("加----微----信", false, true),
        ("加。微信", false, true),
        ("加\n微信", false, true),
        ("再加。微信", false, false),
        ("我的加微。信吧", false, true),
        ("我再稍加微。信不信由你", false, false),
        ("加\n微信上", false, false),
        ("豆腐加\n微信付了", false, false),
        ("加。微 信", false, true),
        ("加。微。信。", false, true),
        ("要加！微！信！吗", false, true),
        ("加\n微\n信", false, true),
        ("路口\n交警来了", false, false),
        ("口！交警", false, false),
        ("要口！交吗", false, true),
        ("到门口！交完钱", false, false),
        ("路口？交", false, false),
        ("，口。交，", false, true),
        ("一。二三四五六七八九", false, false),
        ("一。二。三。四。五。六。七。八", false, true),
        ("加，微，信", true, true),
        ("口 交", false, true),
        ("口\u{200D}交", true, true),
        ("口交", true, true),
        ("一,,二,,三,,四,,五,,六,,七,,八", true, true),
    ] {
        assert_eq!(!terms(&rules, "standard", text).is_empty(), standard, "standard: {text:?}");
        assert_eq!(!terms(&rules, "strict", text).is_empty(), strict, "strict: {text:?}");
    }
}

#[test]
fn latin_and_digits_end_where_words_end() {
    let rules = ruleset("ass\n69\n弹药\n加v\nvx");
    for (text, expect) in [
        ("grass assistant", vec![]),
        ("an ass here", vec!["ass"]),
        ("你ass吗", vec!["ass"]),
        ("ass1", vec!["ass"]),
        ("695 169", vec![]),
        ("六69六", vec!["69"]),
        ("a弹药b", vec!["弹药"]),
        ("加vip", vec![]),
        ("加v123", vec!["加v"]),
        ("a\u{200B}vx", vec![]),
        ("ｇｒａｓｓ", vec![]),
        ("VX380型号打印机", vec![]),
        ("打印机 VX38", vec![]),
        ("vx380", vec!["vx"]),
        ("VX38012", vec!["vx"]),
        ("VX：380", vec!["vx"]),
    ] {
        assert_eq!(terms(&rules, "standard", text), expect, "{text:?}");
    }
}

#[test]
fn allow_phrases_cancel_what_they_cover() {
    let rules = ruleset("!路口交通\n!口罩\n!微信支付\n口交\n口罩\n加微信\n微信支");
    for (text, expect) in [
        ("路口交通很堵", vec![]),
        ("路口交了通", vec!["口交"]),
        ("路口交通，口交", vec!["口交"]),
        ("买口罩", vec![]),
        ("加微信支付", vec!["加微信"]),
        ("路\u{200B}口交通", vec![]),
    ] {
        assert_eq!(terms(&rules, "standard", text), expect, "{text:?}");
    }
}

#[test]
fn nested_hits_are_dropped_only_within_a_category() {
    let rules = ruleset("# category: a low\n# category: b high\n加微信\n加微信领券\n微信\tb\n领券");
    assert_eq!(terms(&rules, "standard", "加微信领券"), ["加微信领券", "微信"]);
    assert_eq!(judge(&rules, "standard", "加微信领券").verdict, Verdict::Block);
    assert_eq!(judge(&rules, "standard", "加微领券").verdict, Verdict::Pass);
}

#[test]
fn masked_text_hides_only_what_the_policy_masks() {
    let rules = ruleset("# category: a low\n# category: b high\n苹果\n微信\tb");
    let masked = |text| judge(&rules, "relaxed", text).masked;
    assert_eq!(masked("苹果加微信 123").as_deref(), Some("苹果加＊＊ 123"));
    assert_eq!(masked("苹果"), None);
    assert_eq!(judge(&rules, "standard", "微信").masked, None);
}

#[test]
fn a_policy_picks_lists_and_staff_may_be_exempt() {
    let lists = ["a", "b"].map(|n| WordlistSource::parse(n, Origin::Api, "微信").unwrap());
    let policy = |text| serde_json::from_str::<Policy>(text).unwrap();
    let policies = vec![
        policy(r#"{"name":"only-b","wordlists":["b"],"staff":"exempt"}"#),
        policy(r#"{"name":"other","staff":{"policy":"strict"}}"#),
    ];
    let (rules, problems) = Ruleset::compile("r-7", &lists, policies, &Config::default()).unwrap();
    assert_eq!(problems, []);
    assert_eq!(rules.version(), "r-7");
    let lists = |policy| -> Vec<_> {
        judge(&rules, policy, "微信").hits.into_iter().map(|h| h.hit.wordlist).collect()
    };
    assert_eq!(lists("only-b"), ["b"]);
    assert_eq!(lists("standard"), ["a", "b"]);
    let name = |policy, role| rules.policy_for(policy, role).map(|p| p.name.as_str());
    assert_eq!(name("only-b", Role::Customer), Some("only-b"));
    assert_eq!(name("only-b", Role::Staff), None);
    assert_eq!(name("other", Role::Staff), Some("strict"));
    assert_eq!(name("missing", Role::Staff), Some("standard"));
}

#[test]
fn lines_that_cannot_match_are_reported_and_left_out() {
    let long = "长".repeat(100);
    let text = format!("!口罩\n!没有用\n加微信\n加 微 信\n★☆\nA★\n屌\n口罩\n{long}\nvip");
    let list = WordlistSource::parse("list", Origin::File, &text).unwrap();
    let (rules, problems) = Ruleset::compile("r-1", &[list], Vec::new(), &Config::default()).unwrap();
    let found: Vec<_> = problems.iter().map(|p| (p.line, p.kind.clone())).collect();
    assert_eq!(
        found,
        [
            (4, ProblemKind::Duplicate { line: 3, of: "加微信".into() }),
            (5, ProblemKind::Vanished),
            (6, ProblemKind::OneClass),
            (7, ProblemKind::OneCharacter),
            (9, ProblemKind::TooLong { bytes_max: 256 }),
            (8, ProblemKind::Allowed { by: "list".into() }),
            (2, ProblemKind::Idle),
        ]
    );
    assert_eq!(rules.terms(), 4);
    assert_eq!(terms(&rules, "standard", "屌 a ★ vip 口罩"), ["屌", "vip"]);
}

#[test]
fn an_allow_phrase_for_a_disguise_is_not_idle() {
    let list = WordlistSource::parse("list", Origin::File, "!白家乐超市\n!永辉超市\n百家乐").unwrap();
    let (_, problems) = Ruleset::compile("r-1", &[list], Vec::new(), &Config::default()).unwrap();
    let found: Vec<_> = problems.iter().map(|p| (p.line, p.kind.clone())).collect();
    assert_eq!(found, [(2, ProblemKind::Idle)]);
}

#[test]
fn common_terms_are_found_in_a_sample() {
    let rules = ruleset("微信\n微信支付\n苹果");
    let sample = ["微信支付可以吗", "没有", "没有"];
    let problems = common_terms(&rules, rules.policy("standard").unwrap(), sample.into_iter());
    let found: Vec<_> = problems.iter().map(|p| (p.line, p.text.as_str())).collect();
    assert_eq!(found, [(1, "微信"), (2, "微信支付")]);
    assert_eq!(problems[0].kind, ProblemKind::Common { messages: 1, of: 3 });
}

#[test]
fn limits_are_named_in_the_refusal() {
    let list = |name: &str| WordlistSource::parse(name, Origin::Api, "微信").unwrap();
    let small = Config { terms_max: 1, wordlists_max: 2, policies_max: 0, ..Config::default() };
    for (lists, policies, expect) in [
        (vec![list("a"), list("b")], vec![], "2 terms, 1 at most (`interception.terms_max`)"),
        (
            vec![list("a"), list("b"), list("c")],
            vec![],
            "3 wordlists, 2 at most (`interception.wordlists_max`)",
        ),
        (vec![list("a")], vec![Policy::strict()], "1 policies, 0 at most (`interception.policies_max`)"),
        (vec![list("")], vec![], "wordlist ``: a name is 1 to 64 bytes without white space"),
    ] {
        let error = Ruleset::compile("r-1", &lists, policies, &small).unwrap_err();
        assert_eq!(error.to_string(), expect);
    }
    let twice = Ruleset::compile("r-1", &[list("a"), list("a")], Vec::new(), &Config::default());
    assert_eq!(
        twice.unwrap_err().to_string(),
        "`a` is given twice: wordlists and sets of rules are told apart by their names"
    );
}

#[test]
fn hits_beyond_the_limit_are_the_mild_ones() {
    let list =
        WordlistSource::parse("l", Origin::Api, "# category: a low\n# category: b high\n苹果\n微信\tb")
            .unwrap();
    let config = Config { hits_max: 2, ..Config::default() };
    let (rules, _) = Ruleset::compile("r-1", &[list], Vec::new(), &config).unwrap();
    assert_eq!(terms(&rules, "standard", "苹果苹果苹果微信"), ["苹果", "微信"]);
}

#[test]
fn explanation_shows_cancelled_hits_and_why() {
    let rules = ruleset("!路口交通\n口交\n加微信\nass");
    let explanation = rules.explain(
        "路口交通，加。微信 grass 加微信",
        rules.policy("standard").unwrap(),
        &Audience::default(),
    );
    assert_eq!(explanation.verdict, Verdict::Block);
    assert_eq!(explanation.folded, "路口交通加微信grass加微信");
    let outcomes: Vec<_> =
        explanation.hits.iter().map(|h| (h.hit.term.as_str(), h.outcome.clone())).collect();
    let by = Outcome::Allowed { wordlist: "list".into(), phrase: "路口交通".into() };
    assert_eq!(
        outcomes,
        [
            ("口交", by),
            ("加微信", Outcome::Sentence),
            ("ass", Outcome::Boundary),
            ("加微信", Outcome::Counted)
        ]
    );
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["hits"][0]["outcome"], "allowed");
    assert_eq!(json["hits"][0]["phrase"], "路口交通");
}

#[test]
fn fingerprints_need_twelve_characters_and_the_secret() {
    let print = |text: &str, key: u8| {
        let mut folded = String::new();
        fold_into(text, &mut folded);
        fingerprint(&folded, &[key; 16])
    };
    assert_eq!(print("一二三四五六七八九十百", 1), None);
    assert!(print("一二三四五六七八九十百千", 1).is_some());
    assert_eq!(print("ＡＢＣ，一二三四五六七八九", 1), print("abc 一 二 三 四 五 六 七 八 九", 1));
    assert_ne!(print("abc一二三四五六七八九", 1), print("abc一二三四五六七八九", 2));
}

#[test]
fn terms_of_a_masked_list_are_shown_by_their_first_character() {
    let text = "# category: secret high\n# masked: true\n!微信支付\n微信\n加微信\n加 微 信\n微";
    let list = WordlistSource::parse("list", Origin::File, text).unwrap();
    let (rules, problems) = Ruleset::compile("r-1", &[list], Vec::new(), &Config::default()).unwrap();
    let duplicate = ProblemKind::Duplicate { line: 5, of: "加＊＊".into() };
    let shown: Vec<_> = problems.iter().map(|p| (p.text.as_str(), &p.kind)).collect();
    assert_eq!(shown, [("加＊＊＊＊", &duplicate), ("＊", &ProblemKind::OneCharacter)]);
    assert!(rules.wordlists()[0].masked);

    let judgement = judge(&rules, "standard", "请加·微·信");
    let hit = &judgement.hits[0];
    assert_eq!((hit.hit.term.as_str(), hit.hit.matched.as_str()), ("加＊＊", "加＊＊＊＊"));
    assert_eq!(hit.hit.span, [3, 16]);
    assert_eq!(rules.term(hit.term_id), Some(("list", "加＊＊".into())));

    let policy = rules.policy("standard").unwrap();
    let explained =
        serde_json::to_string(&rules.explain("微信支付", policy, &Audience::default()).hits).unwrap();
    assert!(explained.contains("微＊＊＊") && !explained.contains("微信"), "{explained}");
    let common = common_terms(&rules, policy, ["加微信"].into_iter());
    assert!(common.iter().all(|p| p.text.ends_with('＊')), "{common:?}");
}

#[test]
fn an_empty_ruleset_passes_everything() {
    let (rules, _) = Ruleset::compile("r-0", &[], Vec::new(), &Config::default()).unwrap();
    for text in ["", "加微信", "㎏𠮷⑩"] {
        assert_eq!(judge(&rules, "standard", text), Judgement::default());
    }
}

#[test]
fn merged_sounds_are_an_option_of_strict() {
    let rules = ruleset("老虎机");
    let text = "来玩脑虎机啊";
    assert_eq!((terms(&rules, "standard", text).len(), terms(&rules, "strict", text).len()), (0, 1));
    let strict = rules.policy("strict").unwrap();
    let without = Policy { dialects: Some(false), ..strict.clone() };
    let hits = rules.judge(text, &without, &Audience::default(), &mut Scratch::default()).hits;
    assert!(hits.is_empty(), "{hits:?}");
}
