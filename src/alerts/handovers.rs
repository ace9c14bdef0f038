//! A member asked for a person: what staff are told of it.

use serde_json::json;

use super::{Around, Found, Said};
use crate::event::{Effects, Fact, HandOverFact, Head, Status};
use crate::questions::Lately;
use crate::storage::Subject;
use crate::telemetry::metrics::Alert;

/// The state that a talk is told to be in.
pub(super) const STATE: &str = "handed_over";

/// Reads a hand-over out of what an event caused; `lately` has observed it.
pub(super) fn of(
    effects: &Effects<'_>,
    lately: &Lately,
    around: &dyn Fn(&Head<'_>) -> Around,
) -> Option<Found> {
    let head = &effects.head;
    let fact = effects
        .facts
        .iter()
        .find_map(|fact| if let Fact::HandOver(fact) = fact { Some(fact) } else { None })?;
    let member = head.member.as_deref().filter(|_| head.status == Status::Counted)?;
    let HandOverFact { of, rule, until_ms } = fact;
    let place = around(head).place;
    let context = json!({
        "member": member,
        "event": of,
        "rule": rule,
        "shop": place.shop,
        "region": place.region,
        "quiet_until": jiff::Timestamp::from_millisecond(*until_ms).unwrap_or_default().to_string(),
        "question": null,
    });
    let said = lately.of(&head.account, &head.group, member);
    Some(Found {
        kind: Alert::HandedOver,
        subject: Subject::Conversation,
        state: STATE,
        id: format!("ho_{:032x}", head.key.0),
        at_ms: head.at_ms,
        account: head.account.to_string(),
        group: head.group.to_string(),
        context,
        said: said
            .into_iter()
            .map(|said| Said { event: said.event, evidence: said.key.evidence() })
            .collect(),
        document: None,
        todo: None,
    })
}
