//! One task that an owner must confirm: when it is asked about, when its owner is reminded, what the platform's word means
//! for each target. Layer: pure core.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::calendar::is_quiet;
use super::{Config, ms};
use crate::broadcasts::{TargetResult, TaskProgress};
use crate::event::HOUR_MS;
use crate::storage::DeliveryState;

/// What is remembered of a task over restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When its owner confirmed.
    #[serde(default)]
    pub confirmed_ms: Option<i64>,
    /// When its owner was reminded; written before the reminder is made.
    #[serde(default)]
    pub reminded_ms: Vec<i64>,
    /// Until when the platform takes no more reminders.
    #[serde(default)]
    pub no_reminder_before_ms: i64,
    /// When the platform agreed to stop it.
    #[serde(default)]
    pub called_off_ms: Option<i64>,
}

/// Why what was not sent will not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Somebody cancelled the broadcast.
    Cancelled,
    /// Its time is over.
    Expired,
}

impl Ending {
    fn state(self) -> DeliveryState {
        match self {
            Ending::Cancelled => DeliveryState::Cancelled,
            Ending::Expired => DeliveryState::Expired,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Ending::Cancelled => "cancelled",
            Ending::Expired => "not_confirmed",
        }
    }
}

/// Returns how long to wait after the `polls`-th question.
pub(super) fn pause_ms(polls: u32, config: &Config) -> i64 {
    ms(config.poll_first.saturating_mul(1 << polls.min(20)).min(config.poll_max))
}

impl Record {
    /// Says whether the owner is to be reminded now: by the schedule (from the task's creation), or because somebody asked for it at `asked_ms`.
    pub(super) fn reminder_is_due(
        &self,
        created_ms: i64,
        asked_ms: i64,
        schedule: &[Duration],
        now_ms: i64,
        config: &Config,
    ) -> bool {
        if self.confirmed_ms.is_some() || self.called_off_ms.is_some() || !self.may_remind(now_ms, config) {
            return false;
        }
        let not_since = |at_ms: i64| self.reminded_ms.last().is_none_or(|last| *last < at_ms);
        // What was asked for counts as of then: who could not be reminded at that time is not reminded late.
        let by_hand = asked_ms >= created_ms && not_since(asked_ms) && self.may_remind(asked_ms, config);
        // A reminder after the last step that has come covers all steps before it.
        let steps = schedule.iter().map(|after| created_ms.saturating_add(ms(*after)));
        let step = steps.filter(|at_ms| *at_ms <= now_ms).max();
        by_hand || (step.is_some_and(not_since) && !is_quiet(config.quiet, now_ms))
    }

    /// Says whether the caps allow a reminder.
    pub(super) fn may_remind(&self, at_ms: i64, config: &Config) -> bool {
        let lately =
            self.reminded_ms.iter().filter(|past| **past > at_ms - 24 * HOUR_MS && **past <= at_ms).count();
        let gap = self.reminded_ms.last().is_none_or(|last| at_ms - last >= ms(config.remind_gap));
        lately < config.reminders_max && gap && at_ms >= self.no_reminder_before_ms
    }
}

/// Where one target stands by the platform's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) target: u32,
    pub(super) state: DeliveryState,
    pub(super) code: &'static str,
    pub(super) detail: &'static str,
}

/// What a platform's answer comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// Every target, in order.
    pub(super) targets: Vec<Verdict>,
    /// When the owner confirmed, as far as the answer tells.
    pub(super) confirmed_ms: Option<i64>,
}

impl Judged {
    /// Returns what the task itself has come to, if every target has its result.
    pub(super) fn result(&self) -> Option<Verdict> {
        use DeliveryState::{AwaitingConfirmation, Sent};
        if self.targets.iter().any(|target| target.state == AwaitingConfirmation) {
            return None;
        }
        let sent = self.targets.iter().find(|target| target.state == Sent);
        sent.or(self.targets.first()).copied()
    }
}

/// Judges an answer about a task with these targets. `ending` says that the platform has agreed to stop it.
pub(super) fn judge(
    targets: &[(u32, String)],
    progress: &TaskProgress,
    ending: Option<Ending>,
    now_ms: i64,
) -> Judged {
    let told: HashMap<&str, TargetResult> =
        progress.targets.iter().map(|(group, result)| (group.as_str(), *result)).collect();
    // Nothing told at all says nothing, and so does what was refused at creation, which is told from then on; some told
    // with a result and others not says that those were refused.
    let has_result = |result: &TargetResult| *result != TargetResult::Failed("refused");
    let tells = told.values().any(has_result) && !progress.is_dispatching;
    let verdict = |(target, group): &(u32, String)| {
        let (state, code, detail) = match told.get(group.as_str()) {
            Some(TargetResult::Sent) => (DeliveryState::Sent, "", ""),
            Some(TargetResult::Failed("cancelled")) => stopped(ending.unwrap_or(Ending::Cancelled)),
            Some(TargetResult::Failed(reason)) => failed(reason),
            None if tells => failed("refused"),
            Some(TargetResult::Unsent) | None => match ending {
                Some(ending) if !progress.is_dispatching => stopped(ending),
                Some(_) | None => (DeliveryState::AwaitingConfirmation, "", ""),
            },
        };
        Verdict { target: *target, state, code, detail }
    };
    let arrived = told.values().any(|result| *result == TargetResult::Sent);
    Judged {
        targets: targets.iter().map(verdict).collect(),
        confirmed_ms: progress.confirmed_ms.or(arrived.then_some(now_ms)),
    }
}

