//! Group robots: one message by webhook.
//!
//! A robot's messages have no id, cannot be listed and cannot be taken back: a call in doubt stays in doubt. Its key is a
//! secret of the account, and which group it leads to only WeCom knows.

use super::content::Message;
use super::deliver::Acts;
use super::send::Way;
use crate::outbox::delivery::Outcome;

impl Acts {
    pub(super) async fn say_by_robot(&self, robot: &str, message: &Message) -> Outcome {
        match self.send(Way::Robot(robot), message).await {
            Ok(_) => Outcome::Sent { platform_id: None },
            Err(outcome) => outcome,
        }
    }
}
