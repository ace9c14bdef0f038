//! App messages to members: the check for duplicates, what is dropped without a word, and recalls.
//!
//! Who the targets are is the caller's to find out; here they are ids that exist.

use std::collections::{HashMap, VecDeque};

use crate::wecom::errcode;
use crate::wecom::limits::Rule;
use crate::wecom::request::Refusal;

/// What reaches one member from one app; the rest is dropped without an error.
pub const PER_MEMBER: [Rule; 2] = [Rule::per_minute(30), Rule::per_hour(1_000)];
/// Person-sends a day for each licensed account.
pub const PER_ACCOUNT_AND_DAY: u64 = 200;
/// How far back duplicates are looked for, in seconds, unless the call says otherwise.
pub const DUPLICATE_S_DEFAULT: u64 = 1_800;
/// The furthest a call may ask to look.
pub const DUPLICATE_S_MAX: u64 = 14_400;
/// How long a message can be recalled.
pub const RECALL_MS: u64 = 86_400_000;
/// Targets and contents remembered for the check.
pub const DUPLICATES_MAX: usize = 1_000_000;
/// Messages remembered for recalls.
pub const MESSAGES_MAX: usize = 200_000;

/// One message that may still be recalled.
#[derive(Debug)]
struct Sent {
    app: usize,
    at_ms: u64,
    is_recalled: bool,
}

/// What apps have sent.
#[derive(Debug, Default)]
pub struct Messages {
    /// When a digest of app, target and content was last sent with the check on.
    seen: HashMap<u64, u64>,
    /// The same in the order they came, to forget them.
    seen_order: VecDeque<(u64, u64)>,
    sent: HashMap<String, Sent>,
    sent_order: VecDeque<String>,
    /// Person-sends that the check dropped.
    pub duplicates_dropped: u64,
    /// Person-sends dropped for a member's own limit.
    pub over_limit_dropped: u64,
    /// Messages recalled.
    pub recalled: u64,
}

impl Messages {
    /// Whether the same was sent within the interval; a send that was not counts from now on.
    pub(crate) fn is_duplicate(&mut self, digest: u64, interval_s: u64, now_ms: u64) -> bool {
        while let Some(&(oldest, at_ms)) = self.seen_order.front()
            && (now_ms >= at_ms + DUPLICATE_S_MAX * 1_000 || self.seen_order.len() >= DUPLICATES_MAX)
        {
            if self.seen.get(&oldest) == Some(&at_ms) {
                self.seen.remove(&oldest);
            }
            self.seen_order.pop_front();
        }
        if self.seen.get(&digest).is_some_and(|at_ms| now_ms < at_ms + interval_s * 1_000) {
            self.duplicates_dropped += 1;
            return true;
        }
        self.seen.insert(digest, now_ms);
        self.seen_order.push_back((digest, now_ms));
        false
    }

    /// Remembers a message for a recall.
    pub(crate) fn sent(&mut self, msgid: String, app: usize, now_ms: u64) {
        while self.sent_order.len() >= MESSAGES_MAX
            && let Some(oldest) = self.sent_order.pop_front()
        {
            self.sent.remove(&oldest);
        }
        self.sent_order.push_back(msgid.clone());
        self.sent.insert(msgid, Sent { app, at_ms: now_ms, is_recalled: false });
    }

    /// Takes a message back; a second time changes nothing.
    ///
    /// # Errors
    /// 42052 for a message that is more than 24 hours old, unknown, or another app's.
    pub fn recall(&mut self, msgid: &str, app: usize, now_ms: u64) -> Result<(), Refusal> {
        let found =
            self.sent.get_mut(msgid).filter(|sent| sent.app == app && now_ms < sent.at_ms + RECALL_MS);
        let sent = found.ok_or_else(|| Refusal::code(errcode::MSGID_EXPIRED))?;
        self.recalled += u64::from(!sent.is_recalled);
        sent.is_recalled = true;
        Ok(())
    }

    /// Whether a message was taken back.
    pub fn is_recalled(&self, msgid: &str) -> bool {
        self.sent.get(msgid).is_some_and(|sent| sent.is_recalled)
    }
}

/// What a list of targets becomes: those the platform knows, and those it gives back as invalid, joined with bars.
///
/// # Errors
/// 40032 for more than `most`.
pub(crate) fn split_targets(
    list: &str,
    most: usize,
    mut is_known: impl FnMut(&str) -> bool,
) -> Result<(Vec<String>, String), Refusal> {
    let names = || list.split('|').filter(|name| !name.is_empty());
    if names().count() > most {
        return Err(Refusal::code(errcode::USERID_LIST_LENGTH));
    }
    let (known, invalid): (Vec<&str>, Vec<&str>) = names().partition(|name| is_known(name));
    Ok((known.into_iter().map(str::to_owned).collect(), invalid.join("|")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: u64 = 1_767_225_600_000;

    #[test]
    fn the_same_again_is_a_duplicate_within_the_interval_only() {
        let mut messages = Messages::default();
        assert!(!messages.is_duplicate(1, 1_800, T));
        assert!(!messages.is_duplicate(2, 1_800, T));
        assert!(messages.is_duplicate(1, 1_800, T + 1_799_999));
        // What was dropped does not prolong the interval.
        assert!(!messages.is_duplicate(1, 1_800, T + 1_800_000));
        assert!(messages.is_duplicate(1, 14_400, T + 1_800_000 + 14_399_999));
        assert_eq!(messages.duplicates_dropped, 2);
    }

    #[test]
    fn what_no_call_can_ask_for_is_forgotten() {
        let mut messages = Messages::default();
        for n in 0..100 {
            assert!(!messages.is_duplicate(n, 1_800, T));
        }
        assert!(!messages.is_duplicate(500, 1_800, T + DUPLICATE_S_MAX * 1_000));
        assert_eq!((messages.seen.len(), messages.seen_order.len()), (1, 1));
    }

    #[test]
    fn recalls_work_for_a_day_and_for_the_sender() {
        let mut messages = Messages::default();
        messages.sent("m".to_owned(), 0, T);
        let mut code = |app, now_ms| messages.recall("m", app, now_ms).map_or_else(|r| r.errcode, |()| 0);
        assert_eq!(code(1, T), 42_052);
        assert_eq!(code(0, T + RECALL_MS), 42_052);
        assert_eq!((code(0, T + RECALL_MS - 1), code(0, T)), (0, 0));
        assert!(messages.is_recalled("m") && !messages.is_recalled("other"));
        assert_eq!(messages.recalled, 1);
    }

    #[test]
    fn targets_are_known_or_given_back() {
        let (known, invalid) = split_targets("u1|u2||u3", 3, |name| name == "u1").expect("not too many");
        assert_eq!((known, invalid.as_str()), (vec!["u1".to_owned()], "u2|u3"));
        let refused = split_targets("a|b", 1, |_| true).expect_err("too many");
        assert_eq!(refused.errcode, 40_032);
    }
}