type Standing = (DeliveryState, &'static str, &'static str);

fn stopped(ending: Ending) -> Standing {
    let detail = match ending {
        Ending::Cancelled => "任务在群主确认前已取消 · the task was called off before its owner confirmed it",
        Ending::Expired => "群主没有按时确认 · the owner did not confirm it in time",
    };
    (ending.state(), ending.code(), detail)
}

fn failed(reason: &str) -> Standing {
    let (code, detail) = match reason {
        "not_a_friend" => ("not_a_friend", "对方不是群主的好友 · not a contact of the owner any more"),
        "already_received" => (
            "already_received",
            "该群已收到其他群发，次数用完 · the group had received another mass send already",
        ),
        _refused => (
            "refused_by_platform",
            "平台创建任务时拒绝了该群：次数用完，或群已不属于群主 · the platform refused it when the \
              task was created: it received too often, or the owner owns it no more",
        ),
    };
    (DeliveryState::Failed, code, detail)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::storage::{Carried, MASS_TARGET};

    /// 2026-11-27 10:00 in China.
    const MORNING: i64 = 1_795_744_800_000;

    #[test]
    fn what_was_refused_at_creation_says_nothing_of_the_others() {
        use DeliveryState::{AwaitingConfirmation, Failed, Sent};
        let targets: Vec<(u32, String)> = (0..3).map(|n| (n, format!("g-{n}"))).collect();
        let refused = ("g-1".to_owned(), TargetResult::Failed("refused"));
        let progress = TaskProgress { targets: vec![refused.clone()], ..TaskProgress::default() };
        let states = |progress: &TaskProgress| -> Vec<DeliveryState> {
            judge(&targets, progress, None, MORNING).targets.iter().map(|verdict| verdict.state).collect()
        };
        assert_eq!(states(&progress), [AwaitingConfirmation, Failed, AwaitingConfirmation]);
        assert!(judge(&targets, &progress, None, MORNING).result().is_none(), "the task goes on");
        let sent = ("g-0".to_owned(), TargetResult::Sent);
        let later = TaskProgress { targets: vec![refused, sent], ..TaskProgress::default() };
        assert_eq!(states(&later), [Sent, Failed, Failed], "with results told, who is missing was refused");
    }

    #[test]
    fn reminders_follow_the_schedule_the_caps_and_the_night() {
        let config = Config::default();
        let due = |record: &Record, created: i64, asked: i64, now: i64| {
            record.reminder_is_due(created, asked, &config.remind_after.0, now, &config)
        };
        let fresh = Record::default();
        assert!(!due(&fresh, MORNING, 0, MORNING + 2 * HOUR_MS - 1));
        assert!(due(&fresh, MORNING, 0, MORNING + 2 * HOUR_MS));
        let once = Record { reminded_ms: vec![MORNING + 2 * HOUR_MS], ..Record::default() };
        assert!(!due(&once, MORNING, 0, MORNING + 6 * HOUR_MS - 1), "the first step is done");
        assert!(due(&once, MORNING, 0, MORNING + 6 * HOUR_MS));
        assert!(due(&fresh, MORNING, 0, MORNING + 7 * HOUR_MS), "once for both after a silence");
        let late = Record { reminded_ms: vec![MORNING + 7 * HOUR_MS], ..Record::default() };
        assert!(!due(&late, MORNING, 0, MORNING + 30 * HOUR_MS));
        // Evening: 10 h later it is 20:00, a step at 22:00 waits for 09:00.
        let evening = MORNING + 10 * HOUR_MS;
        assert!(!due(&fresh, evening, 0, evening + 2 * HOUR_MS));
        assert!(!due(&fresh, evening, 0, evening + 13 * HOUR_MS - 1));
        assert!(due(&fresh, evening, 0, evening + 13 * HOUR_MS));
        for done in [
            Record { confirmed_ms: Some(MORNING), ..Record::default() },
            Record { called_off_ms: Some(MORNING), ..Record::default() },
            Record { no_reminder_before_ms: MORNING + 24 * HOUR_MS, ..Record::default() },
        ] {
            assert!(!due(&done, MORNING, MORNING + HOUR_MS, MORNING + 3 * HOUR_MS), "{done:?}");
        }
    }

    #[test]
    fn who_is_asked_for_by_hand_is_reminded_once_also_at_night() {
        let config = Config::default();
        let night = MORNING + 12 * HOUR_MS;
        let record = |reminded: &[i64]| Record { reminded_ms: reminded.to_vec(), ..Record::default() };
        let due =
            |record: &Record, asked: i64, now: i64| record.reminder_is_due(MORNING, asked, &[], now, &config);
        assert!(due(&record(&[MORNING + 6 * HOUR_MS]), night, night));
        assert!(!due(&record(&[night]), night, night + 1), "done");
        assert!(
            !due(&record(&[night - 60_000]), night, night + 40 * 60_000),
            "a moment ago, and not late either"
        );
        let often = record(&[night - 5 * HOUR_MS, night - 4 * HOUR_MS, night - 3 * HOUR_MS]);
        assert!(!due(&often, night, night), "three times in a day");
        assert!(!due(&often, night, night + 23 * HOUR_MS), "nor when the cap has passed");
        assert!(
            !Record::default().reminder_is_due(night, night - 1, &[], night, &config),
            "created after it was asked"
        );
    }

    #[test]
    fn questions_grow_apart() {
        let config = Config::default();
        let pauses: Vec<_> = (0..9).map(|polls| pause_ms(polls, &config) / 1000).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
        assert_eq!(pause_ms(u32::MAX, &config), 600_000);
    }

    #[test]
    fn the_platforms_word_is_taken_target_by_target() {
        use DeliveryState::{AwaitingConfirmation, Cancelled, Expired, Failed, Sent};
        use TargetResult::Unsent;
        let targets: Vec<_> = ["a", "b", "c"].into_iter().zip(0..).map(|(g, n)| (n, g.to_owned())).collect();
        let told = |results: &[(&str, TargetResult)]| TaskProgress {
            targets: results.iter().map(|(group, result)| ((*group).to_owned(), *result)).collect(),
            ..TaskProgress::default()
        };
        let check = |progress: TaskProgress, ending, expect: [(DeliveryState, &str); 3]| {
            let judged = judge(&targets, &progress, ending, 7);
            let seen: Vec<_> = judged.targets.iter().map(|verdict| (verdict.state, verdict.code)).collect();
            assert_eq!(seen, expect, "{progress:?} {ending:?}");
        };
        let waits = (AwaitingConfirmation, "");
        check(TaskProgress::default(), None, [waits; 3]);
        let dispatching = TaskProgress { is_dispatching: true, ..told(&[("a", Unsent)]) };
        check(dispatching.clone(), None, [waits; 3]);
        check(dispatching, Some(Ending::Cancelled), [waits; 3]);
        check(
            told(&[("a", TargetResult::Sent), ("b", TargetResult::Failed("not_a_friend"))]),
            None,
            [(Sent, ""), (Failed, "not_a_friend"), (Failed, "refused_by_platform")],
        );
        check(
            told(&[("a", Unsent), ("b", TargetResult::Failed("already_received")), ("c", Unsent)]),
            None,
            [waits, (Failed, "already_received"), waits],
        );
        check(
            told(&[("a", TargetResult::Sent), ("b", Unsent), ("c", TargetResult::Failed("cancelled"))]),
            Some(Ending::Cancelled),
            [(Sent, ""), (Cancelled, "cancelled"), (Cancelled, "cancelled")],
        );
        check(TaskProgress::default(), Some(Ending::Expired), [(Expired, "not_confirmed"); 3]);
        let judged = judge(&targets, &told(&[("a", TargetResult::Sent)]), None, 7);
        assert_eq!(judged.confirmed_ms, Some(7), "what arrived was confirmed");
        assert_eq!(judged.result().unwrap().state, Sent);
        assert_eq!(judge(&targets, &told(&[("a", Unsent)]), None, 7).result(), None);
    }

    fn result() -> impl Strategy<Value = Option<TargetResult>> {
        prop::sample::select(vec![
            None,
            Some(TargetResult::Unsent),
            Some(TargetResult::Sent),
            Some(TargetResult::Failed("not_a_friend")),
            Some(TargetResult::Failed("cancelled")),
        ])
    }

    proptest! {
        /// Whatever a platform says, and in whatever order: a result, once there, stays.
        #[test]
        fn results_never_go_back(
            answers in prop::collection::vec(
                (prop::collection::vec(result(), 4), any::<bool>(), prop::option::of(any::<bool>())),
                1..12,
            ),
        ) {
            let targets: Vec<_> = (0..4).map(|n| (n, format!("g-{n}"))).collect();
            let mut rows = [DeliveryState::Pending; 4];
            for (results, is_dispatching, ending) in answers {
                let told = targets.iter().zip(results).filter_map(|((_, g), r)| Some((g.clone(), r?))).collect();
                let progress = TaskProgress { targets: told, is_dispatching, confirmed_ms: None };
                let ending = ending.map(|expired| if expired { Ending::Expired } else { Ending::Cancelled });
                for verdict in judge(&targets, &progress, ending, 0).targets {
                    let row = &mut rows[verdict.target as usize];
                    let is_final = !matches!(*row, DeliveryState::Pending | DeliveryState::AwaitingConfirmation);
                    let one = Carried {
                        id: String::new(), from: 1, carrier: 1, state: verdict.state, at_ms: 0,
                        code: String::new(), detail: String::new(), platform_id: String::new(),
                    };
                    if one.sources(MASS_TARGET).contains(row) {
                        prop_assert!(!is_final, "{:?} became {:?}", row, verdict.state);
                        *row = verdict.state;
                    }
                }
            }
        }
    }
}
