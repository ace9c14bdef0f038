//! What each class promises of its cloaks, over terms of many kinds and many seeds.

use super::*;

const TERMS: [&str; 12] = [
    "加微信",
    "代开发票",
    "赌博",
    "信用卡套现",
    "高薪兼职",
    "银行贷款",
    "药物",
    "qq群",
    "加vx",
    "VIP会员",
    "日赚1000元",
    "请加我手机",
];

/// Calls back with a term and each of its cloaks; returns how many there were.
fn each(class: Class, mut see: impl FnMut(&str, &str)) -> usize {
    let mut count = 0;
    for term in TERMS {
        for seed in 0..60 {
            if let Some(cloaked) = cloak(class, term, &mut Chance::new(seed, &[term])) {
                count += 1;
                see(term, &cloaked);
            }
        }
    }
    count
}

/// How many characters are at their place but others than in the term; none when the lengths differ.
fn changed(term: &str, cloaked: &str) -> Option<usize> {
    let same_length = term.chars().count() == cloaked.chars().count();
    same_length.then(|| term.chars().zip(cloaked.chars()).filter(|(one, other)| one != other).count())
}

/// Says whether the characters of the term are all there, in their order.
fn holds_in_order(term: &str, cloaked: &str) -> bool {
    let mut rest = cloaked.chars();
    term.chars().all(|c| rest.any(|other| other == c))
}

fn sound(text: &str) -> String {
    let chars: Vec<_> = text.chars().collect();
    Tables::get().syllables(&chars).into_iter().flatten().collect()
}

#[test]
fn every_class_makes_cloaks_that_differ_and_follow_from_the_seed() {
    for class in Class::all().filter(|class| *class != Class::Plain) {
        let count = each(class, |term, cloaked| assert_ne!(term, cloaked, "{class}"));
        assert!(count > 0 || class == Class::Variant, "{class} makes nothing of any term");
        let draw = || cloak(class, "信用卡套现", &mut Chance::new(5, &[]));
        assert_eq!(draw(), draw(), "{class}");
    }
    assert_eq!(cloak(Class::Plain, "加微信", &mut Chance::new(1, &[])).as_deref(), Some("加微信"));
}

#[test]
fn what_is_put_between_leaves_the_term_in_order() {
    for class in [Class::Spaces, Class::Separators, Class::Fillers, Class::ZeroWidth, Class::Repeat] {
        each(class, |term, cloaked| assert!(holds_in_order(term, cloaked), "{class}: {term} → {cloaked}"));
    }
    each(Class::ZeroWidth, |_, cloaked| assert!(cloaked.chars().all(|c| c != ' ')));
    each(Class::Spaces, |term, cloaked| {
        let solid: String = cloaked.chars().filter(|c| !c.is_whitespace()).collect();
        assert_eq!(solid, term);
    });
}

#[test]
fn another_form_changes_characters_one_by_one() {
    each(Class::Traditional, |term, cloaked| {
        assert!(changed(term, cloaked).is_some_and(|n| n > 0), "{cloaked}");
    });
    each(Class::Width, |term, cloaked| {
        let changed = term.chars().zip(cloaked.chars()).filter(|(one, other)| one != other);
        assert!(changed.clone().count() > 0 && changed.clone().all(|(c, _)| !is_han(c) || c == '一'));
    });
    let variant = cloak(Class::Variant, "借款人", &mut Chance::new(1, &[]));
    assert_eq!(variant.as_deref(), Some("借欵人"));
}

#[test]
fn homophones_sound_as_the_term() {
    each(Class::HomophoneOne, |term, cloaked| assert_eq!(changed(term, cloaked), Some(1), "{cloaked}"));
    each(Class::HomophoneHalf, |term, cloaked| {
        assert!(changed(term, cloaked).is_some_and(|n| n <= term.chars().count().div_ceil(2)), "{cloaked}");
    });
    each(Class::HomophoneAll, |term, cloaked| {
        let sounds = |text: &str| text.chars().map(|c| sound(&c.to_string())).collect::<Vec<_>>();
        let usual: Vec<char> = term.chars().collect();
        let read = Tables::get().syllables(&usual);
        for (written, meant) in sounds(cloaked).iter().zip(read) {
            assert_eq!(written.as_str(), meant.unwrap_or_default(), "{term} → {cloaked}");
        }
    });
}

