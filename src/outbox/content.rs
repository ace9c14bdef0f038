//! The texts within a content: found, replaced, named by their place. Layer: pure core.

use serde_json::Value;

use super::delivery::{Article, Content, Miniprogram};

/// Changes one text; the first argument is its place within the content, as a JSON Pointer without positions in lists.
pub(super) type ChangeText<'a, E> = dyn FnMut(&'static str, &str) -> Result<String, E> + 'a;

impl Content {
    /// Says whether the bytes of a file are in it.
    pub fn carries_bytes(&self) -> bool {
        match self {
            Content::Image { .. } | Content::Voice { .. } | Content::Video { .. } | Content::File { .. } => {
                true
            }
            Content::Text { .. }
            | Content::Markdown { .. }
            | Content::Link { .. }
            | Content::Miniprogram { .. }
            | Content::Reference { .. }
            | Content::News { .. }
            | Content::Card { .. } => false,
        }
    }

    /// Makes the same content with every text changed that people read or follow; ids and bytes stay.
    ///
    /// # Errors
    /// With the first error of `change`.
    pub fn map_texts<E>(&self, change: &mut ChangeText<'_, E>) -> Result<Self, E> {
        Ok(match self {
            Content::Text { text, mentions } => {
                Content::Text { text: change("/text", text)?, mentions: mentions.clone() }
            }
            Content::Markdown { text } => Content::Markdown { text: change("/text", text)? },
            Content::Image { media } => Content::Image { media: media.clone() },
            Content::Voice { media } => Content::Voice { media: media.clone() },
            Content::File { media } => Content::File { media: media.clone() },
            Content::Video { media, title, description } => Content::Video {
                media: media.clone(),
                title: change("/title", title)?,
                description: change("/description", description)?,
            },
            Content::Link { link } => Content::Link { link: map_article(link, change)? },
            Content::Miniprogram { miniprogram } => Content::Miniprogram {
                miniprogram: Miniprogram {
                    appid: miniprogram.appid.clone(),
                    page: change("/miniprogram/page", &miniprogram.page)?,
                    title: change("/miniprogram/title", &miniprogram.title)?,
                    picture_url: change("/miniprogram/picture_url", &miniprogram.picture_url)?,
                },
            },
            Content::Reference { of, name, url } => {
                Content::Reference { of: *of, name: change("/name", name)?, url: change("/url", url)? }
            }
            Content::News { articles } => {
                let articles = articles.iter().map(|article| map_article(article, change));
                Content::News { articles: articles.collect::<Result<_, E>>()? }
            }
            Content::Card { card } => Content::Card { card: map_value(card, change)? },
        })
    }
}

fn map_article<E>(article: &Article, change: &mut ChangeText<'_, E>) -> Result<Article, E> {
    Ok(Article {
        title: change("/title", &article.title)?,
        description: change("/description", &article.description)?,
        url: change("/url", &article.url)?,
        picture_url: change("/picture_url", &article.picture_url)?,
    })
}

fn map_value<E>(value: &Value, change: &mut ChangeText<'_, E>) -> Result<Value, E> {
    Ok(match value {
        Value::String(text) => Value::String(change("/card", text)?),
        Value::Array(values) => {
            let values = values.iter().map(|value| map_value(value, change));
            Value::Array(values.collect::<Result<_, E>>()?)
        }
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(name, value)| Ok::<_, E>((name.clone(), map_value(value, change)?)));
            Value::Object(fields.collect::<Result<_, E>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_changed_and_nothing_else() {
        let read = |json: &str| serde_json::from_str::<Content>(json).unwrap();
        let table = [
            (
                r#"{"type":"link","link":{"title":"a","description":"b","url":"c","picture_url":"d"}}"#,
                r#"{"type":"link","link":{"title":"a!","description":"b!","url":"c!","picture_url":"d!"}}"#,
            ),
            (
                r#"{"type":"miniprogram","miniprogram":{"appid":"wx1","page":"p","title":"t","picture_url":"u"}}"#,
                r#"{"type":"miniprogram","miniprogram":{"appid":"wx1","page":"p!","title":"t!","picture_url":"u!"}}"#,
            ),
            (
                r#"{"type":"reference","of":"image","name":"n.png","url":"u"}"#,
                r#"{"type":"reference","of":"image","name":"n.png!","url":"u!"}"#,
            ),
            (
                r#"{"type":"card","card":{"a":["x",1,true],"b":{"c":"y"}}}"#,
                r#"{"type":"card","card":{"a":["x!",1,true],"b":{"c":"y!"}}}"#,
            ),
            (
                r#"{"type":"text","text":"t","mentions":["u-1"]}"#,
                r#"{"type":"text","text":"t!","mentions":["u-1"]}"#,
            ),
        ];
        for (before, after) in table {
            let changed = read(before).map_texts(&mut |_, text| Ok::<_, ()>(format!("{text}!"))).unwrap();
            assert_eq!(changed, read(after), "{before}");
        }
    }

    #[test]
    fn the_first_mistake_is_told_with_its_place() {
        let link = Content::Link { link: Article { url: "bad".into(), ..Article::default() } };
        let told =
            link.map_texts(&mut |place, text| if text == "bad" { Err(place) } else { Ok(text.to_owned()) });
        assert_eq!(told, Err("/url"));
    }
}
