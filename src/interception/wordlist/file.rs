//! The file format of wordlists. UTF-8, one entry a line:
//!
//! ```text
//! # intent: what the list is for, in one line
//! # category: contact high
//! # category: lure medium
//! # masked: true
//! # origin: who wrote it
//! # licence: under which terms
//! # scope: brand=tea region=east,west tag=vip group=demo/g-7
//! # roles: customer,staff
//! # valid: 2026-11-01..2026-12-01
//! # strictness: strict
//! # verdict: review
//! # life: staged share=10 regions=east hits=0..5
//! !企业微信
//! 加微信
//! 加群领<TAB>lure
//! 双十一<TAB>lure<TAB>level=low roles=staff until=2026-11-12
//! ```
//!
//! Lines that open with `#` are the header; each `category` line names a category and its level (`low`, `medium`,
//! `high`; `high` where it is missing), and the first one is the default; `masked: true` shows
//! the terms by their first character only, wherever a hit or a problem is shown. A line with `!` is an allow phrase: a hit
//! that lies within it is cancelled; `！`, which Chinese keyboards type, is the same. Everything else is a term, alone, with a category after a tab (an empty one is the
//! default), and with what differs for it after another: `level`, `verdict`, `roles`, `from`, `until`, `brand`,
//! `region`, `tag`, `group`. Since `!`, `！` and `#` are skipped when matching, no term ever needs to begin with one. Blank
//! lines are ignored; a list without a header is a list of `listed`, level `high`, live, for everyone and always.
//! Shipped files are sorted by bytes; others need not be.
//!
//! Times are RFC 3339, or a day for its midnight in China; what is valid until a time is not valid at it.
//! Other words than these before a colon are comments; one that is a letter away from them is taken for a slip.

use std::collections::BTreeSet;

use super::{AllowPhrase, Origin, ParseError, Term, WordlistSource, is_name};
use crate::event::{BrandId, GroupName, Level, RegionId, Verdict};
use crate::interception::audience::{ListScope, MOMENT_FORM, Roles, Speaker, read_moment};
use crate::interception::life::{Life, Stage};
use crate::interception::policy::Strictness;

/// Words of the header that mean something.
const KEYS: [&str; 8] = ["category", "masked", "scope", "roles", "valid", "strictness", "verdict", "life"];

impl WordlistSource {
    /// Reads the file format described at the top of `wordlist/file.rs`.
    ///
    /// # Errors
    /// At the first line that can be read in no way.
    pub fn parse(name: impl Into<String>, origin: Origin, text: &str) -> Result<Self, ParseError> {
        let mut list = Self::new(name, origin);
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        for (line, content) in (1..).zip(text.lines()) {
            list.read_line(line, content.trim_end()).map_err(|reason| ParseError { line, reason })?;
        }
        Ok(list)
    }

    fn read_line(&mut self, line: u32, content: &str) -> Result<(), String> {
        if content.is_empty() {
            return Ok(());
        }
        if let Some(header) = content.strip_prefix('#') {
            return self.read_header(header);
        }
        if let Some(phrase) = content.strip_prefix(['!', '！']) {
            self.allow.push(AllowPhrase { text: phrase.trim().to_owned(), line });
            return Ok(());
        }
        let mut columns = content.split('\t');
        let text = columns.next().unwrap_or_default().trim();
        let category = columns.next().map(|c| c.trim().to_owned());
        let settings: Vec<&str> = columns.flat_map(str::split_whitespace).collect();
        if text.is_empty() {
            return Err("no term before the tab".to_owned());
        }
        let category = category.filter(|category| !category.is_empty() || settings.is_empty());
        if category.as_deref().is_some_and(|c| !is_name(c)) {
            return Err("a category is 1 to 64 bytes without white space".to_owned());
        }
        let mut term = Term { text: text.to_owned(), category, line, ..Term::default() };
        for setting in settings {
            term.read_setting(setting)?;
        }
        self.terms.push(term);
        Ok(())
    }

