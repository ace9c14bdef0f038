//! What goes with a mass send's text: links.
//!
//! Not for: the text, greetings (`welcome`).

use serde_json::{Value, json};

use super::doubt::is_same;
use crate::connectors::wecom::content::{Unfit, render_link};
use crate::outbox::delivery::Content;

/// One attachment in the platform's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attachment {
    msgtype: &'static str,
    part: Value,
}

impl Attachment {
    /// Writes it as the call carries it.
    pub(super) fn written(&self) -> Value {
        let mut written = json!({ "msgtype": self.msgtype });
        written[self.msgtype] = self.part.clone();
        written
    }

    /// Says whether a listed attachment may be this one. The addresses of pictures are not compared: a platform may keep
    /// them elsewhere.
    fn may_be(&self, theirs: &Value) -> bool {
        let part = &theirs[self.msgtype];
        let same = |field: &str| match (self.part[field].as_str(), part[field].as_str()) {
            (Some(ours), Some(theirs)) => is_same(ours, theirs),
            // What one side does not tell says nothing.
            (None, _) | (_, None) => true,
        };
        theirs["msgtype"].as_str() == Some(self.msgtype) && ["title", "desc", "url"].into_iter().all(same)
    }
}

/// Says whether a content can go with a text, whatever its words are.
pub(super) fn takes(content: &Content) -> bool {
    match content {
        Content::Link { .. } => true,
        Content::Text { .. }
        | Content::Markdown { .. }
        | Content::Image { .. }
        | Content::Voice { .. }
        | Content::Video { .. }
        | Content::File { .. }
        | Content::Miniprogram { .. }
        | Content::Reference { .. }
        | Content::News { .. }
        | Content::Card { .. } => false,
    }
}

/// Checks and writes attachments.
pub(super) fn read(contents: &[Content]) -> Result<Vec<Attachment>, Unfit> {
    contents.iter().enumerate().map(|(nth, content)| attachment(nth, content)).collect()
}

fn attachment(nth: usize, content: &Content) -> Result<Attachment, Unfit> {
    let place = format!("attachments[{nth}]");
    match content {
        Content::Link { link } => Ok(Attachment { msgtype: "link", part: render_link(&place, link)? }),
        Content::Text { .. }
        | Content::Markdown { .. }
        | Content::Image { .. }
        | Content::Voice { .. }
        | Content::Video { .. }
        | Content::File { .. }
        | Content::Miniprogram { .. }
        | Content::Reference { .. }
        | Content::News { .. }
        | Content::Card { .. } => {
            Err(Unfit::new("unsupported", format!("{place}: only a `link` goes with a mass send")))
        }
    }
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
        assert!(may_be(&[], &[]));
        assert!(!may_be(&[], &[listed(json!({"title": "会员日"}))]));
    }
}
