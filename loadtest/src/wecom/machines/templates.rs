//! Group welcome templates, and owners who switch one on for their groups: late, or never.
//!
//! A call can only put a template into the library. When an owner has been told of it (`notify`) they may apply it to all
//! their groups after a time that follows from the seed; nothing of that is stored, see [`super::owners`].

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::content::{at_most, check_part};
use super::media::Media;
use super::owners::{Habit, Owners};
use crate::wecom::errcode;
use crate::wecom::groups::GroupNo;
use crate::wecom::people::StaffNo;
use crate::wecom::request::Refusal;

/// Templates of a corp.
pub const TEMPLATES_MAX: usize = 100;
/// What newcomers saw, kept for questions.
pub const SEEN_MAX: usize = 100_000;
/// Groups with a choice made by hand.
pub const CHOICES_MAX: usize = 100_000;
/// Bytes of a template's text.
pub const TEXT_BYTES_MAX: usize = 3_000;
const PLACEHOLDER: &str = "%NICKNAME%";
/// What may stand beside a text, one of them.
const PARTS: [&str; 5] = ["image", "link", "miniprogram", "file", "video"];

/// What a template says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Welcome {
    /// The text, with its placeholders; empty when there is none.
    pub text: String,
    /// The name of the other part and the part.
    pub other: Option<(String, Value)>,
}

impl Welcome {
    /// Reads and checks the parts of a call's body.
    ///
    /// # Errors
    /// 44004 for no part, 40058 for two beside the text, 45002 for what is too long, 41065, 41006, 40007 for a bad one.
    pub(crate) fn check(body: &Value, media: &Media, now_ms: u64) -> Result<Self, Refusal> {
        let text = body["text"]["content"].as_str().unwrap_or_default();
        at_most(text, TEXT_BYTES_MAX, "text.content")?;
        let mut others = PARTS.iter().filter(|part| body[**part].is_object());
        let other = others.next().map(|part| ((*part).to_owned(), body[*part].clone()));
        if others.next().is_some() {
            return Err(Refusal::new(errcode::BAD_PARAMETER, "text and at most one other part"));
        }
        if let Some((kind, part)) = &other {
            check_part(kind, part, media, now_ms)?;
        } else if text.is_empty() {
            return Err(Refusal::code(errcode::EMPTY_CONTENT));
        }
        Ok(Self { text: text.to_owned(), other })
    }

    /// The parts as `get` shows them.
    pub(crate) fn parts(&self) -> Map<String, Value> {
        let mut parts = Map::new();
        if !self.text.is_empty() {
            parts.insert("text".to_owned(), serde_json::json!({ "content": self.text }));
        }
        parts.extend(self.other.clone());
        parts
    }

    /// What someone of a name sees: one message, or two when there are text and another part.
    pub fn messages(&self, name: &str) -> Vec<String> {
        let text = (!self.text.is_empty()).then(|| self.text.replace(PLACEHOLDER, name));
        text.into_iter().chain(self.other.as_ref().map(|(_, part)| part.to_string())).collect()
    }
}

/// One template.
#[derive(Debug, Clone)]
pub struct Template {
    /// The app that made it; no other may change it.
    pub app: usize,
    /// What it says.
    pub welcome: Welcome,
    /// When owners were told of it; never, when they were not.
    pub notified_ms: Option<u64>,
}

/// What one newcomer of a group saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// The group's id.
    pub chat_id: String,
    /// The newcomer's external userid.
    pub member: String,
    /// When they came, in milliseconds since 1970.
    pub at_ms: u64,
    /// The template; none: nothing was said.
    pub template_id: Option<String>,
    /// How many messages.
    pub messages: usize,
}

/// The library, and which group uses what of it.
#[derive(Debug, Default)]
pub struct Templates {
    library: BTreeMap<String, Template>,
    /// Choices made by hand: when, and which template or none.
    chosen: HashMap<GroupNo, (u64, Option<String>)>,
    greetings: VecDeque<Greeting>,
    /// Newcomers who were greeted, and who were not.
    pub greeted: [u64; 2],
}