#[test]
fn pinyin_is_that_of_the_term() {
    let spell = |class, term| {
        let draws = (0..40).filter_map(|seed| cloak(class, term, &mut Chance::new(seed, &[])));
        draws.collect::<Vec<_>>()
    };
    assert!(spell(Class::PinyinSpaced, "银行贷款").iter().any(|text| text == "yin hang dai kuan"));
    assert!(spell(Class::PinyinJoined, "加vx女").iter().all(|text| text.eq_ignore_ascii_case("jiavxnv")));
    assert!(spell(Class::Initials, "代开发票").iter().all(|text| text.eq_ignore_ascii_case("dkfp")));
    assert!(spell(Class::PinyinMixed, "微信").iter().all(|text| ["wei信", "微xin"].contains(&text.as_str())));
    for text in spell(Class::PinyinMixed, "代开发票") {
        assert!(text.chars().any(is_han) && text.chars().any(|c| c.is_ascii_lowercase()), "{text}");
    }
}

#[test]
fn parts_stand_for_their_character() {
    let split = |class| (0..40).filter_map(move |seed| cloak(class, "非法", &mut Chance::new(seed, &[])));
    assert!(split(Class::SplitOne).all(|text| ["非氵去", "非水去"].contains(&text.as_str())));
    assert!(split(Class::SplitReversed).all(|text| ["非去氵", "非去水"].contains(&text.as_str())));
    each(Class::SplitAll, |term, cloaked| {
        assert!(cloaked.chars().count() > term.chars().count(), "{cloaked}");
    });
}

#[test]
fn look_alikes_are_of_the_tables() {
    let tables = Tables::get();
    let known = |c: char, other: char| {
        [&tables.looks, &tables.confusables].iter().any(|t| t.get(&c).is_some_and(|l| l.contains(&other)))
    };
    for class in [Class::LookOne, Class::LookAll, Class::Confusable] {
        each(class, |term, cloaked| {
            for (c, other) in term.chars().zip(cloaked.chars()) {
                assert!(c == other || known(c, other), "{class}: {term} → {cloaked}");
            }
        });
    }
    each(Class::Confusable, |_, cloaked| assert!(!cloaked.is_ascii()));
}

#[test]
fn pictures_stand_for_words_and_sounds() {
    let draw = |class, term| {
        let draws = (0..60).filter_map(|seed| cloak(class, term, &mut Chance::new(seed, &[])));
        draws.collect::<std::collections::BTreeSet<_>>()
    };
    assert!(draw(Class::Picture, "加微信").contains("➕微信"));
    assert!(draw(Class::Picture, "qq群").contains("🐧群"));
    assert!(draw(Class::Picture, "卖药").iter().any(|text| text.starts_with("卖💊")));
    assert!(draw(Class::PictureSound, "微信").iter().any(|text| text.starts_with("微❤")));
    each(Class::PictureAll, |_, cloaked| assert!(cloaked.chars().any(|c| !c.is_alphanumeric()), "{cloaked}"));
}

#[test]
fn swapped_neighbours_are_the_same_characters() {
    each(Class::Swapped, |term, cloaked| {
        assert_eq!(changed(term, cloaked), Some(2), "{cloaked}");
        let sorted = |text: &str| {
            let mut chars: Vec<_> = text.chars().collect();
            chars.sort_unstable();
            chars
        };
        assert_eq!(sorted(term), sorted(cloaked));
    });
}

#[test]
fn leetspeak_is_for_letters_alone() {
    each(Class::Leet, |term, cloaked| {
        let changed = term.chars().zip(cloaked.chars()).filter(|(one, other)| one != other);
        assert!(
            changed.clone().all(|(c, sign)| c.is_ascii_alphabetic() && !sign.is_alphabetic()),
            "{cloaked}"
        );
    });
    assert_eq!(cloak(Class::Leet, "加微信", &mut Chance::new(1, &[])), None);
}

#[test]
fn a_mixture_has_two_tricks_and_more() {
    let count = each(Class::Mixed, |term, cloaked| {
        let kept = term.chars().filter(|c| cloaked.contains(*c)).count();
        let longer = cloaked.chars().count() > term.chars().count();
        assert!(longer || kept + 2 <= term.chars().count(), "{term} → {cloaked}");
    });
    assert!(count > 300, "{count}");
}

#[test]
fn no_text_is_too_strange() {
    for term in ["", "a", "一", "\u{200B}", "👩‍👩‍👧", "é", "𩽾𩾌", "   ", "\0"] {
        for class in Class::all() {
            for seed in 0..5 {
                assert!(
                    cloak(class, term, &mut Chance::new(seed, &[]))
                        .is_none_or(|text| class == Class::Plain || text != term)
                );
            }
        }
    }
}
