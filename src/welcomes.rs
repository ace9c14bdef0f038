//! New members are greeted: one text per group, chosen by the group's tags.
//!
//! Never greeted: programs, staff, members found by comparing rosters, joins reported long after they happened.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::template::{Template, TemplateError};

/// One welcome, as operators write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Welcome {
    /// What is said; may hold variables such as `{member.name}` and `{shop.name}`.
    pub text: String,
    /// Only in groups with one of these tags; empty for all.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Switched off without being deleted.
    #[serde(default = "yes")]
    pub enabled: bool,
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
        Ok(Template::parse(&self.text)?)
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
            compiled.push(Compiled { id: id.as_str().into(), text, tags: welcome.tags.clone() });
        }
        compiled.sort_by(|a, b| a.tags.is_empty().cmp(&b.tags.is_empty()).then(a.id.cmp(&b.id)));
        Ok(Self(compiled))
    }

    /// Returns the one welcome of a group with these tags.
    pub fn of(&self, tags: &[String]) -> Option<&Compiled> {
        self.0.iter().find(|w| w.tags.is_empty() || w.tags.iter().any(|tag| tags.contains(tag)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tagged_welcome_goes_before_the_general_one() {
        let welcome = |text: &str, tags: &[&str]| Welcome {
            text: text.into(),
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
}
