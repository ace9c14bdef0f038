//! Template cards: which parts a card of a type needs, and how many of each it may have.
//!
//! Lengths marked with "about" on the platform's pages are only display hints and are not checked.

use serde_json::Value;

use crate::wecom::errcode;
use crate::wecom::request::Refusal;

/// Cards that ask for nothing.
pub(super) const NOTICES: [&str; 2] = ["text_notice", "news_notice"];
/// All of them.
pub(super) const ALL: [&str; 5] =
    ["text_notice", "news_notice", "button_interaction", "vote_interaction", "multiple_interaction"];

const TASK_ID_BYTES_MAX: usize = 128;
const KEY_BYTES_MAX: usize = 1_024;
const OPTION_ID_BYTES_MAX: usize = 128;
const QUESTION_BYTES_MAX: usize = 200;
/// Lists of a card and how many entries each may have, from and to.
const LISTS: [(&str, usize, usize); 6] = [
    ("/horizontal_content_list", 0, 6),
    ("/vertical_content_list", 0, 4),
    ("/jump_list", 0, 3),
    ("/action_menu/action_list", 1, 3),
    ("/button_list", 1, 6),
    ("/select_list", 1, 3),
];

/// Checks a card of one of the types that the caller allows.
///
/// The platform has a code for each part, 42027 to 42051; which is which its pages do not tell, so all are one here.
///
/// # Errors
/// 42027 with the name of the part.
pub(super) fn check(card: &Value, allowed: &[&str]) -> Result<(), Refusal> {
    let kind = card["card_type"].as_str().unwrap_or_default();
    if !allowed.contains(&kind) {
        return Err(bad("card_type"));
    }
    for (pointer, least, most) in LISTS {
        let Some(list) = card.pointer(pointer) else { continue };
        if !list.as_array().is_some_and(|list| (least..=most).contains(&list.len())) {
            return Err(bad(pointer));
        }
    }
    if NOTICES.contains(&kind) {
        let action = card["card_action"]["type"].as_u64();
        let goes_to = match action {
            Some(1) => "url",
            Some(2) => "appid",
            Some(_) | None => return Err(bad("card_action")),
        };
        if card["card_action"][goes_to].as_str().is_none_or(str::is_empty) {
            return Err(bad("card_action"));
        }
    } else if card["task_id"].as_str().is_none_or(str::is_empty) {
        return Err(bad("task_id"));
    }
    if let Some(ratio) = card["card_image"]["aspect_ratio"].as_f64()
        && !(1.3..=2.25).contains(&ratio)
    {
        return Err(bad("card_image.aspect_ratio"));
    }
    check_ids(card)
}

fn check_ids(card: &Value) -> Result<(), Refusal> {
    let is_short = |value: &Value, bytes| value.as_str().unwrap_or_default().len() <= bytes;
    let task_id = card["task_id"].as_str().unwrap_or_default();
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-@".contains(&byte);
    if task_id.len() > TASK_ID_BYTES_MAX || !task_id.bytes().all(is_allowed) {
        return Err(bad("task_id"));
    }
    let items = |pointer: &str| card.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    if items("/jump_list").any(|jump| !is_short(&jump["question"], QUESTION_BYTES_MAX)) {
        return Err(bad("jump_list.question"));
    }
    let keys = items("/button_list").chain(items("/action_menu/action_list")).map(|item| &item["key"]);
    if keys.chain([&card["submit_button"]["key"]]).any(|key| !is_short(key, KEY_BYTES_MAX)) {
        return Err(bad("key"));
    }
    for (pointer, most) in [("/checkbox/option_list", 20), ("/button_selection/option_list", 10)] {
        let count = items(pointer).count();
        if count > most || card.pointer(pointer).is_some() && count == 0 {
            return Err(bad(pointer));
        }
        if items(pointer).any(|option| !is_short(&option["id"], OPTION_ID_BYTES_MAX)) {
            return Err(bad(pointer));
        }
    }
    Ok(())
}

fn bad(part: &str) -> Refusal {
    let part = part.trim_start_matches('/');
    Refusal::new(errcode::BAD_CARD, format!("template_card.{part} missing or invalid"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(extra: Value) -> Value {
        let mut card = json!({"card_type":"text_notice","card_action":{"type":1,"url":"https://a.example"}});
        if let (Some(card), Value::Object(extra)) = (card.as_object_mut(), extra) {
            card.extend(extra);
        }
        card
    }

    #[test]
    fn parts_have_their_numbers() {
        let many = |count: usize| json!(vec![json!({}); count]);
        for (extra, is_good) in [
            (json!({}), true),
            (json!({"horizontal_content_list": many(6)}), true),
            (json!({"horizontal_content_list": many(7)}), false),
            (json!({"vertical_content_list": many(5)}), false),
            (json!({"jump_list": many(4)}), false),
            (json!({"jump_list": [{"type":3,"question":"问".repeat(67)}]}), false),
            (json!({"action_menu": {"action_list": []}}), false),
            (json!({"action_menu": {"action_list": many(3)}}), true),
            (json!({"button_list": [{"key":"k".repeat(1_025)}]}), false),
            (json!({"card_image": {"aspect_ratio": 1.2}}), false),
            (json!({"task_id": "a b"}), false),
            (json!({"task_id": "t".repeat(129)}), false),
            (json!({"checkbox": {"option_list": many(21)}}), false),
            (json!({"card_action": {"type": 1}}), false),
            (json!({"card_action": {"type": 2, "appid": "wx1"}}), true),
            (json!({"card_action": null}), false),
            (json!({"card_type": "vote_interaction"}), false),
        ] {
            let card = with(extra);
            let code = check(&card, &NOTICES).map_or_else(|refusal| refusal.errcode, |()| 0);
            assert_eq!(code, if is_good { 0 } else { 42_027 }, "{card}");
        }
    }

    #[test]
    fn cards_that_ask_need_a_task_id_and_no_action() {
        let card = json!({"card_type":"button_interaction","button_list":[{"text":"t","key":"k"}]});
        assert!(check(&card, &ALL).is_err());
        let card = json!({"card_type":"button_interaction","task_id":"t@1","button_list":[{"key":"k"}]});
        assert!(check(&card, &ALL).is_ok());
        assert!(check(&card, &NOTICES).is_err());
    }
}
