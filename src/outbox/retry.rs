//! What follows from a call's outcome: the delivery's next state, and what the account learns from it.
//!
//! Not for: doing any of it (`outbox::runner`). Chance comes in as a number. Layer: pure core.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::breaker::Health;
use super::delivery::{Decision, Outcome, Refusal, RefusalScope};
use crate::storage::DeliveryState;

/// How often and how fast a refused call is tried again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// Calls made for one delivery before it becomes a dead letter.
    pub attempts_max: u32,
    /// Delay before the second attempt; doubles from there.
    #[serde(with = "crate::units::duration")]
    pub delay: Duration,
    /// Longest delay between attempts.
    #[serde(with = "crate::units::duration")]
    pub delay_max: Duration,
    /// Longest delay a platform may ask for.
    #[serde(with = "crate::units::duration")]
    pub retry_after_max: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts_max: 8,
            delay: Duration::from_secs(2),
            delay_max: Duration::from_mins(10),
            retry_after_max: Duration::from_hours(24),
        }
    }
}

/// Where one delivery stands in its attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// Calls made since it was queued or replayed, the latest included.
    pub made: u32,
    /// It was tried again at once after the credential was refreshed.
    pub refreshed: bool,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The delivery's next state.
    pub state: DeliveryState,
    /// For [`DeliveryState::Pending`]: try again after this.
    pub delay: Duration,
    /// The platform's code or ours.
    pub code: String,
    /// In words; no message text.
    pub detail: String,
    /// The platform's id, if it gave one.
    pub platform_id: Option<String>,
    /// Nothing of this scope is to be sent for so long.
    pub silence: Option<(RefusalScope, Duration)>,
    /// The platform says that this scope has sent too much.
    pub too_often: Option<RefusalScope>,
    /// Nothing of this scope is to be sent until a person has looked.
    pub pause: Option<RefusalScope>,
    /// The next attempt follows a refresh of the credential.
    pub refresh: bool,
    /// What it says about the platform.
    pub health: Health,
}

impl Judgement {
    fn of(state: DeliveryState, health: Health) -> Self {
        Self {
            state,
            delay: Duration::ZERO,
            code: String::new(),
            detail: String::new(),
            platform_id: None,
            silence: None,
            too_often: None,
            pause: None,
            refresh: false,
            health,
        }
    }
}

/// Judges an outcome. `chance` is uniform in 0..1.
pub fn judge(outcome: &Outcome, tries: Tries, config: &RetryConfig, chance: f64) -> Judgement {
    match outcome {
        Outcome::Sent { platform_id } => {
            Judgement { platform_id: platform_id.clone(), ..Judgement::of(DeliveryState::Sent, Health::Good) }
        }
        Outcome::AwaitingConfirmation { platform_id } => Judgement {
            platform_id: Some(platform_id.clone()),
            ..Judgement::of(DeliveryState::AwaitingConfirmation, Health::Good)
        },
        Outcome::Uncertain { detail } => Judgement {
            code: "uncertain".to_owned(),
            detail: detail.clone(),
            ..Judgement::of(DeliveryState::Uncertain, Health::Bad)
        },
        Outcome::Refused(refusal) => Judgement {
            code: refusal.code.clone(),
            detail: refusal.detail.clone(),
            too_often: is_too_often(refusal).then_some(refusal.scope),
            ..judge_refusal(refusal, tries, config, chance)
        },
    }
}

/// A platform that asks for a wait wants less, unless it is a server in trouble that does.
fn is_too_often(refusal: &Refusal) -> bool {
    let is_trouble = refusal.code.starts_with("http_5");
    let asked = matches!(refusal.decision, Decision::After(_)) && !is_trouble;
    (asked || refusal.code == "http_429") && refusal.scope != RefusalScope::Delivery
}

fn judge_refusal(refusal: &Refusal, tries: Tries, config: &RetryConfig, chance: f64) -> Judgement {
    let spent = tries.made >= config.attempts_max;
    let retry = |delay, health| Judgement {
        delay,
        ..Judgement::of(if spent { DeliveryState::Failed } else { DeliveryState::Pending }, health)
    };
    match refusal.decision {
        Decision::After(wait) => {
            let wait = wait.min(config.retry_after_max);
            let scope = refusal.scope;
            Judgement { silence: Some((scope, wait)), ..retry(wait, Health::Neutral) }
        }
        Decision::Backoff => {
            let health = if refusal.scope == RefusalScope::Delivery { Health::Neutral } else { Health::Bad };
            retry(backoff(tries.made, config, chance), health)
        }
        Decision::Never => Judgement::of(DeliveryState::Failed, Health::Good),
        Decision::RefreshCredential if !tries.refreshed => {
            Judgement { refresh: true, ..retry(Duration::ZERO, Health::Neutral) }
        }
        // A fresh credential was refused as well: more calls would only lock the account.
        Decision::RefreshCredential => Judgement {
            pause: Some(RefusalScope::Account),
            ..Judgement::of(DeliveryState::Pending, Health::Neutral)
        },
        Decision::PauseLane => {
            let state = match refusal.scope {
                RefusalScope::Delivery => DeliveryState::Failed,
                RefusalScope::Group | RefusalScope::Account => DeliveryState::Pending,
            };
            let pause = (refusal.scope != RefusalScope::Delivery).then_some(refusal.scope);
            Judgement { pause, ..Judgement::of(state, Health::Neutral) }
        }
    }
}

