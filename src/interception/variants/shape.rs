//! How characters look: look-alikes, parts that are written apart (拆字), letters of other alphabets.
//!
//! Tables of our own under `tables/`, derived as their headers say; letters come from Unicode's confusables
//! (`unicode-security`). Not for: telling whether a writer meant it (`ordinary`).

use hashbrown::{HashMap, HashSet};
use std::sync::LazyLock;

use unicode_security::confusable_detection::skeleton;

use crate::interception::fold::{Folded, fold};

/// All tables; built once per process.
pub(super) static SHAPES: LazyLock<Shapes> = LazyLock::new(Shapes::build);

/// Most parts of a split character.
pub(super) const PARTS_MAX: usize = 3;

/// Look-alikes and parts.
pub(super) struct Shapes {
    alike: HashMap<char, Box<[char]>>,
    /// Characters by their parts; the parts are [written plainly](plain_part).
    whole: HashMap<[char; PARTS_MAX], Box<[char]>>,
    /// Every form of a part, with how it is written plainly.
    parts: HashMap<char, char>,
    /// By two parts that stand side by side, hashed: characters may be written so. Nearly no two are.
    pairs: Box<[u64; PAIR_WORDS]>,
}

/// 32 KiB.
const PAIR_WORDS: usize = 1 << 12;

impl Shapes {
    fn build() -> Self {
        let mut alike: HashMap<char, Vec<char>> = HashMap::new();
        for line in entries(include_str!("tables/lookalikes.txt")) {
            let (of, like) = match line.split_once('>') {
                Some((of, like)) => (of, like),
                None => (line, line),
            };
            for a in of.chars() {
                for b in like.chars().filter(|b| *b != a) {
                    alike.entry(a).or_default().push(b);
                    alike.entry(b).or_default().push(a);
                }
            }
        }
        let mut whole: HashMap<[char; PARTS_MAX], Vec<char>> = HashMap::new();
        for line in entries(include_str!("tables/splits.txt")) {
            let mut words = line.split(' ');
            let Some(c) = words.next().and_then(|word| word.chars().next()) else { continue };
            for parts in words.filter_map(key_of) {
                whole.entry(parts).or_default().push(c);
            }
        }
        let plain: Vec<char> = whole.keys().flatten().copied().filter(|part| *part != '\0').collect();
        let forms = PLAIN.iter().filter(|(_, part)| plain.contains(part)).map(|(form, part)| (*form, *part));
        let parts = plain.iter().map(|part| (*part, *part)).chain(forms).collect();
        let mut pairs = vec![0; PAIR_WORDS].into_boxed_slice();
        for key in whole.keys() {
            let last = key.iter().position(|part| *part == '\0').unwrap_or(PARTS_MAX);
            let (written, mut reversed) = (*key, *key);
            reversed[..last].reverse();
            for [first, second, ..] in [written, reversed] {
                let (word, bit) = pair_slot(first, second);
                pairs[word] |= 1 << bit;
            }
        }
        let pairs = pairs.try_into().expect("made with this length");
        Self { alike: sorted(alike), whole: sorted(whole), parts, pairs }
    }

    /// Says whether two parts, written plainly, may be the first of a character's, in either order; hardly ever by mistake.
    pub(super) fn may_begin(&self, first: char, second: char) -> bool {
        let (word, bit) = pair_slot(first, second);
        self.pairs[word] >> bit & 1 != 0
    }

    /// Returns the characters that look like `c`.
    pub(super) fn alike(&self, c: char) -> &[char] {
        self.alike.get(&c).map(AsRef::as_ref).unwrap_or_default()
    }

    /// Says whether two characters look alike.
    pub(super) fn are_alike(&self, a: char, b: char) -> bool {
        self.alike(a).binary_search(&b).is_ok()
    }

    /// Returns a folded character that may be a part of others, written plainly: 水 for 氵.
    pub(super) fn part(&self, c: char) -> Option<char> {
        self.parts.get(&c).copied()
    }

