//! Cards: `template_card` in the platform's own words, and `textcard` for a card without a `card_type`.
//!
//! A card comes as JSON from whoever composes it; here its counts and lengths are held against the limits, so that a card
//! that WeCom would refuse fails with a field's name instead of one of twenty-five codes.

use serde_json::Value;

use super::{Limit, Message, Surface, Unfit};

/// A card's kinds, and whether it waits for an answer.
const KINDS: [(&str, bool); 5] = [
    ("text_notice", false),
    ("news_notice", false),
    ("button_interaction", true),
    ("vote_interaction", true),
    ("multiple_interaction", true),
];

/// Lists in a card: where, at least, at most.
const COUNTS: [(&str, usize, usize); 8] = [
    ("/horizontal_content_list", 0, 6),
    ("/vertical_content_list", 0, 4),
    ("/jump_list", 0, 3),
    ("/button_list", 0, 6),
    ("/select_list", 0, 3),
    ("/action_menu/action_list", 1, 3),
    ("/checkbox/option_list", 1, 20),
    ("/button_selection/option_list", 1, 10),
];

/// Longest `task_id`, in bytes.
const TASK_ID_BYTES_MAX: usize = 128;
/// Longest id of an option, in bytes.
const OPTION_ID_BYTES_MAX: usize = 128;
/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 1024;
/// Longest question of a link that asks one, in bytes.
const QUESTION_BYTES_MAX: usize = 200;

pub(super) fn render(surface: Surface, card: &Value) -> Result<Message, Unfit> {
    let Some(fields) = card.as_object() else {
        return Err(Unfit::new("card", "`card` must be an object"));
    };
    let Some(kind) = fields.get("card_type") else { return render_textcard(surface, card) };
    let kind = kind.as_str().unwrap_or_default();
    let known = KINDS.iter().find(|(name, _)| *name == kind);
    let Some((_, is_interactive)) = known else {
        let names: Vec<_> = KINDS.iter().map(|(name, _)| *name).collect();
        return Err(Unfit::new("card", format!("`card.card_type` must be one of {}", names.join(", "))));
    };
    match surface {
        Surface::OwnGroup => {
            return Err(Unfit::new("unsupported", "a group that an app made takes no template cards"));
        }
        Surface::Robot if *is_interactive => {
            let detail = "a group robot hears no answers: it takes `text_notice` and `news_notice` only";
            return Err(Unfit::new("unsupported", detail));
        }
        Surface::Robot | Surface::App => {}
    }
    if !is_interactive && !card["card_action"].is_object() {
        return Err(Unfit::new("card", format!("`card.card_action` is needed in a `{kind}`")));
    }
    if *is_interactive || fields.contains_key("task_id") {
        check_task_id(&card["task_id"])?;
    }
    check_counts(card)?;
    check_lengths(card)?;
    Ok(Message::of("template_card", card.clone()))
}

/// A card of title, words, link and the button's label.
fn render_textcard(surface: Surface, card: &Value) -> Result<Message, Unfit> {
    if surface == Surface::Robot {
        let detail = "a group robot takes template cards only: `card.card_type` is missing";
        return Err(Unfit::new("unsupported", detail));
    }
    let text = |field: &str| card[field].as_str().unwrap_or_default();
    Limit::TITLE.check("card.title", text("title"))?;
    Limit::DESCRIPTION.check("card.description", text("description"))?;
    Limit::URL.check("card.url", text("url"))?;
    Ok(Message::of("textcard", card.clone()))
}

fn check_task_id(id: &Value) -> Result<(), Unfit> {
    let id = id.as_str().unwrap_or_default();
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '@');
    if id.is_empty() || id.len() > TASK_ID_BYTES_MAX || !id.chars().all(good) {
        let detail = format!("`card.task_id` must have 1 to {TASK_ID_BYTES_MAX} of letters, digits, `_-@`");
        return Err(Unfit::new("card", detail));
    }
    Ok(())
}

fn check_counts(card: &Value) -> Result<(), Unfit> {
    for (pointer, least, most) in COUNTS {
        let Some(list) = card.pointer(pointer) else { continue };
        let count = list.as_array().map_or(0, Vec::len);
        if !list.is_array() || count < least || count > most {
            let field = pointer.replace('/', ".");
            let detail = format!("`card{field}` must be a list of {least} to {most}");
            return Err(Unfit::new("card", detail));
        }
    }
    Ok(())
}

fn check_lengths(card: &Value) -> Result<(), Unfit> {
    let lists = [
        ("/jump_list", "question", QUESTION_BYTES_MAX),
        ("/button_list", "key", KEY_BYTES_MAX),
        ("/action_menu/action_list", "key", KEY_BYTES_MAX),
        ("/checkbox/option_list", "id", OPTION_ID_BYTES_MAX),
        ("/button_selection/option_list", "id", OPTION_ID_BYTES_MAX),
    ];
    for (pointer, field, bytes_max) in lists {
        let Some(entries) = card.pointer(pointer).and_then(Value::as_array) else { continue };
        let too_long = |entry: &&Value| entry[field].as_str().is_some_and(|text| text.len() > bytes_max);
        if let Some(entry) = entries.iter().find(too_long) {
            let list = pointer.replace('/', ".");
            let bytes = entry[field].as_str().unwrap_or_default().len();
            let detail = format!("`card{list}[].{field}` has {bytes} bytes, {bytes_max} at most");
            return Err(Unfit::new("text_too_long", detail));
        }
    }
    Ok(())
}
