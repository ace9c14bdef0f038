//! One event through all stages. Pure: the same state, rules, event and `now` give the same decision.
//!
//! ```text
//! recognise   dedupe, then the roster's order: new, seen before, late, from the future, or a gap
//! decide      interception → conduct → replies | welcomes → journeys → actions → ladder → effects
//! apply       the state takes the effects in; so does a replay of the journal
//! ```

mod asking;
mod conducting;
mod decision;
mod escalating;
mod greeting;
mod journeying;
mod judging;
mod keeping;
mod marks;
mod replying;
mod segmenting;
mod state;
mod talking;
mod traits;
mod unsaying;

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::conduct;
use crate::dedupe::{self, Lookup};
use crate::event::{EventKey, GroupEvent, HOUR_MS, Hit, Kin, Message, Place, Role, Status, Verdict, What};
use crate::interception::{self, Audience, Policy, Ruleset, Speaker};
use crate::journeys::{self, Journeys};
use crate::outbox::delivery::Content;
use crate::questions;
use crate::replies;
use crate::welcomes::{self, Welcomes};

pub use asking::{Asking, Asks};
pub use decision::{Decision, SkipReason, Skipped};
pub use journeying::Travelled;
pub use keeping::{Keep, KeepingLimits};
pub use state::{PartitionState, Small};

/// Everything that decides, compiled: immutable, swapped whole.
#[derive(Debug)]
pub struct Rules {
    /// Wordlists and policies; its version is the answer's `ruleset`.
    pub words: Ruleset,
    /// Keyword replies.
    pub replies: replies::Rules,
    /// Welcomes.
    pub welcomes: Welcomes,
    /// Journeys.
    pub journeys: Journeys,
    /// Limits of behaviour and of age.
    pub limits: Limits,
}

impl Rules {
    /// Returns the policy of this name by itself (of none, or of one that is gone, the default) for a speaker's texts.
    pub fn policy(&self, named: Option<&str>, speaker: impl Into<Speaker>) -> Option<&Policy> {
        let name = named.filter(|name| self.words.policy(name).is_some()).unwrap_or(&self.limits.policy);
        self.words.policy_for(name, speaker)
    }

    /// Judges what we are about to say ourselves; nobody is exempt.
    ///
    /// # Errors
    /// With what blocks it.
    pub fn own(&self, text: &str, policy: &Policy, audience: &Audience<'_>) -> Result<(), Vec<Hit>> {
        let audience = Audience { speaker: Speaker::Own, ..*audience };
        let message = Message { text: text.into(), ..Message::default() };
        let mut scratch = interception::Scratch::default();
        let judgement = self.words.judge_message(&message, policy, &audience, &mut scratch);
        if judgement.verdict == Verdict::Block {
            return Err(judgement.hits.into_iter().map(|judged| judged.hit).collect());
        }
        Ok(())
    }
}

/// The settings the stages decide by.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Policy of groups that name none.
    pub policy: String,
    /// Window of repeats.
    pub dedupe: dedupe::Config,
    /// Floods.
    pub conduct: conduct::Config,
    /// Replies.
    pub replies: replies::Config,
    /// Welcomes.
    pub welcomes: welcomes::Config,
    /// Journeys.
    pub journeys: journeys::Config,
    /// Original text that may be kept.
    pub evidence: KeepingLimits,
    /// Questions without an answer.
    pub questions: questions::Config,
    /// What a message is known again by in other groups is noted.
    pub traits: bool,
}

