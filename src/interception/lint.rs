//! What is wrong with a wordlist: terms that cannot match, match twice, or match what ordinary people write.
//!
//! Compiling a ruleset reports the first kind and goes on; [`common_terms`] needs a sample of ordinary messages;
//! [`shadowed_terms`] and [`sounding_ordinary`] look at one list, for whoever writes it.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::fold::fold_into;
use super::policy::Policy;
use super::resolve::Verdicted;
use super::ruleset::{Ruleset, shown};
use super::variants::everyday_word;
use super::wordlist::{Term, WordlistSource};
use super::{Audience, Scratch};

/// A term that hits more than this many of 10,000 ordinary messages is a problem.
pub const PER_10K_MAX: usize = 10;

/// Shortest term that can make longer ones needless: shorter ones count without gaps only, and in disguise only under
/// `strict`, so that a longer one may count where they do not.
const SHADOWING_CHARS_MIN: usize = 3;

/// One thing wrong with one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// The list.
    pub wordlist: String,
    /// Line of its file, from 1; 0 where there is no file.
    pub line: u32,
    /// The term or allow phrase.
    pub text: String,
    /// What is wrong.
    #[serde(flatten)]
    pub kind: ProblemKind,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum ProblemKind {
    /// Longer than the configured limit: left out.
    TooLong {
        /// The limit.
        bytes_max: usize,
    },
    /// Only characters that are skipped: left out.
    Vanished,
    /// One folded character that was written with others, or one letter or digit: left out.
    OneClass,
    /// One ideograph: kept, because someone may mean it, but it will hit much.
    OneCharacter,
    /// Folds to the same as an earlier line of the list: left out.
    Duplicate {
        /// The earlier line.
        line: u32,
        /// Its text.
        of: String,
    },
    /// An allow phrase equals it: it never counts.
    Allowed {
        /// The list the phrase is from.
        by: String,
    },
    /// An allow phrase that holds no term of any list, in no disguise either: it does nothing.
    Idle,
    /// It holds another term of the same list, category and level: it is never hit where that one is not.
    Shadowed {
        /// The line of the other.
        line: u32,
        /// Its text.
        by: String,
    },
    /// An everyday word sounds the same: where disguises by sound are looked for, only the words around it tell the two
    /// apart. A note, no fault.
    SoundsOrdinary {
        /// The word.
        word: String,
    },
    /// A rule's pattern holds no literal to wait for: it runs on every message.
    AlwaysRuns,
    /// Hits ordinary messages.
    Common {
        /// Messages of the sample that it hits.
        messages: usize,
        /// Messages in the sample.
        of: usize,
    },
}

impl ProblemKind {
    /// Says whether it is only to be known: nothing is wrong with the line.
    pub fn is_note(&self) -> bool {
        matches!(self, ProblemKind::SoundsOrdinary { .. })
    }

    /// Says in Chinese what is wrong, and what to do about it.
    pub fn chinese(&self) -> (String, &'static str) {
        match self {
            ProblemKind::TooLong { bytes_max } => {
                (format!("超过 {bytes_max} 字节，未收录"), "改收其中较短的一段")
            }
            ProblemKind::Vanished => ("归一化后什么也不剩".to_owned(), "删掉：匹配时会跳过符号和空格"),
            ProblemKind::OneClass => ("归一化后只剩一个字母".to_owned(), "删掉，或写出它代表的完整词"),
            ProblemKind::OneCharacter => ("只有一个字".to_owned(), "改收含有它的词"),
            ProblemKind::Duplicate { line, of } => {
                (format!("归一化后与第 {line} 行「{of}」相同"), "两个留一个")
            }
            ProblemKind::Allowed { by } => {
                (format!("词库「{by}」有相同的放行词，永远不会命中"), "删掉词或放行词")
            }
            ProblemKind::Idle => ("放行词里不含任何敏感词，不起作用".to_owned(), "删掉，或检查写法"),
            ProblemKind::Shadowed { line, by } => {
                (format!("含有同类同级的第 {line} 行「{by}」，凡命中它处后者必命中"), "删掉长的这个")
            }
            ProblemKind::SoundsOrdinary { word } => (
                format!("与日常词「{word}」同音，按读音识别变体时要靠上下文区分"),
                "仅供参考；strict 策略下若有误伤，给这一类另设严格度，或加放行词",
            ),
            ProblemKind::AlwaysRuns => {
                ("正则里没有固定文字，每条消息都要跑".to_owned(), "加一个必然出现的词，或先看耗时")
            }
            ProblemKind::Common { messages, of } => {
                (format!("{of} 条日常消息里命中 {messages} 条"), "写长一些，或加放行词")
            }
        }
    }

