//! Journeys: what a new member hears on day 1, day 3 and day 7, or a new group does.
//!
//! Of several journeys with the same start the closest to the group is begun ([`Plan`]), so a member is in one at most.
//! Where a member stands is an [`Instance`]; what follows from the rules of today is said by [`Compiled`]. Not for: the
//! first greeting (`welcomes`), and when a moment comes (`pipeline` is told).

mod compiled;
mod counts;
mod crowd;
mod instance;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Time;
use serde::{Deserialize, Serialize};

use crate::event::{BrandId, RegionId, ShopId};
use crate::hours::QuietHours;
use crate::reach::Plan;
use crate::template::{Template, TemplateError};

pub use compiled::{Compiled, Journeys, Planned};
pub use counts::{Came, Numbers};
pub use crowd::Crowd;
pub use instance::{Glance, Instance};

/// One journey, as operators write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Journey {
    /// What it is called, for people.
    #[serde(default)]
    pub name: String,
    /// What begins it.
    #[serde(default)]
    pub start: Start,
    /// What is said when, in this order.
    pub steps: Vec<Step>,
    /// What ends it before its last step: `spoke`, `left`, or `outcome:KIND` for an `outcome` event of that kind, such as
    /// `outcome:order`; or `in_segment:ID`, `not_in_segment:ID` for who is, or is not any more, in that segment. Of a group's
    /// journey: a customer spoke, the group was dismissed, any such outcome in the group.
    #[serde(default = "left")]
    #[schema(value_type = Vec<String>, example = json!(["left", "spoke", "outcome:order"]))]
    pub stop_when: BTreeSet<Stop>,
    /// In groups of these brands. Brands, regions and shops add up; all empty for everywhere.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub brands: BTreeSet<BrandId>,
    /// In groups of these regions.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub regions: BTreeSet<RegionId>,
    /// In groups of these shops.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub shops: BTreeSet<ShopId>,
    /// Only in groups with one of these tags; empty for all.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// Hours in which nothing is said, like `22:00-08:00`, in the group's own time zone; what comes due meanwhile is said
    /// afterwards. Empty for none.
    #[serde(default)]
    #[schema(value_type = String, example = "22:00-08:00")]
    pub quiet: QuietHours,
    /// It says nothing in a group that has heard so many texts of journeys on that day; the configuration's limit when left
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_day_max: Option<u32>,
    /// Whether it speaks.
    #[serde(default)]
    pub mode: Mode,
    /// Switched off without being deleted: nobody begins it, and what comes due meanwhile is passed over.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// When it was written; the gateway sets it. It is the journey's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub written_at: Option<Timestamp>,
}

/// One step of a journey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Names it for good: whoever has passed a step of this id does not hear it again, whatever becomes of its text.
    pub id: String,
    /// How long after the start, like `1d`; not before the step above.
    #[serde(with = "crate::units::duration")]
    #[schema(value_type = String, example = "1d")]
    pub after: Duration,
    /// At this time of day in the group's own time zone, the first one when `after` is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "10:00")]
    pub at: Option<Time>,
    /// Only for members who, since the step before (or the start), did this; for all when left out. Of a group's journey:
    /// when its customers did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_if: Option<Condition>,
    /// What is said; variables as in welcomes. `{member.name}` is `A、B 等 37 位` where several hear it together.
    pub text: String,
}

/// What begins a journey.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// A customer joined: a journey of theirs.
    #[default]
    MemberJoined,
    /// A group was made: a journey of the group as a whole.
    GroupCreated,
    /// A customer came into this segment: a journey of theirs.
    Segment(String),
}

/// What must have been between two steps, or be now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// They said nothing.
    Silent,
    /// They said something.
    Spoke,
    /// They are in this segment.
    InSegment(String),
    /// They are not in this segment, or not any more.
    NotInSegment(String),
}

/// Whether a journey speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It does.
    #[default]
    Live,
    /// It runs and is counted, and says nothing.
    Shadow,
}

