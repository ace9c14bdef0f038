//! The lane of a delivery: at which levels of limits its calls count.

use std::fmt::Write as _;

use serde::Serialize;

use crate::api::state::Cx;
use crate::outbox::limit::Lane;

/// At which levels a call counts, beside its group's own; by the limits in force now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(in crate::api) struct LaneView {
    /// The account.
    account: String,
    /// The class of its group, where the platform tells several apart (`robot`, `appchat`, `direct`).
    class: Option<String>,
    /// The applications that the account shares with others.
    apps: Vec<String>,
    /// The companies that the account shares with others.
    corps: Vec<String>,
}

impl LaneView {
    /// Says it in one cell: `demo @robot app=shop corp=acme`.
    pub(in crate::api) fn text(&self) -> String {
        let mut text = self.account.clone();
        // A text takes whatever is written into it.
        if let Some(class) = &self.class {
            _ = write!(text, " @{class}");
        }
        for app in &self.apps {
            _ = write!(text, " app={app}");
        }
        for corp in &self.corps {
            _ = write!(text, " corp={corp}");
        }
        text
    }
}

impl Cx {
    /// Returns the lane of what goes to a group through an account; `None` when the account is not connected.
    pub(in crate::api) fn lane(&self, account: &str, group: &str) -> Option<LaneView> {
        let Lane { class, apps, corps } = self.connectors().lane(account, group)?;
        Some(LaneView { account: account.to_owned(), class, apps, corps })
    }
}
