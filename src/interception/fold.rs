//! From text to folded characters: what two spellings have in common.
//!
//! One cell per scalar says what it folds to: lower case, half width, plain style, simplified, without marks; or
//! that it is skipped (white space, punctuation, symbols, invisible characters). Terms and messages go through the
//! same cells, so a term can never be spelled in a way that messages are not.
//!
//! Not for: homophones, look-alikes, split characters. Folding is what any reader would call the same word.
//! Invariant: folding is idempotent, and a folded character is never skipped.

mod forms;

use std::collections::HashMap;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use zhconv::tables::{ZH_HANS_TABLE, expand_table};

use crate::event::Via;

/// Scalars with a cell of their own: planes 0 and 1. What lies above is rare ideographs.
pub(super) const CELLS: usize = 0x2_0000;

const FOLD_KEEP: u16 = 0;
const FOLD_SKIP: u16 = 0xFFFF;
const FOLD_SEVERAL: u16 = 0xFFFE;

/// What one scalar folds to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folded {
    /// Nothing: the character is looked through.
    Skip,
    /// One character, often itself.
    One(char),
    /// A short text, for ⑩, ㎏ and their kind.
    Several(&'static str),
}

/// Writes the folded form of `text` over what `out` held.
pub fn fold_into(text: &str, out: &mut String) {
    out.clear();
    let table = &*FOLD;
    for c in text.chars() {
        match table.fold(c) {
            Folded::Skip => {}
            Folded::One(folded) => out.push(folded),
            Folded::Several(folded) => out.push_str(folded),
        }
    }
}

/// Folds one scalar.
pub(super) fn fold(c: char) -> Folded {
    FOLD.fold(c)
}

static FOLD: LazyLock<FoldTable> = LazyLock::new(FoldTable::build);

/// 256 KiB of cells and a small side table. Built once per process.
struct FoldTable {
    cells: Box<[u16]>,
    /// Scalars that fold to several, to a plane above the first, or lie above the cells and do not stay as they are.
    side: HashMap<char, Box<str>>,
}

impl FoldTable {
    fn build() -> Self {
        let simplified = simplified_pairs();
        let mut cells = vec![FOLD_KEEP; CELLS].into_boxed_slice();
        let mut side = HashMap::new();
        let mut folded = String::new();
        for (cell, value) in cells.iter_mut().enumerate() {
            let Some(c) = u32::try_from(cell).ok().and_then(char::from_u32) else {
                *value = FOLD_SKIP;
                continue;
            };
            fold_scalar(c, &simplified, &mut folded);
            *value = cell_of(c, &folded);
            if *value == FOLD_SEVERAL {
                side.insert(c, Box::from(folded.as_str()));
            }
        }
        let above = simplified.keys().copied().filter(|c| *c as usize >= CELLS);
        for c in above.chain('\u{2F800}'..='\u{2FA1F}') {
            fold_scalar(c, &simplified, &mut folded);
            side.insert(c, Box::from(folded.as_str()));
        }
        Self { cells, side }
    }

    fn fold(&'static self, c: char) -> Folded {
        match self.cells.get(c as usize).copied() {
            Some(FOLD_KEEP) => Folded::One(c),
            Some(FOLD_SKIP) => Folded::Skip,
            Some(FOLD_SEVERAL) | None => self.fold_aside(c),
            Some(scalar) => char::from_u32(u32::from(scalar)).map_or(Folded::Skip, Folded::One),
        }
    }

    #[cold]
    fn fold_aside(&'static self, c: char) -> Folded {
        let Some(folded) = self.side.get(&c) else {
            return if c.is_alphanumeric() && !is_combining_mark(c) { Folded::One(c) } else { Folded::Skip };
        };
        let mut chars = folded.chars();
        match (chars.next(), chars.next()) {
            (None, _) => Folded::Skip,
            (Some(one), None) => Folded::One(one),
            (Some(_), Some(_)) => Folded::Several(folded),
        }
    }
}

fn cell_of(c: char, folded: &str) -> u16 {
    let mut chars = folded.chars();
    match (chars.next(), chars.next()) {
        (None, _) => FOLD_SKIP,
        (Some(one), None) if one == c => FOLD_KEEP,
        (Some(one), None) => match u16::try_from(u32::from(one)) {
            Ok(scalar) if scalar < FOLD_SEVERAL => scalar,
            Ok(_) | Err(_) => FOLD_SEVERAL,
        },
        (Some(_), Some(_)) => FOLD_SEVERAL,
    }
}

