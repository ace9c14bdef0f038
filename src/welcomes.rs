//! New members are greeted, those who come together with one text; so are new contacts of staff, where the platform gives a
//! code to say it with.
//!
//! Of several welcomes the closest to the group speaks ([`Plan`]). Never greeted: programs, staff, members found by comparing
//! rosters, joins reported long after they happened, whoever left a few days ago.

mod burst;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::event::{BrandId, Place, RegionId, ShopId};
use crate::hours::QuietHours;
use crate::outbox::delivery::Content;
use crate::reach::Plan;
use crate::template::{Template, TemplateError};

pub use burst::Burst;

/// One welcome, as operators write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Welcome {
    /// What is said; may hold variables such as `{member.name}` and `{shop.name}`. Of several who came together
    /// `{member.name}` is `A、B 等 37 位`, and `{member.count}` how many they are.
    pub text: String,
    /// Other texts, each for a share of the greetings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
    /// What goes with it: links, mini program cards, files by their addresses, in order; with variables too. What a
    /// group's platform does not show (`content_types` of its account, for contacts `welcome_content_types`) is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Content>,
    /// Who is greeted.
    #[serde(default)]
    pub on: Occasion,
    /// In groups of these brands. Brands, regions and shops add up; all empty for everywhere. Of a contact the place is
    /// that of the shop which the staff member runs.
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
    /// Only in groups with one of these tags; empty for all. A contact is in no group, so there are none for contacts.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// Hours in which nobody is greeted, like `22:00-08:00`, in the group's own time zone; who came meanwhile is greeted
    /// together afterwards. Empty for none. A contact's code does not wait.
    #[serde(default)]
    #[schema(value_type = String, example = "22:00-08:00")]
    pub quiet: QuietHours,
    /// Switched off without being deleted.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// Another text of a welcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Names it in what is sent: `welcome#name`.
    pub name: String,
    /// What is said.
    pub text: String,
    /// Its share of the greetings, in percent.
    pub percent: u8,
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
    /// Texts of one welcome.
    pub variants_max: usize,
    /// Attachments of one welcome.
    pub attachments_max: usize,
    /// Longest text, or attachment, in bytes.
    pub text_bytes_max: usize,
    /// A join that became known later than this is not greeted.
    #[serde(with = "crate::units::duration")]
    pub join_age_max: Duration,
    /// A welcome that could not be sent within this time is not sent.
    #[serde(with = "crate::units::duration")]
    pub expiry: Duration,
    /// Who joins within this time after another is greeted with them; 0 for at once.
    #[serde(with = "crate::units::duration")]
    pub burst_window: Duration,
    /// So many are greeted without waiting for more.
    pub burst_max: u32,
    /// Shortest time between two greetings in a group.
    #[serde(with = "crate::units::duration")]
    pub burst_gap: Duration,
    /// Names that one greeting spells out.
    pub names_max: usize,
    /// Who left and comes again within so many days is not greeted; 0 for everybody is.
    pub rejoin_days: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            welcomes_max: 1_000,
            variants_max: 10,
            attachments_max: 9,
            text_bytes_max: 4_000,
            join_age_max: Duration::from_mins(10),
            expiry: Duration::from_mins(10),
            burst_window: Duration::from_secs(3),
            burst_max: 100,
            burst_gap: Duration::from_mins(1),
            names_max: 3,
            rejoin_days: 7,
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
    /// A variant's name.
    #[error("variants[{0}].name: give each a name of its own, 1 to 32 of A-Z a-z 0-9 - _")]
    VariantName(usize),
    /// Something that does not go with a greeting.
    #[error(
        "attachments[{0}].type: a greeting takes `link`, `miniprogram` and `reference`; files go by their address \
         (附件只能是链接、小程序或按地址引用的文件)"
    )]
    Attachment(usize),
    /// A text's variables.
    #[error("{field}: {error}")]
    Text {
        /// Which text.
        field: String,
        /// What is wrong with it.
        error: TemplateError,
    },
}

impl Welcome {
    /// Checks a welcome as it comes from outside; returns its texts, its own first.
    ///
    /// # Errors
    /// Names what is wrong with it.
    pub fn check(&self, config: &Config) -> Result<Vec<Template>, WelcomeError> {
        many("texts", 1 + self.variants.len(), config.variants_max)?;
        let shares = self.variants.iter().map(|variant| usize::from(variant.percent)).sum();
        many("percent of all variants", shares, 100)?;
        if self.on == Occasion::ContactAdded && !self.tags.is_empty() {
            return Err(WelcomeError::Tags);
        }
        for (i, variant) in self.variants.iter().enumerate() {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let is_known = self.variants[..i].iter().any(|other| other.name == variant.name);
            let name = &variant.name;
            if name.is_empty() || name.len() > 32 || !name.chars().all(is_plain) || is_known {
                return Err(WelcomeError::VariantName(i));
            }
        }
        self.check_attachments(config)?;
        let others = self.variants.iter().enumerate();
        let others = others.map(|(i, variant)| (format!("variants[{i}].text"), &variant.text));
        let all = std::iter::once(("text".to_owned(), &self.text)).chain(others);
        all.map(|(field, text)| {
            many("bytes of text", text.len(), config.text_bytes_max)?;
            Template::parse(text).map_err(|error| WelcomeError::Text { field, error })
        })
        .collect()
    }

