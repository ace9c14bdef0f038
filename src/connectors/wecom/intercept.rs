//! Interception at the source: rules by which WeCom itself stops what staff send to customers (敏感词).
//!
//! Three shapes for one thing, as the fact sheet warns: making a rule takes the range as it is to be, changing one takes
//! what to add to it and what to remove; whether words left out mean "unchanged" nobody knows, so a change always carries
//! them all. Ids are a number in one sample and a string elsewhere: both are read, and the text is what we keep.
//! There is no callback for hits: what these rules stop nobody can count.

use async_trait::async_trait;
use serde::{Deserialize, Deserializer, Serialize};

use super::api::Api;
use super::client::Done;
use super::deliver::Acts;
use super::error::not_asked;
use crate::connectors::offers::{InterceptRule, PlatformError, StaffInterception};

/// Most rules of a corp.
const RULES_MAX: usize = 100;
/// Most words of a rule.
const WORDS_MAX: usize = 300;
/// Most characters of a word.
const WORD_CHARS_MAX: usize = 32;
/// Most characters of a rule's name.
const NAME_CHARS_MAX: usize = 20;
/// Most members, and most departments, of a rule.
const RANGE_MAX: usize = 1_000;
/// Warns and stops.
const STOP: u8 = 1;
/// Warns only.
const WARN: u8 = 2;
/// A rule that was removed while we read the list.
const GONE: [i64; 2] = [41070, 41071];

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Range {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    user_list: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    department_list: Vec<u64>,
}

impl Range {
    fn of(rule: &InterceptRule) -> Self {
        Self { user_list: rule.staff.clone(), department_list: rule.departments.clone() }
    }

    /// Returns what is here and not there.
    fn without(&self, other: &Self) -> Self {
        let staff = self.user_list.iter().filter(|user| !other.user_list.contains(user));
        let departments =
            self.department_list.iter().filter(|department| !other.department_list.contains(department));
        Self { user_list: staff.cloned().collect(), department_list: departments.copied().collect() }
    }

    fn is_empty(&self) -> bool {
        self.user_list.is_empty() && self.department_list.is_empty()
    }
}

#[derive(Serialize)]
struct Added<'a> {
    rule_name: &'a str,
    word_list: &'a [String],
    intercept_type: u8,
    applicable_range: Range,
}

#[derive(Serialize)]
struct Updated<'a> {
    rule_id: &'a str,
    rule_name: &'a str,
    word_list: &'a [String],
    intercept_type: u8,
    #[serde(skip_serializing_if = "Range::is_empty")]
    add_applicable_range: Range,
    #[serde(skip_serializing_if = "Range::is_empty")]
    remove_applicable_range: Range,
}

#[derive(Deserialize)]
struct RuleIdOnly {
    #[serde(deserialize_with = "id")]
    rule_id: String,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    rule_list: Vec<RuleIdOnly>,
}

#[derive(Deserialize)]
struct Read {
    rule: ReadRule,
}

#[derive(Deserialize)]
struct ReadRule {
    #[serde(default)]
    rule_name: String,
    #[serde(default)]
    word_list: Vec<String>,
    #[serde(default)]
    intercept_type: u8,
    #[serde(default)]
    applicable_range: Range,
}

impl From<ReadRule> for InterceptRule {
    fn from(read: ReadRule) -> Self {
        let mut words = read.word_list;
        words.sort_unstable();
        Self {
            name: read.rule_name,
            words,
            warn_only: read.intercept_type == WARN,
            staff: read.applicable_range.user_list,
            departments: read.applicable_range.department_list,
        }
    }
}

/// Reads an id that is a number in one of the vendor's samples and a string in others.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Text(String),
        Number(u64),
    }
    Ok(match Id::deserialize(deserializer)? {
        Id::Text(text) => text,
        Id::Number(number) => number.to_string(),
    })
}

/// Says what WeCom would refuse: field and rule, in Chinese and English, never a word of the list.
fn wrong(rule: &InterceptRule) -> Option<(String, String)> {
    let chars = |text: &str| text.chars().count();
    let (field, rule_zh, rule_en) = if !(1..=NAME_CHARS_MAX).contains(&chars(&rule.name)) {
        (
            "name",
            format!("须为 1 到 {NAME_CHARS_MAX} 个字"),
            format!("must have 1 to {NAME_CHARS_MAX} characters"),
        )
    } else if !(1..=WORDS_MAX).contains(&rule.words.len()) {
        ("words", format!("须为 1 到 {WORDS_MAX} 个词"), format!("must be 1 to {WORDS_MAX}"))
    } else if !rule.words.iter().all(|word| (1..=WORD_CHARS_MAX).contains(&chars(word))) {
        (
            "words[]",
            format!("每个词须为 1 到 {WORD_CHARS_MAX} 个字"),
            format!("must each have 1 to {WORD_CHARS_MAX} characters"),
        )
    } else if rule.staff.is_empty() && rule.departments.is_empty() {
        ("staff", "成员与部门不能都为空".to_owned(), "and `departments` must not both be empty".to_owned())
    } else if rule.staff.len() > RANGE_MAX || rule.departments.len() > RANGE_MAX {
        (
            "staff",
            format!("成员、部门各不超过 {RANGE_MAX} 个"),
            format!("and `departments` may each have {RANGE_MAX}"),
        )
    } else {
        return None;
    };
    Some((format!("敏感词规则的 `{field}` {rule_zh}"), format!("`{field}` of an intercept rule {rule_en}")))
}

