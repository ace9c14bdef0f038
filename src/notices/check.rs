//! What can be wrong with a notice whatever the platform.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Config, NoticeError, Recipient};
use crate::event::GroupEvent;
use crate::outbox::delivery::{Content, Media};

/// Most links of one notice: what every platform that knows them takes.
const ARTICLES_MAX: usize = 8;

/// Makes an error about a field.
pub(super) fn field(pointer: &'static str, code: &'static str, detail: impl Into<String>) -> NoticeError {
    NoticeError::Field { pointer, code, detail: detail.into() }
}

/// Checks recipients and content against the limits.
pub(super) fn check(to: &Recipient, content: &Content, config: &Config) -> Result<(), NoticeError> {
    if let Recipient::Staff(staff) = to {
        if staff.is_empty() || staff.len() > config.staff_max {
            let detail =
                format!("names {}; 1 to {} are allowed (`notices.staff_max`)", staff.len(), config.staff_max);
            return Err(field("/to/staff", "too_many", detail));
        }
        let is_id = |id: &String| {
            !id.is_empty() && id.len() <= GroupEvent::ID_BYTES_MAX && !id.chars().any(char::is_control)
        };
        if !staff.iter().all(is_id) {
            return Err(field("/to/staff", "form", "holds what is no id of a person"));
        }
    }
    let words = content.words();
    if words.len() > config.text_bytes_max {
        let detail = format!(
            "has {} bytes of text; {} are allowed (`notices.text_bytes_max`)",
            words.len(),
            config.text_bytes_max
        );
        return Err(field("/content", "too_long", detail));
    }
    match content {
        Content::Text { text, .. } | Content::Markdown { text } if text.trim().is_empty() => {
            Err(field("/content/text", "required", "is empty"))
        }
        Content::News { articles } if articles.is_empty() || articles.len() > ARTICLES_MAX => {
            Err(field("/content/articles", "too_many", format!("1 to {ARTICLES_MAX} are allowed")))
        }
        Content::Image { media }
        | Content::Voice { media }
        | Content::File { media }
        | Content::Video { media, .. } => check_media(media, config),
        Content::Text { .. }
        | Content::Markdown { .. }
        | Content::Link { .. }
        | Content::Miniprogram { .. }
        | Content::Reference { .. }
        | Content::News { .. }
        | Content::Card { .. } => Ok(()),
    }
}

fn check_media(media: &Media, config: &Config) -> Result<(), NoticeError> {
    if media.name.trim().is_empty() {
        return Err(field("/content/media/name", "required", "is empty"));
    }
    let Ok(bytes) = STANDARD.decode(&media.base64) else {
        return Err(field("/content/media/base64", "form", "is no standard base64"));
    };
    if bytes.is_empty() || bytes.len() > config.media_bytes_max {
        let detail = format!(
            "has {} bytes; 1 to {} are allowed (`notices.media_bytes_max`)",
            bytes.len(),
            config.media_bytes_max
        );
        return Err(field("/content/media/base64", "too_long", detail));
    }
    Ok(())
}
