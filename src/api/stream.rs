//! `GET /v1/stream`: what happens, as it happens (server-sent events): verdicts, state changes, progress of broadcasts.
//!
//! Each connection reads the journal and the log of state changes for itself, from where the client was: nothing is lost
//! over a restart of either side as long as the rows are kept, and a slow client costs nobody else anything.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, stream};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::body::Query;
use super::error::{ApiError, ApiResult, Code};
use super::moment;
use super::state::Cx;
use crate::event::{Effects, EventType, Fact, Head, Status, Verdict};
use crate::storage::{StatusChange, Subject, visit_effects};
use crate::tasks::Tasks;
use crate::telemetry::metrics;

/// Rows of the journal, and state changes, that are read at once.
const ROWS_MAX: usize = 500;
/// How long to wait when everything was told.
const PAUSE: Duration = Duration::from_millis(250);
/// How often running broadcasts are looked at.
const PROGRESS_EVERY: u32 = 8;
/// How often something is sent while nothing happens, so that no proxy takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Topic {
    /// Messages with a verdict other than `pass`, and late verdicts.
    Verdict,
    /// State changes of broadcasts, cases, members, questions, alerts; of deliveries while there is an endpoint.
    Status,
    /// How far running broadcasts are, every 2 seconds.
    Progress,
}

/// What is to be told.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamQuery {
    /// Topics with a comma between them: `verdict`, `status`, `progress`. All of them when left out.
    #[serde(default)]
    #[param(example = "verdict,status")]
    topics: Option<String>,
    /// Tell of every message, also those that pass.
    #[serde(default)]
    all_verdicts: bool,
    /// Only of this account.
    #[serde(default)]
    account: Option<String>,
}

