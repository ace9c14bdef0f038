//! The planner against its promises on random words, and the reconciler against a pretended platform.

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { rules: 6, words: 4, chars: 3 };

fn range(department: u64) -> Range {
    Range { departments: BTreeSet::from([department]), staff: BTreeSet::new() }
}

fn wanted(department: u64, words: &[(&str, Mode)]) -> Wanted {
    let words = words.iter().map(|(word, mode)| ((*word).to_owned(), *mode)).collect();
    Wanted { range: range(department), words }
}

/// Few letters, so that words repeat and limits are met; some are too long.
fn words() -> impl Strategy<Value = Vec<Wanted>> {
    let mode = prop::sample::select(vec![Mode::Stop, Mode::Warn]);
    let words = prop::collection::btree_map("[加微信券]{1,4}", mode, 0..40);
    prop::collection::vec(words, 0..3).prop_map(|all| {
        (1..).zip(all).map(|(department, words)| Wanted { range: range(department), words }).collect()
    })
}

/// Every word of a range once, in the right mode, or left out for a reason that holds.
fn check(wanted: &[Wanted], plan: &Plan, limits: Limits) {
    assert!(plan.rules.len() <= limits.rules);
    let mut names = BTreeSet::new();
    for rule in &plan.rules {
        assert!((1..=limits.words).contains(&rule.words.len()), "{rule:?}");
        assert!(rule.words.iter().all(|word| word.chars().count() <= limits.chars), "{rule:?}");
        assert!(rule.name.chars().count() <= NAME_CHARS_MAX && is_ours("shop", &rule.name), "{}", rule.name);
        assert!(names.insert(rule.name.clone()), "{} twice", rule.name);
    }
    let full = plan.rules.len() == limits.rules;
    for Wanted { range, words } in wanted {
        for (word, mode) in words {
            let holding = plan.rules.iter().filter(|rule| rule.range == *range && rule.words.contains(word));
            let modes: Vec<Mode> = holding.map(|rule| rule.mode).collect();
            let left_out = |why| plan.left_out.contains(&LeftOut { word: word.clone(), why });
            match modes.as_slice() {
                [one] => assert_eq!(one, mode),
                [] if word.chars().count() > limits.chars => assert!(left_out(Why::TooLong)),
                [] => assert!(left_out(Why::NoRoom) && full, "{word} has no rule although there is room"),
                many => panic!("{word} is in {} rules", many.len()),
            }
        }
    }
}

/// Rules that differ, by name.
fn changed(before: &Plan, after: &Plan) -> usize {
    let names: BTreeSet<&String> = before.rules.iter().chain(&after.rules).map(|rule| &rule.name).collect();
    let find = |plan: &Plan, name: &String| plan.rules.iter().find(|rule| rule.name == *name).cloned();
    names.into_iter().filter(|name| find(before, name) != find(after, name)).count()
}

proptest! {
    #[test]
    fn every_word_has_one_rule_within_the_limits(first in words(), second in words(), rules in 0_usize..8) {
        let limits = Limits { rules, ..LIMITS };
        let before = plan("shop", &first, &[], LIMITS);
        check(&first, &before, LIMITS);
        let after = plan("shop", &second, &before.rules, limits);
        check(&second, &after, limits);
        prop_assert_eq!(&plan("shop", &second, &after.rules, limits), &after, "planning again changes nothing");
    }

    #[test]
    fn one_word_more_or_less_changes_one_rule(all in words(), word in "[加微信券]{1,3}") {
        let limits = Limits { rules: 1_000, ..LIMITS };
        let before = plan("shop", &all, &[], limits);
        let mut more = all.clone();
        let Some(first) = more.first_mut() else { return Ok(()) };
        let is_new = first.words.insert(word.clone(), Mode::Stop).is_none();
        let after = plan("shop", &more, &before.rules, limits);
        if is_new {
            prop_assert_eq!(changed(&before, &after), 1);
            let back = plan("shop", &all, &after.rules, limits);
            prop_assert_eq!(changed(&after, &back), 1);
            prop_assert_eq!(back, before);
        }
    }

    #[test]
    fn a_platform_that_does_as_told_has_the_plan_and_foreign_rules_untouched(
        first in words(),
        second in words(),
        damage in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let mut platform = Platform::default();
        let foreign = Rule { name: "店长自建".into(), ..rule("x") };
        platform.add(foreign.clone());
        let mut handed = Vec::new();
        for wanted in [&first, &second] {
            let before: Vec<Rule> = handed.iter().map(|handed: &Handed| handed.rule.clone()).collect();
            let plan = plan("shop", wanted, &before, LIMITS);
            platform.bring_to(&plan.rules, &handed);
            handed = platform.ours();
            prop_assert_eq!(sorted(handed.iter().map(|h| h.rule.clone()).collect()), sorted(plan.rules.clone()));
            // Somebody deletes or empties rules in the console.
            for index in &damage {
                if platform.rules.len() > 1 {
                    let at = 1 + index.index(platform.rules.len() - 1);
                    if index.index(2) == 0 {
                        platform.rules.remove(at);
                    } else {
                        platform.rules[at].rule.words.insert("别的词".into());
                    }
                }
            }
            let (_, drift) = reconcile("shop", &plan.rules, &handed, &platform.rules);
            let damaged = handed.iter().filter(|handed| {
                !platform.rules.iter().any(|found| found.id == handed.id && found.rule == handed.rule)
            });
            prop_assert_eq!(drift.len(), damaged.count());
            platform.bring_to(&plan.rules, &handed);
            handed = platform.ours();
            prop_assert_eq!(sorted(handed.iter().map(|h| h.rule.clone()).collect()), sorted(plan.rules));
            prop_assert_eq!(&platform.rules[0].rule, &foreign);
        }
    }
}