impl Templates {
    /// Puts a template into the library.
    ///
    /// # Errors
    /// 41055 when there are a hundred.
    pub(crate) fn add(&mut self, id: String, template: Template) -> Result<(), Refusal> {
        if self.library.len() >= TEMPLATES_MAX {
            return Err(Refusal::code(errcode::TEMPLATE_QUOTA));
        }
        self.library.insert(id, template);
        Ok(())
    }

    /// A template, for anybody.
    ///
    /// # Errors
    /// 40058 for an unknown id.
    pub fn get(&self, id: &str) -> Result<&Template, Refusal> {
        self.library.get(id).ok_or_else(|| Refusal::new(errcode::BAD_PARAMETER, "invalid template_id"))
    }

    fn own(&self, id: &str, app: usize) -> Result<(), Refusal> {
        Refusal::unless(self.get(id)?.app == app, errcode::NOT_CREATOR)
    }

    /// Replaces what a template says.
    ///
    /// # Errors
    /// 40058 for an unknown id, 41058 for another app's.
    pub(crate) fn edit(&mut self, id: &str, app: usize, welcome: Welcome) -> Result<(), Refusal> {
        self.own(id, app)?;
        if let Some(template) = self.library.get_mut(id) {
            template.welcome = welcome;
        }
        Ok(())
    }

    /// Deletes a template; groups that used it greet nobody.
    ///
    /// # Errors
    /// As [`Self::edit`].
    pub(crate) fn delete(&mut self, id: &str, app: usize) -> Result<(), Refusal> {
        self.own(id, app)?;
        self.library.remove(id);
        Ok(())
    }

