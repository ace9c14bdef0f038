//! Holds every answer against the event it belongs to.
//!
//! A mismatch is a defect of the gateway (or of our reading of its interface); it is counted, the first few are shown, and
//! the run fails. Lines that ask to be sent again are handed back.

use serde_json::value::RawValue;

use super::plan::Item;
use crate::wire::{self, Answer, Status, Verdict};

/// How events are put into a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// One JSON object.
    Single,
    /// A JSON array.
    Array,
    /// One JSON object a line.
    Ndjson,
}

impl Mode {
    /// The content type that announces it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Single | Self::Array => wire::JSON,
            Self::Ndjson => wire::NDJSON,
        }
    }

    /// Puts events into one body.
    pub fn encode(self, items: &[Item]) -> Vec<u8> {
        let mut body = Vec::with_capacity(items.iter().map(|item| item.json.len() + 1).sum::<usize>() + 2);
        let separator = if self == Self::Array { b',' } else { b'\n' };
        if self == Self::Array {
            body.push(b'[');
        }
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                body.push(separator);
            }
            body.extend_from_slice(&item.json);
        }
        match self {
            Self::Single => {}
            Self::Array => body.push(b']'),
            Self::Ndjson => body.push(b'\n'),
        }
        body
    }

    /// Cuts an answer into one piece per event.
    pub(super) fn split(self, body: &[u8]) -> Result<Vec<&[u8]>, serde_json::Error> {
        Ok(match self {
            Self::Single => vec![body],
            Self::Array => {
                let elements: Vec<&RawValue> = serde_json::from_slice(body)?;
                elements.into_iter().map(|element| element.get().as_bytes()).collect()
            }
            Self::Ndjson => body.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).collect(),
        })
    }
}

/// What became of one event.
#[derive(Debug)]
pub(super) enum Checked<'a> {
    /// A proper answer.
    Answered(Answer<'a>),
    /// The event was refused for now and has to be sent again.
    Again,
    /// Anything else, in words.
    Wrong(String),
}

/// Holds one piece of an answer against its event.
pub(super) fn check<'a>(item: &Item, piece: &'a [u8]) -> Checked<'a> {
    let answer: Answer<'a> = match serde_json::from_slice(piece) {
        Ok(answer) => answer,
        Err(_) if wire::line_asks_for_retry(piece) => return Checked::Again,
        Err(error) => {
            let start: String = String::from_utf8_lossy(piece).chars().take(160).collect();
            return Checked::Wrong(format!("{}: unreadable answer: {error}: {start}", item.id));
        }
    };
    match complaint(item, &answer) {
        None => Checked::Answered(answer),
        Some(complaint) => Checked::Wrong(format!("{}: {complaint}", item.id)),
    }
}

fn complaint(item: &Item, answer: &Answer<'_>) -> Option<String> {
    if answer.id != item.id {
        return Some(format!("answered as `{}`: wrong event or wrong order", answer.id));
    }
    let as_expected = match answer.status {
        Status::Counted => !item.repeat,
        Status::Duplicate => item.repeat || item.maybe_counted,
        Status::Late => false,
    };
    if !as_expected {
        let sent = if item.repeat { "a repeat" } else { "a new event" };
        return Some(format!("{sent} was booked as {:?}", answer.status));
    }
    if answer.verdict == Verdict::Mask && answer.masked.is_none() {
        return Some("verdict mask without the masked text".to_owned());
    }
    for hit in &answer.hits {
        let [start, end] = hit.span;
        // An empty `matched` is an interface that does not echo; a wrong one is a wrong span.
        let found = item.text.get(start..end);
        if found.is_none_or(|found| !hit.matched.is_empty() && found != hit.matched) {
            return Some(format!(
                "the span {start}..{end} of a hit in `{}` does not match the text",
                hit.wordlist
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::EventType;

    fn item() -> Item {
        Item {
            json: br#"{"id":"e-1"}"#.to_vec(),
            id: "e-1".into(),
            group: 0,
            kind: EventType::Message,
            text: "请加薇·信".into(),
            repeat: false,
            spliced: false,
            maybe_counted: false,
        }
    }

    fn expect(item: &Item, answer: &str, wanted: &str) {
        let got = match check(item, answer.as_bytes()) {
            Checked::Answered(_) => "answered".to_owned(),
            Checked::Again => "again".to_owned(),
            Checked::Wrong(why) => why,
        };
        assert!(got.contains(wanted), "{answer}: {got}");
    }

    #[test]
    fn answers_are_held_against_their_event() {
        let (fresh, repeat) = (item(), Item { repeat: true, ..item() });
        let tried = Item { maybe_counted: true, ..item() };
        let counted = r#"{"id":"e-1","verdict":"pass","status":"counted"}"#;
        let duplicate = r#"{"id":"e-1","verdict":"pass","status":"duplicate"}"#;
        expect(&fresh, counted, "answered");
        expect(&fresh, duplicate, "a new event was booked as Duplicate");
        expect(&repeat, duplicate, "answered");
        expect(&repeat, counted, "a repeat was booked as Counted");
        expect(&tried, duplicate, "answered");
        expect(&tried, counted, "answered");
        expect(&fresh, r#"{"id":"e-2","verdict":"pass","status":"counted"}"#, "wrong order");
        expect(&fresh, r#"{"id":"e-1","verdict":"shrug","status":"counted"}"#, "unreadable");
        expect(&fresh, r#"{"id":"e-1","verdict":"mask","status":"counted"}"#, "without the masked text");
        expect(&fresh, r#"{"line":1,"status":503}"#, "again");
        expect(&fresh, r#"{"line":1,"status":400,"detail":"no"}"#, "unreadable");
    }

    #[test]
    fn spans_are_bytes_of_the_original_text() {
        let answer = |start: usize, end: usize, matched: &str| {
            format!(
                r#"{{"id":"e-1","verdict":"block","status":"counted","hits":[{{"span":[{start},{end}],"matched":"{matched}"}}]}}"#
            )
        };
        expect(&item(), &answer(3, 14, "加薇·信"), "answered");
        expect(&item(), &answer(3, 13, "加薇·信"), "does not match");
        expect(&item(), &answer(3, 99, "加薇·信"), "does not match");
        expect(&item(), &answer(0, 3, "加"), "does not match");
    }

    #[test]
    fn bodies_are_cut_the_way_they_were_put_together() {
        let items = vec![item(), item(), item()];
        for mode in [Mode::Array, Mode::Ndjson] {
            let body = mode.encode(&items);
            let pieces = mode.split(&body).expect("our own encoding");
            assert_eq!(pieces, vec![br#"{"id":"e-1"}"#.as_slice(); 3], "{mode:?}");
        }
        assert_eq!(Mode::Single.encode(&items[..1]), items[0].json);
        assert!(Mode::Array.split(b"{}").is_err());
    }
}
