//! By which terms an alert is raised, told, passed up and over: the defaults of its kind, and over them the rules that people
//! wrote for places, the closer ones last.
//!
//! Pure. Not for: finding out what is wrong. Invariant: what a rule does not say stays as it was.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::baseline::Sensitivity;
use super::episode::{self, Kind, Own, Step, check_steps, check_wait};
use crate::event::{AccountId, FieldError, GroupId, GroupName, Place};
use crate::reach::Plan;

/// Most rules.
pub const RULES_MAX: usize = 200;
/// Most names in a rule's places and groups, and most that it tells.
pub const NAMES_MAX: usize = 500;
/// Longest window of what is counted by the minute.
pub const WINDOW_MAX: Duration = Duration::from_hours(1);
/// Longest of what is counted otherwise.
const LONG_WINDOW_MAX: Duration = Duration::from_hours(72);
/// Largest threshold.
const THRESHOLD_MAX: u64 = 1_000_000;

/// When one kind is raised, where no rule says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// It is looked for at all.
    pub on: bool,
    /// Over which time it is counted.
    #[serde(with = "crate::units::duration")]
    pub window: Duration,
    /// How soon a count is unusual.
    pub sensitivity: Sensitivity,
    /// From which value on: counts where nothing usual is known, days, percent or minutes.
    pub threshold: u64,
}

/// The same for every kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each is the kind of the same name")]
pub struct Kinds {
    pub leave_surge: Defaults,
    pub hit_spike: Defaults,
    pub negative_words: Defaults,
    pub dead_group: Defaults,
    pub group_nearly_full: Defaults,
    pub silent_callback: Defaults,
    pub send_failures: Defaults,
    pub unconfirmed_sends: Defaults,
    pub unanswered_questions: Defaults,
    pub rule_out_of_band: Defaults,
}

impl Default for Kinds {
    fn default() -> Self {
        let of = |minutes, threshold| Defaults {
            on: true,
            window: Duration::from_mins(minutes),
            sensitivity: Sensitivity::Normal,
            threshold,
        };
        Self {
            leave_surge: of(10, 15),
            hit_spike: of(10, 30),
            negative_words: of(30, 5),
            dead_group: of(60, 14),
            group_nearly_full: of(60, 95),
            silent_callback: of(60, 5),
            send_failures: of(15, 20),
            unconfirmed_sends: of(24 * 60, 1),
            unanswered_questions: of(60, 5),
            rule_out_of_band: Defaults { sensitivity: Sensitivity::Low, ..of(60, 50) },
        }
    }
}

impl Kinds {
    /// Returns those of a kind.
    pub fn get(&self, kind: Kind) -> Defaults {
        match kind {
            Kind::LeaveSurge => self.leave_surge,
            Kind::HitSpike => self.hit_spike,
            Kind::NegativeWords => self.negative_words,
            Kind::DeadGroup => self.dead_group,
            Kind::GroupNearlyFull => self.group_nearly_full,
            Kind::SilentCallback => self.silent_callback,
            Kind::SendFailures => self.send_failures,
            Kind::UnconfirmedSends => self.unconfirmed_sends,
            Kind::UnansweredQuestions => self.unanswered_questions,
            Kind::RuleOutOfBand => self.rule_out_of_band,
        }
    }

    /// Says what is wrong with them.
    ///
    /// # Errors
    /// The key, and what would be right.
    pub fn check(&self) -> Result<(), (String, String)> {
        for kind in Kind::ALL {
            let Defaults { window, threshold, .. } = self.get(kind);
            let wrong = |field: &str, detail| Err((format!("{}.{field}", kind.as_str()), detail));
            if let Some(detail) = check_window(kind, window) {
                return wrong("window", detail);
            }
            if let Some(detail) = check_threshold(kind, threshold) {
                return wrong("threshold", detail);
            }
        }
        Ok(())
    }
}

fn check_window(kind: Kind, window: Duration) -> Option<String> {
    let max = if kind.is_counted_by_minute() { WINDOW_MAX } else { LONG_WINDOW_MAX };
    let is_whole = window.as_secs().is_multiple_of(60) && window.subsec_nanos() == 0;
    let minutes = max.as_secs() / 60;
    let fits = is_whole && !window.is_zero() && window <= max;
    (!fits).then(|| format!("is {} s; write whole minutes, {minutes} at most", window.as_secs()))
}

fn check_threshold(kind: Kind, threshold: u64) -> Option<String> {
    let max = if kind == Kind::GroupNearlyFull { 100 } else { THRESHOLD_MAX };
    (!(1..=max).contains(&threshold)).then(|| format!("is {threshold}; 1 to {max}"))
}

