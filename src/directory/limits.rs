//! Limits of the directory, and the collector of what breaks them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::event::{FieldError, pointer_part};

/// The text of a key file. `Debug` hides it.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct KeyText(String);

impl KeyText {
    /// Returns the text, for [`super::Keyring::parse`].
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(…)")
    }
}

/// Limits of this module.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Keys that seal account secrets, one a line (usually by `key_file`); without it the file `key` in the data
    /// directory is used, made at the first start.
    pub key: Option<KeyText>,
    /// IANA time zone of shops and groups that name none.
    pub time_zone: String,
    /// Most accounts.
    pub accounts_max: usize,
    /// Most brands.
    pub brands_max: usize,
    /// Most regions.
    pub regions_max: usize,
    /// Most shops.
    pub shops_max: usize,
    /// Most groups, seen and declared.
    pub groups_max: usize,
    /// Longest name for people, in characters.
    pub name_chars_max: usize,
    /// Most tags of a group.
    pub tags_max: usize,
    /// Longest tag, in characters.
    pub tag_chars_max: usize,
    /// Most variables of a shop or group.
    pub variables_max: usize,
    /// Longest value of a variable, in characters.
    pub variable_chars_max: usize,
    /// Most opening periods of a shop.
    pub hours_max: usize,
    /// Most secrets of an account.
    pub secrets_max: usize,
    /// Longest secret, in bytes.
    pub secret_bytes_max: usize,
    /// Largest settings of an account, in bytes of JSON.
    #[serde(deserialize_with = "crate::units::de_size")]
    pub settings_bytes_max: usize,
    /// Most limits of an account, and most of its groups.
    pub account_limits_max: usize,
    /// Most members that an account says we speak through.
    pub own_members_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            key: None,
            time_zone: "Asia/Shanghai".to_owned(),
            accounts_max: 1_000,
            brands_max: 1_000,
            regions_max: 10_000,
            shops_max: 100_000,
            groups_max: 1_000_000,
            name_chars_max: 200,
            tags_max: 50,
            tag_chars_max: 64,
            variables_max: 50,
            variable_chars_max: 1_000,
            hours_max: 21,
            secrets_max: 10,
            secret_bytes_max: 4_096,
            settings_bytes_max: 16 * 1024,
            account_limits_max: 16,
            own_members_max: 32,
        }
    }
}

/// Longest id of a brand, region, shop or account, in bytes.
const ID_BYTES_MAX: usize = 64;

/// Says why a text cannot be the id of an account, brand, region, shop or operator; these stand in addresses, in audit
/// places and before the slash of a group's full name, so they are plain.
pub fn plain_id(id: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if id.is_empty() || id.len() > ID_BYTES_MAX || !id.chars().all(plain) || id.starts_with('.') {
        return Err(format!("`{id}`: 1 to {ID_BYTES_MAX} of A-Z a-z 0-9 - _ . and no full stop first"));
    }
    Ok(())
}

