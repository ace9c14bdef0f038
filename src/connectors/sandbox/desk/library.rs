//! Welcome templates and rules for staff.

use async_trait::async_trait;

use super::{refused, unknown};
use crate::connectors::offers::{
    InterceptRule, PlatformError, StaffInterception, WelcomeTemplate, WelcomeTemplates,
};
use crate::connectors::sandbox::Sandbox;

const TEMPLATES_MAX: usize = 100;
const TEMPLATE_BYTES_MAX: usize = 3_000;
const RULES_MAX: usize = 100;
const WORDS_MAX: usize = 300;
const WORD_CHARS_MAX: usize = 32;
const NAME_CHARS_MAX: usize = 20;

#[async_trait]
impl WelcomeTemplates for Sandbox {
    fn templates_max(&self) -> usize {
        TEMPLATES_MAX
    }

    fn check(&self, template: &WelcomeTemplate) -> Result<(), String> {
        match template.text.len() {
            0 if template.link.is_none() => Err("text: is empty".to_owned()),
            bytes if bytes > TEMPLATE_BYTES_MAX => {
                Err(format!("text: has {bytes} bytes; the platform takes {TEMPLATE_BYTES_MAX}"))
            }
            _ => Ok(()),
        }
    }

    async fn add(&self, template: &WelcomeTemplate) -> Result<String, PlatformError> {
        let mut state = self.desk.state.lock();
        if state.templates.len() >= TEMPLATES_MAX {
            return Err(refused(
                "add template",
                "41055",
                "欢迎语模板已满 100 个，请先删除不用的",
                "the library holds 100 templates; remove one first",
            ));
        }
        let id = state.id("template");
        state.templates.insert(id.clone(), template.clone());
        Ok(id)
    }

    async fn edit(&self, id: &str, template: &WelcomeTemplate) -> Result<(), PlatformError> {
        let mut state = self.desk.state.lock();
        let slot = state.templates.get_mut(id).ok_or_else(|| unknown("edit template"))?;
        *slot = template.clone();
        Ok(())
    }

    async fn get(&self, id: &str) -> Result<WelcomeTemplate, PlatformError> {
        let state = self.desk.state.lock();
        state.templates.get(id).cloned().ok_or_else(|| unknown("get template"))
    }

    async fn remove(&self, id: &str) -> Result<(), PlatformError> {
        let removed = self.desk.state.lock().templates.remove(id);
        removed.map(drop).ok_or_else(|| unknown("remove template"))
    }
}

fn check_rule<'r>(
    rule: &InterceptRule,
    mut others: impl Iterator<Item = &'r InterceptRule>,
) -> Result<(), PlatformError> {
    let chars = rule.name.chars().count();
    if chars == 0 || chars > NAME_CHARS_MAX || others.any(|other| other.name == rule.name) {
        let (zh, en) =
            ("规则名须为 1 至 20 个字且不重复", "a rule's name has 1 to 20 characters and is unique");
        return Err(refused("write rule", "41077", zh, en));
    }
    if rule.words.is_empty()
        || rule.words.len() > WORDS_MAX
        || rule.words.iter().any(|word| word.is_empty() || word.chars().count() > WORD_CHARS_MAX)
    {
        let (zh, en) =
            ("每条规则 1 至 300 个词，每词 1 至 32 个字", "a rule has 1 to 300 words of 1 to 32 characters");
        return Err(refused("write rule", "41068", zh, en));
    }
    if rule.staff.is_empty() && rule.departments.is_empty() {
        let (zh, en) = ("员工和部门不能都为空", "a rule needs staff or departments");
        return Err(refused("write rule", "41076", zh, en));
    }
    Ok(())
}

#[async_trait]
impl StaffInterception for Sandbox {
    fn limits(&self) -> (usize, usize, usize) {
        (RULES_MAX, WORDS_MAX, WORD_CHARS_MAX)
    }

    async fn list(&self) -> Result<Vec<(String, InterceptRule)>, PlatformError> {
        let state = self.desk.state.lock();
        Ok(state.rules.iter().map(|(id, rule)| (id.clone(), rule.clone())).collect())
    }

    async fn add(&self, rule: &InterceptRule) -> Result<String, PlatformError> {
        let mut state = self.desk.state.lock();
        check_rule(rule, state.rules.values())?;
        if state.rules.len() >= RULES_MAX {
            let (zh, en) = ("敏感词规则已满 100 条", "there are 100 rules already");
            return Err(refused("add rule", "41069", zh, en));
        }
        let id = state.id("rule");
        state.rules.insert(id.clone(), rule.clone());
        Ok(id)
    }

    async fn update(&self, id: &str, _: &InterceptRule, to: &InterceptRule) -> Result<(), PlatformError> {
        let mut state = self.desk.state.lock();
        check_rule(to, state.rules.iter().filter(|(other, _)| *other != id).map(|(_, rule)| rule))?;
        let slot = state.rules.get_mut(id).ok_or_else(|| unknown("update rule"))?;
        *slot = to.clone();
        Ok(())
    }

    async fn remove(&self, id: &str) -> Result<(), PlatformError> {
        let removed = self.desk.state.lock().rules.remove(id);
        removed.map(drop).ok_or_else(|| unknown("remove rule"))
    }
}