    fn check_attachments(&self, config: &Config) -> Result<(), WelcomeError> {
        many("attachments", self.attachments.len(), config.attachments_max)?;
        for (i, content) in self.attachments.iter().enumerate() {
            let (Content::Link { .. } | Content::Miniprogram { .. } | Content::Reference { .. }) = content
            else {
                return Err(WelcomeError::Attachment(i));
            };
            let mut bytes = 0;
            content.map_texts(&mut |place, text| {
                bytes += text.len();
                let field = format!("attachments[{i}]{}", place.replace('/', "."));
                Template::parse(text).map_err(|error| WelcomeError::Text { field, error })?;
                Ok(String::new())
            })?;
            many("bytes of an attachment", bytes, config.text_bytes_max)?;
        }
        Ok(())
    }

    /// Returns what is said in groups; nothing when it is for contacts.
    pub fn in_groups(&self) -> Vec<String> {
        if self.on == Occasion::MemberJoined { self.texts() } else { Vec::new() }
    }

    /// Returns everything that is said.
    pub fn texts(&self) -> Vec<String> {
        let texts = std::iter::once(&self.text).chain(self.variants.iter().map(|variant| &variant.text));
        let mut texts: Vec<String> = texts.cloned().collect();
        for content in &self.attachments {
            let Ok(_) = content.map_texts(&mut |_, text| {
                texts.push(text.to_owned());
                Ok::<_, Infallible>(String::new())
            });
        }
        texts
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
}

fn many(what: &'static str, count: usize, max: usize) -> Result<(), WelcomeError> {
    if count > max { Err(WelcomeError::Many { what, count, max }) } else { Ok(()) }
}

/// All welcomes, compiled, by id.
#[derive(Debug, Default)]
pub struct Welcomes(Vec<Compiled>);

/// One compiled welcome.
#[derive(Debug)]
pub struct Compiled {
    /// Its id.
    pub id: Box<str>,
    /// When nobody is greeted.
    quiet: QuietHours,
    /// What goes with it.
    pub attachments: Vec<Content>,
    /// What is said, under which name, up to which percentile; the last for all the rest.
    texts: Vec<(Box<str>, Template, u8)>,
    on: Occasion,
    plan: Plan,
}

impl Compiled {
    /// Returns a text and the name it is sent under, by a number that nobody can choose.
    pub fn text(&self, chance: u16) -> (&str, &Template) {
        let percentile = u8::try_from(chance % 100).unwrap_or_default();
        let chosen = self.texts.iter().find(|(.., until)| percentile < *until);
        let (name, text, _) = chosen.unwrap_or(&self.texts[self.texts.len() - 1]);
        (name, text)
    }