    /// Returns the characters that these two or three parts, written plainly, make in this order.
    pub(super) fn whole(&self, parts: &[char]) -> &[char] {
        let mut key = ['\0'; PARTS_MAX];
        for (place, part) in key.iter_mut().zip(parts) {
            *place = *part;
        }
        self.whole.get(&key).map(AsRef::as_ref).unwrap_or_default()
    }
}

fn pair_slot(first: char, second: char) -> (usize, u32) {
    let hash = (u32::from(first) << 16 ^ u32::from(second)).wrapping_mul(0x9E37_79B9);
    ((hash >> 20) as usize & (PAIR_WORDS - 1), hash >> 14 & 63)
}

/// Characters whose parts are ordinary characters that hardly ever stand side by side.
const APART: &str = include_str!("tables/apart.txt");

/// Lists every two characters that stand for a third where they meet, in each of their forms, folded.
pub(in crate::interception) fn apart() -> impl Iterator<Item = ([char; 2], char)> {
    let whole: HashSet<char> = entries(APART).flat_map(str::chars).collect();
    let pairs = SHAPES.whole.iter().filter(|(parts, _)| parts[1] != '\0' && parts[2] == '\0');
    let made = pairs.flat_map(|(parts, made)| made.iter().map(move |c| (parts, *c)));
    made.filter(move |(_, c)| whole.contains(c)).flat_map(|([first, second, _], c)| {
        forms(*first).flat_map(move |first| forms(*second).map(move |second| ([first, second], c)))
    })
}

fn entries(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.lines().filter(|line| !line.starts_with('#'))
}

fn key_of(parts: &str) -> Option<[char; PARTS_MAX]> {
    let mut key = ['\0'; PARTS_MAX];
    let mut places = key.iter_mut();
    for part in parts.chars() {
        *places.next()? = plain_part(part);
    }
    Some(key)
}

fn sorted<K: std::hash::Hash + Eq>(lists: HashMap<K, Vec<char>>) -> HashMap<K, Box<[char]>> {
    let sorted = |mut list: Vec<char>| {
        list.sort_unstable();
        list.dedup();
        list.into_boxed_slice()
    };
    lists.into_iter().map(|(key, list)| (key, sorted(list))).collect()
}

/// Ways to write a part, the plain one first: a radical, and the character that a writer types for it.
const FORMS: [&str; 47] = [
    "一ー丿",
    "人亻",
    "阜阝邑",
    "水氵氺",
    "讠言訁",
    "心忄⺗",
    "手扌才",
    "纟糸糹丝",
    "金钅釒",
    "火灬",
    "饣食飠",
    "犬犭",
    "示礻",
    "衣衤",
    "艹草艸䒑",
    "辶走辵",
    "刀刂⺈",
    "竹⺮",
    "足⻊",
    "玉王",
    "肉月⺼",
    "西覀襾",
    "攵攴",
    "爪爫",
    "车車",
    "贝貝",
    "门門",
    "马馬",
    "鱼魚",
    "日曰",
    "卩㔾",
    "彐彑",
    "匸匚",
    "户戶",
    "羊⺷",
    "牛牜",
    "长镸",
    "乙乚",
    "网罒",
    "川巛",
    "夂夊",
    "病疒",
    "冰冫",
    "小⺌",
    "虎虍",
    "八丷",
    "聿肀",
];

static PLAIN: LazyLock<HashMap<char, char>> = LazyLock::new(|| {
    let forms = FORMS.iter().filter_map(|forms| Some((forms.chars().next()?, forms)));
    let folded = |form| match fold(form) {
        Folded::One(folded) => folded,
        Folded::Skip | Folded::Several(_) => form,
    };
    let written = |form| [form, folded(form)];
    forms.flat_map(|(plain, forms)| forms.chars().flat_map(written).map(move |form| (form, plain))).collect()
});

