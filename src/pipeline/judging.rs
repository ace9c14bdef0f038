//! The stage of interception: what a message says, carries and quotes, and by which name and profile; somebody else's opinion of it.

use super::{Arrival, Decision, PartitionState, Rules, Setting};
use crate::event::{GroupEvent, Message, Role, Status, Verdict, What};
use crate::interception::{Audience, Earlier, Judgement, Policy, Scratch, SpeakerKey};

impl Decision<'_> {
    /// Judges what an event brings. A join brings a name and a profile, and cannot be withdrawn: a person looks.
    pub(super) fn judge(
        &mut self,
        (state, rules): (&PartitionState, &Rules),
        setting: &Setting<'_>,
        event: &GroupEvent<'_>,
        status: Status,
        arrival: &Arrival,
        words: &mut Scratch,
    ) {
        let audience = Audience { now_ms: arrival.now_ms, ..setting.audience };
        if let (Some(message), Some(policy)) = (event.what.message(), setting.policy) {
            let judgement = self.judge_message(
                (state, rules),
                (message, policy),
                &audience,
                event,
                status,
                arrival,
                words,
            );
            let judgement = if policy.names_each_message() {
                named(rules, judgement, policy, &audience, event, words)
            } else {
                judgement
            };
            self.judged(judgement);
            self.heard(setting.asking.heard);
        } else if let (What::MemberJoined { profile, .. }, Some(policy)) = (&event.what, setting.policy) {
            let mut judgement = named(rules, Judgement::default(), policy, &audience, event, words);
            if let Some(profile) = profile.as_deref().filter(|_| event.role == Role::Customer) {
                judgement = rules.words.judge_name(judgement, ("profile", profile), policy, &audience, words);
            }
            judgement.verdict = judgement.verdict.min(Verdict::Review);
            self.judged(judgement);
        } else if let What::LateVerdict { opinion, .. } = &event.what {
            self.heard(Some(opinion));
        }
    }

    /// Says whether whoever joins is greeted and led on a journey: not who is about to be taken out, nor by a name that a
    /// person is to look at first.
    pub(super) fn is_welcome(&self, setting: &Setting<'_>) -> bool {
        setting.kicked.is_none() && self.answer.verdict < Verdict::Review
    }

    #[expect(clippy::too_many_arguments, reason = "what a message is judged by, and what for")]
    fn judge_message(
        &mut self,
        (state, rules): (&PartitionState, &Rules),
        (message, policy): (&Message<'_>, &Policy),
        audience: &Audience<'_>,
        event: &GroupEvent<'_>,
        status: Status,
        arrival: &Arrival,
        words: &mut Scratch,
    ) -> Judgement {
        // A repeat or a late event is judged by itself: what is kept came after it.
        let looks_back = status == Status::Counted && rules.words.looks_back(policy);
        let member = event.member.as_deref().filter(|_| looks_back);
        let speaker = member.map(|m| SpeakerKey::new(&arrival.secret, &event.account, &event.group, m));
        let (recent, now_ms) = (&state.recent, arrival.now_ms);
        let earlier = speaker.map(|speaker| Earlier { recent, speaker, now_ms });
        let judgement = rules.words.judge_after(&message.text, policy, audience, earlier, words);
        self.said = speaker.map(|speaker| (speaker, rules.words.said(&message.text, words)));
        rules.words.judge_beside(judgement, message, policy, audience, words)
    }
}

/// Judges the display name of a customer besides.
fn named(
    rules: &Rules,
    judgement: Judgement,
    policy: &Policy,
    audience: &Audience<'_>,
    event: &GroupEvent<'_>,
    words: &mut Scratch,
) -> Judgement {
    match event.name.as_deref().filter(|_| event.role == Role::Customer) {
        Some(name) => rules.words.judge_name(judgement, ("name", name), policy, audience, words),
        None => judgement,
    }
}
