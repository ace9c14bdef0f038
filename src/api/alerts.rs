//! `/v1/alerts`: what is not as it should be, who sees to it, and what was.

use serde::{Deserialize, Serialize};

use super::body::{Answer, Path, Query, Strict};
use super::error::{ApiError, ApiResult, Code};
use super::moment;
use super::page::{self, Page};
use super::state::Cx;
use crate::alerts::desk::{Ended, People, Taken, id_of, number_of, why};
use crate::alerts::episode::{About, Explanation, Kind, Snapshot};
use crate::alerts::words;
use crate::event::{FieldError, check_id};
use crate::statistics::platform::Coverage;
use crate::storage::AuditEntry;

/// Longest note, in characters.
const NOTE_CHARS_MAX: usize = 500;

/// Which alerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Which {
    /// Those that are open, acknowledged or not.
    #[default]
    Open,
    /// Those that are open and acknowledged.
    Acknowledged,
    /// Those that are open and nobody has acknowledged.
    Unacknowledged,
    /// Those that are over.
    Ended,
}

/// Which alerts.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AlertQuery {
    /// `open` when left out.
    #[serde(default)]
    #[param(inline)]
    state: Which,
    /// Only of this kind.
    #[serde(default)]
    #[param(inline)]
    kind: Option<Kind>,
    /// Only of groups of this region, and storms there.
    #[serde(default)]
    region: Option<String>,
    /// Only of groups of this shop.
    #[serde(default)]
    shop: Option<String>,
    /// Only of this account and its groups.
    #[serde(default)]
    account: Option<String>,
    /// Only of this group.
    #[serde(default)]
    group: Option<String>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// Rows of a page.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
}

impl AlertQuery {
    fn passes(&self, alert: &Snapshot) -> bool {
        let is = |wanted: &Option<String>, value: &Option<String>| wanted.is_none() || wanted == value;
        let place = &alert.place;
        self.kind.is_none_or(|kind| kind == alert.kind)
            && is(&self.region, &place.region)
            && is(&self.shop, &place.shop)
            && is(&self.account, &place.account)
            && is(&self.group, &place.group)
            && match self.state {
                Which::Open | Which::Ended => true,
                Which::Acknowledged => alert.acknowledged.is_some(),
                Which::Unacknowledged => alert.acknowledged.is_none(),
            }
    }
}

/// Words in both languages.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct WordsView {
    /// In plain Chinese.
    zh: String,
    /// The same in English.
    en: String,
}

impl From<Explanation> for WordsView {
    fn from(Explanation { zh, en }: Explanation) -> Self {
        Self { zh, en }
    }
}

/// An alert.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AlertView {
    /// Its id.
    #[schema(example = "al_17")]
    id: String,
    /// What it is about.
    kind: Kind,
    /// `open`; `clearing`: what raised it is gone, for less than `recover_after`; `ended`.
    #[schema(example = "open")]
    state: &'static str,
    /// What it is called.
    title: WordsView,
    /// Why it is an alert.
    why: WordsView,
    /// What to do.
    todo: WordsView,
    /// The account, if it is one account's.
    account: Option<String>,
    /// The group, if it is one group's.
    group: Option<String>,
    /// The shop.
    shop: Option<String>,
    /// The region.
    region: Option<String>,
    /// The brand.
    brand: Option<String>,
    /// What it happened to: `account/group`, an account, a wordlist, `*` for all groups; null for a storm.
    subject: Option<String>,
    /// How bad it is now, and was at worst: more is worse. Null for a storm.
    value: Option<u64>,
    /// At worst.
    worst: Option<u64>,
    /// The storm that it is told of with.
    storm: Option<String>,
    /// Of a storm: what it consists of.
    parts: Option<PartsView>,
    /// Whoever answers for the place.
    responsible: People,
    /// Since when.
    since: String,
    /// When it was last seen.
    seen_at: String,
    /// Since when what raised it is gone.
    cleared_at: Option<String>,
    /// When it ended.
    ended_at: Option<String>,
    /// How often it was passed up because nobody acknowledged it.
    steps: usize,
    /// Who sees to it.
    acknowledged: Option<AcknowledgedView>,
    /// To whom it was given.
    assigned: Option<AssignedView>,
}

/// One page of alerts.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AlertPage {
    /// The latest first.
    items: Vec<AlertView>,
    /// Send it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
    /// Whether the text of messages is visible: where it is not, kinds that rest on it are not looked for, so that none of
    /// them says nothing.
    text_coverage: Coverage,
}

/// What a storm consists of.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct PartsView {
    /// Alerts.
    alerts: u64,
    /// Of them open.
    open: u64,
    /// By shop, the most first.
    shops: Vec<ShopAlerts>,
    /// In other shops or in none.
    elsewhere: u64,
}

/// Alerts of one shop in a storm.
#[derive(Serialize, utoipa::ToSchema)]
struct ShopAlerts {
    /// The shop.
    shop: String,
    /// How many.
    alerts: u64,
}

/// That somebody sees to it.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AcknowledgedView {
    /// The operator.
    by: String,
    /// When.
    at: String,
    /// Until when it goes no further up.
    until: String,
}