    /// Says what to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            ProblemKind::TooLong { .. } => "list a shorter part of it",
            ProblemKind::Vanished => "remove it: signs and spaces are skipped when matching",
            ProblemKind::OneClass => "remove it, or list the whole word it stands for",
            ProblemKind::OneCharacter => "list words that hold it instead",
            ProblemKind::Duplicate { .. } => "remove one of the two",
            ProblemKind::Allowed { .. } => "remove the term or the allow phrase",
            ProblemKind::Idle => "remove it, or check its spelling",
            ProblemKind::Shadowed { .. } => "remove this, the longer one",
            ProblemKind::SoundsOrdinary { .. } => {
                "a note only; if it hits ordinary talk under `strict`, give its category another strictness, or add allow phrases"
            }
            ProblemKind::AlwaysRuns => "give it a word that every match holds, or see what it costs",
            ProblemKind::Common { .. } => "make it longer, or add allow phrases",
        }
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProblemKind::TooLong { bytes_max } => write!(f, "longer than {bytes_max} bytes"),
            ProblemKind::Vanished => f.write_str("nothing is left of it after folding"),
            ProblemKind::OneClass => f.write_str("a single letter is left of it after folding"),
            ProblemKind::OneCharacter => f.write_str("a single character"),
            ProblemKind::Duplicate { line, of } => write!(f, "the same as line {line} `{of}` after folding"),
            ProblemKind::Allowed { by } => write!(f, "an allow phrase of `{by}` equals it"),
            ProblemKind::Idle => f.write_str("an allow phrase that holds no term"),
            ProblemKind::Shadowed { line, by } => {
                write!(
                    f,
                    "holds line {line} `{by}` of the same category and level: that one hits wherever this does"
                )
            }
            ProblemKind::SoundsOrdinary { word } => {
                write!(
                    f,
                    "sounds like the everyday word `{word}`: of disguises by sound only the context tells them apart"
                )
            }
            ProblemKind::AlwaysRuns => f.write_str("a pattern without a literal: it runs on every message"),
            ProblemKind::Common { messages, of } => write!(f, "hits {messages} of {of} ordinary messages"),
        }
    }
}

/// Finds terms that hold another one of the same list, category and level, so that they add nothing.
///
/// Not those where the other may be cancelled alone: within a longer Latin word or number, or by an allow phrase that can
/// stand around it there.
pub fn shadowed_terms(list: &WordlistSource) -> Vec<Problem> {
    let terms: Vec<Vec<char>> = list.terms.iter().map(|term| folded(&term.text)).collect();
    let phrases: Vec<Vec<char>> = list.allow.iter().map(|phrase| folded(&phrase.text)).collect();
    let mut by_text: HashMap<&[char], &Term> = HashMap::new();
    for (letters, term) in terms.iter().zip(&list.terms).filter(|(l, _)| l.len() >= SHADOWING_CHARS_MIN) {
        by_text.entry(letters).or_insert(term);
    }
    let mut lengths: Vec<usize> = by_text.keys().map(|letters| letters.len()).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let shadow_of = |letters: &[char], term: &Term| {
        let shorter = lengths.iter().take_while(|length| **length < letters.len());
        let parts =
            shorter.flat_map(|length| (0..=letters.len() - length).map(move |from| [from, from + length]));
        parts.into_iter().find_map(|[from, to]| {
            let other = *by_text.get(letters.get(from..to)?)?;
            let counts = weighs_the_same(list, term, other)
                && !continues(letters, from)
                && !continues(letters, to)
                && !phrases.iter().any(|phrase| may_cancel(phrase, letters, [from, to]));
            counts.then_some(other)
        })
    };
    let shadowed = terms.iter().zip(&list.terms).filter_map(|(letters, term)| {
        let other = shadow_of(letters, term)?;
        let by = shown(&other.text, list.masked).into_owned();
        Some(problem(list, term, ProblemKind::Shadowed { line: other.line, by }))
    });
    shadowed.collect()
}