    /// Returns when the quiet hours around a moment end, in milliseconds since the epoch; `None` outside of them.
    pub fn quiet_until(&self, zone: &TimeZone, now_ms: i64) -> Option<i64> {
        let now = Timestamp::from_millisecond(now_ms).ok()?.to_zoned(zone.clone());
        let end = self.quiet.end_after(now.datetime())?;
        Some(end.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond())
    }
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
            let mut parsed = welcome.check(config).map_err(|e| (id.clone(), e))?;
            let own = parsed.remove(0);
            let mut until = 0;
            let mut texts: Vec<_> = welcome
                .variants
                .iter()
                .zip(parsed)
                .map(|(variant, text)| {
                    until += variant.percent;
                    (format!("{id}#{}", variant.name).into(), text, until)
                })
                .collect();
            texts.push((id.as_str().into(), own, 100));
            let (quiet, on, plan) = (welcome.quiet, welcome.on, welcome.plan());
            let (id, attachments) = (id.as_str().into(), welcome.attachments.clone());
            compiled.push(Compiled { id, quiet, attachments, texts, on, plan });
        }
        compiled.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Self(compiled))
    }

    /// Says whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the one welcome of a group.
    pub fn of(&self, place: &Place, tags: &[String]) -> Option<&Compiled> {
        self.closest(Occasion::MemberJoined, place, tags)
    }

    /// Returns the one welcome of new contacts of whoever runs a shop.
    pub fn of_contact(&self, place: &Place) -> Option<&Compiled> {
        self.closest(Occasion::ContactAdded, place, &[])
    }

    fn closest(&self, on: Occasion, place: &Place, tags: &[String]) -> Option<&Compiled> {
        let mut best = None;
        for welcome in self.0.iter().filter(|welcome| welcome.on == on) {
            if let Some(fit) = welcome.plan.fit(place, tags)
                && best.is_none_or(|(closest, _)| fit > closest)
            {
                best = Some((fit, welcome));
            }
        }
        best.map(|(_, welcome)| welcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(json: &str) -> Welcome {
        serde_json::from_str(json).unwrap()
    }

    fn compiled(all: &[(&str, &str)]) -> Welcomes {
        let all: Vec<_> = all.iter().map(|(id, json)| ((*id).to_owned(), written(json))).collect();
        Welcomes::compile(&all, &Config::default()).unwrap()
    }

    #[test]
    fn the_closest_welcome_speaks() {
        let welcomes = compiled(&[
            ("a", r#"{"text": "欢迎"}"#),
            ("b", r#"{"text": "欢迎贵宾", "tags": ["vip"]}"#),
            ("c", r#"{"text": "关", "tags": ["vip"], "enabled": false}"#),
            ("d", r#"{"text": "华东欢迎您", "regions": ["east"]}"#),
        ]);
        let of = |path: &str, tags: &[&str]| {
            let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
            welcomes.of(&Place::of_path(path), &tags).map(|w| w.id.to_string())
        };
        assert_eq!(of("//", &[]).as_deref(), Some("a"));
        assert_eq!(of("//", &["vip", "new"]).as_deref(), Some("b"));
        assert_eq!(of("tea/east/s-1", &["vip"]).as_deref(), Some("d"));
    }

    #[test]
    fn a_contact_has_a_welcome_of_its_own_and_no_tags() {
        let contact = r#"{"text": "您好 {staff.id}", "on": "contact_added"}"#;
        let welcomes = compiled(&[("a", contact), ("b", r#"{"text": "欢迎"}"#)]);
        assert_eq!(welcomes.of(&Place::default(), &[]).map(|w| &*w.id), Some("b"));
        assert_eq!(welcomes.of_contact(&Place::default()).map(|w| &*w.id), Some("a"));
        let tagged = Welcome { tags: BTreeSet::from(["vip".to_owned()]), ..written(contact) };
        assert_eq!(tagged.check(&Config::default()), Err(WelcomeError::Tags));
    }

    #[test]
    fn variants_have_their_shares() {
        let welcomes = compiled(&[(
            "a",
            r#"{"text": "甲", "variants": [{"name": "b", "text": "乙", "percent": 30}, {"name": "c", "text": "丙", "percent": 20}]}"#,
        )]);
        let welcome = welcomes.of(&Place::default(), &[]).unwrap();
        let names: Vec<&str> = (0..100).map(|chance| welcome.text(chance).0).collect();
        let of = |name: &str| names.iter().filter(|other| **other == name).count();
        assert_eq!((of("a"), of("a#b"), of("a#c")), (50, 30, 20));
        for (variants, expect) in [
            (
                r#"[{"name": "b", "text": "x", "percent": 60}, {"name": "c", "text": "x", "percent": 60}]"#,
                "percent",
            ),
            (
                r#"[{"name": "b", "text": "x", "percent": 1}, {"name": "b", "text": "x", "percent": 1}]"#,
                "variants[1].name",
            ),
            (r#"[{"name": "b", "text": "{", "percent": 1}]"#, "variants[0].text: character 1"),
        ] {
            let welcome = written(&format!(r#"{{"text": "甲", "variants": {variants}}}"#));
            let error = welcome.check(&Config::default()).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        }
    }

    #[test]
    fn attachments_are_checked_by_name() {
        for (attachment, expect) in [
            (r#"{"type": "text", "text": "x"}"#, "attachments[1].type"),
            (r#"{"type": "image", "media": {"name": "a.png", "base64": ""}}"#, "attachments[1].type"),
            (r#"{"type": "link", "link": {"title": "{", "url": "u"}}"#, "attachments[1].title: character 1"),
        ] {
            let good = r#"{"type": "link", "link": {"title": "{shop.name}", "url": "https://a.example"}}"#;
            let welcome = written(&format!(r#"{{"text": "甲", "attachments": [{good}, {attachment}]}}"#));
            let error = welcome.check(&Config::default()).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        }
        let welcome = written(
            r#"{"text": "甲", "attachments": [{"type": "link", "link": {"title": "{a}", "url": "{b}"}}]}"#,
        );
        let none = Config { attachments_max: 0, ..Config::default() };
        assert!(welcome.check(&none).unwrap_err().to_string().contains("attachments: 1, at most 0"));
        let texts = welcome.in_groups();
        assert!(["甲", "{a}", "{b}"].iter().all(|text| texts.iter().any(|known| known == text)), "{texts:?}");
    }

    #[test]
    fn quiet_hours_end_in_the_groups_own_morning() {
        let welcomes = compiled(&[("a", r#"{"text": "早", "quiet": "22:00-08:00"}"#)]);
        let welcome = welcomes.of(&Place::default(), &[]).unwrap();
        let zone = TimeZone::get("Asia/Urumqi").unwrap();
        let ms = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        for (now, until) in [
            ("2026-11-27T23:30:00+06:00", Some("2026-11-28T08:00:00+06:00")),
            ("2026-11-28T07:59:00+06:00", Some("2026-11-28T08:00:00+06:00")),
            ("2026-11-28T08:00:00+06:00", None),
            ("2026-11-28T21:59:00+06:00", None),
        ] {
            assert_eq!(welcome.quiet_until(&zone, ms(now)), until.map(ms), "{now}");
        }
    }
}
