//! What the API tells of sends that a shop manager must confirm, as a whole; the tasks one by one are in `tasks`.

use serde::Serialize;

use super::forecast::{Unknown, unknown};
use crate::api::moment;
use crate::broadcasts::mass::{Confirmation, Survey};

/// Something said in two languages.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
pub(in crate::api) struct Said {
    /// In Chinese.
    zh: &'static str,
    /// In English.
    en: &'static str,
}

/// What the commands come to when people must confirm.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
pub(in crate::api) struct Means {
    /// Of `pause`.
    pause: Said,
    /// Of `cancel`.
    cancel: Said,
    /// Of a canary.
    canary: Said,
    /// Of copies to compare.
    variants: Said,
    /// Why nothing is taken back.
    recall: Said,
}

const MEANS: Means = Means {
    pause: Said {
        zh: "暂停后不再创建新的群发任务，也不再自动提醒；已创建的任务仍在群主手里，群主随时可以确认发送。要收回请取消。",
        en: "No further tasks are created and nobody is reminded by itself. Tasks that exist stay with their owners, who \
             may still confirm and send; cancel to take them back.",
    },
    cancel: Said {
        zh: "取消后，平台停止群主尚未确认的任务；已经发出的消息仍然保留。",
        en: "The platform is asked to stop every task that its owner has not confirmed; what was sent stays sent.",
    },
    canary: Said {
        zh: "试发的群先单独建群发任务；要等它们的群主都确认、过期或被取消之后，观察时间才开始，其余群主的任务最后才建。",
        en: "The first groups get tasks of their own. They are watched once the last of these is confirmed, refused or over; \
             only then are the tasks of the others made.",
    },
    variants: Said {
        zh: "每种文案各建任务：同一位群主名下的群分到几种文案，就要确认几次。只比较分到的群，群主不确认也算在内。",
        en: "Each copy is a task of its own, so an owner confirms as many times as their groups got different copies. Groups \
             count where they were assigned, also those whose owner never confirms.",
    },
    recall: Said {
        zh: "已经发出的群发消息，平台没有提供撤回的接口；群主还没确认的任务，取消或撤回时会一并停止。",
        en: "The platform offers no way to take back what a mass send delivered; tasks that no owner has confirmed are stopped \
             by a cancel or a recall.",
    },
};

/// Between when and when.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(in crate::api) struct Range {
    /// With a chance of one half everybody has confirmed by then, as long as their past tells.
    from: String,
    /// With a chance of nine tenths; who never confirmed takes until the task is called off.
    to: String,
}

pub(super) fn range((from, to): (i64, i64)) -> Range {
    Range { from: moment::show(from), to: moment::show(to) }
}

/// How far the confirmations of a broadcast are.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct ConfirmationView {
    /// What was found when it was accepted; `without_owner` and `at_receiving_cap` fail unless that changes.
    beforehand: Survey,
    /// Tasks that do not exist yet, as far as they are planned.
    tasks_to_create: u64,
    /// Owners who have not confirmed all of theirs.
    owners_waiting: u64,
    /// Owners who have confirmed at least one.
    owners_confirmed: u64,
    /// Owners who were reminded.
    owners_reminded: u64,
    /// Since when the first of those who have not confirmed could have.
    oldest_waiting_since: Option<String>,
    /// When the last owner has probably confirmed, by each one's past; null when nobody waits or will. Of a broadcast whose
    /// tasks do not exist yet (a draft, one that waits) only `GET /v1/broadcasts/{broadcast}` and its forecast tell it, no list.
    estimated_finish: Option<Range>,
    /// Why nobody can say.
    unknown_because: Option<Unknown>,
    /// Owners in it of whom it is not known how long they take: for them the others' past is taken, or, where that is less
    /// than ten confirmations, a guess (half within two hours, most within a day, one of ten never).
    owners_without_history: u64,
    /// What pause, cancel and recall come to here.
    means: Means,
}

impl From<Confirmation> for ConfirmationView {
    fn from(of: Confirmation) -> Self {
        Self {
            beforehand: of.survey,
            tasks_to_create: of.tasks_to_create,
            owners_waiting: of.owners_waiting,
            owners_confirmed: of.owners_confirmed,
            owners_reminded: of.owners_reminded,
            oldest_waiting_since: of.oldest_waiting_ms.map(moment::show),
            estimated_finish: of.finish.map(range),
            unknown_because: of.unknown.as_ref().map(unknown),
            owners_without_history: of.owners_without_history,
            means: MEANS,
        }
    }
}