impl Kind {
    /// Says whether it is counted by the minute, from the journal.
    pub fn is_counted_by_minute(self) -> bool {
        match self {
            Kind::LeaveSurge | Kind::HitSpike | Kind::NegativeWords => true,
            Kind::DeadGroup
            | Kind::GroupNearlyFull
            | Kind::SilentCallback
            | Kind::SendFailures
            | Kind::UnconfirmedSends
            | Kind::UnansweredQuestions
            | Kind::RuleOutOfBand => false,
        }
    }

    /// Says whether it is looked for in single groups; others are about accounts or wordlists.
    pub fn is_of_groups(self) -> bool {
        match self {
            Kind::LeaveSurge
            | Kind::HitSpike
            | Kind::NegativeWords
            | Kind::DeadGroup
            | Kind::GroupNearlyFull
            | Kind::SilentCallback
            | Kind::UnansweredQuestions => true,
            Kind::SendFailures | Kind::UnconfirmedSends | Kind::RuleOutOfBand => false,
        }
    }

    /// Says whether it rests on the text of messages: where that is not visible nothing can be said.
    pub fn rests_on_text(self) -> bool {
        match self {
            Kind::HitSpike | Kind::NegativeWords | Kind::DeadGroup | Kind::UnansweredQuestions => true,
            Kind::LeaveSurge
            | Kind::GroupNearlyFull
            | Kind::SilentCallback
            | Kind::SendFailures
            | Kind::UnconfirmedSends
            | Kind::RuleOutOfBand => false,
        }
    }
}

/// Somebody who is told besides whoever answers for the place: a group, or members of staff.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AlertRecipient)]
pub struct Recipient {
    /// Through which account.
    #[schema(value_type = String)]
    pub account: AccountId,
    /// Into this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub group: Option<GroupId>,
    /// To these members of staff, one to one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub staff: BTreeSet<String>,
}

/// What people want of some alerts in some places. What it leaves out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = AlertRule)]
pub struct Rule {
    /// Of which kinds; of all when empty.
    pub kinds: BTreeSet<Kind>,
    /// In which places; everywhere when empty.
    #[serde(rename = "where")]
    pub plan: Plan,
    /// In which groups, as `account/group`: the closest there is. With places as well, in either.
    #[schema(value_type = Vec<String>)]
    pub groups: BTreeSet<GroupName>,
    /// They are looked for at all.
    pub on: Option<bool>,
    /// Over which time it is counted, in whole minutes: `10m`.
    #[schema(value_type = Option<String>, example = "10m")]
    pub window: Option<Wait>,
    /// How soon a count is unusual.
    pub sensitivity: Option<Sensitivity>,
    /// From which value on: counts where nothing usual is known, days (`dead_group`), percent (`group_nearly_full`), minutes
    /// (`silent_callback`).
    pub threshold: Option<u64>,
    /// How long what raised it must be gone before it counts as recovered.
    #[schema(value_type = Option<String>, example = "10m")]
    pub recover_after: Option<Wait>,
    /// Who hears of it, and when, while nobody acknowledges it. An empty list: nobody further up.
    pub steps: Option<Vec<Step>>,
    /// Whoever answers for the place is told one to one, where the platform can.
    pub people: Option<bool>,
    /// Who else is told of all of it.
    pub tell: Option<Vec<Recipient>>,
}

/// A duration that may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wait(#[serde(with = "crate::units::duration")] pub Duration);

impl Rule {
    /// Says what is wrong with it.
    pub fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let mut wrong = |pointer: String, detail: String| {
            errors.push(FieldError::new(pointer, "invalid", detail));
        };
        let kinds = if self.kinds.is_empty() { &Kind::ALL.into() } else { &self.kinds };
        for kind in kinds {
            if let Some(detail) = self.window.and_then(|window| check_window(*kind, window.0)) {
                wrong("/window".to_owned(), format!("{detail} for `{}`", kind.as_str()));
                break;
            }
        }
        for kind in kinds {
            if let Some(detail) = self.threshold.and_then(|threshold| check_threshold(*kind, threshold)) {
                wrong("/threshold".to_owned(), format!("{detail} for `{}`", kind.as_str()));
                break;
            }
        }
        if let Some(Err(detail)) = self.recover_after.map(|wait| check_wait(wait.0)) {
            wrong("/recover_after".to_owned(), detail.to_owned());
        }
        if let Some(Err(detail)) = self.steps.as_deref().map(check_steps) {
            wrong("/steps".to_owned(), detail);
        }
        let tell = self.tell.as_deref().unwrap_or_default();
        let names = self.plan.names() + self.groups.len();
        let told: usize = tell.iter().map(|to| to.staff.len() + 1).sum();
        for (pointer, count) in [("/where", names), ("/tell", told)] {
            if count > NAMES_MAX {
                wrong(pointer.to_owned(), format!("lists {count} names, {NAMES_MAX} at most"));
            }
        }
        for (nth, to) in tell.iter().enumerate() {
            if to.group.is_some() != to.staff.is_empty() {
                let detail = "name either a `group` or some `staff`".to_owned();
                wrong(format!("/tell/{nth}"), detail);
            }
        }
        errors
    }

    /// Returns the parts of terms that it says something of, by name.
    fn says(&self) -> [(&'static str, bool); 8] {
        [
            ("on", self.on.is_some()),
            ("window", self.window.is_some()),
            ("sensitivity", self.sensitivity.is_some()),
            ("threshold", self.threshold.is_some()),
            ("recover_after", self.recover_after.is_some()),
            ("steps", self.steps.is_some()),
            ("people", self.people.is_some()),
            ("tell", self.tell.is_some()),
        ]
    }

    /// How close it is to a place; `None` where it says nothing.
    fn nearness(&self, kind: Kind, spot: &Spot<'_>) -> Option<Nearness> {
        if !self.kinds.is_empty() && !self.kinds.contains(&kind) {
            return None;
        }
        let is_group = |name: &GroupName| {
            Some((name.account.as_str(), name.group.as_str())) == spot.account.zip(spot.group)
        };
        if self.groups.iter().any(is_group) {
            return Some(Nearness::Group);
        }
        // Only for groups: not for everything.
        if !self.groups.is_empty() && self.plan == Plan::default() {
            return None;
        }
        self.plan.fit(spot.place, spot.tags).map(Nearness::Place)
    }
}

