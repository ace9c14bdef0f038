//! What we say, as each of WeCom's surfaces wants it written: a group robot, an app message, a group our app made.
//!
//! Everything is checked before a call, in bytes of UTF-8, against the limits of the surface: WeCom cuts some texts
//! without a word, and a cut text is a text nobody approved. What does not fit is refused ([`Unfit`]), never shortened.
//! Not for: calling anybody, remembering uploaded media.

mod card;
mod limits;
#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};

use crate::outbox::delivery::{Article, Content, Decision, Media, Outcome, Refusal, RefusalScope};

pub(super) use limits::{Limit, MediaLimit, check_name};

/// Where something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surface {
    /// `webhook/send`: the internal group a robot sits in.
    Robot,
    /// `message/send`: one member of the company.
    App,
    /// `appchat/send`: a group that our app made.
    OwnGroup,
}

/// Why something cannot be said there. Names the field and the limit, never the words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    /// Our code: `text_too_long`, `unsupported`, ….
    pub(super) code: &'static str,
    /// In words.
    pub(super) detail: String,
}

impl Unfit {
    pub(super) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl From<Unfit> for Refusal {
    fn from(unfit: Unfit) -> Self {
        let (decision, scope) = (Decision::Never, RefusalScope::Delivery);
        Self { decision, scope, code: unfit.code.to_owned(), detail: unfit.detail }
    }
}

impl From<Unfit> for Outcome {
    fn from(unfit: Unfit) -> Self {
        Self::Refused(unfit.into())
    }
}

/// A message in the words of its surface, but for the id of the media it may need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    msgtype: &'static str,
    part: Map<String, Value>,
    /// What must be uploaded first; its id goes where WeCom looks for `media_id`.
    pub(super) upload: Option<Upload>,
}

/// A file to be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Upload {
    /// `image`, `voice`, `video` or `file`.
    pub(super) kind: &'static str,
    /// Its name.
    pub(super) name: String,
    /// Its bytes.
    pub(super) bytes: Bytes,
}

impl Message {
    /// Returns the fields of the call: `msgtype`, and the part named after it.
    pub(super) fn fields(&self, media_id: Option<&str>) -> Map<String, Value> {
        let mut part = self.part.clone();
        if let Some(media_id) = media_id {
            part.insert("media_id".to_owned(), json!(media_id));
        }
        let mut fields = Map::new();
        fields.insert("msgtype".to_owned(), json!(self.msgtype));
        fields.insert(self.msgtype.to_owned(), Value::Object(part));
        fields
    }

    fn of(msgtype: &'static str, part: Value) -> Self {
        let Value::Object(part) = part else { return Self { msgtype, part: Map::new(), upload: None } };
        Self { msgtype, part, upload: None }
    }

    fn with_upload(mut self, upload: Upload) -> Self {
        self.upload = Some(upload);
        self
    }
}

/// Writes plain text.
pub(super) fn render_text(surface: Surface, text: &str, mentions: &[String]) -> Result<Message, Unfit> {
    surface.text_limit().check("text", text)?;
    if mentions.is_empty() {
        return Ok(Message::of("text", json!({ "content": text })));
    }
    if surface != Surface::Robot {
        let detail = "`mentions` works only in a robot's text; elsewhere nobody would be named";
        return Err(Unfit::new("unsupported", detail));
    }
    let message = json!({ "content": text, "mentioned_list": mentions });
    Ok(Message::of("text", message))
}

/// Writes content.
pub(super) fn render(surface: Surface, content: &Content) -> Result<Message, Unfit> {
    match content {
        Content::Text { text, mentions } => render_text(surface, text, mentions),
        Content::Markdown { text } => render_markdown(surface, text),
        Content::Image { media } => render_image(surface, media),
        Content::Voice { media } => {
            let upload = MediaLimit::voice().check("voice", media)?;
            Ok(Message::of("voice", json!({})).with_upload(upload))
        }
        Content::Video { media, title, description } => render_video(surface, media, title, description),
        Content::File { media } => {
            let upload = MediaLimit::file().check("file", media)?;
            Ok(Message::of("file", json!({})).with_upload(upload))
        }
        // A single link is a list of one here.
        Content::Link { link } => render_news(std::slice::from_ref(link)),
        Content::Miniprogram { .. } => {
            Err(Unfit::new("unsupported", "a mini program's card cannot be sent here"))
        }
        Content::Reference { .. } => {
            let detail = "WeCom takes files by their bytes and not by an address; send a `link`";
            Err(Unfit::new("unsupported", detail))
        }
        Content::News { articles } => render_news(articles),
        Content::Card { card } => card::render(surface, card),
    }
}

