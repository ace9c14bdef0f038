//! Against oracles, on random lists and texts.

use std::collections::HashSet;
use std::sync::LazyLock;

use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use super::*;

fn folded(text: &str) -> String {
    let mut out = String::new();
    fold_into(text, &mut out);
    out
}

/// Short strings over few letters, in several spellings, so that hits, overlaps and gaps are frequent.
fn texts(length: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "加",
        "微",
        "微",
        "信",
        "信",
        "開",
        "开",
        "v",
        "Ｖ",
        "ⓥ",
        "x",
        "1",
        "①",
        "⑩",
        "㎏",
        "𠮷",
        " ",
        "·",
        "。",
        "\n",
        "\u{200B}",
        "\u{301}",
        "👨\u{200D}👩",
        "🇨",
        "🇳",
        "e",
        "，",
    ]);
    prop::collection::vec(pieces, length).prop_map(|p| p.concat())
}

/// Every occurrence of every term in the folded text, by naive search: (start in characters, folded term).
fn naive(terms: &[String], text: &str) -> Vec<(usize, String)> {
    let text: Vec<char> = folded(text).chars().collect();
    let mut found = Vec::new();
    let distinct: HashSet<String> = terms.iter().map(|t| folded(t)).collect();
    for term in distinct {
        let letters: Vec<char> = term.chars().collect();
        let starts = (0..text.len()).filter(|at| text[*at..].starts_with(&letters));
        found.extend(starts.map(|at| (at, term.clone())));
    }
    found.sort();
    found
}

fn compile(terms: &[String]) -> Ruleset {
    compile_with(terms, &Config::default())
}

/// For `relaxed`, which looks for no disguises: most of a compilation prepares for them.
fn compile_plain(terms: &[String]) -> Ruleset {
    compile_with(terms, &Config { variants: false, ..Config::default() })
}

fn compile_with(terms: &[String], config: &Config) -> Ruleset {
    let mut list = WordlistSource::new("list", Origin::Api);
    list.terms = terms.iter().map(|t| Term { text: t.clone(), ..Term::default() }).collect();
    Ruleset::compile("r-1", &[list], Vec::new(), config).unwrap().0
}

/// The policy without detectors: random letters and digits are an id now and then.
fn terms_only(ruleset: &Ruleset, policy: &str) -> Policy {
    Policy {
        wordlists: Some(vec![WordlistRule { name: "list".into(), ..WordlistRule::default() }]),
        ..ruleset.policy(policy).unwrap().clone()
    }
}

/// Terms that stay in the ruleset: at least two folded characters.
fn kept(terms: Vec<String>) -> Vec<String> {
    terms.into_iter().filter(|t| folded(t).chars().count() > 1).collect()
}

proptest! {
    // Compiling takes nearly all the time, so each ruleset judges several texts by every policy.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn judge_and_explain_agree(
        terms in prop::collection::vec(texts(1..5), 0..8), texts in prop::collection::vec(texts(0..24), 4),
    ) {
        let rules = compile(&terms);
        for (text, policy) in texts.iter().flat_map(|text| ["relaxed", "standard", "strict"].map(|name| (text, name))) {
            let policy = rules.policy(policy).unwrap();
            let judgement = rules.judge(text, policy, &Audience::default(), &mut Scratch::default());
            let explanation = rules.explain(text, policy, &Audience::default());
            prop_assert_eq!(judgement.verdict, explanation.verdict);
            prop_assert_eq!(&judgement.masked, &explanation.masked);
            let counted = explanation.hits.into_iter().filter(|h| h.outcome == Outcome::Counted);
            prop_assert_eq!(
                judgement.hits.into_iter().map(|h| h.hit).collect::<Vec<_>>(),
                counted.map(|h| h.hit).collect::<Vec<_>>()
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn every_occurrence_is_found_and_no_other(
        terms in prop::collection::vec(texts(1..5), 0..8).prop_map(kept), text in texts(0..24),
    ) {
        let rules = compile_plain(&terms);
        let explanation = rules.explain(&text, &terms_only(&rules, "relaxed"), &Audience::default());
        // Positions count folded characters: those that begin before the hit does.
        let mut units = Vec::new();
        fold::units_into(&text, &mut units);
        let mut scratch = Scratch::default();
        rules.examine(&text, rules.policy("relaxed").unwrap(), &Audience::default(), &mut scratch);
        let found = if scratch.found.is_empty() { &[][..] } else { scratch.resolved.as_slice() };
        let mut found: Vec<_> =
            found.iter().map(|r| (r.units[0], folded(rules.listed(r.term).text))).collect();
        found.sort();
        let expect = naive(&terms, &text);
        prop_assert_eq!(&found, &expect);
        prop_assert_eq!(explanation.hits.len(), expect.len());
    }

    #[test]

    #[test]
    fn spans_are_whole_clusters_and_say_what_matched(
        terms in prop::collection::vec(texts(1..4), 1..8), text in texts(0..24),
    ) {
        let rules = compile_plain(&terms);
        let judgement = rules.judge(&text, &terms_only(&rules, "relaxed"), &Audience::default(), &mut Scratch::default());
        let boundaries: HashSet<usize> =
            text.grapheme_indices(true).map(|(at, _)| at).chain([text.len()]).collect();
        for JudgedHit { hit, .. } in &judgement.hits {
            prop_assert_eq!(text.get(hit.span[0]..hit.span[1]), Some(hit.matched.as_str()));
            prop_assert!(boundaries.contains(&hit.span[0]) && boundaries.contains(&hit.span[1]));
        }
        // Whatever no span covers is in the masked text, in order and untouched.
        if let Some(masked) = judgement.masked {
            let inside = |at: usize| judgement.hits.iter().any(|h| (h.hit.span[0]..h.hit.span[1]).contains(&at));
            let expect: String = text
                .grapheme_indices(true)
                .map(|(at, cluster)| match (inside(at), cluster.len()) {
                    (false, _) => cluster,
                    (true, 1) => "*",
                    (true, _) => "＊",
                })
                .collect();
            prop_assert_eq!(masked, expect);
        }
    }

    #[test]
    fn any_text_can_be_judged_and_scratch_keeps_nothing(text in "\\PC*|.*", other in texts(0..24)) {
        static RULES: LazyLock<Ruleset> =
            LazyLock::new(|| compile(&["加微信".into(), "vx".into(), "kg".into(), "开".into()]));
        let rules = &*RULES;
        let policy = rules.policy("strict").unwrap();
        let mut scratch = Scratch::default();
        rules.judge(&other, policy, &Audience::default(), &mut scratch);
        let reused = rules.judge(&text, policy, &Audience::default(), &mut scratch);
        prop_assert_eq!(reused, rules.judge(&text, policy, &Audience::default(), &mut Scratch::default()));
    }
}
