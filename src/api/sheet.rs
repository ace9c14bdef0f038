//! The CSV that a spreadsheet saves: a first line of column names, then rows, numbered as an editor does.
//!
//! Spreadsheets put a byte order mark in front and often write in another encoding than UTF-8: the first is skipped, the
//! second is said of the row that has it, with what to click.

use super::error::{ApiError, ApiResult};
use crate::event::FieldError;

/// Its media type.
pub(super) const CSV: &str = "text/csv";
/// What some programs put in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A sheet, read; blank rows are left out.
#[derive(Debug)]
pub(super) struct Sheet {
    /// Names of the columns.
    head: Vec<String>,
    /// Rows with their line, from 1.
    pub(super) rows: Vec<(usize, Row)>,
}

/// One row.
#[derive(Debug)]
pub(super) struct Row(csv::ByteRecord);

/// Takes the byte order mark off.
pub(super) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body)
}

impl Sheet {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is no CSV at all.
    pub(super) fn read(body: &[u8]) -> ApiResult<Self> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(body);
        let head = reader.byte_headers().map_err(|error| broken("/", &error))?;
        let head = head.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        let mut counted = Counted { body, at: 0, line: 1 };
        let mut rows = Vec::new();
        for record in reader.byte_records() {
            let record = record.map_err(|error| broken("", &error))?;
            let number = counted.line_at(record.position().map_or(0, csv::Position::byte));
            if !record.iter().all(<[u8]>::is_empty) {
                rows.push((number, Row(record)));
            }
        }
        Ok(Self { head, rows })
    }

    /// Returns the names of the columns with their places.
    pub(super) fn columns(&self) -> impl Iterator<Item = (usize, &str)> {
        self.head.iter().map(String::as_str).enumerate()
    }

    /// Returns the place of the column of a name, in any case.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn column(&self, wanted: &str) -> ApiResult<usize> {
        let at = self.head.iter().position(|name| name.eq_ignore_ascii_case(wanted));
        let missing = || {
            let detail = format!("the first line names no column `{wanted}` (第一行须有列名 {wanted})");
            ApiError::unreadable(format!("/{wanted}"), "required", detail)
        };
        at.ok_or_else(missing)
    }
}

impl Row {
    /// Returns a cell.
    ///
    /// # Errors
    /// When the row is too short, or the cell is not UTF-8.
    pub(super) fn cell(&self, at: usize, name: &str) -> ApiResult<&str> {
        let bytes = self.0.get(at).ok_or_else(|| {
            let detail = format!("the line has no column `{name}`");
            ApiError::unreadable(format!("/{name}"), "required", detail)
        })?;
        std::str::from_utf8(bytes).map_err(|_| {
            let detail = "is not UTF-8; save the sheet as \"CSV UTF-8\" (请另存为“CSV UTF-8（逗号分隔）”)";
            ApiError::unreadable(format!("/{name}"), "encoding", detail)
        })
    }
}

/// Numbers lines as an editor does. To the reader the second byte of a line's end (`\r\n`) is the first of the next record.
struct Counted<'a> {
    body: &'a [u8],
    at: usize,
    line: usize,
}

impl Counted<'_> {
    /// Returns the line of a record that begins at a byte; records come in order.
    fn line_at(&mut self, byte: u64) -> usize {
        let begin = usize::try_from(byte).unwrap_or(usize::MAX);
        let rest = self.body.get(begin..).unwrap_or_default();
        let begin =
            begin.saturating_add(rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count());
        let passed = self.body.get(self.at..begin).unwrap_or_default();
        self.line += passed.split(|byte| *byte == b'\n').count().saturating_sub(1);
        self.at = begin;
        self.line
    }
}

fn broken(pointer: &str, error: &csv::Error) -> ApiError {
    ApiError::fields(vec![FieldError::new(pointer, "syntax", format!("the body is no CSV: {error}"))])
}
