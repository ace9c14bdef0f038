//! Lists of groups as people have them: NDJSON, or the CSV that a spreadsheet saves.
//!
//! Each line is read by itself: a wrong one is an answer, not the end.

use axum::extract::{FromRequest, Request};
use http::header;
use serde::Deserialize;

use crate::api::body;
use crate::api::error::{ApiError, ApiResult, Code};
use crate::api::ndjson;
use crate::api::sheet::{CSV, Row, Sheet, without_mark};
use crate::api::state::App;
use crate::event::{AccountId, GroupId, GroupName};

/// One line of a list of groups.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct GroupLine {
    /// Its account.
    account: String,
    /// The platform's id of it.
    group: String,
}

/// The lines of a list, with their numbers from 1; blank ones are left out.
#[derive(Debug)]
pub(in crate::api) struct Table(pub Vec<(usize, ApiResult<GroupName>)>);

const NDJSON: [&str; 2] = ["application/x-ndjson", "application/ndjson"];

impl FromRequest<App> for Table {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        body::check_type(request.headers(), &[CSV, NDJSON[0], NDJSON[1]])?;
        let given = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_csv = given.is_some_and(|given| given.trim_start().to_ascii_lowercase().starts_with(CSV));
        let body = body::read(request, app.import_bytes_max(), app.body_timeout()).await?;
        let body = without_mark(&body);
        let lines = if is_csv { from_csv(body)? } else { from_ndjson(body) };
        let max = app.import_lines_max();
        if lines.len() > max {
            return Err(ApiError::new(Code::TooLarge, format!("{} lines, at most {max}", lines.len())));
        }
        Ok(Self(lines))
    }
}

fn named(account: &str, group: &str) -> ApiResult<GroupName> {
    let account = AccountId::parse(account).map_err(|error| ndjson::bad_id("/account", &error))?;
    let group = GroupId::parse(group).map_err(|error| ndjson::bad_id("/group", &error))?;
    Ok(GroupName { account, group })
}

fn from_ndjson(body: &[u8]) -> Vec<(usize, ApiResult<GroupName>)> {
    let lines = body.split(|byte| *byte == b'\n').zip(1..).filter(|(line, _)| !line.trim_ascii().is_empty());
    let read = |line: &[u8]| {
        let GroupLine { account, group } = body::parse(line)?;
        named(&account, &group)
    };
    lines.map(|(line, number)| (number, read(line))).collect()
}

fn from_csv(body: &[u8]) -> ApiResult<Vec<(usize, ApiResult<GroupName>)>> {
    let sheet = Sheet::read(body)?;
    let (account, group) = (sheet.column("account")?, sheet.column("group")?);
    let read = |row: &Row| named(row.cell(account, "account")?, row.cell(group, "group")?);
    Ok(sheet.rows.iter().map(|(line, row)| (*line, read(row))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8]) -> Vec<(usize, String)> {
        let told = |read: ApiResult<GroupName>| match read {
            Ok(name) => name.to_string(),
            Err(error) => format!("!{} {}", error.errors[0].pointer, error.errors[0].code),
        };
        from_csv(body).unwrap().into_iter().map(|(line, read)| (line, told(read))).collect()
    }

    #[test]
    fn a_sheet_is_read_line_by_line_and_a_wrong_line_is_its_own_error() {
        let sheet =
            "店名,Account,group\n南京路,demo,g-1\r\n\"a,b\",demo,\"g-2\"\n,,\n短\nx,,g-3\ny, demo , g-4 \n";
        let expect = [
            (2, "demo/g-1"),
            (3, "demo/g-2"),
            (5, "!/account required"),
            (6, "!/account form"),
            (7, "demo/g-4"),
        ];
        let expect: Vec<_> = expect.into_iter().map(|(line, text)| (line, text.to_owned())).collect();
        assert_eq!(read(sheet.as_bytes()), expect);
    }

    #[test]
    fn lines_are_numbered_as_an_editor_does_whatever_ends_them() {
        for end in ["\n", "\r\n"] {
            let sheet =
                ["account,group", "demo,g-1", "", "demo,g-2", "demo,\"g-\n3\"", "demo,g-4", ""].join(end);
            let numbers: Vec<_> = read(sheet.as_bytes()).into_iter().map(|(line, _)| line).collect();
            assert_eq!(numbers, [2, 4, 5, 7], "{end:?}");
        }
    }

    #[test]
    fn another_encoding_is_told_by_line_also_when_only_other_columns_are_in_it() {
        // 店 in GBK is b5 ea.
        let sheet = b"name,account,group\n\xb5\xea,demo,g-1\nx,demo,\xb5\xea\n";
        assert_eq!(read(sheet), [(2, "demo/g-1".to_owned()), (3, "!/group encoding".to_owned())]);
    }

    #[test]
    fn a_sheet_without_the_columns_is_refused_by_name() {
        let error = from_csv("账号,群\ndemo,g-1\n".as_bytes()).unwrap_err();
        assert_eq!(error.errors[0].pointer, "/account");
        assert_eq!(from_csv(b"account,group\n").unwrap().len(), 0);
    }

    #[test]
    fn lines_of_json_are_read_strictly() {
        let body = b"{\"account\":\"demo\",\"group\":\"g-1\"}\n\n{\"account\":\"demo\"}\n{\"account\":\"demo\",\"group\":\"g\",\"x\":1}";
        let read: Vec<_> = from_ndjson(body).into_iter().map(|(line, read)| (line, read.is_ok())).collect();
        assert_eq!(read, [(1, true), (3, false), (4, false)]);
    }
}
