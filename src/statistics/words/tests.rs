//! Words, by hand and by drawing.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::alerts::baseline::Sensitivity;
use crate::interception;

fn check(text: &str, own: &[&str], expect: &[&str]) {
    let own = Own::new(own.iter().copied());
    let mut found = BTreeSet::new();
    words_of(text, &own, &mut found);
    let expect: BTreeSet<Box<str>> = expect.iter().map(|word| Box::from(*word)).collect();
    assert_eq!(found, expect, "{text}");
}

#[test]
fn a_message_falls_into_its_words() {
    check("草莓蛋糕什么时候补货", &[], &["草莓", "蛋糕", "补货", "时候"]);
    check("優惠券怎么领", &[], &["优惠券"]);
    check("Latte好喝，latte！", &[], &["latte", "好喝"]);
    check("", &[], &[]);
}

#[test]
fn own_words_are_whole() {
    check("豆乳麒麟补货了吗", &["豆乳麒麟"], &["豆乳麒麟", "补货"]);
    check("豆乳麒麟蛋糕", &["豆乳", "豆乳麒麟", "x", "第1"], &["豆乳麒麟", "蛋糕"]);
}

#[test]
fn numbers_links_ids_and_who_is_called_are_no_words() {
    for text in [
        "13812345678",
        "１３８１２３４５６７８",
        "①③⑧①②③④⑤⑥⑦⑧",
        "一三八一二三四五六七八",
        "https://example.com/shop?item=cake",
        "example.com",
        "wxid_abcdef",
        "abc123def",
        "someone@example.com",
        "@张三丰 ",
        "＠蛋糕师傅",
        "[微笑][强]",
        "😀😀",
    ] {
        check(text, &[], &[]);
    }
    check("@王小明 蛋糕到了", &[], &["蛋糕"]);
}

#[test]
fn a_name_is_no_word_in_whole_or_where_it_is_short() {
    for (word, name, is_name) in [
        ("张三", "张三", true),
        ("小明", "王小明", true),
        ("西瓜", "西瓜妈妈", true),
        ("西瓜", "爱吃西瓜的小王同学", false),
        ("蛋糕", "张三", false),
    ] {
        assert_eq!(is_of_name(word, name), is_name, "{word} {name}");
    }
}

#[test]
fn a_persons_number_is_another_every_day() {
    let on = |account, member, day| person_on(&[7; 16], account, member, day);
    assert_eq!(on("demo", "u-1", 20_000), on("demo", "u-1", 20_000));
    let all =
        BTreeSet::from([on("demo", "u-1", 20_000), on("demo", "u-1", 20_001), on("demo", "u-2", 20_000)]);
    assert_eq!(all.len(), 3);
}

fn said(words: &[(&str, &[u32])]) -> Said {
    let people = |people: &[u32]| people.iter().copied().collect::<BTreeSet<_>>();
    let words: BTreeMap<_, _> = words.iter().map(|(word, who)| (Box::from(*word), people(who))).collect();
    Said { messages: 1, speakers: words.values().flatten().copied().collect(), words }
}

#[test]
fn where_there_is_no_room_what_several_say_goes_before_what_one_says() {
    let mut kept = said(&[("甲甲", &[1]), ("乙乙", &[1, 2])]);
    assert_eq!(kept.add(said(&[("丙丙", &[3, 4]), ("丁丁", &[5]), ("甲甲", &[6])]), 2), 2);
    let words: Vec<_> = kept.words.keys().map(|word| &**word).collect();
    assert_eq!(words, ["乙乙", "甲甲"], "甲甲 has two people by then");
    let mut kept = said(&[("甲甲", &[1]), ("乙乙", &[1, 2])]);
    assert_eq!(kept.add(said(&[("丙丙", &[3, 4])]), 2), 1);
    assert!(kept.words.contains_key("丙丙") && !kept.words.contains_key("甲甲"));
}

#[test]
fn a_row_of_a_later_version_or_a_torn_one_is_refused() {
    assert!(Said::decode(&[9]).is_err());
    let row = said(&[("蛋糕", &[1, 2])]).encode();
    assert!(Said::decode(&row[..row.len() - 1]).is_err());
    assert_eq!(Said::decode(&[]).unwrap(), Said::default());
}

