//! Notices over a real ledger and outbox, with the sandbox behind them.

use super::*;
use crate::outbox::delivery::{Article, Media};

fn content(text: &str) -> Content {
    Content::Text { text: text.to_owned(), mentions: Vec::new() }
}

fn staff(names: &[&str]) -> Recipient {
    Recipient::Staff(names.iter().map(ToString::to_string).collect())
}

fn new(to: Recipient, content: Content) -> NewNotice {
    let account = AccountId::parse("demo").unwrap();
    NewNotice { id: "ntc_1".into(), account, to, content, place: Place::default() }
}

#[test]
fn what_cannot_be_is_named_by_its_pointer() {
    let config = Config { text_bytes_max: 12, media_bytes_max: 3, staff_max: 2, ..Config::default() };
    let image = |name: &str, base64: &str| Content::Image {
        media: Media { name: name.to_owned(), base64: base64.to_owned() },
    };
    let group = || Recipient::Group(GroupId::parse("g-1").unwrap());
    for (to, content, expect) in [
        (group(), content("你好"), None),
        (staff(&["li"]), image("a.png", "AAAA"), None),
        (staff(&[]), content("x"), Some("/to/staff")),
        (staff(&["a", "b", "c"]), content("x"), Some("/to/staff")),
        (staff(&["a\n"]), content("x"), Some("/to/staff")),
        (group(), content(" "), Some("/content/text")),
        (group(), content("你好你好你好"), Some("/content")),
        (group(), image("", "AAAA"), Some("/content/media/name")),
        (group(), image("a.png", "%"), Some("/content/media/base64")),
        (group(), image("a.png", ""), Some("/content/media/base64")),
        (group(), image("a.png", "AAAAAAAA"), Some("/content/media/base64")),
        (group(), Content::News { articles: Vec::new() }, Some("/content/articles")),
        (group(), Content::News { articles: vec![Article::default(); 9] }, Some("/content")),
    ] {
        let found = check::check(&to, &content, &config).err().map(|error| {
            let NoticeError::Field { pointer, .. } = error else { panic!("{error}") };
            pointer
        });
        assert_eq!(found, expect, "{to:?} {content:?}");
    }
}

#[test]
fn a_large_notice_to_many_is_refused_as_a_whole() {
    let config = Config { total_bytes_max: 600, ..Config::default() };
    assert_eq!(write(&new(staff(&["a", "b"]), content("x")), &config, 0).unwrap().deliveries.len(), 2);
    let error = write(&new(staff(&["a", "b", "c"]), content("x")), &config, 0).unwrap_err();
    assert!(matches!(error, NoticeError::Field { pointer: "/to/staff", .. }), "{error}");
}

#[test]
fn each_member_of_staff_has_a_delivery_of_their_own() {
    let notice = write(&new(staff(&["li", "wang"]), content("查收")), &Config::default(), 5).unwrap();
    let to: Vec<_> = notice.deliveries.iter().map(|d| (d.row.id.as_str(), d.staff.as_deref())).collect();
    assert_eq!(to, [("ntc_1_0", Some("li")), ("ntc_1_1", Some("wang"))]);
    let row = &notice.deliveries[1].row;
    assert_eq!((row.kind.as_str(), row.group.as_str(), row.expires_ms), ("notice", "", 5 + 86_400_000));
    let delivery: Delivery = serde_json::from_str(&row.body).unwrap();
    assert_eq!((delivery.member.as_deref(), delivery.priority), (Some("wang"), Priority::Normal));
}