/// To whom it was given.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AssignedView {
    /// The member of staff.
    to: String,
    /// When.
    at: String,
}

fn view(cx: &Cx, alert: Snapshot, ended_ms: Option<i64>) -> AlertView {
    let words = |(zh, en): (&str, &str)| WordsView { zh: zh.to_owned(), en: en.to_owned() };
    let state = match (ended_ms, alert.cleared_ms) {
        (Some(_), _) => "ended",
        (None, Some(_)) => "clearing",
        (None, None) => "open",
    };
    let (title, why, todo) = (words(words::title(alert.kind)), why(&alert), words::todo(alert.kind));
    let responsible = cx.alerts().people(&alert);
    let Snapshot { number, kind, about, place, since_ms, last_ms, cleared_ms, steps, acknowledged, assigned } =
        alert;
    let (subject, value, worst, storm, parts) = match about {
        About::One { key, value, worst, storm, .. } => {
            (Some(key.subject.to_string()), Some(value), Some(worst), storm.map(id_of), None)
        }
        About::Storm { alerts, open, shops, elsewhere } => {
            let shops = shops.into_iter().map(|(shop, alerts)| ShopAlerts { shop, alerts }).collect();
            (None, None, None, None, Some(PartsView { alerts, open, shops, elsewhere }))
        }
    };
    AlertView {
        id: id_of(number),
        kind,
        state,
        title,
        why: why.into(),
        todo: todo.into(),
        account: place.account,
        group: place.group,
        shop: place.shop,
        region: place.region,
        brand: place.brand,
        subject,
        value,
        worst,
        storm,
        parts,
        responsible,
        since: moment::show(since_ms),
        seen_at: moment::show(last_ms),
        cleared_at: cleared_ms.map(moment::show),
        ended_at: ended_ms.map(moment::show),
        steps,
        acknowledged: acknowledged.map(|known| AcknowledgedView {
            by: known.by,
            at: moment::show(known.at_ms),
            until: moment::show(known.until_ms),
        }),
        assigned: assigned.map(|to| AssignedView { to: to.to, at: moment::show(to.at_ms) }),
    }
}

impl Cx {
    /// Says whether an alert may be seen: by whoever may see what it is about.
    fn sees_alert(&self, alert: &Snapshot) -> bool {
        if self.scope().is_everything() {
            return true;
        }
        let place = &alert.place;
        match (&place.account, &place.group, &alert.about) {
            (Some(account), Some(group), _) => self.covers_group(account, group),
            (_, _, About::Storm { .. }) => {
                let region = place.region.as_deref();
                region.is_some_and(|region| self.directory().region_in(self.scope(), region).is_ok())
            }
            (Some(account), None, About::One { .. }) => self.sees_account(account),
            // Over all groups, or a rule of everybody's.
            (None, _, About::One { .. }) => false,
        }
    }

    /// Says whether text is visible in the account that was asked for, if it may be seen, else in all of them.
    fn text_coverage(&self, account: Option<&str>) -> Coverage {
        let account = account.filter(|account| self.sees_account(account));
        let accounts = self.directory().accounts();
        let meant = accounts
            .iter()
            .filter(|one| !one.record.disabled && account.is_none_or(|account| one.id.as_str() == account));
        let shows = meant.map(|one| {
            let can = self.connectors().capabilities(one.id.as_str());
            can.is_some_and(|can| can.gives_message_text)
        });
        let shows: Vec<bool> = shows.collect();
        match (shows.iter().any(|shows| *shows), shows.iter().all(|shows| *shows)) {
            (true, true) => Coverage::Full,
            (true, false) => Coverage::Partial,
            (false, _) => Coverage::Unavailable,
        }
    }

    /// Returns an alert that may be seen, and when it ended.
    pub(super) async fn alert(&self, id: &str) -> ApiResult<(Snapshot, Option<i64>)> {
        let missing = || ApiError::not_found("alert");
        let number = number_of(id).ok_or_else(missing)?;
        let found = if let Some(alert) = self.alerts().get(number).await {
            Some((alert, None))
        } else {
            let ended = self.alerts().ended_one(number).await?;
            ended.map(|Ended { alert, ended_ms }| (alert, Some(ended_ms)))
        };
        found.filter(|(alert, _)| self.sees_alert(alert)).ok_or_else(missing)
    }

    /// Begins the audit entry of what somebody does with an alert.
    fn alert_audit(&self, verb: &str, alert: &Snapshot) -> AuditEntry {
        let audit = AuditEntry::by(self.actor(), self.now_ms(), verb, "alert", &id_of(alert.number));
        match (&alert.place.account, &alert.place.group) {
            (Some(account), Some(group)) => audit.at(&self.place_of_group(account, group)),
            _ => audit,
        }
    }
}

