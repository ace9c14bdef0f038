//! What a person is asked to do because no program did (人工处置): the platform cannot, or the budget of the hour is spent.

use serde::{Deserialize, Serialize};

use super::ladder::Came;
use crate::event::ActionKind;

/// An act that no program did, as the review that waits for a person names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByHand<'a> {
    /// What asked for it: `ladder`, `kick`, or the id of the case or the kick list that a person decided on.
    pub asked: &'a str,
    /// What a person is asked to do.
    pub action: ActionKind,
    /// Why no program did.
    pub came: Came,
}

impl<'a> ByHand<'a> {
    /// Returns the rule of the review.
    pub fn rule(&self) -> String {
        [self.asked, self.action.as_str(), self.came.as_str()].join(":")
    }

    /// Reads the rule of a review; `None` for one that waits for something else.
    pub fn parse(rule: &'a str) -> Option<Self> {
        let (asked, rest) = rule.split_once(':')?;
        let (action, came) = rest.split_once(':')?;
        let actions = [ActionKind::Warn, ActionKind::Mute, ActionKind::Remove];
        let action = actions.into_iter().find(|kind| kind.as_str() == action)?;
        let came = Came::parse(came).filter(|came| *came != Came::Queued)?;
        Some(Self { asked, action, came })
    }
}

/// The same with everything that is needed to do it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Todo {
    /// Account.
    pub account: String,
    /// Group.
    pub group: String,
    /// Whom it is about; unknown for some messages.
    pub member: Option<String>,
    /// What to do.
    pub action: ActionKind,
    /// Why no program did.
    pub came: Came,
    /// The platform's id of the message, where it is about one.
    pub of: Option<String>,
    /// What asked for it: `ladder`, or the id of a case or of a kick list.
    pub asked: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_review_that_waits_for_an_act_is_told_from_others() {
        let all = [
            ("ladder", ActionKind::Mute, Came::Unsupported),
            ("ladder", ActionKind::Warn, Came::Unsupported),
            ("kick", ActionKind::Remove, Came::OverBudget),
            ("case_0000000000001_00ff", ActionKind::Remove, Came::OverBudget),
        ];
        for (asked, action, came) in all {
            let by_hand = ByHand { asked, action, came };
            assert_eq!(ByHand::parse(&by_hand.rule()), Some(by_hand));
        }
        for other in ["", "links", "name", "ladder:mute:queued", "ladder:mute", "ladder:pardon:unsupported"] {
            assert_eq!(ByHand::parse(other), None, "{other}");
        }
    }
}
