//! The escalation ladder (阶梯处罚): what follows when a member's messages are held up again and again.
//!
//! Each such message is a strike, once, whether it is rewritten or judged again; the count of strikes says which step is
//! taken. A strike is forgotten after the window, and one more, the oldest, after each `decay` without a new one, so that a
//! step that was left behind is taken again.
//!
//! Not for: who is punished at all (the pipeline: customers we do not know), nor whether a platform can do it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use crate::event::{ActionKind, Verdict};

/// Most strikes remembered of one member, and the highest step.
pub const STRIKES_MAX: usize = 32;
/// Most steps of one ladder.
const STEPS_MAX: usize = 8;
/// Steps remembered of one member.
const TAKEN_MAX: usize = 16;
/// Longest window: each member with a strike is an entry in memory.
const WINDOW_MAX: Duration = Duration::from_hours(90 * 24);
/// Longest time that a member may not speak.
const MUTE_MAX: Duration = Duration::from_hours(30 * 24);
/// Longest warning, in bytes.
const TEXT_BYTES_MAX: usize = 2_000;
/// What is said where the step says nothing.
pub const WARNING: &str = "{member.name|这位朋友}，刚才的消息违反了群规，已作处理，请留意。";

/// What follows from strikes. Without steps nothing does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ladder {
    /// The mildest verdict on a message that makes it a strike: `block`, `review` or `mask`.
    pub counts: Verdict,
    /// How long a strike counts, such as `7d`.
    #[serde(with = "crate::units::duration")]
    #[schema(value_type = String, example = "7d")]
    pub window: Duration,
    /// After each such time without a new strike the oldest is forgiven; `0s` for never.
    #[serde(with = "crate::units::duration")]
    #[schema(value_type = String, example = "1d")]
    pub decay: Duration,
    /// What is done, from the mildest on.
    pub steps: Vec<Step>,
    /// A message that was held up only by disguised words may remove its author too; it may be a mistake.
    pub variants_remove: bool,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// From how many strikes on, until the next step.
    #[schema(minimum = 1, maximum = 32)]
    pub at: usize,
    /// What is done.
    #[serde(rename = "do")]
    pub act: Punishment,
    /// Of `mute`: for how long.
    #[serde(default, rename = "for", with = "span", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "10m")]
    pub lasts: Option<Duration>,
    /// Of `warn`: what is said in the group, with variables; a plain sentence when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Punishment {
    /// Tell the member to stop.
    Warn,
    /// Keep the member from speaking for a time.
    Mute,
    /// Take the member out of the group. Budgeted.
    Remove,
}

impl Punishment {
    /// Returns what is asked of the platform.
    pub fn action(self) -> ActionKind {
        match self {
            Punishment::Warn => ActionKind::Warn,
            Punishment::Mute => ActionKind::Mute,
            Punishment::Remove => ActionKind::Remove,
        }
    }
}

impl Default for Ladder {
    fn default() -> Self {
        Self {
            counts: Verdict::Block,
            window: Duration::from_hours(7 * 24),
            decay: Duration::ZERO,
            steps: Vec::new(),
            variants_remove: false,
        }
    }
}

impl Ladder {
    /// Checks what types cannot; says what would be right. Whether a text can be filled in, its reader says.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        if self.counts == Verdict::Pass {
            return Err("`counts` is `block`, `review` or `mask`: not every message is a strike".to_owned());
        }
        if self.window.is_zero() || self.window > WINDOW_MAX {
            return Err("`window` must be more than 0s and at most 90d".to_owned());
        }
        if self.steps.len() > STEPS_MAX {
            return Err(format!("has {} steps, {STEPS_MAX} at most", self.steps.len()));
        }
        let mut before = 0;
        for (nth, step) in self.steps.iter().enumerate() {
            if step.at <= before || step.at > STRIKES_MAX {
                let least = before + 1;
                return Err(format!("`steps[{nth}].at` must lie between {least} and {STRIKES_MAX}"));
            }
            before = step.at;
            step.check().map_err(|wrong| format!("`steps[{nth}]` {wrong}"))?;
        }
        Ok(())
    }

    /// Notes a strike for the message with this id; returns how many count now and the step they lead to. A message is one
    /// strike, however often it is rewritten or judged: the second time leads nowhere.
    pub fn strike(&self, record: &mut Record, of: &str, now_ms: i64) -> (usize, Option<&Step>) {
        self.forgive(record, now_ms);
        let of = SipHasher13::new().hash(of.as_bytes());
        if record.strikes.iter().any(|strike| strike.of == of) {
            return (record.strikes.len(), None);
        }
        if record.strikes.len() == STRIKES_MAX {
            record.strikes.remove(0);
        }
        record.strikes.push(Strike { at_ms: now_ms, of });
        let count = record.strikes.len();
        (count, self.steps.iter().rev().find(|step| step.at <= count))
    }

    /// Forgets the strikes that count no more.
    pub fn forgive(&self, record: &mut Record, now_ms: i64) {
        let (window_ms, decay_ms) = (millis(self.window), millis(self.decay));
        let expire =
            |strikes: &mut Vec<Strike>, at_ms: i64| strikes.retain(|strike| at_ms - strike.at_ms < window_ms);
        if let Some(last_ms) = record.strikes.last().map(|strike| strike.at_ms).filter(|_| decay_ms > 0) {
            let mut forgiven_ms = last_ms.saturating_add(decay_ms);
            while forgiven_ms <= now_ms && !record.strikes.is_empty() {
                expire(&mut record.strikes, forgiven_ms);
                if !record.strikes.is_empty() {
                    record.strikes.remove(0);
                }
                forgiven_ms = forgiven_ms.saturating_add(decay_ms);
            }
        }
        expire(&mut record.strikes, now_ms);
    }
}

