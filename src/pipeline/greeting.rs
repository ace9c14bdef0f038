//! Greets new members, those who come together with one text, and new contacts.
//!
//! Who joined is kept as small durable state of the group until the moment comes ([`What::Due`]); so is how long no other
//! greeting may follow, and who left lately.

use std::borrow::Cow;

use super::decision::{Called, Saying, filled};
use super::{Decision, PartitionState, Rules, Setting, SkipReason, millis};
use crate::event::{AttachFact, Fact, GroupEvent, StateFact, StateKind};
use crate::outbox::delivery::Content;
use crate::template::Template;
use crate::welcomes::{Burst, Compiled, Config};

/// How long a greeting that is due is remembered; later it is none any more.
const BURST_KEEP_MS: i64 = 24 * 3_600_000;

const DAY_MS: i64 = 24 * 3_600_000;

impl<'e> Decision<'e> {
    /// A member has just joined: greets them, or remembers them for a greeting together with others.
    pub(super) fn welcome(
        &mut self,
        state: &PartitionState,
        rules: &Rules,
        setting: &Setting<'_>,
        event: &'e GroupEvent<'_>,
    ) {
        let (config, now_ms, keys) = (&rules.limits.welcomes, self.now_ms(), Keys::of(event));
        let is_late = event.at_ms.is_some_and(|at| now_ms - at > millis(config.join_age_max));
        let welcome = rules.welcomes.of(setting.home.place, setting.audience.tags);
        let Some(welcome) = welcome.filter(|_| !is_late) else { return };
        if state.small.get(StateKind::Cooldown, &keys.left, now_ms).is_some() {
            return self.skip(&welcome.id, SkipReason::Rejoined);
        }
        if !setting.can_post {
            return self.skip(&welcome.id, SkipReason::Unsupported);
        }
        let quiet_until = welcome.quiet_until(setting.home.zone, now_ms).unwrap_or(now_ms);
        let earliest = gap_end(state, &keys, now_ms).max(quiet_until).max(now_ms);
        let waiting = state.small.get(StateKind::Burst, &keys.group, now_ms).and_then(Burst::from_bytes);
        if waiting.is_none() && config.burst_window.is_zero() && earliest <= now_ms {
            let called = Called::of(event);
            return self.greet(welcome, &called, config, &keys, setting, event);
        }
        let due_ms = earliest.max(now_ms + millis(config.burst_window));
        let mut burst = waiting.unwrap_or_else(|| Burst::due_at(due_ms));
        burst.add(event.name.as_deref().filter(|name| !name.is_empty()), config.names_max);
        if burst.count() >= config.burst_max {
            burst.due_ms = earliest;
        }
        let expires_ms = burst.due_ms.saturating_add(BURST_KEEP_MS);
        self.keep_state(StateKind::Burst, keys.group, Some(burst.to_bytes()), expires_ms);
    }

    /// The moment of something that was put off has come.
    pub(super) fn due(
        &mut self,
        state: &PartitionState,
        rules: &Rules,
        setting: &Setting<'_>,
        event: &'e GroupEvent<'_>,
    ) {
        let (config, now_ms, keys) = (&rules.limits.welcomes, self.now_ms(), Keys::of(event));
        let waiting = state.small.get(StateKind::Burst, &keys.group, now_ms).and_then(Burst::from_bytes);
        let Some(burst) = waiting.filter(|burst| burst.due_ms <= now_ms) else { return };
        self.keep_state(StateKind::Burst, keys.group.clone(), None, 0);
        let Some(welcome) = rules.welcomes.of(setting.home.place, setting.audience.tags) else { return };
        if now_ms - burst.due_ms > millis(config.join_age_max) {
            return self.skip(&welcome.id, SkipReason::Expired);
        }
        let (names, count) = (burst.names(), burst.count().to_string());
        let called = Called { name: Some(&names), count: &count };
        self.greet(welcome, &called, config, &keys, setting, event);
    }

    /// A member has left: whoever comes again soon is not greeted once more.
    pub(super) fn left(&mut self, rules: &Rules, event: &GroupEvent<'_>) {
        let days = rules.limits.welcomes.rejoin_days;
        if days > 0 && event.member.is_some() && !rules.welcomes.is_empty() {
            let expires_ms = self.now_ms() + i64::from(days) * DAY_MS;
            self.keep_state(StateKind::Cooldown, Keys::of(event).left, Some(Vec::new()), expires_ms);
        }
    }

