//! Where the verdict hook meets the way in: which messages are asked about, who waits for how long, and what became of
//! questions that nobody answered.
//!
//! A request waits once, for all its messages together, and only where `hook.wait` says so. What is answered by then is
//! part of the messages' own verdicts; the rest becomes late verdicts.
//!
//! Not for: asking (`hook`), and for what a verdict means (`pipeline`).

use std::borrow::Borrow;

use async_trait::async_trait;

use super::Ingest;
use super::events::Source;
use super::partitions::Partitions;
use super::reply::Refusal;
use crate::connectors::EventSink;
use crate::connectors::offers::Taken;
use crate::event::{Asked, GroupEvent, Role, Verdict};
use crate::hook::{Heard, Hook, LateVerdicts, Question, unanswered, wait_all};
use crate::interception::{self, Audience, Speaker};
use crate::pipeline::{PartitionState, Rules};

/// How a message stands with the hook when it is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nobody was asked yet.
    Open,
    /// Asked, and not answered in time.
    Asked,
    /// Asked, and answered or given up.
    Heard(Heard),
}

impl Ingest {
    /// Asks about all messages of a request that are to be asked about, and waits until they are answered, for `hook.wait`
    /// at most. One standing an event, in order.
    pub(super) async fn ask_first<'a, E: Borrow<GroupEvent<'a>>>(
        &self,
        hook: &Hook,
        source: Source<'_>,
        rules: &Rules,
        events: &[Result<E, Refusal>],
    ) -> Vec<Standing> {
        let mut scratch = interception::Scratch::default();
        let mut waiting = Vec::with_capacity(events.len());
        for event in events {
            let question = match event {
                Ok(event) => self.question_of(hook, source, rules, event.borrow(), &mut scratch),
                Err(_) => None,
            };
            waiting.push(question.map(|question| hook.ask_and_wait(question)));
        }
        let heard = wait_all(&mut waiting, hook.config().wait).await;
        let standing = |(waited, heard): (_, Option<Heard>)| match (waited, heard) {
            (true, Some(heard)) => Standing::Heard(heard),
            (true, None) => Standing::Asked,
            (false, _) => Standing::Open,
        };
        waiting.iter().map(Option::is_some).zip(heard).map(standing).collect()
    }

    /// Makes the question about an event that may be brought by `source`, where there is to be one.
    fn question_of(
        &self,
        hook: &Hook,
        source: Source<'_>,
        rules: &Rules,
        event: &GroupEvent<'_>,
        scratch: &mut interception::Scratch,
    ) -> Option<Question> {
        let (asked, message) = Asked::of(event)?;
        let group = self.directory.context(&event.account, &event.group)?;
        if let Source::Token(caller) = source
            && !group.covered_by(caller.scope(), &event.group)
        {
            return None;
        }
        let effective = group.effective_policy(rules.words.policy_book());
        let speaker = Speaker::from(event.role);
        let policy = effective.for_speaker(speaker).filter(|_| event.role != Role::Bot)?;
        if hook.config().when.by_kind(message) {
            return Some(hook.question(asked, message, None));
        }
        if hook.config().when.verdicts.is_empty() {
            return None;
        }
        let audience = Audience { now_ms: self.clock.now_ms(), ..group.audience(&event.group, speaker) };
        let verdict = rules.words.judge_message(message, policy, &audience, scratch).verdict;
        hook.wants(message, verdict).then(|| hook.question(asked, message, Some(verdict)))
    }

    /// Sends messages to review whose answer had to come and was asked for before `before_ms`.
    ///
    /// # Errors
    /// Says in words why it cannot be done now; nothing is lost, it may be done again.
    pub async fn settle_unanswered(&self, before_ms: i64) -> Result<usize, String> {
        let lost = self.partitions.unanswered(before_ms);
        let count = lost.len();
        for (asked, asked_ms) in lost {
            let latency_ms = u64::try_from(self.clock.now_ms() - asked_ms).unwrap_or(0);
            LateVerdicts::take(self, asked.late(unanswered(latency_ms))).await?;
        }
        Ok(count)
    }
}

impl Partitions {
    /// Returns the messages of every partition whose answer must come and was asked for before this time, and when.
    fn unanswered(&self, before_ms: i64) -> Vec<(Asked, i64)> {
        self.each_state(PartitionState::asked)
            .into_iter()
            .flatten()
            .filter(|(_, at_ms)| *at_ms < before_ms)
            .collect()
    }
}

#[async_trait]
impl LateVerdicts for Ingest {
    async fn take(&self, event: GroupEvent<'static>) -> Result<(), String> {
        let (account, id) = (event.account.to_string(), event.id.to_string());
        let taken = EventSink::take(self, vec![event]).await.map_err(|error| error.to_string())?;
        if let Some(Taken::Refused(code)) = taken.first() {
            tracing::warn!(account.id = account, event.id = id, code, "a late verdict was refused");
        }
        Ok(())
    }
}

/// Says whether the pipeline is to ask, seen from how the message stands; the second is what was heard.
pub(super) fn wants(
    hook: &Hook,
    standing: &Standing,
    message: &crate::event::Message<'_>,
    verdict: Verdict,
) -> bool {
    match standing {
        Standing::Open => hook.wants(message, verdict),
        Standing::Asked => true,
        Standing::Heard(_) => false,
    }
}

#[cfg(test)]
mod tests;
