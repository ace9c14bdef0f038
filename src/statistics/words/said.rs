//! What is kept of the words of a group's day.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// People who are kept of a word, in one group and day; of more, that they are so many. No platform of ours has larger
/// groups.
pub const PEOPLE_MAX: usize = 500;

/// Form of a row; a later one begins with another number.
const FORM: u8 = 1;

/// Who said what in a group on a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Messages that were looked at.
    pub messages: u64,
    /// Who wrote them.
    pub speakers: BTreeSet<u32>,
    /// Who of them said each word.
    pub words: BTreeMap<Box<str>, BTreeSet<u32>>,
}

/// A row that cannot be read.
#[derive(Debug, Error)]
#[error("read the words of a group's day: {0}")]
pub struct WordsError(String);

#[derive(Serialize, Deserialize)]
struct Head<'a> {
    messages: u64,
    speakers: &'a [u8],
}

impl Said {
    /// Takes in what else was said; returns how many words there was no room for. Of `words_max` words, one that two people
    /// say takes the place of one that a single person says.
    pub fn add(&mut self, other: Said, words_max: usize) -> u64 {
        self.messages += other.messages;
        join(&mut self.speakers, other.speakers);
        let mut left = Vec::new();
        for (word, people) in other.words {
            if let Some(known) = self.words.get_mut(&word) {
                join(known, people);
            } else if self.words.len() < words_max {
                self.words.insert(word, people);
            } else {
                left.push((word, people));
            }
        }
        let lost = left.len() as u64;
        left.retain(|(_, people)| people.len() > 1);
        if !left.is_empty() {
            let lonely = self.words.iter().filter(|(_, people)| people.len() == 1);
            let lonely: Vec<_> = lonely.map(|(word, _)| word.clone()).take(left.len()).collect();
            for (gone, (word, people)) in lonely.iter().zip(left) {
                self.words.remove(gone);
                self.words.insert(word, people);
            }
        }
        lost
    }

    /// Writes a row.
    pub fn encode(&self) -> Vec<u8> {
        let head = Head { messages: self.messages, speakers: &bytes(&self.speakers) };
        let row = push(&head, vec![FORM]);
        self.words.iter().fold(row, |row, (word, people)| push(&(&**word, bytes(people).as_slice()), row))
    }

    /// Reads a row.
    ///
    /// # Errors
    /// When it is damaged or of a later version.
    pub fn decode(row: &[u8]) -> Result<Self, WordsError> {
        let mut said = Self::default();
        (said.messages, said.speakers) = {
            let mut speakers = BTreeSet::new();
            let messages = visit(row, &mut |people| speakers.extend(people), &mut |word, people| {
                said.words.insert(word.into(), people.collect());
            })?;
            (messages, speakers)
        };
        Ok(said)
    }
}

/// Visits a row where it lies: its speakers, then each word; returns how many messages were looked at.
pub(super) fn visit(
    row: &[u8],
    speakers: &mut dyn FnMut(&mut dyn Iterator<Item = u32>),
    word: &mut dyn FnMut(&str, &mut dyn Iterator<Item = u32>),
) -> Result<u64, WordsError> {
    let rest = match row.split_first() {
        None => return Ok(0),
        Some((&FORM, rest)) => rest,
        Some((form, _)) => {
            return Err(WordsError(format!(
                "its form {form} is newer than this menshen; start that version"
            )));
        }
    };
    let (head, mut rest): (Head<'_>, _) = postcard::take_from_bytes(rest).map_err(damaged)?;
    speakers(&mut numbers(head.speakers));
    while !rest.is_empty() {
        let ((said, people), left): ((&str, &[u8]), _) = postcard::take_from_bytes(rest).map_err(damaged)?;
        rest = left;
        word(said, &mut numbers(people));
    }
    Ok(head.messages)
}

fn join(people: &mut BTreeSet<u32>, others: BTreeSet<u32>) {
    for other in others {
        if people.len() >= PEOPLE_MAX {
            break;
        }
        people.insert(other);
    }
}

fn bytes(people: &BTreeSet<u32>) -> Vec<u8> {
    people.iter().flat_map(|person| person.to_le_bytes()).collect()
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let number = |four: &[u8]| u32::from_le_bytes(four.try_into().unwrap_or_default());
    bytes.chunks_exact(4).map(number)
}

fn push(value: &impl Serialize, row: Vec<u8>) -> Vec<u8> {
    postcard::to_extend(value, row).expect("numbers and words go into memory")
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn damaged(error: postcard::Error) -> WordsError {
    WordsError(error.to_string())
}