    fn read_header(&mut self, header: &str) -> Result<(), String> {
        let Some((key, value)) = header.split_once(':') else { return Ok(()) };
        let (key, value) = (key.trim(), value.trim());
        match key {
            "category" => return self.read_category(value),
            "masked" => {
                self.masked = value.parse().map_err(|_| "`# masked:` is `true` or `false`")?;
            }
            "scope" => {
                for setting in value.split_whitespace() {
                    let (key, value) = pair(setting)?;
                    if !widen(&mut self.scope, key, value)? {
                        return Err(format!("`{key}` in `# scope:`: write brand=, region=, tag= or group="));
                    }
                }
            }
            "roles" => self.roles = roles(value)?,
            "valid" => {
                let (from, until) = value
                    .split_once("..")
                    .ok_or_else(|| format!("`# valid: {value}`: write `from..until`; {MOMENT_FORM}"))?;
                self.valid_from = if from.is_empty() { None } else { Some(moment(from)?) };
                self.valid_until = if until.is_empty() { None } else { Some(moment(until)?) };
            }
            "strictness" => self.strictness = Some(strictness(value)?),
            "verdict" => self.verdict = Some(verdict(value)?),
            "life" => self.life = life(value)?,
            _ => {
                let slip = KEYS.iter().find(|known| strsim::osa_distance(known, key) == 1);
                if let Some(meant) = slip {
                    return Err(format!("`# {key}:` is no word of the header; is it `# {meant}:`?"));
                }
            }
        }
        Ok(())
    }

    fn read_category(&mut self, value: &str) -> Result<(), String> {
        let mut words = value.split_whitespace();
        let category = words.next().filter(|c| is_name(c)).ok_or("`# category:` names no category")?;
        let given = words.next().map_or(Ok(Level::High), level)?;
        if self.categories.is_empty() {
            category.clone_into(&mut self.category);
        }
        self.categories.insert(category.to_owned(), given);
        Ok(())
    }
}

impl Term {
    fn read_setting(&mut self, setting: &str) -> Result<(), String> {
        let (key, value) = pair(setting)?;
        match key {
            "level" => self.level = Some(level(value)?),
            "verdict" => self.verdict = Some(verdict(value)?),
            "roles" => self.roles = roles(value)?,
            "from" => self.valid_from = Some(moment(value)?),
            "until" => self.valid_until = Some(moment(value)?),
            _ if widen(&mut self.scope, key, value)? => {}
            _ => {
                return Err(format!(
                    "`{key}` is not known: a term has level=, verdict=, roles=, from=, until=, brand=, region=, tag=, \
                     group="
                ));
            }
        }
        Ok(())
    }
}

fn pair(setting: &str) -> Result<(&str, &str), String> {
    let pair = setting.split_once('=').filter(|(key, value)| !key.is_empty() && !value.is_empty());
    pair.ok_or_else(|| format!("`{setting}`: write `key=value`, without spaces in it"))
}

/// Adds to one list of a scope; false when there is no such list.
fn widen(scope: &mut ListScope, key: &str, value: &str) -> Result<bool, String> {
    let wrong = |name: &str, why: &dyn std::fmt::Display| format!("`{key}={name}`: {why}");
    for name in value.split(',') {
        match key {
            "brand" => scope.brands.insert(BrandId::parse(name).map_err(|error| wrong(name, &error))?),
            "region" => scope.regions.insert(RegionId::parse(name).map_err(|error| wrong(name, &error))?),
            "tag" if is_name(name) => scope.tags.insert(name.to_owned()),
            "tag" => return Err(wrong(name, &"a tag is 1 to 64 bytes without white space")),
            "group" => {
                let group = GroupName::parse(name);
                scope.groups.insert(group.ok_or_else(|| wrong(name, &"write a group as `account/group`"))?)
            }
            _ => return Ok(false),
        };
    }
    Ok(true)
}

fn roles(value: &str) -> Result<Roles, String> {
    let role = |name: &str| match name {
        "customer" => Ok(Speaker::Customer),
        "staff" => Ok(Speaker::Staff),
        "own" => Ok(Speaker::Own),
        _ => Err(format!("`{name}`: a role is `customer`, `staff` or `own`")),
    };
    value.split(',').map(|name| role(name.trim())).collect()
}

fn level(value: &str) -> Result<Level, String> {
    match value {
        "low" => Ok(Level::Low),
        "medium" => Ok(Level::Medium),
        "high" => Ok(Level::High),
        _ => Err(format!("`{value}`: a level is `low`, `medium` or `high`")),
    }
}