/// How close a rule is; the greatest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    Place(crate::reach::Fit),
    Group,
}

/// Where something is.
#[derive(Clone, Copy, Debug)]
pub struct Spot<'a> {
    /// The account, if it is one account's.
    pub account: Option<&'a str>,
    /// The group, if it is one group's.
    pub group: Option<&'a str>,
    /// Brand, region, shop.
    pub place: &'a Place,
    /// The group's tags.
    pub tags: &'a [String],
}

/// What holds for a kind in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// It is looked for at all.
    pub on: bool,
    /// Over which time it is counted.
    pub window: Duration,
    /// How soon a count is unusual.
    pub sensitivity: Sensitivity,
    /// From which value on.
    pub threshold: u64,
    /// How its alert lives.
    pub own: Arc<Own>,
    /// Whoever answers for the place is told.
    pub people: bool,
    /// Who else is told.
    pub tell: Vec<Recipient>,
}

impl Terms {
    /// Returns the window in minutes.
    pub fn window_min(&self) -> u32 {
        u32::try_from(self.window.as_secs() / 60).unwrap_or(u32::MAX)
    }

    /// Returns the window in milliseconds.
    pub fn window_ms(&self) -> i64 {
        i64::from(self.window_min()) * 60_000
    }
}

/// All rules over the defaults. Immutable; replaced whole.
#[derive(Clone, Debug, Default)]
pub struct Book {
    kinds: Kinds,
    life: episode::Config,
    people: bool,
    rules: Vec<(String, Rule)>,
}

impl Book {
    /// Puts rules over defaults; of equally close ones the later by id wins.
    pub fn new(kinds: Kinds, life: episode::Config, people: bool, rules: Vec<(String, Rule)>) -> Self {
        Self { kinds, life, people, rules }
    }

    /// Returns every rule in order of ids.
    pub fn rules(&self) -> &[(String, Rule)] {
        &self.rules
    }

