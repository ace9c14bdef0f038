//! What folds to what.

use proptest::prelude::*;

use super::*;
use crate::interception::encode::{Alphabet, CLASS_NONE, Classes};

fn folded(text: &str) -> String {
    let mut out = String::from("what was there before");
    fold_into(text, &mut out);
    out
}

#[test]
fn spellings_of_one_word_fold_to_one_form() {
    for (text, expect) in [
        ("加微信", "加微信"),
        ("加 微\u{3000}信", "加微信"),
        ("加·微·信", "加微信"),
        ("加\u{200B}微\u{FE0F}信", "加微信"),
        ("加҉微҉信", "加微信"),
        ("加丶微丶信", "加微信"),
        ("ＷｅＣｈａｔ", "wechat"),
        ("ⓌⓍ号", "wx号"),
        ("𝐕𝐗", "vx"),
        ("🅥🅧", "vx"),
        ("🇻🇽", "vx"),
        ("ᴠ信", "v信"),
        ("①②③❹➄⓺", "123456"),
        ("壹贰叁肆伍陆柒捌玖拾", "一二三四五六七八九十"),
        ("⻩⽚⻔", "黄片门"),
        ("⑩", "10"),
        ("㎏", "kg"),
        ("½", "12"),
        ("代開發票", "代开发票"),
        ("臺灣", "台湾"),
        ("頭髮發財", "头发发财"),
        ("乾杯幹活", "干杯干活"),
        ("跟著後面", "跟着后面"),
        ("甚麼藉口", "什么借口"),
        ("回覆項鍊", "回复项链"),
        ("躰驗鎗枝", "体验枪枝"),
        ("発票価値", "发票价值"),
        ("听话氺", "听话水"),
        ("㊙", "秘"),
        ("⼀", "一"),
        ("café", "cafe"),
        ("cafe\u{301}", "cafe"),
        ("ｶﾞ", "カ"),
        ("한국", "한국"),
        ("好用™", "好用"),
        ("1️⃣", "1"),
        ("。！？…😀❤", ""),
        ("", ""),
        ("\u{0}", ""),
    ] {
        assert_eq!(folded(text), expect, "{text:?}");
    }
}

/// What the table changes in phrases only is folded too, but where both characters are written every day for different words,
/// or nobody writes either.
#[test]
fn phrases_of_the_table_fold_to_one_form() {
    const APART: &str = "沈坏逕鍾鉅么哩畫噁鍊";
    for (from, to) in
        expand_table(ZH_HANS_TABLE).filter(|(from, to)| from.chars().count() == to.chars().count())
    {
        for (from, to) in from.chars().zip(to.chars()).filter(|(from, _)| !APART.contains(*from)) {
            assert_eq!(folded(&from.to_string()), folded(&to.to_string()), "{from} {to}");
        }
    }
}

#[test]
fn the_second_of_a_pair_folds_to_itself() {
    let all = [forms::ONE_OF_MANY, forms::ONE_WAY, forms::INSTEAD, forms::OTHER_FORMS, forms::JAPANESE_FORMS];
    for (from, to) in all.into_iter().flat_map(pairs_of) {
        assert_eq!(folded(&from.to_string()), to.to_string(), "{from}");
        assert_eq!(folded(&to.to_string()), to.to_string(), "{from} {to}");
    }
}

#[test]
fn folding_is_idempotent_for_every_scalar() {
    let mut again = String::new();
    for c in '\0'..=char::MAX {
        let once = folded(&c.to_string());
        fold_into(&once, &mut again);
        assert_eq!(again, once, "U+{:04X}", u32::from(c));
    }
}

#[test]
fn foldings_are_named() {
    for (c, expect) in [
        ('加', vec![]),
        ('w', vec![]),
        ('W', vec![Via::Case]),
        ('ｗ', vec![Via::Width]),
        ('Ｗ', vec![Via::Case, Via::Width]),
        ('ⓦ', vec![Via::Style]),
        ('❶', vec![Via::Style]),
        ('開', vec![Via::Traditional]),
    ] {
        assert_eq!(foldings(c).collect::<Vec<_>>(), expect, "{c}");
    }
}

#[test]
fn every_spelling_of_a_letter_has_its_class() {
    let alphabet = Alphabet::new(&['w', '开', '𫝈'], |_| false);
    for (text, expect) in [
        ("w", vec![1]),
        ("Ｗ ⓦ", vec![1, 1]),
        ("開开", vec![2, 2]),
        ("好", vec![CLASS_NONE]),
        ("，", vec![]),
        ("㎏", vec![CLASS_NONE, CLASS_NONE]),
        ("𫝈", vec![3]),
    ] {
        let mut out = Classes::default();
        alphabet.encode("the text before", &mut out);
        alphabet.encode(text, &mut out);
        assert_eq!(out.as_slice(), expect, "{text}");
    }
}

proptest! {
    #[test]
    fn units_and_fold_agree(text in "\\PC{0,40}|[加微信ＶＸ㎏⑩開 ·\u{200B}]{0,20}") {
        let mut units = Vec::new();
        units_into(&text, &mut units);
        prop_assert_eq!(units.iter().map(|u| u.folded).collect::<String>(), folded(&text));
        for unit in units {
            let original = text.get(unit.start..unit.end).map(str::to_owned);
            prop_assert_eq!(original, Some(unit.original.to_string()));
        }
    }

    #[test]
    fn classes_stand_where_units_stand(text in "\\PC{0,40}|[加微信ＶＸ㎏⑩開 ·\u{200B}]{0,20}") {
        let alphabet = Alphabet::new(&['加', 'v', '1', '0', '开'], |c| c == '❤');
        let (mut units, mut classes) = (Vec::new(), Classes::default());
        units_into(&text, &mut units);
        alphabet.encode(&text, &mut classes);
        prop_assert_eq!(units.iter().map(|u| alphabet.class(u.folded)).collect::<Vec<_>>(), classes.as_slice());
    }
}