    /// All of them with their ids.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Template)> {
        self.library.iter().map(|(id, template)| (id.as_str(), template))
    }

    /// An owner picks a template for a group, or none, by hand. Past [`CHOICES_MAX`] groups nothing changes.
    pub fn choose(&mut self, group: GroupNo, template_id: Option<&str>, now_ms: u64) {
        if self.chosen.len() < CHOICES_MAX || self.chosen.contains_key(&group) {
            self.chosen.insert(group, (now_ms, template_id.map(str::to_owned)));
        }
    }

    /// The template that a group of an owner uses at a moment: the one applied last.
    pub fn in_use(&self, group: GroupNo, owner: StaffNo, owners: &Owners<'_>, now_ms: u64) -> Option<&str> {
        let by_hand = self.chosen.get(&group).map(|(at_ms, id)| (*at_ms, id.as_deref()));
        let told = self.library.iter().filter_map(|(id, template)| {
            let wait_ms = owners.wait_ms(owner, Habit::Template, id)?;
            Some((template.notified_ms? + wait_ms, Some(id.as_str())))
        });
        let applied = told.chain(by_hand).filter(|(at_ms, _)| *at_ms <= now_ms);
        let (_, id) = applied.max_by_key(|(at_ms, _)| *at_ms)?;
        id.filter(|id| self.library.contains_key(*id))
    }

    /// Writes down what a newcomer saw.
    pub(crate) fn greeted(&mut self, greeting: Greeting) {
        self.greeted[usize::from(greeting.template_id.is_none())] += 1;
        if self.greetings.len() >= SEEN_MAX {
            self.greetings.pop_front();
        }
        self.greetings.push_back(greeting);
    }

    /// What newcomers of a group saw, oldest first; all groups' when none is named.
    pub fn greetings(&self, chat_id: Option<&str>) -> impl Iterator<Item = &Greeting> {
        self.greetings.iter().filter(move |greeting| chat_id.is_none_or(|id| greeting.chat_id == id))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::owners::{OwnerConfig, Temper};
    use super::*;

    const T: u64 = 1_767_225_600_000;

    fn check(body: &Value) -> i64 {
        Welcome::check(body, &Media::default(), 0).map_or_else(|refusal| refusal.errcode, |_| 0)
    }

    fn template(app: usize, notified_ms: Option<u64>) -> Template {
        let welcome = Welcome { text: "hi %NICKNAME%".to_owned(), other: None };
        Template { app, welcome, notified_ms }
    }

    #[test]
    fn a_template_is_a_text_and_at_most_one_other_part() {
        let link = json!({"title":"t","url":"u"});
        for (body, code) in [
            (json!({}), 44_004),
            (json!({"text":{"content":"hi"}}), 0),
            (json!({"text":{"content":"x".repeat(3_001)}}), 45_002),
            (json!({"link":link}), 0),
            (json!({"text":{"content":"hi"},"link":link}), 0),
            (json!({"text":{"content":"hi"},"link":link,"image":{"pic_url":"u"}}), 40_058),
            (json!({"link":{"title":"t".repeat(129),"url":"u"}}), 45_002),
            (json!({"link":{"title":"t","url":"u","desc":"d".repeat(513)}}), 45_002),
            (
                json!({"miniprogram":{"title":"t".repeat(65),"pic_media_id":"M","appid":"a","page":"p"}}),
                45_002,
            ),
            (json!({"file":{"media_id":"gone"}}), 40_007),
            (json!({"video":{}}), 41_006),
        ] {
            assert_eq!(check(&body), code, "{body}");
        }
    }

    #[test]
    fn both_parts_are_two_messages_and_every_placeholder_is_filled() {
        let body =
            json!({"text":{"content":"%NICKNAME%, hi %NICKNAME% %nickname%"},"link":{"title":"t","url":"u"}});
        let welcome = Welcome::check(&body, &Media::default(), 0).expect("a template");
        let messages = welcome.messages("李伟");
        assert_eq!((messages.len(), messages[0].as_str()), (2, "李伟, hi 李伟 %nickname%"));
        let parts: Vec<String> = welcome.parts().into_iter().map(|(name, _)| name).collect();
        assert_eq!(parts, ["link", "text"]);
    }

    #[test]
    fn a_hundred_templates_and_only_the_creator_changes_them() {
        let mut templates = Templates::default();
        for n in 0..100 {
            templates.add(format!("msg{n}"), template(0, None)).expect("room");
        }
        assert_eq!(templates.add("more".to_owned(), template(0, None)).expect_err("full").errcode, 41_055);
        let edited = Welcome { text: "new".to_owned(), other: None };
        assert_eq!(templates.edit("msg0", 1, edited.clone()).expect_err("not theirs").errcode, 41_058);
        assert_eq!(templates.delete("msg0", 1).expect_err("not theirs").errcode, 41_058);
        assert_eq!(templates.edit("other", 0, edited.clone()).expect_err("unknown").errcode, 40_058);
        templates.edit("msg0", 0, edited.clone()).expect("edited");
        assert_eq!(templates.get("msg0").expect("there").welcome, edited);
        templates.delete("msg0", 0).expect("deleted");
        assert!(templates.get("msg0").is_err());
        templates.add("again".to_owned(), template(0, None)).expect("room again");
    }

    #[test]
    fn owners_who_were_told_apply_a_template_later_and_the_others_never() {
        let prompt = OwnerConfig { prompt: 1.0, late: 0.0, ..OwnerConfig::default() };
        let tempers = HashMap::from([(StaffNo(1), Temper::Never)]);
        let owners = Owners { config: &prompt, tempers: &tempers, seed: 1 };
        let mut templates = Templates::default();
        templates.add("told".to_owned(), template(0, Some(T))).expect("room");
        templates.add("silent".to_owned(), template(0, None)).expect("room");
        let in_use = |templates: &Templates, owner, now_ms| {
            templates.in_use(GroupNo(0), StaffNo(owner), &owners, now_ms).map(str::to_owned)
        };
        let by_then = T + 2 * prompt.prompt_ms.1;
        assert_eq!(in_use(&templates, 0, T), None);
        assert_eq!(in_use(&templates, 0, by_then).as_deref(), Some("told"));
        assert_eq!(in_use(&templates, 1, by_then), None);
        templates.choose(GroupNo(0), Some("silent"), by_then + 1);
        assert_eq!(in_use(&templates, 0, by_then + 1).as_deref(), Some("silent"));
        templates.choose(GroupNo(0), None, by_then + 2);
        assert_eq!(in_use(&templates, 0, by_then + 2), None);
        templates.choose(GroupNo(0), Some("silent"), by_then + 3);
        templates.delete("silent", 0).expect("deleted");
        assert_eq!(in_use(&templates, 0, by_then + 3), None);
    }
}
