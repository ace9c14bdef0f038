//! Which rule answers: every sentence of the order, and an oracle that looks for keywords one by one.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::interception::fold_into;

struct Asking {
    place: Place,
    tags: Vec<String>,
    zone: TimeZone,
    open: Option<bool>,
    mentioned: bool,
    now_ms: i64,
}

impl Default for Asking {
    fn default() -> Self {
        let now_ms = "2026-11-27T15:00:00+08:00".parse::<Timestamp>().unwrap().as_millisecond();
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        Self { place: Place::default(), tags: Vec::new(), zone, open: None, mentioned: false, now_ms }
    }
}

fn fold(text: &str) -> String {
    let mut out = String::new();
    fold_into(text, &mut out);
    out
}

fn compiled(rules: &serde_json::Value) -> Result<Rules, (String, RuleError)> {
    let rules: std::collections::BTreeMap<String, Rule> = serde_json::from_value(rules.clone()).unwrap();
    let rules: Vec<(String, Rule)> = rules.into_iter().collect();
    let lists = [SynonymList { words: vec!["开门".into(), "营业".into(), "開店".into()] }];
    Rules::compile(&rules, &Synonyms::of(&lists), &Config::default(), &interception::Config::default())
}

impl Asking {
    fn asks<T>(
        &self,
        rules: &serde_json::Value,
        message: &str,
        see: impl FnOnce(&[Candidate<'_>]) -> T,
    ) -> T {
        let rules = compiled(rules).unwrap();
        let at = Circumstances {
            place: &self.place,
            tags: &self.tags,
            zone: &self.zone,
            is_open: &|_| self.open,
            is_mentioned: self.mentioned,
            now_ms: self.now_ms,
        };
        see(&rules.asked(&fold(message), &at))
    }

    /// Returns every rule asked, best first; those that take no part in brackets.
    fn ask(&self, rules: &serde_json::Value, message: &str) -> Vec<String> {
        let shown = |c: &Candidate<'_>| {
            if c.out.is_some() { format!("[{}]", c.rule.id) } else { c.rule.id.to_string() }
        };
        self.asks(rules, message, |asked| asked.iter().map(shown).collect())
    }

    fn text(&self, rules: &serde_json::Value, message: &str) -> String {
        self.asks(rules, message, |asked| {
            let best = asked.iter().find(|c| c.out.is_none());
            best.map(|best| best.text(0).source().to_owned()).unwrap_or_default()
        })
    }
}

fn order() -> serde_json::Value {
    serde_json::json!({
        "a-hours": {"keywords": ["营业时间", "几点开门"], "text": "十点"},
        "b-hours-night": {"keywords": ["晚上营业时间"], "text": "二十二点"},
        "c-address": {"keywords": ["地址"], "match": "exact", "text": "人民路一号"},
        "d-vip": {"keywords": ["优惠"], "text": "八折", "tags": ["vip"]},
        "e-parking": {"keywords": ["停车", "收费"], "match": "all_of", "text": "两小时免费"},
        "f-refund": {"keywords": ["退", "钱"], "match": "near", "within": 2, "text": "七天可退"},
        "g-order": {"keywords": ["订单[0-9]{4,}"], "match": "regex", "text": "正在查"},
        "h-hello": {"keywords": ["你好"], "match": "starts_with", "text": "您好"},
        "i-order": {"keywords": ["订单"], "text": "请发订单号"},
        "j-low": {"keywords": ["会员卡"], "text": "低", "priority": -1},
        "k-high": {"keywords": ["会员卡"], "text": "高", "priority": 5},
        "l-old": {"keywords": ["积分"], "text": "旧", "written_at": "2026-01-01"},
        "m-new": {"keywords": ["积分"], "text": "新", "written_at": "2026-02-01"},
    })
}

#[test]
fn the_most_specific_rule_answers() {
    let table: &[(&str, &[&str])] = &[
        ("请问營業 時間？", &["a-hours"]),
        ("晚上营业时间是", &["b-hours-night", "a-hours"]),
        ("地址", &["c-address"]),
        ("你们地址在哪", &[]),
        ("有优惠吗", &["[d-vip]"]),
        ("停车怎么收费", &["e-parking"]),
        ("停车在哪", &[]),
        ("能退点钱吗", &["f-refund"]),
        ("钱能退吗", &["f-refund"]),
        ("退货以后什么时候才能到账，钱", &[]),
        ("帮我查订单 20261127", &["g-order", "i-order"]),
        ("订单呢", &["i-order"]),
        ("你好，营业时间？", &["h-hello", "a-hours"]),
        ("大家你好", &[]),
        ("会员卡", &["k-high", "j-low"]),
        ("积分", &["m-new", "l-old"]),
        ("早上好", &[]),
        ("", &[]),
    ];
    for (message, expect) in table {
        assert_eq!(Asking::default().ask(&order(), message), *expect, "{message}");
    }
    let vip = Asking { tags: vec!["vip".into()], ..Asking::default() };
    assert_eq!(vip.ask(&order(), "有优惠吗"), ["d-vip"]);
}

#[test]
fn of_words_that_begin_together_the_longest_counts() {
    for keywords in [["退款", "退", "钱"], ["退", "钱", "退款"]] {
        let rules =
            serde_json::json!({"a": {"keywords": keywords, "match": "near", "within": 1, "text": "x"}});
        assert_eq!(Asking::default().ask(&rules, "退款的钱"), ["a"]);
        assert!(Asking::default().ask(&rules, "退款的那钱").is_empty());
    }
}

#[test]
fn a_synonym_stands_for_its_whole_list() {
    let rules = serde_json::json!({
        "a": {"keywords": ["几点", "营业"], "match": "all_of", "text": "十点"},
        "b": {"keywords": ["关门"], "text": "二十二点"},
    });
    for message in ["几点开门", "你们几点營業", "开店是几点"] {
        assert_eq!(Asking::default().ask(&rules, message), ["a"], "{message}");
    }
    assert_eq!(Asking::default().ask(&rules, "几点关门"), ["b"]);
}

#[test]
fn the_closest_rule_of_a_topic_takes_part() {
    let rules = serde_json::json!({
        "all": {"keywords": ["营业时间"], "text": "十点", "topic": "hours"},
        "also": {"keywords": ["周末营业时间"], "text": "九点", "topic": "hours"},
        "east": {"keywords": ["营业时间"], "text": "九点", "topic": "hours", "regions": ["east"]},
        "east-new": {"keywords": ["营业时间"], "text": "八点", "topic": "hours", "regions": ["east"], "tags": ["new"]},
        "quiet": {"topic": "hours", "mode": "silent", "shops": ["s-1"]},
        "trial": {"keywords": ["营业时间"], "text": "七点", "topic": "hours", "shops": ["s-2"], "mode": "shadow"},
        "later": {"keywords": ["营业时间"], "text": "六点", "topic": "hours", "shops": ["s-2"], "valid_from": "2027-01-01"},
    });
    let of = |path: &str, tags: &[&str]| {
        let tags = tags.iter().map(ToString::to_string).collect();
        let asking = Asking { place: Place::of_path(path), tags, ..Asking::default() };
        let asked = asking.ask(&rules, "周末营业时间");
        asked.into_iter().filter(|rule| !rule.starts_with('[')).collect::<Vec<_>>()
    };
    assert_eq!(of("//", &[]), ["also", "all"]);
    assert_eq!(of("tea/west/s-9", &[]), ["also", "all"]);
    assert_eq!(of("tea/east/s-9", &[]), ["east"]);
    assert_eq!(of("tea/east/s-9", &["new"]), ["east-new"]);
    assert_eq!(of("tea/east/s-1", &["new"]), [""; 0]);
    assert_eq!(of("tea/east/s-2", &[]), ["east"], "what is on trial or not valid yet displaces nothing");
}

#[test]
fn hours_have_a_text_for_when_they_are_over() {
    let rules = serde_json::json!({
        "desk": {"keywords": ["人工"], "text": "请稍等", "closed_text": "明早九点回复您",
                 "hours": [{"days": ["mon", "tue", "wed", "thu", "fri"], "hours": "09:00-18:00"}]},
        "shop": {"keywords": ["有人吗"], "text": "在的", "hours": "shop"},
        "else": {"keywords": ["有人"], "text": "稍后"},
    });
    let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
    let friday = Asking { now_ms: at("2026-11-27T17:59:00+08:00"), open: Some(true), ..Asking::default() };
    assert_eq!(
        (friday.text(&rules, "人工"), friday.text(&rules, "有人吗")),
        ("请稍等".into(), "在的".into())
    );
    let evening = Asking { now_ms: at("2026-11-27T18:00:00+08:00"), open: Some(false), ..Asking::default() };
    assert_eq!(evening.text(&rules, "人工"), "明早九点回复您");
    assert_eq!(
        evening.text(&rules, "有人吗"),
        "稍后",
        "a rule without a text for it leaves the field to others"
    );
    let unknown = Asking { open: None, ..Asking::default() };
    assert_eq!(unknown.text(&rules, "有人吗"), "在的");
}

#[test]
fn a_rule_may_need_a_mention_and_its_time() {
    let rules = serde_json::json!({
        "a": {"keywords": ["在吗"], "text": "在", "only_mentioned": true},
        "b": {"keywords": ["双十一"], "text": "五折", "valid_from": "2026-11-01", "valid_until": "2026-11-12"},
        "c": {"keywords": ["双十一"], "text": "试", "mode": "shadow"},
    });
    assert_eq!(Asking::default().ask(&rules, "在吗"), ["[a]"]);
    assert_eq!(Asking { mentioned: true, ..Asking::default() }.ask(&rules, "在吗"), ["a"]);
    assert_eq!(Asking::default().ask(&rules, "双十一"), ["[b]", "[c]"]);
    let now_ms = "2026-11-11T00:00:00+08:00".parse::<Timestamp>().unwrap().as_millisecond();
    assert_eq!(Asking { now_ms, ..Asking::default() }.ask(&rules, "双十一"), ["b", "[c]"]);
}

#[test]
fn texts_are_said_in_turn() {
    let rules = serde_json::json!({"a": {"keywords": ["在吗"], "text": "一", "variants": ["二", "三"]}});
    let rules = compiled(&rules).unwrap();
    let home = Asking::default();
    let at = Circumstances {
        place: &home.place,
        tags: &[],
        zone: &home.zone,
        is_open: &|_| None,
        is_mentioned: false,
        now_ms: 0,
    };
    let asked = rules.asked("在吗", &at);
    let said: Vec<&str> = (0..5).map(|turn| asked[0].text(turn).source()).collect();
    assert_eq!(said, ["一", "二", "三", "一", "二"]);
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    for (rule, expect) in [
        (r#"{"keywords":["……"],"text":"x"}"#, "only spaces or signs"),
        (r#"{"keywords":[],"text":"x"}"#, "nothing to match"),
        (r#"{"keywords":["a"],"text":""}"#, "text: is empty"),
        (r#"{"keywords":["a"],"text":"{shop.nam}"}"#, "text: character 1"),
        (r#"{"keywords":["a"],"text":"x","variants":["{"]}"#, "variants[0]: character 1"),
        (r#"{"keywords":["a","b"],"match":"near","text":"x"}"#, "within:"),
        (r#"{"keywords":["a"],"match":"near","within":1,"text":"x"}"#, "two at least"),
        (r#"{"keywords":["a"],"within":1,"text":"x"}"#, "within:"),
        (r#"{"keywords":["[0-9]+"],"match":"regex","text":"x"}"#, "every match must hold a word"),
        (r#"{"keywords":["("],"match":"regex","text":"x"}"#, "keyword `(`"),
        (r#"{"keywords":["a"],"text":"x","closed_text":"y"}"#, "outside `hours`"),
        (r#"{"keywords":["a"],"text":"x","hours":[]}"#, "name one at least"),
        (
            r#"{"keywords":["a"],"text":"x","valid_from":"2026-02-01","valid_until":"2026-01-01"}"#,
            "not after",
        ),
        (r#"{"mode":"silent"}"#, "needs a `topic`"),
        (r#"{"keywords":["a"],"text":"x","cooldown_s":99999999}"#, "seconds of silence"),
    ] {
        let rule: Rule = serde_json::from_str(rule).unwrap();
        let error = rule.check(&Config::default(), &interception::Config::default()).unwrap_err();
        assert!(error.to_string().contains(expect), "{rule:?}: {error}");
    }
    let rules = serde_json::json!({"dots": {"keywords": ["……"], "text": "x"}});
    let (id, error) = compiled(&rules).unwrap_err();
    assert_eq!((id.as_str(), error), ("dots", RuleError::Keyword("……".into())));
}

#[test]
fn a_message_full_of_keywords_is_looked_at_in_bounded_time() {
    let mut rules = serde_json::Map::new();
    for n in 0..2_000 {
        let rule = serde_json::json!({"keywords": ["好", "啊"], "match": "near", "within": 3, "text": "x"});
        rules.insert(format!("r-{n}"), rule);
    }
    let asked = Asking::default().ask(&rules.into(), &"好啊".repeat(2_700));
    assert!(!asked.is_empty());
}

#[test]
fn thousands_of_shops_that_answer_the_same_word_hide_no_other_word() {
    let mut rules = serde_json::Map::new();
    for n in 0..4_500 {
        let rule =
            serde_json::json!({"keywords": ["营业时间", "地址"], "text": "x", "shops": [format!("s-{n}")]});
        rules.insert(format!("r-{n}"), rule);
    }
    let other = serde_json::json!({"keywords": ["大闸蟹什么时候到"], "text": "周五"});
    rules.insert("crabs".to_owned(), other);
    let asking = Asking { place: Place::of_path("tea/east/s-7"), ..Asking::default() };
    let asked = asking.ask(&rules.into(), "营业时间和地址，还有大闸蟹什么时候到");
    let taking_part: Vec<_> = asked.iter().filter(|rule| !rule.starts_with('[')).collect();
    assert_eq!(taking_part, ["crabs", "r-7"]);
}

/// Looks for each keyword by itself, by the letter of the definitions.
fn oracle(rule: &Rule, message: &str) -> bool {
    let keywords: Vec<String> = rule.keywords.iter().map(|keyword| fold(keyword)).collect();
    let chars = |text: &str| text.chars().count();
    match rule.match_kind {
        MatchKind::Exact => keywords.iter().any(|keyword| keyword == message),
        MatchKind::StartsWith => keywords.iter().any(|keyword| message.starts_with(keyword.as_str())),
        MatchKind::Contains => keywords.iter().any(|keyword| message.contains(keyword.as_str())),
        MatchKind::AllOf => keywords.iter().all(|keyword| message.contains(keyword.as_str())),
        MatchKind::Near => {
            // Every way to choose one place of each keyword.
            let places: Vec<Vec<(usize, usize)>> = keywords
                .iter()
                .map(|keyword| {
                    let at = message.char_indices().map(|(at, _)| at);
                    at.filter(|at| message.get(*at..).is_some_and(|rest| rest.starts_with(keyword.as_str())))
                        .map(|at| (at, at + keyword.len()))
                        .collect()
                })
                .collect();
            let mut ways: Vec<Vec<(usize, usize)>> = vec![Vec::new()];
            for of_keyword in &places {
                ways = ways
                    .iter()
                    .flat_map(|way| of_keyword.iter().map(move |at| [&way[..], &[*at]].concat()))
                    .collect();
            }
            ways.iter().any(|way| {
                let first = way.iter().min_by_key(|at| (at.0, Reverse(at.1))).unwrap();
                let last = way.iter().max_by_key(|at| at.0).unwrap();
                let between = if first.1 < last.0 {
                    chars(message.get(first.1..last.0).unwrap_or_default())
                } else {
                    0
                };
                between <= rule.within.unwrap_or(0)
            })
        }
        MatchKind::Regex => unreachable!("not generated"),
    }
}

proptest! {
    #[test]
    fn a_rule_is_asked_exactly_when_its_keywords_stand_there(
        rules in prop::collection::vec(
            (prop::collection::vec("[甲乙丙a]{1,2}", 1..4), 0_usize..5, 0_usize..4), 1..8),
        message in "[甲乙丙a丁]{0,12}",
    ) {
        let kinds = [
            MatchKind::Exact, MatchKind::AllOf, MatchKind::Near, MatchKind::StartsWith, MatchKind::Contains,
        ];
        let rules: Vec<(String, Rule)> = rules.into_iter().enumerate().map(|(n, (mut keywords, kind, within))| {
            let match_kind = kinds[kind];
            if match_kind == MatchKind::Near && keywords.len() < 2 {
                keywords.push("丁".into());
            }
            let within = (match_kind == MatchKind::Near).then_some(within);
            (format!("r{n}"), Rule { keywords, match_kind, within, text: "x".into(), ..Rule::default() })
        }).collect();
        let compiled = Rules::compile(
            &rules, &Synonyms::default(), &Config::default(), &interception::Config::default()).unwrap();
        let home = Asking::default();
        let at = Circumstances {
            place: &home.place, tags: &[], zone: &home.zone, is_open: &|_| None, is_mentioned: false, now_ms: 0,
        };
        let found: BTreeSet<String> = compiled.asked(&message, &at).iter().map(|c| c.rule.id.to_string()).collect();
        let expect: BTreeSet<String> =
            rules.iter().filter(|(_, rule)| oracle(rule, &message)).map(|(id, _)| id.clone()).collect();
        prop_assert_eq!(found, expect);
    }
}