/// The one-to-one part of `OpenCC`'s traditional-to-simplified table; phrases need context that a filter has not.
fn simplified_pairs() -> HashMap<char, char> {
    let mut pairs = HashMap::new();
    for (from, to) in expand_table(ZH_HANS_TABLE) {
        let (mut from, mut to) = (from.chars(), to.chars());
        if let (Some(f), None, Some(t), None) = (from.next(), from.next(), to.next(), to.next())
            && f != t
        {
            pairs.insert(f, t);
        }
    }
    let more = [forms::ONE_OF_MANY, forms::ONE_WAY, forms::OTHER_FORMS, forms::JAPANESE_FORMS];
    for (from, to) in more.into_iter().flat_map(pairs_of) {
        pairs.entry(from).or_insert(to);
    }
    pairs.extend(pairs_of(forms::INSTEAD));
    pairs
}

/// Yields the pairs of a text that holds them one after the other.
fn pairs_of(pairs: &str) -> impl Iterator<Item = (char, char)> {
    let mut chars = pairs.chars();
    std::iter::from_fn(move || chars.next().zip(chars.next()))
}

/// Folds until nothing changes: lower case may be a small capital, a simplified form may have marks.
fn fold_scalar(c: char, simplified: &HashMap<char, char>, out: &mut String) {
    out.clear();
    fold_once(c, simplified, out);
    for _ in 0..4 {
        if out.chars().eq(std::iter::once(c)) {
            return;
        }
        let once = std::mem::take(out);
        once.chars().for_each(|c| fold_once(c, simplified, out));
        if *out == once {
            return;
        }
    }
}

fn fold_once(c: char, simplified: &HashMap<char, char>, out: &mut String) {
    let c = radical(c).unwrap_or(c);
    if let Some(plain) = styled(c) {
        out.push(plain);
        return;
    }
    let mut keep = |c: char| {
        for lower in c.to_lowercase() {
            let plain = simplify(lower, simplified);
            if plain.is_alphanumeric() && !is_combining_mark(plain) && !is_filler(plain) {
                out.push(plain);
            }
        }
    };
    if is_filler(c) {
        return;
    }
    if is_hangul_syllable(c) {
        keep(c);
    } else {
        c.nfkd().for_each(keep);
    }
}

/// Radicals that are drawn like the ideographs beside them (Unicode's `EquivalentUnifiedIdeograph`); compatibility
/// decomposition knows only those of the Kangxi block.
const RADICALS: &str = "\
⺁厂⺂乛⺃乚⺄乙⺅亻⺆冂⺈刀⺉刂⺊卜⺋㔾⺌小⺍小⺎兀⺏尣⺐尢⺒巳⺓幺⺔彑⺖忄⺗心⺘扌⺙攵⺛旡⺜日⺝月\
⺞歺⺟母⺠民⺡氵⺢氺⺣灬⺤爫⺥爫⺦丬⺧牛⺨犭⺩王⺫目⺬示⺭礻⺯糹⺰纟⺱罓⺲罒⺳㓁⺴冗⺶羊⺹耂⺺肀⺻聿\
⺼肉⺾艹⺿艹⻀艹⻁虎⻂衤⻃覀⻄西⻅见⻆角⻈讠⻉贝⻋车⻌辶⻍辶⻎辶⻏邑⻐钅⻑長⻒镸⻓长⻔门⻖阝⻗雨⻘青\
⻙韦⻚页⻛风⻜飞⻝食⻟飠⻠饣⻢马⻣骨⻤鬼⻥鱼⻦鸟⻧卤⻨麦⻩黄⻪黾⻫斉⻬齐⻭歯⻮齿⻯竜⻰龙⻱龜⻲亀⻳龟";

/// Numerals of banks, and the plain ones.
const NUMERALS: &str = "壹一弌一贰二貳二弍二叁三叄三弎三肆四伍五陆六陸六柒七捌八玖九拾十佰百仟千萬万〇零";

fn radical(c: char) -> Option<char> {
    // Their block; the table asks for every ideograph as well.
    if ('\u{2E80}'..='\u{2EFF}').contains(&c) { pair_of(RADICALS, c) } else { None }
}

fn pair_of(pairs: &str, c: char) -> Option<char> {
    if !('\u{2E80}'..='\u{9FFF}').contains(&c) {
        return None;
    }
    pairs_of(pairs).find_map(|(from, to)| (from == c).then_some(to))
}

/// Follows the table to its end: a few characters go through an intermediate form.
fn simplify(c: char, simplified: &HashMap<char, char>) -> char {
    let mut c = pair_of(NUMERALS, c).unwrap_or(c);
    for _ in 0..4 {
        match simplified.get(&c) {
            Some(next) => c = *next,
            None => break,
        }
    }
    c
}

/// Decomposing these would turn each into three letters and gain nothing.
fn is_hangul_syllable(c: char) -> bool {
    ('\u{AC00}'..='\u{D7A3}').contains(&c)
}

