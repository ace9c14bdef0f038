//! `/v1/brands`, `/v1/regions`, `/v1/shops`: where groups belong.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::body::{Answer, Lines, Path, Precondition, Query, Strict, not_modified};
use super::error::{ApiError, ApiResult};
use super::ndjson::{self, Answers, ImportLine};
use super::page::{self, Page, PageQuery};
use super::state::Cx;
use crate::directory::{BrandRecord, RegionRecord, Shop, ShopRecord};
use crate::event::{BrandId, Place, RegionId, ShopId};

/// A record under its id.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Named<T> {
    /// Its id.
    id: String,
    /// What was written.
    #[serde(flatten)]
    record: T,
}

/// A shop with where it belongs.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ShopView {
    /// Its id.
    id: String,
    /// What was written.
    #[serde(flatten)]
    record: ShopRecord,
    /// Where it belongs.
    place: Place,
    /// Whether the doors are open now; null when nobody wrote the hours down.
    open_now: Option<bool>,
}

fn shop_view(cx: &Cx, shop: &Shop) -> ShopView {
    ShopView {
        id: shop.id.to_string(),
        record: shop.record.clone(),
        place: shop.place.clone(),
        open_now: shop.is_open_at(cx.now_ms()),
    }
}

/// Lists brands 列出品牌
#[utoipa::path(
    get, path = "/v1/brands", tag = "directory", operation_id = "listBrands", params(PageQuery),
    responses((status = 200, description = "The brands of the scope, by id", body = Page<Named<BrandRecord>>)),
)]
pub(super) async fn list_brands(
    cx: Cx,
    Query(query): Query<PageQuery>,
) -> ApiResult<Answer<Page<Named<BrandRecord>>>> {
    let limit = cx.page_rows(query.limit)?;
    let after: String = page::decode(query.cursor.as_deref())?.unwrap_or_default();
    let brands = cx.directory().brands_in(cx.scope(), &after, limit + 1);
    let page = Page::of(brands, limit, |(id, _)| id.to_string());
    Ok(Answer::ok(page.map(|(id, stored)| Named { id: id.to_string(), record: stored.record.clone() })))
}

/// Shows a brand 查看品牌
#[utoipa::path(
    get, path = "/v1/brands/{brand}", tag = "directory", operation_id = "getBrand",
    params(("brand" = String, Path, description = "Its id")),
    responses((status = 200, description = "The brand", body = Named<BrandRecord>)),
)]
pub(super) async fn get_brand(
    cx: Cx,
    Path(id): Path<String>,
    precondition: Precondition,
) -> ApiResult<Response> {
    let stored = cx.directory().brand_in(cx.scope(), &id)?;
    if precondition.knows(stored.version) {
        return Ok(not_modified(stored.version));
    }
    Ok(Answer::ok(Named { id, record: stored.record.clone() }).version(stored.version).into_response())
}

/// Makes or replaces a brand 新建或修改品牌
#[utoipa::path(
    put, path = "/v1/brands/{brand}", tag = "directory", operation_id = "putBrand",
    params(("brand" = String, Path, description = "Its id: 1 to 64 of A-Z a-z 0-9 - _ .")),
    request_body = BrandRecord,
    responses(
        (status = 200, description = "Replaced", body = Named<BrandRecord>),
        (status = 201, description = "Made", body = Named<BrandRecord>),
    ),
)]
pub(super) async fn put_brand(
    cx: Cx,
    Path(id): Path<String>,
    precondition: Precondition,
    Strict(record): Strict<BrandRecord>,
) -> ApiResult<Answer<Named<BrandRecord>>> {
    let brand = BrandId::parse(&id).map_err(|_| ApiError::not_found("brand"))?;
    let written = cx.directory().put_brand(cx.actor(), &brand, record.clone(), precondition.expect()).await;
    let written = written.map_err(|error| precondition.explain(error))?;
    Ok(Answer::written(written.created, Named { id, record }).version(written.version))
}