/// Finds terms for which an everyday word sounds the same. Loads the dictionary.
pub fn sounding_ordinary(list: &WordlistSource) -> Vec<Problem> {
    let terms: Vec<String> = list.terms.iter().map(|term| folded(&term.text).into_iter().collect()).collect();
    let listed: HashSet<&str> = terms.iter().map(String::as_str).collect();
    let sounding = terms.iter().zip(&list.terms).filter_map(|(text, term)| {
        let word = everyday_word(text, |word| listed.contains(word))?;
        Some(problem(list, term, ProblemKind::SoundsOrdinary { word }))
    });
    sounding.collect()
}

fn problem(list: &WordlistSource, term: &Term, kind: ProblemKind) -> Problem {
    let text = shown(&term.text, list.masked).into_owned();
    Problem { wordlist: list.name.clone(), line: term.line, text, kind }
}

fn folded(text: &str) -> Vec<char> {
    let mut folded = String::new();
    fold_into(text, &mut folded);
    folded.chars().collect()
}

/// Says whether the same follows from both, for the same people at the same time.
fn weighs_the_same(list: &WordlistSource, one: &Term, other: &Term) -> bool {
    let weight = |term: &Term| {
        let category = term.category.clone().unwrap_or_else(|| list.category.clone());
        let level = term.level.unwrap_or_else(|| list.level_of(&category));
        Term { category: Some(category), level: Some(level), text: String::new(), line: 0, ..term.clone() }
    };
    weight(one) == weight(other)
}

/// Says whether letters go on with letters here, or digits with digits: a hit does not end or begin there.
fn continues(letters: &[char], at: usize) -> bool {
    let alphabetic = |c: &char| *c < '\u{2E80}' && c.is_alphabetic();
    let (Some(left), Some(right)) = (at.checked_sub(1).and_then(|left| letters.get(left)), letters.get(at))
    else {
        return false;
    };
    (left.is_ascii_digit() && right.is_ascii_digit()) || (alphabetic(left) && alphabetic(right))
}

/// Says whether an allow phrase can stand around a part of a term without standing around all of it.
fn may_cancel(phrase: &[char], term: &[char], [from, to]: [usize; 2]) -> bool {
    let part = term.get(from..to).unwrap_or_default();
    phrase.windows(part.len()).enumerate().filter(|(_, window)| *window == part).any(|(at, _)| {
        // Where the phrase begins and ends, counted from where the term does.
        let (before, after) = (at.min(from), (phrase.len() - at).min(term.len() - from));
        let covers = before == from && after == term.len() - from;
        !covers && phrase.get(at - before..at + after) == term.get(from - before..from + after)
    })
}

