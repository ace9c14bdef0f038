//! The tasks that shop managers must confirm, one by one: to list, to chase by region, to take away as a file; and the
//! reminder by hand.

use std::collections::{BTreeMap, BTreeSet};

use axum::response::Response;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::refused;
use crate::api::body::{Answer, Path, Query};
use crate::api::error::{ApiError, ApiResult};
use crate::api::moment;
use crate::api::page::{self, Page};
use crate::api::results::{Format, PAGE, stream_file, write_ndjson, write_table};
use crate::api::state::Cx;
use crate::broadcasts::mass::{Chosen, TaskRow};
use crate::event::{BroadcastId, FieldError};
use crate::storage::{DeliveryState, MASS_SENDS_FROM, StorageError};

/// Where a task stands, for those who chase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum Standing {
    /// The platform does not have it yet.
    ToCreate,
    /// Its owner has not confirmed.
    Waiting,
    /// Its owner confirmed.
    Confirmed,
    /// It was refused, called off, or its time is over.
    Over,
}

fn standing(task: &TaskRow) -> Standing {
    if task.record.confirmed_ms.is_some() {
        return Standing::Confirmed;
    }
    if task.record.called_off_ms.is_some() {
        return Standing::Over;
    }
    match task.row.state {
        DeliveryState::Pending | DeliveryState::Sending | DeliveryState::Uncertain => Standing::ToCreate,
        DeliveryState::AwaitingConfirmation => Standing::Waiting,
        DeliveryState::Sent => Standing::Confirmed,
        DeliveryState::Failed | DeliveryState::Cancelled | DeliveryState::Expired => Standing::Over,
    }
}

/// One task that an owner must confirm.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::api) struct TaskView {
    /// Its number in the broadcast.
    task: u32,
    /// Account.
    account: String,
    /// Who is to confirm.
    owner: String,
    /// The owner's name, where the platform told it.
    owner_name: Option<String>,
    /// The regions of its groups.
    regions: BTreeSet<String>,
    /// The shops of its groups, with their names.
    shops: BTreeMap<String, String>,
    /// The groups it carries, those of the scope.
    groups: Vec<String>,
    /// Where it stands, for those who chase.
    standing: Standing,
    /// Where it stands in the ledger.
    state: DeliveryState,
    /// Since when its owner could have confirmed; null when that is not what it waits for.
    waiting_since: Option<String>,
    /// The platform's id of it; null while there is none.
    platform_id: Option<String>,
    /// When its owner confirmed.
    confirmed_at: Option<String>,
    /// How often its owner was reminded.
    reminded: usize,
    /// When last.
    reminded_at: Option<String>,
    /// When the platform agreed to stop it.
    called_off_at: Option<String>,
    /// The last answer's code.
    code: Option<String>,
    /// The last answer in words.
    detail: Option<String>,
    /// When it changed.
    updated_at: String,
}

/// Shows a task with those of its groups that are in the scope; `None` when none is.
fn task_view(cx: &Cx, task: TaskRow) -> Option<TaskView> {
    let standing = standing(&task);
    let TaskRow { row, owner, mut groups, record } = task;
    groups.retain(|group| cx.covers_group(&row.account, group));
    let (mut regions, mut shops) = (BTreeSet::new(), BTreeMap::new());
    for context in groups.iter().filter_map(|group| cx.directory().context(&row.account, group)) {
        regions.extend(context.place.region.as_ref().map(ToString::to_string));
        let name = context.variable("shop.name").unwrap_or_default().to_owned();
        shops.extend(context.place.shop.as_ref().map(|shop| (shop.to_string(), name)));
    }
    let set = |text: String| Some(text).filter(|text| !text.is_empty());
    let is_one = !groups.is_empty();
    is_one.then(|| TaskView {
        task: row.target - MASS_SENDS_FROM,
        account: row.account,
        owner,
        owner_name: None,
        regions,
        shops,
        groups,
        standing,
        state: row.state,
        waiting_since: (standing == Standing::Waiting).then(|| moment::show(row.updated_ms)),
        platform_id: set(row.platform_id),
        confirmed_at: record.confirmed_ms.map(moment::show),
        reminded: record.reminded_ms.len(),
        reminded_at: record.reminded_ms.last().copied().map(moment::show),
        called_off_at: record.called_off_ms.map(moment::show),
        code: set(row.code),
        detail: set(row.detail),
        updated_at: moment::show(row.updated_ms),
    })
}

