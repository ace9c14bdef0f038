//! Checks a set of rules before it is compiled with everything else, so that an operator is told every field that is wrong.

use serde_json::Value;

use super::Rulebook;
use crate::app::house;
use crate::event::{FieldError, pointer_part};
use crate::interception::RuleSource;

impl Rulebook {
    /// Says what is wrong with a set of rules. Patterns are compiled: off the async workers.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub async fn check_rule_set(&self, body: &Value) -> Result<(), Vec<FieldError>> {
        let set: RuleSource = house::read(body)?;
        let config = self.config.interception.clone();
        let (count, max) = (set.rules.len(), config.rules_max);
        if count > max {
            let detail =
                format!("{count} rules, {max} at most, all sets together (`interception.rules_max`)");
            return Err(vec![FieldError::new("/rules", "too_many", detail)]);
        }
        let checked = tokio::task::spawn_blocking(move || set.check(&config)).await;
        let interrupted = |_| vec![FieldError::new("", "unusable", "the gateway is stopping")];
        let wrong = checked.map_err(interrupted)?.err().unwrap_or_default();
        if wrong.is_empty() {
            return Ok(());
        }
        let told = wrong.into_iter().map(|error| {
            let pointer = format!("/rules/{}{}", error.index, pointer_part(error.field));
            FieldError::new(pointer, "invalid", error.reason)
        });
        Err(told.collect())
    }
}
