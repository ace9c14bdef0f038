//! Figures of small rulesets whose hits can be told by hand.

use super::*;
use crate::interception::{Config, Origin};

const CLEAN: [&str; 4] = ["今天的草莓甜不甜呀", "店长在吗，几点关门", "加微信的是骗子", "没有赌　博的事"];

fn evaluation(terms: &str, setting: impl FnOnce(&mut Setting<'_>)) -> Evaluation {
    let lists = [WordlistSource::parse("list", Origin::File, terms).unwrap()];
    let (ruleset, _) = Ruleset::compile("t", &lists, Vec::new(), &Config::default()).unwrap();
    let policies = ["relaxed", "strict"].iter().filter_map(|name| ruleset.policy(name)).collect();
    let mut set = Setting { policies, seed: 1, per_class: 8, examples: 3 };
    setting(&mut set);
    let mut steps = 0;
    let evaluation = evaluate(&ruleset, &lists, &CLEAN, &set, || steps += 1);
    assert_eq!(steps, set.policies.len() + Class::all().count());
    evaluation
}

fn of(evaluation: &Evaluation, class: Class, policy: &str) -> Recall {
    let is = |r: &&Recall| r.class == class && r.policy == policy;
    evaluation.recalls.iter().find(is).cloned().unwrap()
}

#[test]
fn terms_as_written_are_all_found_and_named() {
    let plain = of(&evaluation("加微信\n赌博\n", |_| ()), Class::Plain, "relaxed");
    assert_eq!(plain.found, Found { cases: 2, any: 2, right: 2 });
    assert_eq!((plain.by_length[0].cases, plain.by_length[1].cases, plain.by_length[2].cases), (1, 1, 0));
    assert!(plain.missed.is_empty());
}

#[test]
fn what_is_missed_is_counted_and_kept_as_an_example() {
    // The engine is told of another term only, so whatever is cloaked is missed.
    let listed = [WordlistSource::parse("list", Origin::File, "天上地下\n").unwrap()];
    let wanted = [WordlistSource::parse("list", Origin::File, "加微信\n代开发票\n赌博\n").unwrap()];
    let (ruleset, _) = Ruleset::compile("t", &listed, Vec::new(), &Config::default()).unwrap();
    let policies = vec![ruleset.policy("strict").unwrap()];
    let setting = Setting { policies, seed: 1, per_class: 8, examples: 2 };
    let evaluation = evaluate(&ruleset, &wanted, &CLEAN, &setting, || ());
    let missed = of(&evaluation, Class::Plain, "strict");
    assert_eq!(missed.found, Found { cases: 3, any: 0, right: 0 });
    assert_eq!(missed.missed.len(), 2);
}

#[test]
fn a_hit_of_another_term_is_a_hit_but_not_the_right_one() {
    let evaluation = evaluation("微信\n加微信\n", |_| ());
    let swapped = of(&evaluation, Class::Swapped, "relaxed");
    assert_eq!(swapped.found.cases, 2);
    // 微加信 or 加信微, and 信微.
    assert!(swapped.found.right <= swapped.found.any);
    let homophone = of(&evaluation, Class::HomophoneOne, "relaxed");
    assert_eq!(homophone.found.cases, 2);
    assert_eq!(homophone.found.right, 0, "relaxed knows no homophones");
}

#[test]
fn ordinary_talk_is_counted_by_what_disturbs_it() {
    let evaluation = evaluation("加微信\n赌博\n", |_| ());
    let relaxed = evaluation.disturbances.iter().find(|d| d.policy == "relaxed").unwrap();
    assert_eq!((relaxed.messages, relaxed.substring, relaxed.added), (4, 1, 0));
    assert_eq!(relaxed.worst.first().map(|o| (o.term.as_str(), o.messages)), Some(("加微信", 1)));
    let strict = evaluation.disturbances.iter().find(|d| d.policy == "strict").unwrap();
    assert_eq!(strict.hit, 2, "strict looks through the space");
    assert_eq!(strict.by_variants, 0);
}

#[test]
fn the_same_seed_gives_the_same_figures_and_another_seed_other_cases() {
    let terms = "加微信\n代开发票\n赌博\n高薪兼职\n信用卡套现\n";
    let missed = |seed| {
        let evaluation = evaluation(terms, |setting| setting.seed = seed);
        evaluation.recalls.into_iter().map(|r| (r.found, r.missed)).collect::<Vec<_>>()
    };
    assert_eq!(missed(1), missed(1));
    assert_ne!(missed(1), missed(2));
}

#[test]
fn lengths_take_turns_and_what_nobody_cloaks_is_left_out() {
    let terms = ["甲乙", "丙丁", "戊己", "代开发票", "a.com", "一", "加微信领取一百元大红包好不好"];
    let setting = Setting { policies: Vec::new(), seed: 1, per_class: 3, examples: 0 };
    let lengths: Vec<_> =
        cases(Class::Plain, &terms, &[], &setting).iter().map(|c| c.term.chars().count()).collect();
    assert_eq!(lengths, [2, 4, 2]);
    let all = cases(Class::Plain, &terms, &[], &Setting { per_class: 100, ..setting });
    assert_eq!(all.len(), 4);
}