/// What ends a journey early.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Stop {
    /// A word of theirs.
    Spoke,
    /// They left.
    Left,
    /// An outcome of this kind.
    Outcome(Box<str>),
    /// They are in this segment.
    InSegment(Box<str>),
    /// They are not in this segment, or not any more.
    NotInSegment(Box<str>),
}

impl TryFrom<String> for Stop {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let named = text.split_once(':').filter(|(_, name)| !name.is_empty());
        match (text.as_str(), named) {
            ("spoke", _) => Ok(Stop::Spoke),
            ("left", _) => Ok(Stop::Left),
            (_, Some(("outcome", kind))) => Ok(Stop::Outcome(kind.into())),
            (_, Some(("in_segment", id))) => Ok(Stop::InSegment(id.into())),
            (_, Some(("not_in_segment", id))) => Ok(Stop::NotInSegment(id.into())),
            _ => Err(format!(
                "`{text}` ends no journey: write `spoke`, `left`, `outcome:KIND`, `in_segment:ID` or `not_in_segment:ID`"
            )),
        }
    }
}

impl From<Stop> for String {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Spoke => "spoke".to_owned(),
            Stop::Left => "left".to_owned(),
            Stop::Outcome(kind) => format!("outcome:{kind}"),
            Stop::InSegment(id) => format!("in_segment:{id}"),
            Stop::NotInSegment(id) => format!("not_in_segment:{id}"),
        }
    }
}

fn yes() -> bool {
    true
}

fn left() -> BTreeSet<Stop> {
    BTreeSet::from([Stop::Left])
}

/// Limits of journeys.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Journeys in all.
    pub journeys_max: usize,
    /// Steps of one journey.
    pub steps_max: usize,
    /// Longest text, in bytes.
    pub text_bytes_max: usize,
    /// Longest time from the start to a step.
    #[serde(with = "crate::units::duration")]
    pub length_max: Duration,
    /// Steps without a time of day are said at whole multiples of this, so that those who joined one after another hear
    /// them together; 0 for each at their own moment.
    #[serde(with = "crate::units::duration")]
    pub together_window: Duration,
    /// Members whose moment has come that are looked at in one go; the others follow half a second later.
    pub together_max: usize,
    /// Names that one text spells out.
    pub names_max: usize,
    /// Texts of journeys that one group hears in a day.
    pub group_day_max: u32,
    /// What came due longer ago than this is passed over.
    #[serde(with = "crate::units::duration")]
    pub late_max: Duration,
    /// A text that could not be sent within this time is not sent.
    #[serde(with = "crate::units::duration")]
    pub expiry: Duration,
    /// Whoever ended a journey, or left, and joins again within so many days begins none; 0 for everybody does.
    pub rejoin_days: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            journeys_max: 200,
            steps_max: 20,
            text_bytes_max: 4_000,
            length_max: Duration::from_hours(24 * 180),
            together_window: Duration::from_mins(30),
            together_max: 500,
            names_max: 3,
            group_day_max: 5,
            late_max: Duration::from_hours(12),
            expiry: Duration::from_hours(1),
            rejoin_days: 30,
        }
    }
}

/// Why a journey cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JourneyError {
    /// More than allowed.
    #[error("{what}: {count}, at most {max}")]
    Many {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many may be.
        max: usize,
    },
    /// It says nothing.
    #[error("steps: write one at least")]
    NoSteps,
    /// A step's id.
    #[error("steps[{0}].id: give each an id of its own, 1 to 32 of A-Z a-z 0-9 - _")]
    StepId(usize),
    /// A step lies before the one above it.
    #[error("steps[{0}].after: earlier than the step above; write steps in the order of their times")]
    Order(usize),
    /// A step comes too late.
    #[error("steps[{0}].after: longer than `journeys.length_max`")]
    Long(usize),
    /// A group has no name to be called by.
    #[error(
        "steps[{step}].text: a group's journey speaks to nobody in particular, so `{{{name}}}` has no value; leave it out"
    )]
    Nobody {
        /// Which step.
        step: usize,
        /// The variable.
        name: String,
    },
    /// A group is in no segment.
    #[error("{0}: a group's journey is nobody's in particular, and segments hold members; leave it out")]
    NoMember(String),
    /// A text's variables.
    #[error("steps[{step}].text: {error}")]
    Text {
        /// Which step.
        step: usize,
        /// What is wrong with it.
        error: TemplateError,
    },
}

