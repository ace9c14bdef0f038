//! An endpoint of status webhooks that remembers what it was told.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use parking_lot::Mutex;
use serde_json::Value;

use super::receiver;

/// Changes by number: one that is told again is the same.
pub(crate) type Told = Arc<Mutex<BTreeMap<u64, Value>>>;

/// Serves it until the test ends; returns its address.
pub(crate) async fn endpoint(told: &Told) -> String {
    let told = Arc::clone(told);
    receiver::serve("/", move |_, body| {
        let body: Value = serde_json::from_slice(body).unwrap();
        for change in body["data"]["changes"].as_array().into_iter().flatten() {
            told.lock().insert(change["seq"].as_u64().unwrap(), change.clone());
        }
        StatusCode::OK
    })
    .await
}
