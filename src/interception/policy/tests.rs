//! What a policy decides, and how policies are laid over each other.

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use super::inherit::lay;
use super::*;
use crate::interception::audience::Speaker;

fn decide(policy: &Policy, list: &str, category: &str, level: Level) -> Option<Decision> {
    let list = policy.wordlist(list)?;
    Some(policy.decide(category, level, list, TermRule::default()))
}

#[test]
fn a_category_rule_overrides_the_level_and_the_verdict() {
    let text = r#"
        name = "shops"
        wordlists = ["diversion"]
        staff = "exempt"
        [levels]
        medium = "mask"
        [categories.contact]
        level = "medium"
        [categories.lure]
        verdict = "review"
        strict = true
    "#;
    let policy: Policy = toml::from_str(text).unwrap();
    assert_eq!(policy.staff, Some(StaffRule::Exempt));
    let decide = |list, category| {
        decide(&policy, list, category, Level::High).map(|d| (d.level, d.verdict, d.strictness))
    };
    assert_eq!(decide("fraud", "contact"), None);
    assert_eq!(decide("diversion", "contact"), Some((Level::Medium, Verdict::Mask, Strictness::Standard)));
    assert_eq!(decide("diversion", "lure"), Some((Level::High, Verdict::Review, Strictness::Strict)));
    assert_eq!(decide("diversion", "other"), Some((Level::High, Verdict::Block, Strictness::Standard)));
}

#[test]
fn what_names_a_hit_most_exactly_decides() {
    let policy: Policy = serde_json::from_str(
        r#"{"name":"p","strictness":"relaxed","levels":{"high":"block"},
            "wordlists":["plain",{"name":"soft","strictness":"strict","levels":{"high":"mask"}}],
            "categories":{"lure":{"verdict":"review"}}}"#,
    )
    .unwrap();
    let own = TermRule { level: None, verdict: Some(Verdict::Pass) };
    let of_list = ListRule { verdict: Some(Verdict::Review), ..ListRule::default() };
    for (list, by_list, category, own, verdict, strictness) in [
        ("plain", None, "c", TermRule::default(), Verdict::Block, Strictness::Relaxed),
        ("plain", of_list.verdict, "c", TermRule::default(), Verdict::Review, Strictness::Relaxed),
        ("soft", of_list.verdict, "c", TermRule::default(), Verdict::Mask, Strictness::Strict),
        ("soft", of_list.verdict, "lure", TermRule::default(), Verdict::Review, Strictness::Strict),
        ("soft", of_list.verdict, "lure", own, Verdict::Pass, Strictness::Strict),
    ] {
        let rule = ListRule { verdict: by_list, ..policy.wordlist(list).unwrap() };
        let decision = policy.decide(category, Level::High, rule, own);
        assert_eq!((decision.verdict, decision.strictness), (verdict, strictness), "{list} {category}");
    }
    assert_eq!(policy.wordlist("other"), None);
}

#[test]
fn a_variant_alone_leads_to_nothing_that_cannot_be_taken_back() {
    let standard = Policy::standard();
    for (given, max) in [
        (None, Verdict::Review),
        (Some(Verdict::Block), Verdict::Block),
        (Some(Verdict::Pass), Verdict::Pass),
    ] {
        let policy = Policy { variant_verdict_max: given, ..standard.clone() };
        let high = decide(&policy, "l", "c", Level::High).unwrap();
        assert_eq!((high.verdict, high.variant_verdict), (Verdict::Block, max));
        let low = decide(&policy, "l", "c", Level::Low).unwrap();
        assert_eq!((low.verdict, low.variant_verdict), (Verdict::Pass, Verdict::Pass));
    }
}

#[test]
fn presets_survive_json_and_are_ordered_by_severity() {
    for preset in Policy::presets() {
        preset.check().unwrap();
        let json = serde_json::to_string(&preset).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), preset);
    }
    for level in [Level::Low, Level::Medium, Level::High] {
        let verdicts = Policy::presets().map(|p| decide(&p, "l", "c", level).unwrap().verdict);
        assert!(verdicts.is_sorted(), "{level:?}: {verdicts:?}");
    }
}

#[test]
fn unknown_fields_and_bad_names_are_refused() {
    for json in [
        r#"{"name":"a","levls":{}}"#,
        r#"{"name":"a","wordlists":[{"name":"l","level":"x"}]}"#,
        r#"{"name":"a","wordlists":[7]}"#,
        r#"{"name":"a","strictness":"very"}"#,
    ] {
        assert!(serde_json::from_str::<Policy>(json).is_err(), "{json}");
    }
    let policy = Policy { name: "two words".into(), ..Policy::standard() };
    assert!(matches!(policy.check(), Err(PolicyError::Name { .. })));
}

