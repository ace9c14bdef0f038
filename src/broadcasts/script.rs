//! What a broadcast says, before a group is known: a text, a content, or a content with a text where it cannot be shown.
//! Layer: pure core.

use std::collections::BTreeSet;
use std::convert::Infallible;

use super::BroadcastError;
use super::book::GroupEntry;
use crate::outbox::delivery::{Content, Payload};
use crate::template::{MissingVariable, Template};

/// The words of a broadcast, read once.
#[derive(Clone, Debug)]
pub(super) struct Script {
    text: Template,
    content: Option<Content>,
    is_constant: bool,
}

impl Script {
    /// Reads the texts.
    ///
    /// # Errors
    /// Names the field and the first mistake in it.
    pub(super) fn parse(text: &str, content: Option<&Content>) -> Result<Self, BroadcastError> {
        let text = Template::parse(text)?;
        let mut is_constant = text.is_constant();
        if let Some(content) = content {
            if content.carries_bytes() {
                // Each of its targets would keep them, and each of the attempts.
                let detail = "a broadcast carries no bytes of files; put the file where platforms can reach it and send a \
                              `reference` or a `link` (群发不带文件本身，请用 `reference` 或 `link`)";
                return Err(wrong("/content/type", "unsupported", detail));
            }
            content.map_texts(&mut |place, text| {
                let template = Template::parse(text)
                    .map_err(|error| wrong(&format!("/content{place}"), "template", &error.to_string()))?;
                is_constant &= template.is_constant();
                Ok::<_, BroadcastError>(String::new())
            })?;
        }
        Ok(Self { text, content: content.cloned(), is_constant })
    }

    /// Says whether every group is told the same.
    pub(super) fn is_constant(&self) -> bool {
        self.is_constant
    }

    /// Says whether there is a text: alone, or for where the content cannot be shown.
    pub(super) fn has_text(&self) -> bool {
        !self.text.source().trim().is_empty()
    }

    pub(super) fn content(&self) -> Option<&Content> {
        self.content.as_ref()
    }

    /// Returns the words that members will certainly read, one for each way it is said in.
    pub(super) fn constant_words(&self) -> Vec<String> {
        let content = self.content.as_ref().map(|content| {
            let Ok(content) = content.map_texts(&mut |_, text| {
                // What cannot be read was refused when it was written.
                let constant = Template::parse(text).map(|template| template.constant_text());
                Ok::<_, Infallible>(constant.unwrap_or_default())
            });
            content.words()
        });
        let text = self.has_text().then(|| self.text.constant_text());
        text.into_iter().chain(content).collect()
    }

    /// Returns the variables that a group has no value for and the script no default.
    pub(super) fn missing(&self, group: &dyn GroupEntry) -> BTreeSet<String> {
        let value_of = |name: &str| group.value(name);
        let mut missing: BTreeSet<String> =
            self.text.missing(&value_of).into_iter().map(str::to_owned).collect();
        if let Some(content) = &self.content {
            let Ok(_) = content.map_texts(&mut |_, text| {
                if let Ok(template) = Template::parse(text) {
                    missing.extend(template.missing(&value_of).into_iter().map(str::to_owned));
                }
                Ok::<_, Infallible>(String::new())
            });
        }
        missing
    }

    /// Fills the text in.
    ///
    /// # Errors
    /// Names the first variable without a value.
    pub(super) fn text_for(&self, group: &dyn GroupEntry) -> Result<Payload, MissingVariable> {
        let text = self.text.render(&|name| group.value(name))?;
        Ok(Payload::text(text))
    }

    /// Fills text and content in, to be said in one task that a person confirms.
    ///
    /// # Errors
    /// Names the first variable without a value.
    pub(super) fn task_for(
        &self,
        content: &Content,
        group: &dyn GroupEntry,
    ) -> Result<Payload, MissingVariable> {
        let text = if self.has_text() { self.text.render(&|name| group.value(name))? } else { String::new() };
        Ok(Payload::Text { text, welcome_code: None, attachments: vec![filled(content, group)?] })
    }

    /// Fills a content in.
    ///
    /// # Errors
    /// Names the first variable without a value.
    pub(super) fn content_for(content: &Content, group: &dyn GroupEntry) -> Result<Payload, MissingVariable> {
        Ok(Payload::Content { content: filled(content, group)? })
    }
}

fn filled(content: &Content, group: &dyn GroupEntry) -> Result<Content, MissingVariable> {
    content.map_texts(&mut |_, text| match Template::parse(text) {
        Ok(template) => template.render(&|name| group.value(name)),
        Err(_) => Ok(text.to_owned()), // refused when it was written
    })
}

fn wrong(pointer: &str, code: &'static str, detail: &str) -> BroadcastError {
    BroadcastError::Content { pointer: pointer.to_owned(), code, detail: detail.to_owned() }
}

/// Returns the words of what is said.
pub(super) fn words(payload: &Payload) -> String {
    match payload {
        Payload::Text { text, attachments, .. } | Payload::MassSend { text, attachments, .. } => {
            let attached = attachments.iter().map(Content::words);
            let said = std::iter::once(text.clone()).filter(|text| !text.is_empty()).chain(attached);
            said.collect::<Vec<_>>().join("\n")
        }
        Payload::Edit { text, .. } => text.clone(),
        Payload::Content { content } => content.words(),
        Payload::Action { .. } => String::new(),
    }
}

/// Returns how many bytes of what is said count against the longest text that a platform takes: what goes with a text has
/// limits of its own.
pub(super) fn text_bytes(payload: &Payload) -> usize {
    match payload {
        Payload::Text { text, .. } | Payload::MassSend { text, .. } | Payload::Edit { text, .. } => {
            text.len()
        }
        Payload::Content { content } => content.words().len(),
        Payload::Action { .. } => 0,
    }
}