/// So many people say a word, out of so many who speak.
fn day(word: &str, people: u64, speakers: u64) -> Listed {
    let words = [(Box::from(word), people)].into_iter().filter(|(_, people)| *people > 0);
    Listed { messages: speakers, speakers, words: words.collect() }
}

#[test]
fn what_more_people_say_than_usual_rises() {
    let before: Vec<_> = [0, 2, 1, 0, 3, 1, 2].map(|people| Some(day("缺货", people, 100))).to_vec();
    let risen = rising(&day("缺货", 38, 100), &before, Sensitivity::High).unwrap();
    assert_eq!((&*risen[0].word, risen[0].people), ("缺货", 38));
    assert!(risen[0].usual.high <= 8 && risen[0].score > 5.0, "{risen:?}");
    assert_eq!(rising(&day("缺货", 4, 100), &before, Sensitivity::High), Some(Vec::new()));
    // Five times as many people speak: as many say it as ever.
    assert_eq!(rising(&day("缺货", 8, 500), &before, Sensitivity::High), Some(Vec::new()));
    // One freak among the days before hides nothing.
    let mut freak = before.clone();
    freak[3] = Some(day("缺货", 90, 100));
    assert_eq!(rising(&day("缺货", 38, 100), &freak, Sensitivity::High).unwrap().len(), 1);
    // Of too few days nothing can be said.
    let mut few = before;
    few[..4].fill(None);
    assert_eq!(rising(&day("缺货", 38, 100), &few, Sensitivity::High), None);
}

#[test]
fn a_person_in_several_groups_is_one() {
    let mut tally = Tally::default();
    for row in [said(&[("蛋糕", &[1, 2, 3])]), said(&[("蛋糕", &[3, 4]), ("面包", &[4])])] {
        tally.add(&row.encode(), &|_| true).unwrap();
    }
    let listed = tally.list(2);
    assert_eq!((listed.messages, listed.speakers), (2, 4));
    assert_eq!(listed.words.into_iter().collect::<Vec<_>>(), [(Box::from("蛋糕"), 4)]);
}

fn drawn() -> impl Strategy<Value = Said> {
    let words = prop::collection::btree_map("[a-d]{1,2}", prop::collection::btree_set(0..20_u32, 1..6), 0..8);
    (0..9_u64, prop::collection::btree_set(0..20_u32, 0..6), words).prop_map(|(messages, speakers, words)| {
        Said {
            messages,
            speakers,
            words: words.into_iter().map(|(word, people)| (word.into(), people)).collect(),
        }
    })
}

proptest! {
    #[test]
    fn rows_are_read_as_they_were_written(said in drawn()) {
        prop_assert_eq!(Said::decode(&said.encode()).unwrap(), said);
    }

    /// Against sets of (word, person), in whatever order and however often it comes.
    #[test]
    fn people_are_counted_once_in_any_order(mut all in prop::collection::vec(drawn(), 0..5), turn in 0..5_usize) {
        let mut oracle: BTreeSet<(Box<str>, u32)> = BTreeSet::new();
        for said in &all {
            oracle.extend(said.words.iter().flat_map(|(word, who)| who.iter().map(|one| (word.clone(), *one))));
        }
        if let Some(again) = all.first().cloned() {
            all.push(again);
            let turn = turn % all.len();
            all.rotate_left(turn);
        }
        let (mut kept, mut tally) = (Said::default(), Tally::default());
        for said in all {
            tally.add(&said.encode(), &|_| true).unwrap();
            prop_assert_eq!(kept.add(said, 1_000), 0);
        }
        let held: BTreeSet<(Box<str>, u32)> =
            kept.words.iter().flat_map(|(word, who)| who.iter().map(|one| (word.clone(), *one))).collect();
        prop_assert_eq!(&held, &oracle);
        for (word, people) in tally.list(1).words {
            prop_assert_eq!(people, oracle.iter().filter(|(of, _)| *of == word).count() as u64);
        }
    }

    #[test]
    fn no_word_has_a_digit_or_is_of_one_character(text in "\\PC{0,40}") {
        let mut found = BTreeSet::new();
        words_of(&text, &Own::default(), &mut found);
        let mut folded = String::new();
        for word in found {
            prop_assert!(word.chars().count() >= 2 && !word.contains(char::is_numeric), "{}", word);
            interception::fold_into(&word, &mut folded);
            prop_assert_eq!(&*folded, &*word);
        }
    }
}
