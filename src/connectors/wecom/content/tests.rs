//! What each surface is sent, byte for byte, and what is refused before a call.

use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

fn media(name: &str, bytes: &[u8]) -> Media {
    Media { name: name.to_owned(), base64: STANDARD.encode(bytes) }
}

fn text(text: &str) -> Content {
    Content::Text { text: text.to_owned(), mentions: Vec::new() }
}

fn markdown(text: &str) -> Content {
    Content::Markdown { text: text.to_owned() }
}

fn article(title: &str, description: &str) -> Article {
    Article {
        title: title.to_owned(),
        description: description.to_owned(),
        url: "https://example.com/a".to_owned(),
        picture_url: String::new(),
    }
}

#[track_caller]
fn check(surface: Surface, content: &Content, expect: &str) {
    let message = render(surface, content).unwrap();
    let media_id = message.upload.as_ref().map(|_| "M");
    let expect: Value = serde_json::from_str(expect).unwrap();
    assert_eq!(Value::Object(message.fields(media_id)), expect);
}

#[track_caller]
fn refused(surface: Surface, content: &Content, code: &str, field: &str) {
    let unfit = render(surface, content).unwrap_err();
    assert_eq!(unfit.code, code, "{surface:?}: {}", unfit.detail);
    assert!(unfit.detail.contains(field), "{surface:?}: {}", unfit.detail);
}

const ALL: [Surface; 3] = [Surface::Robot, Surface::App, Surface::OwnGroup];
const WITH_UPLOADS: [Surface; 2] = [Surface::App, Surface::OwnGroup];