/// Removes a brand 删除品牌
#[utoipa::path(
    delete, path = "/v1/brands/{brand}", tag = "directory", operation_id = "deleteBrand",
    params(("brand" = String, Path, description = "Its id")),
    responses((status = 204, description = "Removed"), (status = 409, description = "Regions or accounts belong to it")),
)]
pub(super) async fn delete_brand(cx: Cx, Path(id): Path<String>) -> ApiResult<StatusCode> {
    cx.directory().delete_brand(cx.actor(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists regions 列出大区
#[utoipa::path(
    get, path = "/v1/regions", tag = "directory", operation_id = "listRegions", params(PageQuery),
    responses((status = 200, description = "The regions of the scope, by id", body = Page<Named<RegionRecord>>)),
)]
pub(super) async fn list_regions(
    cx: Cx,
    Query(query): Query<PageQuery>,
) -> ApiResult<Answer<Page<Named<RegionRecord>>>> {
    let limit = cx.page_rows(query.limit)?;
    let after: String = page::decode(query.cursor.as_deref())?.unwrap_or_default();
    let regions = cx.directory().regions_in(cx.scope(), &after, limit + 1);
    let page = Page::of(regions, limit, |(id, _)| id.to_string());
    Ok(Answer::ok(page.map(|(id, stored)| Named { id: id.to_string(), record: stored.record.clone() })))
}

/// Shows a region 查看大区
#[utoipa::path(
    get, path = "/v1/regions/{region}", tag = "directory", operation_id = "getRegion",
    params(("region" = String, Path, description = "Its id")),
    responses((status = 200, description = "The region", body = Named<RegionRecord>)),
)]
pub(super) async fn get_region(
    cx: Cx,
    Path(id): Path<String>,
    precondition: Precondition,
) -> ApiResult<Response> {
    let stored = cx.directory().region_in(cx.scope(), &id)?;
    if precondition.knows(stored.version) {
        return Ok(not_modified(stored.version));
    }
    Ok(Answer::ok(Named { id, record: stored.record.clone() }).version(stored.version).into_response())
}

/// Makes or replaces a region 新建或修改大区
#[utoipa::path(
    put, path = "/v1/regions/{region}", tag = "directory", operation_id = "putRegion",
    params(("region" = String, Path, description = "Its id: 1 to 64 of A-Z a-z 0-9 - _ .")),
    request_body = RegionRecord,
    responses(
        (status = 200, description = "Replaced", body = Named<RegionRecord>),
        (status = 201, description = "Made", body = Named<RegionRecord>),
    ),
)]
pub(super) async fn put_region(
    cx: Cx,
    Path(id): Path<String>,
    precondition: Precondition,
    Strict(record): Strict<RegionRecord>,
) -> ApiResult<Answer<Named<RegionRecord>>> {
    let region = RegionId::parse(&id).map_err(|_| ApiError::not_found("region"))?;
    let written = cx.directory().put_region(cx.actor(), &region, record.clone(), precondition.expect()).await;
    let written = written.map_err(|error| precondition.explain(error))?;
    Ok(Answer::written(written.created, Named { id, record }).version(written.version))
}

/// Removes a region 删除大区
#[utoipa::path(
    delete, path = "/v1/regions/{region}", tag = "directory", operation_id = "deleteRegion",
    params(("region" = String, Path, description = "Its id")),
    responses((status = 204, description = "Removed"), (status = 409, description = "Shops belong to it")),
)]
pub(super) async fn delete_region(cx: Cx, Path(id): Path<String>) -> ApiResult<StatusCode> {
    cx.directory().delete_region(cx.actor(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists shops 列出门店
#[utoipa::path(
    get, path = "/v1/shops", tag = "directory", operation_id = "listShops", params(PageQuery),
    responses((status = 200, description = "The shops of the scope, by id", body = Page<ShopView>)),
)]
pub(super) async fn list_shops(cx: Cx, Query(query): Query<PageQuery>) -> ApiResult<Answer<Page<ShopView>>> {
    let limit = cx.page_rows(query.limit)?;
    let after: String = page::decode(query.cursor.as_deref())?.unwrap_or_default();
    let page =
        Page::of(cx.directory().shops_in(cx.scope(), &after, limit + 1), limit, |shop| shop.id.to_string());
    Ok(Answer::ok(page.map(|shop| shop_view(&cx, &shop))))
}

/// Shows a shop 查看门店
#[utoipa::path(
    get, path = "/v1/shops/{shop}", tag = "directory", operation_id = "getShop",
    params(("shop" = String, Path, description = "Its id")),
    responses((status = 200, description = "The shop", body = ShopView)),
)]
pub(super) async fn get_shop(
    cx: Cx,
    Path(id): Path<String>,
    precondition: Precondition,
) -> ApiResult<Response> {
    let shop = cx.directory().shop_in(cx.scope(), &id)?;
    if precondition.knows(shop.version) {
        return Ok(not_modified(shop.version));
    }
    Ok(Answer::ok(shop_view(&cx, &shop)).version(shop.version).into_response())
}

