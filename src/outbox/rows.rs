//! Between a delivery and its row in the ledger.
//!
//! The row of a broadcast's target has an empty body when its text is the broadcast's own; a text with variables filled
//! in is kept with the target, so that every attempt says the same. Everything else keeps the whole delivery.

use std::sync::Arc;

use super::delivery::{Delivery, Payload, Priority};
use super::lanes::Queued;
use super::limiter::Micros;
use crate::event::{AccountId, BroadcastId, DeliveryId};
use crate::storage::{DeliveryRow, DeliveryState, StorageError};

/// Writes a delivery as a row. `broadcast_text` is the text of its broadcast, if that has one for all.
pub fn row_of(
    delivery: &Delivery,
    broadcast_text: Option<&str>,
    state: DeliveryState,
    now_ms: i64,
) -> DeliveryRow {
    let (broadcast, target) = match &delivery.broadcast {
        Some((broadcast, target)) => (broadcast.as_str().to_owned(), *target),
        None => (String::new(), 0),
    };
    DeliveryRow {
        id: delivery.id.as_str().to_owned(),
        body: body_of(delivery, broadcast_text),
        broadcast,
        target,
        account: delivery.account.as_str().to_owned(),
        group: delivery.group.clone(),
        kind: delivery.kind.clone(),
        state,
        attempts: 0,
        due_ms: 0,
        expires_ms: delivery.expires_ms,
        code: String::new(),
        detail: String::new(),
        updated_ms: now_ms,
        platform_id: String::new(),
        carrier: 0,
    }
}

fn body_of(delivery: &Delivery, broadcast_text: Option<&str>) -> String {
    const SAYABLE: &str = "a delivery holds nothing that JSON cannot say";
    if delivery.broadcast.is_none() {
        return serde_json::to_string(delivery).expect(SAYABLE);
    }
    match &delivery.payload {
        Payload::Text { text, welcome_code: None, attachments }
            if Some(text.as_str()) == broadcast_text && attachments.is_empty() =>
        {
            String::new()
        }
        payload @ (Payload::Text { .. }
        | Payload::Content { .. }
        | Payload::MassSend { .. }
        | Payload::Edit { .. }
        | Payload::Action { .. }) => serde_json::to_string(payload).expect(SAYABLE),
    }
}

/// Reads a row. `now` and `now_ms` are the same moment on the runner's clock and on the wall's.
///
/// # Errors
/// When the row is not one of ours, or of a newer version.
pub(super) fn queued_of(
    row: &DeliveryRow,
    broadcast_text: Option<&str>,
    attempts_max: u32,
    now: Micros,
    now_ms: i64,
) -> Result<Queued, StorageError> {
    let unreadable =
        |detail: String| StorageError::Unreadable { what: format!("delivery `{}`", row.id), detail };
    let delivery = if row.broadcast.is_empty() {
        serde_json::from_str(&row.body).map_err(|error| unreadable(error.to_string()))?
    } else {
        target_of(row, broadcast_text).map_err(unreadable)?
    };
    let wait_ms = row.due_ms.saturating_sub(now_ms);
    Ok(Queued {
        delivery: Arc::new(delivery),
        attempts: row.attempts,
        // Given up once and here again: somebody replayed it, so it has all its attempts again.
        attempts_before: if row.attempts >= attempts_max { row.attempts } else { 0 },
        refreshed: false,
        in_ledger: true,
        due: if row.due_ms == 0 { now } else { now.saturating_add(wait_ms.saturating_mul(1000)) },
    })
}