/// Which tasks; what is left out does not matter.
#[derive(Clone, Debug, Default, Serialize)]
struct Filter {
    state: Option<Standing>,
    region: Option<String>,
    shop: Option<String>,
    owner: Option<String>,
}

impl Filter {
    fn passes(&self, task: &TaskView) -> bool {
        self.state.is_none_or(|state| state == task.standing)
            && self.region.as_ref().is_none_or(|region| task.regions.contains(region))
            && self.shop.as_ref().is_none_or(|shop| task.shops.contains_key(shop))
            && self.owner.as_ref().is_none_or(|owner| *owner == task.owner)
    }

    /// Refuses a place that is not there, or outside the scope: a slip of the pen must not look like "nobody".
    fn check(&self, cx: &Cx) -> ApiResult<()> {
        let mut errors = Vec::new();
        let (directory, own) = (cx.directory(), cx.scope());
        if self.region.as_ref().is_some_and(|region| directory.region_in(own, region).is_err()) {
            errors.push(FieldError::new("/region", "not_found", "there is no such region in your scope"));
        }
        if self.shop.as_ref().is_some_and(|shop| directory.shop_in(own, shop).is_err()) {
            errors.push(FieldError::new("/shop", "not_found", "there is no such shop in your scope"));
        }
        if errors.is_empty() { Ok(()) } else { Err(ApiError::fields(errors)) }
    }
}

impl Cx {
    /// Reads a page of a broadcast's tasks after one, and which was the last if there may be more.
    async fn tasks_after(
        &self,
        id: &BroadcastId,
        filter: &Filter,
        after: Option<u32>,
        limit: usize,
    ) -> ApiResult<(Vec<TaskView>, Option<u32>)> {
        let rows = self.broadcasts().mass_tasks(self.actor(), id, after, limit).await.map_err(refused)?;
        let last = rows.last().map(|task| task.row.target - MASS_SENDS_FROM);
        let last = last.filter(|_| rows.len() == limit);
        let views = rows.into_iter().filter_map(|task| task_view(self, task));
        let views = views.filter(|task| filter.passes(task)).collect();
        Ok((self.named(views).await?, last))
    }

    /// Fills in what the platform told of the owners' names.
    async fn named(&self, mut tasks: Vec<TaskView>) -> ApiResult<Vec<TaskView>> {
        let storage = self.storage().clone();
        let named = tokio::task::spawn_blocking(move || {
            for task in &mut tasks {
                let Some(group) = task.groups.first() else { continue };
                task.owner_name = storage.member(&task.account, group, &task.owner)?.and_then(|row| row.name);
            }
            Ok::<_, StorageError>(tasks)
        });
        let named = named.await.map_err(|error| ApiError::internal(&error))?;
        Ok(named?)
    }
}

/// Which tasks, and where to begin.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct TasksQuery {
    /// The `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// Rows of a page; a page may be shorter and still have a next one.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// Only those that stand so: `waiting` is the list to chase.
    #[serde(default)]
    #[param(inline)]
    state: Option<Standing>,
    /// Only those with groups of this region.
    #[serde(default)]
    region: Option<String>,
    /// Only those with groups of this shop.
    #[serde(default)]
    shop: Option<String>,
    /// Only those of this owner.
    #[serde(default)]
    owner: Option<String>,
}