/// Yields all ways to write a plain part that folding does not make one.
fn forms(plain: char) -> impl Iterator<Item = char> {
    let others =
        FORMS.iter().filter(move |forms| forms.starts_with(plain)).flat_map(|forms| forms.chars().skip(1));
    std::iter::once(plain).chain(others.filter(|c| fold(*c) == Folded::One(*c)))
}

/// One way to write a part: 氵 is 水, 言 is 讠, and folding has been here already.
fn plain_part(part: char) -> char {
    let part = match fold(part) {
        Folded::One(folded) => folded,
        Folded::Skip | Folded::Several(_) => part,
    };
    PLAIN.get(&part).copied().unwrap_or(part)
}

/// What Unicode does not call confusable and a reader does: kana and Chinese characters, Greek and Cyrillic and Latin letters.
const DRAWN: &str = "ー一 ｰ一 ニ二 ミ三 チ千 ハ八 カ力 ロ口 タ夕 ト卜 エ工 オ才 ヌ又 メ乂 ム厶 ヒ匕 サ艹 イ亻 ネ礻 ワ冖 ウ宀 リ刂 ヨ彐 キ丰 ホ木 \
    κk ηn τt νv υu χx ωw ιi βb ρp θo εe σo кk нh вb мm тt пn иu гr яr ьb ъb ыb шw щw зe эe лn дa цu жx фo юo єe";

/// Returns the Latin letter, digit or ideograph that `c`, of another alphabet, is drawn like.
pub(super) fn drawn_like(c: char) -> Option<char> {
    if c.is_ascii() || ('\u{3400}'..='\u{9FFF}').contains(&c) {
        return None;
    }
    if let Some(like) = DRAWN.split(' ').find_map(|pair| pair.strip_prefix(c)) {
        return like.chars().next();
    }
    let mut drawn = String::new();
    drawn.extend(skeleton(c.encode_utf8(&mut [0; 4])));
    let mut letters = drawn.chars().flat_map(char::to_lowercase);
    match (letters.next(), letters.next()) {
        (Some(letter), None) if letter != c => match fold(letter) {
            Folded::One(folded) => Some(folded),
            Folded::Skip | Folded::Several(_) => None,
        },
        (Some(_) | None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_go_both_ways() {
        let shapes = &*SHAPES;
        for (a, b) in
            [('未', '末'), ('己', '已'), ('人', '入'), ('群', '裙'), ('代', '伐'), ('加', '伽'), ('微', '薇')]
        {
            assert!(shapes.are_alike(a, b) && shapes.are_alike(b, a), "{a}{b}");
        }
        assert!(!shapes.are_alike('微', '信'));
    }

    #[test]
    fn parts_make_their_character_in_any_form() {
        let shapes = &*SHAPES;
        for (parts, whole) in [
            ("氵去", '法'),
            ("水去", '法'),
            ("亻言", '信'),
            ("人言", '信'),
            ("讠正", '证'),
            ("木木", '林'),
            ("言身寸", '谢'),
            ("弓长", '张'),
            ("才丁", '打'),
            ("病丙", '病'),
        ] {
            let parts: Vec<char> = parts.chars().filter_map(|part| shapes.part(part)).collect();
            assert!(shapes.whole(&parts).contains(&whole), "{whole}");
        }
        assert!(shapes.whole(&['微', '信']).is_empty() && shapes.part('a').is_none());
    }

    #[test]
    fn letters_of_other_alphabets_are_drawn_like_ours() {
        for (c, like) in [
            ('а', Some('a')),
            ('ѕ', Some('s')),
            ('ο', Some('o')),
            ('a', None),
            ('微', None),
            ('エ', Some('工')),
            ('チ', Some('千')),
            ('ー', Some('一')),
            ('κ', Some('k')),
        ] {
            assert_eq!(drawn_like(c), like, "{c}");
        }
    }
}