fn render_markdown(surface: Surface, text: &str) -> Result<Message, Unfit> {
    surface.markdown_limit().check("text", text)?;
    let msgtype = if surface == Surface::Robot && wants_v2(text) { "markdown_v2" } else { "markdown" };
    Ok(Message::of(msgtype, json!({ "content": text })))
}

/// Says which of a robot's two dialects a text is in.
///
/// Only the older one names people and knows colours, and there a table is still readable as it was typed; in the newer
/// one a mention would reach nobody. So a mention or a colour decides, then what only the newer one shows.
fn wants_v2(text: &str) -> bool {
    if text.contains("<@") || text.contains("<font ") {
        return false;
    }
    let newer = |line: &str| {
        let line = line.trim_start();
        let numbered = line.trim_start_matches(|c: char| c.is_ascii_digit());
        line.starts_with("```")
            || line.starts_with('|')
            || line.starts_with("- ")
            || line.starts_with("* ")
            || line.starts_with("---")
            || (numbered.len() < line.len() && numbered.starts_with(". "))
    };
    text.contains("![") || text.lines().any(newer)
}

fn render_image(surface: Surface, media: &Media) -> Result<Message, Unfit> {
    let upload = surface.image_limit().check("image", media)?;
    if surface != Surface::Robot {
        return Ok(Message::of("image", json!({})).with_upload(upload));
    }
    // A robot takes the picture itself, with the digest of its raw bytes. Encoded again: what came may be written in
    // another way than WeCom reads it.
    let digest = format!("{:x}", Md5::digest(&upload.bytes));
    Ok(Message::of("image", json!({ "base64": STANDARD.encode(&upload.bytes), "md5": digest })))
}

fn render_video(surface: Surface, media: &Media, title: &str, description: &str) -> Result<Message, Unfit> {
    if surface == Surface::Robot {
        let detail = "a group robot takes no films; send it as a `file`";
        return Err(Unfit::new("unsupported", detail));
    }
    let upload = MediaLimit::video().check("video", media)?;
    let mut part = Map::new();
    for (field, limit, text) in
        [("title", Limit::TITLE, title), ("description", Limit::DESCRIPTION, description)]
    {
        if !text.is_empty() {
            limit.check(field, text)?;
            part.insert(field.to_owned(), json!(text));
        }
    }
    Ok(Message { msgtype: "video", part, upload: Some(upload) })
}

/// Writes a link as greetings and mass sends carry it; `place` is where it stands in what was asked.
pub(super) fn render_link(place: &str, link: &Article) -> Result<Value, Unfit> {
    let at = |field: &str| format!("{place}.{field}");
    Limit::TITLE.check(&at("title"), &link.title)?;
    Limit::URL.check(&at("url"), &link.url)?;
    let mut part = json!({ "title": link.title, "url": link.url });
    for (name, theirs, limit, value) in [
        ("description", "desc", Limit::DESCRIPTION, &link.description),
        ("picture_url", "picurl", Limit::URL, &link.picture_url),
    ] {
        if !value.is_empty() {
            limit.check(&at(name), value)?;
            part[theirs] = json!(value);
        }
    }
    Ok(part)
}

/// Most links of one message.
const ARTICLES_MAX: usize = 8;

fn render_news(articles: &[Article]) -> Result<Message, Unfit> {
    if articles.is_empty() || articles.len() > ARTICLES_MAX {
        let detail = format!("`articles` has {}, 1 to {ARTICLES_MAX} are taken", articles.len());
        return Err(Unfit::new("wrong_count", detail));
    }
    let mut written = Vec::with_capacity(articles.len());
    for (nth, article) in articles.iter().enumerate() {
        let at = |field: &str| format!("articles[{nth}].{field}");
        Limit::TITLE.check(&at("title"), &article.title)?;
        Limit::URL.check(&at("url"), &article.url)?;
        let mut part = json!({ "title": article.title, "url": article.url });
        if !article.description.is_empty() {
            Limit::DESCRIPTION.check(&at("description"), &article.description)?;
            part["description"] = json!(article.description);
        }
        if !article.picture_url.is_empty() {
            Limit::URL.check(&at("picture_url"), &article.picture_url)?;
            part["picurl"] = json!(article.picture_url);
        }
        written.push(part);
    }
    Ok(Message::of("news", json!({ "articles": written })))
}