/// Lists the tasks that shop managers must confirm 群发任务列表
#[utoipa::path(
    get, path = "/v1/broadcasts/{broadcast}/tasks", tag = "broadcasts", operation_id = "listTasks",
    params(("broadcast" = String, Path, description = "Its id"), TasksQuery),
    responses((status = 200, description = "Its tasks that carry groups of the scope, by number", body = Page<TaskView>)),
)]
pub(in crate::api) async fn list(
    cx: Cx,
    Path(id): Path<String>,
    Query(query): Query<TasksQuery>,
) -> ApiResult<Answer<Page<TaskView>>> {
    let TasksQuery { cursor, limit, state, region, shop, owner } = query;
    let limit = cx.page_rows(limit)?;
    let after: Option<u32> = page::decode(cursor.as_deref())?;
    let broadcast = cx.broadcast(&id).await?;
    let filter = Filter { state, region, shop, owner };
    filter.check(&cx)?;
    let (items, last) = cx.tasks_after(&broadcast.id, &filter, after, limit).await?;
    Ok(Answer::ok(Page { items, next_cursor: last.map(|last| page::encode(&last)) }))
}

/// Which tasks, and how they are written.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct TasksFileQuery {
    /// `csv` or `ndjson`.
    #[serde(default)]
    #[param(inline)]
    format: Format,
    /// Only those that stand so: `waiting` is the list to chase.
    #[serde(default)]
    #[param(inline)]
    state: Option<Standing>,
    /// Only those with groups of this region.
    #[serde(default)]
    region: Option<String>,
    /// Only those with groups of this shop.
    #[serde(default)]
    shop: Option<String>,
    /// Only those of this owner.
    #[serde(default)]
    owner: Option<String>,
}

/// Exports the tasks that shop managers must confirm 导出催办名单
///
/// The same tasks as the list, in one file. In a CSV, cells that a spreadsheet would take for a formula have an apostrophe in
/// front (`'=…`).
#[utoipa::path(
    get, path = "/v1/broadcasts/{broadcast}/tasks/export", tag = "broadcasts", operation_id = "exportTasks",
    params(("broadcast" = String, Path, description = "Its id"), TasksFileQuery),
    responses((status = 200, description = "Its tasks that carry groups of the scope, by number", content(
        (String = "text/csv"), (TaskView = "application/x-ndjson"),
    ))),
)]
pub(in crate::api) async fn export(
    cx: Cx,
    Path(id): Path<String>,
    Query(query): Query<TasksFileQuery>,
) -> ApiResult<Response> {
    let TasksFileQuery { format, state, region, shop, owner } = query;
    let broadcast = cx.broadcast(&id).await?.id;
    let filter = Filter { state, region, shop, owner };
    filter.check(&cx)?;
    let name = format!("{broadcast}-tasks");
    stream_file(Export { cx, broadcast, filter, format, after: None }, Export::next, format, &name).await
}

/// An export under way.
struct Export {
    cx: Cx,
    broadcast: BroadcastId,
    filter: Filter,
    format: Format,
    /// The last task that was written; `None` before the first page.
    after: Option<u32>,
}

impl Export {
    /// Writes the next page; `None` in its second part when it was the last.
    async fn next(self) -> ApiResult<Option<(Bytes, Option<Self>)>> {
        let (tasks, last) = self.cx.tasks_after(&self.broadcast, &self.filter, self.after, PAGE).await?;
        let written = match self.format {
            Format::Csv => write_table(COLUMNS, tasks.iter().map(cells), self.after.is_none()),
            Format::Ndjson => write_ndjson(&tasks),
        };
        let bytes = written.map_err(|error| ApiError::internal(&error))?;
        Ok(Some((bytes.into(), last.map(|last| Self { after: Some(last), ..self }))))
    }
}

