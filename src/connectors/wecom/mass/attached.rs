//! What goes with a mass send's text: links, mini programs' cards, and pictures, films and files by their addresses.
//!
//! Not for: the text, greetings (`welcome`), uploads (`files`).

use serde_json::{Value, json};

use super::doubt::is_same;
use crate::connectors::wecom::content::{Limit, MediaLimit, Unfit, check_name, render_link};
use crate::connectors::wecom::files::FileAt;
use crate::outbox::delivery::{Content, FileKind, Miniprogram};
use crate::webhooks::address::parse_url;

/// One attachment in the platform's words, but for the id of the file it may need.
#[derive(Clone, Debug)]
pub(super) struct Attachment<'a> {
    msgtype: &'static str,
    part: Value,
    /// What must be uploaded first.
    pub(super) file: Option<FileAt<'a>>,
}

impl Attachment<'_> {
    /// Writes it as the call carries it.
    pub(super) fn written(&self, file_id: Option<&str>) -> Value {
        let mut part = self.part.clone();
        if let (Some(file), Some(id)) = (&self.file, file_id) {
            part[file.field] = json!(id);
        }
        let mut written = json!({ "msgtype": self.msgtype });
        written[self.msgtype] = part;
        written
    }

    /// Says whether a listed attachment may be this one. Ids and addresses of pictures and files are not compared: a
    /// platform may keep them elsewhere.
    fn may_be(&self, theirs: &Value) -> bool {
        let part = &theirs[self.msgtype];
        let same = |field: &str| match (self.part[field].as_str(), part[field].as_str()) {
            (Some(ours), Some(theirs)) => is_same(ours, theirs),
            // What one side does not tell says nothing.
            (None, _) | (_, None) => true,
        };
        theirs["msgtype"].as_str() == Some(self.msgtype)
            && ["title", "desc", "url", "appid", "page"].into_iter().all(same)
    }
}

/// Says whether a content can go with a text, whatever its words are.
pub(super) fn takes(content: &Content) -> bool {
    match content {
        Content::Link { .. } => true,
        Content::Miniprogram { miniprogram: Miniprogram { page, picture_url, .. } } => {
            !page.is_empty() && !picture_url.is_empty()
        }
        Content::Reference { of, .. } => place_of(*of).is_some(),
        Content::Text { .. }
        | Content::Markdown { .. }
        | Content::Image { .. }
        | Content::Voice { .. }
        | Content::Video { .. }
        | Content::File { .. }
        | Content::News { .. }
        | Content::Card { .. } => false,
    }
}

/// Returns what the platform calls a kind of file, and what it may be; `None` where no task takes it.
fn place_of(kind: FileKind) -> Option<(&'static str, MediaLimit)> {
    match kind {
        FileKind::Image => Some(("image", MediaLimit::image())),
        FileKind::Video => Some(("video", MediaLimit::video())),
        FileKind::File => Some(("file", MediaLimit::file())),
        FileKind::Voice => None,
    }
}

/// Checks and writes attachments.
pub(super) fn read(contents: &[Content]) -> Result<Vec<Attachment<'_>>, Unfit> {
    contents.iter().enumerate().map(|(nth, content)| attachment(nth, content)).collect()
}

fn attachment(nth: usize, content: &Content) -> Result<Attachment<'_>, Unfit> {
    let place = format!("attachments[{nth}]");
    match content {
        Content::Link { link } => {
            Ok(Attachment { msgtype: "link", part: render_link(&place, link)?, file: None })
        }
        Content::Miniprogram { miniprogram } => card(&place, miniprogram),
        Content::Reference { of, name, url } => reference(place, *of, name, url),
        Content::Text { .. }
        | Content::Markdown { .. }
        | Content::Image { .. }
        | Content::Voice { .. }
        | Content::Video { .. }
        | Content::File { .. }
        | Content::News { .. }
        | Content::Card { .. } => Err(unsupported(&place)),
    }
}

fn card<'a>(place: &str, card: &'a Miniprogram) -> Result<Attachment<'a>, Unfit> {
    let Miniprogram { appid, page, title, picture_url } = card;
    let at = |field: &str| format!("{place}.{field}");
    Limit::CARD_TITLE.check(&at("title"), title)?;
    for (field, text) in [("appid", appid), ("page", page)] {
        Limit::URL.check(&at(field), text)?;
    }
    let file = FileAt {
        limit: MediaLimit::image(),
        name: None,
        url: address(&at("picture_url"), picture_url)?,
        place: at("picture_url"),
        field: "pic_media_id",
    };
    let part = json!({ "title": title, "appid": appid, "page": page });
    Ok(Attachment { msgtype: "miniprogram", part, file: Some(file) })
}

fn reference<'a>(place: String, of: FileKind, name: &'a str, url: &'a str) -> Result<Attachment<'a>, Unfit> {
    let (msgtype, limit) = place_of(of).ok_or_else(|| unsupported(&place))?;
    check_name(&place, name)?;
    let url = address(&format!("{place}.url"), url)?;
    let file = FileAt { limit, name: Some(name), url, place, field: "media_id" };
    Ok(Attachment { msgtype, part: json!({}), file: Some(file) })
}