fn verdict(value: &str) -> Result<Verdict, String> {
    match value {
        "pass" => Ok(Verdict::Pass),
        "mask" => Ok(Verdict::Mask),
        "review" => Ok(Verdict::Review),
        "block" => Ok(Verdict::Block),
        _ => Err(format!("`{value}`: a verdict is `pass`, `mask`, `review` or `block`")),
    }
}

fn strictness(value: &str) -> Result<Strictness, String> {
    match value {
        "relaxed" => Ok(Strictness::Relaxed),
        "standard" => Ok(Strictness::Standard),
        "strict" => Ok(Strictness::Strict),
        _ => Err(format!("`{value}`: a strictness is `relaxed`, `standard` or `strict`")),
    }
}

fn moment(value: &str) -> Result<i64, String> {
    read_moment(value).ok_or_else(|| format!("`{value}` is no time: {MOMENT_FORM}"))
}

fn life(value: &str) -> Result<Life, String> {
    let mut words = value.split_whitespace();
    let life = match words.next() {
        Some("draft") => Life::Draft,
        Some("shadow") => Life::Shadow,
        Some("live") => Life::Live,
        Some("staged") => return staged(words),
        Some(_) | None => {
            return Err(format!("`# life: {value}`: a life is `draft`, `shadow`, `staged …` or `live`"));
        }
    };
    match words.next() {
        Some(extra) => Err(format!("`# life: {value}`: nothing is known of `{extra}`")),
        None => Ok(life),
    }
}

