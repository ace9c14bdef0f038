//! What endpoints are told of alerts: ids and counts, why, what to do, and who answers for the place.

use serde_json::{Value, json};

use super::{Published, id_of};
use crate::alerts::episode::{self, About, Level, Notice, Snapshot, Step, What};
use crate::alerts::{Surroundings, words};
use crate::event::{Actor, BrandId, Place, RegionId, ShopId};
use crate::storage::{StatusChange, Subject};

/// States of what is told, as endpoints filter by them.
pub const STATES: [&str; 7] =
    ["opened", "reminded", "escalated", "assigned", "acknowledged", "recovered", "passed"];

/// Returns the state that a notice tells.
fn state(notice: &Notice) -> &'static str {
    match &notice.what {
        What::Opened => "opened",
        // Who hears of it first hears of it again.
        What::Escalated { to: Level::ShopManager, .. } => "reminded",
        What::Escalated { to: Level::Deputy | Level::Region | Level::HeadOffice, .. } => "escalated",
        What::Assigned { .. } => "assigned",
        What::Recovered => "recovered",
        What::Passed => "passed",
    }
}

/// Returns the id of a notice: the same turn makes the same one.
pub(super) fn notice_id(notice: &Notice) -> String {
    format!("{}_{}", id_of(notice.alert.number), notice.seq)
}

/// Writes something down for endpoints.
pub(super) fn change(one: &Published) -> StatusChange {
    let place = &one.alert.place;
    let at = (place.account.as_deref().unwrap_or_default(), place.group.as_deref().unwrap_or_default());
    StatusChange::happened(Subject::Alert, one.state, one.id.clone(), one.at_ms, at, &one.context)
}

/// Makes of a notice what listeners are told.
pub(super) fn published(notice: Notice, around: &dyn Surroundings) -> Published {
    let (id, state, context) = (notice_id(&notice), state(&notice), context(&notice, around));
    Published { id, state, at_ms: notice.at_ms, alert: notice.alert, context }
}

/// Somebody acknowledged an alert.
pub(super) fn acknowledged(
    alert: Snapshot,
    actor: &Actor,
    now_ms: i64,
    around: &dyn Surroundings,
) -> Published {
    let mut context = describe(&alert, around);
    context["acknowledged_by"] = json!(actor.operator);
    let id = format!("{}_ack_{now_ms:x}", id_of(alert.number));
    Published { id, state: "acknowledged", at_ms: now_ms, alert, context }
}

/// Says all there is to say of a notice.
fn context(notice: &Notice, around: &dyn Surroundings) -> Value {
    let mut context = describe(&notice.alert, around);
    match &notice.what {
        What::Opened | What::Recovered | What::Passed => {}
        What::Assigned { to } => context["to"] = json!(to),
        What::Escalated { step, to } => {
            context["step"] = json!(step);
            context["to"] = json!({"level": to, "person": person(*to, &people_of(&notice.alert, around))});
        }
    }
    context
}

fn describe(alert: &Snapshot, around: &dyn Surroundings) -> Value {
    let (zh, en) = words::title(alert.kind);
    let people = people_of(alert, around);
    let place = &alert.place;
    let storm = match &alert.about {
        About::One { .. } => Value::Null,
        About::Storm { alerts, open, shops, elsewhere } => {
            let shops: Vec<_> =
                shops.iter().map(|(shop, count)| json!({"shop": shop, "alerts": count})).collect();
            json!({"alerts": alerts, "open": open, "shops": shops, "elsewhere": elsewhere})
        }
    };
    let (subject, value, worst) = match &alert.about {
        About::One { key, value, worst, .. } => (json!(key.subject), json!(value), json!(worst)),
        About::Storm { .. } => (Value::Null, Value::Null, Value::Null),
    };
    json!({
        "alert": id_of(alert.number),
        "kind": alert.kind,
        "title": {"zh": zh, "en": en},
        "why": why(alert),
        "todo": words::todo(alert.kind),
        "subject": subject,
        "value": value,
        "worst": worst,
        "storm": storm,
        "shop": place.shop,
        "region": place.region,
        "brand": place.brand,
        "responsible": people,
        "since": time(alert.since_ms),
        "acknowledged_by": alert.acknowledged.as_ref().map(|known| &known.by),
        "assigned_to": alert.assigned.as_ref().map(|to| &to.to),
        "url": format!("/v1/alerts/{}", id_of(alert.number)),
    })
}

/// Says why there is an alert.
pub fn why(alert: &Snapshot) -> episode::Explanation {
    match &alert.about {
        About::One { explanation, .. } => explanation.clone(),
        About::Storm { alerts, open, .. } => {
            let (zh, en) = words::title(alert.kind);
            episode::Explanation {
                zh: format!("同一大区集中出现 {alerts} 处“{zh}”，仍有 {open} 处"),
                en: format!("{alerts} alerts of the kind \"{en}\" in one region, {open} of them open"),
            }
        }
    }
}

/// Whoever answers for a place, as far as the directory knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = AlertPeople)]
pub struct People {
    /// The shop's manager; where nobody named one, whoever owns the group.
    pub shop_manager: Option<String>,
    /// Whoever stands in for the manager.
    pub deputy: Option<String>,
    /// Whoever runs the region.
    pub region: Option<String>,
}

/// Returns whoever answers for an alert's place.
pub(super) fn people_of(alert: &Snapshot, around: &dyn Surroundings) -> People {
    let place = &alert.place;
    let region = place.region.as_deref().and_then(|region| around.region_manager(region));
    let (Some(account), Some(group)) = (&place.account, &place.group) else {
        return People { region, ..People::default() };
    };
    let known = around.group(account, group);
    People { shop_manager: known.manager.or(known.owner), deputy: known.deputy, region }
}

/// Returns the person of a level; at head office that is written in the configuration.
pub(super) fn person(level: Level, people: &People) -> Option<String> {
    match level {
        Level::ShopManager => people.shop_manager.clone(),
        Level::Deputy => people.deputy.clone(),
        Level::Region => people.region.clone(),
        Level::HeadOffice => None,
    }
}

/// Returns the levels that were told so far.
pub(super) fn told_levels(alert: &Snapshot, steps: &[Step]) -> Vec<Level> {
    let mut levels: Vec<_> = steps.iter().take(alert.steps).map(|step| step.to).collect();
    levels.push(Level::ShopManager);
    levels.sort_unstable();
    levels.dedup();
    levels
}

/// Returns where an alert is, for rules and scopes.
pub(super) fn place_of(place: &episode::Place) -> Place {
    Place {
        brand: place.brand.as_deref().and_then(|id| BrandId::parse(id).ok()),
        region: place.region.as_deref().and_then(|id| RegionId::parse(id).ok()),
        shop: place.shop.as_deref().and_then(|id| ShopId::parse(id).ok()),
    }
}

fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}