#[test]
fn policies_of_earlier_versions_are_read() {
    let read = |json| serde_json::from_str::<Policy>(json).unwrap();
    assert_eq!(read(r#"{"name":"a","strict":true}"#).strictness, Some(Strictness::Strict));
    assert_eq!(read(r#"{"name":"a","strict":false}"#).strictness, Some(Strictness::Standard));
    let old = read(
        r#"{"name":"a","wordlists":["x"],"levels":{"low":"review"},"categories":{"c":{"strict":true}},"staff":"same"}"#,
    );
    assert_eq!(old.wordlists, Some(vec!["x".into()]));
    assert_eq!(decide(&old, "x", "c", Level::High).unwrap().verdict, Verdict::Block);
    assert_eq!(decide(&old, "x", "c", Level::Low).unwrap().verdict, Verdict::Review);
}

fn book(policies: &[&str], default: &str) -> PolicyBook {
    let policies = policies.iter().map(|json| serde_json::from_str(json).unwrap()).collect();
    PolicyBook::new(policies, default).unwrap()
}

#[test]
fn a_group_inherits_from_brand_region_and_tags_in_this_order() {
    let book = book(
        &[
            r#"{"name":"brand","wordlists":["diversion"],"levels":{"low":"review"},"categories":{"contact":{"level":"low"}}}"#,
            r#"{"name":"region","levels":{"low":"mask","medium":"block"}}"#,
            r#"{"name":"b-tag","levels":{"low":"pass"},"tags":["b"]}"#,
            r#"{"name":"a-tag","levels":{"low":"block"},"strictness":"strict","tags":["a"]}"#,
            r#"{"name":"group","categories":{"contact":{"verdict":"review"}}}"#,
        ],
        "standard",
    );
    let tags = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
    let layer = |kind, id, policy| Layer { kind, id, policy };
    // In any order: the kinds say which lies over which.
    let chosen = vec![
        layer(LayerKind::Group, "demo/g", "group"),
        layer(LayerKind::Region, "east", "region"),
        layer(LayerKind::Shop, "s-1", "gone"),
        layer(LayerKind::Brand, "tea", "brand"),
    ];
    let explained = book.explain(&Assigned { chosen, tags: &tags });
    let policy = &explained.effective.policy;
    assert_eq!(policy.name, "group");
    assert_eq!(policy.wordlists, Some(vec!["diversion".into()]));
    assert_eq!(policy.levels, LevelVerdicts::of(Verdict::Pass, Verdict::Block, Verdict::Block));
    let contact = policy.categories["contact"];
    assert_eq!((contact.level, contact.verdict), (Some(Level::Low), Some(Verdict::Review)));
    let names: Vec<_> = explained.layers.iter().map(|layer| layer.policy.as_str()).collect();
    assert_eq!(names, ["built-in", "standard", "brand", "region", "a-tag", "b-tag", "group"]);
    assert_eq!(explained.missing[0].policy, "gone");
    let from = |part: &str| {
        let found = explained.parts.iter().find(|found| found.part == part).unwrap();
        (found.from.layer, found.from.policy.as_str())
    };
    assert_eq!(from("/wordlists"), (LayerKind::Brand, "brand"));
    assert_eq!(from("/levels/low"), (LayerKind::Tag, "b-tag"));
    assert_eq!(from("/levels/medium"), (LayerKind::Region, "region"));
    assert_eq!(from("/levels/high"), (LayerKind::Default, "standard"));
    assert_eq!(from("/strictness"), (LayerKind::Tag, "a-tag"));
    assert_eq!(from("/variant_verdict_max"), (LayerKind::BuiltIn, "built-in"));
    assert_eq!(from("/categories/contact/level"), (LayerKind::Brand, "brand"));
    assert_eq!(from("/categories/contact/verdict"), (LayerKind::Group, "group"));
}

#[test]
fn staff_are_judged_as_the_effective_policy_says() {
    let book = book(
        &[r#"{"name":"exempt","staff":"exempt"}"#, r#"{"name":"mild","staff":{"policy":"relaxed"}}"#],
        "standard",
    );
    let by = |policy, speaker| {
        let chosen = vec![Layer { kind: LayerKind::Brand, id: "tea", policy }];
        let effective = book.effective(&Assigned { chosen, tags: &[] });
        effective.for_speaker(speaker).map(|policy| policy.name.clone())
    };
    assert_eq!(by("exempt", Speaker::Staff), None);
    assert_eq!(by("exempt", Speaker::Own).as_deref(), Some("exempt"));
    assert_eq!(by("mild", Speaker::Staff).as_deref(), Some("relaxed"));
    assert_eq!(by("mild", Speaker::Customer).as_deref(), Some("mild"));
    assert_eq!(by("gone", Speaker::Staff).as_deref(), Some("standard"));
}

#[test]
fn a_tag_has_one_policy() {
    let policies = ["a", "b"].map(|name| Policy {
        name: name.to_owned(),
        tags: BTreeSet::from(["vip".to_owned()]),
        ..Policy::default()
    });
    let error = PolicyBook::new(policies.into(), "standard").unwrap_err();
    assert_eq!(error.to_string(), "policies `b` and `a` both have the tag `vip`; a tag has one policy");
}

fn verdicts() -> impl Strategy<Value = Option<Verdict>> {
    of(select(vec![Verdict::Pass, Verdict::Mask, Verdict::Review, Verdict::Block]))
}

fn strictnesses() -> impl Strategy<Value = Option<Strictness>> {
    of(select(vec![Strictness::Relaxed, Strictness::Standard, Strictness::Strict]))
}

fn levels() -> impl Strategy<Value = LevelVerdicts> {
    (verdicts(), verdicts(), verdicts()).prop_map(|(low, medium, high)| LevelVerdicts { low, medium, high })
}

fn policies() -> impl Strategy<Value = Policy> {
    let list = (select(vec!["a", "b"]), strictnesses(), levels())
        .prop_map(|(name, strictness, levels)| WordlistRule { name: name.to_owned(), strictness, levels });
    let level = of(select(vec![Level::Low, Level::Medium, Level::High]));
    let rule = (level, verdicts(), strictnesses()).prop_map(|(level, verdict, strictness)| CategoryRule {
        level,
        verdict,
        strictness,
    });
    let staff = of(select(vec![StaffRule::Same, StaffRule::Exempt, StaffRule::Policy("strict".to_owned())]));
    let categories = btree_map(select(vec!["x".to_owned(), "y/~".to_owned()]), rule, 0..3);
    let name = select(vec!["p".to_owned(), "q".to_owned(), "r".to_owned()]);
    let flags = (of(any::<bool>()), of(any::<bool>()));
    (name, of(vec(list, 0..3)), levels(), categories, strictnesses(), verdicts(), flags, staff).prop_map(
        |(name, wordlists, levels, categories, strictness, max, (whole_words, dialects), staff)| Policy {
            name,
            wordlists,
            levels,
            categories,
            strictness,
            variant_verdict_max: max,
            whole_words,
            dialects,
            staff,
            ..Policy::default()
        },
    )
}

proptest! {
    #[test]
    fn laying_over_is_associative(a in policies(), b in policies(), c in policies()) {
        prop_assert_eq!(c.over(&b).over(&a), c.over(&b.over(&a)));
    }

    #[test]
    fn what_says_nothing_changes_nothing(a in policies()) {
        let nothing = Policy { name: a.name.clone(), ..Policy::default() };
        prop_assert_eq!(&nothing.over(&a), &a);
        prop_assert_eq!(&a.over(&nothing), &a);
    }

    #[test]
    fn every_part_is_that_of_the_layer_it_is_said_to_come_from(layers in vec(policies(), 1..5)) {
        let named: Vec<_> = (0..).zip(layers).map(|(n, p): (usize, _)| Policy { name: format!("p{n}"), ..p }).collect();
        let book = PolicyBook::new(named.clone(), "standard").unwrap();
        let kinds = [LayerKind::Brand, LayerKind::Region, LayerKind::Shop, LayerKind::Group];
        let chosen = named.iter().zip(kinds).map(|(p, kind)| Layer { kind, id: "i", policy: &p.name }).collect();
        let explained = book.explain(&Assigned { chosen, tags: &[] });
        let json = |policy: &Policy| serde_json::to_value(policy).unwrap();
        let effective = json(&explained.effective.policy);
        let mut parts = explained.effective.policy.parts();
        parts.sort();
        let told: Vec<_> = explained.parts.iter().map(|part| part.part.clone()).collect();
        prop_assert_eq!(&parts, &told, "every part has a source and there are no others");
        for part in &explained.parts {
            let source = match part.from.layer {
                LayerKind::BuiltIn => Policy::built_in(),
                LayerKind::Default => Policy::standard(),
                LayerKind::Account
                | LayerKind::Brand
                | LayerKind::Region
                | LayerKind::Shop
                | LayerKind::Tag
                | LayerKind::Group => named.iter().find(|policy| policy.name == part.from.policy).unwrap().clone(),
            };
            let source = json(&source);
            prop_assert_eq!(source.pointer(&part.part), effective.pointer(&part.part));
            let above = explained.layers.iter().rposition(|layer| *layer == part.from).unwrap() + 1;
            for layer in explained.layers.iter().skip(above) {
                let policy = named.iter().find(|policy| policy.name == layer.policy);
                let later = policy.map_or(Value::Null, json);
                prop_assert_eq!(later.pointer(&part.part), None, "the last word wins");
            }
        }
    }

    #[test]
    fn one_layer_is_laid_over_what_is_built_in(policy in policies()) {
        prop_assert_eq!(lay([&policy]), policy.over(&Policy::built_in()));
    }
}