#[test]
fn text_goes_out_as_it_is_and_never_escaped() {
    for surface in ALL {
        check(surface, &text("你好\n🌸 \"a\""), r#"{"msgtype":"text","text":{"content":"你好\n🌸 \"a\""}}"#);
    }
    let written =
        serde_json::to_string(&render(Surface::App, &text("你好🌸")).unwrap().fields(None)).unwrap();
    assert!(written.contains("你好🌸"), "some interfaces refuse escapes: {written}");
}

#[test]
fn only_a_robot_names_people() {
    let named = Content::Text { text: "早".to_owned(), mentions: vec!["lin".to_owned(), "@all".to_owned()] };
    check(
        Surface::Robot,
        &named,
        r#"{"msgtype":"text","text":{"content":"早","mentioned_list":["lin","@all"]}}"#,
    );
    for surface in WITH_UPLOADS {
        refused(surface, &named, "unsupported", "mentions");
    }
}

#[test]
fn lengths_are_bytes_of_utf8_and_nothing_is_cut() {
    let fits = |surface, content: &Content| render(surface, content).is_ok();
    for surface in ALL {
        assert!(fits(surface, &text(&"汉".repeat(682))), "2046 bytes");
        refused(surface, &text(&"汉".repeat(683)), "text_too_long", "2049 bytes, 2048 at most");
        refused(surface, &text(""), "text_empty", "text");
        refused(surface, &markdown(""), "text_empty", "text");
    }
    for (surface, bytes) in [(Surface::Robot, 4096), (Surface::App, 2048), (Surface::OwnGroup, 2048)] {
        assert!(fits(surface, &markdown(&"a".repeat(bytes))));
        refused(surface, &markdown(&"a".repeat(bytes + 1)), "text_too_long", &format!("{bytes} at most"));
    }
}

#[test]
fn a_robots_dialect_follows_from_the_text() {
    for (text, msgtype) in [
        ("# a\n**b**", "markdown"),
        ("|a|b|\n|-|-|", "markdown_v2"),
        ("```\ncode\n```", "markdown_v2"),
        ("![p](https://example.com/p.png)", "markdown_v2"),
        ("1. a\n2. b", "markdown_v2"),
        ("2026 年", "markdown"),
        ("- a <@lin>", "markdown"),
        ("|a|\n<font color=\"info\">x</font>", "markdown"),
    ] {
        let message = render(Surface::Robot, &markdown(text)).unwrap();
        assert_eq!(message.msgtype, msgtype, "{text}");
        let elsewhere = render(Surface::App, &markdown(text)).unwrap();
        assert_eq!(elsewhere.msgtype, "markdown", "{text}");
    }
}

#[test]
fn a_robot_is_given_the_picture_and_the_others_its_id() {
    let picture = Content::Image { media: media("a.png", PNG) };
    check(
        Surface::Robot,
        &picture,
        r#"{"msgtype":"image","image":{"base64":"iVBORw0KGgpyZXN0","md5":"fe70374a342a551816afeafd712d358c"}}"#,
    );
    for surface in WITH_UPLOADS {
        check(surface, &picture, r#"{"msgtype":"image","image":{"media_id":"M"}}"#);
        let upload = render(surface, &picture).unwrap().upload.unwrap();
        assert_eq!((upload.kind, upload.name.as_str(), upload.bytes.as_ref()), ("image", "a.png", PNG));
    }
}

#[test]
fn files_are_what_they_say_and_of_a_size() {
    let large = |head: &[u8], bytes: usize| {
        let mut large = head.to_vec();
        large.resize(bytes, 0);
        large
    };
    let mib = 1024 * 1024;
    let voice = |bytes: &[u8]| Content::Voice { media: media("a.amr", bytes) };
    let file = |bytes: &[u8]| Content::File { media: media("价目表.pdf", bytes) };
    for surface in ALL {
        refused(
            surface,
            &Content::Image { media: media("a.gif", b"GIF89a..") },
            "media_format",
            "JPG or PNG",
        );
        check(surface, &voice(b"#!AMR\nabc"), r#"{"msgtype":"voice","voice":{"media_id":"M"}}"#);
        refused(surface, &voice(b"RIFFabcdef"), "media_format", "AMR");
        refused(surface, &voice(&large(b"#!AMR", 2 * mib + 1)), "media_size", "2097152");
        check(surface, &file(b"123456"), r#"{"msgtype":"file","file":{"media_id":"M"}}"#);
        refused(surface, &file(b"12345"), "media_size", "`file` has 5 bytes");
        refused(surface, &file(&large(b"", 20 * mib + 1)), "media_size", "20971520");
        let unread = Content::File { media: Media { name: "a".to_owned(), base64: "a b".to_owned() } };
        refused(surface, &unread, "media_base64", "file.base64");
        for name in ["", "a\r\nb", "a\"b", "../a", &"a".repeat(256)] {
            refused(surface, &Content::File { media: media(name, b"123456") }, "media_name", "file.name");
        }
    }
    let picture = |bytes| Content::Image { media: media("a.jpg", &large(&[0xff, 0xd8, 0xff], bytes)) };
    assert!(render(Surface::Robot, &picture(2 * mib)).is_ok());
    refused(Surface::Robot, &picture(2 * mib + 1), "media_size", "2097152");
    assert!(render(Surface::App, &picture(10 * mib)).is_ok());
    refused(Surface::App, &picture(10 * mib + 1), "media_size", "10485760");
}

#[test]
fn films_carry_their_words_and_no_robot_takes_them() {
    let film = |title: &str, description: &str| Content::Video {
        media: media("a.mp4", b"\0\0\0\x18ftypmp42"),
        title: title.to_owned(),
        description: description.to_owned(),
    };
    for surface in WITH_UPLOADS {
        check(surface, &film("", ""), r#"{"msgtype":"video","video":{"media_id":"M"}}"#);
        check(
            surface,
            &film("题", "述"),
            r#"{"msgtype":"video","video":{"title":"题","description":"述","media_id":"M"}}"#,
        );
        refused(surface, &film(&"题".repeat(43), ""), "text_too_long", "`title` has 129 bytes");
        refused(surface, &film("", &"a".repeat(513)), "text_too_long", "`description` has 513 bytes");
    }
    refused(Surface::Robot, &film("", ""), "unsupported", "`file`");
}

#[test]
fn one_to_eight_links_with_their_lengths() {
    let news = |articles: Vec<Article>| Content::News { articles };
    for surface in ALL {
        check(
            surface,
            &news(vec![Article {
                picture_url: "https://example.com/p".to_owned(),
                ..article("新品", "上架")
            }]),
            concat!(
                r#"{"msgtype":"news","news":{"articles":[{"title":"新品","url":"https://example.com/a","#,
                r#""description":"上架","picurl":"https://example.com/p"}]}}"#
            ),
        );
        assert!(render(surface, &news(vec![article("a", ""); 8])).is_ok());
        refused(surface, &news(vec![article("a", ""); 9]), "wrong_count", "articles");
        refused(surface, &news(Vec::new()), "wrong_count", "articles");
        let second = |a: Article| news(vec![article("a", ""), a]);
        refused(surface, &second(article("", "")), "text_empty", "articles[1].title");
        refused(surface, &second(article(&"a".repeat(129), "")), "text_too_long", "articles[1].title");
        refused(
            surface,
            &second(article("a", &"汉".repeat(171))),
            "text_too_long",
            "articles[1].description` has 513",
        );
        let far = Article { url: "u".repeat(2049), ..article("a", "") };
        refused(surface, &second(far), "text_too_long", "articles[1].url");
    }
}

fn card(card: Value) -> Content {
    Content::Card { card }
}

#[test]
fn cards_are_for_those_who_can_show_them() {
    let notice =
        json!({"card_type": "text_notice", "card_action": {"type": 1, "url": "https://example.com"}});
    let expect = concat!(
        r#"{"msgtype":"template_card","template_card":{"card_type":"text_notice","#,
        r#""card_action":{"type":1,"url":"https://example.com"}}}"#
    );
    for surface in [Surface::Robot, Surface::App] {
        check(surface, &card(notice.clone()), expect);
    }
    refused(Surface::OwnGroup, &card(notice), "unsupported", "template cards");
    let vote = card(json!({"card_type": "vote_interaction", "task_id": "t-1"}));
    assert!(render(Surface::App, &vote).is_ok());
    refused(Surface::Robot, &vote, "unsupported", "text_notice");
    let plain = card(json!({"title": "a", "description": "b", "url": "https://example.com"}));
    for surface in WITH_UPLOADS {
        assert_eq!(render(surface, &plain).unwrap().msgtype, "textcard");
    }
    refused(Surface::Robot, &plain, "unsupported", "card_type");
}

#[test]
fn a_cards_parts_are_held_against_their_limits() {
    let app = |value: Value, code: &str, field: &str| refused(Surface::App, &card(value), code, field);
    app(json!([]), "card", "object");
    app(json!({"card_type": "poster"}), "card", "card.card_type");
    app(json!({"card_type": 5}), "card", "card.card_type");
    app(json!({"card_type": "news_notice"}), "card", "card.card_action");
    app(json!({"card_type": "button_interaction"}), "card", "card.task_id");
    app(json!({"card_type": "button_interaction", "task_id": "a b"}), "card", "card.task_id");
    app(json!({"card_type": "button_interaction", "task_id": "a".repeat(129)}), "card", "card.task_id");
    app(json!({"title": "a", "description": "b"}), "text_empty", "card.url");
    let with = |field: &str, value: Value| {
        let mut card = json!({"card_type": "vote_interaction", "task_id": "t"});
        card[field] = value;
        card
    };
    for (field, most) in [("horizontal_content_list", 6), ("jump_list", 3), ("button_list", 6)] {
        assert!(render(Surface::App, &card(with(field, json!(vec![json!({}); most])))).is_ok());
        app(with(field, json!(vec![json!({}); most + 1])), "card", field);
        app(with(field, json!("x")), "card", field);
    }
    app(with("checkbox", json!({"option_list": []})), "card", "checkbox.option_list");
    let key = |bytes: usize| with("button_list", json!([{"key": "k"}, {"key": "k".repeat(bytes)}]));
    assert!(render(Surface::App, &card(key(1024))).is_ok());
    app(key(1025), "text_too_long", "button_list[].key` has 1025");
    app(
        with("jump_list", json!([{"question": "问".repeat(67)}])),
        "text_too_long",
        "question` has 201 bytes, 200",
    );
}
