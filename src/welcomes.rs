//! New members are greeted: one text per group, chosen by the group's tags. So are new contacts of staff, where the
//! platform gives a code to say it with: one text for all of them.
//!
//! Never greeted: programs, staff, members found by comparing rosters, joins reported long after they happened.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::reach::Plan;
use crate::template::{Template, TemplateError};

/// One welcome, as operators write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Welcome {
    /// What is said; may hold variables such as `{member.name}` and `{shop.name}`.
    pub text: String,
    /// Who is greeted.
    #[serde(default)]
    pub on: Occasion,
    /// Only in groups with one of these tags; empty for all. A contact is in no group, so there are none for contacts.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Switched off without being deleted.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// What somebody is greeted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// They joined a group.
    #[default]
    MemberJoined,
    /// They added a staff member one to one.
    ContactAdded,
}

fn yes() -> bool {
    true
}

/// Limits of welcomes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Welcomes in all.
    pub welcomes_max: usize,
    /// Longest text, in bytes.
    pub text_bytes_max: usize,
    /// A join that became known later than this is not greeted.
    #[serde(with = "crate::units::duration")]
    pub join_age_max: Duration,
    /// A welcome that could not be sent within this time is not sent.
    #[serde(with = "crate::units::duration")]
    pub expiry: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            welcomes_max: 1_000,
            text_bytes_max: 4_000,
            join_age_max: Duration::from_mins(10),
            expiry: Duration::from_mins(10),
        }
    }
}

/// Why a welcome cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WelcomeError {
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
    /// Tags of groups for somebody who is in none.
    #[error("tags: a new contact is in no group, so no tag can choose; leave them out")]
    Tags,
    /// The text's variables.
    #[error("text: {0}")]
    Text(#[from] TemplateError),
}

impl Welcome {
    /// Checks a welcome as it comes from outside.
    ///
    /// # Errors
    /// Names what is wrong with it.
    pub fn check(&self, config: &Config) -> Result<Template, WelcomeError> {
        many("bytes of text", self.text.len(), config.text_bytes_max)?;
        if self.on == Occasion::ContactAdded && !self.tags.is_empty() {
            return Err(WelcomeError::Tags);
        }
        Ok(Template::parse(&self.text)?)
    }
}

impl Welcome {
    /// Returns what is said in groups; nothing when it is for contacts.
    pub fn in_groups(&self) -> impl Iterator<Item = &String> {
        (self.on == Occasion::MemberJoined).then_some(&self.text).into_iter()
    }

    /// Returns for which groups it is.
    pub fn plan(&self) -> Plan {
        Plan { tags: self.tags.iter().cloned().collect(), ..Plan::default() }
    }
}

fn many(what: &'static str, count: usize, max: usize) -> Result<(), WelcomeError> {
    if count > max { Err(WelcomeError::Many { what, count, max }) } else { Ok(()) }
}

/// All welcomes, compiled: those with tags first, then by id.
#[derive(Debug, Default)]
pub struct Welcomes(Vec<Compiled>);

/// One compiled welcome.
#[derive(Debug)]
pub struct Compiled {
    /// Its id.
    pub id: Box<str>,
    /// What it says.
    pub text: Template,
    on: Occasion,
    tags: Vec<String>,
}

impl Welcomes {
    /// Compiles welcomes. The first that cannot be used stops all, so that the old set stays.
    ///
    /// # Errors
    /// The welcome's id and what is wrong with it.
    pub fn compile(welcomes: &[(String, Welcome)], config: &Config) -> Result<Self, (String, WelcomeError)> {
        many("welcomes", welcomes.len(), config.welcomes_max).map_err(|e| (String::new(), e))?;
        let mut compiled = Vec::new();
        for (id, welcome) in welcomes.iter().filter(|(_, welcome)| welcome.enabled) {
            let text = welcome.check(config).map_err(|e| (id.clone(), e))?;
            compiled.push(Compiled {
                id: id.as_str().into(),
                text,
                on: welcome.on,
                tags: welcome.tags.clone(),
            });
        }
        compiled.sort_by(|a, b| a.tags.is_empty().cmp(&b.tags.is_empty()).then(a.id.cmp(&b.id)));
        Ok(Self(compiled))
    }

    /// Returns the one welcome of a group with these tags.
    pub fn of(&self, tags: &[String]) -> Option<&Compiled> {
        let mut for_members = self.0.iter().filter(|w| w.on == Occasion::MemberJoined);
        for_members.find(|w| w.tags.is_empty() || w.tags.iter().any(|tag| tags.contains(tag)))
    }

    /// Returns the one welcome of new contacts.
    pub fn of_contact(&self) -> Option<&Compiled> {
        self.0.iter().find(|w| w.on == Occasion::ContactAdded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tagged_welcome_goes_before_the_general_one() {
        let welcome = |text: &str, tags: &[&str]| Welcome {
            text: text.into(),
            on: Occasion::MemberJoined,
            tags: tags.iter().map(ToString::to_string).collect(),
            enabled: true,
        };
        let all = [
            ("a".to_owned(), welcome("欢迎", &[])),
            ("b".to_owned(), welcome("欢迎贵宾", &["vip"])),
            ("c".to_owned(), Welcome { enabled: false, ..welcome("关", &["vip"]) }),
        ];
        let welcomes = Welcomes::compile(&all, &Config::default()).unwrap();
        let of = |tags: &[&str]| {
            let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
            welcomes.of(&tags).map(|w| w.id.to_string())
        };
        assert_eq!(of(&[]).as_deref(), Some("a"));
        assert_eq!(of(&["vip", "new"]).as_deref(), Some("b"));
    }

    #[test]
    fn a_contact_has_a_welcome_of_its_own_and_no_tags() {
        let config = Config::default();
        let written = |json: &str| serde_json::from_str::<Welcome>(json).unwrap();
        let contact = written(r#"{"text": "您好 {staff.id}", "on": "contact_added"}"#);
        let member = written(r#"{"text": "欢迎"}"#);
        let all = [("a".to_owned(), contact.clone()), ("b".to_owned(), member)];
        let welcomes = Welcomes::compile(&all, &config).unwrap();
        assert_eq!(welcomes.of(&[]).map(|w| &*w.id), Some("b"));
        assert_eq!(welcomes.of_contact().map(|w| &*w.id), Some("a"));
        let tagged = Welcome { tags: vec!["vip".into()], ..contact };
        assert_eq!(tagged.check(&config), Err(WelcomeError::Tags));
    }
}