impl Step {
    fn check(&self) -> Result<(), &'static str> {
        match (self.act, self.lasts) {
            (Punishment::Mute, Some(lasts)) if !lasts.is_zero() && lasts <= MUTE_MAX => {}
            (Punishment::Mute, _) => return Err("mutes: say for how long, `\"for\": \"10m\"`, 30d at most"),
            (Punishment::Warn | Punishment::Remove, None) => {}
            (Punishment::Warn | Punishment::Remove, Some(_)) => return Err("does not last: leave `for` out"),
        }
        let Some(text) = &self.text else { return Ok(()) };
        if self.act != Punishment::Warn {
            Err("says nothing: only `warn` has a `text`")
        } else if text.trim().is_empty() {
            Err("has an empty `text`; leave it out for the usual one")
        } else if text.len() > TEXT_BYTES_MAX {
            Err("has a `text` of more than 2,000 bytes")
        } else {
            Ok(())
        }
    }
}

/// What is remembered of a member's strikes in one group. As it is kept: the moment it waits for first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Until when the member may not speak, as far as we asked for it.
    pub muted_until_ms: Option<i64>,
    /// The messages that still count, the oldest first.
    pub strikes: Vec<Strike>,
    /// The latest steps, the oldest first.
    pub taken: Vec<Taken>,
}

/// A message that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strike {
    /// When it came, or was rewritten or judged so that it counts.
    pub at_ms: i64,
    /// Which it is: a hash of its id.
    pub of: u64,
}

/// A step that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// When.
    pub at_ms: i64,
    /// What was to be done.
    pub action: ActionKind,
    /// At how many strikes; 0 for what a person undid and for the end of a mute.
    pub strikes: usize,
    /// What came of it.
    pub came: Came,
    /// By which policy, or which operator.
    pub by: String,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// The platform is asked for it.
    Queued,
    /// The platform cannot do it: a person is asked to.
    Unsupported,
    /// The budget of the hour is spent: a person decides.
    OverBudget,
}

impl Came {
    /// Returns the word of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Came::Queued => "queued",
            Came::Unsupported => "unsupported",
            Came::OverBudget => "over_budget",
        }
    }

    /// Reads the word of it.
    pub fn parse(word: &str) -> Option<Self> {
        [Came::Queued, Came::Unsupported, Came::OverBudget].into_iter().find(|came| came.as_str() == word)
    }
}

/// The moment of a record that waits for none.
const NEVER_MS: i64 = i64::MAX;

impl Record {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { muted_until_ms: None, strikes: Vec::new(), taken: Vec::new() }
    }

    /// Reads what [`Record::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (due_ms, rest) = bytes.split_first_chunk()?;
        let (strikes, taken) = postcard::from_bytes(rest).ok()?;
        let due_ms = Some(i64::from_le_bytes(*due_ms)).filter(|due_ms| *due_ms != NEVER_MS);
        Some(Self { muted_until_ms: due_ms, strikes, taken })
    }

    /// Writes it: eight bytes for the moment, then the rest.
    pub fn to_bytes(&self) -> Vec<u8> {
        let due_ms = self.muted_until_ms.unwrap_or(NEVER_MS).to_le_bytes().to_vec();
        postcard::to_extend(&(&self.strikes, &self.taken), due_ms).expect("plain data goes into memory")
    }

    /// Returns the moment that a written record waits for.
    pub fn due(bytes: &[u8]) -> Option<i64> {
        let due_ms = i64::from_le_bytes(*bytes.first_chunk()?);
        Some(due_ms).filter(|due_ms| *due_ms != NEVER_MS)
    }

    /// Says whether the member was taken out by a case or a kick list, and not pardoned since.
    pub fn is_expelled_by(&self, asked: &str) -> bool {
        let later = self.taken.iter().rev().take_while(|taken| taken.action != ActionKind::Pardon);
        later
            .filter(|taken| taken.action == ActionKind::Remove && taken.came == Came::Queued)
            .any(|taken| taken.by == asked)
    }

    /// Notes what was done.
    pub fn note(&mut self, taken: Taken) {
        if self.taken.len() == TAKEN_MAX {
            self.taken.remove(0);
        }
        self.taken.push(taken);
    }
}

