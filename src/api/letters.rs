//! `/v1/dead-letters/replay`: dead letters tried again by filter, counted first.
//!
//! What matched is read once, within the caller's scope; then each broadcast's targets are moved with the broadcast itself,
//! and all others in commits of their own. One that somebody else has moved meanwhile is left out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::body::{Answer, Strict};
use super::broadcasts::{outbox_refused, refused};
use super::error::{ApiError, ApiResult};
use super::moment;
use super::state::Cx;
use crate::broadcasts::BroadcastError;
use crate::event::{AccountId, BroadcastId, FieldError, Place};
use crate::outbox::LetterFilter;
use crate::storage::{AuditEntry, Change, DeliveryRow};

/// Rows read at once.
const PAGE: usize = 1_000;

/// Which dead letters are to be tried again. What is left out does not matter.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReplayIn {
    /// Of this account.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// Of this broadcast.
    #[serde(skip_serializing_if = "Option::is_none")]
    broadcast: Option<String>,
    /// Given up with this code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "http_503")]
    code: Option<String>,
    /// Of this kind: `broadcast`, `mass_target`, `reply`, `welcome`, `notice`, … or an action's.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// To this group.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// Given up then or later (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<jiff::Timestamp>,
    /// Given up before then (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<jiff::Timestamp>,
    /// Only count.
    dry_run: bool,
}

/// What was found, and what was done.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub(super) struct Replays {
    /// Dead letters that match.
    matched: u64,
    /// Of these, those that have all their attempts again; with `dry_run`: that would have.
    replayed: u64,
    /// Of these, targets of cancelled broadcasts: those are over.
    cancelled: u64,
    /// Of these, targets whose text could not be made: put right what is missing, then `POST /v1/broadcasts/{broadcast}/replay`.
    unsaid: u64,
    /// Those that match, by code.
    by_code: BTreeMap<String, u64>,
    /// Those that match, by account.
    by_account: BTreeMap<String, u64>,
    /// Those that match, by kind.
    by_kind: BTreeMap<String, u64>,
    /// Those that match, by broadcast; empty: of none.
    by_broadcast: BTreeMap<String, u64>,
    /// When the first of them was given up.
    first_failed_at: Option<String>,
    /// When the last of them was given up.
    last_failed_at: Option<String>,
    #[serde(skip)]
    first_ms: Option<i64>,
    #[serde(skip)]
    last_ms: Option<i64>,
}

/// What is left of a row once it was counted.
struct Letter {
    id: String,
    account: AccountId,
    code: String,
}

/// Tries dead letters again by filter 按条件重发死信
///
/// With `dry_run` it only counts. Nothing that was sent is sent again: a dead letter never arrived.
#[utoipa::path(
    post, path = "/v1/dead-letters/replay", tag = "outbound", operation_id = "replayDeadLetters",
    request_body = ReplayIn,
    responses((status = 200, description = "What was found and done", body = Replays)),
)]
pub(super) async fn replay(cx: Cx, Strict(asked): Strict<ReplayIn>) -> ApiResult<Answer<Replays>> {
    let (mut told, letters) = cx.letters(&asked).await?;
    let audit = |told: &Replays| {
        AuditEntry::by(cx.actor(), cx.now_ms(), "replay", "dead_letters", "")
            .at(&cx.place_of_letters(&asked))
            .with(&serde_json::json!({"filter": asked, "matched": told.matched}))
    };
    if !asked.dry_run && told.matched > 0 {
        // Written first: who asked is known also when it fails half way.
        let change = Change { at_ms: cx.now_ms(), audit: vec![audit(&told)], ..Change::default() };
        cx.storage().apply(change).await?;
    }
    for (broadcast, letters) in letters {
        let count = u64::try_from(letters.len()).unwrap_or(u64::MAX);
        let Some(broadcast) = broadcast else {
            told.replayed += if asked.dry_run { count } else { cx.replay_letters(letters).await? };
            continue;
        };
        match cx.replay_targets(&broadcast, letters, &asked).await? {
            Some(replayed) => told.replayed += replayed,
            None => told.cancelled += count,
        }
    }
    told.first_failed_at = told.first_ms.map(moment::show);
    told.last_failed_at = told.last_ms.map(moment::show);
    Ok(Answer::ok(told))
}

