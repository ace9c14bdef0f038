//! The library of group welcome templates (入群欢迎语素材).
//!
//! A template only enters the library: an owner must pick it in the client, and no interface tells whether anybody has.
//! So who manages templates keeps a list of what owners still have to do; this is only the library.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::api::Api;
use super::client::Done;
use super::content::Limit;
use super::deliver::Acts;
use super::error::not_asked;
use crate::connectors::offers::{PlatformError, WelcomeTemplate, WelcomeTemplates};
use crate::outbox::delivery::Article;

/// Most templates of a corp.
const TEMPLATES_MAX: usize = 100;
/// Where WeCom puts the newcomer's name: in these letters only, as often as wanted.
const NICKNAME: &str = "%NICKNAME%";

#[derive(Serialize, Deserialize)]
struct Parts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<Link>,
}

#[derive(Serialize, Deserialize)]
struct Text {
    #[serde(default)]
    content: String,
}

#[derive(Serialize, Deserialize)]
struct Link {
    #[serde(default)]
    title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    picurl: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    desc: String,
    #[serde(default)]
    url: String,
}

#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    template_id: Option<&'a str>,
    #[serde(flatten)]
    parts: Parts,
    /// Only where one is made: whether owners are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    notify: Option<u8>,
}

impl Parts {
    fn of(template: &WelcomeTemplate) -> Self {
        let text = template.text.as_str();
        let text = (!text.is_empty()).then(|| Text { content: text.to_owned() });
        let link = template.link.as_ref().map(|link| Link {
            title: link.title.clone(),
            picurl: link.picture_url.clone(),
            desc: link.description.clone(),
            url: link.url.clone(),
        });
        Self { text, link }
    }
}

impl From<Parts> for WelcomeTemplate {
    fn from(parts: Parts) -> Self {
        Self {
            text: parts.text.map(|text| text.content).unwrap_or_default(),
            link: parts.link.map(|link| Article {
                title: link.title,
                description: link.desc,
                url: link.url,
                picture_url: link.picurl,
            }),
            notify: false,
        }
    }
}

/// Holds a template against the library's rules.
fn check(template: &WelcomeTemplate) -> Result<(), String> {
    let fits = |limit: Limit, field: &str, text: &str| limit.check(field, text).map_err(|unfit| unfit.detail);
    if template.text.is_empty() && template.link.is_none() {
        return Err("`text` and `link` are both missing; a template needs one of them".to_owned());
    }
    if !template.text.is_empty() {
        fits(Limit::TEMPLATE_TEXT, "text", &template.text)?;
    }
    let spelled = template.text.matches(NICKNAME).count();
    if template.text.to_ascii_uppercase().matches(NICKNAME).count() > spelled {
        let wrong = format!(
            "`text` spells the newcomer's name in another way than `{NICKNAME}`; WeCom takes capitals only"
        );
        return Err(wrong);
    }
    if let Some(link) = &template.link {
        fits(Limit::TITLE, "link.title", &link.title)?;
        fits(Limit::URL, "link.url", &link.url)?;
        if !link.description.is_empty() {
            fits(Limit::DESCRIPTION, "link.description", &link.description)?;
        }
        if !link.picture_url.is_empty() {
            fits(Limit::URL, "link.picture_url", &link.picture_url)?;
        }
    }
    Ok(())
}

fn checked(api: Api, template: &WelcomeTemplate) -> Result<Parts, PlatformError> {
    check(template).map_err(|wrong| {
        not_asked(api, "template", format!("欢迎语素材不符合企业微信的要求：{wrong}"), wrong.clone())
    })?;
    Ok(Parts::of(template))
}

#[async_trait]
impl WelcomeTemplates for Acts {
    fn templates_max(&self) -> usize {
        TEMPLATES_MAX
    }

    fn check(&self, template: &WelcomeTemplate) -> Result<(), String> {
        check(template)
    }

    async fn add(&self, template: &WelcomeTemplate) -> Result<String, PlatformError> {
        #[derive(Deserialize)]
        struct Added {
            template_id: String,
        }
        let parts = checked(Api::AddWelcomeTemplate, template)?;
        let body = Written { template_id: None, parts, notify: Some(u8::from(template.notify)) };
        let added: Added = self.client.call(Api::AddWelcomeTemplate, &body).await?;
        Ok(added.template_id)
    }

    async fn edit(&self, id: &str, template: &WelcomeTemplate) -> Result<(), PlatformError> {
        let parts = checked(Api::EditWelcomeTemplate, template)?;
        let body = Written { template_id: Some(id), parts, notify: None };
        let Done {} = self.client.call(Api::EditWelcomeTemplate, &body).await?;
        Ok(())
    }

    async fn get(&self, id: &str) -> Result<WelcomeTemplate, PlatformError> {
        let body = serde_json::json!({ "template_id": id });
        let parts: Parts = self.client.call(Api::GetWelcomeTemplate, &body).await?;
        Ok(parts.into())
    }

    async fn remove(&self, id: &str) -> Result<(), PlatformError> {
        let body = serde_json::json!({ "template_id": id });
        let Done {} = self.client.call(Api::DelWelcomeTemplate, &body).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(text: &str) -> WelcomeTemplate {
        WelcomeTemplate { text: text.to_owned(), link: None, notify: false }
    }

    fn link(title: &str, description: &str) -> WelcomeTemplate {
        let url = "https://example.com".to_owned();
        let link = Article {
            title: title.to_owned(),
            description: description.to_owned(),
            url,
            ..Article::default()
        };
        WelcomeTemplate { text: String::new(), link: Some(link), notify: false }
    }

    #[track_caller]
    fn wrong(template: &WelcomeTemplate, says: &str) {
        let wrong = check(template).unwrap_err();
        assert!(wrong.contains(says), "{wrong}");
    }

    #[test]
    fn a_template_is_held_against_the_librarys_rules() {
        for good in [template("欢迎 %NICKNAME%，%NICKNAME%！"), template(&"汉".repeat(1000)), link("题", "")]
        {
            assert_eq!(check(&good), Ok(()));
        }
        wrong(&template(""), "both missing");
        wrong(&template(&"汉".repeat(1001)), "`text` has 3003 bytes, 3000 at most");
        wrong(&template("hi %NickName%"), "capitals");
        wrong(&template("%NICKNAME% %nickname%"), "capitals");
        wrong(&link("", ""), "`link.title` is empty");
        wrong(&link(&"a".repeat(129), ""), "`link.title` has 129");
        wrong(&link("a", &"a".repeat(513)), "`link.description` has 513");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let both = WelcomeTemplate { text: "hi %NICKNAME%".to_owned(), ..link("题", "述") };
        let written = Written { template_id: Some("msg1"), parts: Parts::of(&both), notify: None };
        let written = serde_json::to_value(written).unwrap();
        assert_eq!(
            written,
            json!({"template_id": "msg1", "text": {"content": "hi %NICKNAME%"},
                   "link": {"title": "题", "desc": "述", "url": "https://example.com"}})
        );
        let read: Parts = serde_json::from_value(written).unwrap();
        assert_eq!(WelcomeTemplate::from(read), both);
    }
}