    /// Returns one rule.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|(other, _)| other == id).map(|(_, rule)| rule)
    }

    /// Returns what holds for a kind in a place, and which rule each part is from; `None` for the configuration.
    pub fn explain(&self, kind: Kind, spot: &Spot<'_>) -> (Terms, Vec<(&'static str, Option<&str>)>) {
        let near = self.near(kind, spot);
        let from = Rule::default().says().map(|(part, _)| {
            let says = |rule: &Rule| rule.says().contains(&(part, true));
            (part, near.iter().rev().find(|(_, rule)| says(rule)).map(|(id, _)| *id))
        });
        (self.terms(kind, spot), from.to_vec())
    }

    /// Returns the rules that say something of a kind in a place, the closest last.
    fn near(&self, kind: Kind, spot: &Spot<'_>) -> Vec<(&str, &Rule)> {
        let near = self.rules.iter().filter_map(|(id, rule)| Some((rule.nearness(kind, spot)?, id, rule)));
        let mut near: Vec<_> = near.collect();
        near.sort_by_key(|(nearness, ..)| *nearness); // stable: equally close ones by id
        near.into_iter().map(|(_, id, rule)| (id.as_str(), rule)).collect()
    }

    /// Returns what holds for a kind in a place.
    pub fn terms(&self, kind: Kind, spot: &Spot<'_>) -> Terms {
        let Defaults { on, window, sensitivity, threshold } = self.kinds.get(kind);
        let mut own = Own { recover_after: self.life.recover_after, steps: self.life.steps.clone() };
        let mut terms = Terms {
            on,
            window,
            sensitivity,
            threshold,
            own: Arc::default(),
            people: self.people,
            tell: Vec::new(),
        };
        for (_, rule) in self.near(kind, spot) {
            terms.on = rule.on.unwrap_or(terms.on);
            terms.window = rule.window.map_or(terms.window, |window| window.0);
            terms.sensitivity = rule.sensitivity.unwrap_or(terms.sensitivity);
            terms.threshold = rule.threshold.unwrap_or(terms.threshold);
            own.recover_after = rule.recover_after.map_or(own.recover_after, |wait| wait.0);
            if let Some(steps) = &rule.steps {
                own.steps.clone_from(steps);
            }
            terms.people = rule.people.unwrap_or(terms.people);
            if let Some(tell) = &rule.tell {
                terms.tell.clone_from(tell);
            }
        }
        terms.own = Arc::new(own);
        terms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: &str) -> Rule {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_closest_rule_wins_field_by_field() {
        let rules = [
            ("a-group", r#"{"groups":["demo/g-1"],"threshold":3}"#),
            ("all", r#"{"kinds":["leave_surge"],"threshold":40,"window":"20m"}"#),
            ("east", r#"{"where":{"regions":["east"]},"threshold":9,"sensitivity":"high","steps":[]}"#),
            ("off", r#"{"kinds":["hit_spike"],"where":{"tags":["test"]},"on":false}"#),
        ];
        let rules = rules.map(|(id, json)| (id.to_owned(), rule(json))).to_vec();
        let book = Book::new(Kinds::default(), episode::Config::default(), false, rules);
        let at = |kind, group, path, tags: &[&str]| {
            let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
            let (account, place) = (Some("demo"), Place::of_path(path));
            book.terms(kind, &Spot { account, group: Some(group), place: &place, tags: &tags })
        };
        let plain = at(Kind::LeaveSurge, "g-9", "//", &[]);
        assert_eq!((plain.threshold, plain.window_min(), plain.own.steps.len()), (40, 20, 4));
        let east = at(Kind::LeaveSurge, "g-9", "acme/east/s-1", &[]);
        assert_eq!((east.threshold, east.sensitivity, east.own.steps.len()), (9, Sensitivity::High, 0));
        assert_eq!(at(Kind::LeaveSurge, "g-1", "acme/east/s-1", &[]).threshold, 3);
        assert_eq!(at(Kind::HitSpike, "g-1", "//", &[]).threshold, 3);
        assert_eq!(at(Kind::HitSpike, "g-2", "//", &[]).threshold, 30);
        assert!(!at(Kind::HitSpike, "g-2", "//", &["test"]).on);
        assert!(at(Kind::LeaveSurge, "g-2", "//", &["test"]).on);
        let place = Place::of_path("acme/east/s-1");
        let spot = Spot { account: Some("demo"), group: Some("g-1"), place: &place, tags: &[] };
        let (_, from) = book.explain(Kind::LeaveSurge, &spot);
        let of = |part: &str| from.iter().find(|(other, _)| *other == part).unwrap().1;
        let parts = ["threshold", "sensitivity", "steps", "window", "on"].map(of);
        assert_eq!(parts, [Some("a-group"), Some("east"), Some("east"), Some("all"), None]);
    }

    #[test]
    fn what_cannot_be_is_refused_by_field() {
        let pointers = |json: &str| -> Vec<String> {
            rule(json).check().into_iter().map(|error| error.pointer).collect()
        };
        for (json, expect) in [
            (r#"{"window":"2h","kinds":["leave_surge"]}"#, &["/window"][..]),
            (r#"{"window":"2h","kinds":["send_failures"]}"#, &[]),
            (r#"{"window":"90s"}"#, &["/window"]),
            (r#"{"threshold":101,"kinds":["group_nearly_full"]}"#, &["/threshold"]),
            (r#"{"threshold":0}"#, &["/threshold"]),
            (r#"{"recover_after":"0s"}"#, &["/recover_after"]),
            (r#"{"steps":[{"after":"2h","to":"region"},{"after":"1h","to":"head_office"}]}"#, &["/steps"]),
            (r#"{"tell":[{"account":"demo"}]}"#, &["/tell/0"]),
            (r#"{"tell":[{"account":"demo","group":"g","staff":["li"]}]}"#, &["/tell/0"]),
            (r#"{"tell":[{"account":"demo","group":"g"}],"on":false}"#, &[]),
        ] {
            assert_eq!(pointers(json), expect, "{json}");
        }
        assert_eq!(Kinds::default().check(), Ok(()));
        let mut kinds = Kinds::default();
        kinds.hit_spike.window = Duration::from_secs(5);
        assert_eq!(kinds.check().unwrap_err().0, "hit_spike.window");
    }
}
