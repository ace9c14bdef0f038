//! One line in, one line of NDJSON out.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::reader::Line;
use super::report::Tally;
use super::{Format, LINE_BYTES_MAX};
use crate::event::{Hit, Verdict};
use crate::interception::{Audience, Policy, Ruleset, Scratch};

/// A message of an NDJSON file; other fields are ignored, so that exports can be scanned as they are.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) text: std::borrow::Cow<'a, str>,
}

#[derive(Serialize)]
struct VerdictRow<'a> {
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    verdict: Verdict,
    hits: Vec<&'a Hit>,
    masked: Option<&'a str>,
}

#[derive(Serialize)]
struct ErrorRow {
    line: u64,
    error: LineError,
}

/// Why a line was not judged.
#[derive(Serialize)]
pub(super) struct LineError {
    code: &'static str,
    reason: String,
    /// Position in the line, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    byte: Option<usize>,
}

/// Judges one line and writes its row.
#[expect(
    clippy::too_many_arguments,
    reason = "the loop's invariants and its buffers; a struct would only name them"
)]
pub(super) fn judge_line(
    ruleset: &Ruleset,
    policy: &Policy,
    format: Format,
    line: u64,
    content: Line<'_>,
    scratch: &mut Scratch,
    output: &mut Vec<u8>,
    tally: &mut Tally,
) {
    let message = match message(format, content) {
        Ok(Some(message)) => message,
        Ok(None) => return,
        Err(error) => return write_error(line, error, output, tally),
    };
    let judgement = ruleset.judge(&message.text, policy, &Audience::default(), scratch);
    tally.count(&judgement);
    let row = VerdictRow {
        line,
        id: message.id,
        verdict: judgement.verdict,
        hits: judgement.hits.iter().map(|h| &h.hit).collect(),
        masked: judgement.masked.as_deref(),
    };
    write_row(&row, output);
}

/// Reads the message of a line; `None` for a blank line of NDJSON.
pub(super) fn message(format: Format, content: Line<'_>) -> Result<Option<Message<'_>>, LineError> {
    let text = read(content)?;
    if format == Format::Text {
        return Ok(Some(Message { id: None, text: text.into() }));
    }
    let text = text.trim_start_matches('\u{FEFF}');
    if text.trim().is_empty() {
        return Ok(None);
    }
    serde_json::from_str(text).map(Some).map_err(|error| {
        let byte = error.column().checked_sub(1);
        LineError { code: "bad_json", reason: format!("decode the line: {error}"), byte }
    })
}

fn read(content: Line<'_>) -> Result<&str, LineError> {
    match content {
        Line::Whole(bytes) => std::str::from_utf8(bytes).map_err(|error| {
            let byte = error.valid_up_to();
            LineError { code: "bad_utf8", reason: format!("not UTF-8 from byte {byte} on"), byte: Some(byte) }
        }),
        Line::TooLong(bytes) => Err(LineError {
            code: "too_long",
            reason: format!("the line is {bytes} bytes long, {LINE_BYTES_MAX} at most"),
            byte: None,
        }),
    }
}

fn write_error(line: u64, error: LineError, output: &mut Vec<u8>, tally: &mut Tally) {
    tally.count_error();
    write_row(&ErrorRow { line, error }, output);
}

/// Writes one row.
pub(super) fn write_row(row: &impl Serialize, output: &mut Vec<u8>) {
    serde_json::to_writer(&mut *output, row).expect("strings and numbers are written to memory");
    output.push(b'\n');
}
