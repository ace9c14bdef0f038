//! Sends and actions of the `wecom` platform.

use async_trait::async_trait;

use super::Wecom;
use crate::outbox::delivery::{Decision, Deliver, Delivery, Outcome, Refusal, RefusalScope, Resolution};

#[async_trait]
impl Deliver for Wecom {
    async fn deliver(&self, delivery: &Delivery, _: u32) -> Outcome {
        Outcome::Refused(Refusal {
            decision: Decision::Never,
            scope: RefusalScope::Delivery,
            code: "unsupported".to_owned(),
            detail: format!("WeCom takes no `{}` here", delivery.kind),
        })
    }

    async fn resolve(&self, _: &Delivery) -> Resolution {
        Resolution::NotSent
    }
}
