//! Intercept rules: words that members of the corp may not say to customers.
//!
//! They act on what members say, 1:1 and in customer groups, and never on what customers say. The platform tells nobody
//! about hits.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::wecom::errcode;
use crate::wecom::people::StaffNo;
use crate::wecom::request::Refusal;

/// Rules of a corp.
pub const RULES_MAX: usize = 100;
/// Words of a rule.
pub const WORDS_MAX: usize = 300;
/// Characters of a word.
pub const WORD_CHARS_MAX: usize = 32;
/// Characters of a rule's name.
pub const NAME_CHARS_MAX: usize = 20;
/// Users, and departments, of a rule.
pub const RANGE_MAX: usize = 1_000;
/// Ids of deleted rules remembered, so that they are told from unknown ones.
pub const DELETED_MAX: usize = 10_000;

const PHONE: u8 = 1;
const EMAIL: u8 = 2;
const RED_PACKET: u8 = 3;

/// Who a rule is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Range {
    /// Members.
    pub users: BTreeSet<StaffNo>,
    /// Departments.
    pub departments: BTreeSet<u32>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Words.
    pub words: Vec<String>,
    /// 1 phone number, 2 e-mail address, 3 red packet.
    pub semantics: BTreeSet<u8>,
    /// Whether it blocks; else it only warns.
    pub blocks: bool,
    /// Who it is for.
    pub range: Range,
    /// When it was made, in seconds since 1970.
    pub created_s: u64,
}

/// What the platform does with a text of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It goes out.
    Passed,
    /// The member is warned; it goes out when they insist.
    Warned,
    /// The member is warned and it does not go out.
    Blocked,
}

/// What an update changes; what is not given stays.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) name: Option<String>,
    pub(crate) words: Option<Vec<String>>,
    pub(crate) semantics: Option<BTreeSet<u8>>,
    pub(crate) blocks: Option<bool>,
    pub(crate) add: Range,
    pub(crate) remove: Range,
}

/// All rules, by number.
#[derive(Debug, Default)]
pub struct Intercept {
    rules: BTreeMap<u64, Rule>,
    deleted: BTreeSet<u64>,
    last: u64,
    /// Texts that were looked at, warned about, and blocked.
    pub said: [u64; 3],
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if (1..=NAME_CHARS_MAX).contains(&name.chars().count()) {
        Ok(())
    } else {
        Err(Refusal::new(errcode::BAD_RULE_NAME, "rule_name needs 1 to 20 characters"))
    }
}

fn check_words(words: &[String]) -> Result<(), Refusal> {
    if !(1..=WORDS_MAX).contains(&words.len()) {
        return Err(Refusal::code(errcode::WORD_COUNT));
    }
    Refusal::unless(
        words.iter().all(|word| (1..=WORD_CHARS_MAX).contains(&word.chars().count())),
        errcode::BAD_WORD,
    )
}

fn check_semantics(semantics: &BTreeSet<u8>) -> Result<(), Refusal> {
    Refusal::unless(
        semantics.iter().all(|kind| [PHONE, EMAIL, RED_PACKET].contains(kind)),
        errcode::BAD_SEMANTICS,
    )
}

fn check_range(range: &Range) -> Result<(), Refusal> {
    let counts = [range.users.len(), range.departments.len()];
    let is_good = counts != [0, 0] && counts.iter().all(|count| *count <= RANGE_MAX);
    Refusal::unless(is_good, errcode::BAD_RULE_RANGE)
}

impl Intercept {
    /// Makes a rule and says its number. That the range lies inside what the app sees is the caller's to check.
    ///
    /// # Errors
    /// 41069 when there are a hundred; 41077, 41068, 41083, 41084, 41076 for what is wrong with it.
    pub(crate) fn add(&mut self, rule: Rule) -> Result<u64, Refusal> {
        if self.rules.len() >= RULES_MAX {
            return Err(Refusal::code(errcode::RULE_QUOTA));
        }
        check_name(&rule.name)?;
        self.check_unique(&rule.name, None)?;
        check_words(&rule.words)?;
        check_semantics(&rule.semantics)?;
        check_range(&rule.range)?;
        self.last += 1;
        self.rules.insert(self.last, rule);
        Ok(self.last)
    }

    fn check_unique(&self, name: &str, except: Option<u64>) -> Result<(), Refusal> {
        if self.rules.iter().any(|(id, rule)| Some(*id) != except && rule.name == name) {
            Err(Refusal::new(errcode::BAD_RULE_NAME, "rule_name exists"))
        } else {
            Ok(())
        }
    }

