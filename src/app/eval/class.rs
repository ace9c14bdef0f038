//! The classes of evasion that are measured, each with its names and what the project aims at.

use std::fmt;

/// One way of writing a term so that a filter does not see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// As listed: what is missed here is no question of evasion.
    Plain,
    /// Traditional characters for all that have one.
    Traditional,
    /// Variant characters 异体字.
    Variant,
    /// Full width, other case, styled letters and digits.
    Width,
    /// White space between characters.
    Spaces,
    /// Punctuation and symbols between characters.
    Separators,
    /// Emoji that mean nothing between characters.
    Fillers,
    /// Invisible and combining characters.
    ZeroWidth,
    /// A character, or each, written several times.
    Repeat,
    /// One character of the same sound.
    HomophoneOne,
    /// Half of the characters by ones of the same sound.
    HomophoneHalf,
    /// All characters by ones of the same sound.
    HomophoneAll,
    /// Pinyin in full, syllables apart.
    PinyinSpaced,
    /// Pinyin in full, run together.
    PinyinJoined,
    /// Some characters in pinyin.
    PinyinMixed,
    /// First letters of the syllables.
    Initials,
    /// One character taken apart.
    SplitOne,
    /// Every character taken apart that can be.
    SplitAll,
    /// One character taken apart, its parts in the other order.
    SplitReversed,
    /// One character that looks alike.
    LookOne,
    /// All characters by ones that look alike.
    LookAll,
    /// Letters and radicals of other blocks that look the same.
    Confusable,
    /// An emoji that means the word.
    Picture,
    /// An emoji whose name sounds like the character.
    PictureSound,
    /// Every character by an emoji that has one.
    PictureAll,
    /// Two neighbours changed places.
    Swapped,
    /// Digits and signs for letters.
    Leet,
    /// Another trick for each character.
    Mixed,
}

/// A class in words.
struct Row {
    class: Class,
    name: &'static str,
    chinese: &'static str,
    aim: Option<u8>,
}

const fn row(class: Class, name: &'static str, chinese: &'static str, aim: u8) -> Row {
    Row { class, name, chinese, aim: if aim == 0 { None } else { Some(aim) } }
}

/// In the order of [`Class`]; 0 is no aim.
const ROWS: [Row; 28] = [
    row(Class::Plain, "plain", "原样", 0),
    row(Class::Traditional, "traditional", "繁体", 99),
    row(Class::Variant, "variant", "异体字", 0),
    row(Class::Width, "width", "全角与花体", 99),
    row(Class::Spaces, "spaces", "空格", 99),
    row(Class::Separators, "separators", "标点符号", 99),
    row(Class::Fillers, "fillers", "表情隔开", 99),
    row(Class::ZeroWidth, "zero-width", "零宽字符", 99),
    row(Class::Repeat, "repeat", "叠字", 0),
    row(Class::HomophoneOne, "homophone-one", "同音一字", 90),
    row(Class::HomophoneHalf, "homophone-half", "同音半数", 90),
    row(Class::HomophoneAll, "homophone-all", "同音全部", 90),
    row(Class::PinyinSpaced, "pinyin-spaced", "拼音分写", 95),
    row(Class::PinyinJoined, "pinyin-joined", "拼音连写", 95),
    row(Class::PinyinMixed, "pinyin-mixed", "拼音夹字", 95),
    row(Class::Initials, "initials", "首字母", 60),
    row(Class::SplitOne, "split-one", "拆一字", 90),
    row(Class::SplitAll, "split-all", "全拆", 90),
    row(Class::SplitReversed, "split-reversed", "反序拆字", 90),
    row(Class::LookOne, "look-one", "形近一字", 85),
    row(Class::LookAll, "look-all", "形近全部", 85),
    row(Class::Confusable, "confusable", "异码同形", 85),
    row(Class::Picture, "picture", "表情代义", 85),
    row(Class::PictureSound, "picture-sound", "表情代音", 85),
    row(Class::PictureAll, "picture-all", "表情全部", 85),
    row(Class::Swapped, "swapped", "换位", 80),
    row(Class::Leet, "leet", "数字代字母", 0),
    row(Class::Mixed, "mixed", "混合", 0),
];

impl Class {
    /// Returns all classes in the order of the report.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.class)
    }

    /// Returns the name in English.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Returns the name in Chinese.
    pub fn chinese(self) -> &'static str {
        self.row().chinese
    }

    /// Returns the recall in percent that is aimed at when everything counts.
    pub fn aim(self) -> Option<u8> {
        self.row().aim
    }

    fn row(self) -> &'static Row {
        ROWS.iter().find(|row| row.class == self).unwrap_or(&ROWS[0])
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_class_has_a_row_of_its_own() {
        let classes: BTreeSet<_> = Class::all().collect();
        let names: BTreeSet<_> = Class::all().map(Class::name).collect();
        assert_eq!((classes.len(), names.len()), (ROWS.len(), ROWS.len()));
        assert!(ROWS.is_sorted_by_key(|row| row.class));
        assert_eq!(classes.last(), Some(&Class::Mixed));
    }
}