impl Journey {
    /// Checks a journey as it comes from outside; returns its texts.
    ///
    /// # Errors
    /// Names what is wrong with it.
    pub fn check(&self, config: &Config) -> Result<Vec<Template>, JourneyError> {
        many("steps", self.steps.len(), config.steps_max)?;
        many("bytes of name", self.name.len(), config.text_bytes_max)?;
        if self.steps.is_empty() {
            return Err(JourneyError::NoSteps);
        }
        let mut texts = Vec::new();
        for (i, step) in self.steps.iter().enumerate() {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let above = &self.steps[..i];
            let is_known = above.iter().any(|other| other.id == step.id);
            if step.id.is_empty() || step.id.len() > 32 || !step.id.chars().all(is_plain) || is_known {
                return Err(JourneyError::StepId(i));
            }
            if above.last().is_some_and(|above| above.after > step.after) {
                return Err(JourneyError::Order(i));
            }
            if step.after > config.length_max {
                return Err(JourneyError::Long(i));
            }
            many("bytes of text", step.text.len(), config.text_bytes_max)?;
            let text = Template::parse(&step.text).map_err(|error| JourneyError::Text { step: i, error })?;
            let of_group = self.start == Start::GroupCreated;
            if of_group && step.only_if.as_ref().and_then(Condition::segment).is_some() {
                return Err(JourneyError::NoMember(format!("steps[{i}].only_if")));
            }
            if of_group {
                let value = |name: &str| if name.starts_with("member.") { None } else { Some("x") };
                if let Some(name) = text.missing(&value).first() {
                    return Err(JourneyError::Nobody { step: i, name: (*name).to_owned() });
                }
            }
            texts.push(text);
        }
        if self.start == Start::GroupCreated && self.stop_when.iter().any(|stop| stop.segment().is_some()) {
            return Err(JourneyError::NoMember("stop_when".to_owned()));
        }
        Ok(texts)
    }

    /// Returns for which groups it is.
    pub fn plan(&self) -> Plan {
        Plan {
            brands: self.brands.clone(),
            regions: self.regions.clone(),
            shops: self.shops.clone(),
            tags: self.tags.clone(),
        }
    }

    /// Returns the segments it asks about, and where.
    pub fn segments(&self) -> Vec<(String, &str)> {
        let mut all = Vec::new();
        if let Start::Segment(id) = &self.start {
            all.push(("/start/segment".to_owned(), id.as_str()));
        }
        for (nth, step) in self.steps.iter().enumerate() {
            let id = step.only_if.as_ref().and_then(Condition::segment);
            all.extend(id.map(|id| (format!("/steps/{nth}/only_if"), id)));
        }
        let stops = self.stop_when.iter().filter_map(Stop::segment);
        all.extend(stops.map(|id| ("/stop_when".to_owned(), id)));
        all
    }

    /// Says whether it speaks now.
    pub fn is_live(&self) -> bool {
        self.enabled && self.mode == Mode::Live
    }
}

impl Condition {
    /// Returns the segment it asks about; `None` of what members say.
    pub fn segment(&self) -> Option<&str> {
        match self {
            Condition::Silent | Condition::Spoke => None,
            Condition::InSegment(id) | Condition::NotInSegment(id) => Some(id),
        }
    }
}

impl Stop {
    /// Returns the segment it asks about.
    pub fn segment(&self) -> Option<&str> {
        match self {
            Stop::Spoke | Stop::Left | Stop::Outcome(_) => None,
            Stop::InSegment(id) | Stop::NotInSegment(id) => Some(id),
        }
    }
}

fn many(what: &'static str, count: usize, max: usize) -> Result<(), JourneyError> {
    if count > max { Err(JourneyError::Many { what, count, max }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