    /// A rule.
    ///
    /// # Errors
    /// 41071 for one that was deleted, 41070 for one that never was.
    pub fn get(&self, id: u64) -> Result<&Rule, Refusal> {
        self.rules.get(&id).ok_or_else(|| {
            Refusal::code(if self.deleted.contains(&id) {
                errcode::RULE_DELETED
            } else {
                errcode::RULE_UNKNOWN
            })
        })
    }

    /// Changes a rule, wholly or not at all.
    ///
    /// # Errors
    /// As [`Self::get`] and [`Self::add`].
    pub(crate) fn update(&mut self, id: u64, change: Change) -> Result<(), Refusal> {
        let mut rule = self.get(id)?.clone();
        if let Some(name) = change.name {
            check_name(&name)?;
            self.check_unique(&name, Some(id))?;
            rule.name = name;
        }
        if let Some(words) = change.words {
            check_words(&words)?;
            rule.words = words;
        }
        if let Some(semantics) = change.semantics {
            check_semantics(&semantics)?;
            rule.semantics = semantics;
        }
        rule.blocks = change.blocks.unwrap_or(rule.blocks);
        rule.range.users.extend(change.add.users);
        rule.range.departments.extend(change.add.departments);
        rule.range.users.retain(|user| !change.remove.users.contains(user));
        rule.range.departments.retain(|department| !change.remove.departments.contains(department));
        check_range(&rule.range)?;
        self.rules.insert(id, rule);
        Ok(())
    }

    /// Deletes a rule.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn delete(&mut self, id: u64) -> Result<(), Refusal> {
        self.get(id)?;
        self.rules.remove(&id);
        self.deleted.insert(id);
        if self.deleted.len() > DELETED_MAX {
            self.deleted.pop_first();
        }
        Ok(())
    }

    /// All rules with their numbers, the oldest first.
    pub fn all(&self) -> impl Iterator<Item = (u64, &Rule)> {
        self.rules.iter().map(|(id, rule)| (*id, rule))
    }

    /// Someone changes or breaks a rule in the console, past all limits: drift that a caller should notice.
    pub fn tamper(&mut self, id: u64, how: impl FnOnce(&mut Rule)) -> bool {
        self.rules.get_mut(&id).map(how).is_some()
    }

    /// A member of some departments says something to a customer.
    pub fn said(&mut self, staff: StaffNo, departments: &[u32], text: &str, is_red_packet: bool) -> Verdict {
        let verdict = self
            .rules
            .values()
            .filter(|rule| {
                rule.range.users.contains(&staff)
                    || departments.iter().any(|department| rule.range.departments.contains(department))
            })
            .filter(|rule| rule.hits(text, is_red_packet))
            .map(|rule| if rule.blocks { Verdict::Blocked } else { Verdict::Warned })
            .max()
            .unwrap_or(Verdict::Passed);
        self.said[verdict as usize] += 1;
        verdict
    }
}

impl Rule {
    fn hits(&self, text: &str, is_red_packet: bool) -> bool {
        self.words.iter().any(|word| text.contains(word.as_str()))
            || self.semantics.contains(&PHONE) && holds_phone(text)
            || self.semantics.contains(&EMAIL) && holds_email(text)
            || self.semantics.contains(&RED_PACKET) && is_red_packet
    }
}

/// Eleven digits in a row, beginning with 1.
fn holds_phone(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() == 11 && digits.starts_with('1'))
}

fn holds_email(text: &str) -> bool {
    let is_inside = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    text.match_indices('@').any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let domain: String =
            text.get(at + 1..).unwrap_or_default().chars().take_while(|&c| is_inside(c)).collect();
        before.is_some_and(is_inside)
            && domain.split_once('.').is_some_and(|(name, rest)| !name.is_empty() && !rest.is_empty())
    })
}

