//! What the platform keeps and decides about messages, rules and the life of groups, without any HTTP.
//!
//! Each file is one state machine that is told the time and everything else it needs to know; the files in `apis/` read
//! calls, ask the [`World`](super::World) and answer. Not for: people and rosters, which are acts.

pub mod appchats;
pub mod caps;
mod cards;
mod config;
pub mod content;
pub mod inbox;
pub mod intercept;
pub mod internal;
pub mod join_ways;
pub mod mass;
pub mod media;
pub mod messages;
pub mod owners;
mod report;
pub mod robots;
pub mod templates;
pub mod transfers;

pub use self::appchats::{Appchats, Chat};
pub use self::caps::Cap;
pub use self::config::ActingConfig;
pub use self::content::{Content, ledger_text};
pub use self::inbox::{Inbox, Received};
pub use self::intercept::{Intercept, Range as InterceptRange, Rule as InterceptRule, Verdict};
pub use self::join_ways::{JoinWay, JoinWays};
pub use self::mass::{Audience, Mass, MassReport, Sender, Status, Target as MassTarget, Task};
pub use self::media::{Kind as MediaKind, Media, Upload, Uploader};
pub use self::messages::Messages;
pub use self::owners::{OwnerConfig, Temper};
pub use self::report::ActingReport;
pub use self::robots::{Robot, RobotState, Robots};
pub use self::templates::{Greeting, Template, Templates, Welcome};
pub use self::transfers::Transfers;
