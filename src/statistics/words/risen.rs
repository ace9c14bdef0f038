//! Which words more people say than usual.

use hashbrown::HashMap;

use super::said::{WordsError, visit};
use crate::alerts::baseline::{Past, Sensitivity, Usual, WEEKS_MIN, Week};

/// Days before that say what is usual.
pub const DAYS_BEFORE: usize = 7;
/// Of these, days on which anybody must have spoken: one of them may be a freak.
pub const DAYS_MIN: usize = WEEKS_MIN;

/// A day is one window, whatever its length.
const WINDOW_MIN: u32 = 60;

/// Words of one day over some groups, each person once.
#[derive(Debug, Default)]
pub struct Tally {
    /// Messages that were looked at.
    pub messages: u64,
    speakers: Vec<u32>,
    words: HashMap<Box<str>, Vec<u32>>,
}

/// How many people said what on a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Messages that were looked at.
    pub messages: u64,
    /// Customers who wrote them.
    pub speakers: u64,
    /// Customers who said each word.
    pub words: HashMap<Box<str>, u64>,
}

impl Tally {
    /// Adds a group's row; of its words only those that are `wanted`.
    ///
    /// # Errors
    /// When it is damaged or of a later version.
    pub fn add(&mut self, row: &[u8], wanted: &dyn Fn(&str) -> bool) -> Result<(), WordsError> {
        let (speakers, words) = (&mut self.speakers, &mut self.words);
        self.messages += visit(row, &mut |people| speakers.extend(people), &mut |word, people| {
            if !wanted(word) {
                return;
            }
            if let Some(known) = words.get_mut(word) {
                known.extend(people);
            } else {
                words.insert(word.into(), people.collect());
            }
        })?;
        Ok(())
    }

    /// Counts each person once; words that fewer than so many said are left out.
    pub fn list(self, people_min: u64) -> Listed {
        let words = self.words.into_iter().map(|(word, people)| (word, distinct(people)));
        Listed {
            messages: self.messages,
            speakers: distinct(self.speakers),
            words: words.filter(|(_, people)| *people >= people_min).collect(),
        }
    }
}

fn distinct(mut people: Vec<u32>) -> u64 {
    people.sort_unstable();
    people.dedup();
    people.len() as u64
}

/// A word that more people say than usual.
#[derive(Clone, Debug, PartialEq)]
pub struct Risen {
    /// The word.
    pub word: Box<str>,
    /// Customers who said it that day.
    pub people: u64,
    /// What is usual for as many people speaking.
    pub usual: Usual,
    /// How far it is above what is expected, in standard deviations.
    pub score: f64,
}

/// Returns the words of a day that more people say than on the days before, those that rose fastest first; nothing where too
/// few days are known. A day on which nobody spoke is `None`: it says nothing about what is usual.
///
/// On a day with more people speaking every word is said by more: days before are taken for as large as this one where
/// they were smaller, never for smaller, so that a day that is not over makes nothing rise.
pub fn rising(today: &Listed, before: &[Option<Listed>], sensitivity: Sensitivity) -> Option<Vec<Risen>> {
    if before.iter().flatten().count() < DAYS_MIN {
        return None;
    }
    let mut risen: Vec<Risen> = today
        .words
        .iter()
        .filter_map(|(word, people)| {
            let days: Vec<Week> = before.iter().map(|day| usual_day(today, day.as_ref(), word)).collect();
            let usual = Usual::of(&Past { weeks: &days, ..Past::default() }, WINDOW_MIN)?;
            let risen = Risen { word: word.clone(), people: *people, usual, score: usual.strays(*people) };
            usual.is_unusual(*people, sensitivity).then_some(risen)
        })
        .collect();
    risen.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then(b.people.cmp(&a.people)).then_with(|| a.word.cmp(&b.word))
    });
    Some(risen)
}

fn usual_day(today: &Listed, day: Option<&Listed>, word: &str) -> Week {
    let same = day.map(|day| {
        let people = day.words.get(word).copied().unwrap_or_default();
        let larger = today.speakers.max(day.speakers).max(1);
        // To the nearest whole person.
        (people * larger * 2 + day.speakers.max(1)) / (day.speakers.max(1) * 2)
    });
    Week { same, ..Week::default() }
}
