//! `/v1/statistics/definitions`: what each number means, as docs/STATISTICS.md says it.

use serde::Serialize;

use crate::api::body::Answer;
use crate::api::state::Cx;
use crate::statistics::definitions::{self, Definition};

/// What every number means.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct Definitions {
    /// In the order of the document.
    items: Vec<Definition>,
}

/// Shows what each number means 数据口径
#[utoipa::path(
    get, path = "/v1/statistics/definitions", tag = "statistics", operation_id = "getStatisticsDefinitions",
    responses((status = 200, description = "Every number, in Chinese and English", body = Definitions)),
)]
pub(in crate::api) async fn get(_: Cx) -> Answer<Definitions> {
    Answer::ok(Definitions { items: definitions::all().collect() })
}