impl Default for Record {
    fn default() -> Self {
        Self::new()
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A duration that may be left out, in the words of the configuration.
mod span {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::units;

    #[expect(clippy::ref_option, reason = "serde hands a reference")]
    pub(super) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match span {
            Some(span) => units::duration::serialize(span, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| units::parse_duration(&text).map_err(serde::de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn ladder(window_s: u64, decay_s: u64) -> Ladder {
        let step =
            |at, act, lasts: Option<u64>| Step { at, act, lasts: lasts.map(Duration::from_secs), text: None };
        Ladder {
            window: Duration::from_secs(window_s),
            decay: Duration::from_secs(decay_s),
            steps: vec![
                step(1, Punishment::Warn, None),
                step(2, Punishment::Mute, Some(60)),
                step(4, Punishment::Remove, None),
            ],
            ..Ladder::default()
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let taken = Taken {
            at_ms: 5,
            action: ActionKind::Mute,
            strikes: 2,
            came: Came::Queued,
            by: "standard".into(),
        };
        let strikes = [1, 2].map(|at_ms| Strike { at_ms, of: 9 }).to_vec();
        let mut record = Record { muted_until_ms: Some(7), strikes, taken: vec![taken] };
        assert_eq!(Record::from_bytes(&record.to_bytes()), Some(record.clone()));
        assert_eq!(Record::due(&record.to_bytes()), Some(7));
        record.muted_until_ms = None;
        assert_eq!(Record::from_bytes(&record.to_bytes()), Some(record.clone()));
        assert_eq!(Record::due(&record.to_bytes()), None);
        assert_eq!(Record::from_bytes(b"short"), None);
    }

    #[test]
    fn what_cannot_be_a_ladder_is_refused_with_the_remedy() {
        let wrong = |change: fn(&mut Ladder)| {
            let mut ladder = ladder(60, 0);
            change(&mut ladder);
            ladder.check().unwrap_err()
        };
        assert_eq!(ladder(60, 0).check(), Ok(()));
        assert!(wrong(|l| l.counts = Verdict::Pass).contains("`counts`"));
        assert!(wrong(|l| l.window = Duration::ZERO).contains("`window`"));
        assert!(wrong(|l| l.steps[1].at = 1).contains("`steps[1].at` must lie between 2 and 32"));
        assert!(wrong(|l| l.steps[1].lasts = None).contains("\"for\": \"10m\""));
        assert!(wrong(|l| l.steps[2].lasts = Some(Duration::from_secs(1))).contains("leave `for` out"));
        assert!(wrong(|l| l.steps[2].text = Some("x".into())).contains("only `warn`"));
    }

    /// What counts after each second, by looking at every second: what the ladder works out in one go.
    fn oracle(ladder: &Ladder, strikes: &[i64], until_s: i64) -> usize {
        let (window, decay) = (millis(ladder.window) / 1_000, millis(ladder.decay) / 1_000);
        let (mut counting, mut last): (Vec<i64>, Option<i64>) = (Vec::new(), None);
        for now in 0..=until_s {
            counting.retain(|at| now - at < window);
            if let Some(last) = last
                && decay > 0
                && now > last
                && (now - last) % decay == 0
                && !counting.is_empty()
            {
                counting.remove(0);
            }
            if counting.is_empty() {
                last = None;
            }
            for _ in strikes.iter().filter(|at| **at == now) {
                counting.push(now);
                last = Some(now);
                if counting.len() > STRIKES_MAX {
                    counting.remove(0);
                }
            }
        }
        counting.len()
    }

    proptest! {
        #[test]
        fn strikes_are_forgotten_as_by_looking_every_second(
            mut strikes in vec(0_i64..120, 1..50), window in 1_u64..90, decay in 0_u64..40, after in 0_i64..60
        ) {
            strikes.sort_unstable();
            let ladder = ladder(window, decay);
            let mut record = Record::new();
            for (nth, at) in strikes.iter().enumerate() {
                let (count, step) = ladder.strike(&mut record, &nth.to_string(), at * 1_000);
                // The same message again is nothing new.
                let before = record.clone();
                prop_assert_eq!(ladder.strike(&mut record, &nth.to_string(), at * 1_000), (count, None));
                prop_assert_eq!(&record, &before);
                if strikes.get(nth + 1) != Some(at) {
                    prop_assert_eq!(count, oracle(&ladder, &strikes, *at));
                }
                let highest = ladder.steps.iter().rfind(|step| step.at <= count);
                prop_assert_eq!(step, highest);
            }
            let now = strikes.last().unwrap() + after;
            ladder.forgive(&mut record, now * 1_000);
            prop_assert_eq!(record.strikes.len(), oracle(&ladder, &strikes, now));
        }
    }
}