type Letters = BTreeMap<Option<BroadcastId>, Vec<Letter>>;

impl Replays {
    fn count(&mut self, row: &DeliveryRow) {
        self.matched += 1;
        for (counts, key) in [
            (&mut self.by_code, &row.code),
            (&mut self.by_account, &row.account),
            (&mut self.by_kind, &row.kind),
            (&mut self.by_broadcast, &row.broadcast),
        ] {
            *counts.entry(key.clone()).or_default() += 1;
        }
        self.first_ms = Some(self.first_ms.map_or(row.updated_ms, |first| first.min(row.updated_ms)));
        self.last_ms = self.last_ms.max(Some(row.updated_ms));
    }
}

impl Cx {
    /// Reads and counts what matches, by broadcast.
    async fn letters(&self, asked: &ReplayIn) -> ApiResult<(Replays, Letters)> {
        let ms = |at: Option<jiff::Timestamp>| at.map(jiff::Timestamp::as_millisecond);
        let filter = LetterFilter {
            id: None,
            account: asked.account.clone(),
            broadcast: asked.broadcast.clone(),
            group: asked.group.clone(),
            kind: asked.kind.clone(),
            code: asked.code.clone(),
            from_ms: ms(asked.from),
            until_ms: ms(asked.until),
        };
        let max = u64::try_from(self.config().replay_rows_max).unwrap_or(u64::MAX);
        let (mut told, mut letters, mut after) = (Replays::default(), Letters::new(), None);
        let mut visible: BTreeMap<String, Option<BroadcastId>> = BTreeMap::new();
        loop {
            let page =
                self.outbox().dead_letters(filter.clone(), after, PAGE).await.map_err(outbox_refused)?;
            let full = page.len() == PAGE;
            after = page.last().map(|row| (row.broadcast.clone(), row.target, row.id.clone()));
            for row in page.into_iter().filter(|row| self.sees_delivery(row)) {
                let broadcast = if row.broadcast.is_empty() {
                    None
                } else {
                    let seen = match visible.get(&row.broadcast).cloned() {
                        Some(seen) => seen,
                        None => self.broadcast(&row.broadcast).await.ok().map(|broadcast| broadcast.id),
                    };
                    visible.insert(row.broadcast.clone(), seen.clone());
                    let Some(id) = seen else { continue };
                    Some(id)
                };
                told.count(&row);
                if row.is_unsaid() {
                    told.unsaid += 1;
                } else if let Ok(account) = AccountId::parse(&row.account) {
                    letters.entry(broadcast).or_default().push(Letter {
                        id: row.id,
                        account,
                        code: row.code,
                    });
                }
            }
            if told.matched > max {
                let detail = format!("more than {max} match; narrow the filter (`api.replay_rows_max`)");
                return Err(ApiError::fields(vec![FieldError::new("", "too_many", detail)]));
            }
            if !full {
                return Ok((told, letters));
            }
        }
    }

    /// Tries what belongs to no broadcast again; returns how many.
    async fn replay_letters(&self, letters: Vec<Letter>) -> ApiResult<u64> {
        let letters = letters.into_iter().map(|letter| (letter.id, letter.account, letter.code)).collect();
        self.outbox().replay_these(letters).await.map_err(outbox_refused)
    }

    /// Tries targets of a broadcast again; returns how many, `None` when it was cancelled.
    async fn replay_targets(
        &self,
        broadcast: &BroadcastId,
        letters: Vec<Letter>,
        asked: &ReplayIn,
    ) -> ApiResult<Option<u64>> {
        let targets: Vec<_> = letters.into_iter().map(|letter| (letter.id, letter.code)).collect();
        let again = if asked.dry_run {
            self.broadcasts().would_replay(self.actor(), broadcast, &targets).await
        } else {
            let by = serde_json::to_value(asked).unwrap_or_default(); // texts and times
            self.broadcasts().replay_targets(self.actor(), broadcast, &targets, &by).await
        };
        match again {
            Ok(replayed) => Ok(Some(replayed)),
            Err(BroadcastError::State(_)) => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }

    fn place_of_letters(&self, asked: &ReplayIn) -> Place {
        match (&asked.account, &asked.group) {
            (Some(account), Some(group)) => self.place_of_group(account, group),
            _wider => Place::default(),
        }
    }
}