    fn greet(
        &mut self,
        welcome: &Compiled,
        called: &Called<'_>,
        config: &Config,
        keys: &Keys,
        setting: &Setting<'_>,
        event: &'e GroupEvent<'_>,
    ) {
        let expires_ms = self.now_ms() + millis(config.expiry);
        let (rule, text) = welcome.text(self.chance());
        let saying = Saying { kind: "welcome", rule, text, welcome_code: None, expires_ms };
        let said = self.say(&saying, called, setting, event);
        if said {
            // One delivery each: what the platform refuses of them takes nothing else with it.
            for content in self.attached(welcome, rule, called, setting, event) {
                let send = self.send(&saying, String::new());
                self.fact(|| Fact::Attach(AttachFact { send, contents: json_of(&[content]) }));
            }
        }
        if said && !config.burst_gap.is_zero() {
            let until_ms = self.now_ms() + millis(config.burst_gap);
            let value = Some(until_ms.to_le_bytes().to_vec());
            self.keep_state(StateKind::Cooldown, keys.gap.clone(), value, until_ms);
        }
    }

    /// Greets a person who has just added a staff member, with the code the platform gave for it.
    pub(super) fn welcome_contact(
        &mut self,
        rules: &Rules,
        setting: &Setting<'_>,
        event: &'e GroupEvent<'_>,
        code: &'e str,
    ) {
        let Some(welcome) = rules.welcomes.of_contact(setting.home.place) else { return };
        let Some(life) = setting.welcome_code_life else {
            return self.skip(&welcome.id, SkipReason::Unsupported);
        };
        let now_ms = self.now_ms();
        // A platform's clock that is ahead of ours must not make a code live longer.
        let expires_ms = event.at_ms.unwrap_or(now_ms).min(now_ms) + millis(life);
        if expires_ms <= now_ms {
            return self.skip(&welcome.id, SkipReason::Expired);
        }
        let (rule, text) = welcome.text(self.chance());
        let saying = Saying { kind: "welcome", rule, text, welcome_code: Some(code), expires_ms };
        let called = Called::of(event);
        let contents = self.attached(welcome, rule, &called, setting, event);
        if contents.is_empty() {
            self.say(&saying, &called, setting, event);
        } else if let Some(text) = self.render(&saying, &called, setting, event) {
            let send = self.send(&saying, text);
            self.fact(|| Fact::Attach(AttachFact { send, contents: json_of(&contents) }));
        }
    }

    /// Returns what goes with a greeting here. What the platform does not show, or has no value for, is left out.
    fn attached(
        &mut self,
        welcome: &Compiled,
        rule: &str,
        called: &Called<'_>,
        setting: &Setting<'_>,
        event: &GroupEvent<'_>,
    ) -> Vec<Content> {
        let mut contents = Vec::new();
        for content in &welcome.attachments {
            if !(setting.shows)(content) {
                self.skip(rule, SkipReason::Unsupported);
                continue;
            }
            let filled = content.map_texts(&mut |_, text| match Template::parse(text) {
                Ok(template) => filled(&template, called, setting, event),
                Err(_) => Ok(text.to_owned()), // refused when it was written
            });
            match filled {
                Ok(filled) if (setting.may_say)(&filled.words()) => contents.push(filled),
                Ok(_) => self.skip(rule, SkipReason::Blocked),
                Err(missing) => self.skip(rule, SkipReason::Missing(missing.name)),
            }
        }
        contents
    }

    fn keep_state(&mut self, kind: StateKind, key: String, value: Option<Vec<u8>>, expires_ms: i64) {
        let (key, value) = (Cow::Owned(key), value.map(Cow::Owned));
        self.fact(|| Fact::State(StateFact { kind, key, value, expires_ms }));
    }
}

fn json_of(contents: &[Content]) -> Cow<'static, str> {
    serde_json::to_string(contents).expect("a content holds nothing that JSON cannot say").into()
}

/// Returns until when no other greeting may follow in the group.
fn gap_end(state: &PartitionState, keys: &Keys, now_ms: i64) -> i64 {
    let value = state.small.get(StateKind::Cooldown, &keys.gap, now_ms);
    value.and_then(|value| Some(i64::from_le_bytes(value.try_into().ok()?))).unwrap_or(now_ms)
}

/// Keys of what is kept of a group's greetings. Those of reply rules have two parts or a rule's id after the group, which
/// is never empty.
struct Keys {
    group: String,
    gap: String,
    left: String,
}

impl Keys {
    fn of(event: &GroupEvent<'_>) -> Self {
        let group = [&*event.account, &*event.group].join("\u{1f}");
        let member = event.member.as_deref().unwrap_or_default();
        Self {
            gap: [&group, "", "welcome"].join("\u{1f}"),
            left: [&group, "", "left", member].join("\u{1f}"),
            group,
        }
    }
}