/// What is known about the group an event happened in.
#[expect(clippy::struct_excessive_bools, reason = "what a platform can do, each by its name")]
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// Which wordlists apply; `None` where the policy leaves this role alone.
    pub policy: Option<&'a Policy>,
    /// Whom its texts are judged for; the time is that of the arrival.
    pub audience: Audience<'a>,
    /// Where and with whom the group lives.
    pub home: Home<'a>,
    /// The value of a variable such as `shop.name`.
    pub variable: &'a (dyn Fn(&str) -> Option<&'a str> + Sync),
    /// Interception lets us say a text there.
    pub may_say: &'a (dyn Fn(&str) -> bool + Sync),
    /// Our verdict comes before members see the message.
    pub can_withhold: bool,
    /// The platform can withdraw a message.
    pub can_recall: bool,
    /// The platform lets us say something in the group.
    pub can_post: bool,
    /// The platform shows a content there.
    pub shows: &'a (dyn Fn(&Content) -> bool + Sync),
    /// The platform can keep a member from speaking.
    pub can_mute: bool,
    /// The platform can take a member out.
    pub can_remove: bool,
    /// The list by which the member is to be kept out of the group.
    pub kicked: Option<&'a str>,
    /// Spends one of an act that cannot be taken back, where the hour's budget allows it; see [`conduct::budget`].
    pub budget: &'a (dyn Fn(&str) -> bool + Sync),
    /// The platform shows what members say.
    pub can_hear: bool,
    /// How long after its event a one-time welcome code can be used; `None` where the platform has no such codes.
    pub welcome_code_life: Option<Duration>,
    /// Who else judges the message.
    pub asking: Asking<'a>,
}

/// Where and with whom a group lives.
#[derive(Clone, Copy)]
pub struct Home<'a> {
    /// Where it belongs.
    pub place: &'a Place,
    /// Its time zone.
    pub zone: &'a TimeZone,
    /// Whether its shop is open at a moment; `None` where nobody knows the hours.
    pub is_open: &'a (dyn Fn(i64) -> Option<bool> + Sync),
    /// What a member is to us.
    pub kin: &'a (dyn Fn(&str) -> Kin + Sync),
}

impl Home<'static> {
    /// A group of which nothing is known.
    pub fn unknown() -> Self {
        static NOWHERE: Place = Place { brand: None, region: None, shop: None };
        static ZONE: TimeZone = TimeZone::UTC;
        Self { place: &NOWHERE, zone: &ZONE, is_open: &|_| None, kin: &|_| Kin::Other }
    }
}

/// What is known about the arrival of an event.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Now, in milliseconds since the epoch.
    pub now_ms: i64,
    /// The event's identity.
    pub key: EventKey,
    /// Keys fingerprints of texts, so that nobody can look a text up by them.
    pub secret: [u8; 16],
}

/// Buffers reused from event to event.
#[derive(Debug, Default)]
pub struct Scratch {
    words: interception::Scratch,
    folded: String,
}

impl Scratch {
    fn fold(&mut self, text: &str) -> &str {
        self.folded.clear();
        interception::fold_into(text, &mut self.folded);
        &self.folded
    }
}

/// What an event is, before it is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recognised {
    /// New or late or seen: decide with this status.
    As(Status),
    /// Perhaps in one of these sealed hours; the caller looks, then asks again with what it found.
    Ask(Vec<u32>),
    /// So far in the future that the sender's clock must be wrong: refused.
    Future,
    /// New, but its roster step does not begin where the group's roster stands: nothing may follow from it.
    Gap,
}

/// Stage 1, dedupe and the roster's order: says what an event is. `on_disk` is what the caller found in the sealed hours
/// that an earlier answer asked for.
///
/// A repeat is a repeat whatever the roster has become since: dedupe comes before the step.
pub fn recognise(
    state: &PartitionState,
    limits: &dedupe::Config,
    event: &GroupEvent<'_>,
    arrival: &Arrival,
    on_disk: Option<bool>,
) -> Recognised {
    let age_ms = arrival.now_ms - event.at_ms.unwrap_or(arrival.now_ms);
    if age_ms < -millis(limits.future_max) {
        return Recognised::Future;
    }
    if age_ms > millis(limits.window) {
        return Recognised::As(Status::Late);
    }
    let seen = match (state.dedupe.lookup(arrival.key, event.at_ms.map(dedupe::bucket_of)), on_disk) {
        (Lookup::New, _) => false,
        (Lookup::Seen, _) => true,
        (Lookup::Ask(_), Some(found)) => found,
        (Lookup::Ask(buckets), None) => return Recognised::Ask(buckets),
    };
    if seen {
        return Recognised::As(Status::Duplicate);
    }
    match event.step {
        Some(step) if !marks::follows(state, event, step) => Recognised::Gap,
        Some(_) | None => Recognised::As(Status::Counted),
    }
}