/// Tells what happens as it happens 实时推送
///
/// Server-sent events. Each has an `id`; a client that comes back with the last one as `Last-Event-ID` (browsers do by
/// themselves) goes on where it was. `lost` says that rows between were not kept. A comment comes every 15 seconds while
/// nothing happens. Only what lies in the token's scope is told.
#[utoipa::path(
    get, path = "/v1/stream", tag = "stream", operation_id = "stream", params(StreamQuery),
    responses(
        (status = 200, description = "Events `verdict`, `status`, `progress`, `lost`", content_type = "text/event-stream", body = String),
        (status = 409, description = "As many streams as `api.streams_max` are open"),
    ),
)]
pub(super) async fn open(
    cx: Cx,
    Query(query): Query<StreamQuery>,
    headers: HeaderMap,
) -> ApiResult<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let open = Open::new(&cx)?;
    let topics = topics(query.topics.as_deref())?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let place = match last.map(Place::parse) {
        Some(place) => place?,
        None => cx.stream_end().await?,
    };
    let tasks = cx.serving().clone();
    let tail = Tail {
        cx,
        tasks,
        topics,
        query,
        place,
        waiting: VecDeque::new(),
        told: BTreeMap::new(),
        round: 0,
        _open: open,
    };
    let events = stream::unfold(tail, |mut tail| async move {
        let event = tail.next().await?;
        Some((Ok::<_, Infallible>(event), tail))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn topics(text: Option<&str>) -> ApiResult<Vec<Topic>> {
    let Some(text) = text else { return Ok(vec![Topic::Verdict, Topic::Status, Topic::Progress]) };
    let topic = |word: &str| match word.trim() {
        "verdict" => Ok(Topic::Verdict),
        "status" => Ok(Topic::Status),
        "progress" => Ok(Topic::Progress),
        other => {
            let detail = format!("the query: `topics` may be verdict, status and progress, not {other:?}");
            Err(ApiError::unreadable("", "query", detail))
        }
    };
    text.split(',').map(topic).collect()
}

/// How far a client is: in the journal, and in the state changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    journal: u64,
    status: u64,
}

impl Place {
    fn parse(id: &str) -> ApiResult<Self> {
        let (journal, status) = id.split_once('.').unwrap_or((id, ""));
        let place = journal.parse().ok().zip(status.parse().ok());
        place.map(|(journal, status)| Self { journal, status }).ok_or_else(|| {
            ApiError::unreadable("", "query", "the header `Last-Event-ID` must be an id of this stream")
        })
    }

    fn id(self) -> String {
        format!("{}.{}", self.journal, self.status)
    }
}

/// An open connection, counted while it is open.
struct Open {
    streams: Streams,
    max: usize,
    permit: Option<OwnedSemaphorePermit>,
}

impl Open {
    fn new(cx: &Cx) -> ApiResult<Self> {
        let (streams, max) = (cx.streams().clone(), cx.config().streams_max);
        let Ok(permit) = streams.clone().try_acquire_owned() else {
            metrics::streams::refused();
            let detail = format!("{max} streams are open (`api.streams_max`); close one, or try again later");
            return Err(ApiError::new(Code::LimitReached, detail));
        };
        let open = Self { streams, max, permit: Some(permit) };
        open.count();
        Ok(open)
    }

    fn count(&self) {
        metrics::streams::open(self.max.saturating_sub(self.streams.available_permits()));
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.count();
    }
}

/// One connection.
struct Tail {
    cx: Cx,
    tasks: Tasks,
    topics: Vec<Topic>,
    query: StreamQuery,
    place: Place,
    waiting: VecDeque<Event>,
    /// What was told last of each running broadcast.
    told: BTreeMap<String, Value>,
    round: u32,
    _open: Open,
}

impl Tail {
    /// Returns the next event, as soon as there is one; nothing when the gateway stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.tasks.is_stopping() {
                return None;
            }
            if let Err(error) = self.read().await {
                tracing::warn!(error = error.detail, "a stream could not be read; the client comes again");
                return None;
            }
            if self.waiting.is_empty() {
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = self.tasks.stopping() => return None,
                }
            }
        }
    }

    async fn read(&mut self) -> ApiResult<()> {
        self.verdicts().await?;
        self.changes().await?;
        if self.topics.contains(&Topic::Progress) && self.round.is_multiple_of(PROGRESS_EVERY) {
            self.progress().await?;
        }
        self.round = self.round.wrapping_add(1);
        Ok(())
    }

    async fn verdicts(&mut self) -> ApiResult<()> {
        if !self.topics.contains(&Topic::Verdict) {
            return Ok(());
        }
        let (from, all) = (self.place.journal, self.query.all_verdicts);
        let (reached, told) = self.cx.verdicts_after(from, ROWS_MAX, all).await?;
        for Told { position, account, group, data } in told {
            if self.is_asked(&account) && self.cx.covers_group(&account, &group) {
                // Several of one row have one id: whoever comes again after the first hears the others again.
                let place = Place { journal: position - 1, ..self.place };
                self.push("verdict", place, &data);
            }
        }
        self.place.journal = reached;
        Ok(())
    }

    async fn changes(&mut self) -> ApiResult<()> {
        if !self.topics.contains(&Topic::Status) {
            return Ok(());
        }
        let (first, changes) = self.cx.changes_after(self.place.status, ROWS_MAX).await?;
        if first > self.place.status + 1 {
            let lost = first - self.place.status - 1;
            self.place.status = first - 1;
            self.push("lost", self.place, &json!({"status_changes": lost}));
        }
        for change in changes {
            self.place.status = change.seq;
            if self.is_asked(&change.account) && self.cx.may_hear(&change).await {
                self.push("status", self.place, &crate::subscriptions::shown(&change));
            }
        }
        Ok(())
    }

    /// Tells how far running broadcasts are, where that changed.
    async fn progress(&mut self) -> ApiResult<()> {
        let mut running = BTreeMap::new();
        for broadcast in self.cx.broadcasts().under_way(self.cx.actor()).await {
            let id = broadcast.id.to_string();
            let progress = self.cx.broadcasts().progress_of(&broadcast).await;
            let progress = progress.map_err(super::broadcasts::refused)?;
            let data = json!({
                "broadcast": id,
                "state": progress.state,
                "counts": progress.counts,
                "expected": progress.expected,
                "estimated_finish_at": progress.estimated_finish_ms.map(moment::show),
            });
            running.insert(id, data);
        }
        for (id, data) in &running {
            if self.told.get(id) != Some(data) {
                let place = self.place;
                self.push("progress", place, data);
            }
        }
        self.told = running;
        Ok(())
    }

    fn is_asked(&self, account: &str) -> bool {
        self.query.account.as_deref().is_none_or(|wanted| account == wanted)
    }

    fn push(&mut self, event: &str, place: Place, data: &Value) {
        let event = Event::default().event(event).id(place.id()).data(data.to_string());
        self.waiting.push_back(event);
    }
}