/// Collects every problem of one record, so that a person sees all at once.
#[derive(Debug)]
pub(super) struct Checker<'a> {
    pub(super) config: &'a Config,
    errors: Vec<FieldError>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(config: &'a Config) -> Self {
        Self { config, errors: Vec::new() }
    }

    pub(super) fn finish(self) -> Result<(), Vec<FieldError>> {
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }

    pub(super) fn refuse(&mut self, pointer: impl Into<String>, code: &str, detail: impl Into<String>) {
        self.errors.push(FieldError::new(pointer, code, detail));
    }

    pub(super) fn id(&mut self, id: &str) {
        if let Err(detail) = plain_id(id) {
            self.refuse("/id", "form", detail);
        }
    }

    pub(super) fn name(&mut self, pointer: &str, name: &str) {
        let chars = name.chars().count();
        if name.trim().is_empty() {
            self.refuse(pointer, "required", "is empty");
        }
        self.chars(pointer, chars, self.config.name_chars_max, "name_chars_max");
        if name.chars().any(char::is_control) {
            self.refuse(pointer, "form", "has a control character");
        }
    }

    fn chars(&mut self, pointer: &str, chars: usize, max: usize, key: &str) {
        if chars > max {
            let detail = format!("has {chars} characters, at most {max} (`directory.{key}`)");
            self.refuse(pointer, "too_long", detail);
        }
    }

    pub(super) fn bytes(&mut self, pointer: &str, bytes: usize, max: usize, key: &str) {
        if bytes > max {
            let detail = format!("has {bytes} bytes, at most {max} (`directory.{key}`)");
            self.refuse(pointer, "too_long", detail);
        }
    }

    pub(super) fn count(&mut self, pointer: &str, count: usize, max: usize, key: &str) {
        if count > max {
            let detail = format!("has {count} entries, at most {max} (`directory.{key}`)");
            self.refuse(pointer, "too_many", detail);
        }
    }

    /// A policy may be named before it is there; until then it is passed over.
    pub(super) fn policy(&mut self, policy: Option<&str>) {
        if let Some(policy) = policy {
            self.name("/policy", policy);
        }
    }

    pub(super) fn tags(&mut self, tags: &[String]) {
        self.count("/tags", tags.len(), self.config.tags_max, "tags_max");
        for (index, tag) in tags.iter().enumerate() {
            let pointer = format!("/tags/{index}");
            if tag.trim().is_empty() || tag.chars().any(char::is_control) {
                self.refuse(pointer.clone(), "form", "is empty or has a control character");
            }
            self.chars(&pointer, tag.chars().count(), self.config.tag_chars_max, "tag_chars_max");
        }
    }

    pub(super) fn variables(&mut self, variables: &BTreeMap<String, String>) {
        self.count("/variables", variables.len(), self.config.variables_max, "variables_max");
        for (name, value) in variables {
            let pointer = format!("/variables{}", pointer_part(name));
            let plain = |c: char| c == '_' || c.is_alphanumeric();
            if name.is_empty() || name.chars().count() > self.config.tag_chars_max || !name.chars().all(plain)
            {
                self.refuse(pointer.clone(), "form", "the name of a variable has letters, digits and `_`");
            }
            let chars = value.chars().count();
            self.chars(&pointer, chars, self.config.variable_chars_max, "variable_chars_max");
        }
    }

    pub(super) fn time_zone(&mut self, zone: Option<&str>) {
        if let Some(zone) = zone
            && jiff::tz::TimeZone::get(zone).is_err()
        {
            let detail = format!("`{zone}` is no IANA time zone; write one like `Asia/Shanghai`");
            self.refuse("/time_zone", "form", detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_told_at_once_with_its_place() {
        let config = Config { tags_max: 1, variable_chars_max: 2, ..Config::default() };
        let mut checker = Checker::new(&config);
        checker.id("a/b");
        checker.name("/name", " ");
        checker.tags(&["甲".to_owned(), "乙".to_owned()]);
        checker.variables(&[("a/b".to_owned(), "一二三".to_owned())].into());
        checker.time_zone(Some("Asia/Nowhere"));
        let errors = checker.finish().unwrap_err();
        let told: Vec<_> = errors.iter().map(|e| (e.pointer.as_str(), e.code.as_str())).collect();
        let expect = [
            ("/id", "form"),
            ("/name", "required"),
            ("/tags", "too_many"),
            ("/variables/a~1b", "form"),
            ("/variables/a~1b", "too_long"),
            ("/time_zone", "form"),
        ];
        assert_eq!(told, expect);
    }

    #[test]
    fn an_id_is_plain() {
        for (id, good) in [("s-1.a_B", true), ("", false), ("a b", false), ("上海", false), (".x", false)] {
            assert_eq!(plain_id(id).is_ok(), good, "{id}");
        }
    }
}