fn staged<'v>(words: impl Iterator<Item = &'v str>) -> Result<Life, String> {
    let mut stage = Stage { hits_per_10k_max: u32::MAX, ..Stage::default() };
    for word in words {
        let (key, value) = pair(word)?;
        let number = |text: &str| text.parse().map_err(|_| format!("`{word}`: `{text}` is no whole number"));
        match key {
            "share" => {
                stage.share_percent =
                    value.parse().map_err(|_| format!("`{word}`: a share is 0 to 100, in percent"))?;
            }
            "regions" => {
                let regions: Result<BTreeSet<_>, _> = value.split(',').map(RegionId::parse).collect();
                stage.regions = regions.map_err(|error| format!("`{word}`: a region {error}"))?;
            }
            "hits" => {
                let (min, max) = value
                    .split_once("..")
                    .ok_or_else(|| format!("`{word}`: write hits=min..max, in 10,000 messages"))?;
                (stage.hits_per_10k_min, stage.hits_per_10k_max) = (number(min)?, number(max)?);
            }
            _ => return Err(format!("`{word}` is not known: a stage has share=, regions=, hits=min..max")),
        }
    }
    if stage.hits_per_10k_max == u32::MAX {
        return Err(
            "`# life: staged` needs hits=min..max: how many hits in 10,000 messages are as expected".into()
        );
    }
    let life = Life::Staged(stage);
    life.check()?;
    Ok(life)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> WordlistSource {
        WordlistSource::parse("t", Origin::File, text).unwrap()
    }

    #[test]
    fn a_file_gives_terms_categories_and_allow_phrases() {
        let list = parse(
            "\u{FEFF}# intent: a test\n# category: contact high\r\n# category: lure low\n!企业微信\n\n加微信\n加群领\tlure\n",
        );
        assert_eq!(list.category, "contact");
        assert_eq!(list.level_of("lure"), Level::Low);
        assert_eq!(list.level_of("other"), Level::High);
        assert_eq!(list.allow, [AllowPhrase { text: "企业微信".into(), line: 4 }]);
        let terms: Vec<_> =
            list.terms.iter().map(|t| (t.text.as_str(), t.category.as_deref(), t.line)).collect();
        assert_eq!(terms, [("加微信", None, 6), ("加群领", Some("lure"), 7)]);
    }

    #[test]
    fn an_allow_phrase_may_open_with_either_exclamation_mark() {
        let list = parse("!企业微信\n！路口交通\n！ 十字路口交警\n加微信！\n");
        let phrases: Vec<_> = list.allow.iter().map(|phrase| (phrase.text.as_str(), phrase.line)).collect();
        assert_eq!(phrases, [("企业微信", 1), ("路口交通", 2), ("十字路口交警", 3)]);
        let terms: Vec<_> = list.terms.iter().map(|term| term.text.as_str()).collect();
        assert_eq!(terms, ["加微信！"], "marks elsewhere are part of a term and skipped as any other");
    }

    #[test]
    fn a_header_says_for_whom_when_and_how() {
        let list = parse(
            "# scope: region=east,west tag=vip\n# scope: group=demo/g-7\n# roles: staff, own\n# valid: 2026-11-01..\n\
             # strictness: strict\n# verdict: review\n# life: staged share=10 regions=east hits=0..5\n加微信",
        );
        let json = serde_json::to_value(&list).unwrap();
        assert_eq!(
            json["scope"],
            serde_json::json!({"regions": ["east", "west"], "tags": ["vip"], "groups": ["demo/g-7"]})
        );
        assert_eq!(json["roles"], serde_json::json!(["staff", "own"]));
        assert_eq!(json["valid_from"], "2026-10-31T16:00:00Z");
        assert_eq!((list.valid_until, list.strictness), (None, Some(Strictness::Strict)));
        assert_eq!(list.verdict, Some(Verdict::Review));
        assert_eq!(
            json["life"],
            serde_json::json!({"staged": {"share_percent": 10, "regions": ["east"], "hits_per_10k_min": 0, "hits_per_10k_max": 5}})
        );
        assert_eq!(serde_json::from_value::<WordlistSource>(json).unwrap(), list);
        assert_eq!(parse("# life: shadow\nx").life, Life::Shadow);
        assert_eq!(parse("# valid: ..2026-12-01\nx").valid_until, read_moment("2026-12-01"));
    }

    #[test]
    fn a_third_column_says_what_differs_for_a_term() {
        let list = parse(
            "# category: a high\n双十一\tlure\tlevel=low roles=staff until=2026-11-12\n特价\t\tverdict=pass tag=vip\tregion=east\n",
        );
        let [first, second] = &list.terms[..] else { panic!("{:?}", list.terms) };
        assert_eq!((first.level, first.category.as_deref()), (Some(Level::Low), Some("lure")));
        assert_eq!(first.valid_until, read_moment("2026-11-12"));
        assert!(first.roles.covers(Speaker::Staff) && !first.roles.covers(Speaker::Customer));
        assert_eq!((second.verdict, second.category.as_deref()), (Some(Verdict::Pass), None));
        assert!(second.scope.tags.contains("vip") && second.scope.regions.contains("east"));
        let json = serde_json::to_string(&list).unwrap();
        assert_eq!(serde_json::from_str::<WordlistSource>(&json).unwrap(), list);
    }

    #[test]
    fn an_unreadable_line_is_named() {
        for (text, line, part) in [
            ("a\n\tb", 2, "no term"),
            ("a\tb\tc", 1, "`c`: write `key=value`"),
            ("a\tb\tlevl=high", 1, "`levl` is not known"),
            ("a\tb\tlevel=severe", 1, "`severe`: a level is"),
            ("a\tb\tuntil=soon", 1, "`soon` is no time"),
            ("a\tb\troles=guest", 1, "`guest`: a role is"),
            ("a\tb\tgroup=g-7", 1, "`group=g-7`: write a group as"),
            ("# category: x severe", 1, "a level is"),
            ("# category:", 1, "names no category"),
            ("a\n# masked: yes", 2, "`true` or `false`"),
            ("x\n# scope: shop=s-1", 2, "`shop` in `# scope:`"),
            ("# roles: everyone", 1, "a role is"),
            ("# valid: 2026-11-01", 1, "write `from..until`"),
            ("# life: gone", 1, "a life is"),
            ("# life: shadow share=3", 1, "nothing is known of `share=3`"),
            ("# life: staged share=10", 1, "needs hits=min..max"),
            ("# life: staged hits=0..5", 1, "needs `share_percent` or `regions`"),
            ("# life: staged share=300 hits=0..5", 1, "0 to 100"),
            ("# strictness: very", 1, "a strictness is"),
            ("# role: staff", 1, "is it `# roles:`?"),
            ("a\tb c", 1, "white space"),
            ("a\t", 1, ""),
        ] {
            let Err(error) = WordlistSource::parse("t", Origin::File, text) else {
                assert_eq!(text, "a\t", "was read");
                continue;
            };
            assert_eq!(error.line, line, "{text}");
            assert!(error.reason.contains(part), "{text}: {error}");
        }
    }
}