/// Reads the row of a broadcast's target.
///
/// # Errors
/// Says what makes it unreadable.
pub(crate) fn target_of(row: &DeliveryRow, broadcast_text: Option<&str>) -> Result<Delivery, String> {
    let payload = if row.body.is_empty() {
        let text = broadcast_text.ok_or("its broadcast has no text")?.to_owned();
        Payload::text(text)
    } else {
        serde_json::from_str(&row.body).map_err(|error| error.to_string())?
    };
    let id = |error: crate::event::IdError| error.to_string();
    let member = match &payload {
        Payload::MassSend { sender, .. } => Some(sender.clone()),
        Payload::Text { .. } | Payload::Content { .. } | Payload::Edit { .. } | Payload::Action { .. } => {
            None
        }
    };
    Ok(Delivery {
        id: DeliveryId::parse(&row.id).map_err(id)?,
        account: AccountId::parse(&row.account).map_err(id)?,
        group: row.group.clone(),
        member,
        kind: row.kind.clone(),
        rule: String::new(),
        priority: Priority::Bulk,
        payload,
        broadcast: Some((BroadcastId::parse(&row.broadcast).map_err(id)?, row.target)),
        expires_ms: row.expires_ms,
        cost: 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::delivery::Content;

    fn target(text: &str) -> Delivery {
        let broadcast = BroadcastId::parse("bc_1").unwrap();
        Delivery {
            id: broadcast.delivery(7),
            account: AccountId::parse("demo").unwrap(),
            group: "g-7".into(),
            member: None,
            kind: "broadcast".into(),
            rule: String::new(),
            priority: Priority::Bulk,
            payload: Payload::text(text),
            broadcast: Some((broadcast, 7)),
            expires_ms: 0,
            cost: 1,
        }
    }

    #[test]
    fn a_row_is_read_back_as_the_delivery_it_was() {
        let own = target("全场八折");
        let row = row_of(&own, Some("全场八折"), DeliveryState::Pending, 5);
        assert_eq!(row.body, "", "24,000 targets do not repeat the text");
        assert_eq!(*queued_of(&row, Some("全场八折"), 8, 0, 5).unwrap().delivery, own);
        let filled = target("南京东路店八折");
        let row = row_of(&filled, Some("{shop.name}八折"), DeliveryState::Pending, 5);
        assert_eq!(*queued_of(&row, None, 8, 0, 5).unwrap().delivery, filled);
        let reply = Delivery { broadcast: None, priority: Priority::Normal, ..target("在的") };
        let row = row_of(&reply, None, DeliveryState::Pending, 5);
        assert_eq!(*queued_of(&row, None, 8, 0, 5).unwrap().delivery, reply);
    }

    #[test]
    fn what_goes_with_a_text_is_kept_and_tasks_of_older_versions_are_read() {
        let link = Content::Markdown { text: "**会员日**".into() };
        let payload = Payload::Text { text: "x".into(), welcome_code: None, attachments: vec![link] };
        let own = Delivery { payload, ..target("x") };
        let row = row_of(&own, Some("x"), DeliveryState::Pending, 5);
        assert_eq!(*queued_of(&row, Some("x"), 8, 0, 5).unwrap().delivery, own);
        let old = r#"{"type": "mass_send", "sender": "u-1", "targets": [[0, "g-1"]], "text": "x"}"#;
        let row = DeliveryRow { body: old.into(), ..row };
        let read = queued_of(&row, None, 8, 0, 5).unwrap().delivery.payload.clone();
        let targets = vec![(0, "g-1".to_owned())];
        let task =
            Payload::MassSend { sender: "u-1".into(), targets, text: "x".into(), attachments: Vec::new() };
        assert_eq!(read, task);
        assert_eq!(serde_json::from_str::<serde_json::Value>(old).unwrap(), serde_json::json!(task));
    }

    #[test]
    fn a_retry_keeps_its_time_and_a_replay_has_its_attempts_again() {
        let mut row = row_of(&target("x"), Some("x"), DeliveryState::Pending, 0);
        row.due_ms = 12_000;
        row.attempts = 3;
        let queued = queued_of(&row, Some("x"), 8, 1_000_000, 10_000).unwrap();
        assert_eq!((queued.due, queued.attempts, queued.attempts_before), (3_000_000, 3, 0));
        row.attempts = 8;
        assert_eq!(queued_of(&row, Some("x"), 8, 0, 0).unwrap().attempts_before, 8);
    }

    #[test]
    fn a_target_without_any_text_is_not_sent_empty() {
        let row = row_of(&target("x"), Some("x"), DeliveryState::Pending, 0);
        assert!(queued_of(&row, None, 8, 0, 0).is_err());
    }
}
