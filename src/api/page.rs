//! Lists by cursor: a page, and an opaque word that leads to the next one. Never an offset.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::{ApiError, ApiResult};

/// Longest cursor we read.
const CURSOR_BYTES_MAX: usize = 1_024;

/// One page of a list.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Send it as `cursor` for the next page; null on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of rows that were read one more than asked for: the surplus says that there is a next page.
    pub(super) fn of<C: Serialize>(mut items: Vec<T>, limit: usize, cursor: impl FnOnce(&T) -> C) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(|last| encode(&cursor(last)));
        Self { items, next_cursor }
    }

    /// Turns each row into what is shown.
    pub(super) fn map<U>(self, show: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(show).collect(), next_cursor: self.next_cursor }
    }
}

/// Makes a cursor; its contents are nobody's business.
pub(super) fn encode(position: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(position).unwrap_or_default()) // strings and numbers
}

/// Reads a cursor.
///
/// # Errors
/// When we did not make it.
pub(super) fn decode<C: DeserializeOwned>(cursor: Option<&str>) -> ApiResult<Option<C>> {
    let Some(cursor) = cursor else { return Ok(None) };
    let bytes = Some(cursor).filter(|c| c.len() <= CURSOR_BYTES_MAX);
    let bytes = bytes.and_then(|cursor| URL_SAFE_NO_PAD.decode(cursor).ok());
    let position = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let position = position.ok_or_else(|| {
        ApiError::unreadable("", "query", "the query: `cursor` must be a `next_cursor` of the same list")
    })?;
    Ok(Some(position))
}

/// The query of a plain list.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Rows of a page.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_a_foreign_one_refused() {
        let position = ("演示".to_owned(), "g/7".to_owned());
        let cursor = encode(&position);
        assert!(cursor.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        assert_eq!(decode(Some(&cursor)).unwrap(), Some(position));
        assert_eq!(decode::<(String, String)>(None).unwrap(), None);
        for foreign in ["!", "bm9wZQ", &"a".repeat(2000)] {
            assert!(decode::<(String, String)>(Some(foreign)).is_err(), "{foreign}");
        }
    }

    #[test]
    fn the_last_page_has_no_cursor() {
        assert!(Page::of(vec![1, 2, 3], 2, |n| *n).next_cursor.is_some());
        assert!(Page::of(vec![1, 2], 2, |n| *n).next_cursor.is_none());
        assert!(Page::of(Vec::<u8>::new(), 2, |n| *n).next_cursor.is_none());
    }
}