/// Shows what was decided about a message; nothing of what is of no interest here.
fn verdict(effects: &Effects<'_>, all: bool) -> Option<Value> {
    let head: &Head<'_> = &effects.head;
    let is_judged = matches!(head.what, EventType::Message | EventType::MessageEdited);
    let late = effects
        .facts
        .iter()
        .find_map(|fact| if let Fact::LateVerdict(late) = fact { Some(late) } else { None });
    let is_told = is_judged && (all || head.verdict != Verdict::Pass) || late.is_some();
    if !is_told || head.status != Status::Counted || head.group.is_empty() {
        return None;
    }
    let mut hits = Vec::new();
    let (mut event, mut actions) = (None, Vec::new());
    for fact in &effects.facts {
        if let Fact::Hit(hit) = fact {
            hits.push(json!({"wordlist": hit.wordlist, "category": hit.category, "level": hit.level, "via": hit.via}));
        } else if let Fact::Held(held) = fact {
            event = Some(held.of.to_string());
        } else if let Fact::Action(action) = fact {
            actions.push(json!(action.kind));
        }
    }
    Some(json!({
        "account": head.account,
        "group": head.group,
        "member": head.member,
        "role": head.role,
        "type": head.what,
        "at": moment::show(head.at_ms),
        "event": late.map(|late| late.of.to_string()).or(event),
        "verdict": late.map_or(head.verdict, |late| late.verdict),
        "hits": hits,
        "actions": actions,
    }))
}

impl Cx {
    /// Says whether a caller may hear of a state change.
    async fn may_hear(&self, change: &StatusChange) -> bool {
        if self.scope().is_everything() {
            return true;
        }
        match change.subject {
            Subject::Broadcast => self.broadcast(&change.id).await.is_ok(),
            Subject::Case => self.case(&change.id).await.is_ok(),
            Subject::Alert => {
                let context: Value = serde_json::from_str(&change.context).unwrap_or_default(); // ours
                let alert = context["alert"].as_str().unwrap_or_default();
                self.alert(alert).await.is_ok()
            }
            Subject::Delivery | Subject::Member | Subject::Conversation | Subject::Question => {
                !change.account.is_empty() && self.covers_group(&change.account, &change.group)
            }
        }
    }
}

impl Cx {
    /// Returns where a stream begins that goes on from nowhere.
    async fn stream_end(&self) -> ApiResult<Place> {
        let status = self.storage().status_span().await?.last;
        Ok(Place { journal: self.storage().head_position()?, status })
    }

    /// Returns the number of the first state change that is kept, and those after a number.
    async fn changes_after(&self, after: u64, limit: usize) -> ApiResult<(u64, Vec<StatusChange>)> {
        let span = self.storage().status_span().await?;
        if span.last <= after {
            return Ok((after + 1, Vec::new()));
        }
        Ok((span.first, self.storage().status_changes(after, limit).await?))
    }

    /// Returns what the journal tells of verdicts after a position, and up to where it was read.
    async fn verdicts_after(&self, after: u64, rows_max: usize, all: bool) -> ApiResult<(u64, Vec<Told>)> {
        if self.storage().head_position()? <= after {
            return Ok((after, Vec::new()));
        }
        self.blocking(move |storage| {
            let (mut told, mut unreadable) = (Vec::new(), None);
            let reached = storage.tail(after, rows_max, &mut |row| {
                let position = row.position;
                let seen = visit_effects(&row, |effects| {
                    if let Some(data) = verdict(effects, all) {
                        let (account, group) =
                            (effects.head.account.to_string(), effects.head.group.to_string());
                        told.push(Told { position, account, group, data });
                    }
                });
                unreadable = unreadable.take().or(seen.err());
            })?;
            unreadable.map_or(Ok((reached, told)), Err)
        })
        .await
    }
}

/// A verdict, and where it stands.
struct Told {
    position: u64,
    account: String,
    group: String,
    data: Value,
}

/// Streams that may be open at a time.
pub(super) type Streams = Arc<tokio::sync::Semaphore>;
