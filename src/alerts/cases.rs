//! The same advert in many groups: what staff are told when it is found, and when it has grown.
//!
//! Not for: what a person decides about it; that is told in the commit of the decision (`fleet::cases`).

use std::collections::BTreeMap;

use serde_json::json;

use super::Found;
use crate::event::{CaseSizeFact, Effects, Fact};
use crate::storage::Subject;
use crate::telemetry::metrics::Alert;

/// The state that a case is told to be in when it is found.
pub(super) const OPENED: &str = "opened";
/// The same when it has grown so much that people should look again.
pub(super) const GROWN: &str = "grown";

/// Reads what is told of cases out of what the fleet stage wrote.
pub(super) fn of<'e>(effects: &'e Effects<'_>) -> impl Iterator<Item = Found> + use<'e> {
    effects
        .facts
        .iter()
        .filter_map(|fact| if let Fact::CaseSize(size) = fact { Some(found(size)) } else { None })
}

fn found(size: &CaseSizeFact<'_>) -> Found {
    let by: BTreeMap<&str, u32> = size.by.iter().map(|(by, count)| (by.as_str(), *count)).collect();
    Found {
        kind: Alert::Case,
        subject: Subject::Case,
        state: if size.is_new { OPENED } else { GROWN },
        id: size.case.to_string(),
        at_ms: size.last_ms,
        account: String::new(), // it spans groups, and perhaps accounts
        group: String::new(),
        context: json!({
            "groups": size.groups,
            "members": size.members,
            "messages": size.messages,
            "by": by,
            "seconds_since_first": (size.last_ms - size.first_ms) / 1_000,
        }),
        said: Vec::new(),
        document: None,
        todo: None,
    }
}
