//! What a message is in its group's talk: facts for whoever looks for questions without an answer, and for staff who take a
//! talk over. Never what it says.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Kin;
use crate::near::Sketch;

/// What a message is in its group's talk, for whoever looks for questions without an answer: never what it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TalkFact<'a> {
    /// The event's id as its sender gave it.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// What its author is to us.
    pub kin: Kin,
    /// Members it names with @.
    #[serde(borrow)]
    pub to: Vec<Cow<'a, str>>,
    /// Keyed hash of the folded text it quotes.
    pub quotes: Option<u64>,
    /// It is a customer's question that no rule of ours answers.
    pub question: Option<QuestionFact>,
}

/// By what a question is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionFact {
    /// Keyed hash of its folded text: what a quotation is compared with.
    pub text: u64,
    /// Of what it is about.
    pub sketch: Sketch,
}

/// Staff spoke where questions waited: what each had waited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnsweredFact {
    /// The questions, the oldest first.
    pub questions: Vec<Waited>,
}

/// A question that staff answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waited {
    /// The hour it was asked in, counted from the epoch.
    pub hour: u32,
    /// Seconds from the question to the answer.
    pub seconds: u32,
    /// The shop was open when it was asked, as far as anybody knows.
    pub is_open: bool,
}

/// A message is not only text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentFact<'a> {
    /// What it is, in the platform's word.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
}

/// A member's talk with us goes on with staff.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HandOverFact<'a> {
    /// The event's id as its sender gave it.
    #[serde(borrow)]
    pub of: Cow<'a, str>,
    /// Which reply rule was asked.
    #[serde(borrow)]
    pub rule: Cow<'a, str>,
    /// Until then no rule of ours answers the member in the group.
    pub until_ms: i64,
}