/// Letters by the book that writers use as separators or that cannot be seen, and signs whose letters are no text.
fn is_filler(c: char) -> bool {
    matches!(
        c,
        // Hangul fillers are drawn as nothing.
        '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}'
        // Spacing marks of phonetics.
        | '\u{02B9}'..='\u{02DF}' | '\u{02E5}'..='\u{02FF}'
        // 丶丨丿灬 and the kana length mark stand between characters as decoration.
        | '丶' | '丨' | '丿' | '灬' | 'ー' | 'ｰ'
        // Trade marks: a brand with one does not end in "tm".
        | '™' | '℠'
    )
}

/// Styled letters and digits that Unicode gives no plain form.
fn styled(c: char) -> Option<char> {
    let letter = |base: char| char::from_u32(u32::from(c) - u32::from(base) + u32::from('a'));
    let digit = |base: char| char::from_u32(u32::from(c) - u32::from(base) + u32::from('1'));
    match c {
        '\u{1F150}'..='\u{1F169}' => letter('\u{1F150}'),
        '\u{1F170}'..='\u{1F189}' => letter('\u{1F170}'),
        '\u{1F1E6}'..='\u{1F1FF}' => letter('\u{1F1E6}'),
        '\u{24F5}'..='\u{24FD}' => digit('\u{24F5}'),
        '\u{2776}'..='\u{277E}' => digit('\u{2776}'),
        '\u{2780}'..='\u{2788}' => digit('\u{2780}'),
        '\u{278A}'..='\u{2792}' => digit('\u{278A}'),
        '\u{24FF}' | '\u{1F10B}' | '\u{1F10C}' => Some('0'),
        _ => small_capital(c),
    }
}

fn small_capital(c: char) -> Option<char> {
    const CAPITALS: &str = "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢ";
    const LETTERS: &str = "abcdefghijklmnopqrstuvwyz";
    // The table asks for every scalar there is; few blocks have any.
    if !matches!(c, '\u{0250}'..='\u{02AF}' | '\u{1D00}'..='\u{1D7F}' | '\u{A720}'..='\u{A7FF}') {
        return None;
    }
    CAPITALS.chars().zip(LETTERS.chars()).find_map(|(capital, letter)| (capital == c).then_some(letter))
}

/// Says by which foldings `c` reaches its folded form.
pub(super) fn foldings(c: char) -> impl Iterator<Item = Via> {
    let wide = matches!(c, '\u{3000}' | '\u{FF01}'..='\u{FFEE}');
    let decomposed = styled(c).or_else(|| c.nfkd().next()).unwrap_or(c);
    let numeral = pair_of(NUMERALS, c).is_some();
    let respelled = numeral || radical(c).is_some() || !is_hangul_syllable(c) && decomposed != c;
    let lower = decomposed.to_lowercase().next().unwrap_or(decomposed);
    let traditional = match fold(lower) {
        Folded::One(folded) => folded != lower && !numeral,
        Folded::Skip | Folded::Several(_) => false,
    };
    [
        (lower != decomposed, Via::Case),
        (wide && respelled, Via::Width),
        (!wide && respelled, Via::Style),
        (traditional, Via::Traditional),
    ]
    .into_iter()
    .filter_map(|(applies, via)| applies.then_some(via))
}

/// Says whether nobody can see `c`: such a character is no gap that a writer left.
pub(super) fn is_invisible(c: char) -> bool {
    // Asked of every character of a text, which nearly all are these.
    if matches!(c, ' '..='~' | '\u{4E00}'..='\u{9FFF}') {
        return false;
    }
    is_combining_mark(c)
        || matches!(
            c,
            '\u{AD}' | '\u{115F}' | '\u{1160}' | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}'
                | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
                | '\u{FEFF}' | '\u{FFA0}' | '\u{E0000}'..='\u{E0FFF}'
        )
}

/// Says whether `c` ends a sentence: terms do not reach across it.
pub(super) fn is_sentence_end(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '!' | '?' | '｡' | '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

/// One folded character of a text and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// Byte offset of the original character.
    pub(super) start: usize,
    /// Byte offset of its end.
    pub(super) end: usize,
    /// The original character; shared by several units where it folds to several.
    pub(super) original: char,
    /// What it folds to.
    pub(super) folded: char,
}

/// Lists the folded characters of `text`, position for position what `Alphabet::encode` gives classes for.
pub(super) fn units_into(text: &str, out: &mut Vec<Unit>) {
    out.clear();
    let table = &*FOLD;
    for (start, original) in text.char_indices() {
        let unit = |folded| Unit { start, end: start + original.len_utf8(), original, folded };
        match table.fold(original) {
            Folded::Skip => {}
            Folded::One(folded) => out.push(unit(folded)),
            Folded::Several(folded) => out.extend(folded.chars().map(unit)),
        }
    }
}

#[cfg(test)]
mod tests;