/// Reads `rule_id` as a number or as text, both are seen.
pub(crate) fn rule_number(id: &serde_json::Value) -> Option<u64> {
    id.as_u64().or_else(|| id.as_str().and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, words: &[&str]) -> Rule {
        Rule {
            name: name.to_owned(),
            words: words.iter().map(|&word| word.to_owned()).collect(),
            semantics: BTreeSet::new(),
            blocks: true,
            range: Range { users: BTreeSet::from([StaffNo(1)]), departments: BTreeSet::from([7]) },
            created_s: 0,
        }
    }

    fn add(rules: &mut Intercept, rule: Rule) -> i64 {
        rules.add(rule).map_or_else(|refusal| refusal.errcode, |_| 0)
    }

    #[test]
    fn every_limit_has_its_code() {
        let mut rules = Intercept::default();
        let words = |count: usize| Rule { words: vec!["w".to_owned(); count], ..rule("n", &[]) };
        let named = |name: &str| rule(name, &["w"]);
        let range = |count: u32| {
            let range = Range { users: (0..count).map(StaffNo).collect(), departments: BTreeSet::new() };
            Rule { range, ..named("n") }
        };
        let semantic = |kind: u8| Rule { semantics: BTreeSet::from([kind]), ..named("n") };
        for (rule, code) in [
            (named(""), 41_077),
            (named(&"字".repeat(21)), 41_077),
            (words(0), 41_068),
            (words(301), 41_068),
            (rule("n", &[""]), 41_083),
            (rule("n", &[&"字".repeat(33)]), 41_083),
            (semantic(0), 41_084),
            (semantic(4), 41_084),
            (range(0), 41_076),
            (range(1_001), 41_076),
            (named(&"字".repeat(20)), 0),
            (named(&"字".repeat(20)), 41_077),
            (Rule { name: "full".to_owned(), ..words(300) }, 0),
            (Rule { name: "wide".to_owned(), ..range(1_000) }, 0),
            (Rule { name: "long".to_owned(), ..rule("n", &[&"字".repeat(32)]) }, 0),
        ] {
            assert_eq!(add(&mut rules, rule.clone()), code, "{}", rule.name);
        }
        for n in 4..100 {
            assert_eq!(add(&mut rules, named(&format!("r{n}"))), 0, "{n}");
        }
        assert_eq!(add(&mut rules, named("too many")), 41_069);
    }

    #[test]
    fn deleted_rules_are_told_from_unknown_ones() {
        let mut rules = Intercept::default();
        let id = rules.add(rule("a", &["w"])).expect("a rule");
        rules.delete(id).expect("deleted");
        let code = |rules: &Intercept, id| rules.get(id).map_or_else(|refusal| refusal.errcode, |_| 0);
        assert_eq!((code(&rules, id), code(&rules, id + 1)), (41_071, 41_070));
        assert_eq!(rules.update(id, Change::default()).expect_err("gone").errcode, 41_071);
        assert_eq!(rules.delete(id).expect_err("gone").errcode, 41_071);
    }

    #[test]
    fn an_update_adds_to_and_takes_from_the_range_or_changes_nothing() {
        let mut rules = Intercept::default();
        let id = rules.add(rule("a", &["w"])).expect("a rule");
        rules.add(rule("b", &["w"])).expect("another");
        let everyone = rules.get(id).expect("a rule").range.clone();
        let no_one = Change { remove: everyone, words: Some(vec!["x".to_owned()]), ..Change::default() };
        assert_eq!(rules.update(id, no_one).expect_err("nobody left").errcode, 41_076);
        assert_eq!(rules.get(id).expect("a rule").words, ["w"]);
        let taken = Change { name: Some("b".to_owned()), ..Change::default() };
        assert_eq!(rules.update(id, taken).expect_err("taken").errcode, 41_077);
        let users = |number| Range { users: BTreeSet::from([StaffNo(number)]), ..Range::default() };
        let name = Some("a".to_owned());
        let change =
            Change { name, blocks: Some(false), add: users(2), remove: users(1), ..Change::default() };
        rules.update(id, change).expect("a change");
        let after = rules.get(id).expect("a rule");
        assert_eq!(after.range.users, BTreeSet::from([StaffNo(2)]));
        assert_eq!((after.blocks, after.words.len()), (false, 1));
    }

    #[test]
    fn members_in_the_range_are_blocked_or_warned_and_others_are_not() {
        let mut rules = Intercept::default();
        rules.add(rule("a", &["返现"])).expect("a rule");
        let semantics = BTreeSet::from([PHONE, EMAIL, RED_PACKET]);
        rules.add(Rule { blocks: false, semantics, ..rule("b", &["加我"]) }).expect("a rule");
        for (staff, departments, text, is_red_packet, verdict) in [
            (1, &[][..], "扫码返现", false, Verdict::Blocked),
            (9, &[7][..], "扫码返现", false, Verdict::Blocked),
            (9, &[8][..], "扫码返现", false, Verdict::Passed),
            (1, &[], "加我", false, Verdict::Warned),
            (1, &[], "加我返现", false, Verdict::Blocked),
            (1, &[], "打13800138000", false, Verdict::Warned),
            (1, &[], "单号138001380001", false, Verdict::Passed),
            (1, &[], "写信到a.b@c.example吧", false, Verdict::Warned),
            (1, &[], "@张三 在吗", false, Verdict::Passed),
            (1, &[], "", true, Verdict::Warned),
            (1, &[], "早上好", false, Verdict::Passed),
        ] {
            assert_eq!(rules.said(StaffNo(staff), departments, text, is_red_packet), verdict, "{text}");
        }
        assert_eq!(rules.said, [4, 4, 3]);
    }
}
