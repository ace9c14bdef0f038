//! Imports: one object a line in, one answer a line out, in order. A wrong line does not hold up the others.
//!
//! Lines are committed in chunks; a failing disk leaves earlier chunks applied and says so on each later line.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::body;
use super::error::{ApiError, ApiResult};
use crate::directory::{DirectoryError, Written};
use crate::event::FieldError;

/// Lines of one commit.
const CHUNK_LINES: usize = 500;

/// The answer to one line of an import.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ImportLine {
    /// Which line, from 1.
    line: usize,
    /// What it is about, where that could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// What became of it.
    status: ImportStatus,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<LineError>,
}

impl ImportLine {
    /// A line that was taken.
    pub(super) fn taken(line: usize, id: String, status: ImportStatus) -> Self {
        Self { line, id: Some(id), status, error: None }
    }

    /// A line that was not.
    pub(super) fn refused(line: usize, id: Option<String>, error: ApiError) -> Self {
        Self { line, id, status: ImportStatus::Error, error: Some(error.into()) }
    }
}

/// What became of a line.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ImportStatus {
    /// It was not there before.
    Created,
    /// It was there before.
    Updated,
    /// Nothing was done.
    Error,
}

/// Why a line was not taken.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct LineError {
    /// The `code` of the problem it would be on its own.
    code: String,
    /// In words.
    detail: String,
    /// Fields that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

impl From<ApiError> for LineError {
    fn from(error: ApiError) -> Self {
        Self { code: error.code.as_str().to_owned(), detail: error.detail, errors: error.errors }
    }
}

/// Reads a line: takes the text fields `keys` out, the rest is the record.
///
/// # Errors
/// Names the field.
pub(super) fn line<T: DeserializeOwned, const N: usize>(
    line: &[u8],
    keys: [&str; N],
) -> ApiResult<([String; N], T)> {
    let mut fields: Map<String, Value> = body::parse(line)?;
    let mut texts = [const { String::new() }; N];
    for (text, key) in texts.iter_mut().zip(keys) {
        match fields.remove(key) {
            Some(Value::String(given)) => *text = given,
            Some(_) => return Err(ApiError::unreadable(format!("/{key}"), "type", "must be a text")),
            None => return Err(ApiError::unreadable(format!("/{key}"), "required", "is missing")),
        }
    }
    let rest = serde_json::to_vec(&fields).unwrap_or_default(); // it was JSON a moment ago
    body::parse(&rest).map(|record| (texts, record))
}

/// An id of a line that cannot be one.
pub(super) fn bad_id(pointer: &str, error: &crate::event::IdError) -> ApiError {
    ApiError::fields(vec![FieldError::new(pointer, "form", error.to_string())])
}

/// Some lines of an import that are committed together.
pub(super) struct Chunk<R> {
    records: Vec<R>,
    answers: Vec<ImportLine>,
}

/// Reads every line and cuts them into chunks.
pub(super) fn chunks<R>(
    lines: &[(usize, Bytes)],
    read: impl Fn(&[u8]) -> ApiResult<(String, R)>,
) -> Vec<Chunk<R>> {
    read_chunks(lines.iter().map(|(number, line)| (*number, Ok(line))).collect(), |line: &Bytes| read(line))
}

/// Takes lines that were read, makes records of them, and cuts them into chunks.
pub(super) fn read_chunks<L, R>(
    lines: Vec<(usize, ApiResult<L>)>,
    record: impl Fn(L) -> ApiResult<(String, R)>,
) -> Vec<Chunk<R>> {
    let mut chunks: Vec<Chunk<R>> = Vec::new();
    for (at, (number, line)) in lines.into_iter().enumerate() {
        if at % CHUNK_LINES == 0 {
            chunks.push(Chunk { records: Vec::new(), answers: Vec::new() });
        }
        let Some(chunk) = chunks.last_mut() else { continue };
        let (id, error) = match line.and_then(&record) {
            Ok((id, record)) => {
                chunk.records.push(record);
                (Some(id), None)
            }
            Err(error) => (None, Some(error.into())),
        };
        chunk.answers.push(ImportLine { line: number, id, status: ImportStatus::Error, error });
    }
    chunks
}

/// The answers of an import, growing.
#[derive(Default)]
pub(super) struct Answers(Vec<u8>);

impl Answers {
    /// Adds the answers to a chunk whose records were written.
    pub(super) fn add(
        &mut self,
        mut answers: Vec<ImportLine>,
        written: Result<Vec<Result<Written, DirectoryError>>, DirectoryError>,
    ) -> ApiResult<()> {
        settle(&mut answers, written);
        answers.iter().try_for_each(|line| self.line(line))
    }

    /// Adds the answer to one line.
    pub(super) fn line(&mut self, line: &ImportLine) -> ApiResult<()> {
        serde_json::to_writer(&mut self.0, line).map_err(|error| ApiError::internal(&error))?;
        self.0.push(b'\n');
        Ok(())
    }
}

impl<R> Chunk<R> {
    /// Takes the records out, and leaves the answers they still need.
    pub(super) fn split(self) -> (Vec<R>, Vec<ImportLine>) {
        (self.records, self.answers)
    }
}

impl IntoResponse for Answers {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/x-ndjson")], self.0).into_response()
    }
}

/// Puts the results of a chunk on the lines that could be read.
fn settle(answers: &mut [ImportLine], written: Result<Vec<Result<Written, DirectoryError>>, DirectoryError>) {
    let (results, failed) = match written {
        Ok(results) => (results, None),
        Err(error) => (Vec::new(), Some(LineError::from(ApiError::from(error)))),
    };
    let mut results = results.into_iter();
    for answer in answers.iter_mut().filter(|answer| answer.error.is_none()) {
        match (results.next(), &failed) {
            (Some(Ok(written)), _) => {
                answer.status = if written.created { ImportStatus::Created } else { ImportStatus::Updated };
            }
            (Some(Err(error)), _) => answer.error = Some(ApiError::from(error).into()),
            (None, Some(failed)) => {
                answer.error = Some(LineError {
                    code: failed.code.clone(),
                    detail: failed.detail.clone(),
                    errors: Vec::new(),
                });
            }
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its form is read")]
    struct Record {
        name: String,
    }

    #[test]
    fn a_line_is_its_keys_and_a_strict_record() {
        let (texts, _) = line::<Record, 1>(br#"{"id":"a","name":"b"}"#, ["id"]).unwrap();
        assert_eq!(texts, ["a"]);
        let table = [
            (r#"{"name":"b"}"#, "/id"),
            (r#"{"id":7,"name":"b"}"#, "/id"),
            (r#"{"id":"a","name":"b","nmae":"c"}"#, "/nmae"),
            (r#"{"id":"a""#, ""),
        ];
        for (text, pointer) in table {
            let error = line::<Record, 1>(text.as_bytes(), ["id"]).unwrap_err();
            assert_eq!(error.errors[0].pointer, pointer, "{text}");
        }
    }
}