/// Finds terms that hit more than [`PER_10K_MAX`] of 10,000 messages of a sample. Verdicts do not matter. Messages are
/// those of a customer of nowhere: compile lists that are for others with [`WordlistSource::unrestricted`].
///
/// [`WordlistSource::unrestricted`]: super::WordlistSource::unrestricted
pub fn common_terms<'a>(
    ruleset: &Ruleset,
    policy: &Policy,
    sample: impl Iterator<Item = &'a str>,
) -> Vec<Problem> {
    let mut scratch = Scratch::default();
    let mut messages_by_term: HashMap<usize, usize> = HashMap::new();
    let mut terms = Vec::new();
    let mut of = 0;
    for text in sample {
        of += 1;
        if !ruleset.examine(text, policy, &Audience::default(), &mut scratch) {
            continue;
        }
        let hits = scratch.resolved.iter();
        let counted = hits.filter(|r| matches!(r.outcome, Verdicted::Counted | Verdicted::Covered));
        terms.extend(counted.map(|r| r.term).filter(|term| !ruleset.is_part(*term)));
        terms.sort_unstable();
        terms.dedup();
        for term in terms.drain(..) {
            *messages_by_term.entry(term).or_default() += 1;
        }
    }
    let mut common: Vec<_> =
        messages_by_term.into_iter().filter(|(_, messages)| messages * 10_000 > PER_10K_MAX * of).collect();
    common.sort_unstable_by_key(|(term, messages)| (std::cmp::Reverse(*messages), *term));
    let problem = |(term, messages)| {
        let listed = ruleset.listed(term);
        Problem {
            wordlist: listed.wordlist.to_owned(),
            line: listed.line,
            text: listed.shown().into_owned(),
            kind: ProblemKind::Common { messages, of },
        }
    };
    common.into_iter().map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interception::Origin;

    fn list(text: &str) -> WordlistSource {
        WordlistSource::parse("own", Origin::File, text).unwrap()
    }

    #[test]
    fn a_term_that_holds_another_adds_nothing() {
        for (text, expect) in [
            ("加微信\n快加微信吧\n加薇信", vec![(2, "加微信")]),
            ("代开发票\n專業代開發票\n代开", vec![(2, "代开发票")]),
            ("加拿大pc28\npc28", vec![(1, "pc28")]),
            // Two characters count in fewer places than the longer one.
            ("微信\n加微信", vec![]),
            // Within a word it is none.
            ("cnm\ncnmb\n看cnm", vec![(3, "cnm")]),
            ("# category: a high\n# category: b high\n加微信\ta\n快加微信\tb", vec![]),
            ("加微信\n快加微信\t\tlevel=low", vec![]),
            ("加微信\t\troles=customer\n快加微信", vec![]),
            ("加微信\t\troles=customer\n快加微信\t\troles=customer", vec![(2, "加微信")]),
        ] {
            let found = shadowed_terms(&list(text));
            let by = |problem: &Problem| {
                let ProblemKind::Shadowed { by, .. } = &problem.kind else { panic!("{problem:?}") };
                (problem.line, by.clone())
            };
            let told: Vec<_> = found.iter().map(by).collect();
            let expect: Vec<_> = expect.into_iter().map(|(line, by)| (line, by.to_owned())).collect();
            assert_eq!(told, expect, "{text}");
        }
    }

    #[test]
    fn an_allow_phrase_may_leave_only_the_longer_term() {
        for (text, is_shadowed) in [
            ("加微信\n快加微信", true),
            ("!加微信支付\n加微信\n快加微信", false),
            ("!快加微信支付\n加微信\n快加微信", true),
            ("!莫加微信\n加微信\n快加微信", true),
            ("!加微信\n加微信\n快加微信", false),
        ] {
            assert_eq!(!shadowed_terms(&list(text)).is_empty(), is_shadowed, "{text}");
        }
    }

    #[test]
    fn what_is_told_of_a_shadowed_term_is_so() {
        let source = list("!加微信支付\n加微信\n快加微信\n代开发票\n专业代开发票");
        let ruleset = Ruleset::compile(
            "r",
            std::slice::from_ref(&source),
            Vec::new(),
            &super::super::Config::default(),
        );
        let (ruleset, _) = ruleset.unwrap();
        let told: Vec<_> = shadowed_terms(&source).into_iter().map(|problem| problem.text).collect();
        assert_eq!(told, ["专业代开发票"]);
        let verdict = |text: &str| {
            let policy = ruleset.policy("standard").unwrap();
            ruleset.judge(text, policy, &Audience::default(), &mut Scratch::default()).verdict
        };
        assert_ne!(verdict("快加微信支付"), verdict("加微信支付"), "the longer one counts by itself");
    }

    #[test]
    fn a_term_that_sounds_like_an_everyday_word_is_a_note_that_names_it() {
        let source = list("实践\n加微信\n代开发票");
        let found = sounding_ordinary(&source);
        let told: Vec<_> = found.iter().map(|problem| (problem.line, problem.kind.clone())).collect();
        assert_eq!(told, [(1, ProblemKind::SoundsOrdinary { word: "时间".to_owned() })]);
        assert!(told[0].1.is_note());
        assert!(told[0].1.to_string().contains("时间") && told[0].1.chinese().0.contains("时间"));
        // A listed word is not ordinary.
        let both = sounding_ordinary(&list("实践\n时间"));
        assert!(
            !both.iter().any(|p| p.kind == ProblemKind::SoundsOrdinary { word: "时间".to_owned() }),
            "{both:?}"
        );
        let masked = sounding_ordinary(&list("# masked: true\n实践"));
        assert_eq!(masked[0].text, "实＊");
    }
}