fn address<'a>(place: &str, url: &'a str) -> Result<&'a str, Unfit> {
    Limit::URL.check(place, url)?;
    parse_url(url).map_err(|error| Unfit::new("file_address", format!("`{place}`: {error}")))?;
    Ok(url)
}

fn unsupported(place: &str) -> Unfit {
    let detail = format!(
        "{place}: a mass send takes a `link`, a `miniprogram`, and a `reference` to a picture, film or file"
    );
    Unfit::new("unsupported", detail)
}

/// Says whether a listed task may carry these contents: as many, of the same kinds, in the same order, and not known to
/// differ. What was never written into a task is in none.
pub(super) fn may_be(ours: &[Content], theirs: &[Value]) -> bool {
    let Ok(ours) = read(ours) else { return false };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| ours.may_be(theirs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::delivery::Article;

    fn link(title: &str) -> Content {
        let url = "https://shop.example/vip".to_owned();
        let picture_url = "https://shop.example/vip.png".to_owned();
        let description = "满两百减三十".to_owned();
        Content::Link { link: Article { title: title.to_owned(), description, url, picture_url } }
    }

    #[test]
    fn what_a_task_cannot_carry_is_refused_by_its_kind_and_by_its_fields() {
        let read_one = |content: &str| {
            let content: Content = serde_json::from_str(content).unwrap();
            let found =
                read(std::slice::from_ref(&content)).map(|attachments| attachments[0].written(Some("M")));
            (takes(&content), found.map_err(|unfit| unfit.code))
        };
        let card = |title: &str, page: &str, picture: &str| {
            let card = json!({"appid": "wx1", "page": page, "title": title, "picture_url": picture});
            json!({"type": "miniprogram", "miniprogram": card}).to_string()
        };
        let file = |of: &str, name: &str, url: &str| {
            json!({"type": "reference", "of": of, "name": name, "url": url}).to_string()
        };
        let at = "https://shop.example/a.png";
        let shown = json!({"title": "t", "appid": "wx1", "page": "p", "pic_media_id": "M"});
        for (content, takes, expect) in [
            (card("t", "p", at), true, Ok(json!({"msgtype": "miniprogram", "miniprogram": shown}))),
            (card(&"长".repeat(22), "p", at), true, Err("text_too_long")),
            (card("t", "", at), false, Err("text_empty")),
            (card("t", "p", ""), false, Err("text_empty")),
            (card("t", "p", "ftp://a"), true, Err("file_address")),
            (file("image", "a.png", at), true, Ok(json!({"msgtype": "image", "image": {"media_id": "M"}}))),
            (file("video", "a.mp4", at), true, Ok(json!({"msgtype": "video", "video": {"media_id": "M"}}))),
            (file("file", "a.pdf", at), true, Ok(json!({"msgtype": "file", "file": {"media_id": "M"}}))),
            (file("file", "a/b", at), true, Err("media_name")),
            (file("file", "a.pdf", "no address"), true, Err("file_address")),
            (file("voice", "a.amr", at), false, Err("unsupported")),
            (r#"{"type":"text","text":"t"}"#.to_owned(), false, Err("unsupported")),
        ] {
            assert_eq!(read_one(&content), (takes, expect), "{content}");
        }
    }

    #[test]
    fn a_listed_task_is_told_apart_by_what_the_list_tells() {
        let listed = |link: Value| json!({ "msgtype": "link", "link": link });
        let whole = json!({"title": "会员日", "desc": "满两百减三十", "url": "https://shop.example/vip"});
        let bare = json!({"title": "会员日 "});
        let moved = json!({"title": "会员日", "picurl": "https://kept.example/1"});
        let check = |theirs: Vec<Value>, expect: bool| {
            assert_eq!(may_be(&[link("会员日")], &theirs), expect, "{theirs:?}");
        };
        for same in [whole.clone(), bare, moved] {
            check(vec![listed(same)], true);
        }
        check(Vec::new(), false);
        check(vec![listed(whole.clone()), listed(whole)], false);
        check(vec![listed(json!({"title": "周末"}))], false);
        check(vec![listed(json!({"title": "会员日", "url": "https://shop.example/other"}))], false);
        check(vec![json!({"msgtype": "image", "image": {"media_id": "M"}})], false);
        let card = Content::Miniprogram {
            miniprogram: Miniprogram {
                appid: "wx1".to_owned(),
                page: "pages/vip".to_owned(),
                title: "会员日".to_owned(),
                picture_url: "https://shop.example/vip.png".to_owned(),
            },
        };
        let theirs =
            |page: &str| json!({"msgtype": "miniprogram", "miniprogram": {"title": "会员日", "page": page}});
        assert!(may_be(std::slice::from_ref(&card), &[theirs("pages/vip")]));
        assert!(!may_be(&[card], &[theirs("pages/new")]));
        assert!(may_be(&[], &[]));
        assert!(!may_be(&[], &[listed(json!({"title": "会员日"}))]));
    }
}