/// Lists alerts 预警列表
///
/// What is open now, or with `state=ended` what was, the latest first. Told are ids and counts, never a text.
#[utoipa::path(
    get, path = "/v1/alerts", tag = "alerts", operation_id = "listAlerts", params(AlertQuery),
    responses((status = 200, description = "Alerts of the scope, the latest first", body = AlertPage)),
)]
pub(super) async fn list(cx: Cx, Query(query): Query<AlertQuery>) -> ApiResult<Answer<AlertPage>> {
    let limit = cx.page_rows(query.limit)?;
    let before: Option<u64> = page::decode(query.cursor.as_deref())?;
    let passes = |alert: &Snapshot| query.passes(alert) && cx.sees_alert(alert);
    let rows: Vec<(Snapshot, Option<i64>)> = if query.state == Which::Ended {
        let ended = cx.alerts().ended(before, limit + 1, |ended| passes(&ended.alert)).await?;
        ended.into_iter().map(|Ended { alert, ended_ms }| (alert, Some(ended_ms))).collect()
    } else {
        let is_before = |alert: &Snapshot| before.is_none_or(|before| alert.number < before);
        let open = cx.alerts().open_ones(|alert| is_before(alert) && passes(alert)).await;
        open.into_iter().rev().take(limit + 1).map(|alert| (alert, None)).collect()
    };
    let page = Page::of(rows, limit, |(alert, _)| alert.number);
    let Page { items, next_cursor } = page.map(|(alert, ended_ms)| view(&cx, alert, ended_ms));
    Ok(Answer::ok(AlertPage {
        items,
        next_cursor,
        text_coverage: cx.text_coverage(query.account.as_deref()),
    }))
}

/// Shows an alert 查看预警
#[utoipa::path(
    get, path = "/v1/alerts/{alert}", tag = "alerts", operation_id = "getAlert",
    params(("alert" = String, Path, description = "Its id")),
    responses((status = 200, description = "The alert", body = AlertView)),
)]
pub(super) async fn get(cx: Cx, Path(id): Path<String>) -> ApiResult<Answer<AlertView>> {
    let (alert, ended_ms) = cx.alert(&id).await?;
    Ok(Answer::ok(view(&cx, alert, ended_ms)))
}

/// What goes with it.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AcknowledgeIn {
    /// For the audit log; no message text.
    #[serde(default)]
    note: Option<String>,
}

/// To whom.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AssignIn {
    /// The member of staff, as the platform names them: is told one to one, where the platform can.
    #[schema(example = "li")]
    to: String,
    /// For the audit log; no message text.
    #[serde(default)]
    note: Option<String>,
}

/// Says that somebody sees to an alert 确认预警
///
/// It goes no further up for `alerts.life.ack_lasts`; a storm is acknowledged as a whole. Once more: the time begins anew.
#[utoipa::path(
    post, path = "/v1/alerts/{alert}/acknowledge", tag = "alerts", operation_id = "acknowledgeAlert",
    params(("alert" = String, Path, description = "Its id")), request_body = AcknowledgeIn,
    responses(
        (status = 200, description = "As it is now", body = AlertView),
        (status = 409, description = "It is over"),
    ),
)]
pub(super) async fn acknowledge(
    cx: Cx,
    Path(id): Path<String>,
    Strict(asked): Strict<AcknowledgeIn>,
) -> ApiResult<Answer<AlertView>> {
    let (alert, _) = cx.alert(&id).await?;
    let note = check_note(asked.note)?;
    let audit = cx.alert_audit("acknowledge", &alert).with(&serde_json::json!({"note": note}));
    let taken = cx.alerts().acknowledge(cx.actor(), alert.number, audit).await?;
    answer(&cx, taken)
}

/// Gives an alert to somebody 指派预警
#[utoipa::path(
    post, path = "/v1/alerts/{alert}/assign", tag = "alerts", operation_id = "assignAlert",
    params(("alert" = String, Path, description = "Its id")), request_body = AssignIn,
    responses(
        (status = 200, description = "As it is now", body = AlertView),
        (status = 409, description = "It is over"),
    ),
)]
pub(super) async fn assign(
    cx: Cx,
    Path(id): Path<String>,
    Strict(asked): Strict<AssignIn>,
) -> ApiResult<Answer<AlertView>> {
    let (alert, _) = cx.alert(&id).await?;
    if let Err(error) = check_id(&asked.to) {
        return Err(ApiError::fields(vec![FieldError::new("/to", "form", error.to_string())]));
    }
    let note = check_note(asked.note)?;
    let audit = cx.alert_audit("assign", &alert).with(&serde_json::json!({"to": asked.to, "note": note}));
    let taken = cx.alerts().assign(asked.to, alert.number, audit).await?;
    answer(&cx, taken)
}

fn answer(cx: &Cx, taken: Taken) -> ApiResult<Answer<AlertView>> {
    match taken {
        Taken::Done(alert) => Ok(Answer::ok(view(cx, *alert, None))),
        Taken::NotOpen => Err(ApiError::new(Code::Conflict, "the alert is over（预警已结束）")),
    }
}

fn check_note(note: Option<String>) -> ApiResult<Option<String>> {
    let chars = note.as_ref().map_or(0, |note| note.chars().count());
    if chars > NOTE_CHARS_MAX {
        let detail = format!("has {chars} characters, at most {NOTE_CHARS_MAX}");
        return Err(ApiError::fields(vec![FieldError::new("/note", "too_long", detail)]));
    }
    Ok(note)
}