/// Makes or replaces a shop 新建或修改门店
#[utoipa::path(
    put, path = "/v1/shops/{shop}", tag = "directory", operation_id = "putShop",
    params(("shop" = String, Path, description = "Its id: 1 to 64 of A-Z a-z 0-9 - _ .")),
    request_body = ShopRecord,
    responses(
        (status = 200, description = "Replaced", body = ShopView),
        (status = 201, description = "Made", body = ShopView),
    ),
)]
pub(super) async fn put_shop(
    cx: Cx,
    Path(id): Path<String>,
    precondition: Precondition,
    Strict(record): Strict<ShopRecord>,
) -> ApiResult<Answer<ShopView>> {
    let shop = ShopId::parse(&id).map_err(|_| ApiError::not_found("shop"))?;
    let written = cx.directory().put_shop(cx.actor(), &shop, record, precondition.expect()).await;
    let written = written.map_err(|error| precondition.explain(error))?;
    let shop = cx.directory().shop_in(cx.scope(), &id)?;
    Ok(Answer::written(written.created, shop_view(&cx, &shop)).version(written.version))
}

/// Removes a shop 删除门店
#[utoipa::path(
    delete, path = "/v1/shops/{shop}", tag = "directory", operation_id = "deleteShop",
    params(("shop" = String, Path, description = "Its id")),
    responses((status = 204, description = "Removed"), (status = 409, description = "Groups belong to it")),
)]
pub(super) async fn delete_shop(cx: Cx, Path(id): Path<String>) -> ApiResult<StatusCode> {
    cx.directory().delete_shop(cx.actor(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One line of an import of shops.
#[derive(Deserialize, utoipa::ToSchema)]
#[expect(dead_code, reason = "only its form is shown; lines are read field by field, to be strict")]
pub(super) struct ShopLine {
    /// Its id.
    id: String,
    /// The shop.
    #[serde(flatten)]
    record: ShopRecord,
}

/// Imports shops 批量导入门店
///
/// One shop a line, as in `PUT /v1/shops/{shop}` with its `id`. Every line gets an answer of its own; wrong lines do not
/// hold up the others. Sending the same import again changes nothing.
#[utoipa::path(
    post, path = "/v1/shops", tag = "directory", operation_id = "importShops",
    request_body(content = ShopLine, content_type = "application/x-ndjson"),
    responses((status = 200, description = "One answer a line", body = ImportLine, content_type = "application/x-ndjson")),
)]
pub(super) async fn import_shops(cx: Cx, Lines(lines): Lines) -> ApiResult<Answers> {
    let read = |line: &[u8]| {
        let ([id], record) = ndjson::line(line, ["id"])?;
        let shop = ShopId::parse(&id).map_err(|error| ndjson::bad_id("/id", &error))?;
        Ok((id, (shop, record)))
    };
    let mut answers = Answers::default();
    for chunk in ndjson::chunks(&lines, read) {
        let (shops, lines) = chunk.split();
        answers.add(lines, cx.directory().put_shops(cx.actor(), shops, None).await)?;
    }
    Ok(answers)
}