const COLUMNS: [&str; 18] = [
    "task",
    "account",
    "owner",
    "owner_name",
    "regions",
    "shops",
    "shop_names",
    "groups",
    "standing",
    "state",
    "waiting_since",
    "confirmed_at",
    "reminded",
    "reminded_at",
    "called_off_at",
    "code",
    "detail",
    "platform_id",
];

fn cells(task: &TaskView) -> [String; 18] {
    let joined = |texts: &mut dyn Iterator<Item = &String>| {
        texts.map(String::as_str).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ")
    };
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        task.task.to_string(),
        task.account.clone(),
        task.owner.clone(),
        of(&task.owner_name),
        joined(&mut task.regions.iter()),
        joined(&mut task.shops.keys()),
        joined(&mut task.shops.values()),
        joined(&mut task.groups.iter()),
        task.standing.as_str().to_owned(),
        task.state.as_str().to_owned(),
        of(&task.waiting_since),
        of(&task.confirmed_at),
        task.reminded.to_string(),
        of(&task.reminded_at),
        of(&task.called_off_at),
        of(&task.code),
        of(&task.detail),
        of(&task.platform_id),
    ]
}

impl Standing {
    fn as_str(self) -> &'static str {
        match self {
            Standing::ToCreate => "to_create",
            Standing::Waiting => "waiting",
            Standing::Confirmed => "confirmed",
            Standing::Over => "over",
        }
    }
}

/// Who is to be reminded; everybody when nothing is named.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct RemindQuery {
    /// Only owners with groups of this region in a task.
    #[serde(default)]
    region: Option<String>,
    /// Only owners with groups of this shop in a task.
    #[serde(default)]
    shop: Option<String>,
    /// Only this owner.
    #[serde(default)]
    owner: Option<String>,
}

/// Who is reminded.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::api) struct RemindingView {
    /// Tasks whose owners are reminded now, in the background.
    reminding: u64,
    /// Tasks whose owners were reminded a moment ago, or as often as the platform allows: they are not.
    held_back: u64,
}

/// Reminds the shop managers who have not confirmed 提醒未确认的群主
///
/// Asked twice within `broadcasts.confirmations.remind_gap`, it reminds once. Hours of rest do not hold it back.
#[utoipa::path(
    post, path = "/v1/broadcasts/{broadcast}/remind", tag = "broadcasts", operation_id = "remindBroadcast",
    params(("broadcast" = String, Path, description = "Its id"), RemindQuery),
    responses(
        (status = 200, description = "How many are reminded", body = RemindingView),
        (status = 409, description = "Its state does not allow it"),
    ),
)]
pub(in crate::api) async fn remind(
    cx: Cx,
    Path(id): Path<String>,
    Query(query): Query<RemindQuery>,
) -> ApiResult<Answer<RemindingView>> {
    let RemindQuery { region, shop, owner } = query;
    let broadcast = cx.broadcast(&id).await?.id;
    let is_narrowed = region.is_some() || shop.is_some() || owner.is_some();
    let filter = Filter { state: is_narrowed.then_some(Standing::Waiting), region, shop, owner };
    filter.check(&cx)?;
    let chosen = if is_narrowed { Some(chosen(&cx, &broadcast, &filter).await?) } else { None };
    let answer = cx.broadcasts().remind(cx.actor(), &broadcast, chosen).await.map_err(refused)?;
    Ok(Answer::ok(RemindingView { reminding: answer.reminding, held_back: answer.held_back }))
}

async fn chosen(cx: &Cx, broadcast: &BroadcastId, filter: &Filter) -> ApiResult<Chosen> {
    let (mut tasks, mut after) = (BTreeSet::new(), None);
    loop {
        let (page, last) = cx.tasks_after(broadcast, filter, after, PAGE).await?;
        tasks.extend(page.iter().map(|task| task.task + MASS_SENDS_FROM));
        let Some(last) = last else { break };
        after = Some(last);
    }
    let by = serde_json::to_value(filter).unwrap_or_default(); // texts and a word
    Ok(Chosen { tasks, by })
}