fn checked(api: Api, rule: &InterceptRule) -> Result<u8, PlatformError> {
    match wrong(rule) {
        Some((zh, en)) => Err(not_asked(api, "intercept_rule", zh, en)),
        None => Ok(if rule.warn_only { WARN } else { STOP }),
    }
}

#[async_trait]
impl StaffInterception for Acts {
    fn limits(&self) -> (usize, usize, usize) {
        (RULES_MAX, WORDS_MAX, WORD_CHARS_MAX)
    }

    async fn list(&self) -> Result<Vec<(String, InterceptRule)>, PlatformError> {
        let listed: Listed = self.client.get(Api::ListInterceptRules, &[]).await?;
        let mut rules = Vec::with_capacity(listed.rule_list.len());
        for RuleIdOnly { rule_id } in listed.rule_list {
            let body = serde_json::json!({ "rule_id": rule_id });
            match self.client.call::<_, Read>(Api::GetInterceptRule, &body).await {
                Ok(read) => rules.push((rule_id, read.rule.into())),
                Err(error) if GONE.iter().any(|code| error.is(*code)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(rules)
    }

    async fn add(&self, rule: &InterceptRule) -> Result<String, PlatformError> {
        let intercept_type = checked(Api::AddInterceptRule, rule)?;
        let body = Added {
            rule_name: &rule.name,
            word_list: &rule.words,
            intercept_type,
            applicable_range: Range::of(rule),
        };
        let added: RuleIdOnly = self.client.call(Api::AddInterceptRule, &body).await?;
        Ok(added.rule_id)
    }

    async fn update(&self, id: &str, from: &InterceptRule, to: &InterceptRule) -> Result<(), PlatformError> {
        let intercept_type = checked(Api::UpdateInterceptRule, to)?;
        let (now, then) = (Range::of(from), Range::of(to));
        let body = Updated {
            rule_id: id,
            rule_name: &to.name,
            word_list: &to.words,
            intercept_type,
            add_applicable_range: then.without(&now),
            remove_applicable_range: now.without(&then),
        };
        let Done {} = self.client.call(Api::UpdateInterceptRule, &body).await?;
        Ok(())
    }

    async fn remove(&self, id: &str) -> Result<(), PlatformError> {
        let body = serde_json::json!({ "rule_id": id });
        let Done {} = self.client.call(Api::DelInterceptRule, &body).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> InterceptRule {
        InterceptRule {
            name: "门神·引流 1".to_owned(),
            words: vec!["加微信".to_owned()],
            warn_only: false,
            staff: vec!["u1".to_owned()],
            departments: vec![2, 3],
        }
    }

    #[test]
    fn ids_are_read_in_both_spellings() {
        let read = |text| serde_json::from_str::<RuleIdOnly>(text).unwrap().rule_id;
        assert_eq!(read(r#"{"rule_id":"x1"}"#), "x1");
        assert_eq!(read(r#"{"rule_id":42}"#), "42");
        assert!(serde_json::from_str::<RuleIdOnly>(r#"{"rule_id":null}"#).is_err());
    }

    #[test]
    fn a_change_of_range_is_what_comes_and_what_goes() {
        let to = InterceptRule { staff: vec!["u2".to_owned()], departments: vec![3, 4], ..rule() };
        let (now, then) = (Range::of(&rule()), Range::of(&to));
        let range = |user: &str, department| Range {
            user_list: vec![user.to_owned()],
            department_list: vec![department],
        };
        assert_eq!(then.without(&now), range("u2", 4));
        assert_eq!(now.without(&then), range("u1", 2));
        assert!(now.without(&now).is_empty());
    }

    #[test]
    fn rules_are_held_against_the_platforms_limits_in_characters() {
        assert_eq!(wrong(&rule()), None);
        let words = |words: Vec<String>| InterceptRule { words, ..rule() };
        assert_eq!(wrong(&words(vec!["汉".repeat(32); 300])), None);
        for (rule, says) in [
            (InterceptRule { name: String::new(), ..rule() }, "`name`"),
            (InterceptRule { name: "汉".repeat(21), ..rule() }, "`name`"),
            (words(Vec::new()), "`words`"),
            (words(vec!["a".to_owned(); 301]), "`words`"),
            (words(vec!["汉".repeat(33)]), "`words[]`"),
            (words(vec![String::new()]), "`words[]`"),
            (InterceptRule { staff: Vec::new(), departments: Vec::new(), ..rule() }, "`staff`"),
            (InterceptRule { departments: vec![1; 1001], ..rule() }, "`staff`"),
        ] {
            let (zh, en) = wrong(&rule).unwrap();
            assert!(zh.contains(says) && en.contains(says), "{zh} {en}");
        }
    }
}
