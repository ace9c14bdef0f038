//! Lines about members: NDJSON, or the CSV that a spreadsheet saves. Each is read by itself: a wrong one is an answer, not
//! the end.

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use hashbrown::HashSet;
use http::header;
use serde::de::DeserializeOwned;

use crate::api::body;
use crate::api::error::{ApiError, ApiResult, Code};
use crate::api::ndjson::{Answers, ImportLine, ImportStatus};
use crate::api::sheet::{CSV, Row, Sheet, without_mark};
use crate::api::state::{App, Cx};
use crate::people::marks::Edit;
use crate::storage::AuditEntry;

const NDJSON: [&str; 2] = ["application/x-ndjson", "application/ndjson"];
/// Lines of one commit.
const TOGETHER: usize = 500;
/// Longest id of a member that is written on, in bytes.
const MEMBER_BYTES_MAX: usize = 256;

/// What a line says: whose, and what becomes of what is written on them.
pub(in crate::api) type Wanted = (String, String, Edit);

/// A body of lines about members.
#[derive(Debug)]
pub(in crate::api) struct Body {
    bytes: Bytes,
    is_csv: bool,
    lines_max: usize,
}

impl FromRequest<App> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        body::check_type(request.headers(), &[CSV, NDJSON[0], NDJSON[1]])?;
        let given = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_csv = given.is_some_and(|given| given.trim_start().to_ascii_lowercase().starts_with(CSV));
        let bytes = body::read(request, app.import_bytes_max(), app.body_timeout()).await?;
        Ok(Self { bytes, is_csv, lines_max: app.import_lines_max() })
    }
}

impl Body {
    /// Reads every line: of a sheet the columns `account`, `member` and one more.
    pub(in crate::api) fn read<T: DeserializeOwned>(
        &self,
        column: &str,
        of_cells: impl Fn(&str, &str, &str) -> ApiResult<Wanted>,
        of_json: impl Fn(T) -> ApiResult<Wanted>,
    ) -> ApiResult<Vec<(usize, ApiResult<Wanted>)>> {
        let body = without_mark(&self.bytes);
        let lines: Vec<_> = if self.is_csv {
            let sheet = Sheet::read(body)?;
            let places = (sheet.column("account")?, sheet.column("member")?, sheet.column(column)?);
            let read = |row: &Row| {
                let (account, member) = (row.cell(places.0, "account")?, row.cell(places.1, "member")?);
                of_cells(account, member, row.cell(places.2, column)?)
            };
            sheet.rows.iter().map(|(line, row)| (*line, read(row))).collect()
        } else {
            let lines = body.split(|byte| *byte == b'\n').zip(1..);
            let lines = lines.filter(|(line, _)| !line.trim_ascii().is_empty());
            lines.map(|(line, number)| (number, body::parse(line).and_then(&of_json))).collect()
        };
        if lines.len() > self.lines_max {
            let detail = format!("{} lines, at most {}", lines.len(), self.lines_max);
            return Err(ApiError::new(Code::TooLarge, detail));
        }
        Ok(lines)
    }
}

/// Refuses ids that cannot be a member's.
pub(in crate::api) fn check_member(member: &str) -> ApiResult<()> {
    if member.is_empty() || member.len() > MEMBER_BYTES_MAX {
        let detail = format!("must be the platform's id of a member, 1 to {MEMBER_BYTES_MAX} bytes");
        return Err(ApiError::unreadable("/member", "form", detail));
    }
    Ok(())
}

impl Cx {
    /// Makes the edits of lines, some in one commit; answers each line. A failing disk leaves earlier lines done and says
    /// so on each later one.
    pub(in crate::api) async fn edit_members(
        &self,
        lines: Vec<(usize, ApiResult<Wanted>)>,
        what: &str,
    ) -> ApiResult<Answers> {
        let named = lines.iter().filter_map(|(_, line)| line.as_ref().ok());
        let named: HashSet<_> = named.map(|(account, member, _)| (account.clone(), member.clone())).collect();
        let writable = self.writable(named).await?;
        let checked = lines.into_iter().map(|(number, line)| {
            let line = line.and_then(|(account, member, edit)| {
                check_member(&member)?;
                // What is outside the scope is told like what is not there.
                let key = (account, member);
                if !writable.contains(&key) {
                    return Err(ApiError::not_found("member"));
                }
                Ok((key.0, key.1, edit))
            });
            (number, line)
        });
        let (mut answers, mut checked) = (Answers::default(), checked.peekable());
        while checked.peek().is_some() {
            let (mut edits, mut waiting, mut told) = (Vec::new(), Vec::new(), Vec::new());
            for (number, line) in checked.by_ref().take(TOGETHER) {
                match line {
                    Ok(edit) => {
                        waiting.push((number, format!("{}/{}", edit.0, edit.1)));
                        edits.push(edit);
                    }
                    Err(error) => told.push((number, ImportLine::refused(number, None, error))),
                }
            }
            let count = edits.len();
            let audit =
                AuditEntry::by(self.actor(), self.now_ms(), "import", what, &format!("{count} lines"));
            let done = self.people().edit(edits, audit.at(&self.own_place())).await;
            let mut done = match done {
                Ok(done) => done.into_iter().map(Ok).collect::<Vec<_>>().into_iter(),
                Err(error) => {
                    let error = ApiError::from(error);
                    vec![Err(error); count].into_iter()
                }
            };
            for (number, id) in waiting {
                let line = match done.next() {
                    Some(Ok(Ok(true))) => ImportLine::taken(number, id, ImportStatus::Created),
                    Some(Ok(Ok(false))) => ImportLine::taken(number, id, ImportStatus::Updated),
                    Some(Ok(Err(why))) => {
                        ImportLine::refused(number, Some(id), ApiError::new(Code::LimitReached, why))
                    }
                    Some(Err(error)) => ImportLine::refused(number, Some(id), error),
                    None => continue,
                };
                told.push((number, line));
            }
            told.sort_by_key(|(number, _)| *number);
            told.iter().try_for_each(|(_, line)| answers.line(line))?;
        }
        Ok(answers)
    }
}