/// Returns the delay after the `made`-th attempt: doubling, between half and all of it by chance, so that what failed
/// together does not come back together.
pub fn backoff(made: u32, config: &RetryConfig, chance: f64) -> Duration {
    let doublings = made.saturating_sub(1).min(30);
    let full = config.delay.saturating_mul(1 << doublings).min(config.delay_max);
    full.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
}

/// A small generator of numbers that look random; the same seed gives the same numbers. Not for secrets.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number in 0..1 (`SplitMix64`).
    pub fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let top = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(u32::MAX);
        f64::from(top) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    fn refused(decision: Decision, scope: RefusalScope) -> Outcome {
        Outcome::Refused(Refusal { decision, scope, code: "c".into(), detail: "d".into() })
    }

    fn first() -> Tries {
        Tries { made: 1, refreshed: false }
    }

    #[track_caller]
    fn check(outcome: &Outcome, tries: Tries, expect: &Judgement) {
        let config = RetryConfig::default();
        let mut judged = judge(outcome, tries, &config, 1.0);
        if matches!(outcome, Outcome::Refused(_)) {
            assert_eq!((judged.code.as_str(), judged.detail.as_str()), ("c", "d"));
        }
        judged.code.clear();
        judged.detail.clear();
        assert_eq!(&judged, expect, "{outcome:?}");
    }

    #[test]
    fn every_outcome_has_its_consequence() {
        use DeliveryState::{AwaitingConfirmation, Failed, Pending, Sent, Uncertain};
        use RefusalScope::{Account, Delivery, Group};
        let of = Judgement::of;
        let last = Tries { made: 8, refreshed: false };
        let refreshed = Tries { made: 2, refreshed: true };
        check(&Outcome::Sent { platform_id: None }, first(), &of(Sent, Health::Good));
        check(
            &Outcome::AwaitingConfirmation { platform_id: "msg1".into() },
            first(),
            &Judgement { platform_id: Some("msg1".into()), ..of(AwaitingConfirmation, Health::Good) },
        );
        check(&Outcome::Uncertain { detail: String::new() }, first(), &of(Uncertain, Health::Bad));
        check(&refused(Decision::Never, Delivery), first(), &of(Failed, Health::Good));
        let silent = |scope| Judgement {
            delay: TEN,
            silence: Some((scope, TEN)),
            too_often: Some(scope),
            ..of(Pending, Health::Neutral)
        };
        check(&refused(Decision::After(TEN), Group), first(), &silent(Group));
        check(&refused(Decision::After(TEN), Account), first(), &silent(Account));
        let two = Duration::from_secs(2);
        check(
            &refused(Decision::Backoff, Account),
            first(),
            &Judgement { delay: two, ..of(Pending, Health::Bad) },
        );
        let given_up = Judgement { delay: two * 128, ..of(Failed, Health::Bad) };
        check(&refused(Decision::Backoff, Account), last, &given_up);
        let again = Judgement { refresh: true, ..of(Pending, Health::Neutral) };
        check(&refused(Decision::RefreshCredential, Account), first(), &again);
        let paused = |scope| Judgement { pause: Some(scope), ..of(Pending, Health::Neutral) };
        check(&refused(Decision::RefreshCredential, Account), refreshed, &paused(Account));
        check(&refused(Decision::PauseLane, Account), last, &paused(Account));
        check(&refused(Decision::PauseLane, Group), first(), &paused(Group));
        check(&refused(Decision::PauseLane, Delivery), first(), &of(Failed, Health::Neutral));
    }

    #[test]
    fn too_often_is_what_a_platform_says_of_a_rate_and_not_of_its_own_trouble() {
        use RefusalScope::{Account, Delivery, Group};
        let after = Decision::After(TEN);
        for (code, decision, scope, expect) in [
            ("http_429", after, Account, Some(Account)),
            ("http_429", Decision::Backoff, Account, Some(Account)),
            ("45009", after, Group, Some(Group)),
            ("45009", after, Delivery, None),
            ("http_503", after, Account, None),
            ("connect", Decision::Backoff, Account, None),
        ] {
            let outcome =
                Outcome::Refused(Refusal { decision, scope, code: code.into(), detail: String::new() });
            let judged = judge(&outcome, first(), &RetryConfig::default(), 0.0);
            assert_eq!(judged.too_often, expect, "{code} {scope:?}");
        }
    }

    #[test]
    fn a_platform_cannot_ask_for_a_wait_without_end() {
        let judged = judge(
            &refused(Decision::After(Duration::from_secs(999_999_999)), RefusalScope::Account),
            first(),
            &RetryConfig::default(),
            0.0,
        );
        assert_eq!(judged.delay, Duration::from_hours(24));
    }

    #[test]
    fn chance_is_reproducible_and_spread() {
        let draw = |seed| {
            let mut chance = Chance::new(seed);
            (0..1000).map(|_| chance.draw()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        let mean = draw(7).iter().sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
        assert!(draw(8).iter().all(|n| (0.0..1.0).contains(n)));
    }

    proptest! {
        #[test]
        fn delays_grow_within_their_bounds(made in 1..200_u32, chance in 0.0..1.0_f64) {
            let config = RetryConfig::default();
            let delay = backoff(made, &config, chance);
            prop_assert!(delay >= config.delay / 2 && delay <= config.delay_max);
            prop_assert!(backoff(made + 1, &config, chance) >= delay);
        }
    }
}