/// Stages 2 to 5: decides what an event of this status means and causes.
pub fn decide<'e>(
    state: &PartitionState,
    rules: &Rules,
    setting: &Setting<'_>,
    event: &'e GroupEvent<'_>,
    status: Status,
    arrival: &Arrival,
    scratch: &mut Scratch,
) -> Decision<'e> {
    let mut decision = Decision::new(event, status, arrival, rules.words.version());

    decision.judge((state, rules), setting, event, status, arrival, &mut scratch.words);
    if status == Status::Duplicate {
        return decision; // judged by today's rules, with no effect
    }

    decision.happened(event);
    if status == Status::Late {
        return decision; // recorded apart: nobody is answered or greeted after days, and no roster moves on
    }
    if let Some(step) = event.step {
        decision.stepped(marks::taken(state, event, step));
    }

    decision.conduct(state, &rules.limits.conduct, setting, event);

    match &event.what {
        What::Message(message) if event.role != Role::Bot => {
            let folded = scratch.fold(&message.text);
            decision.know_again(rules, setting, event, (message, &event.id, folded), arrival);
            let is_answered = decision.reply(state, rules, setting, event, message, folded);
            decision.talk(rules, setting, event, folded, is_answered, &arrival.secret);
        }
        // What others see after an edit is seen in other groups, too.
        What::MessageEdited { of, message } if rules.limits.traits && event.role == Role::Customer => {
            let (of, folded) = (of.as_deref().unwrap_or(&event.id), scratch.fold(&message.text));
            decision.know_again(rules, setting, event, (message, of, folded), arrival);
        }
        // A join found by comparing rosters may be days old, and whoever has been there for days is not new.
        What::MemberJoined { inferred: false, .. }
            if event.role == Role::Customer && decision.is_welcome(setting) =>
        {
            decision.welcome(state, rules, setting, event);
        }
        What::MemberLeft { .. } if event.role == Role::Customer => decision.left(rules, event),
        What::Due if event.member.is_some() => decision.lift(state, event),
        What::Due => decision.due(state, rules, setting, event),
        What::Pardoned { by } => decision.pardon(state, event, by),
        What::Expelled { rule, asked } => decision.expel(state, setting, event, (rule, asked)),
        What::ContactAdded { welcome_code: Some(code), .. } => {
            decision.welcome_contact(rules, setting, event, code);
        }
        What::Overturned { said_ms, blocked, wordlists } => {
            decision.overturn(setting, *said_ms, *blocked, wordlists);
        }
        What::LateVerdict { of, opinion, .. } => decision.answered(state, event, of, &opinion.source),
        What::Message(_)
        | What::MessageEdited { .. }
        | What::MessageRecalled { .. }
        | What::MemberJoined { .. }
        | What::MemberLeft { .. }
        | What::ContactAdded { .. }
        | What::GroupCreated(_)
        | What::GroupUpdated(_)
        | What::OwnerChanged(_)
        | What::GroupDismissed
        | What::ConsentChanged { .. }
        | What::Outcome { .. }
        | What::RosterRead(_)
        | What::Silence { .. }
        | What::ContactRemoved { .. }
        | What::TagsChanged { .. }
        | What::SegmentRead(_) => {}
    }
    decision.journeys(state, rules, setting, event);

    decision.act(state, setting, event);
    decision.unsay(state, setting, event, arrival);
    decision.count(state, setting, event);
    decision.keep_out(state, setting, event);
    decision.escalate(state, setting, event);
    decision.hold(event);
    decision.keep(&rules.limits, setting, event);
    decision.ask(setting, event);
    decision
}

/// Says whether an event changes an hour that had ended when it arrived.
fn is_revision(at_ms: i64, now_ms: i64) -> bool {
    at_ms.div_euclid(HOUR_MS) < now_ms.div_euclid(HOUR_MS)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