fn sorted(mut rules: Vec<Rule>) -> Vec<Rule> {
    rules.sort_by(|a, b| a.name.cmp(&b.name));
    rules
}

fn rule(word: &str) -> Rule {
    let words = BTreeSet::from([word.to_owned()]);
    Rule { name: format!("{}aaaaas01", name_prefix("shop")), mode: Mode::Stop, range: range(1), words }
}

/// Does what it is told.
#[derive(Default)]
struct Platform {
    rules: Vec<Found>,
    made: u32,
}

impl Platform {
    fn add(&mut self, rule: Rule) {
        self.made += 1;
        self.rules.push(Found { id: format!("r-{}", self.made), rule });
    }

    fn bring_to(&mut self, plan: &[Rule], handed: &[Handed]) {
        let (steps, _) = reconcile("shop", plan, handed, &self.rules);
        for step in steps {
            match step {
                Step::Add(rule) => self.add(rule),
                Step::Remove { id } => self.rules.retain(|found| found.id != id),
                Step::Update { id, from, to } => {
                    let found = self.rules.iter_mut().find(|found| found.id == id).unwrap();
                    assert_eq!(found.rule, from);
                    found.rule = to;
                }
            }
        }
    }

    fn ours(&self) -> Vec<Handed> {
        let ours = self.rules.iter().filter(|found| is_ours("shop", &found.rule.name));
        ours.map(|found| Handed { id: found.id.clone(), rule: found.rule.clone() }).collect()
    }
}

#[test]
fn a_rule_that_was_renamed_is_ours_and_one_whose_answer_was_lost_is_found_again() {
    let ours = rule("加微信");
    let renamed = Rule { name: "随便".into(), ..ours.clone() };
    let handed = [Handed { id: "r-1".into(), rule: ours.clone() }];
    let (steps, drift) = reconcile(
        "shop",
        std::slice::from_ref(&ours),
        &handed,
        &[Found { id: "r-1".into(), rule: renamed.clone() }],
    );
    assert_eq!(steps, [Step::Update { id: "r-1".into(), from: renamed, to: ours.clone() }]);
    assert_eq!(drift, [Drift { rule: ours.name.clone(), what: DriftKind::Changed }]);

    let lost = Found { id: "r-9".into(), rule: ours.clone() };
    assert_eq!(reconcile("shop", &[ours], &[], &[lost]), (Vec::new(), Vec::new()));
}

#[test]
fn words_that_stop_have_room_before_words_that_only_warn() {
    let all = [
        wanted(1, &[("a", Mode::Warn), ("b", Mode::Stop)]),
        wanted(2, &[("c", Mode::Stop), ("四个字词", Mode::Stop)]),
    ];
    let plan = plan("shop", &all, &[], Limits { rules: 2, ..LIMITS });
    let words: Vec<_> = plan.rules.iter().flat_map(|rule| rule.words.iter().cloned()).collect();
    assert_eq!(words, ["b", "c"]);
    let left: Vec<_> = plan.left_out.iter().map(|left| (left.word.as_str(), left.why)).collect();
    assert_eq!(left, [("a", Why::NoRoom), ("四个字词", Why::TooLong)]);
}

#[test]
fn rules_of_another_account_on_the_same_platform_are_not_ours() {
    assert!(is_ours("shop", &format!("{}00000s01", name_prefix("shop"))));
    assert!(!is_ours("shop-2", &format!("{}00000s01", name_prefix("shop"))));
    assert!(!is_ours("shop", "门神"));
}
